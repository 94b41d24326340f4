"""Label statistics against a slow twin, scipy, SimpleITK and scikit-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from skimage.measure import regionprops

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
    nothing = label_statistics(np.zeros((2, 2, 8), np.uint8), np.zeros((2, 2, 8), np.int16), 2)
    assert nothing.voxels.tolist() == [0, 0]
    assert np.isnan(nothing.mean_hu).all()
