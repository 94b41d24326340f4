"""How fast the receiver takes: so many bytes a second, and so many connections a minute."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

_MINUTE_S: Final = 60.0
_BURST_S: Final = 0.25
"""What was not used lately may be used at once, up to this many seconds' worth."""


class Pace:
    """Bytes of all connections together; who is too fast waits, and so does the sender."""

    def __init__(self, bytes_per_s: float | None) -> None:
        self._rate = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def wait(self, count: int) -> None:
        """Return when ``count`` bytes more may have come."""
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - _BURST_S) + count / self._rate
            pause_s = self._free_at - now
        if pause_s > 0:
            time.sleep(pause_s)


class Gate:
    """Connections of each address within the last minute."""

    def __init__(self, per_minute: int | None) -> None:
        self._most = per_minute
        self._lock = threading.Lock()
        self._came: dict[str, deque[float]] = {}

    def lets_in(self, address: str) -> bool:
        """Say whether one more connection may come from there now."""
        if self._most is None:
            return True
        now = time.monotonic()
        with self._lock:
            for other in [a for a, t in self._came.items() if now - t[-1] > _MINUTE_S]:
                del self._came[other]
            times = self._came.setdefault(address, deque(maxlen=self._most))
            full = len(times) == self._most and now - times[0] <= _MINUTE_S
            if not full:
                times.append(now)
            return not full
