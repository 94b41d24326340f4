"""What is to be printed, and the process that prints it: the console only waits for its word."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QProcess, Signal

from gui.i18n import mark
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from gui.review import Review
    from plaque_edge.store import CaseRow

PRINTED_BY = [sys.executable, "-m", "gui.print_sheet"]
FAILED = Reason(
    "PRINT_FAILED",
    mark("The page was not printed."),
    mark("Try another printer, or save it as PDF."),
)


@dataclass(frozen=True, slots=True)
class Study:
    """One study with its review, and where its cursor stands (branch, step, angle)."""

    row: CaseRow
    review: Review
    place: tuple[int, float, float] = (0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class PrintJob:
    """A result page, or with ``prior`` and ``change`` the serial page.

    ``note`` is what the audit log keeps of it. ``printer`` empty: a PDF is written to ``file``.
    """

    present: Study
    person: str
    language: str
    scheme: str
    file: str = ""
    printer: str = ""
    copies: int = 1
    prior: Study | None = None
    change: dict[str, Any] | None = None
    note: dict[str, Any] = field(default_factory=dict)


class Printing(QObject):
    """Prints in a process of its own; ``done`` carries the job and why it failed, if it did."""

    done = Signal(object, object)
    printers = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._processes: list[QProcess] = []

    @property
    def running(self) -> bool:
        """Whether something is being printed."""
        return bool(self._processes)

    def start(self, job: PrintJob) -> None:
        """Print ``job``; ``done`` follows."""

        def ended(code: int, said: str) -> None:
            self.done.emit(job, None if code == 0 else _reason(said))

        from gui.print_wire import to_bytes

        self._run([], to_bytes(job), ended)

    def look_for_printers(self) -> None:
        """Ask the system for its printers; ``printers`` follows, the usual one first."""

        def ended(code: int, said: str) -> None:
            try:
                names = json.loads(said) if code == 0 else []
            except ValueError:
                names = []
            self.printers.emit([str(name) for name in names])

        self._run(["--printers"], b"", ended)

    def stop(self) -> None:
        """End what runs (closing)."""
        processes, self._processes = self._processes, []
        for process in processes:
            process.kill()
            process.waitForFinished(3000)

    def _run(self, arguments: list[str], given: bytes, ended: Any) -> None:
        process = QProcess(self)
        self._processes.append(process)

        def finish(code: int) -> None:
            if process not in self._processes:
                return
            self._processes.remove(process)
            said = bytes(process.readAllStandardOutput().data()).decode("utf-8", "replace")
            process.deleteLater()
            ended(code, said)

        crashed = QProcess.ExitStatus.CrashExit
        process.finished.connect(lambda code, how: finish(code if how != crashed else 1))
        process.errorOccurred.connect(lambda _error: finish(1))
        process.start(PRINTED_BY[0], [*PRINTED_BY[1:], *arguments])
        process.write(given)
        process.closeWriteChannel()


def _reason(said: str) -> Reason:
    try:
        found = json.loads(said)
        return Reason(str(found["code"]), str(found["text"]), str(found["next_step"]))
    except (ValueError, KeyError, TypeError):
        return FAILED
