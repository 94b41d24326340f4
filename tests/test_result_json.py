"""The JSON of a result: the contract's schema, null for what was not measured, never NaN."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import tube_scan

from plaque_edge.export.result_json import SCHEMA_FILE, to_dict, write
from plaque_edge.types import (
    Candidate,
    CaseResult,
    Covariates,
    Criterion,
    Lesion,
    PatientMeasures,
    PlaqueMeasures,
    QcCheck,
    Reason,
    RejectedSeries,
    RiskEstimate,
    VesselMeasures,
)

SCHEMA = json.loads(SCHEMA_FILE.read_text())
CONTRACT = Path(__file__).parents[2] / "shared" / "contract" / "result.schema.json"


def refused(**changes: Any) -> CaseResult:
    base = CaseResult(
        status="not_analysable", reasons=(Reason("NO_DICOM", "Nothing there.", "Export."),),
        info=None, instances=0, shape_zyx=None, spacing_zyx_mm=None, chosen_because="",
        rejected=(), model=None, qc_verdict="non_diagnostic", qc_checks=(), measures=None,
        tree=None, risk=None, covariates=Covariates(), timing_ms={"total": 1.0},
    )  # fmt: skip
    return replace(base, **changes)


def measured() -> CaseResult:
    lesion = Lesion("LAD", "LAD", 20.0, 40.0, 50.0, 10.0, 40.0, 5.0, 55.0, 1.1, (1.0, 2.0, 3.0))
    vessels: Any = {
        n: VesselMeasures("analysed", 50.0, 10.0, 40.0, 5.0, 900.0, 700.0, 5.5, 100.0, 55.0, 1.1)
        for n in ("LM", "LAD", "LCX", "RCA")
    }
    patient = PatientMeasures(200.0, 40.0, 160.0, 20.0, 3600.0, 2800.0, 5.5, 1, 55.0)
    risk = RiskEstimate("MACE", (1.0, 2.0), (0.01, 0.02), (0.005, 0.01), (0.02, 0.04), 2.0, "d",
                        "v0", "1" * 64, ("limits",), (Reason("RISK_X", "x"),))  # fmt: skip
    return refused(
        status="ready", reasons=(), info=tube_scan.info(), instances=124,
        shape_zyx=tube_scan.SHAPE, spacing_zyx_mm=tube_scan.SPACING, chosen_because="only one",
        rejected=(RejectedSeries(tube_scan.info("scout"), Reason("LOCALIZER", "A scout."), 2),),
        model=tube_scan.MODEL, qc_verdict="diagnostic",
        qc_checks=(QcCheck("QC_NOISE", "pass", 12.0), QcCheck("QC_KERNEL", "warn", None)),
        measures=PlaqueMeasures(vessels, patient, (lesion,)), tree=tube_scan.tree(), risk=risk,
    )  # fmt: skip


@pytest.mark.skipif(not CONTRACT.exists(), reason="the contract is not present")
def test_schema_only_adds_to_the_contract() -> None:
    def adds(ours: Any, agreed: Any) -> bool:
        if isinstance(agreed, dict):
            return all(k in ours and adds(ours[k], v) for k, v in agreed.items())
        return bool(ours == agreed)

    assert adds(SCHEMA, json.loads(CONTRACT.read_text()))


def test_both_kinds_are_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for result in (refused(), measured()):
        jsonschema.validate(to_dict(result), SCHEMA)


def test_points_turn_to_lps() -> None:
    data = to_dict(measured())
    assert data["lesions"][0]["worst_point_lps_mm"] == [3.0, 2.0, 1.0]
    y, x = tube_scan.PLACES["RCA"]
    assert data["vessels"]["RCA"]["centerlines"][0][0] == [x, y, -45.0, 1.5]
    assert len(data["vessels"]["LAD"]["centerlines"]) == 2


def test_unmeasured_is_null_and_says_research_use() -> None:
    data = to_dict(refused())
    assert {v for vessel in data["vessels"].values() for k, v in vessel.items()
            if k != "status" and v != []} == {None}  # fmt: skip
    assert data["patient"]["plaque_mm3"] is None
    assert data["risk"] is None
    assert "Research use only" in data["disclaimer"]


def test_not_finite_becomes_null_and_numpy_becomes_plain(tmp_path: Path) -> None:
    whole = measured()
    assert whole.measures is not None
    odd = replace(whole.measures.patient, pav_percent=math.nan, lumen_mm3=np.float32(2.5))
    result = replace(whole, measures=replace(whole.measures, patient=odd))
    path = tmp_path / "r.json"
    write(replace(result, timing_ms={"total": np.float64(math.inf)}), path)
    text = path.read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    data = json.loads(text)
    assert data["patient"]["pav_percent"] is None
    assert data["patient"]["lumen_mm3"] == 2.5
    assert data["timing_ms"]["total"] is None


def test_candidates_are_described_and_one_that_lacks_something_is_refused() -> None:
    marks = (Criterion("slices", 20.0, 20.0, "0.50 mm"),)
    first = Candidate("1.2", tube_scan.info(), 124, tube_scan.SHAPE, tube_scan.SPACING, 71.5, marks)
    data = to_dict(replace(measured(), candidates=(replace(first, chosen=True), first)))
    jsonschema.validate(data, SCHEMA)
    told = data["series"]["candidates"]
    assert [(c["take_uid"], c["points"], c["chosen"]) for c in told] == [
        ("1.2", 71.5, True), ("1.2", 71.5, False),
    ]  # fmt: skip
    for change in ({"points": 101.0}, {"points": None}, {"chosen": "yes"}, {"criteria": [{}]}):
        odd = json.loads(json.dumps(data))
        odd["series"]["candidates"][0].update(change)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(odd, SCHEMA)


def test_write_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    write(refused(), path)
    before = path.read_text()

    def full(self: Path, *_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write(measured(), path)
    monkeypatch.undo()
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
