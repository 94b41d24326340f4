"""``plaque-edge calibrate-intervals``: from evaluated validation phantoms to the intervals' file.

The file lies beside the wall network's weights and is bound to the networks and their
calibration; with others it is not used.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaque_edge.commands import writing
from plaque_edge.errors import Refused
from plaque_edge.evaluate.intervals import GOAL, SHIPPED, fit_model, verdict
from plaque_edge.evaluate.kept import read_kept
from plaque_edge.evaluate.shares import share
from plaque_edge.export.result_json import write_json
from plaque_edge.quantify.intervals_file import to_dict
from plaque_edge.quantify.softness import PARTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.quantify.intervals import IntervalModel, SizeClass

EXAMPLE = """example:
  plaque-edge evaluate --split validation --full --first 300 --keep rows --json rows.json
  plaque-edge evaluate --generator second --count 20 --first 300 --keep rows --json second.json
  plaque-edge calibrate-intervals rows"""


def main(argv: Sequence[str]) -> int:
    """Fit and write the file; 0 done, 2 refused."""
    parser = argparse.ArgumentParser(
        "plaque-edge calibrate-intervals",
        description="Make the 95 % intervals of volumes from evaluated validation phantoms.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", type=Path, nargs="+", metavar="DIR", help="what --keep kept")
    parser.add_argument("--to", type=Path, default=SHIPPED, metavar="FILE", help="the file")
    args = parser.parse_args(argv)
    model = fit_model(read_rows(args.rows))
    with writing():
        write_json(to_dict(model), args.to)
    print("\n".join(summary(model)), file=sys.stderr)
    return 0


def read_rows(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Read the rows of one or several evaluations.

    Raises ``Refused`` INTERVALS_ROWS, EVALUATION_ROWS, EVALUATION_MIXED.
    """
    rows = [row for folder in folders for row in read_kept(folder)]
    old = [row["key"] for row in rows if "quality" not in row]
    if old:
        text = f"{len(old)} rows, such as {old[0]}, say nothing of the image's quality."
        raise Refused("INTERVALS_ROWS", text, "Evaluate anew with --keep by this version.")
    times = Counter((row["generator"], row["key"]) for row in rows)
    twice = [key for (_, key), n in times.items() if n > 1]
    if twice:
        text = f"{len(twice)} rows, such as {twice[0]}, are there twice."
        raise Refused("INTERVALS_ROWS", text, "Name each evaluation once.")
    return rows


def summary(model: IntervalModel) -> list[str]:
    """Lines per part and size class: the factor, what it rests on, and how often it held.

    Held is counted on the patients left out, one at a time.
    """
    goal = f"{100 * GOAL[0]:.0f} to {100 * GOAL[1]:.0f} %"
    lines = [
        f"{model.scans} scans. Of each size class: how many spreads a 95 % interval reaches to",
        f"each side, and how many truths of patients left out one at a time it held (goal {goal}).",
    ]
    for level, part in product(model.levels, PARTS):
        x = model.levels[level].get(part)
        if x is None:
            lines.append(f"{part.replace('_', ' ')} per {level}: too few, so no interval")
            continue
        lines.append(f"{part.replace('_', ' ')} per {level}")
        lines += [_class_line(c) for c in x.classes]
    return lines


def _class_line(c: SizeClass) -> str:
    held = share([k < c.held for k in range(c.rows)])
    size = "the rest" if c.below_mm3 == math.inf else f"below {c.below_mm3:g} mm3"
    return (
        f"  {size:<16} {c.factor:5.2f}  {c.rows:4d} volumes of {c.patients:3d} patients, held "
        f"{100 * held['value']:.0f} %: {verdict(held)}"
    )
