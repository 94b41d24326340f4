"""Carries what a person asks to the service and tells how it was answered; never blocks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from gui.background import Background
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.store import NewRequest
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from PySide6.QtCore import QObject

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


class Desk(Background):
    """One thread that puts down requests in order and waits for each answer.

    Closing puts down what is left; it stays with the service.
    """

    answered = Signal(object)
    kept = Signal(object)
    """The request itself, once it stands in the store; its answer may come much later."""
    finishes = True

    def __init__(self, source: Source, parent: QObject | None = None) -> None:
        super().__init__("desk", parent)
        self._source = source

    def ask(
        self, kind: str, person: str, row: CaseRow, *, any_revision: bool = False,
        **arguments: object,
    ) -> NewRequest:  # fmt: skip
        """Ask ``kind`` for the revision that ``row`` shows, or for the newest there is."""
        revision = None if any_revision else row.revision
        new = NewRequest(kind, person, row.study_uid, row.series_uid, revision, arguments)
        self._ask(new)
        return new

    def note(self, kind: str, person: str, **arguments: object) -> None:
        """Ask for a line in the audit log that is of no case."""
        self._ask(NewRequest(kind, person, arguments=dict(arguments)))

    def _ask(self, new: NewRequest) -> None:
        self.put(lambda: self.tell(self.answered, self._carry(new)))

    def _carry(self, new: NewRequest) -> Answer:
        try:
            number = self._source.ask(new)
            self.tell(self.kept, new)
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
