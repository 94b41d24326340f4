"""Watching: files at rest, whole series, and a service that may be killed at any moment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tube_scan
from dicom_factory import cta, cut, hashes
from dicom_factory import info as small_info

from plaque_edge.config import RetentionOptions, ServiceOptions, WatchOptions, WorkerOptions
from plaque_edge.errors import Failed
from plaque_edge.service import Service
from plaque_edge.store import CaseRow, Store
from plaque_edge.watch import SeriesSeen, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAST = WatchOptions(scan_s=0.05, quiet_s=0.3, late_s=3.0, header_budget_s=60.0)
"""One look reads all headers, however busy the computer of the tests is."""


def only(watcher: Watcher) -> SeriesSeen:
    (series,) = watcher.scan()
    return series


def look_until(watcher: Watcher, phase: str, limit_s: float = 60.0) -> SeriesSeen:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = watcher.scan()
        if found and found[0].phase == phase:
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"never {phase}: {[(s.phase, s.message) for s in watcher.scan()]}")


# --- files and series ----------------------------------------------------------------------


def test_file_counts_only_when_two_looks_agree(tmp_path: Path) -> None:
    cta(tmp_path)
    watcher = Watcher((tmp_path,), FAST)
    assert watcher.scan() == ()
    assert only(watcher).received == 64
    assert look_until(watcher, "READY").received == 64


def test_half_copied_file_is_not_received_and_series_waits(tmp_path: Path) -> None:
    files = cta(tmp_path)
    whole = files[10].read_bytes()
    cut(files[10], 0.6)
    watcher = Watcher((tmp_path,), replace(FAST, late_s=30.0))
    series = look_until(watcher, "SETTLING")
    assert series.received == 63
    assert "not whole" in series.message
    files[10].write_bytes(whole)
    assert look_until(watcher, "READY").received == 64


def test_file_cut_in_its_header_holds_the_series(tmp_path: Path) -> None:
    files = cta(tmp_path)
    last = files[-1].read_bytes()
    files[-1].write_bytes(last[:200])
    watcher = Watcher((tmp_path,), replace(FAST, late_s=30.0))
    assert look_until(watcher, "SETTLING").received == 63
    files[-1].write_bytes(last)
    assert look_until(watcher, "READY").received == 64


def test_gap_waits_then_is_judged_anyway(tmp_path: Path) -> None:
    cta(tmp_path)[20].unlink()
    watcher = Watcher((tmp_path,), replace(FAST, late_s=4.0))
    assert "missing" in look_until(watcher, "SETTLING").message
    start = time.monotonic()
    assert look_until(watcher, "READY").received == 63
    assert time.monotonic() - start < 30.0


def test_count_in_the_header_is_waited_for(tmp_path: Path) -> None:
    from dicom_factory import edit

    files = cta(tmp_path)
    for path in files:
        edit(path, NumberOfSeriesRelatedInstances=64)
    top = files[0].read_bytes()
    files[0].unlink()
    watcher = Watcher((tmp_path,), replace(FAST, late_s=30.0))
    assert "1 slices to come" in look_until(watcher, "SETTLING").message
    files[0].write_bytes(top)
    assert look_until(watcher, "READY").expected == 64


def test_folder_that_vanishes_and_comes_back_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "share"
    cta(folder / "study")
    watcher = Watcher((folder,), FAST)
    before = look_until(watcher, "READY")
    folder.rename(tmp_path / "away")
    assert only(watcher).keys == before.keys
    assert watcher.missing == (folder,)
    (tmp_path / "away").rename(folder)
    assert only(watcher).keys == before.keys
    assert only(watcher).phase == "READY"
    assert watcher.missing == ()


def test_each_header_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import plaque_edge.folders as module

    cta(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    read: list[Path] = []
    real = module.read_header
    monkeypatch.setattr(module, "read_header", lambda p: (read.append(p), real(p))[1])
    watcher = Watcher((tmp_path,), FAST)
    for _ in range(6):
        watcher.scan()
    assert len(read) == 65


def test_series_in_one_folder_are_kept_apart(tmp_path: Path) -> None:
    cta(tmp_path, "a")
    for i, path in enumerate(cta(tmp_path / "tmp", "b")):
        path.rename(tmp_path / f"b{i}")
    watcher = Watcher((tmp_path,), FAST)
    watcher.scan()
    found = {s.info.series_instance_uid: s.received for s in watcher.scan()}
    assert found == {small_info(n).series_instance_uid: 64 for n in "ab"}


# --- the service ---------------------------------------------------------------------------


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    running: list[Service] = []

    def start(factory: str = "factory", out: str = "out", **watch: float) -> Service:
        options = ServiceOptions(
            (tmp_path / "in",),
            tmp_path / out,
            replace(FAST, **watch),  # type: ignore[arg-type]
            WorkerOptions(factory=f"tube_scan:{factory}", stall_s=20.0),
            retention=RetentionOptions(min_free_mb=0, warn_free_mb=0),
        )
        running.append(Service(options, say=lambda _text: None))
        return running[-1]

    (tmp_path / "in").mkdir()
    yield start
    for service in running:
        service.close()


def finish(service: Service) -> tuple[CaseRow, ...]:
    import threading

    stop = threading.Event()
    timer = threading.Timer(300.0, stop.set)
    timer.start()
    service.run(once=True, stop=stop)
    timer.cancel()
    assert not stop.is_set(), "not finished in time"
    return service.store.cases(everything=True)


def test_arrival_late_slice_and_restart(tmp_path: Path, serve: Callable[..., Service]) -> None:
    source = tmp_path / "in"
    files = tube_scan.write(source)
    top = files[0].read_bytes()
    files[0].unlink()  # the last slice at the head: nothing shows that it is missing
    service = serve()
    (row,) = finish(service)
    assert (row.state, row.revision, row.received) == ("DONE", 1, 123)
    assert row.result_dir is not None
    names = {p.name for p in row.result_dir.iterdir()}
    assert names == {"result.json", "report.pdf", "view"}
    first = json.loads((row.result_dir / "result.json").read_text())
    assert first["timing_ms"]["last_file_to_result"] > 0

    files[0].write_bytes(top)
    service.look()
    newest, old = finish(service)
    assert (old.state, old.result_dir) == ("OUTDATED", row.result_dir)
    assert (newest.state, newest.revision, newest.received) == ("DONE", 2, 124)
    assert newest.result_dir != old.result_dir
    assert json.loads((row.result_dir / "result.json").read_text()) == first
    service.close()

    before = hashes(source)
    again = serve()
    assert finish(again) == (newest, old)
    assert hashes(source) == before


def test_second_service_on_one_folder_is_refused(serve: Callable[..., Service]) -> None:
    serve()
    with pytest.raises(Failed, match="STORE_IN_USE"):
        serve()


def test_worker_that_dies_three_times_fails_the_case_and_the_queue_goes_on(
    tmp_path: Path, serve: Callable[..., Service]
) -> None:
    tube_scan.write(tmp_path / "in" / "a")
    cta(tmp_path / "in" / "b")[3].unlink()
    rows = {r.series_uid: r for r in finish(serve("killer_factory", late_s=1.0))}
    dead = rows[tube_scan.info().series_instance_uid]
    assert (dead.state, dead.attempts) == ("FAILED", 3)
    assert dead.reason is not None
    assert dead.reason.code == "WORKER_DIED"
    other = rows[small_info("a").series_instance_uid]
    assert other.state == "NOT_ANALYSABLE"
    assert other.reason is not None
    assert other.reason.code == "SERIES_SLICE_MISSING"
    assert other.result_dir is not None


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_service_loses_nothing(tmp_path: Path, serve: Callable[..., Service]) -> None:
    tube_scan.write(tmp_path / "in")
    command = [sys.executable, "-m", "plaque_edge", "watch", str(tmp_path / "in")]
    command += ["--out", str(tmp_path / "out"), "--quiet", "0.3"]
    command += ["--factory", "tube_scan:slow_factory"]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        command, env=env, cwd=Path(__file__).parent.parent, stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + 240
    state = ""
    while time.monotonic() < end and state != "RUNNING":
        try:
            with Store(tmp_path / "out", read_only=True) as store:
                state = next((r.state for r in store.cases()), "")
        except Failed:
            pass
        time.sleep(0.05)
    assert state == "RUNNING"
    process.send_signal(signal.SIGKILL)
    process.wait()
    (row,) = finish(serve())
    assert (row.state, row.attempts, row.revision) == ("DONE", 2, 1)


def test_files_taken_away_are_told(tmp_path: Path, serve: Callable[..., Service]) -> None:
    files = cta(tmp_path / "in" / "a")
    files[20].unlink()
    service = serve(late_s=1.0)
    service.look()
    service.look()
    shutil.rmtree(tmp_path / "in" / "a")
    (row,) = finish(service)
    assert row.state == "NOT_ANALYSABLE"
    assert row.reason is not None
    assert row.reason.code == "FILE_VANISHED"
