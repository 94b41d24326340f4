"""Scans of straight tubes with known volumes, and a segmenter that knows them.

What is around the two networks (reading, measuring, risk, store, export) runs on these as on
any scan, fast, and every volume has an analytic truth. Nothing here looks like a patient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.phantom.dicom import make_uid
from plaque_edge.segment.heart import HeartBox
from plaque_edge.types import (
    Branch,
    CoronaryTree,
    ModelInfo,
    Reason,
    SeriesInfo,
    StraightBranch,
    Volume,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LUMEN_MM, WALL_MM, PLAQUE_MM = 1.5, 2.0, 2.75
"""Radii: lumen, outer wall of the healthy part, outer wall where there is plaque."""
PLACES = {"LM": (-20, -20), "LAD": (-20, 0), "D1": (-20, 20), "LCX": (20, 20), "RCA": (20, -20)}
STEP, PIXEL, SIDE = 0.5, 0.25, 48
MODEL = ModelInfo("tubes", "1", "0" * 64, "numpy", "fp64")


@dataclass(frozen=True)
class Tubes:
    """One scan: five vessels along z in a heart of blood; the LAD has plaque over a stretch.

    Lengths in mm from the lower end; ``shape``, ``spacing_mm`` and ``origin_mm`` are (z, y, x).
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    lengths_mm: dict[str, float] = field(hash=False)
    plaque_from_mm: float
    plaque_to_mm: float
    blood_hu: float = 400.0

    def plaque_mm3(self) -> float:
        """Return the true plaque: a ring between the lumen and the outer wall."""
        long = self.plaque_to_mm - self.plaque_from_mm
        return math.pi * (PLAQUE_MM**2 - LUMEN_MM**2) * long

    def volume(self) -> Volume:
        """Return the scan, with noise."""
        hu = np.full(self.shape, 40.0, np.float32)
        axes = zip(self.origin_mm, self.spacing_mm, self.shape, strict=True)
        grid = [o + s * np.arange(n) for o, s, n in axes]
        y, x = grid[1][:, None], grid[2][None, :]
        hu[:, y * y + x * x < 15.0**2] = self.blood_hu
        for branch in self.tree().branches:
            z0, y0, x0 = branch.points_mm[0]
            rows = (grid[0] >= z0) & (grid[0] <= branch.points_mm[-1][0])
            hu[np.ix_(rows, *(np.arange(n) for n in self.shape[1:]))] = np.where(
                (y - y0) ** 2 + (x - x0) ** 2 < LUMEN_MM**2, self.blood_hu, hu[rows]
            )
        rng = np.random.default_rng(1)
        hu += rng.normal(0.0, 12.0, self.shape).astype(np.float32)
        return Volume(hu.astype(np.int16), self.spacing_mm, self.origin_mm)

    def tree(self, missing: tuple[str, ...] = ()) -> CoronaryTree:
        """Return the centerlines, without the ``missing`` vessels."""
        branches = []
        start = self.origin_mm[0] + 5.0
        for name, length in self.lengths_mm.items():
            if name in missing:
                continue
            z = start + np.arange(0.0, length + 1e-6, STEP)
            y, x = PLACES[name]
            points = np.stack([z, np.full_like(z, y), np.full_like(z, x)], 1)
            vessel: Any = "LAD" if name == "D1" else name
            branches.append(Branch(vessel, name, None, points, np.full(len(z), LUMEN_MM)))
        reasons: Any = {
            n: Reason("VESSEL_NOT_FOUND", f"{n} was not found.", "Look at it.") for n in missing
        }
        return CoronaryTree(tuple(branches), "right", reasons, (self.blood_hu, 12.0))

    def straight(self, branch: Branch) -> StraightBranch:
        """Return one straightened vessel with its true fractions."""
        n = len(branch.points_mm)
        u, v = np.zeros((n, 3)), np.zeros((n, 3))
        u[:, 1] = v[:, 2] = 1.0
        offset = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL
        radius = np.hypot(offset[:, None], offset[None, :])
        fractions = np.zeros((7, n, SIDE, SIDE), np.uint8)
        for i, s in enumerate(np.arange(n) * STEP):
            sick = branch.name == "LAD" and self.plaque_from_mm <= s < self.plaque_to_mm
            outer = PLAQUE_MM if sick else WALL_MM
            lumen = np.clip((LUMEN_MM - radius) / PIXEL + 0.5, 0, 1)
            body = np.clip((outer - radius) / PIXEL + 0.5, 0, 1)
            fractions[2, i] = np.rint(255 * lumen)
            fractions[4 if sick else 3, i] = np.rint(255 * (body - lumen))
            fractions[0, i] = np.rint(255 * (1 - body))
        hu = (40.0 + (self.blood_hu - 40.0) / 255 * fractions[2]).astype(np.float32)
        return StraightBranch(branch, branch.points_mm, u, v, STEP, PIXEL, fractions, hu)

    def found(self, missing: tuple[str, ...] = (), aorta: float | None = None) -> Found:
        """Return what the networks would have found."""
        blood = self.blood_hu if aorta is None else aorta
        tree = replace(self.tree(missing), aorta_hu=(blood, 12.0))
        low = (self.origin_mm[0] + 8.0, -40.0, -40.0)  # above where all tubes begin at once
        high = (-self.origin_mm[0] - 8.0, 40.0, 40.0)
        box = HeartBox(low, high, 600.0, 60.0, (blood, 12.0), {})
        return Found(box, tree, tuple(self.straight(b) for b in tree.branches), MODEL)


@dataclass(frozen=True)
class Found:
    """Heart, tree and read walls, as the pipeline's segment stop returns them."""

    heart: HeartBox
    tree: CoronaryTree
    straight: tuple[StraightBranch, ...]
    model: ModelInfo
    healthy_wall_mm: float | None = None


class Engines:
    """Opened engines of no network."""

    def info(self) -> ModelInfo:
        """Return who measured."""
        return MODEL


def header(name: str = "tubes", **changes: Any) -> SeriesInfo:
    """Return the header of a scan; ``name`` makes its UIDs."""
    base = SeriesInfo(
        study_instance_uid=make_uid("study", name), series_instance_uid=make_uid("series", name),
        frame_of_reference_uid=make_uid("frame", name), patient_id="P1", patient_name="Tube^Test",
        birth_date="19630512", sex="F", age_years=63.0, study_date="20260601", study_time="101500",
        series_description="CTA 0.75 Bv40 75 %", series_number=3, modality="CT", kvp=120.0,
        kernel="Bv40", slice_thickness_mm=0.75, phase_percent=75.0, contrast_agent="iodine",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    )  # fmt: skip
    return replace(base, **changes)


PATTERNS = 8
"""Different scans of :func:`small`: no two have the same plaque."""


def small(pattern: int) -> Tubes:
    """Return one of the small scans, that take about a second; its blood tells which it is."""
    lengths = {"LM": 12.0, "LAD": 55.0, "LCX": 50.0, "RCA": 54.0, "D1": 40.0}
    blood = 330.0 + 20.0 * pattern
    size, origin = (66, 168, 168), (-33.0, -50.4, -50.4)
    return Tubes(size, (1.0, 0.6, 0.6), origin, lengths, 10.0, 15.0 + 4 * pattern, blood)


def small_of(volume: Volume) -> Tubes:
    """Return which of the small scans a volume is, by its voxels alone."""
    z, y, x = (n // 2 for n in volume.hu.shape)
    blood = float(np.median(volume.hu[z - 10 : z + 10, y - 5 : y + 5, x - 5 : x + 5]))
    return small(round((blood - 330.0) / 20.0))


def factory() -> tuple[Any, Any]:
    """Return opener and segmenter for worker processes: ``plaque_edge.torture.tubes:factory``."""

    def segment(volume: Volume, engines: Any, progress: Callable[[float], None] | None) -> Found:
        if progress is not None:
            progress(0.5)
        return small_of(volume).found()

    return Engines, segment
