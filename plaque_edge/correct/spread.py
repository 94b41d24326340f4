"""How an edit of one cross-section reaches its neighbours along the vessel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Share:
    """What a section takes over: ``parts`` of edited steps, which add up to ``weight`` (0..1)."""

    weight: float
    parts: tuple[tuple[int, float], ...]


def shares(reach: Mapping[int, float], count: int) -> dict[int, Share]:
    """Return what each section takes from the edited ones; ``reach`` in steps, by edited step.

    An edited section takes itself alone. One between two edited sections that both reach it lies
    between them by its distance; any other takes from the one that reaches it, fading to nothing
    at the end of its reach.
    """
    keys = sorted(reach)
    out: dict[int, Share] = {}
    for step in range(count):
        if step in reach:
            out[step] = Share(1.0, ((step, 1.0),))
            continue
        below = max((k for k in keys if k < step), default=None)
        above = min((k for k in keys if k > step), default=None)
        near = [
            (k, 1.0 - abs(step - k) / reach[k])
            for k in (below, above)
            if k is not None and reach[k] > abs(step - k)
        ]
        if len(near) == 2:
            (a, _), (b, _) = near
            out[step] = Share(1.0, ((a, (b - step) / (b - a)), (b, (step - a) / (b - a))))
        elif near:
            out[step] = Share(near[0][1], (near[0],))
    return out
