"""``plaque-edge evaluate-gate``: how often the quality gate is right, on phantoms.

Clean phantoms tell false warnings and refusals; phantoms that each break one rule tell what is
found. Vessels are the true ones, straightened from the scan, so that the figures are the
gate's alone; noise and contrast are measured in a true sphere of the root's blood. Only where
the heart lies is told by its network, since that is what QC_HEART_CUT rests on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

import plaque_edge
from engines import open_engine
from plaque_edge.errors import Refused
from plaque_edge.evaluate.gate_breaks import BREAKS, CLEAN, PLAIN, SIZE, Break
from plaque_edge.evaluate.gate_figures import figures, table
from plaque_edge.phantom.scene import VALIDATION_SEEDS, make_phantom, volume_offset
from plaque_edge.phantom.tissue import GRID_MM
from plaque_edge.quality import (
    Scene,
    check_artefacts,
    check_coverage,
    check_header,
    check_image,
    limiting,
    verdict,
)
from plaque_edge.segment.heart import find_heart
from plaque_edge.segment.network import Network
from plaque_edge.segment.straighten import (
    PIXEL_MM,
    STEP_MM,
    even_points,
    parallel_frames,
    sample_sections,
)
from plaque_edge.types import (
    VESSELS,
    CoronaryTree,
    QcCheck,
    Reason,
    SeriesFiles,
    StraightBranch,
    Volume,
    triple,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plaque_edge.phantom.scene import Phantom
    from plaque_edge.types import SeriesInfo


FIRST: Final = VALIDATION_SEEDS.start + 310_000
"""Limits were chosen on seeds outside 310,000 to 319,999 of the validation range."""
_MARGIN_MM: Final = 12.0
_HEART: Final = ("myocardium", "atrial wall", "rv", "ra", "la", "lv")


@dataclass(frozen=True, slots=True)
class _Scan:
    """A phantom's scan; how far main vessels moved and slabs stepped, mm; muscle cut, cm2."""

    info: SeriesInfo
    volume: Volume
    tree: CoronaryTree
    true: dict[str, float]


def main(argv: list[str]) -> int:
    """Evaluate; exit 0 when done."""
    parser = argparse.ArgumentParser(
        "plaque-edge evaluate-gate",
        epilog="example: plaque-edge evaluate-gate --keep gate --json quality_gate.json",
    )
    add = parser.add_argument
    add("--count", type=int, default=4, help="patients; each as every kind (default 4)")
    add("--first", type=int, default=0, help="index of the first patient")
    add("--kind", action="append", default=[], help=f"only: {', '.join((*CLEAN, *BREAKS))}")
    add("--keep", type=Path, metavar="DIR", help="keep each row there and go on from it")
    add("--json", type=Path, help="file for the figures")
    args = parser.parse_args(argv)
    kinds = {k: b for k, b in (CLEAN | BREAKS).items() if not args.kind or k in args.kind}
    if not kinds:
        parser.error(f"no kind called {args.kind[0]}")
    rows: list[dict[str, Any]] = []
    for row in _rows(kinds, range(FIRST + args.first, FIRST + args.first + args.count), args.keep):
        rows.append(row)
        print(_line(row), file=sys.stderr, flush=True)
    found = figures(rows)
    if args.json:
        data = {
            "command": "plaque-edge evaluate-gate " + " ".join(argv),
            "date": datetime.now(UTC).date().isoformat(),
            "version": plaque_edge.__version__,
            "seeds": [rows[0]["seed"], rows[-1]["seed"]],
            "figures": found,
            "cases": rows,
        }
        _write(args.json, data)
    print(table(found))
    return 0


def _rows(kinds: dict[str, Break], seeds: range, keep: Path | None) -> Iterator[dict[str, Any]]:
    """Judge every kind of every patient; what was kept from an earlier start is not made again.

    Kinds that only spoil an ordinary scan share it.
    """
    with open_engine("heart") as engine:
        network = Network(engine, "heart")
        for seed in seeds:
            plain: _Scan | None = None
            for name, kind in kinds.items():
                kept = keep / f"{name.replace(' ', '-')}-{seed}.json" if keep else None
                if kept and kept.is_file():
                    yield json.loads(kept.read_text(encoding="utf-8"))
                    continue
                ordinary = kind.wide == PLAIN and kind.burden_mm3 is None
                scan = plain if ordinary and plain is not None else _scan(seed, kind)
                plain = scan if ordinary else plain
                row = _row(name, kind, scan, network)
                row |= {"seed": seed, "made_as": "ordinary" if ordinary else name}
                if kept:
                    _write(kept, row)
                yield row


def _scan(seed: int, kind: Break) -> _Scan:
    made = make_phantom(seed, replace(SIZE, wide=kind.wide), kind.burden_mm3, truth=False)
    scene, tubes = made.patient.scene, made.patient.anatomy.tubes
    moved = [scene.shift[scene.tube == i] for i, t in enumerate(tubes) if t.name in VESSELS]
    steps = np.diff(made.slabs.shift_mm, axis=0)
    true = {
        "moved_mm": float(np.linalg.norm(np.concatenate(moved), axis=1).max()),
        "step_mm": float(np.linalg.norm(steps, axis=1).max()) if len(steps) else 0.0,
        "cut_cm2": cut_cm2(made),
    }
    # Phantoms draw their voltage by chance, without a trace in the image: 80 kV breaks a rule.
    info = replace(made.info, kvp=max(made.info.kvp or 0.0, 100.0))
    return _Scan(info, made.volume, made.tree, {k: round(v, 2) for k, v in true.items()})


def cut_cm2(made: Phantom) -> float:
    """Return muscle and blood of the drawn heart in the plane where the scan ends at the feet."""
    chest, offset = made.chest, volume_offset(made)
    inside = np.any([chest.field(name) < 0 for name in _HEART], axis=0)
    z_mm = made.volume.origin_zyx_mm[0] - offset[0] - chest.origin_mm[0]
    plane = min(max(round(z_mm / GRID_MM), 0), len(inside) - 1)
    return float(inside[plane].sum() * (GRID_MM / 10) ** 2)


def _row(name: str, kind: Break, scan: _Scan, heart: Network) -> dict[str, Any]:
    """Spoil a scan and judge it."""
    info, volume, tree = scan.info, scan.volume, scan.tree
    if kind.spoil is not None:
        info, volume = kind.spoil(info, volume, tree)
    checks, left_out, seconds = judge(info, volume, tree)
    checks = (*checks, _coverage(volume, heart))
    return {
        "kind": name,
        "verdict": verdict(checks),
        "limiting": [c.code for c in limiting(checks)],
        "left_out": left_out,
        "true": scan.true,
        "checks": {c.code: [c.level, c.value] for c in checks},
        "seconds": round(seconds, 3),
        "shape_zyx": list(volume.shape_zyx),
    }


def _coverage(volume: Volume, heart: Network) -> QcCheck:
    """Return QC_HEART_CUT, or the refusal of a scan in which no heart is found."""
    try:
        return check_coverage(find_heart(volume, heart).cut_cm2)
    except Refused as error:
        return QcCheck(error.reason.code, "refuse", None, "", error.reason.text)


def judge(
    info: SeriesInfo, volume: Volume, tree: CoronaryTree
) -> tuple[tuple[QcCheck, ...], list[str], float]:
    """Return the gate's lines, vessels it leaves out, and CPU seconds of looking at the image."""
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
    return (*check_header(series), *image, *found.checks), list(found.stented), seconds


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
    there = {b.vessel for b in tree.branches}
    return {v: Reason(f"{v}_NOT_FOUND", "It is not there.") for v in VESSELS if v not in there}


def _write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, indent=1, allow_nan=False)
    part = path.with_suffix(".part")
    part.write_text(text + "\n", encoding="utf-8")
    part.replace(path)


def _line(row: dict[str, Any]) -> str:
    told = [f"{c} {v[0]} {v[1]}" for c, v in row["checks"].items() if v[0] != "pass"]
    return f"{row['kind']} {row['seed']} {row['verdict']}: {'; '.join(told)}"
