"""A look at a few slices, for a large vessel or chamber full of contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from plaque_edge.volume import sample_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import SeriesFiles

SAMPLES = 9
"""Slices looked at, evenly between 15 and 90 % of the way up."""
_PIXEL_MM = 2.0
"""Slices are averaged to about this pixel, which takes most of the noise away."""
_WINDOW_MM = 9.0
"""Side of the window that must be even throughout; the aorta is 20 mm wide or more."""
_EVEN_HU = 28.0
"""Largest standard deviation in the window. Blood is even; bone, at the same HU, never is."""
_MIN_AREA_MM2 = 90.0
"""Area of window centres: what a 20 mm vessel leaves when its rim is taken off."""
_SEARCH_HU, _TOP_HU = 80.0, 900.0
"""Even regions between these are looked at. Unenhanced muscle lies below."""
_BRIGHT_SHARE = 0.25


def blood_hu(series: SeriesFiles) -> float | None:
    """Return the HU of the brightest large, even region, ``None`` when there is none.

    With contrast in the arteries this is the blood of the left heart or the aorta. The upper
    quartile over the slices is taken, so one slice with an odd bone does not decide. Raises
    the refusals of :func:`plaque_edge.volume.load_volume`.
    """
    count = series.shape_zyx[0]
    indices = sorted({int(v) for v in np.linspace(0.15, 0.9, SAMPLES) * (count - 1)})
    slices = sample_slices(series, indices)
    found = [_brightest(image, series.spacing_zyx_mm[1]) for image in slices]
    bright = [v for v in found if v is not None]
    if len(bright) < max(1.0, _BRIGHT_SHARE * len(indices)):
        return None
    return float(np.quantile(bright, 0.75))


def _brightest(image: NDArray[np.int16], pixel_mm: float) -> float | None:
    """Return the median HU of the brightest large, even region of one slice."""
    block = max(1, round(_PIXEL_MM / pixel_mm))
    width_mm = block * pixel_mm
    small = np.minimum(_block_mean(image, block), 2 * _TOP_HU)
    size = max(3, round(_WINDOW_MM / width_mm))
    mean = ndimage.uniform_filter(small, size)
    variance = ndimage.uniform_filter(small * small, size) - mean * mean
    even = (mean > _SEARCH_HU) & (mean < _TOP_HU) & (variance < _EVEN_HU**2)
    # Neighbours of different brightness (aorta and right ventricle) count apart: each step up
    # takes the duller ones away.
    best: float | None = None
    for threshold in range(int(_SEARCH_HU), int(_TOP_HU), 40):
        labels, number = ndimage.label(even & (mean > threshold))
        areas = np.bincount(labels.ravel(), minlength=number + 1)[1:] * width_mm**2
        large = np.flatnonzero(areas >= _MIN_AREA_MM2) + 1
        if large.size == 0:
            break
        best = max(float(np.median(mean[labels == k])) for k in large)
    return best


def _block_mean(image: NDArray[np.int16], block: int) -> NDArray[np.float64]:
    rows, columns = (n // block * block for n in image.shape)
    cut = image[:rows, :columns].reshape(rows // block, block, columns // block, block)
    means: NDArray[np.float64] = cut.mean(axis=(1, 3))
    return means
