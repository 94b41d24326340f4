"""What a compressed image says of its own size, read before a decoder makes room for it.

A decoder believes the image inside, not the DICOM header around it: a few hundred bytes of
JPEG 2000 can ask for gigabytes.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_J2K_START = b"\xff\x4f\xff\x51"
MAX_TILES = 4096
"""A decoder keeps a record per tile; encoders of CT make one or a few."""
_SEGMENTLESS = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15 of JPEG (ITU-T T.81 table B.1) and SOF55 of JPEG-LS (T.87)."""


class Stated(NamedTuple):
    """Size of the image inside: rows, columns, samples per pixel, bits per sample."""

    rows: int
    columns: int
    samples: int
    bits: int


def stated(data: bytes) -> Stated | None:
    """Return what a JPEG, JPEG-LS or JPEG 2000 image says of its size, ``None`` when unreadable."""
    try:
        if data[:2] == b"\xff\xd8":
            return _jpeg(data)
        start = data[:4096].find(_J2K_START)  # some files wrap it in JP2 boxes
        return _jpeg_2000(data, start) if start >= 0 else None
    except (IndexError, struct.error, ZeroDivisionError):
        return None


def _jpeg(data: bytes) -> Stated | None:
    at = 2
    while True:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
        elif marker in _SEGMENTLESS:
            at += 2
        elif marker in _FRAME_HEADERS:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, at + 4)
            return Stated(rows, columns, samples, bits)
        elif marker == 0xDA:
            return None
        else:
            at += 2 + max(2, struct.unpack_from(">H", data, at + 2)[0])


def _jpeg_2000(data: bytes, start: int) -> Stated | None:
    """Read the SIZ marker segment (ITU-T T.800 A.5.1)."""
    right, bottom, left, top, tile_w, tile_h, tile_x, tile_y, samples, depth = struct.unpack_from(
        ">8L H B", data, start + 8
    )
    tiles = -(-(right - tile_x) // tile_w) * -(-(bottom - tile_y) // tile_h)
    sampling = data[start + 43 : start + 45]
    if tiles > MAX_TILES or sampling != b"\x01\x01":
        return None
    return Stated(bottom - top, right - left, samples, (depth & 0x7F) + 1)
