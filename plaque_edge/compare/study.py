"""One side of a comparison: what a ``result.json`` says, checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.errors import Refused
from plaque_edge.export.words import low_doubtful
from plaque_edge.quantify.scct import EXCLUDED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

COMPONENTS = (
    "plaque_mm3",
    "calcified_mm3",
    "noncalcified_mm3",
    "low_attenuation_mm3",
    "fibro_fatty_mm3",
    "fibrous_mm3",
    "lumen_mm3",
    "vessel_mm3",
)
_AGAIN = "Analyse both studies again with this version, then compare the new results."


@dataclass(frozen=True, slots=True)
class Course:
    """One branch of a result: ``points_mm`` ``(n, 3)`` LPS, segment and mm³ of each step."""

    branch: str
    vessel: str
    step_mm: float
    points_mm: NDArray[np.float64]
    segment: NDArray[np.int64]
    volumes_mm3: dict[str, NDArray[np.float64]]
    measured: NDArray[np.bool_]
    """``(n,)``: false where the step was excluded; its volumes are then 0 and mean nothing."""


@dataclass(frozen=True, slots=True)
class Study:
    """A measured result, ready to be compared."""

    patient_id: str
    birth_date: str
    series_uid: str
    day: date | None
    scan: dict[str, Any]
    model_sha256: str
    calibration: dict[str, float]
    courses: tuple[Course, ...]
    low_attenuation_doubtful: bool = False
    """Technique makes its low attenuation worthless, so no change of it can be told."""
    corrected: dict[str, Any] | None = None
    """Who corrected its numbers (``by``, ``at``, ``request``, ``summary``), ``None`` if nobody."""
    result_sha256: str | None = None
    """Hash of the file it was read from."""


def read_study(data: Mapping[str, Any], name: str) -> Study:
    """Check one result and take what comparing needs; ``name`` is how messages call it.

    Raises ``Refused`` COMPARE_FILE_INVALID, COMPARE_NOT_MEASURED, COMPARE_IDENTITY_MISSING
    or COMPARE_RESULT_OLD.
    """
    try:
        if data["schema"] != "plaque-edge/result/1":
            raise KeyError("schema")
        status, identity = data["status"], data.get("identity")
        series, profiles = data["series"], data.get("profiles")
        model = data["software"]["model"]
        sha256, calibration = str(model["sha256"]), dict(model.get("calibration") or {})
    except (KeyError, TypeError, ValueError) as error:
        text = f"{name} is not a result of plaque-edge."
        raise Refused("COMPARE_FILE_INVALID", text, "Give a result.json, or its folder.") from error
    if status not in ("ready", "review"):
        text = f"{name} was not measured ({str(status).replace('_', ' ')})."
        raise Refused("COMPARE_NOT_MEASURED", text, "Compare two measured studies.")
    if not isinstance(identity, dict) or not profiles:
        text = f"{name} was written by an older version and keeps too little to compare."
        raise Refused("COMPARE_RESULT_OLD", text, _AGAIN)
    patient, born = str(identity.get("patient_id") or ""), str(identity.get("birth_date") or "")
    if not patient.strip() or not born.strip():
        missing = "patient ID" if not patient.strip() else "birth date"
        text = f"{name} has no {missing}, so nothing proves whose it is."
        raise Refused("COMPARE_IDENTITY_MISSING", text, "Correct the DICOM header at its source.")
    try:
        courses = tuple(_course(p) for p in profiles)
        corrected = _corrected(data)
    except (KeyError, TypeError, ValueError) as error:
        text = f"The cross-sections of {name} can't be read."
        raise Refused("COMPARE_FILE_INVALID", text, _AGAIN) from error
    scan = dict(data.get("scan") or {}) | {"spacing_zyx_mm": series.get("spacing_zyx_mm")}
    day = _day(str(scan.get("study_date") or ""))
    uid = str(series["series_instance_uid"])
    who = patient.strip(), born.strip()
    doubtful = low_doubtful(data)
    return Study(*who, uid, day, scan, sha256, calibration, courses, doubtful, corrected)


def _corrected(data: Mapping[str, Any]) -> dict[str, Any] | None:
    said = data.get("corrections")
    return None if said is None else {k: said[k] for k in ("by", "at", "request", "summary")}


def _course(profile: Mapping[str, Any]) -> Course:
    points = np.array(profile["points_lps_mm"], np.float64).reshape(-1, 3)
    volumes = {name: np.array(profile[name], np.float64) for name in COMPONENTS}
    if len(points) < 2 or any(v.shape != (len(points),) for v in volumes.values()):
        raise ValueError("lists of different length")
    segment = np.array(profile["segment"], np.int64)
    measured = segment != EXCLUDED
    known = (points, *(v[measured] for v in volumes.values()))
    if not all(np.isfinite(v).all() for v in known):
        raise ValueError("a value is missing")
    volumes = {name: np.where(measured, v, 0.0) for name, v in volumes.items()}
    who = str(profile["branch"]), str(profile["vessel"]), float(profile["step_mm"])
    return Course(*who, points, segment, volumes, measured)


def _day(dicom_date: str) -> date | None:
    try:
        return date(int(dicom_date[:4]), int(dicom_date[4:6]), int(dicom_date[6:8]))
    except ValueError:
        return None


def check_pair(before: Study, after: Study) -> None:
    """Refuse two studies that must not be compared.

    Raises ``Refused`` COMPARE_PATIENT_DIFFERS, COMPARE_SAME_SERIES, COMPARE_ORDER or
    COMPARE_SOFTWARE_DIFFERS. A name is never looked at.
    """
    if (before.patient_id, before.birth_date) != (after.patient_id, after.birth_date):
        what = "patient ID" if before.patient_id != after.patient_id else "birth date"
        text = f"The two studies differ in {what}: they may be of two patients."
        raise Refused("COMPARE_PATIENT_DIFFERS", text, "Nothing was compared. Check both studies.")
    if before.series_uid == after.series_uid:
        text = "Both results are of the same series."
        raise Refused("COMPARE_SAME_SERIES", text, "Give results of two studies.")
    if before.day and after.day and before.day > after.day:
        text = "The first study is later than the second."
        raise Refused("COMPARE_ORDER", text, "Give the earlier study first.")
    if (before.model_sha256, before.calibration) != (after.model_sha256, after.calibration):
        text = "The two studies were measured by different networks or settings of them."
        raise Refused("COMPARE_SOFTWARE_DIFFERS", text, _AGAIN)
