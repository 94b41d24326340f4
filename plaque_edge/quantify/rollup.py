"""From cross-sections to segments, vessels and the patient.

Every volume is rounded to 2**-20 mm³ before it is added, so that sums of doubles are exact:
segments add up to their vessel and vessels to the patient to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from plaque_edge.quantify import scct, scores
from plaque_edge.quantify.grading import LOST_MM
from plaque_edge.quantify.kernels import COLUMNS, PER_RULE
from plaque_edge.quantify.lesions import area_stenosis, largest
from plaque_edge.runs import runs
from plaque_edge.types import (
    VESSELS,
    BranchProfile,
    Composition,
    CoronaryTree,
    HuRule,
    Lesion,
    PatientMeasures,
    Reason,
    SegmentMeasures,
    VesselMeasures,
    VesselName,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from plaque_edge.quantify.grading import Graded, Profile

SUMMED = (
    "calcified_mm3",
    "noncalcified_mm3",
    "low_attenuation_mm3",
    "fibro_fatty_mm3",
    "fibrous_mm3",
    "plaque_mm3",
    "lumen_mm3",
    "vessel_mm3",
    "length_mm",
)
INVOLVED_MM3 = 1.0
"""A segment with less plaque is not involved: the edge of a lesion next door reaches into it."""
MIN_FEATURES = 2
"""High-risk plaque is a lesion with this many features (CAD-RADS 2.0)."""


@dataclass(frozen=True, slots=True)
class Course:
    """One branch with all that was found along it; ``segment`` ``(n,)`` numbers its steps."""

    profile: Profile
    inside: NDArray[np.bool_]
    graded: Graded
    segment: NDArray[np.int64]


class _Sums(TypedDict):
    calcified_mm3: float
    noncalcified_mm3: float
    low_attenuation_mm3: float
    fibro_fatty_mm3: float
    fibrous_mm3: float
    plaque_mm3: float
    lumen_mm3: float
    vessel_mm3: float
    length_mm: float


def _exact(value: float) -> float:
    return round(float(value) * 2**20) / 2**20


def segments_of(
    courses: Sequence[Course],
    rules: Sequence[HuRule],
    borders: dict[int, str],
    partial: frozenset[VesselName],
) -> tuple[SegmentMeasures, ...]:
    """Measure every segment that was traced, in the order of vessels and numbers.

    A branch of one vessel that leaves a segment of another (it has no number of its own) keeps
    its vessel: then the same number appears once for each vessel.
    """
    keys = {
        (VESSELS.index(c.profile.item.branch.vessel), int(n))
        for c in courses
        for n in np.unique(c.segment)
        if n != scct.EXCLUDED
    }
    found = []
    for at, number in sorted(keys):
        own = [c for c in courses if c.profile.item.branch.vessel == VESSELS[at]]
        status = "partial" if VESSELS[at] in partial else "analysed"
        found.append(_segment(own, number, VESSELS[at], rules, borders.get(number, ""), status))
    return tuple(found)


def _segment(
    courses: Sequence[Course],
    number: int,
    vessel: VesselName,
    rules: Sequence[HuRule],
    borders: str,
    status: Any,
) -> SegmentMeasures:
    masks = [c.segment == number for c in courses]
    width = COLUMNS + PER_RULE * len(rules)
    volume, plaque, length = np.zeros(width), np.zeros(width), 0.0
    stretches = []
    for c, mask in zip(courses, masks, strict=True):
        volume += c.profile.volume_mm3[mask].sum(axis=0)
        plaque += c.profile.volume_mm3[mask & c.inside].sum(axis=0)
        steps, step = np.flatnonzero(mask), c.profile.item.step_mm
        length += float((steps > c.profile.take_off).sum()) * step
        if steps.size:
            ends = (float(steps[0]) * step, float(steps[-1]) * step)
            stretches.append((c.profile.item.branch.name, *ends))
    sums = _sums(plaque, volume, length)
    return SegmentMeasures(
        status=status,
        **sums,
        pav_percent=percent(sums["plaque_mm3"], sums["vessel_mm3"]),
        **_worst(courses, masks),
        compositions=_compositions(plaque, rules),
        number=number,
        name=scct.NAMES[number],
        vessel=vessel,
        stretches=tuple(stretches),
        borders=borders,
    )


def _sums(plaque: NDArray[np.float64], volume: NDArray[np.float64], length: float) -> _Sums:
    calcified, low = _exact(plaque[4]), _exact(plaque[3])
    fibro_fatty, fibrous = _exact(plaque[6]), _exact(plaque[2] - plaque[6])
    noncalcified = low + fibro_fatty + fibrous
    lumen = _exact(volume[0])
    rest = _exact(volume[1]) + _exact(volume[2] - plaque[2]) + _exact(volume[3] - plaque[3])
    return _Sums(
        calcified_mm3=calcified,
        noncalcified_mm3=noncalcified,
        low_attenuation_mm3=low,
        fibro_fatty_mm3=fibro_fatty,
        fibrous_mm3=fibrous,
        plaque_mm3=calcified + noncalcified,
        lumen_mm3=lumen,
        vessel_mm3=lumen + rest + _exact(volume[4] - plaque[4]) + calcified + noncalcified,
        length_mm=length,
    )


def _worst(courses: Sequence[Course], masks: Sequence[NDArray[np.bool_]]) -> dict[str, Any]:
    """Everything of the narrowest and the fullest cross-section in ``masks``.

    Stenosis is looked for wherever there is a little plaque, the rest in lesions. Without
    either the stenosis is 0; with plaque that can't be graded it is ``None``.
    """
    lesion = np.concatenate([c.inside[m] for c, m in zip(courses, masks, strict=True)])
    graded = [c.graded for c in courses]

    def joined(values: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate([v[m] for v, m in zip(values, masks, strict=True)])

    stenosis = joined(g.stenosis_percent() for g in graded)
    known = ~np.isnan(stenosis)
    out: dict[str, Any] = {
        "remodeling_index": largest(joined(g.remodeling() for g in graded)[lesion]),
        "max_burden_percent": largest(joined(g.burden_percent() for g in graded)[lesion]),
    }
    if not known.any():
        nothing = None if lesion.any() else 0.0
        same = ("max_diameter_stenosis_percent", "max_area_stenosis_percent")
        return out | dict.fromkeys(same, nothing)
    at = int(np.nanargmax(stenosis))
    lumen = joined(g.lumen_mm for g in graded)
    reference = float(joined(g.lumen_reference_mm for g in graded)[at])
    narrowest = largest(-lumen[known & lesion])
    return out | {
        "max_diameter_stenosis_percent": float(stenosis[at]),
        "max_area_stenosis_percent": area_stenosis(float(lumen[at]), reference),
        "minimal_lumen_diameter_mm": None if narrowest is None else -narrowest,
        "minimal_lumen_area_mm2": None if narrowest is None else 0.25 * np.pi * narrowest**2,
        "reference_diameter_mm": reference,
    }


def _compositions(plaque: NDArray[np.float64], rules: Sequence[HuRule]) -> tuple[Composition, ...]:
    low, fatty, fibrous = (_exact(x) for x in (plaque[3], plaque[6], plaque[2] - plaque[6]))
    out = [Composition("network", _exact(plaque[4]), low + fatty + fibrous, low, fatty, fibrous)]
    for k, rule in enumerate(rules):
        part = [_exact(x) for x in plaque[COLUMNS + PER_RULE * k : COLUMNS + PER_RULE * (k + 1)]]
        out.append(Composition(rule.name, part[3], part[0] + part[1] + part[2], *part[:3]))
    return tuple(out)


def vessel_of(
    name: VesselName,
    segments: Sequence[SegmentMeasures],
    courses: Sequence[Course],
    status: Any,
) -> VesselMeasures:
    """Roll the segments of one vessel up; without any it is not analysable."""
    own = [s for s in segments if s.vessel == name]
    mine = [c for c in courses if c.profile.item.branch.vessel == name]
    if not own:
        return VesselMeasures("not_analysable")
    sums = _added(own)
    return VesselMeasures(
        status=status,
        **sums,
        pav_percent=percent(sums["plaque_mm3"], sums["vessel_mm3"]),
        **_worst(mine, [np.ones(len(c.inside), bool) for c in mine]),
        compositions=added_compositions([s.compositions for s in own]),
    )


def _added(parts: Sequence[VesselMeasures]) -> _Sums:
    total: Any = {key: float(sum(getattr(p, key) or 0.0 for p in parts)) for key in SUMMED}
    sums: _Sums = total
    return sums


def added_compositions(parts: Sequence[tuple[Composition, ...]]) -> tuple[Composition, ...]:
    """Add compositions rule by rule."""
    names = ("calcified", "noncalcified", "low_attenuation", "fibro_fatty", "fibrous")
    return tuple(
        Composition(
            same[0].rule, *(float(sum(getattr(c, f"{n}_mm3") for c in same)) for n in names)
        )
        for same in zip(*parts, strict=True)
    )


def percent(plaque: float, vessel: float) -> float | None:
    """Plaque in per cent of the vessel; ``None`` without a vessel."""
    return min(100.0 * plaque / vessel, 100.0) if vessel > 0 else None


def patient_of(
    vessels: dict[VesselName, VesselMeasures],
    segments: Sequence[SegmentMeasures],
    lesions: Sequence[Lesion],
) -> PatientMeasures:
    """Sum over the measured vessels, in the order of :data:`VESSELS`, and score the segments."""
    parts = [vessels[n] for n in VESSELS if vessels[n].status != "not_analysable"]
    lower_bound = any(vessels[n].status != "analysed" for n in VESSELS)
    if not parts:
        return PatientMeasures(lower_bound=True, missing_segments=scct.TRUNK)
    sums = _added(parts)
    pav = percent(sums["plaque_mm3"], sums["vessel_mm3"])
    grades = grades_of(segments)
    seen = {s.number for s in segments}
    missing = tuple(n for n in scct.TRUNK if n not in seen)
    stenoses = [p.max_diameter_stenosis_percent for p in parts]
    features = [sum(f.present is True for f in x.features) for x in lesions]
    return PatientMeasures(
        **sums,
        pav_percent=pav,
        plaque_stage=scores.plaque_stage(sums["plaque_mm3"]),
        max_diameter_stenosis_percent=max((v for v in stenoses if v is not None), default=None),
        lower_bound=lower_bound,
        pav_stage=None if pav is None else scores.pav_stage(pav),
        coverage_percent=100.0 * (1.0 - len(missing) / len(scct.TRUNK)),
        missing_segments=missing,
        segment_involvement_score=scores.segment_involvement(grades),
        segment_stenosis_score=scores.segment_stenosis(grades),
        cad_rads=scores.cad_rads(
            grades,
            complete=not lower_bound and not missing,
            high_risk_plaque=max(features, default=0) >= MIN_FEATURES,
        ),
        compositions=added_compositions([p.compositions for p in parts]),
    )


def grades_of(segments: Sequence[SegmentMeasures]) -> list[scores.Grade]:
    """Plaque and stenosis of each segment, for the scores.

    Without plaque that counts, a narrowing below 25 % is within what a healthy vessel varies by.
    """
    grades = []
    for s in segments:
        plaque = (s.plaque_mm3 or 0.0) >= INVOLVED_MM3
        stenosis = s.max_diameter_stenosis_percent
        slight = stenosis is not None and stenosis < scores.MILD
        grades.append(scores.Grade(s.vessel, plaque, 0.0 if slight and not plaque else stenosis))
    return grades


def profile_of(course: Course) -> BranchProfile:
    """Keep every cross-section of a branch: what compares two studies place by place."""
    item, graded = course.profile.item, course.graded
    volume = course.profile.volume_mm3
    plaque = np.where(course.inside[:, None], volume, 0.0)
    values = {
        "calcified_mm3": plaque[:, 4],
        "noncalcified_mm3": plaque[:, 2] + plaque[:, 3],
        "low_attenuation_mm3": plaque[:, 3],
        "fibro_fatty_mm3": plaque[:, 6],
        "fibrous_mm3": plaque[:, 2] - plaque[:, 6],
        "plaque_mm3": plaque[:, 2:5].sum(axis=1),
        "lumen_mm3": volume[:, 0],
        "vessel_mm3": volume[:, :5].sum(axis=1),
        "lumen_diameter_mm": graded.lumen_mm,
        "lumen_reference_mm": graded.lumen_reference_mm,
        "outer_diameter_mm": graded.outer_mm,
        "outer_reference_mm": graded.outer_reference_mm,
        "diameter_stenosis_percent": graded.stenosis_percent(),
    }
    excluded = course.segment == scct.EXCLUDED
    if excluded.any():
        values = {name: np.where(excluded, np.nan, v) for name, v in values.items()}
    branch = item.branch
    return BranchProfile(
        branch.name, branch.vessel, item.step_mm, item.centers_mm, course.segment, values
    )


def not_measured(tree: CoronaryTree, courses: Sequence[Course]) -> tuple[Reason, ...]:
    """Name what of the input can't be measured though it looks like a vessel."""
    flat = [
        Reason(
            "BRANCH_ZERO_LENGTH",
            f"{b.name} has no length and was not measured.",
            "Look at the vessel tree; its vessel is told as partial.",
        )
        for b in tree.branches
        if not b.length_mm > 0
    ]
    dark = []
    for c in courses:
        step = c.profile.item.step_mm
        for start, stop in runs(c.graded.lost):
            if (stop - start) * step >= LOST_MM:
                where = f"from {start * step:.0f} to {stop * step:.0f} mm"
                dark.append(
                    Reason(
                        "LUMEN_NOT_SEEN",
                        f"{c.profile.item.branch.name}: no lumen is seen {where}.",
                        "Look there: an occlusion, motion, or a line that left the vessel. "
                        "It was not graded.",
                    )
                )
    return (*flat, *dark)
