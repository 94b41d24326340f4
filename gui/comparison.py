"""``plaque-edge compare`` in a process of its own: the console only waits for its answer."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from PySide6.QtCore import QObject, QProcess, Signal

from gui.i18n import mark
from plaque_edge.correct.current import current
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from pathlib import Path

    from gui.case import Key, OpenCase
    from plaque_edge.store import CaseRow

Ticket = tuple["Key", "Key"]
"""Prior and present: whose comparison it is."""


class Counted(NamedTuple):
    """A result to compare: its row, the folder of what counts of it, and the hash of its file.

    Without a hash the command finds out what counts.
    """

    row: CaseRow
    folder: Path | None
    sha256: str | None = None


def counted(case: OpenCase) -> Counted:
    """Return what counts of an opened case: its newest correction, or the analysis's own."""
    now = current(case.review.acts, case.row.result_dir, case.sha256)
    return Counted(case.row, now.folder, now.sha256)


BROKEN = Reason(
    "COMPARE_BROKEN",
    mark("The comparison did not finish."),
    mark("Open this page again; plaque-edge compare in a terminal says more."),
)
CHANGED = Reason(
    "COMPARE_CHANGED",
    mark("One of the two results was corrected while they were compared."),
    mark("Open this page again."),
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

    def start(self, ticket: Ticket, prior: Counted, present: Counted) -> None:
        """Compare two results; ``done`` or ``refused`` follows with the ticket."""
        self.stop()
        process = QProcess(self)
        command = ["compare", str(prior.folder), str(present.folder), "--json", "-"]
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
        self, process: QProcess, ticket: Ticket, prior: Counted, present: Counted
    ) -> None:
        if process is not self._process:
            return
        self._process = None
        said = bytes(process.readAllStandardOutput().data())
        wrong = bytes(process.readAllStandardError().data()).decode("utf-8", "replace")
        process.deleteLater()
        try:
            data: dict[str, Any] = json.loads(said)
            sides = data["before"], data["after"]
            uids = [side["series_instance_uid"] for side in sides]
            hashes = [side["result_sha256"] for side in sides]
        except (ValueError, KeyError, TypeError):
            self.refused.emit(ticket, reason_of(wrong))
            return
        both = prior, present
        if uids != [side.row.series_uid for side in both]:
            self.refused.emit(ticket, MIXED)
        elif any(s.sha256 not in (None, h) for s, h in zip(both, hashes, strict=True)):
            self.refused.emit(ticket, CHANGED)
        else:
            self.done.emit(ticket, data)


def reason_of(text: str) -> Reason:
    """Return the reason that a command wrote in its last line, ``CODE: sentence. Next step.``."""
    lines = text.strip().splitlines()
    code, colon, rest = lines[-1].partition(": ") if lines else ("", "", "")
    if colon and code.startswith("COMPARE_") and code.replace("_", "").isupper():
        sentence, dot, step = rest.partition(". ")
        return Reason(code, sentence + ("." if dot else ""), step)
    return BROKEN
