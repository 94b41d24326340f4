"""The rule that chooses the best coronary CTA; ``docs/series-choice.md`` says it in words.

Hard exclusions first, each with a code; then points; ties are broken by series number and
UID, so the same folder always gives the same choice. A person may take another candidate.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plaque_edge.errors import PlaqueEdgeError, Refused
from plaque_edge.kernels import classify
from plaque_edge.quality.limits import DEFAULT, ENHANCED_HU, Limits
from plaque_edge.series_content import Content, look_at
from plaque_edge.series_points import criteria
from plaque_edge.types import Candidate, Reason, RejectedSeries, SeriesFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROUNDING_MM = 1e-3
_NEXT = "Export the thin axial reconstruction of the coronary CTA."
_CALCIUM = re.compile(r"calcium|ca[ _-]?scor|\bcacs?\b|agatston|smart ?score", re.IGNORECASE)
_PLAIN = re.compile(
    r"non[ _-]?contrast|without contrast|unenhanced|\bplain\b|\bnativ\w*|\bw/?o\b|true ?non", re.I
)
_MATERIAL = re.compile(r"\bvnc\b|iodine|\beffective z\b|\brho\b|virtual non|overlay map", re.I)
FAULTS = frozenset(
    "PATIENTS_MIXED PIXELS_TRUNCATED SERIES_SLICE_MISSING SERIES_SLICE_DUPLICATE GANTRY_TILT "
    "SERIES_SPACING_UNEVEN SYNTAX_UNSUPPORTED PIXELS_UNREADABLE PIXELS_8BIT".split()
)
"""Faults of a series that could have been the one: they are named instead of NO_CORONARY_CTA."""
_ASKED_FOR = Reason("OTHER_CHOSEN", "Another series was asked for by its UID.")
_DIFFERENCES = 3
"""The largest differences that are told of a series that fits but was not chosen."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen series, a sentence with the numbers that chose it, and all the others.

    ``candidates`` are all that fit, best first. ``looking_ms`` is what looking into their
    pixels took.
    """

    series: SeriesFiles
    because: str
    rejected: tuple[RejectedSeries, ...]
    candidates: tuple[Candidate, ...] = ()
    looking_ms: float = 0.0


class SeriesRefused(Refused):
    """No series can be analysed. ``reasons`` has the main one first, then each series' own."""

    def __init__(
        self,
        reasons: Sequence[Reason],
        rejected: Sequence[RejectedSeries] = (),
        candidates: Sequence[Candidate] = (),
    ) -> None:
        super().__init__(reasons[0].code, reasons[0].text, reasons[0].next_step)
        self.reasons = tuple(reasons)
        self.rejected = tuple(rejected)
        self.candidates = tuple(candidates)


@dataclass(frozen=True, slots=True)
class _Rated:
    series: SeriesFiles
    candidate: Candidate

    @property
    def rank(self) -> tuple[float, float, str, tuple[str, ...]]:
        info = self.series.info
        number = float("inf") if info.series_number is None else info.series_number
        return (
            -self.candidate.points, number, info.series_instance_uid,
            self.series.sop_instance_uids,
        )  # fmt: skip


def choose_among(
    found: Sequence[SeriesFiles],
    rejected: Sequence[RejectedSeries],
    wanted_uid: str | None = None,
    limits: Limits = DEFAULT,
) -> Choice:
    """Return the series with the most points, or the one that a person wants.

    ``wanted_uid`` is a series UID, or the UID of any image of the stack wanted. Raises
    :class:`SeriesRefused`.
    """
    began = time.perf_counter()
    losers = list(rejected)
    rated: list[_Rated] = []
    if wanted_uid is not None:
        found, others = _same_study(found, wanted_uid)
        losers += [_reject(s, [_ASKED_FOR]) for s in others]
    stacks = Counter(s.info.series_instance_uid for s in found)
    for series in found:
        reasons, content = exclusions(series, limits)
        if reasons:
            losers.append(_reject(series, reasons))
        else:
            several = stacks[series.info.series_instance_uid] > 1
            rated.append(_Rated(series, _candidate(series, content, several)))
    rated.sort(key=lambda r: r.rank)
    ordered = rated
    if wanted_uid is not None:
        _must_be_there(wanted_uid, found, losers, rated)
        ordered = sorted(rated, key=lambda r: not _is(r.series, wanted_uid))
    if not ordered:
        raise _refusal(losers)
    best = ordered[0]
    for other in rated:
        if other is not best:
            losers.append(_reject(other.series, [_worse(other, best, wanted_uid)]))
    marked = tuple(replace(r.candidate, chosen=r is best) for r in rated)
    because = _because(best, rated, wanted_uid)
    looking_ms = 1000.0 * (time.perf_counter() - began)
    return Choice(best.series, because, tuple(losers), marked, round(looking_ms, 1))


def _same_study(
    found: Sequence[SeriesFiles], uid: str
) -> tuple[list[SeriesFiles], list[SeriesFiles]]:
    """Split off the series of other studies, which are no alternative and are not looked at."""
    studies = {s.info.study_instance_uid for s in found if _is(s, uid)}
    same = [s for s in found if not studies or s.info.study_instance_uid in studies]
    return same, [s for s in found if s not in same]


def take_uid(series: SeriesFiles, several: bool) -> str:
    """Return what a person names to take this stack; see :class:`plaque_edge.types.Candidate`."""
    if not several or not series.sop_instance_uids:
        return series.info.series_instance_uid
    file, frame = series.frames[0] if series.frames else (0, -1)
    uid = series.sop_instance_uids[file]
    return uid if frame < 0 else f"{uid}#{frame + 1}"


def _is(series: SeriesFiles, uid: str) -> bool:
    mine = (series.info.series_instance_uid, take_uid(series, several=True))
    return uid in mine or (not series.frames and uid in series.sop_instance_uids)


def _candidate(series: SeriesFiles, content: Content, several: bool) -> Candidate:
    marks = criteria(series, content)
    return Candidate(
        take_uid(series, several), series.info, len(series.files), series.shape_zyx,
        series.spacing_zyx_mm, round(sum(m.points for m in marks), 1), marks,
    )  # fmt: skip


def exclusions(series: SeriesFiles, limits: Limits = DEFAULT) -> tuple[list[Reason], Content]:
    """Return every reason why a series is not a coronary CTA, and what its pixels show.

    Pixels of a few slices are looked at, since tags often don't say whether contrast ran.
    """
    reasons = technique_reasons(series, limits)
    try:
        content = look_at(series)
    except PlaqueEdgeError as error:
        return [*reasons, error.reason], Content(None)
    blood = content.blood_hu
    if blood is None or blood < ENHANCED_HU:
        found = "no large bright vessel" if blood is None else f"blood of about {blood:.0f} HU"
        text = f"It shows {found}; with contrast the aorta has {ENHANCED_HU:.0f} HU or more."
        reasons.append(Reason("NOT_ENHANCED", text, "Export the scan with contrast."))
    return reasons, content


def technique_reasons(series: SeriesFiles, limits: Limits = DEFAULT) -> list[Reason]:
    """Return what speaks against a series by its headers alone."""
    info, (dz, dy, dx) = series.info, series.spacing_zyx_mm
    words = f"{info.series_description} {' '.join(info.image_type)}"
    thick = max(dz, info.slice_thickness_mm or 0.0)
    length, pixel = dz * series.shape_zyx[0], max(dy, dx)
    reasons = []
    if _CALCIUM.search(words):
        reasons.append(Reason("CALCIUM_SCORE", "Its name says calcium score.", _NEXT))
    if _PLAIN.search(words) and not info.contrast_agent:
        reasons.append(Reason("NOT_ENHANCED", "Its name says without contrast.", _NEXT))
    if _MATERIAL.search(words):
        reasons.append(Reason("MATERIAL_MAP", "It is a material map, not plain HU.", _NEXT))
    if thick > limits.spacing_refuse_mm + _ROUNDING_MM:
        text = f"Its slices are {thick:.2f} mm thick or apart (limit {limits.spacing_refuse_mm})."
        reasons.append(Reason("SLICES_TOO_THICK", text, _NEXT))
    if pixel > limits.pixel_refuse_mm + _ROUNDING_MM:
        text = f"Its pixels are {pixel:.2f} mm wide (limit {limits.pixel_refuse_mm})."
        reasons.append(Reason("PIXELS_TOO_COARSE", text, _NEXT))
    if length < limits.coverage_refuse_mm:
        text = f"It covers {length:.0f} mm; a heart needs {limits.coverage_refuse_mm:.0f} mm."
        reasons.append(Reason("COVERAGE_TOO_SHORT", text, _NEXT))
    if classify(info.kernel) == "lung_bone":
        text = f"Its kernel {info.kernel} is for lung or bone."
        reasons.append(Reason("KERNEL_LUNG_BONE", text, _NEXT))
    return reasons


def _reject(series: SeriesFiles, reasons: Sequence[Reason]) -> RejectedSeries:
    return RejectedSeries(series.info, reasons[0], len(series.files), tuple(reasons[1:]))


def _must_be_there(
    uid: str,
    found: Sequence[SeriesFiles],
    losers: Sequence[RejectedSeries],
    rated: Sequence[_Rated],
) -> None:
    """Raise :class:`SeriesRefused` when what a person wants isn't there or doesn't fit."""
    if any(_is(r.series, uid) for r in rated):
        return
    candidates = [r.candidate for r in rated]
    named = {s.info.series_instance_uid for s in found if _is(s, uid)} | {uid}
    refused = [r for r in losers if r.info.series_instance_uid in named]
    if refused:
        raise SeriesRefused(_refusal(refused).reasons, losers, candidates)
    text = "The series asked for is not in the folder."
    reason = Reason("SERIES_NOT_FOUND", text, "Check the series UID.")
    raise SeriesRefused((reason,), losers, candidates)


def _worse(other: _Rated, best: _Rated, wanted_uid: str | None) -> Reason:
    """Say in which respects a series that fits is worse than the one that was chosen."""
    mine, its = other.candidate, best.candidate
    take = f"To take it: plaque-edge choose --out DIR {mine.uid}"
    if wanted_uid is not None:
        return replace(_ASKED_FOR, next_step=take)
    pairs = zip(mine.criteria, its.criteria, strict=True)
    less = sorted(((b.points - m.points, m, b) for m, b in pairs), key=lambda x: -x[0])
    told = [f"{m.what}: {m.text} against {b.text}" for gap, m, b in less[:_DIFFERENCES] if gap > 0]
    why = "; ".join(told) or "equal in all respects, and later in the list"
    text = f"It fits too, with {mine.points:.0f} points against {its.points:.0f}: {why}."
    return Reason("OTHER_CHOSEN", text, take)


def _refusal(losers: Sequence[RejectedSeries]) -> SeriesRefused:
    """Return the refusal for a folder in which nothing fits, the likeliest series first."""
    ordered = sorted(losers, key=lambda r: (r.reason.code not in FAULTS, -r.instances))
    every = [reason for series in ordered for reason in (series.reason, *series.also)]
    unique = list({r.code: r for r in reversed(every)}.values())[::-1]
    if ordered[0].reason.code in FAULTS:
        return SeriesRefused(unique, losers)
    what = "; ".join(f"{r.instances} images: {r.reason.code}" for r in ordered[:4])
    count = len(ordered)
    text = f"None of {count} series is a coronary CTA ({what})."
    if count == 1:
        text = "The series is not a coronary CTA: " + " ".join(r.text for r in unique)
    return SeriesRefused((Reason("NO_CORONARY_CTA", text, _NEXT), *unique), losers)


def _because(best: _Rated, rated: Sequence[_Rated], wanted_uid: str | None) -> str:
    mine = best.candidate
    lead = "the only series that fits" if len(rated) == 1 else f"the best of {len(rated)} series"
    if wanted_uid is not None:
        place = 1 + [r is best for r in rated].index(True)
        lead = f"taken by a person, number {place} of {len(rated)}"
    parts = ", ".join(f"{m.what} {m.text}" for m in mine.criteria)
    return f"It is {lead}, with {mine.points:.0f} of 100 points: {parts}."
