"""Metal in the chest: coronary stents, a pacing lead, sternal wires, clips of bypass grafts.

HU are those that metals would have by their attenuation at about 65 keV (NIST XCOM: cobalt-chromium
some 70,000, steel some 45,000, titanium some 10,000), lowered as beam hardening and photon
starvation lower them in scans; thin struts come out at 400-1500 HU after the blur, as in
patients. Blooming leaves 53-74 % of a 3 mm stent's lumen visible (Gassenmaier et al. 2014,
doi 10.1007/s00330-014-3323-6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from plaque_edge.phantom.anatomy import APEX, LATERAL, STEP_MM, UP, Anatomy
from plaque_edge.phantom.deposits import Deposit, join, rod
from plaque_edge.phantom.tissue import curve
from plaque_edge.segment.straighten import parallel_frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Stent(NamedTuple):
    """Where a stent sits: tube, arc lengths in mm."""

    tube: int
    start_mm: float
    end_mm: float


def place_stent(anatomy: Anatomy, rng: np.random.Generator) -> Stent:
    """Choose a stretch of 10-32 mm in the first half of a main artery."""
    names = {t.name: i for i, t in enumerate(anatomy.tubes)}
    wide = [names[n] for n in ("LAD", "LCX", "RCA") if n in names]
    tube = int(rng.choice(wide))
    length = len(anatomy.tubes[tube].points_mm) * STEP_MM
    start = rng.uniform(2, 0.35 * length)
    return Stent(tube, start, min(start + rng.uniform(10, 32), length - 5))


def stent_struts(
    points_mm: Array, radius_mm: Array, strut_mm: float, hu: float, crowns: int = 6
) -> Deposit:
    """Zigzag rings of a stent, 1.4 mm apart, joined by two links; on samples 0.25 mm apart.

    ``radius_mm`` is the lumen's radius: struts lie against its wall from inside.
    """
    _, u, v = parallel_frames(points_mm)
    s = np.arange(len(points_mm)) * STEP_MM

    def on_wall(arc: Array, angle: Array) -> Array:
        at = np.clip(arc / STEP_MM, 0, len(s) - 1)
        k = np.floor(at).astype(int)
        r = (np.interp(arc, s, radius_mm) - strut_mm / 2)[:, None]
        center = np.stack([np.interp(arc, s, points_mm[:, a]) for a in range(3)], 1)
        return np.asarray(
            center + r * (np.cos(angle)[:, None] * u[k] + np.sin(angle)[:, None] * v[k])
        )

    parts = []
    angle = np.linspace(0, 2 * np.pi, 24 * crowns)
    zigzag = np.abs((angle * crowns / np.pi) % 2 - 1) - 0.5
    for number, middle in enumerate(np.arange(0.7, s[-1] - 0.6, 1.4)):
        parts.append(rod(on_wall(middle + 1.1 * zigzag, angle), strut_mm / 2, hu))
        if middle + 1.4 < s[-1] - 0.6:
            link = np.linspace(middle, middle + 1.4, 8)
            for turn in (0.0, np.pi):
                parts.append(
                    rod(on_wall(link, np.full(8, turn + number * np.pi / crowns)), strut_mm / 2, hu)
                )
    return join(parts)


def pacing_lead(anatomy: Anatomy, rng: np.random.Generator) -> Deposit:
    """Lead from the superior vena cava through the right atrium to the right ventricle's apex."""
    f = anatomy.frame
    k = f.up_mm / 40
    way = [
        -50 * k * APEX + 75 * k * UP - 42 * k * LATERAL,
        -36 * k * APEX + 40 * k * UP - 40 * k * LATERAL,
        -20 * k * APEX + 6 * UP - 32 * k * LATERAL,
        -6 * k * APEX - 12 * UP - 28 * k * LATERAL,
        f.surface(16 * k, -85, -12 * k),
        f.surface(f.axis_mm * rng.uniform(0.5, 0.72), rng.uniform(-75, -40), -5.0),
    ]
    points = np.array([f.to_patient(p + rng.normal(0, 1.5, 3)) for p in way])
    line = curve(points, 0.5)
    tip = line[-14:]
    core = rod(line, rng.uniform(0.35, 0.6), rng.uniform(15000, 35000), 0.1)
    return join([core, rod(tip, rng.uniform(0.8, 1.2), rng.uniform(15000, 35000), 0.1)])


def sternal_wires(rng: np.random.Generator) -> Deposit:
    """Five to seven loops of steel round the breastbone, each with its twist in front."""
    parts = []
    a = np.linspace(0, 2 * np.pi, 60)
    radius, hu = rng.uniform(0.35, 0.5), rng.uniform(12000, 30000)
    for z in np.arange(-60, 90, rng.uniform(20, 27)):
        tilt = rng.normal(0, 2)
        loop = np.stack(
            [z + tilt * np.cos(a), -80 + 9.5 * np.sin(a), -14 + rng.uniform(16, 20) * np.cos(a)], 1
        )
        twist = np.array([[z, -90, -14], [z + 3, -92, -13], [z + 7, -91, -12]], float)
        parts += [rod(loop, radius, hu, 0.1), rod(twist, 1.6 * radius, hu, 0.1)]
    return join(parts)


def graft_clips(anatomy: Anatomy, rng: np.random.Generator) -> Deposit:
    """Clips of titanium beside the grafts, where their side branches were tied."""
    parts = []
    for tube in anatomy.tubes:
        if not tube.name.startswith("SVG"):
            continue
        for _ in range(int(rng.integers(2, 7))):
            at = tube.points_mm[int(rng.integers(len(tube.points_mm)))]
            way = rng.normal(size=3)
            way /= np.linalg.norm(way)
            start = at + np.cross(way, [0, 0, 1.0]) * (float(tube.radius_mm[0]) + 1.5)
            line = np.linspace(start, start + way * rng.uniform(2.5, 5), 6)
            parts.append(rod(line, rng.uniform(0.3, 0.55), rng.uniform(6000, 10000)))
    return join(parts)
