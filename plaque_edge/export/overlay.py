"""One axial slice as a picture: HU through a window, plaque labels blended on top.

Shared by the console and the report, so that both show the same pixels. Label codes are those
of ``quantify.measures.label_grid``: 0 none, 1 lumen, 2 wall, 3 non-calcified, 4 low attenuation,
5 calcified.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.export import words

if TYPE_CHECKING:
    from numpy.typing import NDArray

LUMEN, WALL = 1, 2
PLAQUE_CODES = (5, 3, 4)
"""Label codes in the order of :data:`words.COMPONENTS` (C, N, L)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A grey window: ``level`` is its middle and ``width`` its span, both in HU."""

    name: str
    level: float
    width: float


WINDOWS = (
    Window("Coronary", 250.0, 900.0),
    Window("Plaque", 150.0, 500.0),
    Window("Calcium", 600.0, 2000.0),
    Window("Soft tissue", 40.0, 400.0),
    Window("Lung", -600.0, 1500.0),
)


@dataclass(frozen=True, slots=True)
class Style:
    """How a slice is drawn; ``opacity`` 0..1 of the overlay, 0 leaves the CT alone."""

    window: Window = WINDOWS[0]
    opacity: float = 0.55
    outline: tuple[int, int, int] = (255, 255, 255)
    colors: tuple[tuple[int, tuple[int, int, int]], ...] = field(
        default_factory=lambda: tuple(
            (code, _rgb(color))
            for code, (_, _, color) in zip(PLAQUE_CODES, words.COMPONENTS, strict=True)
        )
    )


def _rgb(hex_color: str) -> tuple[int, int, int]:
    return int(hex_color[1:3], 16), int(hex_color[3:5], 16), int(hex_color[5:7], 16)


def grey_table(window: Window) -> NDArray[np.uint32]:
    """Return 65,536 packed 0xFFRRGGBB greys, indexed by the bits of an int16 HU value."""
    hu = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.float32)
    low = window.level - window.width / 2
    grey = np.clip((hu - low) * (255.0 / window.width), 0, 255).astype(np.uint32)
    packed: NDArray[np.uint32] = np.uint32(0xFF000000) | (grey << 16) | (grey << 8) | grey
    return packed


def render(
    hu: NDArray[np.int16], labels: NDArray[np.uint8] | None, style: Style, table: Any = None
) -> NDArray[np.uint32]:
    """Return packed 0xFFRRGGBB ``(y, x)`` of one slice.

    ``hu`` and ``labels`` are ``(y, x)``; ``table`` is :func:`grey_table` of the style's window
    when the caller keeps it. Plaque is blended with ``style.opacity``; the lumen gets a one-pixel
    outline, since a filled lumen would hide the contrast a reader judges it by.
    """
    table = grey_table(style.window) if table is None else table
    picture: NDArray[np.uint32] = np.take(table, np.ascontiguousarray(hu).view(np.uint16))
    if labels is None or style.opacity <= 0:
        return picture
    rows, columns = np.nonzero(labels)
    if not rows.size:
        return picture
    box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    part, found = picture[box], np.asarray(labels[box])
    for code, color in style.colors:
        where = found == code
        part[where] = _blend(part[where], color, style.opacity)
    edge = _outline(found == LUMEN)
    part[edge] = _blend(part[edge], style.outline, 0.6 * style.opacity)
    return picture


def to_rgb(packed: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Turn packed 0xFFRRGGBB ``(y, x)`` into uint8 ``(y, x, 3)``."""
    return np.stack([(packed >> s) & 0xFF for s in (16, 8, 0)], axis=-1).astype(np.uint8)


def _blend(
    packed: NDArray[np.uint32], color: tuple[int, int, int], opacity: float
) -> NDArray[np.uint32]:
    grey = packed & 0xFF
    out = np.full(grey.shape, 0xFF000000, np.uint32)
    for channel, shift in zip(color, (16, 8, 0), strict=True):
        mixed = grey * (1 - opacity) + channel * opacity
        out |= mixed.astype(np.uint32) << np.uint32(shift)
    return out


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of ``mask`` with at least one of the four neighbours outside it."""
    inner = np.pad(mask, 1)
    inside = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    result: NDArray[np.bool_] = mask & ~inside
    return result


def lesion_point(lesion: dict[str, Any]) -> tuple[float, float, float] | None:
    """Return the narrowest point of a lesion as (z, y, x) in mm; results carry (x, y, z)."""
    point = lesion.get("worst_point_lps_mm") or lesion.get("worst_point_mm")
    if not point or len(point) != 3:
        return None
    return float(point[2]), float(point[1]), float(point[0])


@dataclass(frozen=True, slots=True)
class Stack:
    """CT and labels ``(z, y, x)`` on one grid, as the ``view`` folder of a result holds them."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    spacing_zyx_mm: tuple[float, float, float]
    origin_zyx_mm: tuple[float, float, float]

    def index_of(self, point_zyx_mm: tuple[float, float, float]) -> tuple[int, int, int] | None:
        """Return the voxel of a point in mm, ``None`` when it lies outside the stack."""
        place = [
            round((p - o) / s)
            for p, o, s in zip(point_zyx_mm, self.origin_zyx_mm, self.spacing_zyx_mm, strict=True)
        ]
        if any(not 0 <= i < n for i, n in zip(place, self.hu.shape, strict=True)):
            return None
        return place[0], place[1], place[2]


def report_images(
    result: dict[str, Any], stack: Stack, reach_mm: float = 45.0
) -> dict[str, NDArray[np.uint8]]:
    """Return the report's pictures: the axial slice at the worst lesion, whole and close up.

    Keys are captions, values uint8 ``(y, x, 3)``. Without a lesion, or when its point lies
    outside the stack, the dictionary is empty. ``reach_mm`` is the side of the close-up.
    """
    lesions = result.get("lesions") or []
    worst = words.worst_lesion(lesions)
    point = None if worst is None else lesion_point(lesions[worst])
    place = None if point is None else stack.index_of(point)
    if worst is None or place is None:
        return {}
    z, y, x = place
    name = words.branch_of(lesions[worst])
    whole = to_rgb(render(stack.hu[z], stack.labels[z], Style()))
    plain = to_rgb(render(stack.hu[z], None, Style()))
    half = [max(4, round(reach_mm / 2 / s)) for s in stack.spacing_zyx_mm[1:]]
    box = tuple(slice(max(0, i - h), i + h) for i, h in zip((y, x), half, strict=True))
    return {
        f"Axial slice {z + 1} at the worst lesion, {name}": whole,
        f"{name}, close up, with overlay": whole[box],
        f"{name}, close up, without overlay": plain[box],
    }
