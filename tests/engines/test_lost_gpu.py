"""A GPU lost during a case: the service takes a new process and the case gets its result."""

from __future__ import annotations

import threading

import tube_scan

from plaque_edge.config import ServiceOptions, WatchOptions, WorkerOptions
from plaque_edge.service import Service


def test_the_case_is_done_again_in_a_new_process(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LOST_GPU", str(tmp_path / "lost"))
    tube_scan.write(tmp_path / "in")
    worker = WorkerOptions(factory="lost_gpu:factory", stall_s=20.0)
    look = WatchOptions(scan_s=0.1, quiet_s=0.3)
    service = Service(
        ServiceOptions((tmp_path / "in",), tmp_path / "out", look, worker), say=lambda _text: None
    )
    stop = threading.Event()
    timer = threading.Timer(90.0, stop.set)
    timer.start()
    try:
        service.run(once=True, stop=stop)
        (row,) = service.store.cases(everything=True)
    finally:
        timer.cancel()
        service.close()
    assert (tmp_path / "lost").exists()
    assert (row.state, row.attempts) == ("DONE", 2)
    assert row.result_dir is not None and (row.result_dir / "result.json").is_file()
