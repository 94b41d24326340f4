"""``plaque-edge selftest``: a phantom goes through the whole line; expected against measured.

It runs in a process of its own, as production does. Expected is what the shipped networks measured
on this phantom when they were shipped (``selftest_expected.json``): the test finds a broken
installation. How far they are from the truth is another question; the truth stands beside.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.pipeline import Analysis
    from plaque_edge.types import CaseResult

SEED = 7
"""A phantom that is used for nothing but demonstration."""
EXPECTED = Path(__file__).with_name("selftest_expected.json")
SHARE, LEAST_MM3 = 0.05, 5.0
"""Plaque may differ from the expected by this share or this volume, whichever is larger."""
OWN_SHARE, OWN_LEAST_MM3 = 0.5, 60.0
"""Networks that a site brought are held to the truth, as coarsely as this."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="plaque-edge selftest",
        description="A synthetic scan through the whole line, expected against measured. "
        "Research use only, not a medical device.",
        epilog="example: plaque-edge selftest --json selftest.json",
    )
    parser.add_argument("--json", default="", metavar="FILE", help="for machines, - for stdout")
    parser.add_argument("--engine", default="auto", metavar="NAME")
    parser.add_argument("--remember", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the self-test; 0 when everything is as expected, else 1."""
    from plaque_edge.commands import put_json
    from plaque_edge.export.result_json import write_json

    options = parse(sys.argv[1:] if argv is None else argv)
    with tempfile.TemporaryDirectory(prefix="plaque-edge-selftest-") as folder:
        truth, analysis = run(Path(folder), options.engine)
    if options.remember:
        EXPECTED.write_text(
            json.dumps(remember(analysis.result), indent=1) + "\n", encoding="utf-8"
        )
    data = compare(truth, analysis.result, json.loads(EXPECTED.read_text(encoding="utf-8")))
    if options.json:
        put_json(data, options.json, write_json)
    if options.json != "-":
        for line in data["lines"]:
            print(f"{'ok  ' if line['ok'] else 'FAIL'} {line['what']}: {line['measured']} "
                  f"(expected {line['expected']})")  # fmt: skip
        print("as expected" if data["passed"] else "NOT as expected")
    return 0 if data["passed"] else 1


def run(folder: Path, engine: str = "auto") -> tuple[dict[str, Any], Analysis]:
    """Make the phantom's files in ``folder`` and analyse them; return truth and analysis."""
    from plaque_edge.config import WorkerOptions
    from plaque_edge.phantom.dicom import write_series
    from plaque_edge.phantom.scene import make_phantom
    from plaque_edge.pipeline import AnalyzeOptions, analyze
    from plaque_edge.worker import open_all

    say("Making a synthetic scan, not a patient")
    made = make_phantom(SEED)
    write_series(made.volume, made.info, folder / "dicom")
    say("Opening the engines")
    engines, segmenter = open_all(WorkerOptions(engine=engine))
    last: list[str] = []

    def progress(step: str, _share: float) -> None:
        if step not in last:
            last.append(step)
            say(f"At work: {step}")

    return made.truth, analyze([folder / "dicom"], AnalyzeOptions(), engines, progress, segmenter)


def say(text: str) -> None:
    """Tell what happens now, on stderr, for a person or the console."""
    print(json.dumps({"doing": text}), file=sys.stderr, flush=True)


def remember(result: CaseResult) -> dict[str, Any]:
    """Return what later self-tests of these weights expect."""
    model = result.model
    assert model is not None
    return {"model_sha256": model.sha256, "provider": model.provider, "plaque_mm3": plaque(result)}


def plaque(result: CaseResult) -> dict[Any, float | None]:
    """Return mm3 of plaque per vessel and of the patient; ``None`` where not measured."""
    if result.measures is None:
        return dict.fromkeys((*VESSELS, "patient"))
    vessels: dict[Any, float | None] = {
        name: result.measures.vessels[name].plaque_mm3 for name in VESSELS
    }
    return {**vessels, "patient": result.measures.patient.plaque_mm3}


def compare(truth: dict[str, Any], result: CaseResult, expected: dict[str, Any]) -> dict[str, Any]:
    """Set the result beside what is expected of these weights and the phantom's truth."""
    ended = result.status in ("ready", "review")
    lines = [_line("status", "ready or review", result.status, ended)]
    true: dict[Any, float] = {name: float(truth["vessels"][name]["plaque_mm3"]) for name in VESSELS}
    true["patient"] = sum(true.values())
    shipped = result.model is not None and result.model.sha256 == expected["model_sha256"]
    for name, measured in plaque(result).items():
        wanted = expected["plaque_mm3"][name] if shipped else true[name]
        share, least = (SHARE, LEAST_MM3) if shipped else (OWN_SHARE, OWN_LEAST_MM3)
        allowed = max(share * wanted, least)
        shown = "not analysable" if measured is None else f"{measured:.0f} mm³"
        good = measured is not None and abs(measured - wanted) <= allowed
        text = f"{wanted:.0f} ± {allowed:.0f} mm³, true {true[name]:.0f}"
        what = "plaque of the patient" if name == "patient" else f"plaque {name}"
        lines.append(_line(what, text, shown, good))
    model = result.model
    return {
        "passed": all(line["ok"] for line in lines),
        "lines": lines,
        "reasons": [r.code for r in result.reasons],
        "provider": model.provider if model else "none",
        "seconds": round(result.timing_ms.get("total", 0.0) / 1000.0, 1),
        "note": "A synthetic phantom, not a patient. Research use only, not a medical device.",
    }


def _line(what: str, expected: str, measured: str, ok: bool) -> dict[str, Any]:
    return {"what": what, "expected": expected, "measured": measured, "ok": ok}


if __name__ == "__main__":
    raise SystemExit(main())
