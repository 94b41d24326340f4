"""``plaque-edge repeatability``: scan phantoms twice, measure both, fit what a volume moves by.

This makes the table that ``plaque-edge compare`` judges changes against. Both scans are of one
heart on one day: noise, point spread, spacing, place and contrast differ, plaque does not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import plaque_edge
from plaque_edge.analyze_process import analyze_command
from plaque_edge.compare.change import compare
from plaque_edge.compare.repeatability import TABLE, fit_sd
from plaque_edge.compare.study import COMPONENTS, read_study
from plaque_edge.errors import Failed, Refused
from plaque_edge.export.result_json import write_json
from plaque_edge.phantom.dicom import write_series
from plaque_edge.phantom.rescan import rescan
from plaque_edge.phantom.scene import VALIDATION_SEEDS

FIRST = 100
LEVELS = ("patient", "vessel", "segment")
Pairs = dict[str, dict[str, list[tuple[float, float]]]]


def main(argv: list[str]) -> int:
    """Measure and write the table; exit 1 when too few phantoms could be compared."""
    parser = argparse.ArgumentParser(
        "plaque-edge repeatability", epilog="example: plaque-edge repeatability --count 20"
    )
    parser.add_argument("--count", type=int, default=12, help="phantoms, each scanned twice")
    parser.add_argument("--first", type=int, default=FIRST, help="index of the validation seed")
    parser.add_argument("--json", type=Path, default=TABLE, metavar="FILE", help="the table")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="all pairs of volumes")
    args = parser.parse_args(argv)
    seeds = VALIDATION_SEEDS[args.first : args.first + args.count]
    pairs: Pairs = {level: {c: [] for c in COMPONENTS} for level in LEVELS}
    done: list[int] = []
    model: dict[str, Any] = {}
    for seed in seeds:
        try:
            data, model = scan_twice(seed)
        except Refused as error:
            print(f"{seed} {error}", file=sys.stderr, flush=True)
            continue
        done.append(seed)
        collect(data, pairs)
        p = data["patient"]["plaque_mm3"]
        print(f"{seed} plaque {p['before_mm3']:.0f} and {p['after_mm3']:.0f} mm3",
              file=sys.stderr, flush=True)  # fmt: skip
        if args.pairs:
            write_json({"seeds": done, "pairs": pairs}, args.pairs)
    if len(done) < 5:
        raise Failed(
            "REPEATABILITY_FEW", "Fewer than five phantoms could be compared.", "Use more."
        )
    write_json(table_of(pairs, done, model), args.json)
    return 0


def scan_twice(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compare two scans of one phantom, and say which networks measured. Raises ``Refused``."""
    results = []
    for which in (0, 1):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            scan = rescan(seed, which, truth=False)
            write_series(scan.volume, scan.info, folder / "dicom")
            out = folder / "result.json"
            command = analyze_command(folder / "dicom", out)
            subprocess.run(command, check=False, capture_output=True)
            results.append(json.loads(out.read_text(encoding="utf-8")))
    before, after = (read_study(r, str(seed)) for r in results)
    return compare(before, after, None), results[0]["software"]["model"]


def collect(data: dict[str, Any], pairs: Pairs) -> None:
    """Add one comparison's volumes to the pairs of every level."""
    levels = {
        "patient": [data["patient"]],
        "vessel": [v for v in data["vessels"].values() if v],
        "segment": [s["changes"] for s in data["segments"]],
    }
    for level, changes in levels.items():
        for one in changes:
            for c in COMPONENTS:
                pairs[level][c].append((one[c]["before_mm3"], one[c]["after_mm3"]))


def table_of(pairs: Pairs, seeds: list[int], model: dict[str, Any]) -> dict[str, Any]:
    """Fit every level and component."""
    return {
        "source": f"{len(seeds)} phantoms scanned twice (validation seeds {seeds[0]} to "
        f"{seeds[-1]}), not patients; wall networks {model.get('version', 'unknown')}",
        "date": date.today().isoformat(),
        "version": plaque_edge.__version__,
        "model_sha256": model.get("sha256", ""),
        "levels": {
            level: {c: fit_sd(found) for c, found in parts.items()}
            for level, parts in pairs.items()
        },
    }
