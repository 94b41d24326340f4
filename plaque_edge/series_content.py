"""A look at a few slices: is there a large vessel or chamber full of contrast?"""

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
_PIXEL_MM = 1.5
"""Slices are averaged to about this pixel, which takes most of the noise away."""
_RADIUS_MM = 6.0
"""Half-width of what counts: the aorta is 20 mm wide or more, ribs and cortex are thinner."""
_MIN_AREA_MM2 = 250.0
"""A cross-section of the aorta; a circle of 18 mm."""
_SEARCH_HU = 120.0
"""Large even regions above this are looked for, and their HU returned."""
_TOP_HU = 900.0
_BRIGHT_SHARE = 0.25


def blood_hu(series: SeriesFiles) -> float | None:
    """Return the HU of the brightest large even region, ``None`` when there is none.

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
    """Return the median HU of the brightest large region of one slice."""
    block = max(1, round(_PIXEL_MM / pixel_mm))
    small = _block_mean(image, block)
    width_mm = block * pixel_mm
    reach = max(1, round(_RADIUS_MM / width_mm))
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc = y * y + x * x <= reach * reach
    best: float | None = None
    for threshold in (_SEARCH_HU, 180.0, 250.0, 350.0, 450.0):
        mask = (small > threshold) & (small < _TOP_HU)
        opened = ndimage.binary_opening(mask, disc)
        labels, number = ndimage.label(opened)
        sizes = np.bincount(labels.ravel(), minlength=number + 1)[1:] * width_mm**2
        large = np.flatnonzero(sizes >= _MIN_AREA_MM2) + 1
        if large.size == 0:
            break
        best = max(float(np.median(small[labels == k])) for k in large)
    return best


def _block_mean(image: NDArray[np.int16], block: int) -> NDArray[np.float64]:
    rows, columns = (n // block * block for n in image.shape)
    cut = image[:rows, :columns].reshape(rows // block, block, columns // block, block)
    means: NDArray[np.float64] = cut.mean(axis=(1, 3))
    return means
