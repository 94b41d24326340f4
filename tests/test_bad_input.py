"""Bad input against the command line: refused in words, without a number, and left as it was.

What each reader says of it is tested in test_series.py and test_volume.py; here it is what a
person or a script gets: exit code, JSON, the line on the error stream, files untouched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema
import pydicom
import pytest
import tube_scan
from dicom_factory import DATA, cta, cut, edit, hashes, info, volume

from plaque_edge import pipeline, series
from plaque_edge.cli import main
from plaque_edge.export.result_json import SCHEMA_FILE
from plaque_edge.phantom.dicom import WriteOptions, make_uid, write_series

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
REAL_CT = DATA / "dicom_ct"
MR = {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}
SCENES: list[tuple[Callable[[Path], object], list[str]]] = []
"""What makes a bad input in an empty folder, and the codes it is refused with."""


def scene(*codes: str) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    def add(make: Callable[[Path], object]) -> Callable[[Path], object]:
        SCENES.append((make, list(codes)))
        return make

    return add


class Answer(NamedTuple):
    """What one run of ``analyze`` gave: exit code, reasons, the JSON, the error stream."""

    exit: int
    codes: list[str]
    data: dict[str, Any]
    err: str


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], Answer]:
    """Run ``analyze`` on a path; engines are stood in for, since no refusal asks them."""

    def run(path: Path) -> Answer:
        target = tmp_path / "result.json"
        words = ["analyze", str(path), "--json", str(target), "--factory", "tube_scan:factory"]
        code = main(words)
        out, err = capsys.readouterr()
        assert out == ""
        data: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
        return Answer(code, [r["code"] for r in data["reasons"]], data, err)

    return run


def check_refusal(answer: Answer) -> None:
    """Assert what every refusal has in common."""
    assert answer.exit == 2
    assert answer.data["status"] == "not_analysable"
    check_words(answer)
    check_no_number(answer.data)


def check_words(answer: Answer) -> None:
    assert "Traceback" not in answer.err
    for reason in answer.data["reasons"]:
        assert reason["text"].rstrip().endswith("."), reason
        assert reason["next_step"].rstrip().endswith("."), reason
        assert f"{reason['code']}: {reason['text']}" in answer.err
    assert answer.data["reasons"]


def known(value: object) -> list[object]:
    """All that is said anywhere within ``value``: empty lists and ``None`` say nothing."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [x for part in value for x in known(part)]
    return [] if value is None else [value]


def check_no_number(data: dict[str, Any]) -> None:
    """Assert that the result is of the contract and that nothing measured is a number."""
    jsonschema.validate(data, SCHEMA)
    for vessel in data["vessels"].values():
        assert vessel.pop("status") == "not_analysable"
        assert vessel.pop("centerlines") == []
        assert not known(vessel)
    assert data["patient"].pop("lower_bound") is False
    assert not known(data["patient"])
    assert data["lesions"] == data["segments"] == []
    assert data["risk"] is None
    assert data["aorta_hu"] is None
    assert data["dominance"] is None
    assert data["qc"]["verdict"] == "non_diagnostic"


# ---- folders and files ---------------------------------------------------------------------


@scene("NO_DICOM")
def empty_folder(folder: Path) -> None:
    pass


@scene("FOLDER_MISSING")
def absent_folder(folder: Path) -> None:
    folder.rmdir()


@scene("NO_DICOM", "FILE_EMPTY", "NOT_DICOM")
def files_that_are_not_dicom(folder: Path) -> None:
    (folder / "letter.txt").write_text("To whom it may concern")
    (folder / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)
    (folder / "scan.dcm").write_bytes(b"not what its name says" * 40)
    (folder / "nothing.dcm").write_bytes(b"")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(64))


@scene("PIXELS_TRUNCATED")
def one_slice_cut_in_its_pixels(folder: Path) -> None:
    cut(cta(folder)[20], 0.5)


@scene("PIXELS_TRUNCATED")
def every_slice_cut_in_its_pixels(folder: Path) -> None:
    for path in cta(folder):
        cut(path, 0.7)


@scene("PIXELS_TRUNCATED")
def copy_that_broke_off_half_way(folder: Path) -> None:
    paths = cta(folder)
    cut(paths[32], 0.4)
    for path in paths[33:]:
        path.unlink()


@scene("SERIES_SLICE_MISSING", "FILE_TRUNCATED")
def slice_cut_in_its_header(folder: Path) -> None:
    cut(cta(folder)[20], 0.02)


@scene("FILE_TRUNCATED")
def last_slice_cut_in_its_header(folder: Path) -> None:
    cut(cta(folder)[-1], 0.02)


@scene("PIXELS_TRUNCATED")
def enhanced_file_cut_in_its_pixels(folder: Path) -> None:
    cut(cta(folder, options=WriteOptions(enhanced=True))[0], 0.9)


@scene("PIXELS_UNREADABLE")
def compressed_pixels_overwritten(folder: Path) -> None:
    for path in cta(folder, options=WriteOptions(syntax="jpeg_ls")):
        data = bytearray(path.read_bytes())
        at = data.index(b"\xff\xd8\xff\xf7")
        data[at : at + 60] = bytes(60)
        path.write_bytes(bytes(data))


# ---- slices --------------------------------------------------------------------------------


@scene("SERIES_SLICE_MISSING")
def slice_missing(folder: Path) -> None:
    cta(folder)[30].unlink()


@scene("SERIES_SLICE_DUPLICATE")
def two_different_slices_at_one_place(folder: Path) -> None:
    other = folder / "again.dcm"
    shutil.copy(cta(folder)[30], other)
    pixels = pydicom.dcmread(other).PixelData
    edit(other, PixelData=pixels[::-1], SOPInstanceUID=make_uid("again"))


@scene("SERIES_SPACING_UNEVEN")
def slice_off_the_grid(folder: Path) -> None:
    path = cta(folder)[30]
    x, y, z = pydicom.dcmread(path).ImagePositionPatient
    edit(path, ImagePositionPatient=[x, y, float(z) + 0.3])


@scene("GANTRY_TILT")
def gantry_tilt_in_the_header(folder: Path) -> None:
    for path in cta(folder):
        edit(path, GantryDetectorTilt=12.0)


@scene("GANTRY_TILT")
def gantry_tilt_in_the_positions(folder: Path) -> None:
    for path in cta(folder):
        x, y, z = pydicom.dcmread(path).ImagePositionPatient
        edit(path, ImagePositionPatient=[x, y + 0.2 * float(z), z])


# ---- people and studies --------------------------------------------------------------------


@scene("PATIENTS_SEVERAL")
def two_patients_in_one_folder(folder: Path) -> None:
    cta(folder / "1")
    cta(folder / "2", "b", patient_id="P2", study_instance_uid=make_uid("study 2"))


@scene("PATIENTS_MIXED")
def two_patients_in_one_series(folder: Path) -> None:
    for path in cta(folder)[40:]:
        edit(path, PatientID="P2", PatientName="Other^Person")


@scene("STUDIES_SEVERAL")
def two_studies_of_one_patient(folder: Path) -> None:
    cta(folder / "1")
    cta(folder / "2", "b", study_instance_uid=make_uid("study 2"))


# ---- kinds of images -----------------------------------------------------------------------


@scene("NO_CORONARY_CTA", "NOT_ENHANCED")
def without_contrast(folder: Path) -> None:
    made = volume(64, blood=45.0, spacing=1.0, size=96)
    write_series(made, info(contrast_agent=""), folder)


@scene("NO_CORONARY_CTA", "NOT_CT")
def magnetic_resonance(folder: Path) -> None:
    for path in cta(folder):
        edit(path, **MR)


@scene("PIXELS_8BIT")
def eight_bits_in_sixteen(folder: Path) -> None:
    for path in cta(folder):
        edit(path, BitsStored=8, HighBit=7)


@scene("PIXELS_8BIT")
def eight_bits(folder: Path) -> None:
    for path in cta(folder):
        low = pydicom.dcmread(path).PixelData[::2]
        edit(path, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=low)


@scene("NO_CORONARY_CTA", "RESCALE_MISSING")
def rescale_beyond_all_numbers(folder: Path) -> None:
    for path in cta(folder):
        edit(path, RescaleIntercept="1e308")


@scene("SERIES_SLICE_MISSING", "RESCALE_MISSING")
def one_slice_upside_down(folder: Path) -> None:
    edit(cta(folder)[30], RescaleSlope=-1)


@scene("NO_CORONARY_CTA", "CALCIUM_SCORE", "SLICES_TOO_THICK")
def calcium_score(folder: Path) -> None:
    named = info(series_description="CaScore 3.0 Qr36", slice_thickness_mm=3.0)
    write_series(volume(64, spacing=1.0, size=96), named, folder)


@scene("QC_FIELD")
def field_smaller_than_a_heart(folder: Path) -> None:
    """Nothing is wrong with this series but its field: what the other scenes start from."""
    cta(folder)


@pytest.mark.parametrize(("make", "codes"), SCENES, ids=[make.__name__ for make, _ in SCENES])
def test_refused(
    make: Callable[[Path], object], codes: list[str], tmp_path: Path, ask: Callable[[Path], Answer]
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    make(folder)
    before = hashes(folder)
    answer = ask(folder)
    assert answer.codes == codes
    check_refusal(answer)
    assert hashes(folder) == before
    assert "Person" not in answer.err  # a patient's name is in no message


# ---- while it is read ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole_scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A series that is analysed to the end when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("whole")
    tube_scan.write(folder)
    return folder


def after(count: int, act: Callable[[], object], then: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``then``, before whose ``count``-th call ``act`` happens."""
    calls = [0]

    def call(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            act()
        return then(*arguments)

    return call


@pytest.mark.parametrize(
    ("module", "name", "count", "code"),
    [
        (series, "read_header", 9, "FOLDER_MISSING"),
        (pipeline, "choose", 1, "FILE_VANISHED"),
        (pipeline, "load_volume", 1, "FILE_VANISHED"),
    ],
    ids=["listing", "choosing", "reading"],
)
def test_folder_that_vanishes(
    module: Any,
    name: str,
    count: int,
    code: str,
    whole_scan: Path,
    tmp_path: Path,
    ask: Callable[[Path], Answer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "share"
    shutil.copytree(whole_scan, folder)
    vanish = after(count, lambda: shutil.rmtree(folder), getattr(module, name))
    monkeypatch.setattr(module, name, vanish)
    answer = ask(folder)
    assert code in answer.codes
    check_refusal(answer)


def test_file_that_is_replaced_while_the_series_is_read(
    whole_scan: Path, tmp_path: Path, ask: Callable[[Path], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole_scan, tmp_path / "share")
    paths = sorted((tmp_path / "share").iterdir())
    swap = after(1, lambda: shutil.copy(paths[3], paths[90]), pipeline.load_volume)
    monkeypatch.setattr(pipeline, "load_volume", swap)
    answer = ask(tmp_path / "share")
    assert answer.codes == ["FILE_CHANGED"]
    check_refusal(answer)


def test_fault_of_the_software_is_exit_1_and_has_no_number_either(
    whole_scan: Path, ask: Callable[[Path], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_series: object, _progress: object) -> object:
        raise MemoryError

    before = hashes(whole_scan)
    monkeypatch.setattr(pipeline, "load_volume", full)
    answer = ask(whole_scan)
    assert (answer.exit, answer.data["status"]) == (1, "failed")
    assert answer.codes == ["OUT_OF_MEMORY"]
    check_words(answer)
    check_no_number(answer.data)
    assert hashes(whole_scan) == before


# ---- through the watched folder -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "code"),
    [
        ("cut.dcm", 300, "FILE_TRUNCATED"),
        ("empty.dcm", 0, "FILE_EMPTY"),
        ("mark.done", 0, "QC_FIELD"),
    ],
)
def test_watch_never_takes_a_series_for_whole_beside_a_file_it_cannot_place(
    name: str, size: int, code: str, tmp_path: Path
) -> None:
    """The last slice of a broken copy leaves no gap; a mark of the exporter is no slice."""
    folder, out = tmp_path / "export", tmp_path / "out"
    last = cta(folder)[-1]
    data = last.read_bytes()[:size]
    if last.suffix == Path(name).suffix:
        last.unlink()
    (folder / name).write_bytes(data)
    before = hashes(folder)
    words = ["watch", str(folder), "--out", str(out), "--once", "--quiet", "0.3", "--late", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "plaque_edge", *words, "--factory", "tube_scan:factory"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    (target,) = out.glob("*/result.json")
    result = json.loads(target.read_text(encoding="utf-8"))
    assert [r["code"] for r in result["reasons"]] == [code]
    check_no_number(result)
    assert hashes(folder) == before


# ---- the program as it is started ----------------------------------------------------------


def test_the_program_itself(tmp_path: Path) -> None:
    """A process of its own, with the shipped engines, and everything it may write asked for."""
    folder = tmp_path / "study"
    slice_missing(folder)
    before = hashes(folder)
    words = ["analyze", str(folder), "--json", "-", "--pdf", str(tmp_path / "report.pdf")]
    done = subprocess.run(
        [sys.executable, "-m", "plaque_edge", *words, "--out", str(tmp_path / "out")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    data = json.loads(done.stdout)
    codes = [r["code"] for r in data["reasons"]]
    assert codes == ["SERIES_SLICE_MISSING"]
    check_refusal(Answer(done.returncode, codes, data, done.stderr))
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    (published,) = (tmp_path / "out").glob("*/result.json")
    check_no_number(json.loads(published.read_text(encoding="utf-8")))
    assert hashes(folder) == before


@pytest.mark.parametrize("target", ["report.pdf", "result.json"])
def test_target_that_cannot_be_written_is_the_softwares_end(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cta(tmp_path / "study")
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder is meant to be")
    option = "--pdf" if target.endswith("pdf") else "--json"
    words = ["analyze", str(tmp_path / "study"), "--json", str(tmp_path / "ok.json")]
    words += [option, str(blocked / target), "--factory", "tube_scan:factory"]
    assert main(words) == 1
    err = capsys.readouterr().err
    assert "RESULT_NOT_WRITTEN: " in err
    assert "Traceback" not in err
    if option == "--pdf":  # what the analysis found is not lost with it
        check_no_number(json.loads((tmp_path / "ok.json").read_text(encoding="utf-8")))


# ---- real files ----------------------------------------------------------------------------

REAL: list[tuple[str, list[str]]] = [
    (
        "tcia_chest_contrast",
        ["NO_CORONARY_CTA", "SLICES_TOO_THICK", "PIXELS_TOO_COARSE", "NOT_ENHANCED"],
    ),
    ("dicom_ct", ["PATIENTS_SEVERAL"]),
    ("dicom_ct/cornerstone", ["PATIENTS_SEVERAL"]),
    ("dicom_ct/pydicom_data", ["PATIENTS_SEVERAL"]),
    ("dicom_ct/dcm_qa_ct_GE", ["GANTRY_TILT"]),
    ("dicom_ct/dicom2nifti/failing/gantrytilting", ["GANTRY_TILT"]),
    ("dicom_ct/dicom2nifti/failing/notavolume", ["SERIES_SLICE_DUPLICATE"]),
    ("dicom_ct/dicom2nifti/failing/sliceincrement/001", ["SERIES_SLICE_MISSING"]),
    ("dicom_ct/dicom2nifti/failing/sliceincrement/002", ["GANTRY_TILT", "SERIES_SLICE_MISSING"]),
]
SINGLE = {"TOO_FEW_SLICES", "DERIVED_REFORMAT", "SYNTAX_UNSUPPORTED", "PIXELS_8BIT"}
needs_data = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not present")


@pytest.mark.real
@needs_data
@pytest.mark.parametrize(("name", "codes"), REAL, ids=[name for name, _ in REAL])
def test_real_series_is_refused(name: str, codes: list[str], ask: Callable[[Path], Answer]) -> None:
    before = hashes(DATA / name)
    answer = ask(DATA / name)
    assert answer.codes == codes
    check_refusal(answer)
    assert hashes(DATA / name) == before


@pytest.mark.real
@needs_data
@pytest.mark.parametrize("folder", ["cornerstone", "pydicom_data"])
def test_every_real_odd_file_alone_is_refused(folder: str, ask: Callable[[Path], Answer]) -> None:
    """One slice is no coronary CTA, in whatever transfer syntax, whole or damaged."""
    files = sorted(p for p in (REAL_CT / folder).rglob("*") if p.is_file())
    assert files
    for file in files:
        answer = ask(file)
        assert set(answer.codes) & SINGLE, (file.name, answer.codes)
        check_refusal(answer)
