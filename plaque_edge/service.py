"""The service: looks at the folders, keeps the store, gives the worker its jobs.

It is the store's only writer. It may be killed at any moment: what it left RUNNING is taken
back at the next start, and a series whose files are unchanged is never analysed twice.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import IO, TYPE_CHECKING

from plaque_edge.errors import Failed
from plaque_edge.jobs import Died, Ended, Job, Message, Moved, Ready, Worker
from plaque_edge.publish import folder_name
from plaque_edge.receive.landing import INCOMING
from plaque_edge.store import FINISHED, NewCase, State, Store
from plaque_edge.types import Reason
from plaque_edge.watch import SeriesSeen, Waker, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from plaque_edge.config import ServiceOptions
    from plaque_edge.receive.server import Receiver
    from plaque_edge.store import CaseRow
    from plaque_edge.types import Status

log = logging.getLogger(__name__)
END_STATE: dict[Status, State] = {
    "ready": "DONE",
    "review": "REVIEW",
    "not_analysable": "NOT_ANALYSABLE",
    "failed": "FAILED",
}
Uids = tuple[str, str]


class Service:
    """One service on one output folder. Raises ``Failed`` STORE_IN_USE when there is another."""

    def __init__(self, options: ServiceOptions, say: Callable[[str], None] | None = None) -> None:
        self.options = options
        self.say = say or log.info
        self._lock = lock_folder(options.out_dir)
        self.store = Store(options.out_dir)
        for case_id in self.store.recover():
            self.say(f"case {case_id}: was running when the service ended; queued again")
        self.wake = threading.Event()
        try:
            self.receiver = self._receive()
        except BaseException:
            self.store.close()
            self._lock.close()
            raise
        folders, incoming = options.folders, options.out_dir / INCOMING
        if incoming.is_dir():  # made by the receiver, now or before this start without one
            folders = (*folders, incoming)
        self.watcher = Watcher(
            folders,
            options.watch,
            ignore=(options.out_dir.resolve(),),
            arrivals=self.receiver.arrivals if self.receiver else None,
        )
        self.waker = Waker(folders if options.watch.events else (), self.wake)
        self.worker = Worker(options.worker)
        self.seen: dict[Uids, SeriesSeen] = {}
        self._rows: dict[Uids, tuple[CaseRow, frozenset[str]]] = {}
        self._gone: dict[int, float] = {}
        for row in reversed(self.store.cases(everything=True)):
            self._rows[row.study_uid, row.series_uid] = row, self.store.files(row.case_id)
        self.store.heartbeat()

    def close(self) -> None:
        """End the worker and leave the store as it is; may be called twice."""
        if self._lock.closed:
            return
        if self.receiver is not None:
            self.receiver.close()
        self.waker.close()
        self.worker.close()
        self.store.stop_heartbeat()
        self.store.close()
        self._lock.close()

    def _receive(self) -> Receiver | None:
        """Start the receiver, if one is asked for; its files come in by the watched folder."""
        if self.options.receive is None:
            return None
        from plaque_edge.receive.server import Receiver

        return Receiver(self.options.receive, self.options.out_dir, self.say, self.wake.set)

    def run(self, *, once: bool = False, stop: threading.Event | None = None) -> None:
        """Work until ``stop`` is set, or with ``once`` until all that is there is finished."""
        beat = look = 0.0
        looks = 0
        while stop is None or not stop.is_set():
            now = time.monotonic()
            if now >= look or self.wake.is_set():
                self.wake.clear()
                self.look()
                looks += 1
                # A slow folder (many files, a share) is looked at less often.
                took = time.monotonic() - now
                look = time.monotonic() + max(self.options.watch.scan_s, 2.0 * took)
            for message in self.worker.poll(0.05):
                self.hear(message)
            self.start_next()
            if now - beat > 1.0:
                self.store.heartbeat()
                beat = now
            if once and looks > 2 and self.finished():
                return

    # ---- the folder -----------------------------------------------------------------------

    def look(self) -> None:
        """Look at the folders once and bring the store up to date."""
        self.waker.refresh()
        fresh: list[Path] = []
        seen = {s.uids: s for s in self.watcher.scan()}
        for uids, series in seen.items():
            before = self.seen.get(uids)
            if before is None or before.keys != series.keys:
                fresh += [f for f in series.files if before is None or f not in before.files]
            if before != series or uids not in self._rows:
                self._update(series)
        self.seen = seen
        self._look_for_gone()
        self.worker.read_ahead(tuple(fresh))

    def _update(self, series: SeriesSeen) -> None:
        row, known = self._rows.get(series.uids, (None, frozenset()))
        if row is not None and row.state not in ("SEEN", "SETTLING"):
            if series.keys <= known:
                return
            if row.state != "READY":
                self._move(row.case_id, "OUTDATED", message="Further slices came")
                self.say(f"case {row.case_id}: OUTDATED, further slices came")
                self._open(series, row.revision + 1)
                return
            self._move(row.case_id, "SEEN")
        if row is None:
            self._open(series, 1)
            return
        self.store.update(
            row.case_id, info=series.info, received=series.received, expected=series.expected,
            files=series.keys, message=series.message,
        )  # fmt: skip
        if self._state(series.uids) != series.phase:
            step = "watch" if series.phase == "SEEN" else "series"
            self._move(row.case_id, series.phase, step=step, message=series.message)
            if series.phase == "READY":
                self.say(f"case {row.case_id}: complete with {series.received} files")
        self._reload(series.uids)

    def _open(self, series: SeriesSeen, revision: int) -> None:
        new = NewCase(series.info, revision, series.received, series.expected, tuple(series.keys))
        case_id = self.store.open_case(new)
        self._reload(series.uids)
        self.say(f"case {case_id}: receiving, revision {revision}")
        if series.phase != "SEEN":
            self._update(series)

    def _look_for_gone(self) -> None:
        """Judge cases whose files have all been taken away while the folder is there."""
        now = time.monotonic()
        for uids, (row, _) in list(self._rows.items()):
            open_case = row.state in ("SEEN", "SETTLING", "READY")
            if not open_case or uids in self.seen or self.watcher.missing:
                self._gone.pop(row.case_id, None)
                continue
            since = self._gone.setdefault(row.case_id, now)
            if now - since > self.options.watch.late_s:
                reason = Reason(
                    "FILE_VANISHED",
                    "The files of the series were taken away before it could be analysed.",
                    "Export the series again.",
                )
                if row.state == "READY":
                    self._move(row.case_id, "SEEN")
                self._move(row.case_id, "NOT_ANALYSABLE", reason, message=reason.text)

    # ---- the worker -----------------------------------------------------------------------

    def start_next(self) -> None:
        """Give an idle worker the largest series that is ready."""
        if not self.worker.idle:
            return
        waiting = [
            (row, self.seen[uids])
            for uids, (row, _) in self._rows.items()
            if row.state == "READY" and uids in self.seen and self.seen[uids].phase == "READY"
        ]
        if not waiting:
            return
        row, series = max(waiting, key=lambda item: (item[1].received, -item[0].case_id))
        self._move(row.case_id, "RUNNING", step="series", progress=0.0, message="")
        folder = self.options.out_dir / folder_name(row.series_uid, row.revision)
        job = Job(row.case_id, self._study_files(series), row.series_uid, folder, series.last_file)
        self.worker.submit(job)

    def _study_files(self, series: SeriesSeen) -> tuple[Path, ...]:
        """Return the files of the series and of its study's other series that are complete.

        Files nobody can place go with it, so that it isn't taken for whole.
        """
        study = series.uids[0]
        files = [*series.files, *series.doubtful]
        for uids, other in self.seen.items():
            if uids[0] == study and uids != series.uids and other.phase == "READY":
                files += other.files
        return tuple(files)

    def hear(self, message: Message) -> None:
        """Write into the store what the worker said."""
        if isinstance(message, Ready):
            self.say(f"worker ready in {message.seconds:.1f} s on {message.provider}")
        elif isinstance(message, Died):
            self.say(f"worker {message.why}; started again")
            if message.case_id is not None:
                self._worker_died(message.case_id)
        elif isinstance(message, Moved):
            self.store.update(message.case_id, step=message.step, progress=message.share)
        else:
            self._ended(message)

    def _worker_died(self, case_id: int) -> None:
        row = self.store.case(case_id)
        if row.state == "RUNNING":
            reason = Reason("WORKER_DIED", "The analysis ended without a word.", "")
            self.say(f"case {case_id}: {self.store.worker_died(case_id, reason)}")
        self._reload((row.study_uid, row.series_uid))

    def _ended(self, end: Ended) -> None:
        row = self.store.case(end.case_id)
        if row.state == "RUNNING":
            state = END_STATE[end.status]
            text = end.reason.text if end.reason else ""
            place = end.folder
            self._move(
                end.case_id, state, end.reason,
                step="show", progress=1.0, message=text, result_dir=place,
            )  # fmt: skip
            code = f" {end.reason.code}" if end.reason else ""
            seconds = end.timing_ms.get("last_file_to_result", 0.0) / 1000
            self.say(f"case {end.case_id}: {state}{code}, {seconds:.1f} s after the last file")
        else:  # outdated while it ran: the result is kept and stays marked
            self.store.update(end.case_id, progress=1.0, result_dir=end.folder)
        self._reload((row.study_uid, row.series_uid))

    # ---- what is known --------------------------------------------------------------------

    def finished(self) -> bool:
        """Whether every series now in the folders has come to an end."""
        if self.watcher.busy:
            return False
        return all(row.state in FINISHED for row, _ in self._rows.values())

    def rows(self) -> Sequence[CaseRow]:
        """Return the newest revision of every series."""
        return [row for row, _ in self._rows.values()]

    def _state(self, uids: Uids) -> State:
        return self._rows[uids][0].state

    def _move(
        self, case_id: int, state: State, reason: Reason | None = None, **columns: object
    ) -> None:
        self.store.move(case_id, state, reason, **columns)
        row = self.store.case(case_id)
        self._reload((row.study_uid, row.series_uid))

    def _reload(self, uids: Uids) -> None:
        row = self.store.latest(*uids)
        if row is not None:
            self._rows[uids] = row, self.store.files(row.case_id)


def lock_folder(out_dir: Path) -> IO[str]:
    """Take the folder's lock, which ends with the process. Raises ``Failed`` STORE_IN_USE."""
    out_dir.mkdir(parents=True, exist_ok=True)
    handle = (out_dir / ".service.lock").open("a+")
    try:
        if os.name == "nt":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise Failed(
            "STORE_IN_USE",
            "Another service is already running on this output folder.",
            "Stop it first, or choose another folder with --out.",
        ) from error
    return handle
