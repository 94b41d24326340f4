"""The quality gate: is this scan good enough for plaque volumes.

Each check is one line with its value, its limits and what to do. Nothing is measured again
here: the aorta's HU and the tree come from the segmentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from plaque_edge import quality_limits as limit
from plaque_edge.kernels import classify
from plaque_edge.types import VESSELS, CoronaryTree, Level, QcCheck, SeriesFiles, Volume

if TYPE_CHECKING:
    from collections.abc import Sequence

Verdict = Literal["diagnostic", "limited", "non_diagnostic"]

MINOR = frozenset({"QC_PHASE", "QC_KVP", "QC_FIELD", "QC_CONTRAST", "QC_KERNEL_UNKNOWN"})
"""Warnings of these alone don't limit a scan, until :data:`MINOR_LIMIT` of them meet."""
MINOR_LIMIT = 3
_INFORMATION = frozenset({"SERIES_SLICE_COPY"})
_RECONSTRUCT = "Reconstruct the scan again with thinner slices, a smaller field or another kernel."
_REPEAT = "Ask the cardiologist whether the scan can be used; see the acquisition protocol."


def check_header(series: SeriesFiles) -> tuple[QcCheck, ...]:
    """Return what the header says of the technique: spacing, pixel, kernel, kVp, phase, notes."""
    info, (dz, dy, dx) = series.info, series.spacing_zyx_mm
    rows, columns = series.shape_zyx[1:]
    return (
        _at_most("QC_SPACING", dz, "slice spacing", _SLICE),
        _at_most("QC_THICKNESS", info.slice_thickness_mm, "slice thickness", _SLICE),
        _at_most("QC_PIXEL", max(dy, dx), "pixel spacing", _PIXEL),
        _at_least("QC_FIELD", min(rows * dy, columns * dx), "field of view", _FIELD),
        _at_least("QC_COVERAGE", series.shape_zyx[0] * dz, "scan length", _COVERAGE),
        _kernel(info.kernel),
        _within("QC_KVP", info.kvp, "tube voltage", "kV", (limit.KVP_PASS, limit.KVP_LIMIT)),
        _phase(info.phase_percent, info.series_description),
        *(_note(reason.code, reason.text, reason.next_step) for reason in series.notes),
    )


def check_image(
    volume: Volume, tree: CoronaryTree | None, aorta_hu: tuple[float, float] | None
) -> tuple[QcCheck, ...]:
    """Return what the image itself says: contrast, noise, clipping at the edges, the tree.

    ``aorta_hu`` is mean and standard deviation in the aortic root, ``None`` when it wasn't
    found. Without a ``tree`` only contrast and noise are judged.
    """
    mean, noise = (None, None) if aorta_hu is None else aorta_hu
    contrast = _within(
        "QC_CONTRAST", mean, "aortic root", "HU", (limit.AORTA_PASS_HU, limit.AORTA_LIMIT_HU)
    )
    if mean is not None and mean > limit.AORTA_LIMIT_HU[1]:
        # Too bright hides calcium but still shows the lumen: a person decides.
        contrast = _with_level(contrast, "warn")
    checks = [contrast, _at_most("QC_NOISE", noise, "noise in the aortic root", _NOISE)]
    if tree is not None:
        checks += [_vessels(tree), _tree_length(tree), _tree_edge(volume, tree)]
    return tuple(checks)


def check_coverage(cut_sides: Sequence[str]) -> QcCheck:
    """Return whether the heart touches the edge of the scan; sides such as "feet", "left".

    At the head every coronary CTA ends in the great vessels, so that side doesn't count: a
    coronary artery that runs out there is told by QC_TREE_EDGE.
    """
    limits = "pass when the heart is inside at all sides but the head; warn where it is cut"
    counted = [side for side in cut_sides if side != "head"]
    if not counted:
        text = "The heart lies inside the scan."
        return QcCheck("QC_HEART_CUT", "pass", "none", limits, text)
    sides = ", ".join(counted)
    text = f"The heart is cut at: {sides}. Vessels may end too early there."
    next_step = "Reconstruct a larger field, or read the volumes as lower bounds."
    return QcCheck("QC_HEART_CUT", "warn", sides, limits, text, next_step)


def verdict(checks: Sequence[QcCheck]) -> Verdict:
    """Return the worst of all checks; a few minor warnings still make a diagnostic scan."""
    if any(c.level == "refuse" for c in checks):
        return "non_diagnostic"
    warned = [c.code for c in checks if c.level == "warn"]
    minor = [code for code in warned if code in MINOR]
    if len(warned) > len(minor) or len(minor) >= MINOR_LIMIT:
        return "limited"
    return "diagnostic"


_SLICE = (limit.SPACING_WARN_MM, limit.SPACING_REFUSE_MM, "mm")
_PIXEL = (limit.PIXEL_WARN_MM, limit.PIXEL_REFUSE_MM, "mm")
_FIELD = (limit.FIELD_WARN_MM, limit.FIELD_REFUSE_MM, "mm")
_COVERAGE = (limit.COVERAGE_WARN_MM, limit.COVERAGE_REFUSE_MM, "mm")
_NOISE = (limit.NOISE_WARN_HU, limit.NOISE_REFUSE_HU, "HU")
_ROUNDING = 1e-3
_Limits = tuple[float, float, str]


def _at_most(code: str, value: float | None, what: str, limits: _Limits) -> QcCheck:
    warn, refuse, unit = limits
    text = f"pass up to {warn:g} {unit}, refused above {refuse:g} {unit}"
    if value is None:
        return _unknown(code, what, text)
    level: Level = "pass" if value <= warn + _ROUNDING else "warn"
    return _line(code, "refuse" if value > refuse + _ROUNDING else level, value, what, (text, unit))


def _at_least(code: str, value: float | None, what: str, limits: _Limits) -> QcCheck:
    warn, refuse, unit = limits
    text = f"pass from {warn:g} {unit}, refused below {refuse:g} {unit}"
    if value is None:
        return _unknown(code, what, text)
    level: Level = "pass" if value >= warn - _ROUNDING else "warn"
    return _line(code, "refuse" if value < refuse - _ROUNDING else level, value, what, (text, unit))


def _within(
    code: str,
    value: float | None,
    what: str,
    unit: str,
    ranges: tuple[tuple[float, float], tuple[float, float]],
) -> QcCheck:
    (low, high), (lowest, highest) = ranges
    text = f"pass {low:g} to {high:g} {unit}, refused outside {lowest:g} to {highest:g} {unit}"
    if value is None:
        return _unknown(code, what, text)
    level: Level = "pass" if low <= value <= high else "warn"
    if not lowest <= value <= highest:
        level = "refuse"
    return _line(code, level, value, what, (text, unit))


def _line(
    code: str, level: Level, value: float, what: str, limits_unit: tuple[str, str]
) -> QcCheck:
    limits, unit = limits_unit
    state = {"pass": "in order", "warn": "outside the usual range", "refuse": "out of bounds"}
    text = f"The {what} of {value:.3g} {unit} is {state[level]}."
    next_step = "" if level == "pass" else _REPEAT if unit in ("HU", "kV") else _RECONSTRUCT
    return QcCheck(code, level, round(float(value), 4), limits, text, next_step)


def _unknown(code: str, what: str, limits: str) -> QcCheck:
    """Return a warning for what could not be known; it never counts as zero."""
    return QcCheck(code, "warn", None, limits, f"The {what} is not known.", "Check the scan.")


def _with_level(check: QcCheck, level: Level) -> QcCheck:
    return QcCheck(check.code, level, check.value, check.limits, check.text, check.next_step)


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
    return QcCheck("QC_KERNEL", level, kernel, limits, f"Kernel {kernel} is {what}.", _RECONSTRUCT)


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


def _vessels(tree: CoronaryTree) -> QcCheck:
    found = [v for v in VESSELS if v not in tree.missing and _has(tree, v)]
    limits = f"pass with all four, refused below {limit.MIN_MAIN_VESSELS}"
    level: Level = "pass" if len(found) == len(VESSELS) else "warn"
    if len(found) < limit.MIN_MAIN_VESSELS:
        level = "refuse"
    absent = ", ".join(v for v in VESSELS if v not in found)
    text = f"Not found: {absent}." if absent else "All four main vessels were found."
    next_step = "" if level == "pass" else "Look at the vessel tree; anatomy may vary."
    return QcCheck("QC_TREE_VESSELS", level, float(len(found)), limits, text, next_step)


def _has(tree: CoronaryTree, vessel: str) -> bool:
    return any(b.vessel == vessel for b in tree.branches)


def _tree_length(tree: CoronaryTree) -> QcCheck:
    total = sum(b.length_mm for b in tree.branches)
    ranges = (limit.LENGTH_PASS_MM, limit.LENGTH_WARN_MM)
    return _within("QC_TREE_LENGTH", total, "length of the coronary tree", "mm", ranges)


def _tree_edge(volume: Volume, tree: CoronaryTree) -> QcCheck:
    """Say whether a vessel runs out of the image, so that the scan cut the heart."""
    edge_mm = 1.5
    top = [(n - 1) * s for n, s in zip(volume.shape_zyx, volume.spacing_zyx_mm, strict=True)]
    cut = 0
    for branch in tree.branches:
        place = branch.points_mm - volume.origin_zyx_mm
        cut += bool(((place < edge_mm) | (place > [t - edge_mm for t in top])).any())
    limits = "pass when no vessel runs out of the image"
    if cut == 0:
        return QcCheck("QC_TREE_EDGE", "pass", 0.0, limits, "All vessels lie inside the image.")
    text = f"{cut} vessel{'s run' if cut > 1 else ' runs'} out of the image."
    return QcCheck("QC_TREE_EDGE", "warn", float(cut), limits, text, "Reconstruct a larger field.")
