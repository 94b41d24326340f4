"""Plaques of a synthetic patient: where they sit, how thick they are, what they hold.

A plaque thickens the wall round the lumen. At arc length ``s`` and angle ``theta`` its
thickness is ``peak x along(s) x around(theta)``, each raised to a power of its own (from hill
to slab); the lumen narrows by ``narrowing x along(s)``, so that remodelling (growth outwards
or inwards) follows from the two. Components are
ellipsoids in (s, theta, depth), depth 0 at the lumen and 1 at the outer side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.phantom.anatomy import STEP_MM, Anatomy

if TYPE_CHECKING:
    from numpy.typing import NDArray

CALCIFIED, LIPID = 1, 2
N_BLOBS = 10


@dataclass(frozen=True, slots=True)
class Lesion:
    """One plaque on tube ``tube``.

    Blobs are rows (s0, theta0, depth0, ds, dtheta, ddepth, kind, hu).
    """

    tube: int
    center_mm: float
    half_mm: float
    peak_mm: float
    theta: float
    concentric: float
    narrowing: float
    hu: float
    blobs: NDArray[np.float64]
    along_power: float = 0.5
    around_power: float = 2.0

    def along(self, arc_mm: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Height of the plaque's hill, 0..1, at arc lengths of its tube, before any power."""
        x = np.clip((arc_mm - self.center_mm) / self.half_mm, -1, 1)
        return np.asarray(np.cos(0.5 * np.pi * x))

    def volume_mm3(self, lumen_mm: float) -> float:
        """Rough volume for steering the patient's burden."""
        mean = self.peak_mm * (
            self.concentric + (1 - self.concentric) * 0.65 / (0.55 + 0.5 * self.around_power)
        )
        return float(
            np.pi
            * mean
            * (2 * lumen_mm + mean)
            * self.half_mm
            * 1.28
            / (0.87 + 0.7 * self.along_power)
        )


def draw_burden_mm3(rng: np.random.Generator) -> float:
    """Plaque volume a patient should have: none in 20 %, else log-uniform, some very heavy."""
    if rng.random() < 0.2:
        return 0.0
    return float(np.exp(rng.uniform(np.log(8), np.log(1400))))


def draw_lesions(
    anatomy: Anatomy, burden_mm3: float, rng: np.random.Generator
) -> tuple[Lesion, ...]:
    """Place plaques on the arteries until ``burden_mm3`` is about reached."""
    arteries = [i for i, t in enumerate(anatomy.tubes) if not t.vein]
    weight = np.array([_weight(anatomy, i) for i in arteries])
    lesions: list[Lesion] = []
    total, taken = 0.0, dict[int, list[tuple[float, float]]]()
    for _ in range(90):
        if total >= burden_mm3:
            break
        tube = arteries[int(rng.choice(len(arteries), p=weight / weight.sum()))]
        lesion = _draw(anatomy, tube, rng, thick=burden_mm3 > 300)
        span = (lesion.center_mm - lesion.half_mm, lesion.center_mm + lesion.half_mm)
        others = taken.setdefault(tube, [])
        if sum(max(0.0, min(span[1], b) - max(span[0], a)) for a, b in others) > lesion.half_mm:
            continue
        volume = lesion.volume_mm3(lumen_at(anatomy, tube, lesion.center_mm))
        if volume > 1.5 * (burden_mm3 - total) + 6:
            continue
        others.append(span)
        lesions.append(lesion)
        total += volume
    return tuple(lesions)


def lumen_at(anatomy: Anatomy, tube: int, arc_mm: float) -> float:
    """Healthy lumen radius of a tube at an arc length, mm."""
    radius = anatomy.tubes[tube].radius_mm
    return float(np.interp(arc_mm, np.arange(len(radius), dtype=np.float64) * STEP_MM, radius))


def _weight(anatomy: Anatomy, i: int) -> float:
    tube = anatomy.tubes[i]
    length = len(tube.points_mm) * STEP_MM
    return {"LM": 22.0, "LAD": 1.4 * length, "RCA": 0.9 * length, "LCX": 0.8 * length}.get(
        tube.name, 0.3 * length
    )


def _draw(anatomy: Anatomy, tube: int, rng: np.random.Generator, thick: bool) -> Lesion:
    length = len(anatomy.tubes[tube].points_mm) * STEP_MM
    half = min(rng.uniform(2, 9) * (rng.uniform(1, 2.4) if thick else 1.0), length * 0.55)
    center = float(np.clip(length * rng.beta(1.1, 2.0), half * 0.3, max(half * 0.4, length - 2)))
    lumen = lumen_at(anatomy, tube, center)
    peak = rng.choice(
        [rng.uniform(0.25, 0.8), rng.uniform(0.6, 1.8), rng.uniform(1.2, 3.2)],
        p=[0.15, 0.4, 0.45] if thick else [0.3, 0.5, 0.2],
    )
    peak = min(float(peak), 0.6 + 1.1 * lumen)
    narrowing = float(np.clip(rng.beta(1.3, 2.5) * min(1.0, peak / 1.0), 0, 0.88))
    theta = float(rng.uniform(-np.pi, np.pi))
    kind = rng.choice(["non", "mixed", "calc"], p=[0.28, 0.36, 0.36])
    return Lesion(
        tube,
        center,
        half,
        peak,
        theta,
        float(rng.beta(1.0, 2.2)),
        narrowing,
        float(rng.uniform(40, 155)),
        draw_blobs(str(kind), half, peak, theta, rng),
        float(np.exp(rng.uniform(np.log(0.15), np.log(1.2)))),
        float(rng.uniform(0.7, 2.6)),
    )


def draw_blobs(
    kind: str, half: float, peak: float, theta: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Calcium and lipid of a plaque, ``(10, 8)``; ``kind`` is non, mixed or calc."""
    n_calc = {
        "non": rng.choice([0, 0, 1]),
        "mixed": rng.integers(1, 5),
        "calc": rng.integers(2, 8),
    }[kind]
    n_lipid = {
        "non": rng.integers(0, 3),
        "mixed": rng.integers(0, 2),
        "calc": rng.choice([0, 0, 1]),
    }[kind]
    big = kind == "calc"
    rows = []
    for _ in range(int(n_calc)):
        reach = half * (rng.uniform(0.15, 0.6) if big else rng.uniform(0.05, 0.3))
        rows.append(
            [
                rng.uniform(-0.7, 0.7) * half,
                theta + rng.normal(0, 0.7),
                rng.uniform(0.15, 0.85),
                max(0.35, reach),
                rng.uniform(0.4, 1.3) if big else rng.uniform(0.25, 0.8),
                rng.uniform(0.35, 0.85) if big else rng.uniform(0.25, 0.7),
                CALCIFIED,
                rng.uniform(320, 1700),
            ]
        )
    for _ in range(int(n_lipid)):
        rows.append(
            [
                rng.uniform(-0.5, 0.5) * half,
                theta + rng.normal(0, 0.3),
                rng.uniform(0.4, 0.65),
                half * rng.uniform(0.25, 0.7),
                rng.uniform(0.5, 1.1),
                rng.uniform(0.25, 0.42),
                LIPID,
                rng.uniform(-40, 28),
            ]
        )
    out = np.zeros((N_BLOBS, 8))
    if rows:
        out[: len(rows)] = np.array(rows)[:N_BLOBS]
    return out
