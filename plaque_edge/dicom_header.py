"""One DICOM header through pydicom, within limits that no file can widen.

A header may announce lengths of gigabytes, nest sequences a thousand deep or unpack from a
few kilobytes to all of the memory. Here a read never asks for more than the file holds, the
bytes read are counted, and deflated data are unpacked no further than they are needed.
"""

from __future__ import annotations

import io
import itertools
import zlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pydicom

MAX_HEADER_BYTES = 64 << 20
"""Most a header may hold: two thousand frames of an Enhanced CT take some 10 MB."""
MAX_ITEMS = 100_000
"""Most items of sequences; each becomes an object. Two thousand frames have some 25,000."""
MAX_ELEMENTS = 10_000
"""Most elements outside sequences; a header has some hundred."""
MAX_READS = 200_000
"""Most reads of one header; a megabyte of empty items would keep a reader busy for minutes."""
_CHUNK = 1 << 16
_SHORT = 256
"""Values up to this many bytes are remembered once converted; a series repeats most of them."""


class UnsafeHeaderError(Exception):
    """The header is larger or nested deeper than any real one."""


class Bounded(io.RawIOBase):
    """A file that gives no more than it holds, and not more than ``left`` bytes in all."""

    def __init__(self, file: BinaryIO, size: int, left: int = MAX_HEADER_BYTES) -> None:
        self._read, self.seek, self.tell = file.read, file.seek, file.tell  # type: ignore[method-assign]
        self._size, self._left, self._reads = size, left, MAX_READS

    def read(self, count: int = -1) -> bytes:
        """Read up to ``count`` bytes. Raises :class:`UnsafeHeaderError`."""
        if count > _CHUNK or count < 0:
            there = max(0, self._size - self.tell())
            count = there if count < 0 else min(count, there)
        self._left -= count
        self._reads -= 1
        if self._left < 0 or self._reads < 0:
            raise UnsafeHeaderError
        return self._read(count)


class Inflated(io.RawIOBase):
    """A deflated data set (PS3.5 A.5) that is unpacked only as far as somebody reads.

    ``keep`` limits what is held in memory; :meth:`skip` and :meth:`take` go on beyond it
    without holding what they pass over.
    """

    def __init__(self, file: BinaryIO, keep: int = MAX_HEADER_BYTES) -> None:
        self._file, self._keep, self.begins = file, keep, file.tell()
        self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        self._held, self._at = bytearray(), 0
        self._reads = MAX_READS

    def read(self, count: int = -1) -> bytes:
        """Read up to ``count`` bytes. Raises :class:`UnsafeHeaderError`, ``zlib.error``."""
        self._reads -= 1
        if self._reads < 0:
            raise UnsafeHeaderError
        end = self._at + count if count >= 0 else self._keep + 1
        while len(self._held) < end:
            if len(self._held) > self._keep:
                raise UnsafeHeaderError
            more = self._unpack(_CHUNK)
            if not more:
                break
            self._held += more
        data = bytes(self._held[self._at : end])
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within or beyond what is held; not from the end."""
        self._at = max(0, offset + (self._at if whence == io.SEEK_CUR else 0))
        return self._at

    def tell(self) -> int:
        """Return the position in the unpacked data."""
        return self._at

    def take(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes from ``offset`` on, or fewer where the data end before.

        Nothing before ``offset`` is held. For an object that was not read from yet.
        """
        self.skip(offset)
        parts, left = [self._held[offset : offset + count]], count
        left -= len(parts[0])
        while left > 0 and (more := self._unpack(min(left, _CHUNK))):
            parts.append(bytearray(more))
            left -= len(more)
        return b"".join(parts)

    def skip(self, offset: int) -> int:
        """Unpack up to ``offset`` without holding it; return how far the data go."""
        there = len(self._held)
        while there < offset and (more := self._unpack(min(offset - there, _CHUNK))):
            there += len(more)
        return there

    def _unpack(self, count: int) -> bytes:
        """Return the next bytes, at most ``count``; none at the end."""
        while not self._unpacker.eof:
            data = self._unpacker.unconsumed_tail or self._file.read(_CHUNK)
            if not data:
                return b""
            out = self._unpacker.decompress(data, count)
            if out:
                return out
        return b""


_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_AMBIGUOUS = ("PixelPaddingValue", "PixelPaddingRangeLimit")
"""Values whose type depends on another element of their header (PS3.5 A.1)."""


class Origin(NamedTuple):
    """Where a header came from; the source stands at the pixel data."""

    syntax: UID
    implicit: bool
    source: Bounded | Inflated


class Fields:
    """The values of a header by their keywords, as ``pydicom.Dataset.get`` gives them.

    Most values of a series repeat from file to file: equal bytes are converted once.
    """

    def __init__(self, dataset: pydicom.Dataset) -> None:
        self._dataset = dataset
        self._raw = {int(element.tag): element for element in dataset.elements()}
        encoding = dataset.original_character_set
        self._encoding = (encoding,) if isinstance(encoding, str) else tuple(encoding)

    def get(self, keyword: str) -> Any:
        """Return the value, ``None`` when absent. Raises what pydicom raises on a bad one."""
        tag = _tag(keyword)
        raw = self._raw.get(tag)
        if raw is None:
            return None
        if not isinstance(raw, RawDataElement) or raw.VR == "SQ" or keyword in _AMBIGUOUS:
            return self._whole(tag, raw)
        if raw.value is None or len(raw.value) > _SHORT:
            return self._whole(tag, raw)
        implicit, little = raw.is_implicit_VR, raw.is_little_endian
        return _converted(tag, raw.VR, raw.value, implicit, little, self._encoding)

    def _whole(self, tag: int, raw: Any) -> Any:
        value = getattr(raw, "value", None)
        if isinstance(value, bytes) and sum(map(value.count, _ITEM_TAGS)) > MAX_ITEMS:
            raise UnsafeHeaderError
        return self._dataset[tag].value


@cache
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


@lru_cache(maxsize=50_000)
def _converted(
    tag: int, vr: str | None, value: bytes, implicit: bool, little: bool, encoding: tuple[str, ...]
) -> Any:
    raw = RawDataElement(BaseTag(tag), vr, len(value), value, 0, implicit, little)
    return convert_raw_data_element(raw, encoding=list(encoding)).value


def forget_values() -> None:
    """Forget every converted value."""
    _converted.cache_clear()


def read_fields(file: BinaryIO, size: int, *, preamble: bool) -> tuple[Fields, Origin]:
    """Read a header up to its pixel data; ``preamble`` says whether it begins with one.

    Raises :class:`UnsafeHeaderError`, and what pydicom raises on bytes that aren't DICOM.
    """
    try:
        bounded = Bounded(file, size)
        syntax = _named_syntax(bounded, 132 if preamble else 0)
        if not syntax:
            return _unnamed(bounded)
        source: Bounded | Inflated = bounded
        if syntax == DeflatedExplicitVRLittleEndian:
            source = Inflated(file)
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        found = read_dataset(cast("BinaryIO", source), implicit, little, stop_when=_at_pixels())
        return Fields(found), Origin(syntax, bool(found.original_encoding[0]), source)
    except RecursionError as error:
        raise UnsafeHeaderError from error


def _named_syntax(source: Bounded, start: int) -> UID:
    """Return the transfer syntax the file meta information names ("" for none)."""
    source.seek(start)
    meta = read_dataset(
        cast("BinaryIO", source), False, True, stop_when=lambda tag, *_: tag >> 16 != 2
    )
    return UID(str(meta.get("TransferSyntaxUID") or ""))


def _unnamed(source: Bounded) -> tuple[Fields, Origin]:
    """Read a header whose encoding has to be guessed from its first bytes."""
    source.seek(0)
    whole = read_partial(cast("BinaryIO", source), stop_when=_at_pixels(), force=True)
    implicit = bool(whole.original_encoding[0])
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return Fields(whole), Origin(syntax, implicit, source)


_PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})


def _at_pixels() -> Callable[[Any, str | None, int], bool]:
    """Return what ends the reading: pixel data, or an error after far too many elements."""
    seen = itertools.count(1)

    def stop(tag: Any, _vr: str | None, _length: int) -> bool:
        if next(seen) > MAX_ELEMENTS:
            raise UnsafeHeaderError
        return int(tag) in _PIXEL_TAGS

    return stop
