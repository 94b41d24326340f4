"""Values out of a DICOM dataset, forgiving of what real scanners write.

Nothing here raises for a malformed value: a value that can't be read is a value the
header does not say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

from plaque_edge.types import SeriesInfo

MAX_AGE_YEARS = 120.0
MAX_SLOPE, MAX_INTERCEPT = 100.0, 1e5
"""Beyond these no 16-bit value means Hounsfield units."""


@dataclass(frozen=True, slots=True)
class FrameGeometry:
    """Where one frame lies, and what sets it apart from its neighbours.

    ``position_mm`` (x, y, z) is the centre of the first stored pixel and ``orientation``
    the six direction cosines, both LPS (PS3.3 C.7.6.2.1.1); ``spacing_mm`` is between
    (rows, columns). ``None`` where the header doesn't say. ``slope`` and ``intercept``
    turn stored values into Hounsfield units.
    """

    position_mm: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    spacing_mm: tuple[float, float] | None
    slope: float
    intercept: float
    has_rescale: bool
    phase_percent: float | None
    kernel: str
    image_type: tuple[str, ...]
    stack: str = ""


def text(ds: Any, keyword: str) -> str:
    """Return the value as text without padding; "" when absent or unreadable."""
    try:
        value = ds.get(keyword)
        return "" if value is None else str(value).strip(" \0")
    except Exception:  # decoding of a broken value may raise anything; that is "not said"
        return ""


def numbers(ds: Any, keyword: str) -> tuple[float, ...]:
    """Return a value of any multiplicity as finite floats; () when absent or unreadable."""
    try:
        value = ds.get(keyword)
        if value is None or value == "":
            return ()
        many = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
        found = tuple(float(v) for v in many)
    except Exception:  # see text()
        return ()
    return found if all(map(math.isfinite, found)) else ()


def number_or_none(ds: Any, keyword: str) -> float | None:
    """Return the first number of a value, ``None`` when absent or unreadable."""
    found = numbers(ds, keyword)
    return found[0] if found else None


def texts(ds: Any, keyword: str) -> tuple[str, ...]:
    """Return a multi-valued text in capitals; () when absent or unreadable."""
    try:
        value = ds.get(keyword)
        if not value:
            return ()
        many = [value] if isinstance(value, str) else value
        return tuple(str(v).strip().upper() for v in many)
    except Exception:  # see text()
        return ()


def frames_of(ds: Any, enhanced: bool) -> tuple[FrameGeometry, ...]:
    """Return the geometry of every frame: one for CT Image Storage, many for Enhanced CT."""
    if not enhanced:
        return (_frame([ds]),)
    shared = _first(ds, "SharedFunctionalGroupsSequence")
    per_frame = ds.get("PerFrameFunctionalGroupsSequence") or []
    return tuple(_frame([frame, shared, ds]) for frame in per_frame)


_GROUPS = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTImageFrameTypeSequence",
    "CTReconstructionSequence",
    "CTXRayDetailsSequence",
    "CardiacSynchronizationSequence",
    "FrameContentSequence",
)


def _first(ds: Any, keyword: str) -> Any:
    sequence = ds.get(keyword) if ds is not None else None
    return sequence[0] if sequence else None


def _sources(levels: list[Any]) -> list[Any]:
    """Return the datasets to look in, nearest first: a frame's groups, shared groups, the file."""
    found: list[Any] = []
    for level in levels:
        if level is None:
            continue
        items = (_first(level, group) for group in _GROUPS) if len(levels) > 1 else ()
        found += [item for item in items if item is not None]
        found.append(level)
    return found


def _frame(levels: list[Any]) -> FrameGeometry:
    sources = _sources(levels)

    def many(keyword: str, count: int) -> tuple[float, ...] | None:
        for source in sources:
            found = numbers(source, keyword)
            if len(found) == count:
                return found
        return None

    def one(keyword: str) -> float | None:
        found = many(keyword, 1)
        return found[0] if found else None

    def word(keyword: str) -> str:
        return next((w for s in sources if (w := _joined(s, keyword))), "")

    slope, intercept = one("RescaleSlope"), one("RescaleIntercept")
    kinds = (texts(s, k) for s in sources for k in ("FrameType", "ImageType"))
    position, spacing = many("ImagePositionPatient", 3), many("PixelSpacing", 2)
    return FrameGeometry(
        position_mm=(position[0], position[1], position[2]) if position else None,
        orientation=many("ImageOrientationPatient", 6),
        spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        has_rescale=_is_rescale(slope, intercept),
        phase_percent=one("NominalPercentageOfCardiacPhase"),
        kernel=word("ConvolutionKernel"),
        image_type=next((k for k in kinds if k), ()),
        stack=word("StackID") if len(levels) > 1 else "",
    )


def _is_rescale(slope: float | None, intercept: float | None) -> bool:
    """Say whether these can turn 16 bits into Hounsfield units."""
    if slope is None or intercept is None:
        return False
    return 0.0 < slope <= MAX_SLOPE and abs(intercept) <= MAX_INTERCEPT


def _joined(ds: Any, keyword: str) -> str:
    try:
        value = ds.get(keyword)
    except Exception:  # see text()
        return ""
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if hasattr(value, "__iter__"):
        return "/".join(str(v).strip() for v in value)
    return str(value)


def info_of(ds: Any, frames: tuple[FrameGeometry, ...]) -> SeriesInfo:
    """Return the series' identity and technique as the header of one file states them."""
    shared = _first(ds, "SharedFunctionalGroupsSequence")
    per_frame = _first(ds, "PerFrameFunctionalGroupsSequence")
    sources = _sources([per_frame, shared, ds]) if per_frame is not None else [ds]
    first = frames[0] if frames else None
    number = number_or_none(ds, "SeriesNumber")
    agent = text(ds, "ContrastBolusAgent")
    if not agent and (item := _first(ds, "ContrastBolusAgentSequence")) is not None:
        agent = text(item, "CodeMeaning") or "named by code"
    sex = text(ds, "PatientSex").upper()
    return SeriesInfo(
        study_instance_uid=text(ds, "StudyInstanceUID"),
        series_instance_uid=text(ds, "SeriesInstanceUID"),
        frame_of_reference_uid=text(ds, "FrameOfReferenceUID"),
        patient_id=text(ds, "PatientID"),
        patient_name=text(ds, "PatientName"),
        birth_date=text(ds, "PatientBirthDate"),
        sex=sex if sex in ("F", "M") else None,
        age_years=age_years(ds),
        study_date=text(ds, "StudyDate"),
        study_time=text(ds, "StudyTime"),
        accession_number=text(ds, "AccessionNumber"),
        study_description=text(ds, "StudyDescription"),
        series_description=text(ds, "SeriesDescription"),
        series_number=None if number is None else int(number),
        modality=text(ds, "Modality").upper(),
        manufacturer=text(ds, "Manufacturer"),
        scanner_model=text(ds, "ManufacturerModelName"),
        kvp=next((v for s in sources if (v := number_or_none(s, "KVP"))), None),
        kernel=first.kernel if first else "",
        slice_thickness_mm=next(
            (v for s in sources if (v := number_or_none(s, "SliceThickness"))), None
        ),
        phase_percent=first.phase_percent if first else None,
        image_type=first.image_type if first else texts(ds, "ImageType"),
        contrast_agent=agent,
        specific_character_set="\\".join(texts(ds, "SpecificCharacterSet")),
    )


def age_years(ds: Any) -> float | None:
    """Return the age at the scan from PatientAge or birth date, ``None`` when unsure.

    De-identified files often say ``000Y``: that is nobody's age here. Where both sources
    speak and differ by more than a year and a half, neither is believed.
    """
    stated = _stated_age(text(ds, "PatientAge"))
    day = text(ds, "StudyDate") or text(ds, "AcquisitionDate")
    counted = _counted_age(text(ds, "PatientBirthDate"), day)
    if stated is None or counted is None:
        return stated if counted is None else counted
    return stated if abs(stated - counted) <= 1.5 else None


def _stated_age(value: str) -> float | None:
    """Age of an AS value such as 063Y (PS3.5 6.2)."""
    per_year = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": 365.25}
    unit = value[-1:].upper()
    if unit not in per_year or not value[:-1].isdigit():
        return None
    years = int(value[:-1]) / per_year[unit]
    return years if 0.0 < years <= MAX_AGE_YEARS else None


def _counted_age(birth: str, day: str) -> float | None:
    try:
        born = date(int(birth[:4]), int(birth[4:6]), int(birth[6:8]))
        then = date(int(day[:4]), int(day[4:6]), int(day[6:8]))
    except ValueError:
        return None
    years = float(then.year - born.year - ((then.month, then.day) < (born.month, born.day)))
    return years if 0.0 < years <= MAX_AGE_YEARS else None
