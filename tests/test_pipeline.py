"""The straight line from DICOM files to a result, on tubes of known volume."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
import tube_scan

from plaque_edge.correct.tree import measure as correct_measure
from plaque_edge.errors import Failed
from plaque_edge.export.result_json import SCHEMA_FILE, to_dict
from plaque_edge.pipeline import Analysis, AnalyzeOptions, analyze
from plaque_edge.quality.limits import DEFAULT
from plaque_edge.types import Covariates, Reason

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = json.loads(SCHEMA_FILE.read_text())


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    tube_scan.write(folder)
    return folder


def run(folder: Path, segmenter: Any = None, **options: Any) -> Analysis:
    steps: list[tuple[str, float]] = []
    analysis = analyze(
        [folder],
        AnalyzeOptions(**options),
        tube_scan.Engines,
        lambda step, share: steps.append((step, share)),
        segmenter or tube_scan.segmenter(),
    )
    assert [s for _, s in steps] == sorted(s for _, s in steps)
    jsonschema.validate(to_dict(analysis.result), SCHEMA)
    return analysis


def codes(analysis: Analysis) -> list[str]:
    return [r.code for r in analysis.result.reasons]


def nothing_measured(data: dict[str, Any]) -> bool:
    values = [v for item in data["vessels"].values() for v in item.values()]
    values += data["patient"].values()
    return not [v for v in values if v not in (None, "not_analysable", False, [])]


def test_a_bridged_vessel_is_one_to_review(scan: Path) -> None:
    bridged = Reason("VESSEL_BRIDGED", "LAD: 8 mm were bridged.", "Look there.")

    def segment(volume: Any, engines: Any, progress: Any) -> Any:
        found = tube_scan.segmenter()(volume, engines, progress)
        return replace(found, tree=replace(found.tree, warnings=(bridged,)))

    analysis = run(scan, segment)
    assert analysis.result.status == "review"
    assert "VESSEL_BRIDGED" in codes(analysis)


def test_ready_with_true_volumes(scan: Path) -> None:
    analysis = run(scan)
    result = analysis.result
    assert result.status == "ready", result.reasons
    assert result.measures is not None
    lad = result.measures.vessels["LAD"]
    assert lad.plaque_mm3 == pytest.approx(tube_scan.plaque_mm3(), rel=0.03)
    assert result.measures.vessels["RCA"].plaque_mm3 == 0.0
    assert result.risk is not None
    assert len(result.risk.probability) == 5
    steps = {"read", "choose", "volume", "segment", "quality", "quantify", "risk", "total"}
    assert set(result.timing_ms) == steps | {"networks"}
    assert result.timing_ms["networks"] == 0.0  # a stand-in
    data = to_dict(result)
    x, y, z, radius = data["vessels"]["RCA"]["centerlines"][0][0]
    assert (x, y, z, radius) == (-20.0, 20.0, -45.0, 1.5)


def test_the_time_in_networks_is_what_this_case_added(scan: Path) -> None:
    """Engines stay open from case to case, and count on."""
    networks = tube_scan.Engines()
    networks.busy_s = 40.0

    def segment(volume: Any, engines: Any, progress: Any) -> Any:
        engines.busy_s += 1.25
        return tube_scan.segmenter()(volume, engines, progress)

    done = analyze([scan], AnalyzeOptions(), lambda: networks, segmenter=segment)
    assert done.result.timing_ms["networks"] == 1250.0


def test_intervals_of_other_networks_are_never_given(scan: Path) -> None:
    analysis = run(scan)
    data = to_dict(analysis.result)
    reason = data["intervals"]["reason"]["code"]
    assert reason in ("INTERVALS_OTHER_MODEL", "INTERVALS_MISSING")
    assert reason in codes(analysis)
    assert data["intervals"]["sha256"] == ""
    assert data["patient"]["plaque_mm3"] > 0
    everything = [data["patient"], *data["vessels"].values(), *data["segments"]]
    assert all(x["intervals_95"] is None for x in everything)


def test_intervals_of_these_networks_are_in_the_result(scan: Path, tmp_path: Path) -> None:
    from test_intervals import planted

    from plaque_edge.quantify import intervals_file
    from plaque_edge.quantify.intervals import IntervalModel
    from plaque_edge.quantify.intervals_fit import fit_part
    from plaque_edge.quantify.softness import PARTS

    part = fit_part(planted(1, 60, 1))
    assert part is not None
    levels = {level: dict.fromkeys(PARTS, part) for level in intervals_file.LEVELS}
    model = tube_scan.MODEL
    made = IntervalModel(model.sha256, dict(model.calibration), levels, 60, "2026-01-01")
    (tmp_path / intervals_file.NAME).write_text(json.dumps(intervals_file.to_dict(made)))

    def beside(inner: Any) -> Any:
        def segment(*args: Any) -> Any:
            found = inner(*args)
            return replace(found, model=replace(found.model, folder=tmp_path))

        return segment

    data = to_dict(run(scan, beside(tube_scan.segmenter())).result)
    assert data["intervals"]["reason"] is None
    assert data["intervals"]["scans"] == 60
    for item in (data["patient"], data["vessels"]["LAD"], data["vessels"]["RCA"]):
        low, high = item["intervals_95"]["plaque_mm3"]
        assert 0 <= low <= item["plaque_mm3"] < high
    missing = run(scan, beside(tube_scan.segmenter(missing=("LCX",))))
    data = to_dict(missing.result)
    assert data["vessels"]["LCX"]["intervals_95"] is None
    assert data["patient"]["intervals_95"] is None


def test_view_shows_the_heart_with_labels_in_place(scan: Path) -> None:
    view = run(scan).view
    assert view is not None
    assert view.hu.shape == view.labels.shape
    assert np.bincount(view.labels.ravel(), minlength=6)[[1, 3]].min() > 100
    place = np.argwhere(view.labels == 3) * view.spacing_zyx_mm + view.origin_zyx_mm
    assert np.abs(place[:, 1:].mean(0) - tube_scan.PLACES["LAD"]).max() < 0.5
    assert -26.0 < place[:, 0].min() < place[:, 0].max() < -4.0


def test_missing_vessel_is_review_and_null_never_zero(scan: Path) -> None:
    analysis = run(scan, tube_scan.segmenter(missing=("LCX",)))
    data = to_dict(analysis.result)
    assert data["status"] == "review"
    assert "VESSEL_NOT_FOUND" in codes(analysis)
    assert data["vessels"]["LCX"]["plaque_mm3"] is None
    assert data["patient"]["lower_bound"] is True
    assert data["risk"] is None
    assert "RISK_LOWER_BOUND" in codes(analysis)


def test_a_vessel_that_moved_is_null_never_its_smear(scan: Path) -> None:
    """The smear of a lumen looks like plaque: nothing of the vessel is a number, its name stays."""

    def segment(volume: Any, engines: Any, progress: Any) -> Any:
        found = tube_scan.segmenter()(volume, engines, progress)
        return replace(found, straight=tuple(map(moved, found.straight)))

    def moved(item: Any) -> Any:
        ways = [np.roll(item.hu, k, axis=1) for k in (-6, -3, 0, 3, 6)]
        return replace(item, hu=np.mean(ways, axis=0)) if item.branch.name == "LCX" else item

    sharp = replace(DEFAULT, blur_refuse=1e6)  # the tubes' own edges are no scanner's
    analysis, still = run(scan, segment, limits=sharp), run(scan)
    data, before = to_dict(analysis.result), to_dict(still.result)
    assert data["status"] == "review"
    assert codes(analysis).count("MOTION_IN_VESSEL") == 1
    assert data["vessels"]["LCX"]["status"] == "not_analysable"
    assert data["vessels"]["LCX"]["plaque_mm3"] is None
    assert data["vessels"]["LAD"]["plaque_mm3"] == before["vessels"]["LAD"]["plaque_mm3"] > 0
    assert data["patient"]["lower_bound"] is True
    assert data["risk"] is None
    assert analysis.view is not None
    assert analysis.view.measured is not None
    kept = analysis.view.measured
    again = correct_measure(kept, ()).measures
    assert again.vessels["LCX"].status == "not_analysable"
    assert again.patient.plaque_mm3 == pytest.approx(data["patient"]["plaque_mm3"], rel=1e-6)


def test_poor_contrast_refuses_with_every_reason_and_no_number(scan: Path) -> None:
    analysis = run(scan, tube_scan.segmenter(missing=("LM", "LAD", "D1", "LCX"), aorta=90.0))
    data = to_dict(analysis.result)
    assert data["status"] == "not_analysable"
    assert {"QC_CONTRAST", "QC_TREE_VESSELS"} <= set(codes(analysis))
    assert data["qc"]["verdict"] == "non_diagnostic"
    assert nothing_measured(data)
    assert analysis.view is None


@pytest.mark.parametrize(("age", "sex", "code"), [(None, "F", "RISK_AGE_MISSING"),
                                                  (63.0, None, "RISK_SEX_MISSING")])  # fmt: skip
def test_no_age_or_sex_no_risk(
    tmp_path: Path, age: float | None, sex: str | None, code: str
) -> None:
    tube_scan.write(tmp_path, age_years=age, sex=sex, birth_date="")
    analysis = run(tmp_path)
    assert analysis.result.status == "ready"
    assert analysis.result.risk is None
    assert code in codes(analysis)
    given = run(tmp_path, covariates=Covariates(age_years=50.0, sex="M")).result
    assert given.risk is not None
    assert given.covariates == Covariates(50.0, "M")


def test_empty_and_missing_folder(tmp_path: Path) -> None:
    assert codes(run(tmp_path)) == ["NO_DICOM"]
    analysis = run(tmp_path / "nothing")
    assert codes(analysis) == ["FOLDER_MISSING"]
    assert analysis.result.status == "not_analysable"
    assert nothing_measured(to_dict(analysis.result))


def test_gap_names_itself_and_keeps_the_identity(scan: Path, tmp_path: Path) -> None:
    files = sorted(scan.iterdir())
    analysis = analyze(
        files[:50] + files[51:], AnalyzeOptions(), tube_scan.Engines, None, tube_scan.segmenter()
    )
    assert codes(analysis)[0] == "SERIES_SLICE_MISSING"
    assert analysis.result.info is not None
    assert analysis.result.info.series_instance_uid == tube_scan.info().series_instance_uid
    jsonschema.validate(to_dict(analysis.result), SCHEMA)


def test_fault_of_the_software_is_failed_not_raised(scan: Path) -> None:
    def broken(*_: Any) -> Any:
        raise IndexError("secret of patient")

    analysis = run(scan, broken)
    assert analysis.result.status == "failed"
    assert codes(analysis) == ["INTERNAL"]
    assert "secret" not in json.dumps(to_dict(analysis.result))
    assert nothing_measured(to_dict(analysis.result))


def test_engine_that_does_not_open_is_failed_with_its_code(scan: Path) -> None:
    def closed() -> Any:
        raise Failed("ENGINE_MODEL_MISSING", "No model.", "Install it.")

    analysis = analyze([scan], AnalyzeOptions(), closed)
    assert (analysis.result.status, codes(analysis)) == ("failed", ["ENGINE_MODEL_MISSING"])


def test_subject_that_is_not_the_best_is_refused_by_name(scan: Path, tmp_path: Path) -> None:
    other = tube_scan.info(series_instance_uid="1.2.3.4", kernel="Bl64", series_number=9)
    from plaque_edge.phantom.dicom import write_series

    write_series(tube_scan.make_volume(), other, tmp_path)
    paths = [scan, tmp_path]
    analysis = analyze(
        paths, AnalyzeOptions(subject_uid="1.2.3.4"), tube_scan.Engines, None, tube_scan.segmenter()
    )
    assert analysis.result.status == "not_analysable"
    assert analysis.result.info is not None
    assert analysis.result.info.series_instance_uid == "1.2.3.4"
    mine = tube_scan.info().series_instance_uid
    best = analyze(
        paths, AnalyzeOptions(subject_uid=mine), tube_scan.Engines, None, tube_scan.segmenter()
    )
    assert best.result.status == "ready"
    assert [r.info.series_instance_uid for r in best.result.rejected] == ["1.2.3.4"]
