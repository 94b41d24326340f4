"""An analysis that begins while the quiet time of its series still runs.

It is a bet that nothing more comes. What it finds is taken only when the series counts as
complete and the job that would then begin is the very same; otherwise it leaves no trace but a
row in the audit log. The case stays SEEN meanwhile, so that a kill loses nothing: the store never
knew of it.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from plaque_edge.errors import Failed
from plaque_edge.job_messages import Died, Ended, Moved, Stopped
from plaque_edge.publish import remove_drafts, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plaque_edge.job_messages import Job
    from plaque_edge.jobs import Worker
    from plaque_edge.ledger import Ledger, Uids
    from plaque_edge.store import CaseRow, Step
    from plaque_edge.watch import SeriesSeen

Content = dict["Uids", frozenset[str]]
"""Keys of the files of each series of a study."""
MOST_TRIES: Final = 3
"""A series that comes in pieces looks complete again and again."""
LEAVE_S: Final = 30.0
"""How long the worker gets to leave one: it is healthy, and warming another takes longer."""
MAY_PASS: Final = frozenset(
    "RESULT_NOT_WRITTEN RESULT_DISK_FULL FOLDER_MISSING FILE_VANISHED FILE_UNREADABLE "
    "FILE_CHANGED".split()
)
"""Ends that say something of the disk or the share at that moment, not of the scan."""


@dataclass(slots=True)
class _Bet:
    """The one that runs or has ended: its job, and what its study had when it began."""

    uids: Uids
    job: Job
    content: Content
    step: Step = "series"
    progress: float = 0.0
    end: Ended | None = None
    dropped: bool = False


def content_of(study_uid: str, seen: Mapping[Uids, SeriesSeen]) -> Content:
    """Return what there is of a study now."""
    return {uids: series.keys for uids, series in seen.items() if uids[0] == study_uid}


def may_begin(series: SeriesSeen, seen: Mapping[Uids, SeriesSeen]) -> bool:
    """Say whether a series looks complete, and every other of its study does or is."""
    now = time.monotonic()
    return (
        series.closed
        and series.fits
        and all(
            other.closed or not other.grows(now)
            for uids, other in seen.items()
            if uids[0] == series.uids[0]
        )
    )


class HeadStart:
    """At most one at a time, in the service's one worker. ``doubted``: its folder was away."""

    def __init__(self, ledger: Ledger, worker: Worker, say: Callable[[str], None]) -> None:
        self.ledger, self.worker, self.say = ledger, worker, say
        self._bet: _Bet | None = None
        self._tries: Counter[int] = Counter()

    @property
    def running(self) -> int | None:
        """The case in the worker's hands, ``None`` when what it does is no head start."""
        bet = self._bet
        return bet.job.case_id if bet is not None and bet.end is None else None

    @property
    def ended(self) -> CaseRow | None:
        """The newest revision of the series whose head start has ended and waits."""
        bet = self._bet
        return None if bet is None or bet.end is None else self.ledger.row(bet.uids)

    @property
    def leaving(self) -> bool:
        """Whether the worker has been told to leave it and has not yet."""
        return self._bet is not None and self._bet.dropped

    def untried(self, case_id: int) -> bool:
        """Whether one may still begin for this case."""
        return self._tries[case_id] < MOST_TRIES and self._bet is None

    def begin(self, uids: Uids, job: Job, seen: Mapping[Uids, SeriesSeen]) -> None:
        """Give it to the idle worker."""
        self._bet = _Bet(uids, job, content_of(uids[0], seen))
        self._tries[job.case_id] += 1
        self.worker.submit(replace(job, head_start=True))
        self._note("begun")

    def check(self, seen: Mapping[Uids, SeriesSeen]) -> None:
        """Drop it as soon as its study is not what it was."""
        bet = self._bet
        if bet is None or bet.dropped:
            return
        row = self.ledger.row(bet.uids)
        if row is None or row.case_id != bet.job.case_id:
            self.drop("another revision began")
        elif row.state not in ("SEEN", "SETTLING", "READY"):
            self.drop(f"the case is {row.state}")
        elif content_of(bet.uids[0], seen) != bet.content:
            self.drop("its study changed")

    def take(self, row: CaseRow, job: Job) -> Ended | None:
        """Make it the case's analysis, if ``job``, which would begin now, is what it does.

        Returns how it ended, if it has.
        """
        bet = self._bet
        if bet is None or bet.dropped or bet.job.case_id != row.case_id:
            return None
        if bet.job != job:
            self.drop("the study is not what it was")
            return None
        end = bet.end
        if end is not None and end.draft is not None:
            try:
                sha256, timing_ms = stamp(end.draft, job.last_file)
            except Failed as error:
                self.drop(error.reason.code)
                return None
            end = replace(end, sha256=sha256, timing_ms=timing_ms)
        with self.ledger.store.together():
            self.ledger.move(
                row.case_id, "RUNNING", step=bet.step, progress=bet.progress, message=""
            )
            self._note("taken")
        self._bet = None
        return end

    def drop(self, why: str) -> None:
        """Throw it away, with all it has written."""
        bet = self._bet
        if bet is None or bet.dropped:
            return
        self._note("dropped", why)
        if bet.end is None:
            bet.dropped = True
            self.worker.stop_job(LEAVE_S)
            return
        if bet.end.draft is not None:
            shutil.rmtree(bet.end.draft, ignore_errors=True)
        self._bet = None

    def hear(self, message: object, *, doubted: bool) -> bool:
        """Take what the worker says of it; ``False`` when it is not of it."""
        bet = self._bet
        if bet is None or not isinstance(message, Moved | Ended | Stopped | Died):
            return False
        if bet.end is not None:
            if isinstance(message, Died):  # all drafts go with the worker
                self.drop("the worker ended")
            return False
        if message.case_id != bet.job.case_id:
            return False
        if isinstance(message, Moved):
            bet.step, bet.progress = message.step, message.share  # type: ignore[assignment]
            return True
        if isinstance(message, Ended) and not bet.dropped and _stands(message, doubted):
            bet.end = message
            return True
        if isinstance(message, Ended) and message.draft is not None:
            shutil.rmtree(message.draft, ignore_errors=True)
        if not bet.dropped:
            self._note("dropped", _code(message))
        if isinstance(message, Died):  # the true analysis counts its deaths, this does not
            self._tries[bet.job.case_id] = MOST_TRIES
        self._bet = None
        return not isinstance(message, Died)

    def close(self) -> None:
        """Leave nothing behind; the worker has ended."""
        bet = self._bet
        if bet is None:
            return
        if not bet.dropped:
            with suppress(Failed):  # a store that can't be written never knew of it
                self._note("dropped", "the service stops")
        self._bet = None
        remove_drafts(self.ledger.store.out_dir)

    def _note(self, what: str, why: str = "") -> None:
        assert self._bet is not None
        case_id = self._bet.job.case_id
        detail = {"what": what, "why": why} if why else {"what": what}
        self.ledger.store.note("head_start", detail, case_id)
        self.say(f"case {case_id}: head start {what}{', ' + why if why else ''}")


def _stands(end: Ended, doubted: bool) -> bool:
    """Say whether an end is one of the scan's own, that would come again."""
    if end.draft is None or end.status == "failed" or MAY_PASS & set(end.codes):
        return False
    return not (doubted and end.status == "not_analysable")


def _code(message: Ended | Stopped | Died) -> str:
    reason = None if isinstance(message, Stopped) else message.reason
    return reason.code if reason is not None else "stopped"
