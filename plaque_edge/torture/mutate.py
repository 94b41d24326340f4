"""Damaged DICOM files out of whole ones: bytes and a seed in, bytes out.

Some of the damage is blind (bits, cuts, splices); most of it knows the structure and lies
where a reader believes what it reads: lengths, counts, nesting, compressed images' own headers.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

_LONG = frozenset({b"OB", b"OW", b"UN", b"SQ", b"UT", b"OD", b"OF", b"OL", b"OV", b"UC", b"UR"})
_LENGTHS = (0, 1, 7, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_NUMBERS = {
    0x00280010: "Rows", 0x00280011: "Columns", 0x00280100: "BitsAllocated", 0x00280002: "Samples",
    0x00280101: "BitsStored", 0x00280102: "HighBit", 0x00280103: "PixelRepresentation",
}  # fmt: skip
_EXTREMES = (0, 1, 2, 7, 8, 12, 24, 63, 64, 511, 513, 4095, 4097, 32768, 65535)
_SYNTAXES = (
    "1.2", "1.2.1", "1.2.1.99", "1.2.2", "1.2.5", "1.2.4.50", "1.2.4.51", "1.2.4.57", "1.2.4.70",
    "1.2.4.80", "1.2.4.81", "1.2.4.90", "1.2.4.91", "1.2.4.201", "1.2.4.999", "",
)  # fmt: skip
_TEXTS = (
    b"", b"\x00" * 8, b"\xff" * 9, b"'; DROP TABLE cases; --", b"../../../../etc/passwd",
    b"..\\..\\x", b"A" * 5000, b"1e308\\1e308\\nan", b"-1", b"999999999999", b"\x1b$B" * 40,
    "测试 Кириллица".encode(), b"\xed\xa0\x80\xed\xa0\x80", b"NaN\\Inf\\0", b"9" * 400,
)  # fmt: skip
_ITEM, _ITEM_END, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0"
PIXELS = 0x7FE00010


class Element(NamedTuple):
    """One top-level element: tag, VR ("" when implicit), and where it and its value begin and end.

    ``length_at`` and ``length_size`` are of its length field.
    """

    tag: int
    vr: bytes
    start: int
    length_at: int
    length_size: int
    value: int
    end: int


def mutate(data: bytes, others: Sequence[bytes], rng: Random) -> tuple[str, bytes]:
    """Return the name of what was done (joined by +) and the damaged file."""
    names: list[str] = []
    wanted = rng.choice((1, 1, 1, 2, 2, 3))
    while len(names) < wanted:
        name, act = rng.choice(ACTS)
        changed = act(data, others, rng)
        if changed and changed != data:  # not every damage fits every file
            names.append(name)
            data = changed
    return "+".join(names), data


def elements(data: bytes) -> list[Element]:
    """Return the top-level elements as far as they can be followed, little endian."""
    at = 132 if data[128:132] == b"DICM" else 0
    found: list[Element] = []
    implicit = False
    while at + 8 <= len(data) and len(found) < 400:
        group, number = struct.unpack_from("<HH", data, at)
        if group > 2 and (not found or found[-1].tag >> 16 == 2):
            implicit = not data[at + 4 : at + 6].isalpha()
        element = _element(data, at, group << 16 | number, implicit)
        found.append(element)
        if element.tag == PIXELS or element.end <= at:
            break
        at = element.end
    return found


def _element(data: bytes, at: int, tag: int, implicit: bool) -> Element:
    vr = b"" if implicit else data[at + 4 : at + 6]
    where, size = (at + 4, 4) if implicit else (at + 8, 4) if vr in _LONG else (at + 6, 2)
    value = where + size
    length = int.from_bytes(data[where:value], "little")
    if length == 0xFFFFFFFF:
        stop = data.find(_END, value)
        end = len(data) if stop < 0 else stop + 8
    else:
        end = min(len(data), value + length)
    return Element(tag, vr, at, where, size, value, end)


def _some(data: bytes, rng: Random) -> Element | None:
    found = elements(data)
    return rng.choice(found) if found else None


def _put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _set_value(data: bytes, element: Element, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    size = len(value) if element.length_size == 4 else min(len(value), 0xFFFE)
    length = size.to_bytes(element.length_size, "little")
    head = data[: element.length_at] + length
    return head + value[:size] + data[element.end :]


# ---- blind ---------------------------------------------------------------------------------


def flip_bits(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Flip some bits, most of them in the header."""
    out = bytearray(data)
    reach = min(len(out), 4096) if rng.random() < 0.7 else len(out)
    for _ in range(rng.choice((1, 2, 8, 64))):
        out[rng.randrange(reach)] ^= 1 << rng.randrange(8)
    return bytes(out)


def cut(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """End the file early."""
    return data[: rng.randrange(1, max(2, len(data)))]


def grow(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Let rubbish follow the file."""
    return data + rng.randbytes(rng.choice((1, 8, 1000, 70_000)))


def blank(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Overwrite a stretch with zeros or ones, as a bad sector does."""
    at = rng.randrange(len(data))
    return _put(data, at, rng.choice((b"\0", b"\xff")) * min(rng.choice((4, 512)), len(data) - at))


def splice(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """Begin as one file and end as another."""
    other = rng.choice(others)
    return data[: rng.randrange(1, max(2, len(data)))] + other[rng.randrange(len(other)) :]


def headless(data: bytes, _others: Sequence[bytes], _rng: Random) -> bytes:
    """Take the preamble away."""
    return data[132:] if data[128:132] == b"DICM" else data


# ---- elements ------------------------------------------------------------------------------


def lie_about_length(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Write another length for one element."""
    element = _some(data, rng)
    if element is None:
        return data
    true = element.end - element.value
    length = rng.choice((*_LENGTHS, true + 1, true + 2, max(0, true - 2), len(data)))
    size = element.length_size
    return _put(data, element.length_at, (length % 256**size).to_bytes(size, "little"))


def other_vr(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Give one element another value representation."""
    element = _some(data, rng)
    if element is None or not element.vr:
        return data
    vr = rng.choice((b"SQ", b"UN", b"DS", b"IS", b"US", b"FD", b"OB", b"AT", b"PN", b"ZZ", b"\0\0"))
    return _put(data, element.start + 4, vr)


def drop(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Leave one element out."""
    element = _some(data, rng)
    return data if element is None else data[: element.start] + data[element.end :]


def repeat(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Write one element several times, or at another place."""
    element, place = _some(data, rng), _some(data, rng)
    if element is None or place is None:
        return data
    copy = data[element.start : element.end] * rng.choice((1, 2, 50))
    return data[: place.start] + copy[: 1 << 20] + data[place.start :]


def odd_text(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Give one element a value nobody expects."""
    element = _some(data, rng)
    return data if element is None else _set_value(data, element, rng.choice(_TEXTS))


def odd_number(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Claim another image size, depth or number of frames."""
    found = [e for e in elements(data) if e.tag in _NUMBERS and e.end - e.value == 2]
    if not found:
        return data
    for element in rng.sample(found, min(len(found), rng.choice((1, 1, 2)))):
        data = _put(data, element.value, struct.pack("<H", rng.choice(_EXTREMES)))
    return data


def many_frames(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Claim up to a thousand million frames."""
    count = rng.choice((b"0 ", b"-5", b"2 ", b"1000000000", b"4294967296"))
    new = struct.pack("<HH", 0x0028, 0x0008) + b"IS" + struct.pack("<H", len(count)) + count
    place = next((e for e in elements(data) if e.tag >= 0x00280009), None)
    return data if place is None else data[: place.start] + new + data[place.start :]


def nest(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Insert a private sequence that is nested deep, of undefined lengths, open or closed."""
    depth = rng.choice((3, 50, 300, 1000, 3000))
    head = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff"
    inner = (head + _ITEM + b"\xff\xff\xff\xff") * depth
    tail = (_ITEM_END + bytes(4) + _END + bytes(4)) * rng.choice((0, depth // 2, depth))
    place = next((e for e in elements(data) if e.tag >= 0x00090000), None)
    return data if place is None else data[: place.start] + inner + tail + data[place.start :]


def swell(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Insert a private element of a megabyte, or one that claims gigabytes."""
    size = rng.choice((1 << 20, 0x7FFFFFF0))
    body = bytes(min(size, 1 << 20))
    new = struct.pack("<HH", 0x0009, 0x1011) + b"OB\0\0" + struct.pack("<L", size) + body
    place = next((e for e in elements(data) if e.tag >= 0x00090000), None)
    return data if place is None else data[: place.start] + new + data[place.start :]


def other_syntax(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Name another transfer syntax than the one it is written in."""
    found = [e for e in elements(data) if e.tag == 0x00020010]
    uid = rng.choice(_SYNTAXES)
    text = f"1.2.840.10008.{uid}".encode() if uid else b""
    return _set_value(data, found[0], text + b"\0" * (len(text) % 2)) if found else data


# ---- pixels --------------------------------------------------------------------------------


def _pixels(data: bytes) -> Element | None:
    return next((e for e in elements(data) if e.tag == PIXELS), None)


def break_items(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Damage the encapsulation: an item's length, its tag, the offset table or the delimiter."""
    pixels = _pixels(data)
    if pixels is None:
        return data
    at = data.find(_ITEM, pixels.value)
    if at < 0:
        return data
    if rng.random() < 0.3:
        return data[:at] + _ITEM + struct.pack("<L", 4) + rng.randbytes(4) + data[at + 8 :]
    second = data.find(_ITEM, at + 8)
    place = rng.choice([p for p in (at, second, data.rfind(_END)) if p >= 0])
    if rng.random() < 0.3:
        return _put(data, place, rng.choice((_ITEM, _END, _ITEM_END, b"\0\0\0\0")))
    return _put(data, place + 4, struct.pack("<L", rng.choice((*_LENGTHS, 64))))


def claim_image(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Let the compressed image inside claim another size (JPEG, JPEG-LS, JPEG 2000)."""
    pixels = _pixels(data)
    if pixels is None:
        return data
    siz = data.find(b"\xff\x4f\xff\x51", pixels.value)
    if siz >= 0:
        big = rng.choice((0, 1, 40_000, 0x7FFFFFFF, 0xFFFFFFFF))
        return _put(data, siz + 8 + 4 * rng.randrange(8), struct.pack(">L", big))
    for marker in (b"\xff\xf7", b"\xff\xc3", b"\xff\xc1", b"\xff\xc0"):
        at = data.find(marker, pixels.value)
        if at >= 0:
            big = rng.choice((0, 1, 40_000, 65_535))
            return _put(data, at + 5 + 2 * rng.randrange(2), struct.pack(">H", big))
    return data


def scramble_image(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Damage bytes of the compressed or native image."""
    pixels = _pixels(data)
    if pixels is None or pixels.end - pixels.value < 16:
        return data
    out = bytearray(data)
    reach = rng.choice((64, 1024, pixels.end - pixels.value))
    for _ in range(rng.choice((1, 4, 40))):
        at = pixels.value + rng.randrange(min(reach, pixels.end - pixels.value))
        out[at] = rng.randrange(256)
    return bytes(out)


def rle_bomb(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Put runs where the pixels were that unpack to far more than the image."""
    head = struct.pack("<16L", rng.choice((1, 2, 15)), 64, 64, *([64] * 13))
    frame = head + b"\x81\x00" * rng.choice((10, 5000, 500_000))
    return _encapsulated(data, b"1.2.840.10008.1.2.5\0", frame)


def j2k_bomb(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Put a JPEG 2000 head there that claims up to thirty thousand million pixels."""
    side = rng.choice((30_000, 65_535, 175_000))
    tile = rng.choice((1, 256, side))
    siz = struct.pack(">HH8LHBBB", 41, 0, side, side, 0, 0, tile, tile, 0, 0, 1, 15, 1, 1)
    code = b"\xff\x4f\xff\x51" + siz + b"\xff\x52\0\x0c\0\0\0\1\0\5\4\4\0\1" + bytes(200)
    return _encapsulated(data, b"1.2.840.10008.1.2.4.90", code)


def _encapsulated(data: bytes, syntax: bytes, frame: bytes) -> bytes:
    pixels = _pixels(data)
    named = [e for e in elements(data) if e.tag == 0x00020010]
    if pixels is None or not named or not pixels.vr:
        return data
    head = data[: pixels.start] + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
    frame += b"\0" * (len(frame) % 2)
    body = _ITEM + bytes(4) + _ITEM + struct.pack("<L", len(frame)) + frame + _END + bytes(4)
    return _set_value(head + body, named[0], syntax)


def deflate_bomb(data: bytes, _others: Sequence[bytes], rng: Random) -> bytes:
    """Deflate the data set, with up to 3 GB of zeros in it."""
    found = elements(data)
    first = next((e for e in found if e.tag >> 16 > 2), None)
    named = [e for e in found if e.tag == 0x00020010]
    if first is None or not named or not first.vr:
        return data
    many = rng.choice((1, 300, 3000))
    lie = b"\x09\x00\x11\x10OB\0\0" + struct.pack("<L", rng.choice((many << 20, 0x7FFFFFF0)))
    pack = zlib.compressobj(1, wbits=-15)
    whole = pack.compress(lie) + pack.flush(zlib.Z_FULL_FLUSH)
    # A block after a full flush stands for itself, so that a thousand copies cost nothing.
    block = pack.compress(bytes(1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    whole += block * many + pack.compress(data[first.start :]) + pack.flush()
    return _set_value(data[: first.start], named[0], b"1.2.840.10008.1.2.1.99") + whole


ACTS: tuple[tuple[str, Callable[[bytes, Sequence[bytes], Random], bytes]], ...] = tuple(
    (act.__name__, act)
    for act in (
        flip_bits, flip_bits, cut, grow, blank, splice, headless, lie_about_length,
        lie_about_length, other_vr, drop, repeat, odd_text, odd_text, odd_number, odd_number,
        many_frames, nest, swell, other_syntax, break_items, break_items, claim_image,
        scramble_image, scramble_image, rle_bomb, j2k_bomb, deflate_bomb,
    )
)  # fmt: skip
