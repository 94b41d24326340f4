"""``plaque-edge evaluate``: figures on test phantoms, from DICOM on disk to the result's JSON.

Seeds come from the test range, which neither training nor choices ever see; the second generator
has validation seeds only.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import plaque_edge
from plaque_edge.evaluate.case import evaluate_one
from plaque_edge.evaluate.curves import write_curves
from plaque_edge.evaluate.families import FAMILIES, FULL, Scan, scans
from plaque_edge.evaluate.figures import figures
from plaque_edge.evaluate.gallery import draw_worst
from plaque_edge.evaluate.kept import model_of, result_path
from plaque_edge.evaluate.report import markdown, worst, write_plots

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: list[str]) -> int:
    """Evaluate on phantoms; exit 0 when every scan ended in a result or a refusal."""
    args = _parser().parse_args(argv)
    chosen = list(_chosen(args))
    rows = list(_rows(chosen, args.engine, args.keep))
    model_of(rows)  # kept rows of other networks would pass for these
    found = figures(rows)
    seeds = min(s.seed for s in chosen), max(s.seed for s in chosen)
    data = {
        "command": "plaque-edge evaluate " + " ".join(argv),
        "date": datetime.date.today().isoformat(),
        "version": plaque_edge.__version__,
        "python": platform.python_version(),
        "seeds": seeds,
        "figures": found,
        "cases": rows,
    }
    what = f"seeds {seeds[0]} to {seeds[1]}, {_families(chosen)}"
    text = markdown(found, what, rows)
    if args.json == "-":
        print(json.dumps(data, indent=1, allow_nan=False, default=_plain))
    else:
        _write(Path(args.json), json.dumps(data, indent=1, allow_nan=False, default=_plain))
        _write(Path(args.json).with_suffix(".md"), text)
    if args.plots:
        write_plots(rows, args.plots)
        write_curves(rows, args.plots)
    if args.gallery:
        bad = [r["key"] for r in worst(rows)]
        draw_worst([s for s in chosen if s.key in bad], args.engine, args.gallery)
    print(text, file=sys.stderr)
    print("Largest errors:", *(_line(r) for r in worst(rows)), sep="\n", file=sys.stderr)
    return 0 if all(r["status"] != "failed" for r in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "plaque-edge evaluate",
        epilog="example: plaque-edge evaluate --full --first 300 --keep evaluation "
        "--json docs/results/evaluation.json --plots docs/results/plots",
    )
    add = parser.add_argument
    add("--full", action="store_true", help=f"every family: {FULL}")
    add(
        "--family",
        action="append",
        default=[],
        metavar="NAME=COUNT[@FIRST]",
        help=f"{', '.join(FAMILIES)}; @ for a first seed of its own",
    )
    add("--count", type=int, default=20, help="patients of the standard family (default 20)")
    add("--first", type=int, default=0, help="index of the first seed in its range")
    add("--split", choices=["test", "validation"], default="test")
    add(
        "--generator",
        choices=["first", "second"],
        default="first",
        help="second: on other principles, never trained on (validation seeds)",
    )
    add("--engine", default="auto")
    add("--json", default="-", help="file for figures and cases, - for the screen; a .md beside it")
    add("--plots", type=Path, metavar="DIR", help="scatter and Bland-Altman plots as SVG")
    add("--gallery", type=Path, metavar="DIR", help="pictures of the ten worst scans")
    add("--keep", type=Path, metavar="DIR", help="keep each scan's row and result, go on from it")
    return parser


def _chosen(args: argparse.Namespace) -> Sequence[Scan]:
    if args.generator == "second":
        first = next(iter(scans({"standard": 1}, args.first, "validation"))).seed
        return [Scan("standard", first + i, "second", "second") for i in range(args.count)]
    named = dict(x.split("=", 1) for x in args.family)
    unknown = sorted(set(named) - set(FAMILIES))
    if unknown:
        raise SystemExit(f"no family called {unknown[0]}; there are {', '.join(FAMILIES)}")
    if not any("@" in v for v in named.values()):
        counts = FULL if args.full else {k: int(v) for k, v in named.items()}
        return list(scans(counts or {"standard": args.count}, args.first, args.split))
    each = {k: v.partition("@") for k, v in named.items()}
    return [
        scan
        for family, (count, _, first) in each.items()
        for scan in scans({family: int(count)}, int(first or args.first), args.split)
    ]


def _rows(chosen: Sequence[Scan], engine: str, keep: Path | None) -> Any:
    """One row per scan; those kept from an earlier start are not measured again."""
    for scan in chosen:
        kept = keep / f"{scan.key}.json" if keep else None
        if kept and kept.is_file():
            row = json.loads(kept.read_text(encoding="utf-8"))
        else:
            row = evaluate_one(scan, engine, keep and result_path(keep, scan.key))
            if kept:
                _write(kept, json.dumps(row, default=_plain))
        print(_line(row), file=sys.stderr, flush=True)
        yield row


def _families(chosen: Sequence[Scan]) -> str:
    names = [s.family for s in chosen]
    counts = ", ".join(f"{n} {names.count(n)}" for n in dict.fromkeys(names))
    return f"{chosen[0].generator} generator, scans: {counts}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _line(row: dict[str, Any]) -> str:
    plaque = row["measured"]["plaque_mm3"]
    shown = "none" if plaque is None else f"{plaque:.0f}"
    return (
        f"{row['key']} {row['status']} plaque {shown} (true {row['truth']['plaque_mm3']:.0f}) "
        f"{row['seconds']} s {row['peak_mb']} MB {' '.join(row['reasons'])}"
    )
