"""Pictures of the worst cases: cross-sections of CT, truth and measurement, and each lost lesion.

First generator only: its scene says what every cross-section truly holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

from plaque_edge.evaluate.case import make
from plaque_edge.phantom.render import straight_fractions
from plaque_edge.phantom.scene import Phantom, volume_offset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from plaque_edge.evaluate.families import Scan
    from plaque_edge.segment.run import Engines
    from plaque_edge.types import StraightBranch

PALETTE = np.array(
    [
        [0, 0, 0],
        [0, 0, 160],
        [200, 40, 40],
        [120, 120, 120],
        [250, 220, 0],
        [0, 220, 0],
        [255, 255, 255],
    ],
    float,
)
"""Colours of ``WALL_CLASSES``: other vessel blue, lumen red, wall grey, plaque yellow,
low attenuation green, calcium white."""
SHOWN, BRANCHES = 12, 3
LEAST_MM3 = 5.0


@dataclass(frozen=True, slots=True)
class Read:
    """One branch as measured, and what its cross-sections truly hold (same shape)."""

    straight: StraightBranch
    true: NDArray[np.uint8]
    tube: int

    @property
    def plaque_mm3(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Plaque per step (measured, true) as the network's own sum, without calibration."""
        size = self.straight.step_mm * self.straight.pixel_mm**2 / 255
        measured, true = (
            f[4:].sum((0, 2, 3), dtype=float) * size for f in (self.straight.fractions, self.true)
        )
        return measured, true


def draw_case(scan: Scan, engines: Engines, folder: Path) -> list[str]:
    """Write ``<key>.png`` of the branches with the largest error; return lines about lesions."""
    from plaque_edge.segment.run import segment

    phantom = make(scan)
    if not isinstance(phantom, Phantom):
        raise ValueError("only the first generator knows what a cross-section holds")
    found = segment(phantom.volume, engines)
    reads = [_read(s, phantom) for s in found.straight]
    wrong = sorted(reads, key=lambda r: -abs(float(np.subtract(*r.plaque_mm3).sum())))
    folder.mkdir(parents=True, exist_ok=True)
    picture = np.vstack([_rows(r) for r in wrong[:BRANCHES]]).astype(np.uint8)
    image = Image.fromarray(picture)
    image.resize((image.width * 2, image.height * 2)).save(
        folder / f"{scan.key}.png", optimize=True
    )
    return [line for r in wrong[:BRANCHES] for line in _lesions(r, phantom)]


def _read(straight: StraightBranch, phantom: Phantom) -> Read:
    """Count what the cross-sections of a measured branch truly hold."""
    offset, tubes = volume_offset(phantom), phantom.patient.anatomy.tubes
    away = {
        i: float(np.median(cKDTree(t.points_mm + offset).query(straight.centers_mm)[0]))
        for i, t in enumerate(tubes)
        if t.vessel is not None
    }
    tube = min(away, key=lambda i: away[i])
    true = np.zeros_like(straight.fractions)
    straight_fractions(
        phantom.patient.scene,
        tube,
        straight.centers_mm - offset,
        straight.u,
        straight.v,
        straight.pixel_mm,
        2,
        phantom.slabs.first_mm,
        phantom.slabs.shift_mm,
        true,
    )
    return Read(straight, true, tube)


def _rows(read: Read) -> NDArray[np.float64]:
    """CT, truth and measurement of cross-sections around the largest error of a branch."""
    measured, true = read.plaque_mm3
    n, middle = len(measured), int(np.argmax(np.abs(measured - true)))
    at = np.clip(np.linspace(middle - 18, middle + 18, SHOWN).astype(int), 0, n - 1)
    grey = np.clip((read.straight.hu[at] + 200) / 1000 * 255, 0, 255)
    rows = [np.hstack([np.repeat(x[..., None], 3, 2) for x in grey])]
    for f in (read.true, read.straight.fractions):
        rows.append(np.hstack([np.tensordot(f[:, i] / 255, PALETTE, (0, 0)) for i in at]))
    return np.vstack(rows)


def _lesions(read: Read, phantom: Phantom) -> list[str]:
    measured, true = read.plaque_mm3
    name = read.straight.branch.name
    out = [f"{name}: {measured.sum():.0f} of {true.sum():.0f} mm3"]
    arc = _true_arc(read, phantom)
    for x in phantom.patient.lesions:
        inside = (x.tube == read.tube) & (np.abs(arc - x.center_mm) <= x.half_mm)
        if true[inside].sum() < LEAST_MM3:
            continue
        out.append(
            f"  plaque of {2 * x.half_mm:.0f} mm, {x.peak_mm:.1f} mm thick, {x.hu:.0f} HU, "
            f"narrows by {100 * x.narrowing:.0f} %: "
            f"{measured[inside].sum():.0f} of {true[inside].sum():.0f} mm3"
        )
    return out


def _true_arc(read: Read, phantom: Phantom) -> NDArray[Any]:
    """Arc length along the true tube at each measured cross-section."""
    from plaque_edge.phantom.anatomy import STEP_MM

    line = phantom.patient.anatomy.tubes[read.tube].points_mm + volume_offset(phantom)
    _, nearest = cKDTree(line).query(read.straight.centers_mm)
    return np.asarray(nearest * STEP_MM)


def draw_worst(cases: Sequence[Scan], engine: str, folder: Path) -> None:
    """Draw every case and list its lesions in ``lesions.md``."""
    from plaque_edge.segment.run import Engines

    lines = ["# Worst cases, plaque by plaque", "Sums of the network's fractions, phantoms.", ""]
    with Engines(engine) as engines:
        for scan in cases:
            told = draw_case(scan, engines, folder)
            lines += [f"## {scan.key}", f"![{scan.key}]({scan.key}.png)", "```", *told, "```", ""]
    (folder / "lesions.md").write_text("\n".join(lines), encoding="utf-8")
