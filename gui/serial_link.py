"""Which place of the prior study is which of the present one: the registration of ``compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Place(NamedTuple):
    """A cross-section by the name of its branch and its (fractional) step."""

    branch: str
    step: float


class _Stretch(NamedTuple):
    before: str
    after: str
    first: int
    partner: NDArray[np.float64]


class Link:
    """Both directions of the map; ``None`` where a place was traced in one study alone."""

    def __init__(self, registration: dict[str, Any]) -> None:
        self._stretches = [
            _Stretch(
                str(pair["branch_before"]),
                str(pair["branch_after"]),
                int(pair["after_steps"][0]),
                np.array(pair["partner"], float),
            )
            for pair in registration["pairs"]
        ]

    def to_prior(self, present: Place) -> Place | None:
        """Return the prior's place of a place of the present study."""
        for s in self._stretches:
            last = len(s.partner) - 1
            if s.after == present.branch and -0.5 <= present.step - s.first <= last + 0.5:
                step = np.interp(present.step - s.first, np.arange(last + 1), s.partner)
                return Place(s.before, float(step))
        return None

    def to_present(self, prior: Place) -> Place | None:
        """Return the present study's place of a place of the prior one."""
        for s in self._stretches:
            if s.before != prior.branch:
                continue
            if not s.partner[0] - 0.5 <= prior.step <= s.partner[-1] + 0.5:
                continue
            # Several steps may have one partner: the middle of them is its place.
            values, first, count = np.unique(s.partner, return_index=True, return_counts=True)
            middle = first + (count - 1) / 2
            return Place(s.after, s.first + float(np.interp(prior.step, values, middle)))
        return None
