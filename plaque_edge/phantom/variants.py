"""What differs from the textbook heart: odd origins, bridges, tortuous vessels, big hearts.

In people a bridge is common on CT and an anomalous origin is rare (Villa et al. 2016,
doi 10.4329/wjr.v8.i6.537); here each is drawn as often as the preset says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Variant:
    """One heart's departures; the defaults are none."""

    scale: float = 1.0
    tortuous: float | None = None
    off_mm: float = 0.0
    """Added to the height of the arteries over the muscle; below 0 they lie on it, without fat."""
    bridge: tuple[float, float, float] | None = None
    """Middle of the LAD's course inside the muscle (fraction of its length), length mm, depth mm"""
    left: str = "usual"
    """``separate`` ostia of LAD and LCX, or ``lcx_right``: LCX from the right, behind the root."""
    right: str = "usual"
    """``left_cusp``: RCA from the left cusp, before the root; ``missing``: no RCA."""
    high_mm: tuple[float, float] = (0.0, 0.0)
    """How much higher than usual the left and the right ostium lie."""
    companion: bool = False
    """A vein runs in contact with an artery."""
    grafts: int = 0


def draw_variant(chance: float, missing: float, grafts: float, rng: np.random.Generator) -> Variant:
    """Draw one heart's variants, each with its own ``chance``."""

    def yes(factor: float = 1.0) -> bool:
        return bool(rng.random() < chance * factor)

    bridge = (rng.uniform(0.3, 0.65), rng.uniform(10, 30), rng.uniform(1.5, 5.0))
    high = (rng.uniform(6, 14) * yes(0.7), rng.uniform(6, 14) * yes(0.7))
    left = str(rng.choice(["separate", "lcx_right"])) if yes(1.3) else "usual"
    right = "left_cusp" if yes(0.7) else "usual"
    return Variant(
        scale=float(rng.uniform(1.12, 1.35)) if yes() else 1.0,
        tortuous=float(rng.uniform(2.2, 3.4)) if yes(1.2) else None,
        off_mm=float(rng.uniform(-3.0, -1.0)) if yes(1.5) else 0.0,
        bridge=bridge if yes(1.5) else None,
        left=left,
        right="missing" if rng.random() < missing else right,
        high_mm=high,
        companion=yes(2.0),
        grafts=int(rng.integers(1, 4)) if rng.random() < grafts else 0,
    )


def plateau(arc_mm: Array, middle_mm: float, length_mm: float, ramp_mm: float = 6.0) -> Array:
    """1 over ``length_mm`` round ``middle_mm``, falling to 0 as a cosine over ``ramp_mm``."""
    beyond = np.clip((np.abs(arc_mm - middle_mm) - length_mm / 2) / ramp_mm, 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * beyond))


def above_surface(points: Array, axes: tuple[Array, Array, Array], frame: Any) -> tuple[Any, Any]:
    """Height over the epicardial ellipsoid (mm, first order) and outward unit vectors.

    ``points`` are canonical ``(n, 3)``; ``axes`` are APEX, UP and LATERAL.
    """
    apex, up, lateral = axes
    shrink = np.sqrt(np.maximum(0.02, 1 - (points @ apex / frame.axis_mm) ** 2))
    u, v = points @ up, points @ lateral
    q = np.hypot(u / (frame.up_mm * shrink), v / (frame.lateral_mm * shrink))
    out = u[:, None] * up + v[:, None] * lateral
    r = np.linalg.norm(out, axis=1)
    return r * (1 - 1 / np.maximum(q, 1e-6)), out / np.maximum(r, 1e-6)[:, None]


def bury(
    points: Array, height: Array, outward: Array, arc_mm: Array, bridge: tuple[float, float, float]
) -> Array:
    """Press a course into the muscle so that it lies ``depth`` mm under the surface there."""
    middle, length, depth = bridge
    bump = plateau(arc_mm, middle * arc_mm[-1], length)
    return np.asarray(points - (bump * (height + depth))[:, None] * outward)


def around_root(
    start_way: Array, end_way: Array, axis: Array, behind: bool, steps: int = 7
) -> Array:
    """Return unit vectors round the aortic root from one direction to another, ``(steps, 3)``.

    The short way, or the long one when ``behind`` (retroaortic). ``axis`` is the root's.
    """
    a = start_way - (start_way @ axis) * axis
    a /= np.linalg.norm(a)
    b = np.cross(axis, a)
    angle = float(np.arctan2(end_way @ b, end_way @ a))
    if behind:
        angle -= np.sign(angle) * 2 * np.pi
    turn = np.linspace(0, angle, steps)[:, None]
    return np.asarray(np.cos(turn) * a + np.sin(turn) * b)


def keep_clear(points: Array, axis_mm: Array, radius_mm: Array, step_mm: float) -> Array:
    """Push a course out of the aortic root but for its first and last 5 mm.

    ``radius_mm`` is the least distance to each axis point, ``(m,)``.
    """
    _, nearest = cKDTree(axis_mm).query(points)
    away = points - axis_mm[nearest]
    distance = np.maximum(np.linalg.norm(away, axis=1), 1e-6)
    push = np.maximum(radius_mm[nearest] - distance, 0)
    s = np.arange(len(points)) * step_mm
    fade = np.clip((s - 5) / 5, 0, 1) * np.clip((s[-1] - s - 5) / 5, 0, 1)
    push = gaussian_filter1d(push * fade, 1.5 / step_mm, mode="nearest")
    return np.asarray(points + away * (push / distance)[:, None])


def beside(points: Array, sideways: Array, gap_mm: Array) -> Array:
    """Points beside a course, ``gap_mm`` (n,) along the unit vectors ``sideways`` (n, 3)."""
    return np.asarray(points + gap_mm[:, None] * sideways)
