"""Network B: lumen, wall and plaque as soft fractions in straightened vessels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from engines.base import STEP
from plaque_edge.segment.healthy_wall import healthy_wall_mm
from plaque_edge.segment.naming import with_names
from plaque_edge.segment.prune import Lumen, prune
from plaque_edge.segment.straighten import (
    PIXEL_MM,
    STEP_MM,
    WIDTH,
    even_points,
    parallel_frames,
    sample_sections,
)
from plaque_edge.types import WALL_CLASSES, Branch, StraightBranch

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaque_edge.segment.network import Network
    from plaque_edge.types import CoronaryTree, Volume

WINDOW_STEPS = 64
WINDOW_STRIDE, LOOSE_STRIDE = 48, 62
"""Steps between windows: they overlap by 8 mm, and only their middles are kept there. The first
look only finds the middle of the lumen."""
LUMEN, OTHER = WALL_CLASSES.index("lumen"), WALL_CLASSES.index("other_vessel")
AXIS_MM = (np.arange(WIDTH) - (WIDTH - 1) / 2) * PIXEL_MM
EVEN_STEPS = 3.0
EXTEND_STEPS = 8
"""Sections before the start and behind the end, so that the network sees what lies there."""

Points = NDArray[np.float64]


class Known(NamedTuple):
    """What the network is told of the patient: HU of the blood, thickness of the healthy wall."""

    blood_hu: float
    wall_mm: float | None = None


class Walls(NamedTuple):
    """Straightened branches, and the patient's healthy wall as the first look showed it."""

    straight: tuple[StraightBranch, ...]
    healthy_mm: float | None


def read_walls(
    volume: Volume,
    tree: CoronaryTree,
    network: Network,
    blood_hu: float,
    progress: Callable[[float], None] | None = None,
) -> Walls:
    """Classify every branch, keep what has a lumen, move onto its middle, classify again.

    The second time the network knows how thick the patient's healthy wall looked the first time.
    """
    lines = [b.points_mm for b in tree.branches]
    first = _classify(volume, lines, network, Known(blood_hu), LOOSE_STRIDE)
    shifts = [_lumen_shift(view[4]) for view in first]
    moved = [
        _recentred(*view[:3], shift, b.points_mm)
        for b, view, shift in zip(tree.branches, first, shifts, strict=True)
    ]
    branches = [
        replace(b, points_mm=line, radius_mm=np.zeros(len(line)))
        for b, line in zip(tree.branches, moved, strict=True)
    ]
    lumens = [
        Lumen(shift[2], brightness(view[4][LUMEN], view[3], blood_hu), _near_area(view[4][OTHER]))
        for view, shift in zip(first, shifts, strict=True)
    ]
    kept = with_names(prune(branches, lumens))
    if progress:
        progress(0.5)
    known = Known(blood_hu, healthy_wall_mm(view[4] for view in first))
    second = _classify(volume, [b.points_mm for b in kept], network, known, WINDOW_STRIDE)
    if progress:
        progress(1.0)
    straight = tuple(
        StraightBranch(_with_lumen(b, c, f), c, u, v, STEP_MM, PIXEL_MM, f, hu)
        for b, (c, u, v, hu, f) in zip(kept, second, strict=True)
    )
    return Walls(straight, known.wall_mm)


View = tuple[Points, Points, Points, NDArray[np.float32], NDArray[np.uint8]]


def _classify(
    volume: Volume, lines: list[Points], network: Network, known: Known, stride: int
) -> list[View]:
    """Centers, frame, HU and fractions of every line."""
    frames = [_sections(line) for line in lines]
    scan = (volume.hu, volume.origin_zyx_mm, volume.spacing_zyx_mm)
    sections = [sample_sections(*scan, *f) for f in frames]
    jobs, soft = _run(sections, network, known, stride)
    out: list[View] = []
    for i, (c, u, v) in enumerate(frames):
        n = len(c)
        fractions = np.zeros((7, n, WIDTH, WIDTH), np.float32)
        weight = np.zeros(n, np.float32)
        for (j, start), p in zip(jobs, soft, strict=True):
            if j == i:
                _blend(fractions, weight, p, start)
        fractions /= np.maximum(weight, 1e-6)[None, :, None, None]
        keep = slice(EXTEND_STEPS, n - EXTEND_STEPS)
        out.append(
            (
                c[keep],
                u[keep],
                v[keep],
                sections[i][keep],
                np.round(fractions[:, keep] * 255).astype(np.uint8),
            )
        )
    return out


def _run(
    sections: list[NDArray[np.float32]], network: Network, known: Known, stride: int
) -> tuple[list[tuple[int, int]], list[NDArray[np.float32]]]:
    """Return (line, first section) and fractions of every window.

    A window is the whole line where the engine takes any size; else all of one size go to it
    in one queue.
    """
    if network.any_size:
        whole = [_window(s, 0, -(-len(s) // STEP) * STEP) for s in sections]
        soft = [network.run(w, *known) for w in whole]
        return [(i, 0) for i in range(len(sections))], soft
    jobs = [(i, start) for i, s in enumerate(sections) for start in window_starts(len(s), stride)]
    return jobs, network.run_all([_window(sections[i], start) for i, start in jobs], *known)


def _sections(line: Points) -> tuple[Points, Points, Points]:
    points = even_points(line)
    reach = min(6, len(points) - 1)
    head, tail = points[0] - points[reach], points[-1] - points[-1 - reach]
    head, tail = head / max(np.linalg.norm(head), 1e-9), tail / max(np.linalg.norm(tail), 1e-9)
    steps = STEP_MM * np.arange(1, EXTEND_STEPS + 1)[:, None]
    points = np.concatenate([(points[0] + steps * head)[::-1], points, points[-1] + steps * tail])
    _, u, v = parallel_frames(points)
    return points, u, v


def window_starts(n: int, stride: int = WINDOW_STRIDE) -> list[int]:
    """Return the starts of windows that cover ``n`` sections.

    >>> window_starts(100)
    [0, 36]
    """
    if n <= WINDOW_STEPS:
        return [0]
    count = int(np.ceil((n - WINDOW_STEPS) / stride)) + 1
    return [round(i * (n - WINDOW_STEPS) / (count - 1)) for i in range(count)]


def _window(
    sections: NDArray[np.float32], start: int, steps: int = WINDOW_STEPS
) -> NDArray[np.float32]:
    part = sections[start : start + steps]
    if len(part) < steps:
        part = np.concatenate([part, np.repeat(part[-1:], steps - len(part), axis=0)])
    return part


def _blend(
    fractions: NDArray[np.float32], weight: NDArray[np.float32], p: NDArray[np.float32], start: int
) -> None:
    steps = p.shape[1]
    stop = min(start + steps, len(weight))
    n = stop - start
    ramp = np.minimum(np.arange(steps), np.arange(steps)[::-1]).astype(np.float32)
    ramp = np.clip((ramp + 1) / 8, 0.05, 1)[:n].astype(np.float32)
    fractions[:, start:stop] += p[:, :n] * ramp[None, :, None, None]
    weight[start:stop] += ramp


Shift = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _near_axis() -> NDArray[np.bool_]:
    """Where a lumen may be: what lies farther off belongs to another vessel."""
    return np.asarray(np.hypot(AXIS_MM[:, None], AXIS_MM[None, :]) < 4.0)


def _lumen_shift(fractions: NDArray[np.uint8]) -> Shift:
    """Offset of the lumen's centroid in mm along u and v, and lumen area in mm2, per section."""
    lumen = fractions[LUMEN].astype(np.float32) / 255
    axis = AXIS_MM
    lumen = lumen * _near_axis()
    area = lumen.sum((1, 2)).astype(float)
    a = (lumen.sum(2) @ axis) / np.maximum(area, 1e-3)
    b = (lumen.sum(1) @ axis) / np.maximum(area, 1e-3)
    return a.astype(float), b.astype(float), area * PIXEL_MM**2


def _near_area(fractions: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Area of one class near the axis in mm2, per section ``(n,)``."""
    return np.asarray((fractions * _near_axis()).sum((1, 2), dtype=float) / 255 * PIXEL_MM**2)


def brightness(
    lumen: NDArray[np.uint8], hu: NDArray[np.float32], blood_hu: float
) -> NDArray[np.float64]:
    """HU in the middle of the lumen as a share of the aorta's, per section ``(n,)``.

    The fourth power of the lumen's fraction keeps to where it is surely lumen: its rim is
    blurred. Evened out over 3 mm; what has no lumen says nothing.
    """
    sure = np.where(_near_axis(), lumen.astype(np.float32) / 255, 0) ** 4
    weight = sure.sum((1, 2), dtype=float)
    share = (sure * hu).sum((1, 2), dtype=float) / blood_hu
    smooth = gaussian_filter1d(weight, EVEN_STEPS, mode="nearest")
    return np.asarray(
        gaussian_filter1d(share, EVEN_STEPS, mode="nearest") / np.maximum(smooth, 1e-3)
    )


def _recentred(centers: Points, u: Points, v: Points, shift: Shift, original: Points) -> Points:
    a, b, area = shift
    sure = (area > 0.4).astype(float)
    smooth = gaussian_filter1d(sure, 3.0) + 1e-3
    a = gaussian_filter1d(np.clip(a, -1.5, 1.5) * sure, 3.0) / smooth
    b = gaussian_filter1d(np.clip(b, -1.5, 1.5) * sure, 3.0) / smooth
    moved = centers + a[:, None] * u + b[:, None] * v
    return (
        np.asarray(gaussian_filter1d(moved, 1.5, axis=0, mode="nearest"))
        if len(moved) > 8
        else original
    )


def _with_lumen(branch: Branch, centers: Points, fractions: NDArray[np.uint8]) -> Branch:
    _, _, area = _lumen_shift(fractions)
    return Branch(branch.vessel, branch.name, branch.parent, centers, np.sqrt(area / np.pi))
