"""RLE of DICOM (PS3.5 annex G), decoded into exactly the bytes the header promises."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quantify.jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEADER_BYTES = 64


def decode_rle(data: bytes, pixels: int, planes: int) -> NDArray[np.uint8] | None:
    """Return the byte planes ``(planes, pixels)``, most significant first.

    ``None`` when the frame is not whole, has another number of planes, or would not fit.
    """
    raw = np.frombuffer(data, np.uint8)
    if raw.size < _HEADER_BYTES:
        return None
    head = raw[:_HEADER_BYTES].view("<u4").astype(np.int64)
    if head[0] != planes or planes > 15:
        return None
    starts = [*head[1 : planes + 1], raw.size]
    out = np.empty((planes, pixels), np.uint8)
    for plane, (start, end) in enumerate(pairwise(starts)):
        if not _HEADER_BYTES <= start <= end <= raw.size:
            return None
        if unpack_bits(raw[start:end], out[plane]) != pixels:
            return None
    return out


@jit()
def unpack_bits(source: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Unpack one segment into ``out`` and return how many bytes were written.

    -1 when the segment holds more than there is room for or ends inside a run. One byte may
    follow, to make its length even.
    """
    at, done = 0, 0
    while at < source.size and done < out.size:
        head = source[at]
        at += 1
        if head == 128:
            continue
        if head < 128:
            count = head + 1
            if at + count > source.size or done + count > out.size:
                return -1
            for i in range(count):
                out[done + i] = source[at + i]
            at += count
        else:
            count = 257 - head
            if at >= source.size or done + count > out.size:
                return -1
            value = source[at]
            for i in range(count):
                out[done + i] = value
            at += 1
        done += count
    return -1 if source.size - at > 1 else done
