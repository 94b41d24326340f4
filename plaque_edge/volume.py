"""A series' files become one volume in Hounsfield units on canonical axes.

Files are opened read-only, decoded with a few threads straight into the one array that is
returned, so memory stays near one volume.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.dicom_pixels import stored_frame, to_hu
from plaque_edge.dicom_read import (
    CutHeaderError,
    Header,
    NotDicomError,
    check_unchanged,
    read_header,
    vanished,
)
from plaque_edge.errors import Refused
from plaque_edge.types import SeriesFiles, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

THREADS = 2
"""Reading waits for the disk or the network; more threads than this gain nothing."""


@dataclass(frozen=True, slots=True)
class _Plane:
    """One slice to decode: its file, the frame in it and its place along z."""

    z: int
    header: Header
    frame: int


def load_volume(series: SeriesFiles, progress: Callable[[float], None] | None = None) -> Volume:
    """Decode a series into int16 HU, index growing to head, back and the patient's left.

    ``progress`` is called with 0..1. Raises ``Refused``: FILE_VANISHED, FILE_CHANGED,
    PIXELS_TRUNCATED, PIXELS_UNREADABLE, SYNTAX_UNSUPPORTED.
    """
    planes = _planes(series, range(series.shape_zyx[0]))
    hu = np.empty(series.shape_zyx, np.int16)
    for done, (z, image) in enumerate(_decode(planes), start=1):
        hu[z] = image
        if progress is not None:
            progress(done / len(planes))
    for header in {id(p.header): p.header for p in planes}.values():
        check_unchanged(header)
    return Volume(hu, series.spacing_zyx_mm, _origin(planes[0], series))


def sample_slices(series: SeriesFiles, indices: list[int]) -> NDArray[np.int16]:
    """Decode some slices only; int16 HU ``(len(indices), y, x)`` on canonical axes.

    Raises the refusals of :func:`load_volume`.
    """
    planes = _planes(series, indices)
    place = {z: i for i, z in enumerate(indices)}
    hu = np.empty((len(indices), *series.shape_zyx[1:]), np.int16)
    for z, image in _decode(planes):
        hu[place[z]] = image
    return hu


def _planes(series: SeriesFiles, indices: range | list[int]) -> list[_Plane]:
    """Return the slices to decode, after comparing each file with what the series says of it."""
    headers: dict[int, Header] = {}
    planes = []
    for z in indices:
        file, frame = series.frames[z] if series.frames else (z, 0)
        if file not in headers:
            headers[file] = _same_header(series, file)
        planes.append(_Plane(z, headers[file], frame))
    return planes


def _same_header(series: SeriesFiles, file: int) -> Header:
    path = series.files[file]
    try:
        header = read_header(path)
    except (OSError, NotDicomError, CutHeaderError) as error:
        raise vanished(path.name) from error
    uids = series.sop_instance_uids
    if (uids and header.sop_uid != uids[file]) or header.incomplete:
        raise Refused(
            "FILE_CHANGED",
            f"{path.name} is not the image it was when the series was listed.",
            "Wait until the export has finished, then start again.",
        )
    return header


def _decode(planes: list[_Plane]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Yield (z, slice) as they are decoded, a bounded number ahead."""
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        # The decoders warn about harmless oddities, sometimes quoting values.
        warnings.simplefilter("ignore")
        waiting = []
        for plane in planes:
            waiting.append((plane.z, pool.submit(_slice_hu, plane)))
            if len(waiting) > 4 * THREADS:
                z, future = waiting.pop(0)
                yield z, future.result()
        for z, future in waiting:
            yield z, future.result()


def _slice_hu(plane: _Plane) -> NDArray[np.int16]:
    header, frame = plane.header, plane.header.frames[plane.frame]
    try:
        stored = stored_frame(header.path, header.pixels, plane.frame)
    except OSError as error:
        raise vanished(header.path.name) from error
    hu = to_hu(stored, frame.slope, frame.intercept, header.pixels.padding)
    flip_row, flip_column = _flips(plane)
    return hu[:: -1 if flip_column else 1, :: -1 if flip_row else 1]


def _flips(plane: _Plane) -> tuple[bool, bool]:
    """Say whether rows run to the patient's right, and columns to the front."""
    orientation = plane.header.frames[plane.frame].orientation or (1, 0, 0, 0, 1, 0)
    return orientation[0] < 0, orientation[4] < 0


def _origin(plane: _Plane, series: SeriesFiles) -> tuple[float, float, float]:
    """(z, y, x) in mm of voxel (0, 0, 0) after the flips."""
    x, y, z = plane.header.frames[plane.frame].position_mm or (0.0, 0.0, 0.0)
    _, rows, columns = series.shape_zyx
    _, dy, dx = series.spacing_zyx_mm
    flip_row, flip_column = _flips(plane)
    return z, y - flip_column * (rows - 1) * dy, x - flip_row * (columns - 1) * dx
