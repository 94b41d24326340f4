"""Files of the phantom writer, read back by pydicom and highdicom, and the simulated scanner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_factory import info, volume

from plaque_edge.phantom.dicom import SYNTAXES, WriteOptions, make_uid, write_series
from plaque_edge.phantom.scanner import PIECES, export
from plaque_edge.types import Volume

if TYPE_CHECKING:
    from pathlib import Path

TYPE_1_AND_2 = """SOPClassUID SOPInstanceUID PatientName PatientID PatientBirthDate PatientSex
StudyInstanceUID StudyDate StudyTime ReferringPhysicianName StudyID AccessionNumber Modality
SeriesInstanceUID SeriesNumber PatientPosition FrameOfReferenceUID PositionReferenceIndicator
Manufacturer InstanceNumber PixelSpacing ImageOrientationPatient ImagePositionPatient
SliceThickness ImageType SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated
BitsStored HighBit PixelRepresentation RescaleIntercept RescaleSlope RescaleType KVP
AcquisitionNumber ContrastBolusAgent PixelData""".split()


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("signed", [False, True])
def test_every_syntax_gives_back_the_pixels(tmp_path: Path, syntax: str, signed: bool) -> None:
    made = volume(4)
    options = WriteOptions(syntax=syntax, signed=signed, order="feet_first")  # type: ignore[arg-type]
    paths = write_series(made, info(), tmp_path, options)
    for path, expected in zip(paths, made.hu, strict=True):
        dataset = pydicom.dcmread(path)
        assert dataset.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
        assert np.array_equal(dataset.pixel_array.astype(int) - 1024, expected)


def test_required_attributes_and_age(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(write_series(volume(3), info(), tmp_path)[0])
    assert [k for k in TYPE_1_AND_2 if k not in dataset] == []
    assert dataset.PatientAge == "063Y"
    assert dataset.BodyPartExamined == "HEART"
    assert list(dataset.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]
    assert dataset.NominalPercentageOfCardiacPhase == 75.0


def test_same_input_same_bytes_and_unique_uids(tmp_path: Path) -> None:
    one = write_series(volume(5), info(), tmp_path / "1")
    two = write_series(volume(5), info(), tmp_path / "2")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    assert len({pydicom.dcmread(p).SOPInstanceUID for p in one}) == 5
    assert make_uid("a") != make_uid("b")
    assert pydicom.uid.UID(make_uid("a")).is_valid


def test_nothing_is_written_over(tmp_path: Path) -> None:
    write_series(volume(3), info(), tmp_path)
    with pytest.raises(FileExistsError):
        write_series(volume(3), info(), tmp_path)


@pytest.mark.parametrize("syntax", ["explicit", "jpeg_ls"])
def test_enhanced_ct_is_read_by_highdicom(tmp_path: Path, syntax: str) -> None:
    made = volume(6)
    options = WriteOptions(enhanced=True, syntax=syntax)  # type: ignore[arg-type]
    (path,) = write_series(made, info(), tmp_path, options)
    image = highdicom.imread(path)
    grid = image.get_volume().to_patient_orientation("HPL")
    assert grid.spacing == pytest.approx(made.spacing_zyx_mm)
    # highdicom positions are (x, y, z)
    assert grid.position == pytest.approx(made.origin_zyx_mm[::-1])
    assert np.allclose(grid.array, made.hu)


def test_scanner_writes_in_pieces_and_reports_whole_files(tmp_path: Path) -> None:
    made = Volume(volume(5).hu, (1.0, 0.6, 0.5), (0.0, 0.0, 0.0))
    plain = write_series(made, info(), tmp_path / "plain")
    seen: list[tuple[int, int, int]] = []

    def note(done: int, total: int, path: Path) -> None:
        seen.append((done, total, path.stat().st_size))

    paths = export(made, info(), tmp_path / "scan", 0, note)
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in plain]
    assert seen == [(i + 1, 5, plain[i].stat().st_size) for i in range(5)]
    assert PIECES > 1


def test_scanner_leaves_half_files_on_the_way(tmp_path: Path) -> None:
    import threading

    whole = write_series(volume(2), info(), tmp_path / "plain")[0].stat().st_size
    folder = tmp_path / "scan"
    thread = threading.Thread(target=export, args=(volume(2), info(), folder, 4.0))
    thread.start()
    sizes = set()
    while thread.is_alive():
        sizes |= {p.stat().st_size for p in folder.glob("*")}
    thread.join()
    assert any(0 < s < whole for s in sizes)
    assert {p.stat().st_size for p in folder.glob("*")} == {whole}
