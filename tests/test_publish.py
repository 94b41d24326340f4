"""Results get their name in one step, durably, and never in another's place."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from service_site import LIMIT_S, until

from plaque_edge import publish
from plaque_edge.cli import main
from plaque_edge.config import WorkerOptions
from plaque_edge.errors import Failed
from plaque_edge.job_messages import Job, Message, Stopped
from plaque_edge.jobs import Worker
from plaque_edge.phantom.dicom import write_series
from plaque_edge.publish import put_in_place
from plaque_edge.store import CaseRow, Store
from plaque_edge.torture import tubes

if TYPE_CHECKING:
    from service_site import Site

posix = pytest.mark.skipif(os.name != "posix", reason="folders can't be flushed there")


def draft_of(place: Path, text: str) -> Path:
    draft = place / ".1.2_r1.7.part"
    (draft / "view").mkdir(parents=True)
    (draft / "result.json").write_text(text)
    return draft


def drafts(out: Path) -> list[str]:
    return [p.name for p in out.glob(".*.part")]


def test_what_was_there_comes_back_when_the_draft_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "1.2_r1"
    put_in_place(draft_of(tmp_path, "old"), folder)
    draft = draft_of(tmp_path, "new")
    rename = Path.replace

    def no(self: Path, target: Path) -> Path:
        if self == draft:
            assert not folder.exists(), "it is moved aside, not overwritten file by file"
            raise PermissionError(13, "in use")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", no)
    with pytest.raises(Failed, match="could not be written"):
        put_in_place(draft, folder)
    assert (folder / "result.json").read_text() == "old"
    monkeypatch.undo()
    put_in_place(draft, folder)
    assert (folder / "result.json").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["1.2_r1"]


@posix
def test_names_reach_the_disk_before_the_store_may_know_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(publish, "sync_folder", lambda p: flushed.append(p.name))
    folder = tmp_path / "out" / "1.2_r1"
    folder.parent.mkdir()
    put_in_place(draft_of(folder.parent, "x"), folder)
    assert sorted(flushed[:2]) == [".1.2_r1.7.part", "view"]
    assert flushed[2:] == ["out"]


def test_one_series_uid_in_two_studies_gives_two_results(site: Site) -> None:
    made = [tubes.header(f"twin-{n}", slice_thickness_mm=1.0) for n in (0, 1)]
    made[1] = replace(made[1], series_instance_uid=made[0].series_instance_uid)
    site.start()
    rows: list[CaseRow] = []
    for n, info in enumerate(made):
        write_series(tubes.small(n).volume(), info, site.folder / str(n))
        uids = info.study_instance_uid, info.series_instance_uid
        rows.append(site.wait(uids, "DONE", "REVIEW"))
    assert rows[0].result_dir != rows[1].result_dir
    for row in rows:
        assert row.result_dir is not None
        text = (row.result_dir / "result.json").read_bytes()
        assert hashlib.sha256(text).hexdigest() == row.result_sha256
        assert row.study_uid in text.decode()


def test_slices_that_went_while_a_case_waited_and_come_back_make_a_revision(site: Site) -> None:
    site.mode("slow")
    site.send(0)
    service = site.start()
    site.wait_inside()
    uids = site.send(1)
    site.wait(uids, "READY")
    files = sorted((site.folder / "1").iterdir())
    away = site.folder.parent / "away"
    shutil.move(files[0], away)  # at one end: no gap tells
    until(site, lambda: service.seen[uids].received == len(files) - 1)
    until(site, lambda: service.seen[uids].phase == "READY")
    site.mode("")
    row = site.wait(uids, "DONE", "REVIEW")
    assert row.received == len(files) - 1
    shutil.move(away, files[0])
    until(site, lambda: site.wait(uids, "DONE", "REVIEW", "SEEN", "READY", "RUNNING").revision == 2)
    row = site.wait(uids, "DONE", "REVIEW")
    assert (row.revision, row.received) == (2, len(files))


@pytest.mark.parametrize(
    ("error", "times", "state", "attempts"),
    [(errno.ENOSPC, 1, "DONE", 1), (errno.EACCES, 99, "FAILED", 3)],
)
def test_disk_that_refuses_the_last_step_is_no_verdict_and_leaves_no_draft(
    error: int, times: int, state: str, attempts: int, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from plaque_edge import dispatch

    refused: list[Path] = []

    def full(draft: Path, folder: Path) -> None:
        if len(refused) < times:
            refused.append(draft)
            raise publish.not_written(OSError(error, os.strerror(error)))
        put_in_place(draft, folder)

    monkeypatch.setattr(dispatch, "put_in_place", full)
    site.start()
    uids = site.send(0)
    row = site.wait(uids, state, "REVIEW")
    code = "RESULT_DISK_FULL" if error == errno.ENOSPC else "RESULT_NOT_WRITTEN"
    assert site.reasons(row.case_id).count(code) == len(refused)
    assert (row.attempts, row.revision) == (attempts, 1)
    until(site, lambda: drafts(site.out) == [])


def test_half_written_corrections_go_at_the_next_start(site: Site) -> None:
    site.start()
    row = site.wait(site.send(0), "DONE", "REVIEW")
    site.stop()
    assert row.result_dir is not None
    left = row.result_dir / ".corrected-4.99.part"
    left.mkdir()
    site.start()
    assert not left.exists()
    assert (row.result_dir / "result.json").exists()


def test_worker_that_left_a_job_in_time_stays_however_long_it_idles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAQUE_EDGE_TEST_MODE", str(tmp_path / "mode"))
    (tmp_path / "mode").write_text("slow")
    made = tubes.header("left", slice_thickness_mm=1.0)
    files = write_series(tubes.small(0).volume(), made, tmp_path / "in")
    worker = Worker(WorkerOptions(factory="job_factories:factory", stop_s=2.0))
    try:
        wait_for(worker, lambda said: worker.warm)
        pid = worker.pid
        uid = made.series_instance_uid
        worker.submit(Job(1, tuple(files), uid, tmp_path / "r", time.monotonic()))
        wait_for(worker, lambda said: (tmp_path / "mode.in").exists())
        worker.stop_job()
        wait_for(worker, lambda said: any(isinstance(m, Stopped) for m in said))
        end = time.monotonic() + 3.0
        said = [m for _ in range(1000) if time.monotonic() < end for m in worker.poll(0.05)]
        assert said == []
        assert worker.pid == pid
    finally:
        worker.close()


def test_analyze_does_not_write_into_the_folder_of_a_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(tmp_path / "out").close()
    command = ["analyze", str(tmp_path), "--out", str(tmp_path / "out"), "--json", "-"]
    assert main(command) == 2
    assert "OUT_IS_STORE" in capsys.readouterr().err


def wait_for(worker: Worker, done: Any) -> None:
    end = time.monotonic() + LIMIT_S
    said: list[Message] = []
    while not done(said):
        assert time.monotonic() < end
        said += worker.poll(0.05)
