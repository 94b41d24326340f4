"""Label statistics against a slow twin, scipy, SimpleITK and scikit-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from skimage.measure import regionprops

from plaque_edge import quantify_bench
from plaque_edge.errors import Failed
from plaque_edge.quantify.label_stats import label_statistics

REAL = Path(__file__).parents[2] / "shared" / "data" / "totalsegmentator_cta_heart"


def twin(labels, hu, n, limits):
    """One label after the other, plain numpy."""
    rows = []
    for k in range(1, n):
        where = np.argwhere(labels == k)
        values = hu[labels == k].astype(np.int64)
        if not len(where):
            rows.append((0, *[np.nan] * 4, [0] * 6, [0] * (len(limits) + 1)))
            continue
        box = [v for d in range(3) for v in (where[:, d].min(), where[:, d].max() + 1)]
        edges = [-(10**6), *limits, 10**6]
        bands = np.histogram(values, edges)[0]
        rows.append(
            (len(where), values.mean(), values.std(), values.min(), values.max(), box, bands)
        )
    return rows


def check(labels, hu, n, limits=()):
    got = label_statistics(labels, hu, n, tuple(limits))
    for k, row in enumerate(twin(labels, hu, n, list(limits)), 1):
        assert got.voxels[k] == row[0]
        stats = [got.mean_hu[k], got.sd_hu[k], got.min_hu[k], got.max_hu[k]]
        assert stats == pytest.approx(list(row[1:5]), nan_ok=True, abs=1e-6)
        assert got.box[k].tolist() == list(row[5])
        assert got.bands[k].tolist() == list(row[6])
    return got


@pytest.mark.parametrize("columns", [64, 37, 8, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_random_volumes_are_those_of_the_twin(columns, dtype):
    rng = np.random.default_rng(columns)
    labels = rng.integers(0, 6, (9, 11, columns)).astype(dtype)
    labels[:, :6] = 0
    hu = rng.integers(-1024, 3071, labels.shape).astype(np.int16)
    check(labels, hu, 8, (30, 131, 350))


@pytest.mark.parametrize("most", [4095, 4096, 32767])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_long_runs_from_every_offset_and_of_every_size_of_value(most, dtype):
    """Runs over one and several blocks and words, at the edge of what 32 bits hold."""
    columns = 640
    labels = np.zeros((1, 24, columns), dtype)
    for row in range(24):
        labels[0, row, row : columns - 3 * row] = 1 + row % 3
        labels[0, row, 300 + row : 300 + 2 * row] = 4
    hu = np.full(labels.shape, most, np.int16)
    hu[:, ::2] = -most - (most == 32767)
    check(labels, hu, 5)
    hu[..., ::3] = 7
    check(labels, hu, 5)


@pytest.mark.parametrize("columns", [5, 12, 67])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_labels_at_the_ends_of_rows_that_are_no_whole_words(columns, dtype):
    """What ends one row and begins the next are two runs, and words straddle both."""
    labels = np.zeros((3, 35, columns), dtype)
    labels[0, :, -1] = 1
    labels[0, 1:, 0] = 2
    labels[1, 3:9] = 3  # whole rows of one label after another
    labels[2, -1, -1] = 4  # the very last voxel, in the rest that makes no word
    hu = np.random.default_rng(1).integers(-1000, 2000, labels.shape).astype(np.int16)
    got = check(labels, hu, 5, (130,))
    assert got.box[3].tolist() == [1, 2, 3, 9, 0, columns]
    assert got.box[4].tolist() == [2, 3, 34, 35, columns - 1, columns]


def test_every_layout_in_memory():
    """Views with steps, backwards, turned, and bytes that begin on no word."""
    rng = np.random.default_rng(4)
    labels = np.repeat(rng.integers(0, 4, (14, 22, 6)), 6, axis=2).astype(np.uint8)
    hu = rng.integers(-1024, 3071, labels.shape).astype(np.int16)
    for at in (np.s_[::2, 1:, 3:], np.s_[::-1, ::-1, ::-1], np.s_[:, :, ::3], np.s_[1:, :-1, 1:-1]):
        check(labels[at], hu[at], 4, (30, 350))
    check(labels.transpose(2, 0, 1), hu.transpose(2, 0, 1), 4)
    check(np.asfortranarray(labels), hu, 4)
    raw = np.zeros(labels.size + 3, np.uint8)
    raw[3:] = labels.ravel()
    check(raw[3:].reshape(labels.shape), hu, 4)
    locked, shade = labels.copy(), hu.copy()
    locked.flags.writeable = shade.flags.writeable = False
    check(locked, shade, 4)


@pytest.mark.parametrize("shape", [(0, 4, 4), (3, 0, 8), (2, 3, 0)])
def test_nothing_in_it(shape):
    got = label_statistics(np.zeros(shape, np.uint8), np.zeros(shape, np.int16), 3)
    assert got.voxels.tolist() == [0, 0, 0]
    assert np.isnan(got.max_hu).all()


@pytest.mark.parametrize("bad", [-1, 4, 900])
def test_a_label_outside_is_refused_and_not_written_anywhere(bad):
    labels = np.ones((2, 3, 9), np.int32)
    labels[1, 2, 7:] = bad
    with pytest.raises(ValueError, match="from 0 to 3"):
        label_statistics(labels, np.zeros(labels.shape, np.int16), 4)


def test_blobs_are_those_of_three_libraries():
    rng = np.random.default_rng(2)
    smooth = ndimage.gaussian_filter(rng.normal(size=(30, 48, 56)), 3)
    labels = np.digitize(smooth, [0.03, 0.06, 0.09]).astype(np.uint8)
    hu = (400 * smooth / smooth.max() + rng.normal(0, 30, labels.shape)).astype(np.int16)
    got = check(labels, hu, 4)
    index = [1, 2, 3]
    assert got.mean_hu[1:] == pytest.approx(ndimage.mean(hu, labels, index))
    assert got.sd_hu[1:] == pytest.approx(ndimage.standard_deviation(hu, labels, index))
    image = sitk.LabelStatisticsImageFilter()
    image.Execute(sitk.GetImageFromArray(hu), sitk.GetImageFromArray(labels))
    for k in index:
        assert image.GetCount(k) == got.voxels[k]
        assert image.GetMean(k) == pytest.approx(got.mean_hu[k])
        assert (image.GetMinimum(k), image.GetMaximum(k)) == (got.min_hu[k], got.max_hu[k])
        x0, x1, y0, y1, z0, z1 = image.GetBoundingBox(k)
        assert got.box[k].tolist() == [z0, z1 + 1, y0, y1 + 1, x0, x1 + 1]
    for region in regionprops(labels, intensity_image=hu):
        k = region.label
        assert region.num_pixels == got.voxels[k]
        assert region.intensity_mean == pytest.approx(got.mean_hu[k])
        z0, y0, x0, z1, y1, x1 = region.bbox
        assert got.box[k].tolist() == [z0, z1, y0, y1, x0, x1]


@pytest.mark.real
def test_a_real_ct_and_its_masks_are_those_of_simpleitk():
    ct = REAL / "aorta_report" / "ct_cropped.nii.gz"
    if not ct.exists():
        pytest.skip(f"{ct} is not here")
    import nibabel

    hu = np.asarray(nibabel.load(ct).dataobj).astype(np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    for k, name in enumerate(("aorta", "sinotubular_junction", "annulus_proper"), 1):
        labels[np.asarray(nibabel.load(ct.with_name(f"{name}.nii.gz")).dataobj) > 0] = k
    got = label_statistics(labels, hu, 4)
    image = sitk.LabelStatisticsImageFilter()
    image.Execute(sitk.GetImageFromArray(hu), sitk.GetImageFromArray(labels))
    assert got.voxels[1] > 10_000
    for k in (1, 2, 3):
        assert image.GetCount(k) == got.voxels[k]
        assert image.GetMean(k) == pytest.approx(got.mean_hu[k], nan_ok=True)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        label_statistics(np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 3), np.int16), 2)
    flat = np.ones((2, 2, 2), np.uint8)
    for labels, hu in ((flat, np.zeros(flat.shape)), (flat * 1.5, np.zeros(flat.shape, np.int16))):
        with pytest.raises(ValueError, match="int16"):
            label_statistics(labels, hu, 2)
    nothing = label_statistics(np.zeros((2, 2, 8), np.uint8), np.zeros((2, 2, 8), np.int16), 2)
    assert nothing.voxels.tolist() == [0, 0]
    assert np.isnan(nothing.mean_hu).all()


def test_the_benchmark_times_all_four_on_the_same_numbers():
    data = quantify_bench.run(repeat=1, shape=(12, 64, 64))
    for volume in data["volumes"].values():
        assert set(volume["contenders"]) == set(quantify_bench.CONTENDERS)
        rows = volume["contenders"].values()
        assert all(0 < row["ms"] < 1e6 for row in rows)
        assert 0 < volume["read_once_ms"] < 1e6
    text = "\n".join(quantify_bench.lines(data))
    assert text.count("times faster than the best library") == 2


def test_a_benchmark_whose_contenders_disagree_is_worth_nothing(monkeypatch):
    wrong = {**quantify_bench.CONTENDERS, "other": lambda labels, hu: np.zeros((2, 6))}
    monkeypatch.setattr(quantify_bench, "CONTENDERS", wrong)
    with pytest.raises(Failed, match="different numbers"):
        quantify_bench.run(repeat=1, shape=(12, 64, 64))
