"""One process that measures corrected cases, kept warm beside the console or the service.

A console asks it at every movement of a contour; the service has it write the corrected result.
Nobody's patience depends on a kernel being compiled first.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import Failed, PlaqueEdgeError
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from pathlib import Path

    from plaque_edge.correct.job import CorrectionJob, Written
    from plaque_edge.show.branches import BranchView

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Open:
    """Read the case in this result folder, and be ready for its edits."""

    folder: Path
    series_uid: str


@dataclass(frozen=True, slots=True)
class Change:
    """Measure the opened case with the edits of this document."""

    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """The case is open; ``result_sha256`` is what a document of edits has to name."""

    series_uid: str
    result_sha256: str
    numbers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changed:
    """The numbers with the edits, and the views of the branches that have or had any.

    ``cpu_ms`` is the processor's time it took, of all threads.
    """

    series_uid: str
    numbers: dict[str, Any]
    branches: dict[int, BranchView]
    cpu_ms: float


class Corrector:
    """The caller's end. Each call waits for its answer: call it from a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def open(self, folder: Path, series_uid: str) -> Opened:
        """Open a case. Raises ``Refused``, ``Failed`` CORRECTOR_DIED."""
        answer = self._ask(Open(folder, series_uid))
        assert isinstance(answer, Opened)
        return answer

    def change(self, document: dict[str, Any]) -> Changed:
        """Measure the opened case with edits. Raises ``Refused``, ``Failed`` CORRECTOR_DIED."""
        answer = self._ask(Change(document))
        assert isinstance(answer, Changed)
        return answer

    def write(self, job: CorrectionJob) -> Written:
        """Write the draft of a corrected result. Raises ``Refused``, ``Failed``."""
        answer: Written = self._ask(job)
        return answer

    def warm(self) -> None:
        """Start the process, unless it runs."""
        with self._lock:
            self._start()

    def close(self) -> None:
        """End the process; may be called twice."""
        with self._lock:
            self._end()

    def _ask(self, order: object) -> Any:
        with self._lock:
            self._start()
            assert self._pipe is not None
            try:
                self._pipe.send(order)
                answer = self._pipe.recv()
            except (EOFError, OSError) as error:
                self._end()
                text = "The process that measures corrections ended without a word."
                raise Failed("CORRECTOR_DIED", text, "Try again.") from error
        if isinstance(answer, Reason):
            raise PlaqueEdgeError(answer.code, answer.text, answer.next_step)
        return answer

    def _start(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        self._end()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs,), name="plaque-edge-corrector", daemon=True
        )
        self._process.start()
        theirs.close()

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(timeout=0.5)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(timeout=5.0)
        self._process = self._pipe = None


def _work(pipe: Connection) -> None:
    """Answer until the other end of the pipe is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the owner decides when it ends
        signal.signal(number, signal.SIG_IGN)
    from plaque_edge.quantify.measures import warm_up

    warm_up()
    desk = _Desk()
    with suppress(EOFError, OSError):
        while True:
            order = pipe.recv()
            try:
                answer: object = desk.answer(order)
            except PlaqueEdgeError as error:
                answer = error.reason
            except Exception as error:
                log.error("INTERNAL in a correction: %s", type(error).__name__)
                text = f"An unexpected {type(error).__name__} stopped the correction."
                answer = Reason("INTERNAL", text, "Take the last change back and try again.")
            pipe.send(answer)


class _Desk:
    """Holds the one case that is open."""

    def __init__(self) -> None:
        self._quick: Any = None
        self._sha256 = ""
        self._shown: set[int] = set()

    def answer(self, order: object) -> object:
        if isinstance(order, Open):
            return self._open(order)
        if isinstance(order, Change):
            return self._change(order)
        from plaque_edge.correct.official import write_corrected

        return write_corrected(order)  # type: ignore[arg-type]

    def _open(self, order: Open) -> Opened:
        from plaque_edge.correct.official import open_case
        from plaque_edge.correct.result import numbers
        from plaque_edge.correct.tree import Quick

        self._quick, self._shown = None, set()
        case, _, self._sha256 = open_case(order.folder, order.series_uid)
        self._quick = Quick(case)
        return Opened(order.series_uid, self._sha256, numbers(self._quick.measure(())))

    def _change(self, order: Change) -> Changed:
        from plaque_edge.correct import edits as edit_data
        from plaque_edge.correct.result import numbers
        from plaque_edge.show.branches import of_branch

        if self._quick is None:
            raise Failed("CORRECTOR_DIED", "No case is open to be corrected.", "Open it again.")
        began, case = time.process_time(), self._quick.case
        edits = edit_data.read(order.document, case.series_uid, self._sha256)
        edit_data.check(edits, case.straight)
        found = self._quick.measure(edits)
        now = {e.branch for e in edits}
        views = {at: of_branch(found.mapped, at) for at in now | self._shown}
        self._shown = now
        used = 1000.0 * (time.process_time() - began)
        return Changed(case.series_uid, numbers(found), views, round(used, 1))
