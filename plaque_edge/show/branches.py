"""The measured branches as the viewer needs them: course, areas, contours, plaque per step.

Everything comes from what quantify measured, so that a curve on the screen and the number
beside it are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.quantify import sections
from plaque_edge.quantify.pack import MAX_EXCESS_MM

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from plaque_edge.quantify.measures import Mapped

_PER_STEP = ("centers_mm", "u", "v", "area_mm2", "plaque_mm3", "lumen_mm", "wall_mm")
_CNL = (4, 2, 3)
"""Columns of a profile's volumes in the order C, N, L."""


@dataclass(frozen=True, slots=True)
class BranchView:
    """One branch of n cross-sections, ``step_mm`` apart, from its origin to its end.

    ``centers_mm, u, v`` ``(n, 3)`` are (z, y, x): centre and the two axes of each section.
    ``area_mm2`` ``(n, 2)``: lumen and outer wall. ``plaque_mm3`` ``(n, 3)``: calcified,
    non-calcified without its low part, low attenuation; what the result counts, so zero
    outside lesions. ``lumen_mm, wall_mm`` ``(n, A)``: the contours as radii in A directions
    from ``u`` towards ``v``.
    """

    vessel: str
    name: str
    step_mm: float
    centers_mm: NDArray[np.float64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]
    area_mm2: NDArray[np.float64]
    plaque_mm3: NDArray[np.float64]
    lumen_mm: NDArray[np.float64]
    wall_mm: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.centers_mm)

    @property
    def length_mm(self) -> float:
        """Arc length of the whole branch in mm."""
        return (len(self) - 1) * self.step_mm


def of_mapped(mapped: Mapped) -> tuple[BranchView, ...]:
    """Turn what quantify measured into views, in its own order of branches."""
    return tuple(of_branch(mapped, at) for at in range(len(mapped.profiles)))


def of_branch(mapped: Mapped, at: int) -> BranchView:
    """Return the view of one branch of what quantify measured."""
    profile, inside = mapped.profiles[at], mapped.gated[at]
    item = profile.item
    radius = mapped.packed.tree.radius[mapped.packed.steps(at)][:, None]
    lumen = item.fractions[2].astype(np.float32) / np.float32(255)
    whole = sections.inside_wall(np.ascontiguousarray(item.fractions))
    wall_mm = np.minimum(sections.ray_lengths(whole, item.pixel_mm), radius + MAX_EXCESS_MM)
    lumen_mm = np.minimum(sections.ray_lengths(lumen, item.pixel_mm), wall_mm)
    return BranchView(
        item.branch.vessel,
        item.branch.name,
        item.step_mm,
        item.centers_mm,
        item.u,
        item.v,
        profile.area_mm2,
        profile.volume_mm3[:, _CNL] * inside[:, None],
        lumen_mm,
        wall_mm,
    )


def write_branches(branches: Sequence[BranchView], path: Path) -> None:
    """Write the branches end to end into one ``.npz`` of a few hundred kilobytes."""
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(b, name) for b in branches]).astype(np.float32)
        for name in _PER_STEP
        if branches
    }
    np.savez(
        path,
        vessel=np.array([b.vessel for b in branches], "U8"),
        name=np.array([b.name for b in branches], "U16"),
        step_mm=np.array([b.step_mm for b in branches]),
        steps=np.array([len(b) for b in branches], np.int64),
        **joined,
    )


def read_branches(path: Path) -> tuple[BranchView, ...]:
    """Read what :func:`write_branches` wrote. Raises OSError, ValueError or KeyError."""
    with np.load(path, allow_pickle=False) as file:
        ends = np.cumsum(file["steps"])
        parts = {
            name: np.split(file[name].astype(np.float64), ends[:-1])
            for name in _PER_STEP
            if len(ends)
        }
        return tuple(
            BranchView(
                str(file["vessel"][i]),
                str(file["name"][i]),
                float(file["step_mm"][i]),
                **{name: parts[name][i] for name in _PER_STEP},
            )
            for i in range(len(ends))
        )


def nearest(
    branches: Sequence[BranchView], point_mm: tuple[float, float, float], reach_mm: float
) -> tuple[int, int] | None:
    """Return (branch, step) of the cross-section nearest to a point, within ``reach_mm``."""
    best: tuple[float, int, int] | None = None
    for at, branch in enumerate(branches):
        distance = np.linalg.norm(branch.centers_mm - point_mm, axis=1)
        step = int(distance.argmin())
        if best is None or distance[step] < best[0]:
            best = (float(distance[step]), at, step)
    return None if best is None or best[0] > reach_mm else (best[1], best[2])


def contour(radii_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points ``(A, 2)`` in mm along (u, v) of one contour given as radii ``(A,)``."""
    angle = 2.0 * np.pi * np.arange(len(radii_mm)) / len(radii_mm)
    return np.stack([radii_mm * np.cos(angle), radii_mm * np.sin(angle)], axis=1)
