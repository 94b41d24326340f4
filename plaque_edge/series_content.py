"""What a few slices of a series show: contrast, noise, sharpness of small vessels, coverage.

Tags often don't say whether contrast ran, and never whether the heart stood still. Only
:data:`SAMPLES` slices and both ends are decoded, so that several series are looked at within
the time that reading one takes.
"""

from __future__ import annotations

from dataclasses import dataclass
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
_NOISE_MM = 4.0
"""Side of the squares in blood in which noise is measured at the scan's own pixel."""
_SPOT_MM2 = (3.0, 40.0)
"""Area of a coronary artery cut across, at half its height."""
_SPOT_ROUND = 1.8
"""Largest ratio of the sides of the box round a spot; a vessel cut along is longer."""
_SPOT_RING_HU = (-200.0, 120.0)
"""What lies round a coronary artery: fat and muscle, not lung and not another chamber."""
MIN_SPOTS = 6
"""With fewer vessels cut across, sharpness is not known."""
_CHAMBER_MM2 = 900.0
"""Blood in one slice of the heart's middle; below the apex there is none, only liver."""


@dataclass(frozen=True, slots=True)
class Content:
    """What the slices show; ``None`` is not known.

    ``blood_hu`` is of the brightest large, even region: aorta or left heart when contrast ran.
    ``noise_hu`` is the SD in it. ``edge_mm`` is how far the edges of small vessels spread from
    25 to 75 % of their height. ``feet_mm2`` is the area of bright blood in the lowest slice,
    and ``head_mm2`` in the uppermost.
    """

    blood_hu: float | None
    noise_hu: float | None = None
    edge_mm: float | None = None
    feet_mm2: float | None = None
    head_mm2: float | None = None

    @property
    def heart_cut(self) -> bool | None:
        """Whether the scan seems to begin inside the heart, or to end below the great vessels."""
        if self.feet_mm2 is None or self.head_mm2 is None:
            return None
        return self.feet_mm2 > _CHAMBER_MM2 or self.head_mm2 < _MIN_AREA_MM2


def look_at(series: SeriesFiles) -> Content:
    """Look at a few slices. Raises the refusals of :func:`plaque_edge.volume.load_volume`."""
    count = series.shape_zyx[0]
    inner = sorted({int(v) for v in np.linspace(0.15, 0.9, SAMPLES) * (count - 1)})
    ends = [0, count - 1]
    indices = sorted({*inner, *ends})
    slices = dict(zip(indices, sample_slices(series, indices), strict=True))
    pixel_mm = series.spacing_zyx_mm[1]
    views = {z: _View.of(image, pixel_mm) for z, image in slices.items()}
    bright = [views[z].blood_hu for z in inner]
    known = [v for v in bright if v is not None]
    if len(known) < max(1.0, _BRIGHT_SHARE * len(inner)):
        return Content(None)
    blood = float(np.quantile(known, 0.75))
    spots = [s.edge_mm for z in inner for s in small_vessels(slices[z], pixel_mm, blood)]
    return Content(
        blood,
        _noise_hu([(slices[z], views[z]) for z in inner], blood, pixel_mm),
        float(np.median(spots)) if len(spots) >= MIN_SPOTS else None,
        *(views[z].area_mm2(0.75 * blood) for z in ends),
    )


@dataclass(frozen=True, slots=True)
class Spot:
    """A small vessel cut across: its middle in pixels, its area, and how far its edge spreads."""

    row: float
    column: float
    area_mm2: float
    edge_mm: float


@dataclass(frozen=True, slots=True)
class _View:
    """One slice at about 2 mm: mean of a window round each pixel, and where it is even."""

    mean: NDArray[np.float64]
    even: NDArray[np.bool_]
    width_mm: float
    blood_hu: float | None

    @classmethod
    def of(cls, image: NDArray[np.int16], pixel_mm: float) -> _View:
        block = max(1, round(_PIXEL_MM / pixel_mm))
        width_mm = block * pixel_mm
        small = np.minimum(_block_mean(image, block), 2 * _TOP_HU)
        size = max(3, round(_WINDOW_MM / width_mm))
        mean = ndimage.uniform_filter(small, size)
        variance = ndimage.uniform_filter(small * small, size) - mean * mean
        even = (mean > _SEARCH_HU) & (mean < _TOP_HU) & (variance < _EVEN_HU**2)
        return cls(mean, even, width_mm, _brightest(mean, even, width_mm))

    def area_mm2(self, least_hu: float) -> float:
        """Area of even windows at least so bright."""
        return float((self.even & (self.mean > least_hu)).sum()) * self.width_mm**2


def _brightest(mean: NDArray[np.float64], even: NDArray[np.bool_], width_mm: float) -> float | None:
    """Return the median HU of the brightest large, even region of one slice."""
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


def _noise_hu(
    seen: list[tuple[NDArray[np.int16], _View]], blood_hu: float, pixel_mm: float
) -> float | None:
    """Return the median SD of small squares in the blood, as one would place them by hand."""
    half = max(2, round(0.5 * _NOISE_MM / pixel_mm))
    found = []
    for image, view in seen:
        block = round(view.width_mm / pixel_mm)
        places = np.argwhere(view.even & (abs(view.mean - blood_hu) < 0.15 * blood_hu))
        for row, column in (places * block + block // 2)[:: max(1, len(places) // 25)]:
            square = image[row - half : row + half + 1, column - half : column + half + 1]
            if square.shape == (2 * half + 1, 2 * half + 1):
                found.append(float(square.std()))
    return float(np.median(found)) if found else None


def small_vessels(image: NDArray[np.int16], pixel_mm: float, blood_hu: float) -> list[Spot]:
    """Return the small vessels cut across in one slice: bright and round, in fat or muscle."""
    labels, number = ndimage.label(image > 0.5 * blood_hu)
    if number == 0:
        return []
    areas = np.bincount(labels.ravel(), minlength=number + 1)[1:] * pixel_mm**2
    boxes = ndimage.find_objects(labels)
    margin = max(2, round(1.5 / pixel_mm))
    found = []
    for k in np.flatnonzero((areas > _SPOT_MM2[0]) & (areas < _SPOT_MM2[1])):
        width = _edge(image, boxes[k], margin)
        if width is not None:
            row, column = (0.5 * (s.start + s.stop - 1) for s in boxes[k])
            found.append(Spot(row, column, float(areas[k]), width * pixel_mm))
    return found


def _edge(image: NDArray[np.int16], box: tuple[slice, slice], margin: int) -> float | None:
    """Return the width of one spot's edge in pixels, ``None`` when it is no vessel in fat.

    It is the difference of the radii of circles as large as what is brighter than 25 and than
    75 % of the way from the surroundings to the vessel.
    """
    sides = [s.stop - s.start for s in box]
    if max(sides) > _SPOT_ROUND * min(sides):
        return None
    low = [s.start - margin for s in box]
    high = [s.stop + margin for s in box]
    if min(low) < 0 or high[0] > image.shape[0] or high[1] > image.shape[1]:
        return None
    patch = image[low[0] : high[0], low[1] : high[1]].astype(np.float32)
    ring = np.concatenate([patch[0], patch[-1], patch[1:-1, 0], patch[1:-1, -1]])
    around = float(np.median(ring))
    if not _SPOT_RING_HU[0] < around < _SPOT_RING_HU[1] or ring.max() - around > 150.0:
        return None
    inside = patch[margin:-margin, margin:-margin]
    height = float(np.quantile(inside, 0.9)) - around
    wide, narrow = (
        np.sqrt(float((patch > around + share * height).sum()) / np.pi) for share in (0.25, 0.75)
    )
    return float(wide - narrow)
