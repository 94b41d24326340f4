"""The service's side: corrections are measured and written one after the other, off its loop."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from plaque_edge.correct.process import Corrector
from plaque_edge.errors import PlaqueEdgeError

if TYPE_CHECKING:
    from plaque_edge.correct.job import CorrectionJob, Written
    from plaque_edge.types import Reason

IDLE_S: Final = 300.0
"""A process that nobody needed this long gives its memory back."""


class CorrectionDesk:
    """Takes jobs by the number of their request; asked again it says how they ended."""

    def __init__(self, corrector: Corrector | None = None) -> None:
        self._corrector = corrector or Corrector()
        self._queue: deque[tuple[int, CorrectionJob]] = deque()
        self._known: set[int] = set()
        self._ended: dict[int, Written | Reason] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, request: int, job: CorrectionJob) -> None:
        """Have a correction written, unless it is being written already."""
        with self._changed:
            if request in self._known or self._closed:
                return
            self._known.add(request)
            self._queue.append((request, job))
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="corrections", daemon=True)
                self._thread.start()

    def outcome(self, request: int) -> Written | Reason | None:
        """Return how a job ended, once; ``None`` while it has not."""
        with self._changed:
            found = self._ended.pop(request, None)
            if found is not None:
                self._known.discard(request)
            return found

    def close(self) -> None:
        """End the process; what was not written is written after the next start."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=30.0)
        self._corrector.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                asked = self._changed.wait_for(lambda: self._queue or self._closed, IDLE_S)
                if self._closed:
                    return
                job = self._queue.popleft() if asked else None
            if job is None:
                self._corrector.close()
                continue
            end: Written | Reason
            try:
                end = self._corrector.write(job[1])
            except PlaqueEdgeError as error:
                end = error.reason
            with self._changed:
                self._ended[job[0]] = end
