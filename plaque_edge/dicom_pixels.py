"""Pixel data of one file: whether all of it is there, and its stored values.

Native pixel data are read straight from their place in the file; compressed ones go
through the maintained decoders (see ``docs/adr/0002-decoders.md``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from plaque_edge.dicom_values import number_or_none, numbers, text
from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
"""Transfer syntaxes that always lose something. JPEG 2000 says so in another attribute."""
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_COMPRESSED = (
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    RLELossless,
    JPEGLSNearLossless,
    JPEG2000,
    HTJ2K,
    JPEGBaseline8Bit,
)
_UNDEFINED = 0xFFFFFFFF
_LONG_VRS = (b"OB", b"OW", b"UN", b"OD", b"OF", b"OL", b"OV")


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How stored values lie in the file. ``offset`` is -1 where they can't be read directly."""

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
    offset: int = -1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8


def locate(ds: Any, syntax: UID, file: Any, size: int) -> tuple[PixelLayout, str | None]:
    """Find the pixel data behind the header just read and check that they are complete.

    ``file`` stands where reading of the header stopped. Returns the layout and ``None``, or
    the layout and a few words on what is missing.
    """
    layout = _layout(ds, syntax)
    if layout.rows == 0 or layout.columns == 0:
        return layout, "it holds no image"
    if syntax == DeflatedExplicitVRLittleEndian:
        return layout, _check_deflated(file, layout)
    if syntax.is_compressed or syntax in NATIVE:
        return _check_stored(layout, syntax, file, size)
    return layout, None


def _layout(ds: Any, syntax: UID) -> PixelLayout:
    def whole(keyword: str, default: int = 0) -> int:
        value = number_or_none(ds, keyword)
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
        photometric=text(ds, "PhotometricInterpretation").upper(),
        padding=_padding(ds),
    )


def _padding(ds: Any) -> tuple[int, int] | None:
    """Lowest and highest stored value that means "no image here" (PS3.3 C.7.5.1.1.2)."""
    value, limit = numbers(ds, "PixelPaddingValue"), numbers(ds, "PixelPaddingRangeLimit")
    if not value:
        return None
    ends = (int(value[0]), int(limit[0]) if limit else int(value[0]))
    return min(ends), max(ends)


def _check_stored(
    layout: PixelLayout, syntax: UID, file: Any, size: int
) -> tuple[PixelLayout, str | None]:
    order = "<" if syntax.is_little_endian else ">"
    tag = file.read(4)
    if tag != struct.pack(order + "HH", 0x7FE0, 0x0010):
        return layout, "its pixel data have not arrived"
    length = _read_length(file, order, implicit=syntax == ImplicitVRLittleEndian)
    if length is None:
        return layout, "its pixel data have not arrived"
    offset = file.tell()
    if length == _UNDEFINED:
        return layout, _check_items(file, layout.count, size)
    need = layout.frame_bytes * layout.count
    if length < need:
        return layout, f"it holds {length} of {need} bytes of pixel data"
    if size < offset + need:
        return layout, f"it holds {max(0, size - offset)} of {need} bytes of pixel data"
    fields = {name: getattr(layout, name) for name in PixelLayout.__dataclass_fields__}
    return PixelLayout(**{**fields, "offset": offset}), None


def _read_length(file: Any, order: str, implicit: bool) -> int | None:
    data = file.read(4)
    if not implicit and data[:2] in _LONG_VRS:
        data = file.read(4)
    return struct.unpack(order + "L", data)[0] if len(data) == 4 else None


def _check_items(file: Any, frames: int, size: int) -> str | None:
    """Walk the fragments of encapsulated pixel data (PS3.5 A.4) to their delimiter."""
    items = -1  # the first item is the offset table
    while True:
        head = file.read(8)
        if len(head) < 8:
            return "its compressed pixel data end early"
        tag, length = head[:4], struct.unpack("<L", head[4:])[0]
        if tag == b"\xfe\xff\xdd\xe0":
            return None if items >= frames else f"it holds {max(items, 0)} of {frames} frames"
        if tag != b"\xfe\xff\x00\xe0" or file.tell() + length > size:
            return "its compressed pixel data end early"
        file.seek(length, 1)
        items += 1


def _check_deflated(file: Any, layout: PixelLayout) -> str | None:
    file.seek(0)
    try:
        dataset = pydicom.dcmread(file, specific_tags=["PixelData"])
        there = len(dataset.PixelData) if "PixelData" in dataset else 0
    except Exception:  # zlib and pydicom raise several kinds on a cut stream
        return "its compressed pixel data end early"
    need = layout.frame_bytes * layout.count
    return None if there >= need else f"it holds {there} of {need} bytes of pixel data"


def stored_frame(path: Path, layout: PixelLayout, index: int) -> NDArray[Any]:
    """Return stored values ``(rows, columns)`` of one frame, sign and bit position applied.

    Raises ``Refused`` SYNTAX_UNSUPPORTED or PIXELS_UNREADABLE, and ``OSError`` when the file
    is gone.
    """
    if layout.offset >= 0:
        with path.open("rb", buffering=0) as file:
            file.seek(layout.offset + index * layout.frame_bytes)
            return _native(path, layout, file.read(layout.frame_bytes))
    if layout.syntax == DeflatedExplicitVRLittleEndian:
        start = index * layout.frame_bytes
        data = pydicom.dcmread(path, specific_tags=["PixelData"]).PixelData
        return _native(path, layout, data[start : start + layout.frame_bytes])
    return _decoded(path, layout, index)


def _native(path: Path, layout: PixelLayout, data: bytes) -> NDArray[Any]:
    order = ">" if layout.syntax == ExplicitVRBigEndian else "<"
    kind = np.dtype(f"{order}{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}")
    if len(data) < layout.frame_bytes:
        raise Refused(
            "PIXELS_TRUNCATED",
            f"{path.name} ends before its pixel data are complete.",
            "Export the series again.",
        )
    stored = np.frombuffer(data, kind).reshape(layout.rows, layout.columns)
    return _place_bits(stored, layout)


def _place_bits(stored: NDArray[Any], layout: PixelLayout) -> NDArray[Any]:
    """Drop bits outside BitsStored (old files keep overlays there) and extend the sign."""
    above = layout.bits_allocated - 1 - layout.high_bit
    below = layout.bits_allocated - layout.bits_stored
    if below <= 0:
        return stored
    native = stored.astype(stored.dtype.newbyteorder("="))
    return (native << above) >> below


def _decoded(path: Path, layout: PixelLayout, index: int) -> NDArray[Any]:
    try:
        image: NDArray[Any] = pixel_array(path, index=index, raw=True)
    except OSError:
        raise
    except (NotImplementedError, RuntimeError, ValueError, AttributeError, TypeError) as error:
        known = UID(layout.syntax)
        raise Refused(
            "PIXELS_UNREADABLE" if can_decode(layout) else "SYNTAX_UNSUPPORTED",
            f"{path.name} cannot be decoded ({known.name}).",
            "Export the series without compression, or with JPEG-LS, JPEG 2000 or RLE.",
        ) from error
    if image.shape != (layout.rows, layout.columns):
        raise Refused(
            "PIXELS_UNREADABLE",
            f"{path.name} decodes to another size than its header says.",
            "Export the series again.",
        )
    return image


def can_decode(layout: PixelLayout) -> bool:
    """Say whether one of the installed, maintained decoders reads this transfer syntax."""
    if layout.syntax == JPEGExtended12Bit and layout.bits_stored > 8:
        return False  # only an unmaintained, GPL decoder reads 12-bit lossy JPEG
    try:
        return bool(get_decoder(layout.syntax).is_available)
    except NotImplementedError:
        return False


def readable_syntaxes() -> list[UID]:
    """Return every transfer syntax whose pixels can be read here, uncompressed ones first.

    JPEG Extended is left out: what CT stores in it, 12 bits, is not read, and a sender that
    isn't offered it sends another.
    """
    known = [*NATIVE, DeflatedExplicitVRLittleEndian]
    for syntax in _COMPRESSED:
        try:
            if get_decoder(syntax).is_available:
                known.append(syntax)
        except NotImplementedError:
            continue
    return known


def to_hu(
    stored: NDArray[Any], slope: float, intercept: float, padding: tuple[int, int] | None
) -> NDArray[np.int16]:
    """Return int16 HU: slope x stored + intercept, at least -1024, and air where padded."""
    if slope == 1.0 and float(intercept).is_integer():
        values: NDArray[Any] = np.add(stored, int(intercept), dtype=np.int32)
        np.clip(values, -1024, 32767, out=values)
    else:
        values = np.rint(np.clip(stored * np.float64(slope) + intercept, -1024, 32767))
    hu = values.astype(np.int16)
    if padding is not None:
        low, high = padding
        hu[(stored >= low) & (stored <= high)] = -1024
    return hu
