"""Where the pixel data of one file lie, whether all of them are there, and whether they can be.

Only lengths and item headers are read, never the pixels, so that what a header claims is
refused before anything of that size is made.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from plaque_edge.dicom_header import Inflated
from plaque_edge.dicom_values import number_or_none, numbers, text

if TYPE_CHECKING:
    from plaque_edge.dicom_header import Origin

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
MAX_SIDE = 4096
"""Largest image; CT is 512 to 2048."""
MAX_FRAMES = 10_000
_UNDEFINED = 0xFFFFFFFF
_LONG_VRS = (b"OB", b"OW", b"UN", b"OD", b"OF", b"OL", b"OV")
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_CUT = "its compressed pixel data end early"
_ABSENT = "its pixel data have not arrived"
Kept = Literal["nowhere", "native", "deflated", "encapsulated"]


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How stored values lie in the file.

    ``offset`` is where the value of the pixel data begins, in the file or, when ``kept`` is
    "deflated", in what the bytes from ``deflated_at`` on unpack to. ``invalid`` says in words
    why pixels as described can't be, else it is empty.
    """

    syntax: str
    rows: int
    columns: int
    count: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    samples: int
    photometric: str
    padding: tuple[int, int] | None
    kept: Kept = "nowhere"
    offset: int = -1
    deflated_at: int = 0
    invalid: str = ""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8

    @property
    def most_encoded_bytes(self) -> int:
        """Most bytes a frame may be encoded in: every encoder here stays near the native size."""
        return 2 * self.frame_bytes + (64 << 10)


def locate(fields: Any, origin: Origin, size: int) -> tuple[PixelLayout, str | None]:
    """Find the pixel data behind the header just read and check that they are complete.

    Returns the layout and ``None``, or the layout and a few words on what is missing.
    """
    layout = _layout(fields, origin.syntax)
    if layout.rows <= 0 or layout.columns <= 0:
        return replace(layout, rows=0, columns=0), "it holds no image"
    invalid = _invalid(layout)
    if invalid:
        return replace(layout, invalid=invalid), None
    try:
        return _find(layout, origin, size)
    except zlib.error:
        return layout, _CUT


def _layout(fields: Any, syntax: UID) -> PixelLayout:
    def whole(keyword: str, default: int = 0) -> int:
        value = number_or_none(fields, keyword)
        return default if value is None else int(value)

    bits = whole("BitsAllocated", 16)
    stored = whole("BitsStored", bits)
    return PixelLayout(
        syntax=str(syntax),
        rows=whole("Rows"),
        columns=whole("Columns"),
        count=max(1, whole("NumberOfFrames", 1)),
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=whole("HighBit", stored - 1),
        signed=whole("PixelRepresentation") == 1,
        samples=whole("SamplesPerPixel", 1),
        photometric=text(fields, "PhotometricInterpretation").upper(),
        padding=_padding(fields),
    )


def _padding(fields: Any) -> tuple[int, int] | None:
    """Lowest and highest stored value that means "no image here" (PS3.3 C.7.5.1.1.2)."""
    value, limit = numbers(fields, "PixelPaddingValue"), numbers(fields, "PixelPaddingRangeLimit")
    if not value:
        return None
    ends = (int(value[0]), int(limit[0]) if limit else int(value[0]))
    return min(ends), max(ends)


def _invalid(layout: PixelLayout) -> str:
    """Say what of the described pixels can't be; sizes first, since those ask for memory."""
    if max(layout.rows, layout.columns) > MAX_SIDE:
        return f"{layout.rows} x {layout.columns} pixels (at most {MAX_SIDE} a side)"
    if layout.count > MAX_FRAMES:
        return f"{layout.count} frames (at most {MAX_FRAMES})"
    if layout.samples not in (1, 3, 4):
        return f"{layout.samples} samples per pixel"
    if layout.bits_allocated not in (1, 8, 16, 32, 64):
        return f"{layout.bits_allocated} bits per sample"
    stored, allocated = layout.bits_stored, layout.bits_allocated
    if not (0 < stored <= allocated and stored - 1 <= layout.high_bit < allocated):
        return f"bits 0 to {layout.high_bit} with {stored} of {allocated} bits stored"
    return ""


def _find(layout: PixelLayout, origin: Origin, size: int) -> tuple[PixelLayout, str | None]:
    source, order = origin.source, "<" if origin.syntax != ExplicitVRBigEndian else ">"
    if source.read(4) != struct.pack(order + "HH", 0x7FE0, 0x0010):
        return layout, _ABSENT
    length = _read_length(source, order, implicit=origin.implicit)
    if length is None:
        return layout, _ABSENT
    layout = replace(layout, offset=source.tell())
    if length == _UNDEFINED:
        layout = replace(layout, kept="encapsulated")
        return _check_items(layout, cast("BinaryIO", source), size)
    need = layout.frame_bytes * layout.count
    if length < need:
        return layout, f"it holds {length} of {need} bytes of pixel data"
    end = size
    if isinstance(source, Inflated):
        end = source.skip(layout.offset + need)
    if end < layout.offset + need:
        return layout, f"it holds {max(0, end - layout.offset)} of {need} bytes of pixel data"
    if origin.syntax == DeflatedExplicitVRLittleEndian:
        at = cast("Inflated", source).begins
        return replace(layout, kept="deflated", deflated_at=at), None
    return replace(layout, kept="native" if origin.syntax in NATIVE else "nowhere"), None


def _read_length(source: Any, order: str, implicit: bool) -> int | None:
    data = source.read(4)
    if not implicit and data[:2] in _LONG_VRS:
        data = source.read(4)
    return struct.unpack(order + "L", data)[0] if len(data) == 4 else None


def _check_items(layout: PixelLayout, file: BinaryIO, size: int) -> tuple[PixelLayout, str | None]:
    """Walk the fragments of encapsulated pixel data (PS3.5 A.4) to their delimiter."""
    items, encoded = -1, 0  # the first item is the offset table
    while True:
        head = file.read(8)
        if len(head) < 8:
            return layout, _CUT
        tag, length = head[:4], struct.unpack("<L", head[4:])[0]
        if tag == _END:
            break
        if tag != _ITEM or file.tell() + length > size:
            return layout, _CUT
        file.seek(length, 1)
        items, encoded = items + 1, encoded + (length if items >= 0 else 0)
    if items < layout.count:
        return layout, f"it holds {max(items, 0)} of {layout.count} frames"
    if encoded > layout.count * layout.most_encoded_bytes:
        text = f"{encoded} bytes of compressed data for {layout.count} frames of "
        return replace(layout, invalid=f"{text}{layout.frame_bytes} bytes"), None
    return layout, None
