"""One worker process that owns the engines: warmed, watched, replaced when it dies or stalls.

This is the service's end of the pipe; :mod:`plaque_edge.worker` is the other.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import signal
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from plaque_edge.config import WorkerOptions
from plaque_edge.job_messages import (
    Died,
    Ended,
    HasRead,
    Job,
    Message,
    ReadAhead,
    Ready,
    Stop,
    Stopped,
)
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess
    from pathlib import Path

log = logging.getLogger(__name__)
START_S = 300.0
"""How long opening engines and compiling kernels may take on a slow computer."""
_WEIGH_S = 0.25
"""Pause between two looks at the worker's memory."""
_AGAIN = "It is tried again by itself."
_AHEAD_FILES = 8
"""Files decoded ahead in one go: a job never waits longer than for these."""
_AHEAD_MOST = 4000
"""Files that may wait to be decoded ahead; the rest is decoded with its job."""


class Worker:
    """The parent's handle on the worker process. Not thread-safe: one loop owns it."""

    def __init__(self, options: WorkerOptions | None = None) -> None:
        self.options = options or WorkerOptions()
        self.warm = False
        self.job: Job | None = None
        self._process: SpawnProcess | None = None
        self._starts_failed = 0
        self._start_at = 0.0
        self._stop_at: float | None = None
        self._ahead: deque[Path] = deque(maxlen=_AHEAD_MOST)
        self._reading = False
        self._start()

    @property
    def idle(self) -> bool:
        """Whether it is warm and has no job."""
        return self.warm and self.job is None

    @property
    def pid(self) -> int | None:
        """Process number of the worker, ``None`` while there is none."""
        return self._process.pid if self._process else None

    def submit(self, job: Job) -> None:
        """Give it a job; only when :attr:`idle`."""
        self.job, self._stop_at = job, None
        self._heard = time.monotonic()
        self._send(job)

    def read_ahead(self, files: tuple[Path, ...]) -> None:
        """Have these decoded, a few at a time, whenever there is nothing else to do."""
        self._ahead.extend(files)
        self._feed()

    def stop_job(self, within_s: float | None = None) -> None:
        """Have the running job left; :meth:`poll` says ``Stopped`` when it is.

        A process that does not leave it ``within_s`` (usually ``stop_s``) is ended.
        """
        if self.job is not None and self._stop_at is None:
            wait_s = self.options.stop_s if within_s is None else within_s
            self._stop_at = time.monotonic() + wait_s
            self._send(Stop())

    def poll(self, timeout_s: float = 0.0) -> list[Message]:
        """Return what the worker has said; a dead or stalled one is replaced and reported."""
        if self._process is None:
            time.sleep(timeout_s)
            if time.monotonic() >= self._start_at:
                self._start()
            return []
        said: list[Message] = []
        with suppress(EOFError, OSError):
            while self._pipe.poll(timeout_s if not said else 0.0):
                message: Message | HasRead = self._pipe.recv()
                self._heard = time.monotonic()
                said += self._note(message)
        self._feed()
        wrong = self._wrong()
        if wrong is not None:
            said.append(self._replace(wrong))
        return said

    def close(self) -> None:
        """End the process; a running job is lost and will be done again."""
        if self._process is None:
            return
        self._pipe.close()
        self._process.join(timeout=0.3 if self.job is None else 0.0)
        self._end()

    # ---- inside --------------------------------------------------------------------------

    def _feed(self) -> None:
        if self.idle and not self._reading and self._ahead:
            few = [self._ahead.popleft() for _ in range(min(_AHEAD_FILES, len(self._ahead)))]
            self._reading = True
            self._send(ReadAhead(tuple(few)))

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, self.options), name="plaque-edge-worker", daemon=True
        )
        self._process.start()
        theirs.close()
        self._reading = False
        self._stop_at = None
        self._heard = self._weighed = time.monotonic()

    def _note(self, message: Message | HasRead) -> list[Message]:
        if isinstance(message, HasRead):
            self._reading = False
            return []
        if isinstance(message, Ready):
            self.warm, self._starts_failed = True, 0
        elif isinstance(message, Ended | Stopped):
            asked, self.job, self._stop_at = self._stop_at is not None, None, None
            if asked:  # it may have ended in the same moment: what was asked for holds
                if isinstance(message, Ended) and message.draft is not None:
                    shutil.rmtree(message.draft, ignore_errors=True)
                return [Stopped(message.case_id)]
        return [message]

    def _wrong(self) -> Reason | None:
        """Return why the process must be replaced, if it must."""
        assert self._process is not None
        now = time.monotonic()
        if not self._process.is_alive():
            return _why_dead(self._process.exitcode)
        limit = self.options.stall_s if self.warm else START_S
        if (self.job is not None or not self.warm) and now - self._heard > limit:
            text = f"The analysis made no progress for {limit:.0f} s and was ended."
            return Reason("WORKER_STALLED", text, _AGAIN)
        if self._stop_at is not None and now > self._stop_at:
            return Reason("WORKER_STOPPED", "The analysis was ended.", "")
        if now - self._weighed > _WEIGH_S:
            self._weighed = now
            return self._too_heavy()
        return None

    def _too_heavy(self) -> Reason | None:
        with suppress(psutil.Error):
            used = psutil.Process(self.pid).memory_info().rss >> 20
            if used > self.options.memory_mb:
                text = (
                    f"The analysis took {used} MB of memory and was ended; "
                    f"{self.options.memory_mb} are allowed."
                )
                return Reason("WORKER_MEMORY", text, "Allow more with --memory-mb if there is.")
        return None

    def _replace(self, why: Reason) -> Stopped | Died:
        case_id, asked = self.job.case_id if self.job else None, self._stop_at is not None
        self._end()
        self._pipe.close()
        # A worker that cannot even start is not started over and over at full speed.
        self._starts_failed = 0 if self.warm else self._starts_failed + 1
        pause_s = min(30.0, 2.0**self._starts_failed) if self._starts_failed else 0.0
        self.warm, self.job, self._process = False, None, None
        self._start_at = time.monotonic() + pause_s
        if pause_s == 0.0:
            self._start()
        if asked and case_id is not None:
            return Stopped(case_id)
        return Died(case_id, why)

    def _end(self) -> None:
        assert self._process is not None
        if self._process.is_alive():
            self._process.kill()
        self._process.join(timeout=5.0)

    def _send(self, message: Job | ReadAhead | Stop) -> None:
        with suppress(OSError):  # a dead worker is found by poll
            self._pipe.send(message)


def _work(*arguments: object) -> None:
    """Run :func:`plaque_edge.worker.work`, which only the worker process imports."""
    from plaque_edge.worker import work

    work(*arguments)  # type: ignore[arg-type]


def _why_dead(exit_code: int | None) -> Reason:
    """Put into words how a process ended that nobody ended."""
    if exit_code is not None and exit_code == -getattr(signal, "SIGKILL", 9) and os.name != "nt":
        text = "The analysis was killed by the system, most likely for want of memory."
        return Reason("WORKER_KILLED", text, "Close other programs. " + _AGAIN)
    how = f"exit code {exit_code}"
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            how = signal.Signals(-exit_code).name
    return Reason("WORKER_DIED", f"The analysis ended without a word ({how}).", _AGAIN)
