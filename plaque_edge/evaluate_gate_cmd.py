"""``plaque-edge evaluate-gate``: how often the quality gate is right, on phantoms.

Clean phantoms tell false warnings and refusals; phantoms that each break one rule tell what is
found. Vessels are the true ones, straightened from the scan, so that the figures are the
gate's alone; noise and contrast are measured in a true sphere of the root's blood.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

import plaque_edge
from plaque_edge.phantom.presets import PRESETS, Wide
from plaque_edge.phantom.scene import VALIDATION_SEEDS, make_phantom
from plaque_edge.quality import Scene, check_artefacts, check_header, check_image, verdict
from plaque_edge.segment.straighten import (
    PIXEL_MM,
    STEP_MM,
    even_points,
    parallel_frames,
    sample_sections,
)
from plaque_edge.types import CoronaryTree, QcCheck, SeriesFiles, StraightBranch, Volume, triple

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaque_edge.types import SeriesInfo

NOTE: Final = "Measured on synthetic phantoms with their true vessels, not on patients."
FIRST: Final = VALIDATION_SEEDS.start + 300_000
_SIZE: Final = replace(PRESETS["test"], matrix=400, pixel_mm=(0.4, 0.45), slice_mm=(0.5, 0.7))
_CLEAN: Final = Wide(blood_hu=(320.0, 490.0))
_MARGIN_MM: Final = 12.0


@dataclass(frozen=True, slots=True)
class Break:
    """How a phantom breaks a rule: the code that must speak, the phantom, and what is done to it.

    ``spoil`` turns header and scan into worse ones.
    """

    code: str
    wide: Wide = _CLEAN
    spoil: Callable[[SeriesInfo, Volume], tuple[SeriesInfo, Volume]] | None = None


def _header(**changes: Any) -> Callable[[SeriesInfo, Volume], tuple[SeriesInfo, Volume]]:
    return lambda info, volume: (replace(info, **changes), volume)


def _thinned(info: SeriesInfo, volume: Volume) -> tuple[SeriesInfo, Volume]:
    """Keep every third slice: 1.5 to 2.1 mm apart."""
    dz, dy, dx = volume.spacing_zyx_mm
    return info, Volume(volume.hu[::3].copy(), (3 * dz, dy, dx), volume.origin_zyx_mm)


def _halved(info: SeriesInfo, volume: Volume) -> tuple[SeriesInfo, Volume]:
    """Keep every second pixel: 0.8 to 0.9 mm wide."""
    dz, dy, dx = volume.spacing_zyx_mm
    hu = np.ascontiguousarray(volume.hu[:, ::2, ::2])
    return info, Volume(hu, (dz, 2 * dy, 2 * dx), volume.origin_zyx_mm)


def _cropped(info: SeriesInfo, volume: Volume) -> tuple[SeriesInfo, Volume]:
    """Keep the lowest 55 mm."""
    slices = round(55.0 / volume.spacing_zyx_mm[0])
    return info, replace(volume, hu=volume.hu[:slices].copy())


def _narrow(info: SeriesInfo, volume: Volume) -> tuple[SeriesInfo, Volume]:
    """Keep a field of 90 mm round the middle."""
    dz, dy, dx = volume.spacing_zyx_mm
    half = round(45.0 / dx)
    row, column = (n // 2 for n in volume.shape_zyx[1:])
    z, y, x = volume.origin_zyx_mm
    hu = volume.hu[:, row - half : row + half, column - half : column + half].copy()
    return info, Volume(hu, (dz, dy, dx), (z, y + (row - half) * dy, x + (column - half) * dx))


BREAKS: Final[dict[str, Break]] = {
    "spacing": Break("QC_SPACING", spoil=_thinned),
    "thickness": Break("QC_THICKNESS", spoil=_header(slice_thickness_mm=1.5)),
    "pixel": Break("QC_PIXEL", spoil=_halved),
    "field of view": Break("QC_FIELD", spoil=_narrow),
    "length": Break("QC_COVERAGE", spoil=_cropped),
    "lung kernel": Break("QC_KERNEL", spoil=_header(kernel="Bl64")),
    "tube voltage": Break("QC_KVP", spoil=_header(kvp=60.0)),
    "no phase": Break("QC_PHASE", spoil=_header(phase_percent=None, series_description="CTA")),
    "low contrast": Break("QC_CONTRAST", Wide(blood_hu=(120.0, 190.0))),
    "noise": Break("QC_NOISE", Wide(blood_hu=(320.0, 490.0), noise_hu=(55.0, 75.0))),
    "steps 1-3 mm": Break("QC_STEPS", replace(_CLEAN, steps=1.0, step_mm=(1.0, 3.0))),
    "motion 1-2.5 mm": Break("QC_MOTION", replace(_CLEAN, motion=1.0, motion_mm=(1.0, 2.5))),
    "stent": Break("QC_STENT", replace(_CLEAN, stent=1.0, hardening=1.0)),
    "bypass": Break("QC_GRAFT", replace(_CLEAN, graft=1.0, hardening=1.0)),
    "pacing lead": Break("QC_METAL", replace(_CLEAN, lead=1.0, hardening=1.0)),
    "no right artery": Break("QC_TREE_VESSELS", replace(_CLEAN, missing=1.0)),
}
"""Rules and the phantom that breaks each."""


def main(argv: list[str]) -> int:
    """Evaluate; exit 0 when done."""
    parser = argparse.ArgumentParser(
        "plaque-edge evaluate-gate",
        epilog="example: plaque-edge evaluate-gate --json docs/results/quality_gate.json",
    )
    parser.add_argument("--clean", type=int, default=20, help="clean phantoms (default 20)")
    parser.add_argument("--broken", type=int, default=5, help="phantoms of each break (default 5)")
    parser.add_argument("--json", default="-", help="file for the figures, - for the screen")
    args = parser.parse_args(argv)
    rows = []
    for seed in range(FIRST, FIRST + args.clean):
        rows.append(_row("clean", seed, Break("")))
        _say(rows[-1])
        _write(rows, args.json)
    scanned: dict[int, tuple[SeriesInfo, Volume, CoronaryTree]] = {}
    for number in range(args.broken):
        for name, broken in BREAKS.items():
            seed = FIRST + 1000 + number
            rows.append(_row(name, seed, broken, scanned))
            _say(rows[-1])
        scanned.clear()
        _write(rows, args.json)
    print(table(summary(rows)), file=sys.stderr)
    return 0


def _row(
    name: str,
    seed: int,
    broken: Break,
    scanned: dict[int, tuple[SeriesInfo, Volume, CoronaryTree]] | None = None,
) -> dict[str, Any]:
    """Scan one phantom, spoil it, and judge it; a clean scan is kept for the next break."""
    plain = broken.wide == _CLEAN
    made = scanned.get(seed) if plain and scanned is not None else None
    if made is None:
        phantom = make_phantom(seed, replace(_SIZE, wide=broken.wide), truth=False)
        made = phantom.info, phantom.volume, phantom.tree
        if plain and scanned is not None:
            scanned[seed] = made
    info, volume, tree = made
    if broken.spoil is not None:
        info, volume = broken.spoil(info, volume)
    checks, seconds = judge(info, volume, tree)
    return {
        "break": name,
        "code": broken.code,
        "seed": seed,
        "verdict": verdict(checks),
        "checks": {c.code: [c.level, c.value] for c in checks},
        "seconds": round(seconds, 3),
        "shape_zyx": list(volume.shape_zyx),
    }


def judge(
    info: SeriesInfo, volume: Volume, tree: CoronaryTree
) -> tuple[tuple[QcCheck, ...], float]:
    """Return every line of the gate, and the CPU seconds of those that look at the image."""
    series = SeriesFiles(info, (), volume.shape_zyx, volume.spacing_zyx_mm)
    points = np.concatenate([b.points_mm for b in tree.branches])
    mean, noise = tree.aorta_hu or _root(volume, tree)
    low, high = points.min(0) - _MARGIN_MM, points.max(0) + _MARGIN_MM
    scene = Scene(triple(low), triple(high), straightened(volume, tree), max(mean, 1.0))
    began = time.process_time()
    found = check_artefacts(volume, scene)
    seconds = time.process_time() - began
    named = replace(tree, missing=_absent(tree))
    image = check_image(volume, named, (mean, noise))
    return (*check_header(series), *image, *found.checks), seconds


def straightened(volume: Volume, tree: CoronaryTree) -> tuple[StraightBranch, ...]:
    """Straighten the true vessels as the wall network's input is; without its fractions."""
    out = []
    for branch in tree.branches:
        points = even_points(branch.points_mm)
        if len(points) < 12:
            continue
        _, u, v = parallel_frames(points)
        hu = sample_sections(volume.hu, volume.origin_zyx_mm, volume.spacing_zyx_mm, points, u, v)
        nothing = np.zeros((7, 0, 0, 0), np.uint8)
        out.append(StraightBranch(branch, points, u, v, STEP_MM, PIXEL_MM, nothing, hu))
    return tuple(out)


def _root(volume: Volume, tree: CoronaryTree) -> tuple[float, float]:
    """Mean and SD in small squares of the brightest even blood at the height of the ostia."""
    roots = np.array([b.points_mm[0] for b in tree.branches if b.parent is None])
    middle = np.round(volume.to_index(roots.mean(0))).astype(int)
    z, y, x = (int(np.clip(m, 12, n - 13)) for m, n in zip(middle, volume.shape_zyx, strict=True))
    part = volume.hu[z - 3 : z + 4, y - 8 : y + 9, x - 8 : x + 9].astype(float)
    return float(np.median(part)), float(np.median([s[4:13, 4:13].std() for s in part]))


def _absent(tree: CoronaryTree) -> dict[Any, Any]:
    from plaque_edge.types import VESSELS, Reason

    there = {b.vessel for b in tree.branches}
    return {v: Reason(f"{v}_NOT_FOUND", "It is not there.") for v in VESSELS if v not in there}


# ---- figures --------------------------------------------------------------------------------


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Count false warnings and refusals on clean phantoms, and what was found on broken ones."""
    clean = [r for r in rows if r["break"] == "clean"]
    warned: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for row in clean:
        warned.update(code for code, (level, _) in row["checks"].items() if level == "warn")
        refused.update(code for code, (level, _) in row["checks"].items() if level == "refuse")
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row["break"] != "clean":
            level = row["checks"].get(row["code"], ["pass", None])[0]
            found[row["break"]][level] += 1
    seconds = [r["seconds"] for r in rows[1:]]
    return {
        "note": NOTE,
        "clean": len(clean),
        "clean_refused": sum(r["verdict"] == "non_diagnostic" for r in clean),
        "clean_limited": sum(r["verdict"] == "limited" for r in clean),
        "clean_warned_by": dict(warned),
        "clean_refused_by": dict(refused),
        "broken": {
            name: {"code": BREAKS[name].code, "of": count.total(), **count}
            for name, count in found.items()
        },
        "image_cpu_seconds_median": float(np.median(seconds)) if seconds else None,
        "image_cpu_seconds_max": max(seconds, default=None),
    }


def table(figures: dict[str, Any]) -> str:
    """Write the figures as Markdown."""
    lines = [
        f"{figures['clean']} clean phantoms: {figures['clean_refused']} refused, "
        f"{figures['clean_limited']} limited; warnings by {figures['clean_warned_by'] or 'none'}.",
        "",
        "| break | line | refused | warned | passed |",
        "|---|---|---|---|---|",
    ]
    for name, count in figures["broken"].items():
        levels = " | ".join(str(count.get(k, 0)) for k in ("refuse", "warn", "pass"))
        lines.append(f"| {name} | {count['code']} | {levels} |")
    return "\n".join(lines)


def _write(rows: list[dict[str, Any]], target: str) -> None:
    data = {
        "date": datetime.now(UTC).date().isoformat(),
        "version": plaque_edge.__version__,
        "first_seed": FIRST,
        "figures": summary(rows),
        "cases": rows,
    }
    text = json.dumps(data, indent=1, allow_nan=False)
    if target != "-":
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(text + "\n", encoding="utf-8")


def _say(row: dict[str, Any]) -> None:
    told = [f"{c} {v[0]} {v[1]}" for c, v in row["checks"].items() if v[0] != "pass"]
    print(f"{row['break']} {row['seed']} {row['verdict']}: {'; '.join(told)}", file=sys.stderr)
