"""The service: looks at the folders, keeps the store, gives the worker its jobs.

It is the store's only writer. It may be killed at any moment: what it left RUNNING is taken
back at the next start, and a series whose files are unchanged is never analysed twice.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import IO, TYPE_CHECKING, Final

from plaque_edge.correct.desk import CorrectionDesk
from plaque_edge.dispatch import Dispatcher
from plaque_edge.errors import Failed
from plaque_edge.housekeeping import Housekeeper
from plaque_edge.ledger import Ledger
from plaque_edge.private import make_file, make_folder
from plaque_edge.publish import remove_corrections, remove_drafts
from plaque_edge.receive.landing import INCOMING
from plaque_edge.service_log import close_log, open_log
from plaque_edge.service_requests import answer_requests
from plaque_edge.store import FINISHED, Store
from plaque_edge.types import Reason
from plaque_edge.watch import SeriesSeen, Watcher
from plaque_edge.watch_events import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from plaque_edge.config import ServiceOptions
    from plaque_edge.ledger import Uids
    from plaque_edge.receive.server import Receiver
    from plaque_edge.store import CaseRow

log = logging.getLogger(__name__)
GONE: Final = Reason(
    "FILE_VANISHED",
    "The files of the series were taken away before it could be analysed.",
    "Export the series again.",
)


class Service:
    """One service on one output folder. Raises ``Failed`` STORE_IN_USE when there is another."""

    def __init__(self, options: ServiceOptions, say: Callable[[str], None] | None = None) -> None:
        self.options = options
        self._say = say
        self._lock = lock_folder(options.out_dir)
        self._log = open_log(options.out_dir, "service")
        try:
            remove_drafts(options.out_dir)
            remove_corrections(options.out_dir)
            self.store = Store(options.out_dir)
            for case_id in self.store.recover():
                self.say(f"case {case_id}: was running when the service ended; queued again")
            self.ledger = Ledger(self.store, self.say)
            self.wake, self.hurry = threading.Event(), threading.Event()
            self.receiver = self._receive()
        except BaseException:
            if hasattr(self, "store"):
                self.store.close()
            close_log(self._log)
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
            rules=options.rules,
        )
        self.waker = Waker(self.watcher.with_events(), self.wake)
        self.housekeeper = Housekeeper(self.store, options)
        self.corrections = CorrectionDesk()
        self.queue = Dispatcher(self.ledger, options, self.say)
        self.seen: dict[Uids, SeriesSeen] = {}
        self._gone: dict[int, float] = {}
        self.store.heartbeat()

    def close(self, within_s: float = 0.0) -> None:
        """End the worker; a case that does not end ``within_s`` is given back. May be repeated."""
        if self._lock.closed:
            return
        if self.receiver is not None:
            self.receiver.close()
        self.waker.close()
        self.corrections.close()
        try:
            self.queue.leave(within_s, self.hurry.is_set)
            self.housekeeper.anchor()
            self.store.stop_heartbeat()
        finally:
            self.store.close()
            close_log(self._log)
            self._lock.close()

    def say(self, text: str) -> None:
        """Tell whoever listens, and the log."""
        log.info("%s", text)
        if self._say is not None:
            self._say(text)

    def _receive(self) -> Receiver | None:
        """Start the receiver, if one is asked for; its files come in by the watched folder."""
        if self.options.receive is None:
            return None
        from plaque_edge.receive.server import Receiver

        return Receiver(self.options.receive, self.options.out_dir, self.say, self.wake.set)

    def run(self, *, once: bool = False, stop: threading.Event | None = None) -> None:
        """Work until ``stop`` is set, or with ``once`` until all that is there is finished.

        A store that cannot be written (disk full) is tried again until it can.
        """
        self._look_at, self._looks = 0.0, 0
        trouble = ""
        while stop is None or not stop.is_set():
            try:
                if trouble:
                    self.ledger.read_again()
                self._turn()
                trouble = ""
            except Failed as error:
                if not error.reason.code.startswith("STORE_"):
                    raise
                if error.reason.code != trouble:
                    self.say(f"{error.reason.code}: {error.reason.text}")
                trouble = error.reason.code
                time.sleep(0.5)
                continue
            if once and self._looks > 2 and self.finished():
                return

    def _turn(self) -> None:
        now = time.monotonic()
        if now >= self._look_at or self.wake.is_set():
            self.wake.clear()
            self.look()
            self._looks += 1
            # A slow folder (many files, a share) is looked at less often.
            took = time.monotonic() - now
            pause_s = (
                0.0 if self.watcher.unread_soon else max(self.options.watch.scan_s, 2.0 * took)
            )
            self._look_at = time.monotonic() + pause_s
        answer_requests(self)
        self.queue.poll(0.05)
        self.housekeeper.turn(self.watcher.missing)
        if not self.housekeeper.full:
            self.queue.start_next()

    # ---- the folder -----------------------------------------------------------------------

    def look(self) -> None:
        """Look at the folders once and bring the store up to date."""
        self.waker.refresh()
        fresh: list[Path] = []
        seen = {s.uids: s for s in self.watcher.scan()}
        self.queue.away = self.watcher.missing
        self.queue.doubt()
        for uids, series in seen.items():
            before = self.seen.get(uids)
            if before is None or before.keys != series.keys:
                fresh += [f for f in series.files if before is None or f not in before.files]
            if before != series or self.ledger.row(uids) is None:
                self._update(series)
                self.seen[uids] = series
        self.seen = self.queue.seen = seen
        self._look_for_gone()
        self.queue.worker.read_ahead(tuple(fresh))

    def _update(self, series: SeriesSeen) -> None:
        row = self.ledger.row(series.uids)
        if row is None:
            self._open(series, 1)
            return
        if row.state not in ("SEEN", "SETTLING"):
            if series.keys <= self.ledger.files(series.uids):
                if row.reason is not None and row.reason == GONE and row.state != "OUTDATED":
                    self.next_revision(row, series, "Its files came back")
                return
            if row.state != "READY":
                self.next_revision(row, series, "Further slices came")
                return
            self.ledger.move(row.case_id, "SEEN")
        self.store.update(
            row.case_id, info=series.info, received=series.received, expected=series.expected,
            files=series.keys, message=series.message,
        )  # fmt: skip
        if self.store.case(row.case_id).state != series.phase:
            step = "watch" if series.phase == "SEEN" else "series"
            self.ledger.move(row.case_id, series.phase, step=step, message=series.message)
            if series.phase == "READY":
                self.say(f"case {row.case_id}: complete with {series.received} files")
        self.ledger.reload(row.case_id)

    def next_revision(self, row: CaseRow, series: SeriesSeen, why: str) -> None:
        """Mark a result as outdated and open the series' next one; all of it or nothing."""
        with self.store.together():
            if row.state != "OUTDATED":
                self.ledger.move(row.case_id, "OUTDATED", message=why)
            self._open(series, row.revision + 1, urgent=row.urgent)
        self.say(f"case {row.case_id}: OUTDATED, {why.lower()}")

    def _open(self, series: SeriesSeen, revision: int, *, urgent: bool = False) -> None:
        self.ledger.open(series, revision, urgent=urgent)
        if series.phase != "SEEN":
            self._update(series)

    def _look_for_gone(self) -> None:
        """Judge cases whose files have all been taken away while the folder is there."""
        now = time.monotonic()
        for uids, row in self.ledger:
            open_case = row.state in ("SEEN", "SETTLING", "READY")
            if not open_case or uids in self.seen or self.watcher.missing:
                self._gone.pop(row.case_id, None)
                continue
            since = self._gone.setdefault(row.case_id, now)
            if now - since > self.options.watch.late_s:
                with self.store.together():
                    if row.state == "READY":
                        self.ledger.move(row.case_id, "SEEN")
                    self.ledger.move(row.case_id, "NOT_ANALYSABLE", GONE, message=GONE.text)

    # ---- what is known --------------------------------------------------------------------

    def finished(self) -> bool:
        """Whether every series now in the folders has come to an end."""
        if self.watcher.busy:
            return False
        return all(row.state in FINISHED for _, row in self.ledger)

    def rows(self) -> Sequence[CaseRow]:
        """Return the newest revision of every series."""
        return [row for _, row in self.ledger]


def lock_folder(out_dir: Path) -> IO[str]:
    """Take the folder's lock, which ends with the process. Raises ``Failed`` STORE_IN_USE."""
    make_folder(out_dir)
    path = out_dir / ".service.lock"
    make_file(path)
    handle = path.open("a+")
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
