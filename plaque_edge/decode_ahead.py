"""Slices decoded while a series still arrives, so that nothing is left to read at its end.

One memory per process, bounded; a slice is known by its file's path, size and time, so that a
file that changed is decoded anew. Whoever assembles the volume takes what is here and decodes
the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.dicom_pixels import stored_frame, to_hu
from plaque_edge.dicom_read import CT_CLASSES, Header, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

LIMIT_BYTES = 512 << 20
"""Three scans of 300 slices; what came first goes first."""
_Key = tuple["Path", int, int, int]


class Ahead:
    """Decoded slices by file and frame. Safe to share between threads.

    With ``keep`` a slice that has become part of a volume stays, since it may be asked for again.
    """

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit, self._held = limit_bytes, 0
        self._slices: OrderedDict[_Key, NDArray[np.int16]] = OrderedDict()
        self._lock = Lock()
        self.keep = False

    def put(self, header: Header, frame: int, image: NDArray[np.int16]) -> None:
        """Keep one slice and let the oldest go where there is no room."""
        with self._lock:
            old = self._slices.pop(_key(header, frame), None)
            self._slices[_key(header, frame)] = image
            self._held += image.nbytes - (0 if old is None else old.nbytes)
            while self._held > self._limit:
                self._held -= self._slices.popitem(last=False)[1].nbytes

    def get(self, header: Header, frame: int) -> NDArray[np.int16] | None:
        """Return one slice, ``None`` when it is not here."""
        with self._lock:
            return self._slices.get(_key(header, frame))

    def drop(self, header: Header, frame: int) -> None:
        """Let one slice go, once it is part of a volume."""
        if self.keep:
            return
        with self._lock:
            image = self._slices.pop(_key(header, frame), None)
            self._held -= 0 if image is None else image.nbytes

    def __len__(self) -> int:
        return len(self._slices)


def _key(header: Header, frame: int) -> _Key:
    return header.path, header.size, header.mtime_ns, frame


AHEAD = Ahead()


def decode_slice(header: Header, index: int, out: NDArray[np.int16]) -> None:
    """Decode one frame into ``out`` (rows, columns) on canonical axes.

    Raises the refusals of :func:`plaque_edge.dicom_pixels.stored_frame` and ``OSError``.
    """
    frame = header.frames[index]
    stored = stored_frame(header.path, header.pixels, index)
    flip_row, flip_column = flips(header, index)
    turned = out[:: -1 if flip_column else 1, :: -1 if flip_row else 1]
    to_hu(stored, frame.slope, frame.intercept, header.pixels.padding, turned)


def flips(header: Header, index: int) -> tuple[bool, bool]:
    """Say whether rows run to the patient's right, and columns to the front."""
    orientation = header.frames[index].orientation or (1, 0, 0, 0, 1, 0)
    return orientation[0] < 0, orientation[4] < 0


def decode_ahead(paths: Iterable[Path], ahead: Ahead = AHEAD) -> None:
    """Decode what can be decoded of these files; the analysis itself will say what can't."""
    for path in paths:
        with suppress(Exception):  # whatever is wrong with it, this is only ahead of its time
            header = read_header(path)
            fit = header.sop_class in CT_CLASSES and header.pixels.bits_allocated == 16
            if not fit or header.pixels.samples != 1 or header.incomplete or header.pixels.invalid:
                continue
            for index in range(min(len(header.frames), header.pixels.count)):
                image = np.empty((header.pixels.rows, header.pixels.columns), np.int16)
                decode_slice(header, index, image)
                ahead.put(header, index, image)
