"""The queue: which case is next, what the worker says of it, and what to make of how it ended."""

from __future__ import annotations

import shutil
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from plaque_edge.errors import Failed
from plaque_edge.head_start import MAY_PASS, HeadStart, may_begin
from plaque_edge.job_messages import Died, Ended, Job, Message, Moved, Ready, Stopped
from plaque_edge.jobs import Worker
from plaque_edge.publish import put_in_place, remove_drafts
from plaque_edge.store import MAX_ATTEMPTS
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from plaque_edge.config import ServiceOptions
    from plaque_edge.ledger import Ledger, Uids
    from plaque_edge.store import CaseRow, State
    from plaque_edge.types import Status
    from plaque_edge.watch import SeriesSeen

END_STATE: Final[dict[Status, State]] = {
    "ready": "DONE",
    "review": "REVIEW",
    "not_analysable": "NOT_ANALYSABLE",
    "failed": "FAILED",
}
CANCELLED = Reason("CANCELLED", "A person cancelled the analysis.", "Retry it if it was a mistake.")
STOPPED = Reason(
    "SERVICE_STOPPED", "The service was stopped before the end.", "It goes on at the next start."
)


class Dispatcher:
    """Owns the worker. ``seen`` is what the folders show now; ``away`` says which are not there."""

    def __init__(self, ledger: Ledger, options: ServiceOptions, say: Callable[[str], None]) -> None:
        self.ledger, self.options, self.say = ledger, options, say
        self.seen: Mapping[Uids, SeriesSeen] = {}
        self.away: tuple[Path, ...] = ()
        self.worker = Worker(replace(options.worker, log_dir=options.out_dir))
        self.head_start = HeadStart(ledger, self.worker, say)
        self._said: deque[Message] = deque()
        self._not_before: dict[int, float] = {}
        self._held_since: dict[int, float] = {}
        self._doubted = False

    def start_next(self) -> None:
        """Give an idle worker what is urgent, else what is new, else the largest series.

        A series that only waits for the end of its quiet time gets a head start, where no other
        comes first, and what it found is taken once the series is ready.
        """
        ahead = self.head_start
        ahead.check(self.seen)
        self._take_ended()
        if self._said or ahead.leaving or not (self.worker.idle or ahead.running is not None):
            return
        waiting = [
            (row, self.seen[uids])
            for uids, row in self.ledger
            if self._can_start(row, self.seen.get(uids))
        ]
        if not waiting:
            return
        row, series = max(waiting, key=lambda w: _rank(w[0], w[1], ahead.running))
        job = self._job(row, series)
        if ahead.running is None:
            self._doubted = False
            if row.state != "READY":
                ahead.begin(series.uids, job, self.seen)
                return
            self.ledger.hold(row, series)
            self.ledger.move(row.case_id, "RUNNING", step="series", progress=0.0, message="")
            self._held_since.pop(row.case_id, None)
            self.worker.submit(job)
        elif row.case_id != ahead.running:
            ahead.drop("another comes first")
        elif row.state == "READY":
            ahead.take(row, job)

    def poll(self, timeout_s: float) -> None:
        """Listen to the worker, then write down what it said; what fails is done again."""
        self._said += self.worker.poll(timeout_s)
        self._hear_all()

    def doubt(self) -> None:
        """Note which folders are away: a refusal while the job's folder was is not believed."""
        job = self.worker.job
        if job is not None and self._is_away(job.files):
            self._doubted = True

    def stop(self, case_id: int) -> None:
        """Have a running case left."""
        if self.worker.job is not None and self.worker.job.case_id == case_id:
            self.worker.stop_job()

    def leave(self, within_s: float, hurry: Callable[[], bool]) -> None:
        """Let the running case end if it does so soon; else give it back to the queue."""
        until = time.monotonic() + within_s
        with suppress(Failed):  # a store that can't be written finds the case at the next start
            while self._at_work() and time.monotonic() < until and not hurry():
                self.poll(0.05)
        job = self.worker.job
        self.worker.close()
        self.head_start.close()
        if job is not None and self.ledger.store.case(job.case_id).state == "RUNNING":
            self.ledger.store.give_back(job.case_id, STOPPED, counts=False)
            self.say(f"case {job.case_id}: given back, the service stops")

    # ---- inside --------------------------------------------------------------------------

    def _hear_all(self) -> None:
        while self._said:
            self._hear(self._said[0])
            self._said.popleft()

    def _at_work(self) -> bool:
        """Whether the worker has a job that counts."""
        return self.worker.job is not None and self.head_start.running is None

    def _take_ended(self) -> None:
        """Take what a head start found, if its series is ready now; the worker isn't needed."""
        row = self.head_start.ended
        series = self.seen.get((row.study_uid, row.series_uid)) if row is not None else None
        if row is None or series is None or row.state != "READY":
            return
        if self._can_start(row, series):
            end = self.head_start.take(row, self._job(row, series))
            self._said += [end] if end is not None else []
            self._hear_all()

    def _can_start(self, row: CaseRow, series: SeriesSeen | None) -> bool:
        if series is None or self._is_away(series.files):
            return False
        if row.state == "SEEN":
            ahead = self.head_start
            may = ahead.running == row.case_id or ahead.untried(row.case_id)
            return self.options.watch.head_start and may and may_begin(series, self.seen)
        if row.state != "READY" or series.phase != "READY":
            return False
        if self._held(row, series):
            return False
        return time.monotonic() >= self._not_before.get(row.case_id, 0.0)

    def _is_away(self, files: Sequence[Path]) -> bool:
        """Whether the folder of a series is not there now."""
        return any(f.is_relative_to(a) for a in self.away for f in files[:1])

    def _held(self, row: CaseRow, series: SeriesSeen) -> bool:
        """Whether it waits for other series of its study that still grow; not for ever."""
        now = time.monotonic()
        growing = any(
            uids[0] == series.uids[0] and uids != series.uids and other.grows(now)
            for uids, other in self.seen.items()
        )
        if not growing:
            self._held_since.pop(row.case_id, None)
            return False
        if row.case_id not in self._held_since:
            self._held_since[row.case_id] = now
            self.ledger.update(row.case_id, message="Waits for another series of the study")
        return now - self._held_since[row.case_id] < self.options.watch.sibling_s

    def _job(self, row: CaseRow, series: SeriesSeen) -> Job:
        """Return the job, with the files of the study's other series that are complete.

        For a head start, also of those that look complete. Files nobody can place go with it, so
        that it isn't taken for whole.
        """
        study = series.uids[0]
        files = [*series.files, *series.doubtful]
        for uids, other in self.seen.items():
            whole = other.phase == "READY" or (row.state != "READY" and other.closed)
            if uids[0] == study and uids != series.uids and whole:
                files += other.files
        folder, store = self.ledger.folder(row), self.ledger.store
        known, taken = store.covariates(row.study_uid), store.taken(row.study_uid)
        return Job(
            row.case_id, tuple(files), row.series_uid, folder, series.last_file, known, taken
        )

    def _hear(self, message: Message) -> None:
        """Write into the store what the worker said."""
        if self.head_start.hear(message, doubted=self._doubted):
            return
        store = self.ledger.store
        if isinstance(message, Ready):
            self.say(f"worker ready in {message.seconds:.1f} s on {message.provider}")
            store.clear_condition("WORKER_NOT_STARTING")
        elif isinstance(message, Moved):
            store.update(message.case_id, step=message.step, progress=message.share)
        elif isinstance(message, Died):
            self._died(message)
        elif isinstance(message, Stopped):
            if store.case(message.case_id).state == "RUNNING":
                self.ledger.move(message.case_id, "FAILED", CANCELLED, message=CANCELLED.text)
                self.say(f"case {message.case_id}: FAILED {CANCELLED.code}")
        else:
            self._ended(message)

    def _died(self, died: Died) -> None:
        self.say(f"{died.reason.code}: {died.reason.text} The worker is started again.")
        store = self.ledger.store
        remove_drafts(self.options.out_dir)
        if died.case_id is None:
            text = f"The analysis cannot start: {died.reason.text}"
            store.set_condition(Reason("WORKER_NOT_STARTING", text, "Run plaque-edge doctor."))
        elif store.case(died.case_id).state == "RUNNING":
            state = store.worker_died(died.case_id, died.reason)
            self.say(f"case {died.case_id}: {state}")
            self.ledger.reload(died.case_id)

    def _ended(self, end: Ended) -> None:
        """Publish a result and note it, or give the case back.

        Where the store can't be written, the same message is heard again: a draft that nobody
        wants is thrown away only after the store has noted why.
        """
        row = self.ledger.store.case(end.case_id)
        if row.state == "RUNNING":
            if not self._will_pass(row, end):
                self._note_end(row, end)
        elif row.state == "OUTDATED":  # while it ran: the result is kept and stays marked
            folder, kept = self._published(row, end)
            self.ledger.update(
                row.case_id, progress=1.0, result_dir=folder, result_sha256=kept.sha256
            )
        _throw_away(end)

    def _note_end(self, row: CaseRow, said: Ended) -> None:
        folder, end = self._published(row, said)
        if end is not said and self._will_pass(row, end):
            return
        reason, state = end.reason, END_STATE[end.status]
        self.ledger.move(
            row.case_id, state, reason,
            step="show", progress=1.0, message=reason.text if reason else "",
            result_dir=folder, result_sha256=end.sha256,
        )  # fmt: skip
        code = f" {reason.code}" if reason else ""
        seconds = end.timing_ms.get("last_file_to_result", 0.0) / 1000
        self.say(f"case {row.case_id}: {state}{code}, {seconds:.1f} s after the last file")

    def _published(self, row: CaseRow, end: Ended) -> tuple[Path | None, Ended]:
        """Give a draft its name; return the folder, or how it ended where the disk said no."""
        if end.draft is None:
            return None, end
        folder = self.ledger.folder(row)
        try:
            put_in_place(end.draft, folder)
        except Failed as error:
            return None, Ended(end.case_id, "failed", error.reason, None, (error.reason.code,))
        return folder, end

    def _will_pass(self, row: CaseRow, end: Ended) -> bool:
        """Give a case back whose end was the disk's or the share's doing; say whether it was.

        A full disk and a folder that is away are waited for as long as it takes.
        """
        passing = next((c for c in end.codes if c in MAY_PASS), None)
        away = self._doubted and end.status in ("not_analysable", "failed")
        if passing is None and not away:
            return False
        patient = away or passing == "RESULT_DISK_FULL"
        if not patient and row.attempts >= MAX_ATTEMPTS:
            return False
        why = end.reason
        if away or why is None:
            why = Reason("FOLDER_MISSING", "The folder of the scan is away.", "Connect it again.")
        self._not_before[row.case_id] = time.monotonic() + self.options.retry_s
        self.ledger.store.give_back(row.case_id, why, counts=not patient)
        self.ledger.reload(row.case_id)
        self.say(f"case {row.case_id}: READY again, {why.code}")
        return True


def _throw_away(end: Ended) -> None:
    """Remove a draft that was not published; one that was bears another name."""
    if end.draft is not None:
        shutil.rmtree(end.draft, ignore_errors=True)


def _rank(
    row: CaseRow, series: SeriesSeen, running: int | None
) -> tuple[bool, bool, bool, bool, int, int]:
    """Return what comes first as the largest; ``running`` is the case with a head start."""
    ready, begun = row.state == "READY", row.case_id == running
    return row.urgent, not series.backlog, ready, begun, series.received, -row.case_id
