"""Stored values of one frame, and Hounsfield units out of them.

Native pixel data are read straight from their place in the file; compressed ones go through
the maintained decoders (see ``docs/adr/0002-decoders.md``), which are asked only when the
image inside says that it has the size the header promises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from plaque_edge.dicom_codestream import Stated, stated
from plaque_edge.dicom_header import Bounded, Inflated
from plaque_edge.dicom_layout import NATIVE, PixelLayout
from plaque_edge.dicom_rle import decode_rle
from plaque_edge.errors import Refused
from plaque_edge.quantify.jit import jit

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

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


def stored_frame(path: Path, layout: PixelLayout, index: int) -> NDArray[Any]:
    """Return stored values ``(rows, columns)`` of one frame, sign and bit position applied.

    Raises ``Refused`` SYNTAX_UNSUPPORTED, PIXELS_UNREADABLE or PIXELS_TRUNCATED, and
    ``OSError`` when the file is gone.
    """
    start = layout.offset + index * layout.frame_bytes
    if layout.kept == "native":
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            return _native(path, layout, file.read(layout.frame_bytes))
    if layout.kept == "deflated":
        with path.open("rb") as deflated:
            deflated.seek(layout.deflated_at)
            return _native(path, layout, Inflated(deflated).take(start, layout.frame_bytes))
    if layout.kept != "encapsulated" or not can_decode(layout):
        raise _unreadable(path, layout)
    if layout.syntax == RLELossless:
        return _rle(path, layout, _encoded(path, layout, index))
    return _decoded(path, layout, _encoded(path, layout, index))


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


# ---- compressed ----------------------------------------------------------------------------


def _encoded(path: Path, layout: PixelLayout, index: int) -> bytes:
    """Return one frame as it is encoded, its fragments joined (PS3.5 A.4)."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(layout.offset)
        bounded = cast(
            "BinaryIO", Bounded(file, size, left=layout.count * layout.most_encoded_bytes)
        )
        try:
            return get_frame(bounded, index, number_of_frames=layout.count)
        except OSError:
            raise
        except Exception as error:  # the library raises many kinds on a broken offset table
            raise _unreadable(path, layout) from error


def _rle(path: Path, layout: PixelLayout, data: bytes) -> NDArray[Any]:
    wide = layout.bits_allocated // 8
    planes = decode_rle(data, layout.rows * layout.columns, wide)
    if planes is None:
        raise _unreadable(path, layout)
    # Planes come most significant first: big-endian once each pixel's bytes lie together.
    big = np.ascontiguousarray(planes.T).view(f">{'i' if layout.signed else 'u'}{wide}")
    native = big.astype(big.dtype.newbyteorder("="))
    return _place_bits(native.reshape(layout.rows, layout.columns), layout)


def _decoded(path: Path, layout: PixelLayout, data: bytes) -> NDArray[Any]:
    inside = stated(data)
    if inside is None or not _fits(inside, layout):
        raise _unreadable(path, layout)
    described: Any = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": layout.photometric,
        "pixel_representation": int(layout.signed),
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_keyword": "PixelData",
    }
    decoder = get_decoder(UID(layout.syntax))
    try:
        whole = encapsulate([data], has_bot=False)
        image: NDArray[Any] = decoder.as_array(whole, index=0, raw=True, **described)[0]
    except (NotImplementedError, RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise _unreadable(path, layout) from error
    if image.shape != (layout.rows, layout.columns):
        raise _unreadable(path, layout)
    return image


def _fits(inside: Stated, layout: PixelLayout) -> bool:
    same = (inside.rows, inside.columns, inside.samples) == (layout.rows, layout.columns, 1)
    return same and inside.bits <= layout.bits_allocated


def _unreadable(path: Path, layout: PixelLayout) -> Refused:
    return Refused(
        "PIXELS_UNREADABLE" if can_decode(layout) else "SYNTAX_UNSUPPORTED",
        f"{path.name} cannot be decoded ({UID(layout.syntax).name}).",
        "Export the series without compression, or with JPEG-LS, JPEG 2000 or RLE.",
    )


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


# ---- Hounsfield units ----------------------------------------------------------------------


def to_hu(
    stored: NDArray[Any],
    slope: float,
    intercept: float,
    padding: tuple[int, int] | None,
    out: NDArray[np.int16],
) -> None:
    """Write int16 HU: slope x stored + intercept, at least -1024, and air where padded."""
    low, high = padding if padding is not None else (1, 0)
    if slope == 1.0 and float(intercept).is_integer() and stored.dtype in (np.uint16, np.int16):
        _shift(stored, int(intercept), low, high, out)
        return
    values = np.rint(np.clip(stored * np.float64(slope) + intercept, -1024, 32767))
    values[(stored >= low) & (stored <= high)] = -1024
    out[:] = values


@jit()
def _shift(
    stored: NDArray[Any], intercept: int, low: int, high: int, out: NDArray[np.int16]
) -> None:
    for y in range(stored.shape[0]):
        for x in range(stored.shape[1]):
            value = np.int64(stored[y, x])
            hu: Any = min(max(value + intercept, -1024), 32767)
            out[y, x] = -1024 if low <= value <= high else hu


def warm_up() -> None:
    """Compile what reading needs, for both kinds of stored values."""
    out = np.empty((2, 2), np.int16)
    for kind in (np.uint16, np.int16):
        fresh = np.zeros((2, 2), kind)
        for stored in (fresh, np.frombuffer(fresh.tobytes(), kind).reshape(2, 2)):
            to_hu(stored, 1.0, 0.0, None, out)
            to_hu(stored, 1.0, 0.0, None, out[::-1, ::-1])
    decode_rle(bytes(64), 1, 1)
