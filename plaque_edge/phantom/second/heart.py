"""The second heart: a left and a right ventricle, and vessels in the grooves between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from plaque_edge.phantom.anatomy import STEP_MM, Tube, resample

if TYPE_CHECKING:
    from plaque_edge.types import VesselName

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heart:
    """Two ellipsoids about the long axis ``a``; ``r`` points to the right ventricle, ``u`` up.

    Lengths in mm, vectors (z, y, x). ``phi`` runs in degrees from ``r`` (0) over ``u`` (90).
    """

    a: Array
    r: Array
    u: Array
    lv_mm: Array
    rv_mm: Array
    rv_off_mm: float
    base_mm: float
    size: float
    dominance: str

    def at(self, a: float, r: float, u: float) -> Array:
        """Point by its coordinates along the three axes."""
        return a * self.a + r * self.r + u * self.u

    def radius(self, along: float, phi: float, right: bool) -> float:
        """How far from the axis one ventricle's surface lies; 0 where the ray misses it."""
        half, off = (self.rv_mm, self.rv_off_mm) if right else (self.lv_mm, 0.0)
        c, s = np.cos(np.deg2rad(phi)), np.sin(np.deg2rad(phi))
        qa = (c / half[1]) ** 2 + (s / half[2]) ** 2
        qb = -2 * c * off / half[1] ** 2
        qc = (off / half[1]) ** 2 + (along / half[0]) ** 2 - 1
        root = qb * qb - 4 * qa * qc
        return float(max(0.0, (-qb + np.sqrt(root)) / (2 * qa))) if root > 0 else 0.0

    def surface(self, along: float, phi: float, off_mm: float) -> Array:
        """Point ``off_mm`` outside of both ventricles."""
        out = max(self.radius(along, phi, True), self.radius(along, phi, False)) + off_mm
        c, s = np.cos(np.deg2rad(phi)), np.sin(np.deg2rad(phi))
        return self.at(along, out * c, out * s)

    def groove(self, along: float, front: bool) -> float:
        """``phi`` where the two ventricles meet: the interventricular groove."""
        angles = np.arange(20.0, 160.0, 2.0) * (1 if front else -1)
        for phi in angles:
            if self.radius(along, phi, False) > self.radius(along, phi, True):
                return float(phi)
        return float(angles[-1])


def draw_heart(rng: np.random.Generator) -> Heart:
    """Size, pose and dominance (right 75 %, left 15 %, balanced 10 %)."""
    a = _unit(np.array([-0.5, -0.58, 0.64]) + rng.normal(0, 0.07, 3))
    r = np.array([0.12, -0.7, -0.7]) + rng.normal(0, 0.07, 3)
    r = _unit(r - (r @ a) * a)
    u = np.cross(a, r)
    u = u * np.sign(u[0])
    size = rng.uniform(0.88, 1.15)
    return Heart(
        a,
        r,
        u,
        size * np.array([rng.uniform(56, 66), rng.uniform(29, 34), rng.uniform(29, 34)]),
        size * np.array([rng.uniform(50, 58), rng.uniform(28, 34), rng.uniform(32, 37)]),
        float(size * rng.uniform(19, 25)),
        float(-size * rng.uniform(22, 27)),
        float(size),
        str(rng.choice(["right", "left", "co"], p=[0.75, 0.15, 0.10])),
    )


def _unit(v: Array) -> Array:
    return np.asarray(v / np.linalg.norm(v))


@dataclass(frozen=True, slots=True)
class Root:
    """Ascending aorta: a line of points, every 1 mm from the annulus's underside, and radii."""

    points_mm: Array
    radius_mm: Array

    def ostium(self, target: Array, height_mm: float) -> tuple[Array, Array]:
        """Point on the wall that faces ``target`` at a height over the annulus, and outwards."""
        i = 10 + round(height_mm)
        axis = _unit(self.points_mm[i + 2] - self.points_mm[i - 2])
        way = target - self.points_mm[i]
        way = _unit(way - 0.85 * (way @ axis) * axis)
        return self.points_mm[i] + way * (self.radius_mm[i] - 0.8), way


def draw_root(heart: Heart, rng: np.random.Generator) -> Root:
    """Aortic root between the ventricles, with sinuses, and the ascending aorta."""
    k = heart.size
    annulus = heart.at(heart.base_mm - 2, rng.uniform(6, 10) * k, rng.uniform(2, 7) * k)
    way = _unit(np.array([0.95, rng.uniform(-0.2, 0.1), rng.uniform(-0.4, -0.15)]))
    below = annulus + 10 * _unit(0.6 * heart.a - 0.5 * way)
    knots = np.stack([below, annulus, annulus + 18 * k * way, annulus + 46 * k * way])
    knots = np.vstack([knots, knots[-1] + k * np.array([14.0, 14.0, 8.0])])
    points = _through(knots, 0.0, rng, 1.0)
    s = np.arange(len(points), dtype=float) - 10
    swell = rng.uniform(1.5, 3.5) * np.exp(-(((s - 11) / 6) ** 2))
    return Root(points, rng.uniform(11.5, 14.5) * k + swell - 2 * np.exp(-((s / 5) ** 2)))


def _through(knots: Array, walk_mm: float, rng: np.random.Generator, step_mm: float) -> Array:
    """Monotone cubic through knots plus a smoothed random walk that starts at zero."""
    s = np.r_[0, np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))]
    fine = np.linspace(0, s[-1], max(12, int(s[-1] * 4)))
    line = np.stack([PchipInterpolator(s, knots[:, k])(fine) for k in range(3)], 1)
    line = gaussian_filter1d(line, 10, axis=0, mode="nearest")
    line[0] = knots[0]
    walk = gaussian_filter1d(np.cumsum(rng.normal(size=line.shape), 0), 14, axis=0)
    walk = walk - walk[0] - np.linspace(0, 1, len(walk))[:, None] * (walk[-1] - walk[0])
    line = line + walk_mm * walk / max(1e-6, float(np.abs(walk).max()))
    return resample(line, step_mm)


class _Vessels:
    """Collects the tubes of one heart."""

    def __init__(self, heart: Heart, root: Root, rng: np.random.Generator) -> None:
        self.heart, self.root, self.rng = heart, root, rng
        self.tubes: list[Tube] = []
        self.winding_mm = float(rng.choice([0.5, 1.5, 3.0], p=[0.3, 0.5, 0.2]))
        self.depth_mm = rng.uniform(1.5, 4.0)

    def on(self, along: float, phi: float) -> Array:
        """Point on the epicardium at the patient's depth of fat."""
        return self.heart.surface(along, phi, self.depth_mm + self.rng.normal(0, 0.7))

    def add(
        self,
        name: str,
        vessel: VesselName | None,
        parent: int | None,
        knots: list[Array],
        first_mm: float,
        vein: bool = False,
    ) -> int:
        """Add a vessel that narrows with the root of what it still has to feed."""
        walk = self.winding_mm * (0.2 if name == "LM" else self.rng.uniform(0.4, 1.0))
        points = _through(np.array(knots), walk, self.rng, STEP_MM)
        goes_on = {"LM": 0.8, "RCA": 0.05 if self.heart.dominance == "left" else 0.4}
        left = np.linspace(1, goes_on.get(name, 0.0), len(points))
        radius = first_mm * (0.35 + 0.65 * left**0.6)
        bumps = gaussian_filter1d(self.rng.normal(size=len(points) + 200), 25)[100:-100]
        radius = radius * (1 + 0.25 * bumps)
        self.tubes.append(Tube(name, vessel, parent, points, radius.clip(0.6, 3.2), vein))
        return len(self.tubes) - 1

    def fork(self, tube: int, share: float) -> tuple[Array, float, float, float]:
        """Point of a tube at a share of its length, its radius there, and (along, phi)."""
        t = self.tubes[tube]
        i = round(share * (len(t.points_mm) - 1))
        p, h = t.points_mm[i], self.heart
        return (
            p,
            float(t.radius_mm[i]),
            float(p @ h.a),
            float(np.rad2deg(np.arctan2(p @ h.u, p @ h.r))),
        )


def draw_vessels(heart: Heart, root: Root, rng: np.random.Generator) -> tuple[Tube, ...]:
    """Arteries, parents first, then veins, in the heart's own coordinates (z, y, x) mm."""
    v = _Vessels(heart, root, rng)
    _left(v)
    _right(v)
    _veins(v)
    return tuple(v.tubes)


def _left(v: _Vessels) -> None:
    h, rng, tip = v.heart, v.rng, v.heart.lv_mm[0]
    front = h.groove(h.base_mm, True)
    fork = v.on(h.base_mm + 4, front + 6)
    start, way = v.root.ostium(fork, rng.uniform(11, 17))
    wide = rng.uniform(1.9, 2.4)
    lm = v.add("LM", "LM", None, [start, start + 3 * way, (start + fork) / 2 + way, fork], wide)
    fork = v.tubes[lm].points_mm[-1]
    alongs = np.linspace(h.base_mm + 14, tip * rng.uniform(0.75, 0.93), 7)
    down = [v.on(x, h.groove(x, True) + rng.normal(0, 4)) for x in alongs]
    lad = v.add("LAD", "LAD", lm, [fork, *down], wide * rng.uniform(0.78, 0.9))
    end = {"right": rng.uniform(170, 225), "co": rng.uniform(230, 250), "left": 272.0}[h.dominance]
    ring = [v.on(h.base_mm + rng.uniform(-2, 3), p) for p in np.arange(front + 20, end, 18.0)]
    lcx = v.add("LCX", "LCX", lm, [fork, *ring], wide * rng.uniform(0.68, 0.88))
    for i, share in enumerate(np.sort(rng.uniform(0.12, 0.55, int(rng.integers(1, 4))))):
        _branch(v, f"D{i + 1}", "LAD", lad, share, rng.uniform(25, 60), rng.uniform(25, 45))
    for i, share in enumerate(np.sort(rng.uniform(0.25, 0.85, int(rng.integers(1, 4))))):
        _branch(v, f"OM{i + 1}", "LCX", lcx, share, rng.uniform(-5, 25), rng.uniform(35, 65))
    if h.dominance == "left":
        _descend(v, "L-PDA", "LCX", lcx)


def _right(v: _Vessels) -> None:
    h, rng = v.heart, v.rng
    first = v.on(h.base_mm + 2, rng.uniform(38, 48))
    start, way = v.root.ostium(first, rng.uniform(11, 18))
    last = h.groove(h.base_mm, False) if h.dominance != "left" else rng.uniform(-45, -20)
    ring = [v.on(h.base_mm + rng.uniform(-2, 3), p) for p in np.arange(22.0, last, -16.0)]
    wide = rng.uniform(1.7, 2.3) * (0.75 if h.dominance == "left" else 1.0)
    knots = [start, start + 5 * way, first, *ring]
    rca = v.add("RCA", "RCA", None, knots, wide)
    if rng.random() < 0.7:
        _branch(v, "AM1", "RCA", rca, rng.uniform(0.35, 0.65), rng.uniform(-8, 8), 45.0)
    if h.dominance == "left":
        return
    _descend(v, "R-PDA", "RCA", rca)
    if h.dominance == "right":
        p, wide, along, phi = v.fork(rca, 0.97)
        knots = [p, *[v.on(along + x, phi - y) for x, y in ((3, 12), (12, 22), (28, 30))]]
        v.add("R-PLB", "RCA", rca, knots, wide * rng.uniform(0.7, 0.9))


def _descend(v: _Vessels, name: str, vessel: VesselName, parent: int) -> None:
    h = v.heart
    p, wide, along, _ = v.fork(parent, 0.97)
    alongs = np.linspace(along + 8, v.rng.uniform(25, 42) * h.size, 5)
    knots = [p, *[v.on(x, h.groove(x, False) + v.rng.normal(0, 3)) for x in alongs]]
    v.add(name, vessel, parent, knots, wide * v.rng.uniform(0.75, 0.95))


def _branch(
    v: _Vessels, name: str, vessel: VesselName, parent: int, share: float, turn: float, reach: float
) -> None:
    p, wide, along, phi = v.fork(parent, share)
    way = [(0.2, 0.35), (0.5, 0.7), (1.0, 1.0)]
    knots = [p, *[v.on(min(along + reach * x, 50 * v.heart.size), phi + turn * y) for x, y in way]]
    v.add(name, vessel, parent, knots, wide * v.rng.uniform(0.6, 0.85))


def _veins(v: _Vessels) -> None:
    h, rng = v.heart, v.rng
    front, side = h.groove(h.base_mm, True), rng.choice([-1, 1]) * rng.uniform(7, 12)
    down = [v.on(x, h.groove(x, True) + side) for x in np.linspace(32, h.base_mm + 8, 5) * h.size]
    ring = [v.on(h.base_mm - rng.uniform(2, 5), p) for p in np.arange(front + 26, 255, 20.0)]
    v.add("GCV", None, None, [*ring[::-1], *down[::-1]], rng.uniform(2.2, 3.0), vein=True)
    beside = rng.choice([-1, 1]) * rng.uniform(7, 12)
    knots = [v.on(x, h.groove(x, False) + beside) for x in np.linspace(h.base_mm + 2, 34, 5)]
    v.add("MCV", None, None, knots, rng.uniform(1.4, 2.0), vein=True)
    if rng.random() < 0.6:
        phi = rng.uniform(150, 220)
        knots = [v.on(x, phi) for x in np.linspace(h.base_mm + 3, 30, 4)]
        v.add("LMV", None, None, knots, 1.3, vein=True)


def moved(tubes: tuple[Tube, ...], by: Any) -> tuple[Tube, ...]:
    """Return the tubes shifted by a vector in mm."""
    return tuple(replace(t, points_mm=t.points_mm + by) for t in tubes)
