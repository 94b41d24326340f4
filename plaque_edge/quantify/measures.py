"""From straightened fractions to mm³ per vessel and per patient.

The fractions of each branch are looked up on Cartesian voxels in which every point has one
owner branch, so that bends and bifurcations count once and the vessels add up to the
patient. See ``docs/quantify.md`` for the rules and their measured errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quantify import gaps as left_out
from plaque_edge.quantify import kernels, rollup, scct, softness
from plaque_edge.quantify.background import for_patient
from plaque_edge.quantify.grading import Graded, Profile, grade, widen_lesions
from plaque_edge.quantify.hu_rules import FIXED
from plaque_edge.quantify.lesions import find_lesions, gate
from plaque_edge.quantify.options import Calibration, GateOptions
from plaque_edge.quantify.pack import Packed, make_grid, pack, tight_grid
from plaque_edge.quantify.scores import plaque_category
from plaque_edge.types import (
    VESSELS,
    WALL_CLASSES,
    Agatston,
    Background,
    Branch,
    CoronaryTree,
    Gap,
    HuRule,
    PlaqueMeasures,
    Reason,
    Softness,
    StraightBranch,
    VesselName,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VOXEL_MM = 0.25
"""Edge of the Cartesian voxel in which volumes are summed."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """Everything measured along all branches, before it is rolled up."""

    packed: Packed
    profiles: tuple[Profile, ...]
    gated: tuple[NDArray[np.bool_], ...]
    graded: tuple[Graded, ...]
    rules: tuple[HuRule, ...] = (FIXED,)
    spread_mm3: tuple[NDArray[np.float64], ...] = ()
    """How undecided the network is along each branch, ``(n, 6)`` (``softness.py``)."""
    calibration: Calibration = field(default_factory=Calibration)
    """What the fractions were corrected by, this patient's factor included."""
    background: Background | None = None
    gaps: tuple[Gap, ...] = ()
    """What was not measured, by the branches of ``packed``."""


def map_vessels(
    straight: Sequence[StraightBranch],
    gates: GateOptions | None = None,
    calibration: Calibration | None = None,
    rules: Sequence[HuRule] = (FIXED,),
    gaps: Sequence[Gap] = (),
) -> Mapped:
    """Map all branches to Cartesian voxels once; feeds both the measures and the overlay.

    ``gaps`` are what is not to be measured, by the branches of ``straight``.
    """
    gates = gates or GateOptions()
    out = left_out.masks(gaps, [len(s.centers_mm) for s in straight])
    calibration, background = for_patient(calibration or Calibration(), straight, out)
    packed = pack(straight, calibration, rules)
    if not packed.branches:
        return Mapped(packed, (), (), (), tuple(rules))
    volume = kernels.accumulate(packed.tree, tight_grid(packed, VOXEL_MM))
    gaps = left_out.in_order(gaps, straight, packed.branches)
    mapped = judged(packed, volume, softness.along(packed), gates, rules, gaps)
    return replace(mapped, calibration=calibration, background=background)


def judged(
    packed: Packed,
    volume_mm3: NDArray[np.float64],
    spread_mm3: tuple[NDArray[np.float64], ...],
    gates: GateOptions,
    rules: Sequence[HuRule],
    gaps: Sequence[Gap] = (),
) -> Mapped:
    """Find lesions and grade every cross-section of volumes that are summed already.

    ``volume_mm3`` ``(N, columns)`` comes from :func:`kernels.accumulate`. Steps in ``gaps`` have
    no volume, are not undecided, belong to no lesion and are not graded.
    """
    profiles, spread = [], []
    masks = left_out.masks(gaps, [len(b.centers_mm) for b in packed.branches])
    for i, (item, at) in enumerate(zip(packed.branches, packed.take_off, strict=True)):
        out = None if masks is None else masks[i]
        soft = spread_mm3[i]
        spread.append(soft if out is None else np.where(out[:, None], 0.0, soft))
        volume = volume_mm3[packed.steps(i)]
        volume = volume if out is None else np.where(out[:, None], 0.0, volume)
        profiles.append(Profile(item, volume, packed.area_mm2[packed.steps(i)], int(at), out))
    first = tuple(gate(p, gates) for p in profiles)
    graded = tuple(grade(p, inside) for p, inside in zip(profiles, first, strict=True))
    gated = tuple(
        widened if p.left_out is None else widened & ~p.left_out
        for p, widened in (
            (p, widen_lesions(p, inside, g))
            for p, inside, g in zip(profiles, first, graded, strict=True)
        )
    )
    return Mapped(
        packed, tuple(profiles), gated, graded, tuple(rules), tuple(spread), gaps=tuple(gaps)
    )


def measure(
    straight: Sequence[StraightBranch],
    tree: CoronaryTree,
    gates: GateOptions | None = None,
    calibration: Calibration | None = None,
) -> PlaqueMeasures:
    """Plaque, lumen and vessel volumes per segment, vessel and patient, stenosis, lesions.

    Plaque counts inside lesions only (``gates``); lumen and vessel over the whole analysed
    length, where vessel is lumen + wall + all plaque. A vessel that was not traced is
    ``not_analysable`` with ``None`` everywhere, never 0. The order of ``straight`` does not
    matter. Volumes in mm³, lengths in mm.
    """
    return measure_mapped(map_vessels(straight, gates, calibration), tree)


def measure_mapped(
    mapped: Mapped,
    tree: CoronaryTree,
    doubt: Reason | None = None,
    labels: scct.Labels | None = None,
) -> PlaqueMeasures:
    """Roll up what :func:`map_vessels` found, exactly as :func:`measure` does.

    ``doubt`` says why low attenuation can't be told in this scan; ``labels`` take the place of
    :func:`scct.label_steps`.
    """
    labels = left_out.labelled(labels or scct.label_steps(mapped.packed), mapped.gaps)
    courses = [
        rollup.Course(*x)
        for x in zip(mapped.profiles, mapped.gated, mapped.graded, labels.steps, strict=True)
    ]
    lesions = tuple(
        lesion
        for c in courses
        for lesion in find_lesions(
            c.profile, c.inside, c.graded, c.segment, low_attenuation=doubt is None
        )
    )
    partial = _partial(mapped, tree)
    segments = rollup.segments_of(courses, mapped.rules, labels.borders, partial)
    vessels = {
        name: replace(
            rollup.vessel_of(name, segments, courses, "partial" if name in partial else "analysed"),
            softness=_softness(mapped, [name]),
        )
        for name in VESSELS
    }
    patient = rollup.patient_of(vessels, segments, lesions)
    return PlaqueMeasures(
        vessels,
        replace(patient, softness=_softness(mapped, VESSELS)),
        lesions,
        segments,
        hu_rules=mapped.rules,
        low_attenuation_doubt=doubt,
        notes=(*rollup.not_measured(tree, courses), *dict.fromkeys(g.reason for g in mapped.gaps)),
        background=mapped.background,
        profiles=tuple(rollup.profile_of(c) for c in courses),
    )


def _softness(mapped: Mapped, vessels: Sequence[VesselName]) -> Softness | None:
    """Sum the softness of some vessels; ``None`` where none of them was measured."""
    both = zip(mapped.profiles, mapped.gated, mapped.spread_mm3, strict=True)
    mine = [x for x in both if x[0].item.branch.vessel in vessels]
    return softness.summed(*zip(*mine, strict=True)) if mine else None


def with_agatston(measures: PlaqueMeasures, score: Agatston | None) -> PlaqueMeasures:
    """Add a calcium score to the patient; P of the CAD-RADS proposal then rests on both."""
    old = measures.patient.cad_rads
    if score is None or old is None:
        return measures
    plaque, basis = plaque_category(measures.patient.segment_involvement_score or 0, score.total)
    parts = [f"CAD-RADS {old.category}", *([plaque] if plaque else []), *old.modifiers]
    proposal = replace(old, plaque=plaque, plaque_basis=basis, text="/".join(parts))
    patient = replace(measures.patient, agatston=score, cad_rads=proposal)
    return replace(measures, patient=patient)


def _partial(mapped: Mapped, tree: CoronaryTree) -> frozenset[VesselName]:
    """Vessels of which a branch, or the main one, could not be measured."""
    found = [p.item.branch.vessel for p in mapped.profiles]
    wanted = [b.vessel for b in tree.branches]
    short = {found[g.branch] for g in mapped.gaps}
    return frozenset(
        v for v in VESSELS if v in tree.missing or v in short or found.count(v) < wanted.count(v)
    )


def label_grid(
    straight: Sequence[StraightBranch],
    shape_zyx: tuple[int, int, int],
    spacing_zyx_mm: tuple[float, float, float],
    origin_zyx_mm: tuple[float, float, float],
    gates: GateOptions | None = None,
) -> NDArray[np.uint8]:
    """Labels on a CT grid for the overlay, uint8 ``(z, y, x)``.

    0 none, 1 lumen, 2 wall, 3 non-calcified, 4 low attenuation, 5 calcified. The same owner
    and gate as :func:`measure`: plaque that does not count is shown as wall.
    ``origin_zyx_mm`` is the centre of voxel (0, 0, 0).
    """
    return label_mapped(map_vessels(straight, gates), shape_zyx, spacing_zyx_mm, origin_zyx_mm)


def label_mapped(
    mapped: Mapped,
    shape_zyx: tuple[int, int, int],
    spacing_zyx_mm: tuple[float, float, float],
    origin_zyx_mm: tuple[float, float, float],
) -> NDArray[np.uint8]:
    """Paint what :func:`map_vessels` found, exactly as :func:`label_grid` does."""
    if not mapped.profiles:
        return np.zeros(shape_zyx, np.uint8)
    origin, spacing = np.asarray(origin_zyx_mm, float), np.asarray(spacing_zyx_mm, float)
    grid = make_grid(mapped.packed, origin, spacing, shape_zyx)
    labels: NDArray[np.uint8] = kernels.paint(
        mapped.packed.tree, grid, np.concatenate(mapped.gated)
    )
    return labels


def warm_up() -> None:
    """Compile or load every kernel on a tiny tube, so that no patient waits for it."""
    n, side = 9, 16
    centers = np.zeros((n, 3))
    centers[:, 0] = np.arange(n) * 0.5
    u, v = np.zeros((n, 3)), np.zeros((n, 3))
    u[:, 1], v[:, 2] = 1.0, 1.0
    fractions = np.zeros((len(WALL_CLASSES), n, side, side), np.uint8)
    fractions[0] = 255
    fractions[:, :, 4:12, 4:12] = 0
    fractions[2, :, 4:12, 4:12] = 255
    branch = Branch("LAD", "LAD", None, centers, np.ones(n))
    hu = np.zeros((n, side, side), np.float32)
    straight = StraightBranch(branch, centers, u, v, 0.5, 0.25, fractions, hu)
    mapped = map_vessels([straight])
    measure_mapped(mapped, CoronaryTree((branch,)))
    label_mapped(mapped, (4, 4, 4), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0))
