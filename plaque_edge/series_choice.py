"""The rule that chooses the best coronary CTA; ``docs/series-choice.md`` says it in words.

Hard exclusions first, each with a code; then points; ties are broken by series number and
UID, so the same folder always gives the same choice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plaque_edge import quality_limits as limit
from plaque_edge.errors import PlaqueEdgeError, Refused
from plaque_edge.kernels import classify
from plaque_edge.series_content import blood_hu
from plaque_edge.types import Reason, RejectedSeries, SeriesFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROUNDING_MM = 1e-3
_NEXT = "Export the thin axial reconstruction of the coronary CTA."
_CALCIUM = re.compile(r"calcium|ca[ _-]?scor|\bcacs?\b|agatston|smart ?score", re.IGNORECASE)
_PLAIN = re.compile(
    r"non[ _-]?contrast|without contrast|unenhanced|\bplain\b|\bnativ\w*|\bw/?o\b|true ?non", re.I
)
_MATERIAL = re.compile(r"\bvnc\b|iodine|\beffective z\b|\brho\b|virtual non|overlay map", re.I)
_DIASTOLE = re.compile(r"dias|\b(?:7[0-9]|80) ?%", re.IGNORECASE)
_SYSTOLE = re.compile(r"syst|\b(?:3[0-9]|4[0-5]) ?%", re.IGNORECASE)
FAULTS = frozenset(
    "PATIENTS_MIXED PIXELS_TRUNCATED SERIES_SLICE_MISSING SERIES_SLICE_DUPLICATE GANTRY_TILT "
    "SERIES_SPACING_UNEVEN SYNTAX_UNSUPPORTED PIXELS_UNREADABLE PIXELS_8BIT".split()
)
"""Faults of a series that could have been the one: they are named instead of NO_CORONARY_CTA."""
_KERNEL_POINTS = {"vascular": 25.0, "unknown": 15.0, "sharp": 5.0, "lung_bone": 0.0}


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen series, a sentence with the numbers that chose it, and all the others."""

    series: SeriesFiles
    because: str
    rejected: tuple[RejectedSeries, ...]


class SeriesRefused(Refused):
    """No series can be analysed. ``reasons`` has the main one first, then each series' own."""

    def __init__(self, reasons: Sequence[Reason], rejected: Sequence[RejectedSeries] = ()) -> None:
        super().__init__(reasons[0].code, reasons[0].text, reasons[0].next_step)
        self.reasons = tuple(reasons)
        self.rejected = tuple(rejected)


@dataclass(frozen=True, slots=True)
class _Rated:
    series: SeriesFiles
    points: float
    blood: float | None

    @property
    def rank(self) -> tuple[float, float, str, tuple[str, ...]]:
        info = self.series.info
        number = float("inf") if info.series_number is None else info.series_number
        return -self.points, number, info.series_instance_uid, self.series.sop_instance_uids


def choose_among(
    candidates: Sequence[SeriesFiles],
    rejected: Sequence[RejectedSeries],
    wanted_uid: str | None = None,
) -> Choice:
    """Return the candidate with the most points. Raises :class:`SeriesRefused`."""
    if wanted_uid is not None:
        candidates, rejected = _only_wanted(candidates, rejected, wanted_uid)
    losers = list(rejected)
    rated: list[_Rated] = []
    for series in candidates:
        reasons, blood = exclusions(series)
        if reasons:
            losers.append(_reject(series, reasons))
        else:
            rated.append(_Rated(series, score(series), blood))
    if not rated:
        raise _refusal(losers)
    rated.sort(key=lambda r: r.rank)
    best = rated[0]
    for other in rated[1:]:
        text = f"It fits too, with {other.points:.0f} points against {best.points:.0f}."
        losers.append(_reject(other.series, [Reason("OTHER_CHOSEN", text)]))
    return Choice(best.series, _because(best, len(candidates) + len(rejected)), tuple(losers))


def exclusions(series: SeriesFiles) -> tuple[list[Reason], float | None]:
    """Return every reason why a series is not a coronary CTA, and the HU of its blood.

    Pixels of a few slices are looked at, since tags often don't say whether contrast ran.
    """
    reasons = _technique_reasons(series)
    try:
        blood = blood_hu(series)
    except PlaqueEdgeError as error:
        return [*reasons, error.reason], None
    if blood is None or blood < limit.ENHANCED_HU:
        found = "no large bright vessel" if blood is None else f"blood of about {blood:.0f} HU"
        text = f"It shows {found}; with contrast the aorta has {limit.ENHANCED_HU:.0f} HU or more."
        reasons.append(Reason("NOT_ENHANCED", text, "Export the scan with contrast."))
    return reasons, blood


def _technique_reasons(series: SeriesFiles) -> list[Reason]:
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
    if thick > limit.SPACING_REFUSE_MM + _ROUNDING_MM:
        text = f"Its slices are {thick:.2f} mm thick or apart (limit {limit.SPACING_REFUSE_MM})."
        reasons.append(Reason("SLICES_TOO_THICK", text, _NEXT))
    if pixel > limit.PIXEL_REFUSE_MM + _ROUNDING_MM:
        text = f"Its pixels are {pixel:.2f} mm wide (limit {limit.PIXEL_REFUSE_MM})."
        reasons.append(Reason("PIXELS_TOO_COARSE", text, _NEXT))
    if length < limit.COVERAGE_REFUSE_MM:
        text = f"It covers {length:.0f} mm; a heart needs {limit.COVERAGE_REFUSE_MM:.0f} mm."
        reasons.append(Reason("COVERAGE_TOO_SHORT", text, _NEXT))
    if classify(info.kernel) == "lung_bone":
        text = f"Its kernel {info.kernel} is for lung or bone."
        reasons.append(Reason("KERNEL_LUNG_BONE", text, _NEXT))
    return reasons


def score(series: SeriesFiles) -> float:
    """Return the points of a series: spacing 30, kernel 25, phase 20, contrast, length, pixel."""
    info, (dz, dy, dx) = series.info, series.spacing_zyx_mm
    length = dz * series.shape_zyx[0]
    return (
        30.0 * _between((limit.SPACING_REFUSE_MM - max(dz, info.slice_thickness_mm or dz)) / 0.5)
        + _KERNEL_POINTS[classify(info.kernel)]
        + phase_points(info.phase_percent, info.series_description)
        + (10.0 if info.contrast_agent else 5.0)
        + 10.0 * _between((length - limit.COVERAGE_REFUSE_MM) / limit.COVERAGE_REFUSE_MM)
        + 10.0 * _between((limit.PIXEL_REFUSE_MM - max(dy, dx)) / 0.25)
        - (5.0 if info.image_type[:1] == ("DERIVED",) else 0.0)
    )


def phase_points(phase_percent: float | None, description: str) -> float:
    """Return 20 points for diastole (70 to 80 % of the RR interval), 14 for end systole."""
    if phase_percent is not None:
        if 70.0 <= phase_percent <= 80.0:
            return 20.0
        return 14.0 if 30.0 <= phase_percent <= 45.0 else 4.0
    if _DIASTOLE.search(description):
        return 19.0
    return 13.0 if _SYSTOLE.search(description) else 10.0


def _between(value: float) -> float:
    return min(1.0, max(0.0, value))


def _reject(series: SeriesFiles, reasons: Sequence[Reason]) -> RejectedSeries:
    return RejectedSeries(series.info, reasons[0], len(series.files), tuple(reasons[1:]))


def _only_wanted(
    candidates: Sequence[SeriesFiles], rejected: Sequence[RejectedSeries], wanted_uid: str
) -> tuple[Sequence[SeriesFiles], Sequence[RejectedSeries]]:
    mine = [c for c in candidates if c.info.series_instance_uid == wanted_uid]
    refused = [r for r in rejected if r.info.series_instance_uid == wanted_uid]
    if not mine and not refused:
        text = "The series asked for is not in the folder."
        reason = Reason("SERIES_NOT_FOUND", text, "Check the series UID.")
        raise SeriesRefused((reason,), rejected)
    if not mine:
        raise _refusal(refused)
    other = Reason("OTHER_CHOSEN", "Another series was asked for by its UID.")
    rest = [_reject(c, [other]) for c in candidates if c not in mine]
    return mine, [*rejected, *rest]


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


def _because(best: _Rated, count: int) -> str:
    info, (dz, dy, _) = best.series.info, best.series.spacing_zyx_mm
    parts = [f"spacing {dz:.2f} mm", f"pixel {dy:.2f} mm"]
    parts.append(f"length {dz * best.series.shape_zyx[0]:.0f} mm")
    parts.append(f"kernel {info.kernel or 'not stated'}")
    phase = "not stated" if info.phase_percent is None else f"{info.phase_percent:.0f} %"
    parts.append(f"phase {phase}")
    if best.blood is not None:
        parts.append(f"blood about {best.blood:.0f} HU")
    lead = "the only series" if count == 1 else f"the best of {count} series"
    return f"It is {lead}, with {best.points:.0f} of 105 points: {', '.join(parts)}."
