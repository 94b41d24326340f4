"""Plaques of the kinds that networks lose: long and thin, bulky and soft, heavy and diffuse.

Each kind is a set of ranges for the same :class:`Lesion`; volumes and truth follow from it as
for every other plaque. What they stand for: diffuse thin disease (0.3-0.7 mm) is most of
what core labs read differently (SCAPIS repeat reading, ``reference/domain.md``); positive
remodelling and low attenuation mark plaques that rupture (Motoyama et al. 2009,
doi 10.1016/j.jacc.2009.02.068).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.phantom.anatomy import STEP_MM, Anatomy
from plaque_edge.phantom.lesions import Lesion, draw_blobs, draw_lesions, lumen_at

if TYPE_CHECKING:
    from plaque_edge.phantom.presets import Range


@dataclass(frozen=True, slots=True)
class Kind:
    """Ranges of one kind of plaque; lengths in mm, thickness ``peak_mm``."""

    half_mm: Range
    peak_mm: Range
    narrowing: Range
    concentric: Range
    hu: Range
    content: tuple[str, ...]
    along_power: Range = (0.15, 0.8)
    at: Range = (0.0, 1.0)
    """Where its middle lies, as a fraction of the tube's length."""
    tubes: tuple[str, ...] = ()
    """Only on these tubes; empty: on any artery."""


LARGE = ("LM", "LAD", "LCX", "RCA")
KINDS = {
    "long thin": Kind((5, 20), (0.3, 0.7), (0.0, 0.3), (0.1, 1.0), (40, 155), ("non", "mixed")),
    "bulky soft": Kind(
        (3, 12), (1.2, 3.5), (0.0, 0.25), (0.0, 0.5), (20, 150), ("non",), at=(0, 0.3), tubes=LARGE
    ),
    "right ostium": Kind(
        (3, 9), (1.0, 3.2), (0.0, 0.3), (0.1, 0.8), (60, 160), ("non",), at=(0, 0.1), tubes=("RCA",)
    ),
    "diffuse": Kind((8, 26), (0.8, 2.4), (0.05, 0.45), (0.1, 0.8), (40, 155), ("non", "mixed")),
    "calcified": Kind((3, 14), (0.8, 2.6), (0.0, 0.6), (0.1, 0.9), (40, 155), ("calc", "rock")),
    "distal": Kind((2, 8), (0.3, 1.2), (0.0, 0.7), (0.0, 1.0), (30, 150), ("non", "mixed", "calc")),
}
MIX = {
    "light": {"long thin": 0.4, "bulky soft": 0.1, "right ostium": 0.1, "distal": 0.4},
    "medium": {
        "long thin": 0.25,
        "bulky soft": 0.25,
        "right ostium": 0.15,
        "calcified": 0.25,
        "distal": 0.1,
    },
    "heavy": {"diffuse": 0.45, "bulky soft": 0.2, "calcified": 0.3, "right ostium": 0.05},
}


def draw_wide_burden_mm3(rng: np.random.Generator) -> float:
    """Plaque volume of a patient: none in 22 %, light to medium in 43 %, 400-1600 mm3 in 35 %."""
    u = rng.random()
    if u < 0.22:
        return 0.0
    return float(np.exp(rng.uniform(*np.log((8, 500) if u < 0.65 else (400, 1600)))))


def draw_wide_lesions(
    anatomy: Anatomy, burden_mm3: float, rng: np.random.Generator
) -> tuple[Lesion, ...]:
    """Place plaques until ``burden_mm3`` is about reached; a quarter of patients has usual ones."""
    if burden_mm3 <= 0:
        return ()
    if rng.random() < 0.25:
        return draw_lesions(anatomy, burden_mm3, rng)
    mix = MIX["light" if burden_mm3 < 80 else "medium" if burden_mm3 < 400 else "heavy"]
    names, shares = list(mix), np.array(list(mix.values()))
    arteries = [i for i, t in enumerate(anatomy.tubes) if not t.vein]
    lesions: list[Lesion] = []
    total = 0.0
    for _ in range(120):
        if total >= burden_mm3:
            break
        kind = KINDS[str(rng.choice(names, p=shares / shares.sum()))]
        tube = _tube(anatomy, arteries, kind, rng)
        if tube is None:
            continue
        lesion = _draw(anatomy, tube, kind, rng)
        volume = lesion.volume_mm3(lumen_at(anatomy, tube, lesion.center_mm))
        if volume > 1.5 * (burden_mm3 - total) + 6 or _crowded(lesion, lesions):
            continue
        lesions.append(lesion)
        total += volume
    return tuple(lesions)


def _tube(
    anatomy: Anatomy, arteries: list[int], kind: Kind, rng: np.random.Generator
) -> int | None:
    fit = [i for i in arteries if not kind.tubes or anatomy.tubes[i].name in kind.tubes]
    if not fit:
        return None
    weight = np.array([len(anatomy.tubes[i].points_mm) ** 0.8 for i in fit])
    return int(rng.choice(fit, p=weight / weight.sum()))


def _crowded(lesion: Lesion, others: list[Lesion]) -> bool:
    """Return whether more than half of it would lie on plaques that are there already."""
    low, high = lesion.center_mm - lesion.half_mm, lesion.center_mm + lesion.half_mm
    shared = sum(
        max(0.0, min(high, x.center_mm + x.half_mm) - max(low, x.center_mm - x.half_mm))
        for x in others
        if x.tube == lesion.tube
    )
    return shared > lesion.half_mm


def _draw(anatomy: Anatomy, tube: int, kind: Kind, rng: np.random.Generator) -> Lesion:
    length = len(anatomy.tubes[tube].points_mm) * STEP_MM
    half = min(rng.uniform(*kind.half_mm), length * 0.55)
    center = float(np.clip(length * rng.uniform(*kind.at), half * 0.3, max(half * 0.4, length - 2)))
    peak = min(rng.uniform(*kind.peak_mm), 0.6 + 1.3 * lumen_at(anatomy, tube, center))
    theta = float(rng.uniform(-np.pi, np.pi))
    content = str(rng.choice(kind.content))
    blobs = draw_blobs("calc" if content == "rock" else content, half, peak, theta, rng)
    if content == "rock":  # calcium fills most of the plaque
        calcium = blobs[:, 6] == 1
        blobs[calcium, 3:6] *= [[1.6, 1.5, 1.3]]
    lesion = Lesion(
        tube,
        center,
        half,
        peak,
        theta,
        float(rng.uniform(*kind.concentric)),
        float(rng.uniform(*kind.narrowing)),
        float(rng.uniform(*kind.hu)),
        blobs,
        float(rng.uniform(*kind.along_power)),
        float(rng.uniform(0.7, 2.6)),
    )
    return replace(lesion, narrowing=min(lesion.narrowing, 0.88))
