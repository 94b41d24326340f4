"""A running service with its folders, for tests of queue, worker, publishing and housekeeping."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil

from plaque_edge.config import RetentionOptions, ServiceOptions, WatchOptions, WorkerOptions
from plaque_edge.phantom.dicom import write_series
from plaque_edge.service import Service
from plaque_edge.store import CaseRow, NewRequest, Store, ask
from plaque_edge.torture import tubes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAST = WatchOptions(scan_s=0.05, quiet_s=0.2, late_s=5.0)
LIMIT_S = 240.0


class Site:
    """A service in a thread of this process, its worker in one of its own."""

    def __init__(self, place: Path) -> None:
        self.out, self.folder, self.mode_file = place / "out", place / "in", place / "mode"
        self.folder.mkdir()
        self.mode("")
        self.options = ServiceOptions(
            (self.folder,),
            self.out,
            FAST,
            WorkerOptions(factory="job_factories:factory", stall_s=30.0, memory_mb=4096),
            retention=RetentionOptions(0, 0),
            retry_s=0.2,
        )
        self.said: list[str] = []
        self._stop = threading.Event()

    def mode(self, what: str) -> None:
        self.mode_file.write_text(what)
        self.mode_file.with_suffix(".in").unlink(missing_ok=True)

    def send(self, number: int) -> tuple[str, str]:
        info = tubes.header(f"job-{number}", slice_thickness_mm=1.0)
        made = self.folder.parent / f"made-{number}"
        write_series(tubes.small(number).volume(), info, made)
        made.rename(self.folder / str(number))  # at once: a busy computer makes no quiet time
        return info.study_instance_uid, info.series_instance_uid

    def start(self, **worker: Any) -> Service:
        options = replace(self.options, worker=replace(self.options.worker, **worker))
        self.service = Service(options, self.said.append)
        self._stop.clear()
        self._thread = threading.Thread(target=self.service.run, kwargs={"stop": self._stop})
        self._thread.start()
        return self.service

    def stop(self, within_s: float = 0.0) -> None:
        self._stop.set()
        self._thread.join(timeout=60)
        self.service.close(within_s)

    def wait(self, uids: tuple[str, str], *states: str, reason: str | None = None) -> CaseRow:
        end = time.monotonic() + LIMIT_S
        row = None
        while time.monotonic() < end:
            with Store(self.out, read_only=True) as store:
                row = store.latest(*uids)
            if row is not None and row.state in states:
                if reason is None or (row.reason is not None and row.reason.code == reason):
                    return row
            time.sleep(0.02)
        raise AssertionError(f"never {states} {reason}: {row}; said {self.said[-5:]}")

    def wait_inside(self) -> None:
        """Until the segmenter has been entered."""
        end = time.monotonic() + LIMIT_S
        while not self.mode_file.with_suffix(".in").exists():
            assert time.monotonic() < end, self.said
            time.sleep(0.02)

    def asked(self, kind: str, uids: tuple[str, str], **arguments: Any) -> str | None:
        """Ask, wait for the answer and return its code, ``None`` when done."""
        number = ask(self.out, NewRequest(kind, "tester", *uids, arguments=arguments))
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            with Store(self.out, read_only=True) as store:
                request = store.request(number)
            if request.done_at is not None:
                return request.reason.code if request.reason else None
            time.sleep(0.02)
        raise AssertionError(f"{kind} never answered; said {self.said[-5:]}")

    def reasons(self, case_id: int) -> list[str]:
        """Codes with which a case was given back or ended."""
        with Store(self.out, read_only=True) as store:
            return [e.code for e in store.events(case_id) if e.code]


def until(site: Site, done: Callable[[], object]) -> None:
    """Wait until ``done()``; the service runs on its own."""
    end = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < end, site.said[-8:]
        time.sleep(0.02)


def worker_of(service: Service) -> psutil.Process:
    """The process of the service's worker."""
    assert service.queue.worker.pid is not None
    return psutil.Process(service.queue.worker.pid)
