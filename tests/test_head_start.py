"""An analysis that begins before the quiet time is over, with a real worker process.

The quiet time is so long that it never ends; :class:`Verdict` ends it when the test wants.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from service_site import LIMIT_S, Site, until, worker_of

from plaque_edge.arrivals import Arrivals
from plaque_edge.housekeeping import ANCHOR
from plaque_edge.phantom.dicom import write_series
from plaque_edge.store import Store
from plaque_edge.torture import tubes
from plaque_edge.torture.stream import Patterns, Scan, check_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Verdict(Arrivals):
    """Says of every series that all of it was sent, once it is ``over``."""

    over = False

    def all_sent(self, uids: tuple[str, str], newest_ns: int) -> bool:
        return self.over


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One warm service for all of them: a worker takes seconds to start."""
    place = tmp_path_factory.mktemp("head-start")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAQUE_EDGE_TEST_MODE", str(place / "mode"))
        site = Site(place)
        site.options = replace(site.options, watch=replace(site.options.watch, quiet_s=1e6))
        site.start(stall_s=LIMIT_S)
        until(site, lambda: site.service.queue.worker.warm)
        yield site
        site.mode("")
        site.stop()


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    shared.service.watcher.arrivals = Verdict()
    shared.mode("")
    yield shared
    shared.mode("")


def end_quiet(site: Site) -> None:
    site.service.watcher.arrivals.over = True  # type: ignore[union-attr]
    site.service.wake.set()


def send(site: Site, number: int) -> tuple[Scan, Path, bytes]:
    """Send all of a scan but its last slice, which nothing shows to be missing."""
    made = tubes.header(f"job-{number}", slice_thickness_mm=1.0)
    place = site.folder.parent / f"made-{number}"
    files = write_series(tubes.small(number).volume(), made, place)
    home = site.folder / str(number)
    home.mkdir()
    last = files[0].read_bytes()
    for path in files[1:]:
        (home / path.name).write_bytes(path.read_bytes())
    uids = made.study_instance_uid, made.series_instance_uid
    return Scan(uids, number, {}), home / files[0].name, last


def acts(site: Site, scan: Scan) -> list[str]:
    """What became of head starts, as the audit log has it."""
    with Store(site.out, read_only=True) as store:
        row = store.latest(*scan.uids)
        rows = [r.detail for r in store.audit(row.case_id if row else 0) if r.kind == "head_start"]
    return [f"{d['what']} {d['why']}" if "why" in d else d["what"] for d in rows]


def states(site: Site, case_id: int) -> list[str]:
    with Store(site.out, read_only=True) as store:
        return [e.state_to for e in store.events(case_id)]


def drafts(site: Site) -> list[str]:
    return [p.name for p in site.out.glob(".*.part")]


def results(site: Site, scan: Scan) -> list[Path]:
    return list(site.out.glob(f"{scan.uids[1]}*/result.json"))


def fault(site: Site, scan: Scan) -> str:
    """Say in what the result differs from one that was made in one go."""
    patterns = Patterns()
    patterns.learn(site.folder.parent / f"reference-{scan.pattern}")
    return patterns.wrong(scan, site.wait(scan.uids, "DONE", "REVIEW"))


def test_result_waits_for_the_verdict_and_is_the_right_one(site: Site) -> None:
    scan, path, last = send(site, 0)
    path.write_bytes(last)
    until(site, lambda: site.service.queue.head_start.ended)
    assert len(drafts(site)) == 1
    began = time.monotonic()
    time.sleep(1.0)
    assert site.wait(scan.uids, "SEEN").received == 66
    assert results(site, scan) == [], "nothing is published before the verdict"
    end_quiet(site)
    row = site.wait(scan.uids, "DONE", "REVIEW")
    assert states(site, row.case_id) == ["SEEN", "READY", "RUNNING", row.state]
    assert (row.attempts, row.revision, row.received) == (1, 1, 66)
    assert acts(site, scan)[-1] == "taken"
    assert drafts(site) == []
    assert fault(site, scan) == ""
    timing = json.loads(results(site, scan)[0].read_text())["timing_ms"]
    waited_ms = 1000 * (time.monotonic() - began)
    assert timing["last_file_to_result"] > 1000.0, "the wait for the verdict is part of it"
    assert timing["last_file_to_result"] < waited_ms + 1000 * LIMIT_S


def test_late_slice_within_it_then_running_at_the_verdict(site: Site) -> None:
    site.mode("slow")
    scan, path, last = send(site, 1)
    site.wait_inside()
    assert site.wait(scan.uids, "SEEN").received == 65
    pid = worker_of(site.service).pid
    path.write_bytes(last)
    until(site, lambda: acts(site, scan) == ["begun", "dropped its study changed", "begun"])
    assert results(site, scan) == []
    end_quiet(site)
    row = site.wait(scan.uids, "RUNNING")
    site.mode("")
    row = site.wait(scan.uids, "DONE", "REVIEW")
    assert acts(site, scan) == ["begun", "dropped its study changed", "begun", "taken"]
    assert (row.revision, row.received, row.attempts) == (1, 66, 1)
    assert states(site, row.case_id) == ["SEEN", "READY", "RUNNING", row.state]
    assert fault(site, scan) == ""
    assert (len(results(site, scan)), drafts(site)) == (1, [])
    assert worker_of(site.service).pid == pid, "the warm worker stays"


def test_late_slice_after_it_ended(site: Site) -> None:
    scan, path, last = send(site, 2)
    until(site, lambda: site.service.queue.head_start.ended)
    site.mode("slow")
    path.write_bytes(last)
    until(site, lambda: acts(site, scan)[:2] == ["begun", "dropped its study changed"])
    assert results(site, scan) == []
    end_quiet(site)
    site.mode("")
    assert site.wait(scan.uids, "DONE", "REVIEW").received == 66
    assert fault(site, scan) == ""
    assert (len(results(site, scan)), drafts(site)) == (1, [])


def test_worker_that_dies_of_it_costs_no_attempt_and_it_is_not_begun_again(site: Site) -> None:
    site.mode("segfault")
    scan, path, last = send(site, 3)
    path.write_bytes(last)
    until(site, lambda: len(acts(site, scan)) >= 2)
    site.mode("")
    end_quiet(site)
    row = site.wait(scan.uids, "DONE", "REVIEW")
    assert "dropped WORKER_DIED" in acts(site, scan)
    assert (row.attempts, row.revision) == (1, 1)
    assert fault(site, scan) == ""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_while_it_runs_nothing_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAQUE_EDGE_TEST_MODE", str(tmp_path / "mode"))
    site = Site(tmp_path)
    site.mode("slow")
    command = [sys.executable, "-m", "plaque_edge", "watch", str(site.folder), "--out"]
    command += [str(site.out), "--quiet", "600", "--factory", "job_factories:factory"]
    command += ["--min-free-mb", "0"]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    until(site, lambda: (site.out / ANCHOR).exists())
    scan, path, last = send(site, 4)
    path.write_bytes(last)
    site.wait_inside()
    assert site.wait(scan.uids, "SEEN").attempts == 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    check_database(site.out)
    site.mode("")
    site.start(stall_s=LIMIT_S)
    row = site.wait(scan.uids, "DONE", "REVIEW")
    site.stop()
    assert (row.attempts, row.revision) == (1, 1)
    assert set(acts(site, scan)) <= {"begun", "dropped its study changed"}, "not taken"
    assert fault(site, scan) == ""
    assert (len(results(site, scan)), drafts(site)) == (1, [])
