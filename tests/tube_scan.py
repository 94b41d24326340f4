"""A scan of four straight tubes with known volumes, and a segmenter that knows them.

The pipeline, the service and the command line are tested on it without networks: everything
but the two networks is the real thing, and every volume has an analytic truth.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.phantom.dicom import WriteOptions, make_uid, write_series
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
    from pathlib import Path

SPACING = (0.75, 0.45, 0.45)
SHAPE = (124, 316, 316)
ORIGIN = (-50.0, -71.0, -71.0)
LUMEN_MM, WALL_MM, PLAQUE_MM = 1.5, 2.0, 2.75
"""Radii: lumen, outer wall of the healthy part, outer wall where there is plaque."""
LENGTHS = {"LM": 12.0, "LAD": 85.0, "LCX": 80.0, "RCA": 84.0, "D1": 70.0}
PLAQUE_FROM, PLAQUE_TO = 20.0, 40.0
PLACES = {"LM": (-20, -20), "LAD": (-20, 0), "D1": (-20, 20), "LCX": (20, 20), "RCA": (20, -20)}
STEP, PIXEL, SIDE = 0.5, 0.25, 48
MODEL = ModelInfo("tubes", "1", "0" * 64, "numpy", "fp64")


def plaque_mm3() -> float:
    """True plaque of the LAD: a ring between the wall's inner radius and the outer one."""
    return math.pi * (PLAQUE_MM**2 - LUMEN_MM**2) * (PLAQUE_TO - PLAQUE_FROM)


def info(name: str = "tubes", **changes: Any) -> SeriesInfo:
    base = SeriesInfo(
        study_instance_uid=make_uid("study", name), series_instance_uid=make_uid("series", name),
        frame_of_reference_uid=make_uid("frame", name), patient_id="P1", patient_name="Tube^Test",
        birth_date="19630512", sex="F", age_years=63.0, study_date="20260601", study_time="101500",
        series_description="CTA 0.75 Bv40 75 %", series_number=3, modality="CT", kvp=120.0,
        kernel="Bv40", slice_thickness_mm=0.75, phase_percent=75.0, contrast_agent="iodine",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    )  # fmt: skip
    return replace(base, **changes)


def make_volume(blood: float = 400.0) -> Volume:
    hu = np.full(SHAPE, 40.0, np.float32)
    grid = [o + s * np.arange(n) for o, s, n in zip(ORIGIN, SPACING, SHAPE, strict=True)]
    y, x = grid[1][:, None], grid[2][None, :]
    hu[:, y * y + x * x < 15.0**2] = blood
    for branch in tree().branches:
        z0, y0, x0 = branch.points_mm[0]
        rows = (grid[0] >= z0) & (grid[0] <= branch.points_mm[-1][0])
        hu[np.ix_(rows, *(np.arange(n) for n in SHAPE[1:]))] = np.where(
            (y - y0) ** 2 + (x - x0) ** 2 < LUMEN_MM**2, blood, hu[rows]
        )
    rng = np.random.default_rng(1)
    hu += rng.normal(0.0, 12.0, SHAPE).astype(np.float32)
    return Volume(hu.astype(np.int16), SPACING, ORIGIN)


def tree(missing: tuple[str, ...] = ()) -> CoronaryTree:
    branches = []
    for name, length in LENGTHS.items():
        if name in missing:
            continue
        z = -45.0 + np.arange(0.0, length + 1e-6, STEP)
        y, x = PLACES[name]
        points = np.stack([z, np.full_like(z, y), np.full_like(z, x)], 1)
        vessel: Any = "LAD" if name == "D1" else name
        branches.append(Branch(vessel, name, None, points, np.full(len(z), LUMEN_MM)))
    reasons: Any = {
        n: Reason("VESSEL_NOT_FOUND", f"{n} was not found.", "Look at it.") for n in missing
    }
    return CoronaryTree(tuple(branches), "right", reasons, (400.0, 12.0))


def straight(branch: Branch) -> StraightBranch:
    n = len(branch.points_mm)
    u, v = np.zeros((n, 3)), np.zeros((n, 3))
    u[:, 1] = v[:, 2] = 1.0
    offset = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL
    radius = np.hypot(offset[:, None], offset[None, :])
    along = np.arange(n) * STEP
    fractions = np.zeros((7, n, SIDE, SIDE), np.uint8)
    for i, s in enumerate(along):
        sick = branch.name == "LAD" and PLAQUE_FROM <= s < PLAQUE_TO
        outer = PLAQUE_MM if sick else WALL_MM
        lumen = np.clip((LUMEN_MM - radius) / PIXEL + 0.5, 0, 1)
        body = np.clip((outer - radius) / PIXEL + 0.5, 0, 1)
        fractions[2, i] = np.rint(255 * lumen)
        fractions[4 if sick else 3, i] = np.rint(255 * (body - lumen))
        fractions[0, i] = np.rint(255 * (1 - body))
    hu = np.zeros((n, SIDE, SIDE), np.float32)
    return StraightBranch(branch, branch.points_mm, u, v, STEP, PIXEL, fractions, hu)


@dataclass(frozen=True)
class Found:
    heart: HeartBox
    tree: CoronaryTree
    straight: tuple[StraightBranch, ...]
    model: ModelInfo


class Engines:
    def info(self) -> ModelInfo:
        return MODEL


def segmenter(missing: tuple[str, ...] = (), aorta: float = 400.0) -> Any:
    def run(volume: Volume, engines: Any, progress: Callable[[float], None] | None) -> Found:
        assert volume.hu.ndim == 3
        if progress is not None:
            progress(0.5)
        found = replace(tree(missing), aorta_hu=(aorta, 12.0))
        box = HeartBox((-48.0, -40.0, -40.0), (42.0, 40.0, 40.0), 600.0, 60.0, (aorta, 12.0), ())
        return Found(box, found, tuple(straight(b) for b in found.branches), MODEL)

    return run


def factory() -> tuple[Any, Any]:
    """For worker processes: ``tube_scan:factory``."""
    return Engines, segmenter()


def slow_factory() -> tuple[Any, Any]:
    inner = segmenter()

    def slow(volume: Volume, engines: Any, progress: Any) -> Found:
        time.sleep(3.0)
        return inner(volume, engines, progress)

    return Engines, slow


def killer_factory() -> tuple[Any, Any]:
    """A segmenter during which the process dies, as in a crash of native code."""

    def die(volume: Volume, engines: Any, progress: Any) -> Found:
        os._exit(9)

    return Engines, die


def write(
    folder: Path, name: str = "tubes", how: WriteOptions | None = None, **changes: Any
) -> list[Path]:
    return write_series(make_volume(), info(name, **changes), folder, how)
