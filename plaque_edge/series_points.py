"""The points that rank candidate series, each with a sentence a technologist understands.

``docs/series-choice.md`` has the table. The weights are a written convention, not a fit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plaque_edge.kernels import classify
from plaque_edge.quality.limits import DEFAULT as LIMITS
from plaque_edge.types import Criterion

if TYPE_CHECKING:
    from plaque_edge.series_content import Content
    from plaque_edge.types import SeriesFiles, SeriesInfo

_DIASTOLE = re.compile(r"dias|\b(?:7[0-9]|80) ?%", re.IGNORECASE)
_SYSTOLE = re.compile(r"syst|\b(?:3[0-9]|4[0-5]) ?%", re.IGNORECASE)
_KERNEL = {"vascular": 1.0, "unknown": 0.6, "sharp": 0.2, "lung_bone": 0.0}
_UNKNOWN = 0.5
"""Share of the points for what the series does not show: between good and bad."""
_EDGE_MM = 0.4, 1.2
"""Edges of small vessels: as sharp as a vascular kernel makes them; twice smeared by motion."""
_STATED = 0.2
"""Share of the contrast points for a header that names the contrast agent."""


def criteria(series: SeriesFiles, content: Content) -> tuple[Criterion, ...]:
    """Return what the series earns, 100 points at most."""
    info, (dz, dy, dx) = series.info, series.spacing_zyx_mm
    thick, length = max(dz, info.slice_thickness_mm or dz), dz * series.shape_zyx[0]
    kernel = classify(info.kernel)
    return (
        _mark("slices", 20, (LIMITS.spacing_refuse_mm - thick) / 0.5, f"{thick:.2f} mm thick"),
        _mark("kernel", 15, _KERNEL[kernel], f"{info.kernel or 'not stated'} ({kernel})"),
        _mark("phase", 15, phase_share(info.phase_percent, info.series_description), _phase(info)),
        _contrast(info, content.blood_hu),
        _noise(content.noise_hu),
        _sharpness(content.edge_mm),
        _coverage(length, content.heart_cut),
        _mark("pixel", 5, (LIMITS.pixel_refuse_mm - max(dy, dx)) / 0.25, f"{max(dy, dx):.2f} mm"),
        _mark("original", 5, float(info.image_type[:1] != ("DERIVED",)), _original(info)),
    )


def phase_share(phase_percent: float | None, description: str) -> float:
    """Return the share of the phase's points: diastole (70 to 80 % of RR) 1, end systole 0.7."""
    if phase_percent is not None:
        if 70.0 <= phase_percent <= 80.0:
            return 1.0
        return 0.7 if 30.0 <= phase_percent <= 45.0 else 0.2
    if _DIASTOLE.search(description):
        return 0.95
    return 0.65 if _SYSTOLE.search(description) else 0.5


def _mark(what: str, most: int, share: float, text: str) -> Criterion:
    return Criterion(what, round(most * min(1.0, max(0.0, share)), 1), most, text)


def _phase(info: SeriesInfo) -> str:
    if info.phase_percent is None:
        return "phase not stated"
    return f"{info.phase_percent:.0f} % of the RR interval"


def _original(info: SeriesInfo) -> str:
    return "called derived" if info.image_type[:1] == ("DERIVED",) else "not called derived"


def _contrast(info: SeriesInfo, blood_hu: float | None) -> Criterion:
    stated = _STATED if info.contrast_agent else 0.0
    named = "" if stated else ", no contrast agent stated"
    if blood_hu is None:
        return _mark("contrast", 15, stated, "no bright blood found" + named)
    low, high = LIMITS.aorta_pass_hu
    lowest, highest = LIMITS.aorta_limit_hu
    off = (
        (low - blood_hu) / (low - lowest)
        if blood_hu < low
        else (blood_hu - high) / (highest - high)
    )
    share = (1.0 - _STATED) * (1.0 - max(0.0, min(1.0, off))) + stated
    return _mark("contrast", 15, share, f"blood {blood_hu:.0f} HU" + named)


def _noise(noise_hu: float | None) -> Criterion:
    if noise_hu is None:
        return _mark("noise", 10, _UNKNOWN, "not known")
    share = (LIMITS.noise_refuse_hu - noise_hu) / (LIMITS.noise_refuse_hu - 15.0)
    return _mark("noise", 10, share, f"{noise_hu:.0f} HU")


def _sharpness(edge_mm: float | None) -> Criterion:
    if edge_mm is None:
        return _mark("sharpness", 10, _UNKNOWN, "too few vessels seen to judge motion")
    sharp, smeared = _EDGE_MM
    share = (smeared - edge_mm) / (smeared - sharp)
    return _mark("sharpness", 10, share, f"edges of small vessels {edge_mm:.2f} mm wide")


def _coverage(length_mm: float, cut: bool | None) -> Criterion:
    share = (length_mm - LIMITS.coverage_refuse_mm) / LIMITS.coverage_refuse_mm
    text = f"{length_mm:.0f} mm long"
    if cut:
        return _mark("coverage", 5, min(share, 1.0) * 0.3, text + ", the heart seems cut")
    return _mark("coverage", 5, share, text)
