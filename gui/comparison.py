"""``plaque-edge compare`` in a process of its own: the console only waits for its answer."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QProcess, Signal

from gui.i18n import mark
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from gui.case import Key
    from plaque_edge.store import CaseRow

Ticket = tuple["Key", "Key"]
"""Prior and present: whose comparison it is."""
BROKEN = Reason(
    "COMPARE_BROKEN",
    mark("The comparison did not finish."),
    mark("Open this page again; plaque-edge compare in a terminal says more."),
)
MIXED = Reason(
    "IDENTITY_MISMATCH",
    mark("The comparison is of other series than those on the page. Nothing is shown."),
    mark("Open this page again."),
)


class Comparison(QObject):
    """One process at a time; a newer wish ends the older one."""

    done = Signal(object, object)
    refused = Signal(object, object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None

    @property
    def running(self) -> bool:
        """Whether an answer is still to come."""
        return self._process is not None

    def start(self, ticket: Ticket, prior: CaseRow, present: CaseRow) -> None:
        """Compare two results; ``done`` or ``refused`` follows with the ticket."""
        self.stop()
        process = QProcess(self)
        command = ["compare", str(prior.result_dir), str(present.result_dir), "--json", "-"]
        process.finished.connect(lambda *_: self._finished(process, ticket, prior, present))
        process.errorOccurred.connect(lambda *_: self._finished(process, ticket, prior, present))
        self._process = process
        process.start(sys.executable, ["-m", "plaque_edge", *command])

    def stop(self) -> None:
        """End what runs; nothing of it is told any more."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.waitForFinished(3000)
            process.deleteLater()

    def _finished(
        self, process: QProcess, ticket: Ticket, prior: CaseRow, present: CaseRow
    ) -> None:
        if process is not self._process:
            return
        self._process = None
        said = bytes(process.readAllStandardOutput().data())
        wrong = bytes(process.readAllStandardError().data()).decode("utf-8", "replace")
        process.deleteLater()
        try:
            data: dict[str, Any] = json.loads(said)
            uids = [data[side]["series_instance_uid"] for side in ("before", "after")]
        except (ValueError, KeyError, TypeError):
            self.refused.emit(ticket, reason_of(wrong))
            return
        if uids == [prior.series_uid, present.series_uid]:
            self.done.emit(ticket, data)
        else:
            self.refused.emit(ticket, MIXED)


def reason_of(text: str) -> Reason:
    """Return the reason that a command wrote in its last line, ``CODE: sentence. Next step.``."""
    lines = text.strip().splitlines()
    code, colon, rest = lines[-1].partition(": ") if lines else ("", "", "")
    if colon and code.startswith("COMPARE_") and code.replace("_", "").isupper():
        sentence, dot, step = rest.partition(". ")
        return Reason(code, sentence + ("." if dot else ""), step)
    return BROKEN
