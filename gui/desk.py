"""Carries what a person asks to the service and tells how it was answered; never blocks."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.store import NewRequest
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from gui.source import Source
    from plaque_edge.store import CaseRow

PATIENCE_S = 4.0
"""A running service answers in a fraction of a second; after this the request is left waiting."""

SLOW_S = {"correct": 60.0}
"""What the service measures anew before it answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended: done, refused with a ``reason``, or still ``waiting``."""

    asked: NewRequest
    reason: Reason | None = None
    waiting: bool = False


class Desk(QObject):
    """One thread that puts down requests in order and waits for each answer."""

    answered = Signal(object)

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._queue: deque[NewRequest] = deque()
        self._changed = threading.Condition()
        self._busy = self._closed = False
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._thread.start()

    def ask(
        self, kind: str, person: str, row: CaseRow, *, any_revision: bool = False,
        **arguments: object,
    ) -> None:  # fmt: skip
        """Ask ``kind`` for the revision that ``row`` shows, or for the newest there is."""
        revision = None if any_revision else row.revision
        new = NewRequest(kind, person, row.study_uid, row.series_uid, revision, arguments)
        with self._changed:
            self._queue.append(new)
            self._changed.notify_all()

    def note(self, kind: str, person: str, **arguments: object) -> None:
        """Ask for a line in the audit log that is of no case."""
        with self._changed:
            self._queue.append(NewRequest(kind, person, arguments=dict(arguments)))
            self._changed.notify_all()

    def wait(self, seconds: float = 10.0) -> bool:
        """Wait until everything asked has been answered (tests)."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._busy, seconds)

    def close(self) -> None:
        """End the thread; what was put down stays with the service."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=PATIENCE_S + 10.0)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._queue) or self._closed)
                if self._closed and not self._queue:
                    return
                new, self._busy = self._queue.popleft(), True
            self.answered.emit(self._carry(new))

    def _carry(self, new: NewRequest) -> Answer:
        try:
            number = self._source.ask(new)
            end = time.monotonic() + SLOW_S.get(new.kind, PATIENCE_S)
            while time.monotonic() < end and not self._closed:
                found = self._source.request(number)
                if found.done_at is not None:
                    return Answer(new, found.reason)
                time.sleep(0.05)
        except PlaqueEdgeError as error:
            return Answer(new, error.reason)
        except ValueError as error:
            return Answer(new, Reason("REQUEST_INVALID", f"It cannot be asked: {error}."))
        return Answer(new, waiting=True)
