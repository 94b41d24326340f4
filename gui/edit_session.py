"""The edits of the open case: a list, its undo and redo, and what a helper process measures of it.

The GUI computes nothing: a thread hands the newest edits to the process and waits. Everything
carries the key of its case; an answer for another one is dropped.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal

from gui.background import END_S, Speaker, end
from gui.case import IdentityError
from plaque_edge.correct import edits as edit_data
from plaque_edge.correct.process import Changed, Corrector, Opened
from plaque_edge.errors import PlaqueEdgeError

if TYPE_CHECKING:
    from PySide6.QtCore import QObject

    from gui.case import Key, OpenCase
    from plaque_edge.correct.edits import Edit
    from plaque_edge.types import Reason

Edits = tuple["Edit", ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What the process said of one state of the edits, and how long the reader waited for it."""

    key: Key
    edits: Edits
    found: Opened | Changed
    waited_ms: float


@dataclass(frozen=True, slots=True)
class _Wish:
    key: Key
    case: OpenCase
    edits: Edits
    at: float


class EditSession(Speaker):
    """One case being corrected. ``edited``: the edits changed; ``measured``: numbers came."""

    edited = Signal()
    measured = Signal()
    refused = Signal(object)
    _answered = Signal(object)

    def __init__(self, corrector: Corrector | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.key: Key | None = None
        self.edits: Edits = ()
        self.last: Measured | None = None
        self.busy = False
        self._done: list[Edits] = []
        self._undone: list[Edits] = []
        self._grouped = False
        self._sha256 = ""
        self._uid = ""
        self._case: OpenCase | None = None
        self._asker = _Asker(corrector or Corrector(), lambda what: self.tell(self._answered, what))
        self._answered.connect(self._take)

    @property
    def active(self) -> bool:
        """Whether a case is being corrected."""
        return self.key is not None

    @property
    def unsaved(self) -> bool:
        """Whether there are edits that were not there when it began."""
        return self.active and bool(self._done)

    # ---- begin and end -------------------------------------------------------------------

    def begin(self, case: OpenCase) -> None:
        """Correct this case; what was corrected before is there to go on from."""
        self.end()
        self.key, self._case = case.key, case
        self._uid, self._sha256 = case.row.series_uid, case.row.result_sha256 or ""
        said = (case.result or {}).get("corrections")
        if said is not None:
            self.edits = edit_data.read(said, self._uid, said["result_sha256"])
        self._ask()
        self.edited.emit()

    def end(self) -> None:
        """Leave the case; nothing of it is told any more."""
        self.key = self._case = self.last = None
        self.edits, self._done, self._undone = (), [], []
        self.busy = self._grouped = False
        self._asker.forget()
        self.edited.emit()

    def close(self, deadline: float | None = None) -> None:
        """End process and thread; that is waited for until ``deadline`` at most."""
        self.hush()
        self._asker.close(deadline)

    def document(self, key: Key) -> dict[str, Any]:
        """Return the edits of the case ``key`` for the service.

        Raises
        ------
        IdentityError
            When another case is being corrected.
        """
        if key != self.key or self.last is None:
            raise IdentityError("another case is being corrected")
        return edit_data.document(self.edits, self._uid, self._sha256)

    # ---- edits ---------------------------------------------------------------------------

    def put(self, edit: Edit, *, more: bool = False) -> None:
        """Add an edit; with ``more`` it goes on with the last one, as one step of undo."""
        if not self.active:
            return
        if not (more and self._grouped):
            self._done.append(self.edits)
        self._grouped = True
        self._undone.clear()
        self._set(edit_data.added(self.edits, edit))

    def undo(self) -> None:
        """Take the last step back."""
        if self._done:
            self._undone.append(self.edits)
            self._grouped = False
            self._set(self._done.pop())

    def redo(self) -> None:
        """Do the step again that was taken back last."""
        if self._undone:
            self._done.append(self.edits)
            self._grouped = False
            self._set(self._undone.pop())

    def clear(self) -> None:
        """Take every edit back, as one step of undo."""
        if self.edits:
            self._done.append(self.edits)
            self._undone.clear()
            self._grouped = False
            self._set(())

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return bool(self._undone)

    def _set(self, edits: Edits) -> None:
        self.edits = edits
        self._ask()
        self.edited.emit()

    # ---- measuring -----------------------------------------------------------------------

    def _ask(self) -> None:
        if self.key is None or self._case is None:
            return
        self.busy = True
        self._asker.ask(_Wish(self.key, self._case, self.edits, time.perf_counter()))

    def _take(self, answer: Measured | tuple[_Wish, Reason]) -> None:
        if isinstance(answer, tuple):
            wish, reason = answer
            if wish.key == self.key:
                self.busy = False
                self.refused.emit(reason)
            return
        if answer.key != self.key or answer.found.series_uid != self._uid:
            return
        self.busy = answer.edits != self.edits
        self.last = answer
        if isinstance(answer.found, Opened):
            self._sha256 = answer.found.result_sha256
        self.measured.emit()


class _Asker:
    """One thread that carries the newest edits to the process; older ones are dropped."""

    def __init__(self, corrector: Corrector, tell: Any) -> None:
        self._corrector, self._tell = corrector, tell
        self._wish: _Wish | None = None
        self._open: Key | None = None
        self._sha256 = ""
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def ask(self, wish: _Wish) -> None:
        with self._changed:
            self._wish = wish
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="edits", daemon=True)
                self._thread.start()

    def forget(self) -> None:
        with self._changed:
            self._wish = None

    def close(self, deadline: float | None = None) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._corrector.close()
        if self._thread is not None:
            end([self._thread], time.monotonic() + END_S if deadline is None else deadline)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wish is not None or self._closed)
                wish, self._wish = self._wish, None
                if self._closed or wish is None:
                    return
            try:
                self._carry(wish)
            except PlaqueEdgeError as error:
                if error.reason.code == "CORRECTOR_DIED":
                    self._open = None
                if not self._closed:
                    self._tell((wish, error.reason))

    def _carry(self, wish: _Wish) -> None:
        row = wish.case.row
        if self._open != wish.key:
            assert row.result_dir is not None
            opened = self._corrector.open(row.result_dir, row.series_uid)
            self._open, self._sha256 = wish.key, opened.result_sha256
            self._say(wish, (), opened)
        document = edit_data.document(wish.edits, row.series_uid, self._sha256)
        self._say(wish, wish.edits, self._corrector.change(document))

    def _say(self, wish: _Wish, edits: Edits, found: Opened | Changed) -> None:
        waited = 1000.0 * (time.perf_counter() - wish.at)
        if not self._closed:
            self._tell(Measured(wish.key, edits, found, waited))
