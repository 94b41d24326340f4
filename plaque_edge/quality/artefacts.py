"""What needs the segmented heart: steps, motion, blood in the vessels, stents, metal, grafts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quality.blocks import in_blocks
from plaque_edge.quality.grafts import grafts
from plaque_edge.quality.limits import DEFAULT, Limits
from plaque_edge.quality.lines import LOOK
from plaque_edge.quality.metal import metal, pieces
from plaque_edge.quality.motion import Edges, main_edges, motion
from plaque_edge.quality.polar import Polar, look_round
from plaque_edge.quality.stents import stents
from plaque_edge.quality.steps import steps
from plaque_edge.types import Branch, QcCheck, StraightBranch, Volume

if TYPE_CHECKING:
    from collections.abc import Mapping

_LUMEN_STEPS = 80
"""The first 40 mm of a main vessel."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What was segmented: box of the heart (z, y, x in mm), straightened vessels, blood HU."""

    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]
    straight: tuple[StraightBranch, ...]
    blood_hu: float


@dataclass(frozen=True, slots=True)
class Found:
    """The lines, the vessels that hold a stent, and whether signs of an operation were seen.

    ``edges`` are those of the main vessels; ``moved`` the branches, by their place in the scene,
    that motion smeared.
    """

    checks: tuple[QcCheck, ...]
    stented: tuple[str, ...]
    operated: bool
    edges: Edges
    moved: tuple[int, ...]


def check_artefacts(volume: Volume, scene: Scene, limits: Limits = DEFAULT) -> Found:
    """Look for all that makes volumes wrong although the technique is right."""
    blocks = in_blocks(volume)
    low, high = np.array(scene.low_mm), np.array(scene.high_mm)
    front = float(low[1])
    found = pieces(blocks, front + 0.25 * float(high[1] - low[1]), limits)
    rays = [(branch, look_round(branch)) for branch in scene.straight]
    main: dict[str, tuple[StraightBranch, Polar]] = {}
    for branch, polar in rays:
        main.setdefault(branch.branch.vessel, (branch, polar))
    stent, stented = stents(rays, scene.blood_hu, limits)
    graft = grafts(blocks, found, front)
    edges = main_edges(main, scene.blood_hu)
    still, moved = motion(rays, edges.sharpest_mm, scene.blood_hu, limits)
    checks = (
        steps(blocks, low, high, limits),
        still,
        _lumen(main, scene.blood_hu, limits),
        stent,
        metal(found, low, high, limits.metal_hu),
        graft,
    )
    operated = graft.code == "QC_GRAFT" and graft.level == "warn"
    return Found(checks, stented, operated, edges, moved)


def warm_up() -> None:
    """Compile the kernels, so that no patient waits for them."""
    points = np.zeros((1, 3))
    hu = np.zeros((8, 8, 8), np.int16)
    in_blocks(Volume(hu, (0.5, 0.4, 0.4), (0.0, 0.0, 0.0)))
    branch = Branch("LM", "LM", None, points, np.ones(1))
    fractions, sections = np.zeros((7, 1, 8, 8), np.uint8), np.zeros((1, 8, 8), np.float32)
    look_round(StraightBranch(branch, points, points, points, 0.5, 0.25, fractions, sections))


def _lumen(
    main: Mapping[str, tuple[StraightBranch, Polar]], blood_hu: float, limits: Limits
) -> QcCheck:
    """Say whether the main vessels hold the aorta's blood, and so are arteries at all."""
    low, high = limits.lumen_share_pass
    said = f"pass when the first 40 mm have {low:g} to {high:g} of the aorta's HU"
    share = {
        name: float(np.median(polar.center_hu[:_LUMEN_STEPS])) / blood_hu
        for name, (_, polar) in main.items()
    }
    if not share:
        return QcCheck(
            "QC_LUMEN", "warn", None, said, "The blood in the vessels is not known.", LOOK
        )
    worst = max(share.values(), key=lambda s: abs(np.log(max(s, 1e-3))))
    odd = [f"{name} {100 * s:.0f} %" for name, s in share.items() if not low <= s <= high]
    if not odd:
        text = "The main vessels hold the aorta's blood."
        return QcCheck("QC_LUMEN", "pass", round(worst, 2), said, text)
    text = f"Not as bright as the aorta's blood: {', '.join(odd)}."
    return QcCheck("QC_LUMEN", "warn", round(worst, 2), said, text, LOOK)
