"""From files to a chosen series: every kind of bad input has its code, every file its bucket."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from dicom_factory import DATA, cta, cut, edit, hashes, info, volume

from plaque_edge.dicom_values import age_years
from plaque_edge.errors import Refused
from plaque_edge.phantom.dicom import WriteOptions, make_uid, write_series
from plaque_edge.series import Choice, Inventory, SeriesRefused, choose, read_candidates
from plaque_edge.series_geometry import Slice, examine

if TYPE_CHECKING:
    from pathlib import Path

real = pytest.mark.skipif(not DATA.exists(), reason="real data not present")
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def refused(folder: Path, wanted: str | None = None) -> SeriesRefused:
    """Read and choose; the refusal, after checking that every file is in one bucket."""
    inventory = look(folder)
    with pytest.raises(SeriesRefused) as caught:
        choose(inventory, wanted)
    error = caught.value
    assert error.reason == error.reasons[0]
    assert all(r.text and r.next_step for r in error.reasons)
    return error


def look(folder: Path) -> Inventory:
    before = hashes(folder)
    inventory = read_candidates([folder])
    filed = [p for files in inventory.buckets.values() for p in files]
    assert len(filed) == len(set(filed)) == len(before)
    assert hashes(folder) == before
    return inventory


def codes(error: SeriesRefused) -> list[str]:
    return [r.code for r in error.reasons]


def chosen(folder: Path, wanted: str | None = None) -> Choice:
    return choose(look(folder), wanted)


# --- whole series --------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["scanner", "uid", "random"])
@pytest.mark.parametrize("order", ["feet_first", "head_first", "shuffled"])
def test_any_names_and_order(tmp_path: Path, names: Any, order: Any) -> None:
    cta(tmp_path / "deep" / "er", options=WriteOptions(names=names, order=order))
    series = chosen(tmp_path).series
    z = [float(pydicom.dcmread(p).ImagePositionPatient[2]) for p in series.files]
    assert z == sorted(z)
    assert series.shape_zyx == (64, 96, 96)
    assert series.spacing_zyx_mm == pytest.approx((1.0, 0.6, 0.5))
    assert series.info.age_years == 63.0
    assert series.info.sex == "F"
    assert series.info.phase_percent == 75.0


def test_enhanced_is_one_file(tmp_path: Path) -> None:
    cta(tmp_path, options=WriteOptions(enhanced=True))
    series = chosen(tmp_path).series
    assert len(series.files) == 1
    assert len(series.frames) == series.shape_zyx[0] == 64
    assert series.info.kernel == "Bv40"
    assert series.info.kvp == 120.0
    assert series.info.phase_percent == 75.0
    assert series.info.slice_thickness_mm == 0.6
    assert series.info.contrast_agent


def test_because_has_the_numbers(tmp_path: Path) -> None:
    cta(tmp_path)
    because = chosen(tmp_path).because
    for word in ("the only series", "1.00 mm", "Bv40", "75 %", "HU"):
        assert word in because


def test_single_files_and_folders_may_be_mixed(tmp_path: Path) -> None:
    paths = cta(tmp_path)
    inventory = read_candidates([paths[0], tmp_path])
    assert inventory.candidates[0].shape_zyx[0] == 64


# --- empty, foreign, broken ----------------------------------------------------------------


def test_empty_folder(tmp_path: Path) -> None:
    assert codes(refused(tmp_path)) == ["NO_DICOM"]


def test_folder_missing(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="FOLDER_MISSING"):
        read_candidates([tmp_path / "gone"])


def test_folder_vanishes_during_reading(tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "share"
    cta(folder)
    from plaque_edge import series as module

    read, count = module.read_header, [0]

    def read_then_vanish(path: Path) -> Any:
        count[0] += 1
        if count[0] == 5:
            shutil.rmtree(folder)
        return read(path)

    monkeypatch.setattr(module, "read_header", read_then_vanish)
    with pytest.raises(Refused, match="FOLDER_MISSING"):
        read_candidates([folder])


def test_files_that_are_not_dicom(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG" + bytes(300))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "odd.dcm").write_bytes(bytes(128) + b"DICM" + bytes(range(256)))
    (tmp_path / "group8").write_bytes(b"\x08\x00\x05\x00" + bytes(range(200)))
    error = refused(tmp_path)
    assert codes(error)[0] == "NO_DICOM"
    assert set(codes(error)) <= {"NO_DICOM", "NOT_DICOM", "FILE_EMPTY", "FILE_TRUNCATED"}
    assert {"NOT_DICOM", "FILE_EMPTY"} <= set(codes(error))


def test_foreign_files_do_not_disturb(tmp_path: Path) -> None:
    cta(tmp_path)
    (tmp_path / "Thumbs.db").write_bytes(bytes(500))
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(10))
    assert chosen(tmp_path).series.shape_zyx[0] == 64
    assert "NOT_DICOM" in [p.code for p in look(tmp_path).problems]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_locked_file(tmp_path: Path) -> None:
    paths = cta(tmp_path)
    paths[3].chmod(0)
    inventory = read_candidates([tmp_path])
    assert inventory.buckets["FILE_UNREADABLE"] == (paths[3],)


def test_one_unreadable_file_does_not_stop_the_others(tmp_path: Path, monkeypatch: Any) -> None:
    paths = cta(tmp_path)
    from plaque_edge import series as module

    read = module.read_header

    def locked(path: Path) -> Any:
        if path == paths[0]:
            raise PermissionError(path)
        return read(path)

    monkeypatch.setattr(module, "read_header", locked)
    inventory = read_candidates([tmp_path])
    assert inventory.buckets["FILE_UNREADABLE"] == (paths[0],)
    assert len(inventory.buckets["CANDIDATE"]) == 63
    with pytest.raises(SeriesRefused, match="FILE_UNREADABLE"):
        choose(inventory)  # it may be the last slice, which leaves no gap


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("which", [0, 40])
@pytest.mark.parametrize("syntax", ["explicit", "jpeg_ls", "deflated"])
def test_truncated_file(tmp_path: Path, share: float, which: int, syntax: Any) -> None:
    """Cut in the pixels: the whole series waits, also when the last slice is the cut one."""
    paths = cta(tmp_path, options=WriteOptions(syntax=syntax))
    cut(paths[which], share)
    error = refused(tmp_path)
    assert set(codes(error)) & {"PIXELS_TRUNCATED", "FILE_TRUNCATED"}
    if syntax == "explicit":
        assert codes(error)[0] == "PIXELS_TRUNCATED"
        assert paths[which].name in error.reason.text
        assert "(z " in error.reason.text


def test_truncated_enhanced(tmp_path: Path) -> None:
    (path,) = cta(tmp_path, options=WriteOptions(enhanced=True))
    cut(path, 0.9)
    assert codes(refused(tmp_path))[0] == "PIXELS_TRUNCATED"


def test_file_that_becomes_whole_is_read_anew(tmp_path: Path) -> None:
    paths = cta(tmp_path)
    data = paths[2].read_bytes()
    cut(paths[2], 0.5)
    assert codes(refused(tmp_path))[0] == "PIXELS_TRUNCATED"
    paths[2].write_bytes(data)
    assert chosen(tmp_path).series.shape_zyx[0] == 64


# --- geometry ------------------------------------------------------------------------------


def test_missing_slice_is_named_with_its_place(tmp_path: Path) -> None:
    paths = cta(tmp_path, options=WriteOptions(order="feet_first"))
    paths[10].unlink()
    error = refused(tmp_path)
    assert codes(error) == ["SERIES_SLICE_MISSING"]
    assert "-110.00" in error.reason.text
    assert paths[9].name in error.reason.text


def test_exact_copy_counts_once_and_is_said(tmp_path: Path) -> None:
    paths = cta(tmp_path)
    shutil.copy(paths[4], tmp_path / "copy")
    inventory = look(tmp_path)
    assert len(inventory.buckets["SERIES_SLICE_COPY"]) == 1
    series = choose(inventory).series
    assert series.shape_zyx[0] == 64
    assert [n.code for n in series.notes] == ["SERIES_SLICE_COPY"]


def test_same_pixels_under_another_uid_count_once(tmp_path: Path) -> None:
    paths = cta(tmp_path)
    shutil.copy(paths[4], tmp_path / "copy")
    edit(tmp_path / "copy", SOPInstanceUID=make_uid("other"))
    assert chosen(tmp_path).series.shape_zyx[0] == 64


@pytest.mark.parametrize("same_uid", [False, True])
def test_duplicate_position_with_other_pixels(tmp_path: Path, same_uid: bool) -> None:
    paths = cta(tmp_path)
    other = tmp_path / "other"
    shutil.copy(paths[4], other)
    pixels = pydicom.dcmread(other).PixelData
    uid = pydicom.dcmread(other).SOPInstanceUID if same_uid else make_uid("other")
    edit(other, PixelData=bytes(100) + pixels[100:], SOPInstanceUID=uid)
    error = refused(tmp_path)
    assert codes(error) == ["SERIES_SLICE_DUPLICATE"]
    assert "other" in error.reason.text


def test_uneven_spacing(tmp_path: Path) -> None:
    paths = cta(tmp_path)
    x, y, z = pydicom.dcmread(paths[20]).ImagePositionPatient
    edit(paths[20], ImagePositionPatient=[x, y, z + 0.3])
    assert codes(refused(tmp_path)) == ["SERIES_SPACING_UNEVEN"]


@pytest.mark.parametrize("step", [0.25, 0.4, 0.625])
def test_positions_rounded_by_the_scanner_are_even(step: float) -> None:
    slices = [Slice(str(i), (0.0, 0.0, round(i * step, 1)), AXIAL) for i in range(200)]
    stack = examine(slices)
    assert stack.reasons == ()
    assert stack.step_mm == pytest.approx(step, rel=2e-3)


def test_gap_list_agrees_with_a_slow_twin() -> None:
    import numpy as np

    rng = np.random.default_rng(3)
    for _ in range(60):
        present = sorted(set(range(40)) - set(rng.choice(np.arange(1, 39), 3, replace=False)))
        slices = [Slice(str(i), (1.0, 2.0, 0.5 * i), AXIAL) for i in present]
        (reason,) = examine([slices[i] for i in rng.permutation(len(slices))]).reasons
        gone = [i for i in range(40) if i not in present]
        assert reason.code == "SERIES_SLICE_MISSING"
        assert reason.text.startswith("3 slices")
        assert all(f"{0.5 * i:.2f}" in reason.text for i in gone)


@pytest.mark.parametrize(("degrees", "code"), [(0.2, None), (0.4, "GANTRY_TILT")])
def test_tilt_limit(degrees: float, code: str | None) -> None:
    import math

    lean = math.radians(degrees)
    tilted = (1.0, 0.0, 0.0, 0.0, math.cos(lean), -math.sin(lean))
    sheared = [Slice(str(i), (0.0, 0.0, 0.5 * i), tilted) for i in range(200)]
    drifting = [Slice(str(i), (0.0, 0.5 * i * math.tan(lean), 0.5 * i), AXIAL) for i in range(200)]
    for slices in (sheared, drifting):
        assert [r.code for r in examine(slices).reasons] == ([code] if code else [])
    assert [r.code for r in examine(sheared, 5.0).reasons][:1] == ["GANTRY_TILT"]


@pytest.mark.parametrize(
    "orientation",
    [(1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), (0.9848, 0.1736, 0, -0.1736, 0.9848, 0)],
)
def test_not_axial(orientation: tuple[float, ...]) -> None:
    import numpy as np

    normal = np.cross(orientation[:3], orientation[3:])
    slices = [Slice(str(i), tuple(normal * i), orientation) for i in range(10)]
    assert [r.code for r in examine(slices).reasons] == ["NOT_AXIAL"]


# --- kinds of objects ----------------------------------------------------------------------

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("NOT_CT", {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}),
    ("LOCALIZER", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
    ("SECONDARY_CAPTURE", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}),
    ("SECONDARY_CAPTURE", {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}),
    ("DERIVED_REFORMAT", {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}),
    ("DERIVED_REFORMAT", {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MIP"]}),
    ("COLOUR", {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "Rows": 16}),
    ("PIXELS_8BIT", {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}),
    ("PIXELS_8BIT", {"BitsStored": 8, "HighBit": 7}),
    ("POSITION_MISSING", {"ImagePositionPatient": None}),
    ("RESCALE_MISSING", {"RescaleSlope": None}),
]


@pytest.mark.parametrize(("code", "changes"), KINDS, ids=lambda v: v if isinstance(v, str) else "")
def test_kinds(tmp_path: Path, code: str, changes: dict[str, Any]) -> None:
    for path in cta(tmp_path):
        edit(path, **changes)
    assert code in codes(refused(tmp_path))


@pytest.mark.parametrize(
    ("code", "changes"), KINDS[:7], ids=lambda v: v if isinstance(v, str) else ""
)
def test_kinds_beside_a_cta(tmp_path: Path, code: str, changes: dict[str, Any]) -> None:
    cta(tmp_path / "good")
    for path in write_series(volume(4), info("odd"), tmp_path / "odd"):
        edit(path, **changes)
    choice = chosen(tmp_path)
    assert choice.series.info.series_instance_uid == info().series_instance_uid
    assert [(r.reason.code, r.instances) for r in choice.rejected] == [(code, 4)]


def test_too_few_slices(tmp_path: Path) -> None:
    write_series(volume(2), info(), tmp_path)
    assert codes(refused(tmp_path)) == ["NO_CORONARY_CTA", "TOO_FEW_SLICES"]


@pytest.mark.parametrize(
    ("code", "series", "shape"),
    [
        ("NOT_ENHANCED", {}, {"blood": 45.0}),
        ("NOT_ENHANCED", {"contrast_agent": "", "series_description": "Thorax nativ"}, {}),
        ("CALCIUM_SCORE", {"series_description": "CaScore 3.0 Qr36"}, {}),
        ("MATERIAL_MAP", {"series_description": "CTA Iodine no water"}, {}),
        ("SLICES_TOO_THICK", {"slice_thickness_mm": 3.0}, {}),
        ("SLICES_TOO_THICK", {}, {"spacing": 2.0}),
        ("COVERAGE_TOO_SHORT", {}, {"count": 50}),
        ("KERNEL_LUNG_BONE", {"kernel": "B70f"}, {}),
    ],
)
def test_hard_exclusions(tmp_path: Path, code: str, series: dict, shape: dict) -> None:
    made = volume(**{"count": 64, "spacing": 1.0, "size": 96, **shape})
    write_series(made, info(**series), tmp_path)
    error = refused(tmp_path)
    assert codes(error) == ["NO_CORONARY_CTA", code]
    assert error.rejected[0].reason.code == code


# --- people and studies --------------------------------------------------------------------


def test_two_patients_in_one_series(tmp_path: Path) -> None:
    paths = cta(tmp_path)
    for path in paths[:40]:
        edit(path, PatientID="P2", PatientName="Other^Person")
    error = refused(tmp_path)
    assert codes(error) == ["PATIENTS_MIXED"]
    assert "Other" not in str(error)


def test_two_patients_in_one_folder(tmp_path: Path) -> None:
    cta(tmp_path / "1")
    cta(tmp_path / "2", "b", patient_id="P2", study_instance_uid=make_uid("study 2"))
    assert codes(refused(tmp_path)) == ["PATIENTS_SEVERAL"]
    wanted = info("b").series_instance_uid
    choice = chosen(tmp_path, wanted)
    assert choice.series.info.patient_id == "P2"
    assert [r.reason.code for r in choice.rejected] == ["OTHER_CHOSEN"]
    for uid in look(tmp_path).study_uids:
        one = choose(look(tmp_path).only_study(uid))
        assert one.series.info.study_instance_uid == uid


def test_two_patients_under_one_study_uid(tmp_path: Path) -> None:
    cta(tmp_path / "1")
    cta(tmp_path / "2", "b", patient_id="P2")
    (uid,) = look(tmp_path).study_uids
    with pytest.raises(SeriesRefused, match="PATIENTS_SEVERAL"):
        choose(look(tmp_path).only_study(uid))


def test_two_studies_of_one_patient(tmp_path: Path) -> None:
    cta(tmp_path / "1")
    cta(tmp_path / "2", "b", study_instance_uid=make_uid("study 2"))
    assert codes(refused(tmp_path)) == ["STUDIES_SEVERAL"]


def test_wanted_series(tmp_path: Path) -> None:
    cta(tmp_path / "1")
    cta(tmp_path / "2", "b", kernel="Bv59")
    assert chosen(tmp_path).series.info.kernel == "Bv40"
    assert chosen(tmp_path, info("b").series_instance_uid).series.info.kernel == "Bv59"
    assert codes(refused(tmp_path, "1.2.3")) == ["SERIES_NOT_FOUND"]


# --- several series ------------------------------------------------------------------------


def test_phases_in_one_series_become_two_stacks(tmp_path: Path) -> None:
    cta(tmp_path / "dias")
    for path in cta(tmp_path / "syst", options=WriteOptions(acquisition_number=2)):
        edit(path, NominalPercentageOfCardiacPhase=40.0, SOPInstanceUID=make_uid(path))
    choice = chosen(tmp_path)
    assert len(look(tmp_path).candidates) == 2
    assert choice.series.info.phase_percent == 75.0
    assert choice.rejected[0].reason.code == "OTHER_CHOSEN"


def test_acquisitions_split_only_when_they_overlap(tmp_path: Path) -> None:
    one = cta(tmp_path / "1", options=WriteOptions(order="feet_first"))
    for i, path in enumerate(one):
        edit(path, AcquisitionNumber=1 + i // 20)  # step and shoot: one volume of four blocks
    assert len(look(tmp_path).candidates) == 1
    for path in one:
        edit(path, AcquisitionNumber=1)
    for i, path in enumerate(cta(tmp_path / "2", options=WriteOptions(acquisition_number=2))):
        pixels = pydicom.dcmread(path).PixelData
        edit(path, SOPInstanceUID=make_uid("b", i), PixelData=bytes(200) + pixels[200:])
    inventory = look(tmp_path)
    assert [c.shape_zyx[0] for c in inventory.candidates] == [64, 64]


# --- age -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "birth", "study", "expected"),
    [
        ("063Y", "", "", 63.0),
        ("006M", "", "", 0.5),
        ("", "19630512", "20260511", 62.0),
        ("", "19630512", "20260512", 63.0),
        ("063Y", "19630512", "20260601", 63.0),
        ("063Y", "19830512", "20260601", None),
        ("000Y", "", "", None),
        ("0Y", "19630512", "20260601", 63.0),
        ("999Y", "", "", None),
        ("abc", "1963", "2026", None),
        ("", "", "20260601", None),
    ],
)
def test_age(age: str, birth: str, study: str, expected: float | None) -> None:
    dataset = pydicom.Dataset()
    with pydicom.config.disable_value_validation():
        dataset.PatientAge, dataset.PatientBirthDate, dataset.StudyDate = age, birth, study
    assert age_years(dataset) == expected


@pytest.mark.parametrize(("sex", "expected"), [("F", "F"), ("m", "M"), ("O", None), ("", None)])
def test_sex_is_never_guessed(tmp_path: Path, sex: str, expected: str | None) -> None:
    for path in write_series(volume(3), info(), tmp_path):
        edit(path, PatientSex=sex)
    assert look(tmp_path).candidates[0].info.sex == expected


# --- real files ----------------------------------------------------------------------------


@pytest.mark.real
@real
def test_real_chest_ct_is_no_coronary_cta() -> None:
    error = refused(DATA / "tcia_chest_contrast")
    assert codes(error)[0] == "NO_CORONARY_CTA"
    assert {"SLICES_TOO_THICK", "NOT_ENHANCED", "PIXELS_TOO_COARSE"} <= set(codes(error))
    assert "3.00 mm" in str(error)
    assert look(DATA / "tcia_chest_contrast").candidates[0].info.age_years == 71.0


@pytest.mark.real
@real
@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("dicom2nifti/failing/gantrytilting", "GANTRY_TILT"),
        ("dicom2nifti/failing/notavolume", "SERIES_SLICE_DUPLICATE"),
        ("dicom2nifti/failing/sliceincrement/001", "SERIES_SLICE_MISSING"),
        ("dicom2nifti/failing/sliceincrement/002", "GANTRY_TILT"),
        ("dcm_qa_ct_GE", "GANTRY_TILT"),
        ("cornerstone", "PATIENTS_SEVERAL"),
    ],
)
def test_real_series_that_are_no_volume(folder: str, code: str) -> None:
    assert codes(refused(DATA / "dicom_ct" / folder))[0] == code


@pytest.mark.real
@real
def test_real_odd_files_all_end_in_a_bucket() -> None:
    inventory = look(DATA / "dicom_ct" / "pydicom_data")
    assert not inventory.candidates
    assert {r.reason.code for r in inventory.rejected} == {"TOO_FEW_SLICES", "DERIVED_REFORMAT"}
