"""Pixels to Hounsfield units on canonical axes, against pydicom's own decoding."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from dicom_factory import DATA, cut, edit, hashes, info, volume

from plaque_edge.dicom_pixels import stored_frame, to_hu
from plaque_edge.dicom_read import read_header
from plaque_edge.errors import Refused
from plaque_edge.phantom.dicom import SYNTAXES, WriteOptions, write_series
from plaque_edge.series import read_candidates
from plaque_edge.types import SeriesFiles, Volume
from plaque_edge.volume import load_volume, sample_slices

if TYPE_CHECKING:
    from pathlib import Path

CORNERSTONE = DATA / "dicom_ct" / "cornerstone"
LOSSLESS = ("4.57", "4.70", "4.80", "4.90", "1.2.5", "1.99", "1.2.2", "1.2.1", "1.2")
real = pytest.mark.skipif(not DATA.exists(), reason="real data not present")


def one(folder: Path) -> SeriesFiles:
    (series,) = read_candidates([folder]).candidates
    return series


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("enhanced", [False, True])
def test_round_trip(tmp_path: Path, syntax: str, enhanced: bool) -> None:
    made = volume(7)
    options = WriteOptions(syntax=syntax, enhanced=enhanced, order="shuffled", names="random")  # type: ignore[arg-type]
    write_series(made, info(), tmp_path, options)
    loaded = load_volume(one(tmp_path))
    assert loaded.hu.dtype == np.int16
    assert np.array_equal(loaded.hu, np.maximum(made.hu, -1024))
    assert loaded.origin_zyx_mm == pytest.approx(made.origin_zyx_mm)
    assert loaded.spacing_zyx_mm == pytest.approx(made.spacing_zyx_mm)


@pytest.mark.parametrize("row", [False, True])
@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("enhanced", [False, True])
def test_axes_are_canonical(tmp_path: Path, row: bool, column: bool, enhanced: bool) -> None:
    made = volume(5)
    options = WriteOptions(flip_row=row, flip_column=column, enhanced=enhanced)
    write_series(made, info(), tmp_path, options)
    loaded = load_volume(one(tmp_path))
    assert np.array_equal(loaded.hu, made.hu)
    assert loaded.origin_zyx_mm == pytest.approx(made.origin_zyx_mm)


@pytest.mark.parametrize(
    ("slope", "intercept", "signed"),
    [(1.0, 0.0, True), (2.0, -1024.0, False), (0.5, -8192.0, False), (1.0, -8192.0, False)],
)
def test_rescale(tmp_path: Path, slope: float, intercept: float, signed: bool) -> None:
    made = volume(4)
    options = WriteOptions(slope=slope, intercept=intercept, signed=signed)
    write_series(made, info(), tmp_path, options)
    error = np.abs(load_volume(one(tmp_path)).hu.astype(int) - made.hu)
    assert error.max() <= slope / 2


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    made = volume(4)
    paths = write_series(made, info(), tmp_path, WriteOptions(order="feet_first"))
    edit(paths[2], RescaleSlope="2", RescaleIntercept="-2048")
    loaded = load_volume(one(tmp_path))
    assert np.array_equal(loaded.hu[2], 2 * made.hu[2])
    assert np.array_equal(loaded.hu[1], made.hu[1])


def as_hu(stored: np.ndarray, *rest: object) -> np.ndarray:
    out = np.empty(stored.shape, np.int16)
    to_hu(stored, *rest, out)  # type: ignore[arg-type]
    return out


def test_padding_becomes_air_and_values_are_clipped() -> None:
    stored = np.array([[0, 24, 1024, 65535]], np.uint16)
    assert as_hu(stored, 1.0, -1024.0, (1024, 1024)).tolist() == [[-1024, -1000, -1024, 32767]]
    signed = np.array([[-2000, -5, 7]], np.int16)
    assert as_hu(signed, 1.0, 0.0, (-2000, -2000)).tolist() == [[-1024, -5, 7]]
    assert as_hu(signed, 1.5, 0.0, None).tolist() == [[-1024, -8, 10]]
    assert as_hu(signed, 1.5, 0.0, (-5, -5)).tolist() == [[-1024, -1024, 10]]


@pytest.mark.parametrize("signed", [False, True])
def test_twelve_bits_with_an_overlay_above(tmp_path: Path, signed: bool) -> None:
    rng = np.random.default_rng(1)
    low, high = (-2048, 2048) if signed else (0, 4096)
    truth = rng.integers(low, high, (48, 48))
    path = write_series(volume(3), info(), tmp_path)[0]
    overlay = rng.integers(0, 16, truth.shape) << 12
    data = ((truth & 0xFFF) | overlay).astype("<u2").tobytes()
    edit(path, PixelData=data, BitsStored=12, HighBit=11, PixelRepresentation=int(signed))
    stored = stored_frame(path, read_header(path).pixels, 0)
    assert np.array_equal(stored, truth)


def test_big_array_is_fast_and_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hu = rng.integers(-1024, 2000, (100, 512, 512)).astype(np.int16)
    write_series(Volume(hu, (0.5, 0.4, 0.4), (0.0, 0.0, 0.0)), info(), tmp_path)
    series = one(tmp_path)
    start = time.perf_counter()
    loaded = load_volume(series)
    seconds = time.perf_counter() - start
    assert np.array_equal(loaded.hu, hu)
    assert seconds < 3.0, "a third of a 300-slice scan; target 0.5 s, measured 0.15 s"


def test_progress_and_samples(tmp_path: Path) -> None:
    made = volume(9)
    write_series(made, info(), tmp_path)
    steps: list[float] = []
    load_volume(one(tmp_path), steps.append)
    assert steps == pytest.approx([(i + 1) / 9 for i in range(9)])
    assert np.array_equal(sample_slices(one(tmp_path), [2, 7]), made.hu[[2, 7]])


def test_a_file_that_vanishes_or_changes(tmp_path: Path) -> None:
    paths = write_series(volume(5), info(), tmp_path)
    series = one(tmp_path)
    data = paths[1].read_bytes()
    paths[1].unlink()
    with pytest.raises(Refused, match="FILE_VANISHED"):
        load_volume(series)
    paths[1].write_bytes(paths[3].read_bytes())
    with pytest.raises(Refused, match="FILE_CHANGED"):
        load_volume(series)
    paths[1].write_bytes(data)
    cut(paths[1], 0.5)
    with pytest.raises(Refused, match="FILE_CHANGED"):
        load_volume(series)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    paths = write_series(volume(40), info(), tmp_path, WriteOptions(order="feet_first"))
    series = one(tmp_path)

    def disturb(share: float) -> None:
        if share > 0.9:
            edit(paths[0], PatientComments="touched")

    with pytest.raises(Refused, match="FILE_CHANGED"):
        load_volume(series, disturb)


def test_corrupt_compressed_pixels(tmp_path: Path) -> None:
    paths = write_series(volume(4), info(), tmp_path, WriteOptions(syntax="jpeg_ls"))
    data = bytearray(paths[2].read_bytes())
    at = data.index(b"\xff\xd8\xff\xf7")
    data[at : at + 60] = bytes(60)
    paths[2].write_bytes(bytes(data))
    with pytest.raises(Refused, match="PIXELS_UNREADABLE"):
        load_volume(one(tmp_path))


def test_input_is_untouched(tmp_path: Path) -> None:
    write_series(volume(6), info(), tmp_path)
    before = hashes(tmp_path)
    for path in tmp_path.iterdir():
        path.chmod(0o444)
    load_volume(one(tmp_path))
    assert hashes(tmp_path) == before


@pytest.mark.real
@real
@pytest.mark.parametrize("tail", LOSSLESS)
def test_one_real_slice_in_every_lossless_syntax(tail: str) -> None:
    base = _hu(CORNERSTONE / "CTImage.dcm")
    (path,) = CORNERSTONE.glob(f"CTImage.dcm_*_1.2.840.10008*.{tail}.dcm")
    found = _hu(path)
    assert base.max() > 1000
    assert np.array_equal(found, base)


@pytest.mark.real
@real
@pytest.mark.parametrize(("tail", "most"), [("4.81", 2), ("4.91", 8)])
def test_lossy_syntaxes_are_close_and_said_to_be_lossy(tail: str, most: int) -> None:
    base = _hu(CORNERSTONE / "CTImage.dcm").astype(int)
    (path,) = CORNERSTONE.glob(f"CTImage.dcm_*.{tail}.dcm")
    assert np.abs(_hu(path).astype(int) - base).max() <= most
    assert read_header(path).lossy


@pytest.mark.real
@real
@pytest.mark.parametrize("name", ["CTImage.dcm", "CT1_J2KR", "CT2_J2KR"])
def test_real_slices_agree_with_pydicom(name: str) -> None:
    dataset = pydicom.dcmread(CORNERSTONE / name)
    stored = dataset.pixel_array.astype(float)
    expected = np.clip(stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept),
                       -1024, 32767)  # fmt: skip
    expected[stored == dataset.get("PixelPaddingValue", np.nan)] = -1024
    assert np.array_equal(_hu(CORNERSTONE / name), expected)


@pytest.mark.real
@real
@pytest.mark.parametrize("tail", ["4.51", "4.53", "4.55"])
def test_syntaxes_without_a_maintained_decoder(tail: str) -> None:
    (path,) = CORNERSTONE.glob(f"CTImage.dcm_*.{tail}.dcm")
    with pytest.raises(Refused, match="SYNTAX_UNSUPPORTED"):
        _hu(path)


@pytest.mark.real
@real
def test_real_enhanced_ct_frames() -> None:
    path = DATA / "dicom_ct" / "pydicom_data" / "eCT_Supplemental.dcm"
    header = read_header(path)
    dataset = pydicom.dcmread(path)
    assert len(header.frames) == int(dataset.NumberOfFrames) == 2
    for i, frame in enumerate(header.frames):
        groups = dataset.PerFrameFunctionalGroupsSequence[i]
        assert frame.position_mm == pytest.approx(
            [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient]
        )
        assert np.array_equal(stored_frame(path, header.pixels, i), dataset.pixel_array[i])


def _hu(path: Path) -> np.ndarray:
    header = read_header(path)
    assert header.incomplete is None
    frame = header.frames[0]
    stored = stored_frame(path, header.pixels, 0)
    return as_hu(stored, frame.slope, frame.intercept, header.pixels.padding)
