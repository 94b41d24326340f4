"""Where the vessels of a synthetic heart run: centerlines, radii and names.

The heart is an ellipsoid with a long axis from base to apex. Its surface has two
coordinates: ``t`` in mm from the base plane towards the apex, and the azimuth ``phi`` in
degrees round the long axis (0 up, 90 to the left and back, 180 down, -90 to the right and
front). The atrioventricular groove is the ring ``t = 0``; the interventricular grooves are
meridians. Coronary arteries and cardiac veins are curves on that surface, as in textbooks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from plaque_edge.phantom.variants import (
    Variant,
    above_surface,
    around_root,
    beside,
    bury,
    keep_clear,
    plateau,
)

if TYPE_CHECKING:
    from plaque_edge.types import VesselName

Array = NDArray[np.float64]
STEP_MM = 0.25
"""Distance of centerline samples; fine enough that projecting on the nearest tangent is exact."""

APEX = np.array([-0.47, -0.60, 0.65]) / np.linalg.norm([-0.47, -0.60, 0.65])
UP = np.array([0.883, -0.319, 0.345])
UP = (UP - (UP @ APEX) * APEX) / np.linalg.norm(UP - (UP @ APEX) * APEX)
LATERAL = np.array([0.0, 0.736, 0.68]) / np.linalg.norm([0.0, 0.736, 0.68])


@dataclass(frozen=True, slots=True)
class HeartFrame:
    """Size and pose of one heart; points are (z, y, x) mm."""

    axis_mm: float
    up_mm: float
    lateral_mm: float
    rotation: Array
    center_mm: Array

    def to_patient(self, canonical: Array) -> Array:
        """Rotate and move canonical points ``(..., 3)`` to the patient."""
        return canonical @ self.rotation.T + self.center_mm

    def to_canonical(self, points: Array) -> Array:
        """Inverse of :meth:`to_patient`."""
        return (points - self.center_mm) @ self.rotation

    def surface(self, t: float, phi_deg: float, off_mm: float) -> Array:
        """Canonical point ``off_mm`` outside the epicardial surface."""
        shrink = np.sqrt(max(0.02, 1 - (t / self.axis_mm) ** 2))
        phi = np.deg2rad(phi_deg)
        up = (self.up_mm * shrink + off_mm) * np.cos(phi)
        lateral = (self.lateral_mm * shrink + off_mm) * np.sin(phi)
        return np.asarray(t * APEX + up * UP + lateral * LATERAL)


@dataclass(frozen=True, slots=True)
class Tube:
    """One vessel: points every 0.25 mm ``(n, 3)`` and healthy lumen radius ``(n,)`` in mm."""

    name: str
    vessel: VesselName | None
    parent: int | None
    points_mm: Array
    radius_mm: Array
    vein: bool = False
    """A vein or a graft: no coronary artery."""
    buried_mm: tuple[float, float] | None = None
    """Arc lengths between which the vessel runs inside the muscle."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """All tubes of one heart (arteries first, parents before children) and the aortic root."""

    frame: HeartFrame
    tubes: tuple[Tube, ...]
    dominance: str
    root_mm: Array
    root_radius_mm: Array


def smooth_curve(controls: list[Array], wiggle_mm: float, rng: np.random.Generator) -> Array:
    """Cubic spline through control points with smooth sideways tortuosity, every 0.25 mm."""
    points = np.array(controls)
    chord = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    keep = np.r_[True, np.diff(chord) > 0.5]
    points, chord = points[keep], chord[keep]
    dense = CubicSpline(chord, points)(np.linspace(0, chord[-1], max(8, int(chord[-1] * 4))))
    dense = resample(dense, STEP_MM)
    return resample(dense + _wiggle(len(dense), wiggle_mm, rng), STEP_MM)


def _wiggle(n: int, amplitude_mm: float, rng: np.random.Generator) -> Array:
    s = np.arange(n) * STEP_MM
    out = np.zeros((n, 3))
    for _ in range(3):
        wave = rng.uniform(14, 45)
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        phase = rng.uniform(0, 2 * np.pi)
        out += direction * (np.sin(2 * np.pi * s / wave + phase) - np.sin(phase))[:, None] / 2
    fade = np.clip(s / 12, 0, 1)[:, None]
    return np.asarray(out * fade * amplitude_mm)


def resample(points: Array, step_mm: float) -> Array:
    """Points at equal arc length ``step_mm`` along a polyline."""
    s = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    even = np.arange(0, s[-1], step_mm)
    return np.stack([np.interp(even, s, points[:, k]) for k in range(3)], axis=1)


def _rotation(rng: np.random.Generator, spread_deg: float) -> Array:
    a, b, c = np.deg2rad(rng.normal(0, spread_deg, 3).clip(-2 * spread_deg, 2 * spread_deg))
    rz = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    rx = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(rz @ ry @ rx)


class _Builder:
    """Collects tubes of one heart; every method adds one vessel in canonical coordinates."""

    def __init__(self, rng: np.random.Generator, variant: Variant) -> None:
        self.rng, self.variant = rng, variant
        size = rng.uniform(0.85, 1.2) * variant.scale
        self.frame = HeartFrame(
            axis_mm=rng.uniform(80, 95) * size,
            up_mm=rng.uniform(36, 44) * size,
            lateral_mm=rng.uniform(42, 52) * size,
            rotation=_rotation(rng, 9),
            center_mm=rng.normal(0, 3, 3),
        )
        self.size = size
        self.caliber = rng.uniform(0.8, 1.15)
        self.tortuous = rng.choice([0.4, 1.0, 2.0], p=[0.4, 0.4, 0.2])
        if variant.tortuous is not None:
            self.tortuous = variant.tortuous
        self.ant = rng.uniform(16, 38)
        self.inf = rng.uniform(180, 200)
        self.tubes: list[Tube] = []
        self.root, self.root_radius = self._make_root()

    def _make_root(self) -> tuple[Array, Array]:
        rng, k = self.rng, self.size
        annulus = -8 * APEX + 16 * k * UP + 4 * LATERAL
        lvot = 6 * APEX + 5 * UP + 4 * LATERAL
        way = np.array(
            [rng.uniform(0.88, 0.97), rng.uniform(-0.25, 0.05), rng.uniform(-0.45, -0.2)]
        )
        way /= np.linalg.norm(way)
        top = annulus + way * 48 * k
        arch = top + np.array([16, 14, 6])
        curve = CubicSpline([0, 1, 1.5, 3, 4], [lvot, annulus, annulus + way * 14 * k, top, arch])
        points = resample(curve(np.linspace(0, 4, 300)), 1.0)
        s = np.arange(len(points), dtype=float)
        from_annulus = s - s[np.argmin(np.linalg.norm(points - annulus, axis=1))]
        base = rng.uniform(11.5, 15.5) * k
        sinus = rng.uniform(1.5, 4) * np.exp(-(((from_annulus - 10) / 7) ** 2))
        radius = base + sinus - 2.0 * np.exp(-((from_annulus / 6) ** 2))
        return points, radius

    def root_at(self, height_mm: float) -> tuple[int, Array]:
        """Index of the root's axis point so high above the annulus, and the axis there."""
        at = -8 * APEX + 16 * self.size * UP + 4 * LATERAL
        i = int(np.argmin(np.linalg.norm(self.root - at, axis=1))) + round(height_mm)
        axis = self.root[i + 2] - self.root[i - 2]
        return i, axis / np.linalg.norm(axis)

    def round_root(self, way: Array, target: Array, height_mm: float, behind: bool) -> list[Array]:
        """Control points from an ostium that looks along ``way`` round the root to ``target``."""
        i, axis = self.root_at(height_mm)
        end = self.ostium(target, height_mm)[1]
        ways = around_root(way, end, axis, behind)[1:]
        rise = np.linspace(0, -3, len(ways))
        away = self.root_radius[i] + 3.0
        return [self.root[i] + w * away + r * axis for w, r in zip(ways, rise, strict=True)]

    def ostium(self, target: Array, height_mm: float) -> tuple[Array, Array]:
        """Point on the aortic wall that looks at ``target``, and the outward direction."""
        i, axis = self.root_at(height_mm)
        way = target - self.root[i]
        way -= (way @ axis) * axis * 0.8
        way /= np.linalg.norm(way)
        return self.root[i] + way * (self.root_radius[i] - 1.0), way

    def add(
        self,
        name: str,
        vessel: VesselName | None,
        parent: int | None,
        controls: list[Array],
        radii: tuple[float, float],
        vein: bool = False,
    ) -> int:
        """Add one tube; returns its index."""
        wiggle = self.tortuous * {"LM": 0.3, "CCV": 0.2}.get(name, 1.0) * self.rng.uniform(0.3, 1.2)
        points = smooth_curve(controls, wiggle, self.rng)
        if self.variant != Variant():
            free = radii[0] + 1.0
            points = resample(
                keep_clear(points, self.root, self.root_radius + free, STEP_MM), STEP_MM
            )
        radius = np.linspace(radii[0], radii[1], len(points))
        s = np.arange(len(points)) * STEP_MM
        for _ in range(2):
            wave = np.sin(2 * np.pi * s / self.rng.uniform(20, 60) + self.rng.uniform(0, 6))
            radius = radius * (1 + self.rng.uniform(0, 0.06) * wave)
        self.tubes.append(Tube(name, vessel, parent, points, radius.clip(0.55, 3.2), vein))
        return len(self.tubes) - 1

    def on(self, t: float, phi: float, off: float) -> Array:
        """Surface point with the jitter of real courses."""
        return self.frame.surface(t, phi + self.rng.normal(0, 1.5), off + self.rng.normal(0, 0.4))

    def point_of(self, tube: int, fraction: float) -> Array:
        """Canonical point at a fraction of a tube's length."""
        points = self.tubes[tube].points_mm
        return np.asarray(points[round(fraction * (len(points) - 1))])

    def radius_of(self, tube: int, fraction: float) -> float:
        """Lumen radius at a fraction of a tube's length."""
        radius = self.tubes[tube].radius_mm
        return float(radius[round(fraction * (len(radius) - 1))])


def _phi_at(b: _Builder, point: Array) -> tuple[float, float]:
    """Surface coordinates (t, phi) of a canonical point."""
    t = float(point @ APEX)
    phi = np.rad2deg(np.arctan2(point @ LATERAL / b.frame.lateral_mm, point @ UP / b.frame.up_mm))
    return t, float(phi)


def _left(b: _Builder, dominance: str) -> None:
    rng, frame, k = b.rng, b.frame, b.caliber
    off = rng.uniform(1.5, 4.0) + b.variant.off_mm
    fork = b.on(rng.uniform(-1, 4), b.ant, off)
    start, way = b.ostium(fork, rng.uniform(9, 16) + b.variant.high_mm[0])
    lm_radius = rng.uniform(2.0, 2.6) * k
    lm: int | None = None
    if rng.random() > 0.04 and b.variant.left == "usual":
        middle = (start + fork) / 2 + way * 1.5
        lm = b.add(
            "LM", "LM", None, [start, start + way * 3, middle, fork], (lm_radius, lm_radius * 0.92)
        )
        fork = b.tubes[lm].points_mm[-1]
        lad_head, lcx_head = [fork], [fork]
    else:
        other, way2 = b.ostium(fork, rng.uniform(9, 12))
        side = np.cross(way, UP)
        lad_head = [start, start + way * 3, (start + fork) / 2]
        lcx_head = [other + side * 3, other + side * 4 + way2 * 3]
        if b.variant.left == "lcx_right":
            lcx_head = _lcx_from_right(b)
    ts = np.linspace(10, frame.axis_mm * rng.uniform(0.8, 0.985), 8)
    drift = rng.uniform(-30, -8)
    lad_points = [
        b.on(t, b.ant + drift * np.sin(np.pi * t / frame.axis_mm), off + rng.uniform(-1, 1))
        for t in ts
    ]
    lad = b.add(
        "LAD",
        "LAD",
        lm,
        [*lad_head, *lad_points],
        (rng.uniform(1.6, 2.1) * k, rng.uniform(0.7, 0.95)),
    )
    _bridge(b, lad)
    end_phi = {
        "right": rng.uniform(95, 140),
        "left": rng.uniform(178, 190),
        "co": rng.uniform(155, 170),
    }[dominance]
    first_phi = b.ant + 14 if b.variant.left != "lcx_right" else b.ant + 50
    phis = np.linspace(first_phi, end_phi, max(5, int((end_phi - b.ant) / 14)))
    ring = [b.on(rng.uniform(-3, 3), phi, off + rng.uniform(-1, 1)) for phi in phis]
    lcx = b.add(
        "LCX", "LCX", lm, [*lcx_head, *ring], (rng.uniform(1.45, 1.95) * k, rng.uniform(0.75, 1.0))
    )
    _side_branches(
        b,
        "D",
        "LAD",
        lad,
        rng.uniform(0.1, 0.25),
        (38, 65),
        rng.choice([1, 2, 3], p=[0.3, 0.5, 0.2]),
    )
    if lm is not None and rng.random() < 0.2:
        phi = b.ant + rng.uniform(22, 35)
        points = [b.on(t, phi + 0.3 * t, off) for t in np.linspace(12, rng.uniform(40, 65), 4)]
        b.add("RI", "LCX", lm, [fork, *points], (rng.uniform(1.0, 1.4) * k, 0.7))
    _side_branches(
        b,
        "OM",
        "LCX",
        lcx,
        rng.uniform(0.2, 0.4),
        (4, 22),
        rng.choice([0, 1, 2, 3], p=[0.06, 0.34, 0.4, 0.2]),
    )
    if dominance == "left":
        points = [b.on(t, b.inf, off) for t in np.linspace(12, rng.uniform(45, 70), 5)]
        b.add(
            "L-PDA", "LCX", lcx, [b.tubes[lcx].points_mm[-1], *points], (b.radius_of(lcx, 1), 0.65)
        )


def _lcx_from_right(b: _Builder) -> list[Array]:
    """First points of a circumflex that leaves the right sinus and runs behind the root."""
    right, left = b.on(-2, -50, 5), b.on(0, b.ant + 40, 3)
    start, way = b.ostium(right, 10)
    return [start, start + way * 3.5, *b.round_root(way, left, 10, behind=True)]


def _bridge(b: _Builder, lad: int) -> None:
    """Let the LAD dive into the muscle, a little narrower there (systolic compression)."""
    if b.variant.bridge is None:
        return
    tube = b.tubes[lad]
    height, out = above_surface(tube.points_mm, (APEX, UP, LATERAL), b.frame)
    arc = np.arange(float(len(tube.points_mm))) * STEP_MM
    points = resample(bury(tube.points_mm, height, out, arc, b.variant.bridge), STEP_MM)
    even = np.linspace(0, len(arc) - 1, len(points))
    middle, length, _ = b.variant.bridge
    s = np.arange(float(len(points))) * STEP_MM
    radius = np.interp(even, np.arange(len(arc)), tube.radius_mm)
    radius = (radius * (1 - 0.15 * plateau(s, middle * s[-1], length))).clip(0.55, 3.2)
    span = (middle * s[-1] - length / 2, middle * s[-1] + length / 2)
    b.tubes[lad] = replace(tube, points_mm=points, radius_mm=radius, buried_mm=span)


def _side_branches(
    b: _Builder,
    stem: str,
    vessel: VesselName,
    parent: int,
    first: float,
    turn: tuple[float, float],
    n: int,
) -> None:
    rng = b.rng
    at = first
    for i in range(int(n)):
        if at > 0.8:
            break
        start = b.point_of(parent, at)
        t0, phi0 = _phi_at(b, start)
        length, bend = rng.uniform(28, 60), rng.uniform(*turn)
        last = min(t0 + length, b.frame.axis_mm * 0.9)
        way = [
            b.on(t0 + (last - t0) * f, phi0 + bend * f**0.8, rng.uniform(1.5, 3.5))
            for f in (0.2, 0.45, 0.7, 1.0)
        ]
        big = b.radius_of(parent, at)
        b.add(
            f"{stem}{i + 1}",
            vessel,
            parent,
            [start, *way],
            (big * rng.uniform(0.55, 0.85), rng.uniform(0.6, 0.75)),
        )
        at += rng.uniform(0.18, 0.35)


def _right(b: _Builder, dominance: str) -> None:
    rng, k, off = b.rng, b.caliber, b.rng.uniform(2, 5) + b.variant.off_mm
    first = b.on(-2, rng.uniform(-55, -40), off + 3)
    start, way = b.ostium(first, rng.uniform(10, 17) + b.variant.high_mm[1])
    head = [start, start + way * 5]
    if b.variant.right == "left_cusp":
        start, way = b.ostium(b.on(1, b.ant - 12, 3), 13 + b.variant.high_mm[1])
        head = [start, start + way * 3, *b.round_root(way, first, 13, behind=False)[1:-1]]
    last = {
        "right": -rng.uniform(165, 178),
        "left": -rng.uniform(95, 130),
        "co": -rng.uniform(165, 178),
    }[dominance]
    ring = [
        b.on(rng.uniform(-4, 2), phi, off + rng.uniform(-1, 1))
        for phi in np.linspace(-62, last, max(4, int(-last / 17)))
    ]
    small = dominance == "left"
    r0 = rng.uniform(1.8, 2.4) * k * (0.75 if small else 1)
    r1 = rng.uniform(0.75, 0.9) if small else r0 * rng.uniform(0.6, 0.75)
    rca = b.add("RCA", "RCA", None, [*head, first, *ring], (r0, r1))
    if rng.random() < 0.6:
        at = rng.uniform(0.35, 0.6)
        start = b.point_of(rca, at)
        t0, phi0 = _phi_at(b, start)
        points = [b.on(t0 + f * rng.uniform(35, 55), phi0 + 14 * f, 2.0) for f in (0.2, 0.5, 1)]
        b.add(
            "AM1",
            "RCA",
            rca,
            [start, *points],
            (b.radius_of(rca, at) * rng.uniform(0.45, 0.7), 0.6),
        )
    if small:
        return
    crux = b.tubes[rca].points_mm[-1]
    points = [b.on(t, b.inf, rng.uniform(1.5, 3)) for t in np.linspace(9, rng.uniform(45, 68), 5)]
    b.add(
        "R-PDA", "RCA", rca, [crux, *points], (b.radius_of(rca, 1) * rng.uniform(0.7, 0.95), 0.65)
    )
    if dominance == "right":
        swing = rng.uniform(18, 40)
        points = [b.on(2 + 22 * f * f, b.inf - swing * f, 2.5) for f in (0.3, 0.6, 1.0)]
        points.append(b.on(rng.uniform(35, 50), b.inf - swing - 4, 2))
        b.add(
            "R-PLB",
            "RCA",
            rca,
            [crux, *points],
            (b.radius_of(rca, 1) * rng.uniform(0.6, 0.9), 0.65),
        )


def _veins(b: _Builder) -> None:
    """Great, middle and small cardiac vein and the coronary sinus, beside their arteries."""
    rng = b.rng
    off = rng.uniform(2, 5)
    shift = rng.choice([-1, 1]) * rng.uniform(5, 11)
    far = rng.uniform(40, 70)
    meridian = [b.on(t, b.ant - 12 + shift, off) for t in np.linspace(far, 8, 5)]
    ring = [b.on(rng.uniform(-5, 5), phi, off + 2) for phi in np.linspace(b.ant + 12, 150, 7)]
    gcv = b.add("GCV", None, None, [*meridian, *ring], (0.9, rng.uniform(2, 3)), vein=True)
    end = b.tubes[gcv].points_mm[-1]
    sinus = [b.on(-4, phi, 1) for phi in (170, 188, 203)]
    b.add("CS", None, None, [end, *sinus], (rng.uniform(2.2, 3), 3.2), vein=True)
    points = [
        b.on(t, b.inf + rng.choice([-1, 1]) * rng.uniform(4, 9), off) for t in (60, 42, 25, 8, -4)
    ]
    b.add("MCV", None, None, points, (0.8, rng.uniform(1.4, 2.2)), vein=True)
    if rng.random() < 0.7:
        phi = rng.uniform(75, 125)
        b.add(
            "LMV", None, None, [b.on(t, phi, off) for t in (55, 35, 15, -2)], (0.7, 1.4), vein=True
        )
    if rng.random() < 0.5:
        b.add(
            "SCV",
            None,
            None,
            [b.on(5, p, off + 1) for p in (-80, -110, -140, -165)],
            (0.7, 1.3),
            vein=True,
        )


def _companion(b: _Builder) -> None:
    """Add a vein that runs along an artery and touches it."""
    rng = b.rng
    arteries = [i for i, t in enumerate(b.tubes) if not t.vein and len(t.points_mm) > 160]
    tube = b.tubes[int(rng.choice(arteries))]
    first = int(rng.uniform(0.1, 0.5) * len(tube.points_mm))
    part = slice(first, first + int(rng.uniform(20, 50) / STEP_MM))
    points, inner = tube.points_mm[part], tube.radius_mm[part]
    _, out = above_surface(points, (APEX, UP, LATERAL), b.frame)
    side = np.cross(np.gradient(points, axis=0), out) * rng.choice([-1, 1])
    side /= np.maximum(np.linalg.norm(side, axis=1), 1e-6)[:, None]
    radius = rng.uniform(0.7, 1.8)
    touch = rng.uniform(-0.2, 1.0) + 1.5 * (1 - plateau(np.arange(len(points)) / 4.0, 8, 12))
    line = beside(points, side, inner + radius + 0.8 + touch)[::12]
    b.add("CCV", None, None, list(line), (radius, radius * rng.uniform(0.8, 1.4)), vein=True)


def _grafts(b: _Builder) -> None:
    """Bypass veins from the ascending aorta to the LAD, a marginal branch and the right."""
    rng = b.rng
    names = {t.name: i for i, t in enumerate(b.tubes)}
    targets = [names[n] for n in ("LAD", "OM1", "R-PDA", "LCX") if n in names]
    for number, tube in enumerate(targets[: b.variant.grafts]):
        end = b.point_of(tube, rng.uniform(0.4, 0.6))
        t, phi = _phi_at(b, end)
        start, way = b.ostium(b.on(-5, phi if phi < 90 else 60, 12), rng.uniform(28, 40))
        f = b.frame
        over = [f.surface(t * x - 6 * (1 - x), phi, 13 - 8 * x) for x in (0.35, 0.7)]
        if phi > -20:  # before the pulmonary trunk
            over.insert(0, (57 * b.size + 4) * UP + 2 * LATERAL)
        radius = rng.uniform(1.3, 2.2)
        b.add(
            f"SVG{number + 1}",
            None,
            None,
            [start, start + way * 7, *over, end],
            (radius, radius * rng.uniform(0.8, 1.0)),
            vein=True,
        )


def make_anatomy(rng: np.random.Generator, variant: Variant | None = None) -> Anatomy:
    """Draw one heart. Dominance is right in 82 %, left in 10 %, balanced in 8 %."""
    variant = variant or Variant()
    dominance = str(rng.choice(["right", "left", "co"], p=[0.82, 0.10, 0.08]))
    if variant.right == "missing":
        dominance = "left"
    b = _Builder(rng, variant)
    _left(b, dominance)
    if variant.right != "missing":
        _right(b, dominance)
    _veins(b)
    if variant.companion:
        _companion(b)
    _grafts(b)
    tubes = tuple(replace(x, points_mm=b.frame.to_patient(x.points_mm)) for x in b.tubes)
    return Anatomy(b.frame, tubes, dominance, b.frame.to_patient(b.root), b.root_radius)
