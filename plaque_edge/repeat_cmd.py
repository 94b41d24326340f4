"""``plaque-edge repeatability KEPT``: what a volume moves by between two scans of one heart.

This makes the table that ``plaque-edge compare`` judges changes against, from the pairs of the
family ``rescan`` that ``plaque-edge evaluate --keep KEPT`` has measured. Noise, point spread,
spacing, place and contrast differ between the two, plaque does not.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaque_edge.commands import writing
from plaque_edge.compare.change import compare
from plaque_edge.compare.repeatability import TABLE
from plaque_edge.compare.repeatability_fit import Measured, markdown, table_of
from plaque_edge.compare_cmd import read
from plaque_edge.errors import Refused
from plaque_edge.evaluate.kept import model_of, read_kept, result_path
from plaque_edge.export.result_json import write_json
from plaque_edge.phantom.scene import SPLITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.evaluate.kept import Row

EXAMPLE = """example:
  plaque-edge evaluate --split validation --family rescan=20 --first 500 --keep kept --json e.json
  plaque-edge repeatability kept --report docs/results/repeatability.md"""


def main(argv: list[str]) -> int:
    """Fit and write the table; 0 done, 2 refused."""
    parser = argparse.ArgumentParser(
        "plaque-edge repeatability",
        description="How far volumes move between two scans of one heart, from kept evaluations. "
        "Research use only, not a medical device.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kept", type=Path, metavar="KEPT", help="what evaluate --keep kept")
    parser.add_argument("--json", type=Path, default=TABLE, metavar="FILE", help="the table")
    parser.add_argument("--report", type=Path, metavar="FILE", help="the same for readers, .md")
    args = parser.parse_args(argv)
    rows = read_kept(args.kept, ["rescan"])
    measured, lost = measure(args.kept, rows)
    table = table_of(measured, model_of(rows), _source(rows, measured), lost)
    text = markdown(table)
    with writing():
        write_json(table, args.json)
        if args.report:
            args.report.parent.mkdir(parents=True, exist_ok=True)
            args.report.write_text(text, encoding="utf-8")
    print(text)
    return 0


def measure(kept: Path, rows: Sequence[Row]) -> tuple[list[Measured], dict[str, int]]:
    """Compare the two scans of every patient; count by code those that can't be.

    Raises ``Refused`` EVALUATION_ROWS where a result wasn't kept.
    """
    found, lost = [], Counter[str]()
    for seed in sorted({r["seed"] for r in rows}):
        keys = [r["key"] for p in ("test", "rescan") for r in rows
                if (r["seed"], r["preset"]) == (seed, p)]  # fmt: skip
        if len(keys) != 2:
            lost["EVALUATION_ROWS"] += 1
            continue
        paths = [result_path(kept, key) for key in keys]
        if not all(p.is_file() for p in paths):
            text = f"The results of patient {seed} were not kept beside their rows."
            raise Refused("EVALUATION_ROWS", text, "Remove the two rows and evaluate again.")
        try:
            data = compare(read(paths[0], keys[0]), read(paths[1], keys[1]), None)
        except Refused as error:
            lost[error.reason.code] += 1
            continue
        found.append(_volumes(seed, data))
    return found, dict(lost)


def _volumes(seed: int, data: dict[str, Any]) -> Measured:
    levels = {
        "patient": [data["patient"]],
        "vessel": [v for v in data["vessels"].values() if v],
        "segment": [s["changes"] for s in data["segments"]],
    }
    return Measured(seed, levels)


def _source(rows: Sequence[Row], measured: Sequence[Measured]) -> str:
    """Say what the table is made from; seeds tell the split."""
    seeds = sorted({r["seed"] for r in rows})
    split = next((name for name, own in SPLITS.items() if seeds[0] in own), "other")
    return (
        f"{len(measured)} phantoms scanned twice ({split} seeds {seeds[0]} to {seeds[-1]}), "
        f"not patients; networks {model_of(rows).get('version', 'unknown')}"
    )
