"""``plaque-edge compare BEFORE AFTER``: what changed between two studies of one patient."""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from plaque_edge.compare.change import compare
from plaque_edge.compare.counting import counting_file
from plaque_edge.compare.repeatability import TABLE, load_table
from plaque_edge.compare.study import Study, read_study
from plaque_edge.errors import Refused
from plaque_edge.export.words import corrected_by

SHOWN = ("plaque_mm3", "calcified_mm3", "noncalcified_mm3", "low_attenuation_mm3")


def main(argv: list[str]) -> int:
    """Compare two results. Raises ``Refused`` (exit 2) when they must not be compared."""
    from plaque_edge.commands import put_json
    from plaque_edge.export.result_json import write_json

    parser = argparse.ArgumentParser(
        "plaque-edge compare",
        description="What changed between two studies of one patient. Patients are matched by "
        "ID and birth date. Research use only, not a medical device.",
        epilog="example: plaque-edge compare results/2024 results/2026 --json change.json",
    )
    parser.add_argument("before", type=Path, metavar="BEFORE", help="result.json, or its folder")
    parser.add_argument("after", type=Path, metavar="AFTER", help="the same of the later study")
    parser.add_argument("--json", metavar="FILE", help="figures for machines, - for stdout")
    text = "table of a site's own networks (default: the shipped one)"
    parser.add_argument("--repeatability", type=Path, default=TABLE, metavar="FILE", help=text)
    args = parser.parse_args(argv)
    before, after = read(args.before, "BEFORE"), read(args.after, "AFTER")
    table = load_table(before.model_sha256, before.calibration, args.repeatability)
    data = compare(before, after, table)
    if args.json:
        put_json(data, args.json, write_json)
    if args.json != "-":
        print("\n".join(lines(data)))
    return 0


def read(path: Path, name: str) -> Study:
    """Read one side of the comparison, with corrections that count. Raises ``Refused``."""
    try:
        text = counting_file(path, name).read_bytes()
        data = json.loads(text)
    except (OSError, ValueError) as error:
        said = f"{name} can't be read."
        raise Refused("COMPARE_FILE_INVALID", said, "Give a result.json, or its folder.") from error
    return replace(read_study(data, name), result_sha256=hashlib.sha256(text).hexdigest())


def lines(data: dict[str, Any]) -> list[str]:
    """Write a comparison as text."""
    years = "an unknown time" if data["years"] is None else f"{data['years']:.1f} years"
    out = [f"{years} between the studies; {data['registration']['branches']} branches in both."]
    different = data["comparability"]["differences"]
    if different:
        out.append(f"CLAIMS LOWERED, the scans were made differently: {'; '.join(different)}.")
    out += [*_corrected(data), *_excluded(data)]
    for side, word in (("only_before", "first"), ("only_after", "second")):
        if data["registration"][side]:
            names = ", ".join(data["registration"][side])
            out.append(f"Only in the {word} study, not compared: {names}.")
    parts = [("patient", data["patient"]), *((v, c) for v, c in data["vessels"].items() if c)]
    parts += [(s["name"], s["changes"]) for s in data["segments"]]
    for name, changes in parts:
        for key in SHOWN if name in ("patient", *data["vessels"]) else SHOWN[:1]:
            out.append(_line(name, key, changes[key]))
    why = data["not_judged"]
    if why:
        out.append(f"{why['code']}: {why['text']} {why['next_step']}")
    else:
        out.append(f"Repeatability: {data['repeatability']}.")
    out.append(f"{data['disclaimer']}.")
    return out


def _corrected(data: dict[str, Any]) -> list[str]:
    """Say whose numbers are not the analysis's own."""
    out = [
        f"{word}: {corrected_by(data[side]['corrected'])}; its corrected numbers are compared."
        for side, word in (("before", "PRIOR STUDY"), ("after", "PRESENT STUDY"))
        if data[side]["corrected"]
    ]
    if out:
        out.append("CLAIMS LOWERED: repeatability holds for what the networks measured.")
    return out


def _excluded(data: dict[str, Any]) -> list[str]:
    words = {"before": "first", "after": "second"}
    return [
        f"Excluded in the {words[x['study']]} study, not compared: "
        f"{x['branch']}, {x['length_mm']:.0f} mm."
        for x in data["registration"]["excluded"]
    ]


def _line(name: str, key: str, c: dict[str, Any]) -> str:
    rate = "" if c["per_year_mm3"] is None else f" ({c['per_year_mm3']:+.1f} a year)"
    limit = c["measurable_from_mm3"]
    told = "" if limit is None else f", measurable from {limit:.1f}"
    what = key.removesuffix("_mm3").replace("_", " ")
    return (
        f"{name:<18} {what:<16} {c['before_mm3']:8.1f} -> {c['after_mm3']:8.1f} mm³ "
        f"{c['change_mm3']:+8.1f}{rate}: {c['claim']}{told}"
    )
