"""Where the slices of one stack lie: order, gaps, doubles, tilt. Pure arithmetic.

Positions and orientations are DICOM's (x, y, z) in LPS millimetres (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.types import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_TILT_DEG = 0.26
"""Largest angle between slice normal and stacking direction; over a 150 mm heart it moves
a vessel by 0.7 mm, less than two pixels."""
SAME_POSITION_MM = 0.01
"""Two slices nearer than this lie at one position."""
GRID_TOLERANCE = 0.1
"""Largest distance of a slice from its even grid, in slice steps."""
ROUNDING_MM = 0.06
"""A slice may always be this far off: some scanners round positions to 0.1 mm."""
IN_PLANE_MM = 0.2
"""Largest sideways distance of a slice from the line through the others: half a pixel."""
_NEXT_EXPORT = "Export the whole series again from the scanner or the archive."


@dataclass(frozen=True, slots=True)
class Slice:
    """One image plane: a file's name, its first pixel's position and its direction cosines."""

    name: str
    position_mm: tuple[float, float, float]
    orientation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """Result of looking at all slices: their order from feet to head, step, and what is wrong."""

    order: tuple[int, ...]
    step_mm: float
    reasons: tuple[Reason, ...]


def examine(slices: Sequence[Slice], tilt_tag_deg: float = 0.0) -> Stack:
    """Order the slices of one stack and name everything that keeps it from being a volume.

    ``step_mm`` is the mean distance of neighbours (0 when there is one slice). Reasons have
    the codes GANTRY_TILT, NOT_AXIAL, SERIES_SLICE_DUPLICATE, SERIES_SLICE_MISSING and
    SERIES_SPACING_UNEVEN.
    """
    positions = np.array([s.position_mm for s in slices], dtype=np.float64)
    order = np.lexsort((np.arange(len(slices)), positions[:, 2]))
    ordered = positions[order]
    orientation = _orientation_reason(slices[0].orientation, ordered, tilt_tag_deg)
    reasons = [orientation] if orientation else []
    names = [slices[i].name for i in order]
    step = _typical_step(ordered[:, 2])
    if orientation is None or orientation.code == "GANTRY_TILT":
        reasons += _gap_reasons(ordered[:, 2], names, step)
        if not reasons and (drift := _drift_reason(ordered, step, names)):
            reasons.append(drift)
    mean_step = _mean_step(ordered[:, 2]) if not reasons else step
    return Stack(tuple(int(i) for i in order), mean_step, tuple(reasons))


def _typical_step(z: NDArray[np.float64]) -> float:
    steps = np.diff(z)
    steps = steps[steps > SAME_POSITION_MM]
    return float(np.median(steps)) if steps.size else 0.0


def _mean_step(z: NDArray[np.float64]) -> float:
    return float((z[-1] - z[0]) / (z.size - 1)) if z.size > 1 else 0.0


def _orientation_reason(
    orientation: tuple[float, ...], ordered: NDArray[np.float64], tilt_tag_deg: float
) -> Reason | None:
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    length = float(np.linalg.norm(normal))
    if length < 0.9:
        return Reason("NOT_AXIAL", "The slices have no valid orientation.", _NEXT_EXPORT)
    lean = _angle_deg(abs(float(normal[2])) / length)
    turn = max(_angle_deg(abs(float(row[0]))), _angle_deg(abs(float(column[1]))))
    travel = ordered[-1] - ordered[0]
    distance = float(np.linalg.norm(travel))
    shear = _angle_deg(abs(float(travel @ normal)) / (distance * length)) if distance > 1 else 0.0
    tilt = max(shear, abs(tilt_tag_deg) if lean <= MAX_TILT_DEG else 0.0)
    if tilt > MAX_TILT_DEG and lean < 45.0:
        return Reason(
            "GANTRY_TILT",
            f"The slices are tilted by {tilt:.1f} degrees against the direction they are stacked "
            f"in (limit {MAX_TILT_DEG} degrees).",
            "Reconstruct the scan without gantry tilt.",
        )
    if max(lean, turn) > MAX_TILT_DEG:
        return Reason(
            "NOT_AXIAL",
            f"The slices are not axial: they are turned by {max(lean, turn):.1f} degrees.",
            "Export the axial reconstruction.",
        )
    return None


def _angle_deg(cosine: float) -> float:
    return math.degrees(math.acos(min(1.0, cosine)))


def _gap_reasons(z: NDArray[np.float64], names: Sequence[str], step: float) -> list[Reason]:
    doubles, missing, uneven = [], [], []
    allowed = 2 * max(GRID_TOLERANCE, ROUNDING_MM / step if step else 0.0)
    for i, gap in enumerate(np.diff(z)):
        between = f"{names[i]} (z {z[i]:.2f} mm) and {names[i + 1]} (z {z[i + 1]:.2f} mm)"
        steps = gap / step if step else 0.0
        if gap <= SAME_POSITION_MM:
            doubles.append(f"{names[i]} and {names[i + 1]} at z {z[i]:.2f} mm")
        elif steps > 1.5 and abs(steps - round(steps)) <= allowed:
            where = ", ".join(f"{z[i] + k * step:.2f}" for k in range(1, min(round(steps), 6)))
            missing.append((round(steps) - 1, f"at z {where} mm, between {between}"))
        elif abs(steps - 1.0) > allowed:
            uneven.append(f"{gap:.2f} mm between {between}")
    reasons = []
    if doubles:
        reasons.append(
            _several(
                "SERIES_SLICE_DUPLICATE",
                "Different slices lie at one position",
                doubles,
                "Export one phase and one reconstruction only.",
            )
        )
    if missing:
        count = sum(number for number, _ in missing)
        lead = f"{count} slice{'s are' if count > 1 else ' is'} missing"
        reasons.append(
            _several("SERIES_SLICE_MISSING", lead, [t for _, t in missing], _NEXT_EXPORT)
        )
    if uneven:
        lead = f"The slices are not evenly spaced (usual step {step:.2f} mm)"
        reasons.append(_several("SERIES_SPACING_UNEVEN", lead, uneven, _NEXT_EXPORT))
    return reasons


def _several(code: str, lead: str, places: Sequence[str], next_step: str) -> Reason:
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return Reason(code, f"{lead}: {'; '.join(places[:3])}{more}.", next_step)


def _drift_reason(ordered: NDArray[np.float64], step: float, names: Sequence[str]) -> Reason | None:
    """Say which slice lies off the straight, even line through first and last."""
    count = len(ordered)
    if count < 3:
        return None
    # A fitted line, since first and last position are rounded like all the others.
    number = np.arange(count) - (count - 1) / 2
    slope = number @ ordered / (number @ number)
    line = ordered.mean(axis=0) + number[:, None] * slope
    off = np.abs(ordered - line)
    worst = int(np.argmax(off.max(axis=1)))
    if off[:, 2].max() <= max(GRID_TOLERANCE * step, ROUNDING_MM) and off.max() <= IN_PLANE_MM:
        return None
    return Reason(
        "SERIES_SPACING_UNEVEN",
        f"{names[worst]} (z {ordered[worst, 2]:.2f} mm) lies {off[worst].max():.2f} mm off the "
        f"even line through the slices.",
        _NEXT_EXPORT,
    )
