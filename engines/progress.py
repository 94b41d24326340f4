"""How far ``prepare`` is and how long it will still take, as lines of text."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERY_S = 5.0
"""Pause between two lines of one step."""


class Progress:
    """Counts steps of about the same length, and what part of the running one is done.

    ``now`` returns seconds (tests give their own).
    """

    def __init__(
        self,
        say: Callable[[str], None],
        steps: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say, self._steps, self._now = say, max(1, steps), now
        self._done, self._part = 0, 0.0
        self._began = self._told = now()

    @property
    def share(self) -> float:
        """How much of everything is done, 0..1."""
        return min(1.0, (self._done + self._part) / self._steps)

    def say(self, text: str) -> None:
        """Tell something, with how far it is."""
        self._told = self._now()
        self._say(f"[{100 * self.share:3.0f} %{self._left()}] {text}")

    def part(self, share: float, text: str) -> None:
        """Note what part of the running step is done; told now and then."""
        self._part = min(1.0, max(self._part, share))
        if self._now() - self._told >= EVERY_S:
            self.say(text)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Count one step, however it ends."""
        try:
            yield
        finally:
            self._done, self._part = self._done + 1, 0.0

    def _left(self) -> str:
        """Return the time left, if what is done takes as long as what is not."""
        spent, share = self._now() - self._began, self.share
        if share < 0.02 or spent < 2.0:
            return ""
        left = spent * (1 - share) / share
        return f", {left:.0f} s left" if left < 100 else f", {left / 60:.0f} min left"
