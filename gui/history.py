"""How long cases take on this machine, from its own results: the time left of a running one."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plaque_edge.store import CaseRow

FEWEST, MOST = 5, 20
"""Cases needed before any time is told, and how many of the latest count."""


class History:
    """Remembers milliseconds per slice of finished cases and when running ones were first seen."""

    def __init__(self) -> None:
        self._rates: dict[int, float] = {}
        self._began: dict[int, float] = {}

    def add(self, case_id: int, result: dict[str, Any]) -> None:
        """Learn from one finished case; a refused one says nothing about time."""
        total = result.get("timing_ms", {}).get("total")
        slices = result.get("series", {}).get("instances")
        if result.get("status") not in ("ready", "review") or not total or not slices:
            return
        self._rates[case_id] = float(total) / float(slices)

    def usual_s(self, slices: int) -> float | None:
        """Return the usual seconds for a series of this many slices, if enough is known."""
        newest = sorted(self._rates)[-MOST:]
        if len(newest) < FEWEST or slices <= 0:
            return None
        return statistics.median(self._rates[i] for i in newest) * slices / 1000.0

    def left_s(self, row: CaseRow, now: float | None = None) -> float | None:
        """Return the seconds left of a running case; negative: longer than usual."""
        if row.state != "RUNNING":
            self._began.pop(row.case_id, None)
            return None
        now = time.monotonic() if now is None else now
        began = self._began.setdefault(row.case_id, now)
        usual = self.usual_s(row.received)
        if usual is None:
            return None
        if now - began > 1.2 * usual + 2.0:
            return -1.0
        return max(0.0, usual * (1.0 - row.progress))
