"""What the header says of the technique: spacing, pixel, field, kernel, kVp, phase, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plaque_edge.kernels import classify
from plaque_edge.quality.lines import RECONSTRUCT, REPEAT, Subject, at_least, at_most, within
from plaque_edge.types import Level, QcCheck

if TYPE_CHECKING:
    from plaque_edge.quality.limits import Limits
    from plaque_edge.types import SeriesFiles

_SPACING = Subject("QC_SPACING", "slice spacing", "mm", RECONSTRUCT)
_THICKNESS = Subject("QC_THICKNESS", "slice thickness", "mm", RECONSTRUCT)
_PIXEL = Subject("QC_PIXEL", "pixel spacing", "mm", RECONSTRUCT)
_FIELD = Subject("QC_FIELD", "field of view", "mm", RECONSTRUCT)
_COVERAGE = Subject("QC_COVERAGE", "scan length", "mm", RECONSTRUCT)
_KVP = Subject("QC_KVP", "tube voltage", "kV", REPEAT)
_INFORMATION = frozenset({"SERIES_SLICE_COPY"})


def technique(series: SeriesFiles, limits: Limits) -> tuple[QcCheck, ...]:
    """Return a line for each property that the header states or ought to."""
    info, (dz, dy, dx) = series.info, series.spacing_zyx_mm
    slices, rows, columns = series.shape_zyx
    field = min(rows * dy, columns * dx)
    thin = limits.spacing_warn_mm, limits.spacing_refuse_mm
    return (
        at_most(_SPACING, dz, *thin),
        at_most(_THICKNESS, info.slice_thickness_mm, *thin),
        at_most(_PIXEL, max(dy, dx), limits.pixel_warn_mm, limits.pixel_refuse_mm),
        at_least(_FIELD, field, limits.field_warn_mm, limits.field_refuse_mm),
        at_least(_COVERAGE, slices * dz, limits.coverage_warn_mm, limits.coverage_refuse_mm),
        _kernel(info.kernel),
        within(_KVP, info.kvp, limits.kvp_pass, limits.kvp_limit),
        _phase(info.phase_percent, info.series_description),
        *(_note(reason.code, reason.text, reason.next_step) for reason in series.notes),
    )


def _kernel(kernel: str) -> QcCheck:
    limits = "pass smooth or medium vascular, warn sharp or unknown, refused lung or bone"
    kind = classify(kernel)
    if kind == "vascular":
        return QcCheck("QC_KERNEL", "pass", kernel, limits, f"Kernel {kernel} is vascular.")
    if kind == "unknown":
        text = f"Kernel {kernel or 'not stated'} is not known here."
        return QcCheck("QC_KERNEL_UNKNOWN", "warn", kernel or None, limits, text, "Check it.")
    level: Level = "warn" if kind == "sharp" else "refuse"
    what = "sharp, which lowers plaque volumes" if kind == "sharp" else "for lung or bone"
    return QcCheck("QC_KERNEL", level, kernel, limits, f"Kernel {kernel} is {what}.", RECONSTRUCT)


def _phase(phase_percent: float | None, description: str) -> QcCheck:
    limits = "pass when the cardiac phase is stated"
    words = description.upper()
    if phase_percent is not None:
        text = f"Reconstructed at {phase_percent:g} % of the RR interval."
        return QcCheck("QC_PHASE", "pass", phase_percent, limits, text)
    if "%" in words or "DIAST" in words or "SYST" in words:
        return QcCheck("QC_PHASE", "pass", None, limits, "The series name states the phase.")
    text = "No cardiac phase is stated; the scan may not be gated."
    return QcCheck("QC_PHASE", "warn", None, limits, text, "Look for steps and blurred vessels.")


def _note(code: str, text: str, next_step: str) -> QcCheck:
    return QcCheck(code, "pass" if code in _INFORMATION else "warn", None, "", text, next_step)
