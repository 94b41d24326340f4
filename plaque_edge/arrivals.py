"""What the receiver knows of series on their way: a hint that all of one has been sent.

A sender that ends its association in good order after a whole series will most likely send
nothing more. :mod:`plaque_edge.watch` then need not wait out the quiet time. It is a hint and
no more: every other rule still holds, and a later slice opens a revision as always.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field

Uids = tuple[str, str]
"""Study and series UID."""
MIN_FRAMES = 20
"""A sender that opens one association per image ends one in good order after each: an
association that brought fewer frames than this says nothing about the series."""
_REMEMBERED = 1000
"""Series whose end is remembered; the hint matters for seconds."""


@dataclass(slots=True)
class _Open:
    """One association that has not ended: its sender, and frames stored per series."""

    sender: str
    frames: defaultdict[Uids, int] = field(default_factory=lambda: defaultdict(int))


class Arrivals:
    """Which series' associations have ended in good order. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, _Open] = {}
        self._sent: dict[Uids, tuple[int, str]] = {}

    def opened(self, association: int, sender: str) -> None:
        """Note an association by any number that stays its own."""
        with self._lock:
            self._open[association] = _Open(sender)

    def stored(self, association: int, uids: Uids, frames: int) -> None:
        """Note an object that came by it; what was known of the series' end no longer holds."""
        with self._lock:
            self._sent.pop(uids, None)
            if association in self._open:
                self._open[association].frames[uids] += frames

    def closed(self, association: int, *, in_order: bool) -> None:
        """Note its end, once; one that was aborted hints at nothing."""
        with self._lock:
            ended = self._open.pop(association, None)
            if ended is None or not in_order:
                return
            for uids, frames in ended.frames.items():
                if frames >= MIN_FRAMES:
                    self._sent[uids] = time.time_ns(), ended.sender
            while len(self._sent) > _REMEMBERED:
                del self._sent[next(iter(self._sent))]

    def sending(self, uids: Uids) -> bool:
        """Say whether an association that brought some of the series is still open."""
        with self._lock:
            return any(uids in o.frames for o in self._open.values())

    def all_sent(self, uids: Uids, newest_ns: int) -> bool:
        """Say whether the series, whose newest file was written then, has most likely all come.

        Not while its sender, or anyone else who sent of it, has another association open.
        """
        with self._lock:
            at_ns, sender = self._sent.get(uids, (-1, ""))
            return newest_ns <= at_ns and not any(
                o.sender == sender or uids in o.frames for o in self._open.values()
            )
