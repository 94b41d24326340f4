"""A series' files become one volume in Hounsfield units on canonical axes.

Files are opened read-only, decoded with a few threads straight into the one array that is
returned, so memory stays near one volume. Slices that were decoded while the series arrived
(:mod:`plaque_edge.decode_ahead`) are only copied.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.decode_ahead import AHEAD, decode_slice, flips
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
MAX_VOXELS = 800_000_000
"""Largest volume, 1.6 GB; a whole chest at 0.4 mm has half of that."""


@dataclass(frozen=True, slots=True)
class _Plane:
    """One slice to decode: its file and the frame in it."""

    header: Header
    frame: int


def load_volume(series: SeriesFiles, progress: Callable[[float], None] | None = None) -> Volume:
    """Decode a series into int16 HU, index growing to head, back and the patient's left.

    ``progress`` is called with 0..1. Raises ``Refused``: FILE_VANISHED, FILE_CHANGED,
    PIXELS_TRUNCATED, PIXELS_UNREADABLE, SYNTAX_UNSUPPORTED, SERIES_TOO_LARGE.
    """
    _refuse_huge(series)
    planes = _planes(series, range(series.shape_zyx[0]))
    hu = np.empty(series.shape_zyx, np.int16)
    for done, plane in enumerate(_decode(planes, hu), start=1):
        AHEAD.drop(plane.header, plane.frame)
        if progress is not None:
            progress(done / len(planes))
    for header in {id(p.header): p.header for p in planes}.values():
        check_unchanged(header)
    return Volume(hu, series.spacing_zyx_mm, _origin(planes[0], series))


def sample_slices(series: SeriesFiles, indices: list[int]) -> NDArray[np.int16]:
    """Decode some slices only; int16 HU ``(len(indices), y, x)`` on canonical axes.

    Raises the refusals of :func:`load_volume`.
    """
    hu = np.empty((len(indices), *series.shape_zyx[1:]), np.int16)
    for _ in _decode(_planes(series, indices), hu):
        pass
    return hu


def _refuse_huge(series: SeriesFiles) -> None:
    slices, rows, columns = series.shape_zyx
    if slices * rows * columns > MAX_VOXELS:
        raise Refused(
            "SERIES_TOO_LARGE",
            f"The series has {slices} slices of {rows} x {columns} pixels, more than fits.",
            "Reconstruct the heart only, with at most 1024 x 1024 pixels.",
        )


def _planes(series: SeriesFiles, indices: range | list[int]) -> list[_Plane]:
    """Return the slices to decode, after comparing each file with what the series says of it."""
    headers: dict[int, Header] = {}
    planes = []
    for z in indices:
        file, frame = series.frames[z] if series.frames else (z, 0)
        if file not in headers:
            headers[file] = _same_header(series, file)
        planes.append(_Plane(headers[file], frame))
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


def _decode(planes: list[_Plane], hu: NDArray[np.int16]) -> Iterator[_Plane]:
    """Decode each plane into its own slice of ``hu`` and yield it, a bounded number ahead."""
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        # The decoders warn about harmless oddities, sometimes quoting values.
        warnings.simplefilter("ignore")
        waiting = []
        for plane, out in zip(planes, hu, strict=True):
            waiting.append((plane, pool.submit(_read_into, plane, out)))
            if len(waiting) > 4 * THREADS:
                first, future = waiting.pop(0)
                future.result()
                yield first
        for first, future in waiting:
            future.result()
            yield first


def _read_into(plane: _Plane, out: NDArray[np.int16]) -> None:
    known = AHEAD.get(plane.header, plane.frame)
    if known is not None:
        out[:] = known
        return
    try:
        decode_slice(plane.header, plane.frame, out)
    except OSError as error:
        raise vanished(plane.header.path.name) from error


def _origin(plane: _Plane, series: SeriesFiles) -> tuple[float, float, float]:
    """(z, y, x) in mm of voxel (0, 0, 0) after the flips."""
    x, y, z = plane.header.frames[plane.frame].position_mm or (0.0, 0.0, 0.0)
    _, rows, columns = series.shape_zyx
    _, dy, dx = series.spacing_zyx_mm
    flip_row, flip_column = flips(plane.header, plane.frame)
    return z, y - flip_column * (rows - 1) * dy, x - flip_row * (columns - 1) * dx
