"""``torture kill``: the service and its worker are killed (SIGKILL) at random moments.

Scans arrive all the while as real files. Afterwards every scan must have exactly one result, the
one an undisturbed analysis gives, and the database must have been valid after each kill.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psutil

from plaque_edge.cases import FINISHED
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.store import NewRequest, Store, ask
from plaque_edge.torture.stream import Patterns, Sender, Servant, check_database, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaque_edge.store import CaseRow
    from plaque_edge.store.chain import AuditRow

RETRIED = frozenset({"SERVICE_KILLED", "WORKER_KILLED", "WORKER_DIED"})
BAD = ("lost", "duplicated", "wrong", "input_altered", "drafts_left")
"""Figures that must be zero."""
PATIENCE_S = 180.0
QUIET_S = 1.5
"""Long enough for head starts, so that some are killed."""


def run(count: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Kill ``count`` times and return the figures."""
    with TemporaryDirectory(prefix="plaque-edge-kill-") as name:
        return _Torture(Path(name), random.Random(seed), say).run(count)


class _Torture:
    def __init__(self, place: Path, rng: random.Random, say: Callable[[str], None]) -> None:
        self.rng, self.say = rng, say
        self.folder, self.out_dir = place / "export", place / "results"
        self.folder.mkdir()
        self.patterns = Patterns()
        self.patterns.learn(place / "reference")
        self.servant = Servant(self.folder, self.out_dir, quiet_s=QUIET_S)
        self.killed: Counter[str] = Counter()
        self.during: Counter[str] = Counter()
        self.retried, self.invalid = 0, []  # type: ignore[var-annotated]
        self.known = 0
        """The newest row of the audit log after the last kill."""
        self.usual_s = 8.0
        """From the start of the service to its first running case, as seen so far."""

    def run(self, count: int) -> dict[str, Any]:
        began = time.monotonic()
        sender = Sender(self.patterns, self.folder, self.out_dir)
        sender.start()
        self.servant.start()
        try:
            for number in range(count):
                sender.ahead = self.rng.choice((1, 1, 2, 3))  # alone, a scan gets a head start
                self._one()
                if number % 20 == 19:
                    self.say(f"{number + 1} kills, {len(sender.scans)} scans sent")
        finally:
            sender.stop.set()
            sender.join()
        unfinished = self._finish(len(sender.scans))
        exit_code = self.servant.stop()
        self._check()
        found = judge(self.patterns, sender.scans, self.out_dir)
        return {
            "kills": count,
            "killed": dict(self.killed),
            "running_step_when_killed": dict(self.during),
            "head_starts": self._head_starts(),
            **found,
            "unfinished": unfinished,
            "database_invalid": len(self.invalid),
            "invalid_examples": self.invalid[:5],
            "failed_after_three_kills_and_asked_again": self.retried,
            "exit_code_at_the_end": exit_code,
            "minutes": round((time.monotonic() - began) / 60, 1),
            "passed": not unfinished and not self.invalid and exit_code == 0
            and not any(found[k] for k in BAD),
        }  # fmt: skip

    def _one(self) -> None:
        """Wait for a random moment, kill, and prove the database."""
        process = self.servant.process
        assert process is not None
        started = time.monotonic()
        if self.rng.random() < 0.6:  # any moment since the start, also before it is ready
            time.sleep(self.rng.uniform(0.0, self.usual_s))
        elif self._wait_for_running():
            self.usual_s = 0.8 * self.usual_s + 0.2 * (time.monotonic() - started)
            time.sleep(self.rng.uniform(0.0, 1.5))
        row = self._running()
        self.during[row.step if row else "head start" if self._ahead() else "none"] += 1
        worker = self._worker(process.pid) if self.rng.random() < 0.4 else None
        if worker is not None:
            worker.kill()
            self.killed["worker"] += 1
        else:
            process.kill()
            process.wait()
            self.killed["service"] += 1
        self._check()
        self._ask_again()
        self.known = self._newest()
        if worker is None:
            self.servant.start()

    def _wait_for_running(self) -> bool:
        end = time.monotonic() + 60.0
        while time.monotonic() < end:
            if self._running() is not None or self._ahead():
                return True
            time.sleep(0.02)
        return False

    def _running(self) -> CaseRow | None:
        """Return the case that this service runs, not one that the service before left so."""
        try:
            with Store(self.out_dir, read_only=True) as store:
                fresh = store.heartbeat_age_s() is not None
                since = store.audit(after=self.known) if fresh else ()
                last = {r.case_id: r.detail["to"] for r in since if r.kind == "state"}
                found = [case_id for case_id, state in last.items() if state == "RUNNING"]
                return store.case(found[0]) if found and found[0] is not None else None
        except PlaqueEdgeError:
            return None

    def _ahead(self) -> bool:
        """Whether a head start of this service has begun and is not decided."""
        try:
            with Store(self.out_dir, read_only=True) as store:
                since = [
                    r.detail["what"] for r in store.audit(after=self.known) if _of_head_start(r)
                ]
                return since[-1:] == ["begun"]
        except PlaqueEdgeError:
            return False

    def _head_starts(self) -> dict[str, int]:
        with Store(self.out_dir, read_only=True) as store:
            return dict(Counter(r.detail["what"] for r in store.audit() if _of_head_start(r)))

    def _newest(self) -> int:
        try:
            with Store(self.out_dir, read_only=True) as store:
                return store.anchor().seq
        except PlaqueEdgeError:
            return 0

    def _rows(self) -> tuple[CaseRow, ...]:
        try:
            with Store(self.out_dir, read_only=True) as store:
                return store.cases(everything=True)
        except PlaqueEdgeError:
            return ()

    @staticmethod
    def _worker(pid: int) -> psutil.Process | None:
        try:
            children = psutil.Process(pid).children()
        except psutil.Error:
            return None
        found = [c for c in children if "spawn_main" in " ".join(_command(c))]
        return found[0] if found else None

    def _check(self) -> None:
        try:
            check_database(self.out_dir)
        except Exception as error:
            if "STORE_MISSING" not in str(error):  # killed before its first line
                self.invalid.append(f"{type(error).__name__}: {error}")

    def _ask_again(self) -> None:
        """Do what a person does with a case that failed because of three kills."""
        for row in self._rows():
            if row.state == "FAILED" and row.reason is not None and row.reason.code in RETRIED:
                new = NewRequest("retry", "torture", row.study_uid, row.series_uid, row.revision)
                ask(self.out_dir, new)
                self.retried += 1

    def _finish(self, scans: int) -> int:
        """Leave the service in peace until nothing changes; return what is still unfinished."""
        end = time.monotonic() + PATIENCE_S
        left, asked = scans, 0.0
        while time.monotonic() < end:
            rows = self._rows()
            now = scans - sum(r.state in FINISHED and r.state != "FAILED" for r in rows)
            if now < left:
                left, end = now, time.monotonic() + PATIENCE_S
            if left == 0:
                break
            if time.monotonic() - asked > 5.0:
                self._ask_again()
                asked = time.monotonic()
            time.sleep(0.2)
        return left


def _of_head_start(row: AuditRow) -> bool:
    return row.kind == "head_start"


def _command(process: psutil.Process) -> list[str]:
    try:
        found: list[str] = process.cmdline()
        return found
    except psutil.Error:
        return []
