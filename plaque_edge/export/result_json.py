"""A result as JSON: version 1 of the contract in ``result.schema.json``, and additions to it.

Points turn from (z, y, x) to DICOM's (x, y, z) here. What was not measured is ``null``; a
number that is not finite is never written.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import plaque_edge
from plaque_edge import RESEARCH_USE
from plaque_edge.types import VESSELS, PatientMeasures, VesselMeasures, VesselName, zyx_to_lps

if TYPE_CHECKING:
    from plaque_edge.types import (
        Branch,
        BranchProfile,
        Candidate,
        CaseResult,
        CoronaryTree,
        Lesion,
        PlaqueMeasures,
        QcCheck,
        Reason,
        RiskEstimate,
        SegmentMeasures,
    )

SCHEMA_ID = "plaque-edge/result/1"
SCHEMA_FILE = Path(__file__).with_name("result.schema.json")


def to_dict(result: CaseResult) -> dict[str, Any]:
    """Return the result as plain JSON types, valid against the schema."""
    data = {
        "schema": SCHEMA_ID,
        "disclaimer": RESEARCH_USE,
        "status": result.status,
        "reasons": [_reason(r) for r in result.reasons],
        "identity": _identity(result),
        "scan": _scan(result),
        "series": _series(result),
        "software": _software(result),
        "qc": {"verdict": result.qc_verdict, "checks": [_check(c) for c in result.qc_checks]},
        "quality": None if result.quality is None else asdict(result.quality),
        **_measured(result.measures, result.tree),
        "dominance": result.tree.dominance if result.tree else None,
        "aorta_hu": _aorta(result.tree),
        "covariates": asdict(result.covariates),
        "risk": None if result.risk is None else _risk(result.risk),
        "timing_ms": dict(result.timing_ms),
    }
    plain: dict[str, Any] = _plain(data)
    return plain


def measured_parts(
    measures: PlaqueMeasures, tree: CoronaryTree, risk: RiskEstimate | None
) -> dict[str, Any]:
    """Return the part of a result that follows from the measures, as plain JSON types."""
    found = _measured(measures, tree) | {"risk": None if risk is None else _risk(risk)}
    parts: dict[str, Any] = _plain(found)
    return parts


def _measured(measures: PlaqueMeasures | None, tree: CoronaryTree | None) -> dict[str, Any]:
    return {
        "vessels": _vessels(measures, tree),
        "segments": [_segment(x) for x in measures.segments] if measures else [],
        "patient": asdict(measures.patient if measures else PatientMeasures()),
        "plaque_rule": _rule(measures),
        "intervals": _intervals(measures),
        "lesions": [_lesion(x) for x in measures.lesions] if measures else [],
        "profiles": [_profile(x) for x in measures.profiles] if measures else [],
    }


def write(result: CaseResult, path: Path) -> dict[str, Any]:
    """Write the result to ``path``, whole or not at all, and return what was written."""
    data = to_dict(result)
    write_json(data, path)
    return data


def write_json(data: dict[str, Any], path: Path) -> None:
    """Write JSON to ``path`` so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _reason(reason: Reason) -> dict[str, Any]:
    data = {"code": reason.code, "text": reason.text}
    return data | ({"next_step": reason.next_step} if reason.next_step else {})


def _identity(result: CaseResult) -> dict[str, Any] | None:
    """Return what proves that two studies are of one patient; the name proves nothing."""
    info = result.info
    if info is None:
        return None
    return {"patient_id": info.patient_id, "birth_date": info.birth_date}


def _scan(result: CaseResult) -> dict[str, Any] | None:
    """Return when and how the scan was made, so that two can be told to be alike."""
    info = result.info
    if info is None:
        return None
    names = (
        "study_date", "study_time", "manufacturer", "scanner_model", "kvp", "kernel",
        "slice_thickness_mm", "phase_percent",
    )  # fmt: skip
    return {name: getattr(info, name) for name in names}


def _series(result: CaseResult) -> dict[str, Any]:
    info = result.info
    return {
        "study_instance_uid": info.study_instance_uid if info else "",
        "series_instance_uid": info.series_instance_uid if info else "",
        "instances": result.instances,
        "shape_zyx": result.shape_zyx,
        "spacing_zyx_mm": result.spacing_zyx_mm,
        "chosen_because": result.chosen_because,
        "rejected_series": [
            {
                "series_instance_uid": r.info.series_instance_uid,
                "code": r.reason.code,
                "text": r.reason.text,
                "description": r.info.series_description,
                "instances": r.instances,
                "also": [a.code for a in r.also],
            }
            for r in result.rejected
        ],
        "candidates": [_candidate(c) for c in result.candidates],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    info = candidate.info
    return {
        "take_uid": candidate.uid,
        "series_instance_uid": info.series_instance_uid,
        "series_number": info.series_number,
        "description": info.series_description,
        "phase_percent": info.phase_percent,
        "kernel": info.kernel,
        "instances": candidate.instances,
        "shape_zyx": candidate.shape_zyx,
        "spacing_zyx_mm": candidate.spacing_zyx_mm,
        "chosen": candidate.chosen,
        "points": candidate.points,
        "criteria": [asdict(c) for c in candidate.criteria],
    }


def _software(result: CaseResult) -> dict[str, Any]:
    """``model`` has empty strings when the input was refused before a network was opened."""
    model, risk = result.model, result.risk
    return {
        "version": plaque_edge.__version__,
        "model": {
            "name": model.name if model else "",
            "version": model.version if model else "",
            "sha256": model.sha256 if model else "",
            "calibration": dict(model.calibration) if model else {},
        },
        "provider": model.provider if model else "none",
        "precision": model.precision if model else "none",
        "risk_model": None
        if risk is None
        else {
            "name": risk.model_name,
            "version": risk.model_version,
            "sha256": risk.model_sha256,
        },
    }


def _check(check: QcCheck) -> dict[str, Any]:
    return asdict(check)


def _vessels(measures: PlaqueMeasures | None, tree: CoronaryTree | None) -> dict[str, Any]:
    measured = measures.vessels if measures else {}
    nothing = VesselMeasures("not_analysable")
    return {
        name: asdict(measured.get(name, nothing))
        | {
            "centerlines": _lines(tree, name),
            "branch_names": [b.name for b in _branches(tree, name)],
        }
        for name in VESSELS
    }


def _branches(tree: CoronaryTree | None, vessel: VesselName) -> list[Branch]:
    return [] if tree is None else [b for b in tree.branches if b.vessel == vessel]


def _segment(segment: SegmentMeasures) -> dict[str, Any]:
    data = asdict(segment)
    data["stretches"] = [
        {"branch": branch, "start_mm": start, "end_mm": end}
        for branch, start, end in segment.stretches
    ]
    return data


def _profile(profile: BranchProfile) -> dict[str, Any]:
    """Return one branch's cross-sections as lists of equal length, points in LPS."""
    return {
        "branch": profile.branch,
        "vessel": profile.vessel,
        "step_mm": profile.step_mm,
        "points_lps_mm": np.round(zyx_to_lps(profile.points_mm), 3).tolist(),
        "segment": profile.segment.tolist(),
        **{name: np.round(values, 4).tolist() for name, values in profile.values.items()},
    }


def _rule(measures: PlaqueMeasures | None) -> dict[str, Any] | None:
    """Return by which rule plaque was split, the alternatives, and what is not to be trusted."""
    if measures is None:
        return None
    doubt = measures.low_attenuation_doubt
    return {
        "default": measures.default_rule,
        "rules": [asdict(rule) for rule in measures.hu_rules],
        "low_attenuation_doubt": None if doubt is None else _reason(doubt),
        "background": None if measures.background is None else asdict(measures.background),
    }


def _intervals(measures: PlaqueMeasures | None) -> dict[str, Any] | None:
    """Return what the intervals rest on, or the reason why there are none."""
    source = None if measures is None else measures.interval_source
    if source is None:
        return None
    return asdict(source) | {"reason": None if source.reason is None else _reason(source.reason)}


def _lines(tree: CoronaryTree | None, vessel: VesselName) -> list[list[list[float]]]:
    """Polylines of a vessel, points [x, y, z, radius] in mm of the patient (LPS)."""
    return [
        np.round(np.column_stack([zyx_to_lps(b.points_mm), b.radius_mm]), 3).tolist()
        for b in _branches(tree, vessel)
    ]


def _lesion(lesion: Lesion) -> dict[str, Any]:
    data = asdict(lesion)
    data["worst_point_lps_mm"] = list(data.pop("worst_point_mm"))[::-1]
    for feature in data["features"]:
        feature["point_lps_mm"] = list(feature.pop("point_mm"))[::-1]
    return data


def _aorta(tree: CoronaryTree | None) -> dict[str, float] | None:
    if tree is None or tree.aorta_hu is None:
        return None
    return {"mean": tree.aorta_hu[0], "sd": tree.aorta_hu[1]}


def _risk(risk: RiskEstimate) -> dict[str, Any]:
    data = asdict(risk)
    data["warnings"] = [_reason(w) for w in risk.warnings]
    return data


def _plain(value: Any) -> Any:
    """Turn numpy and tuples into JSON types, round, and make what is not finite ``None``."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.7g}") if math.isfinite(value) else None
    return value
