"""Disk space, retention, a full disk under the store, and what logs and file modes tell."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections import namedtuple
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from plaque_edge import housekeeping
from plaque_edge.config import RetentionOptions, ServiceOptions
from plaque_edge.errors import Failed
from plaque_edge.housekeeping import Housekeeper
from plaque_edge.phantom.dicom import write_series
from plaque_edge.private import short_hash
from plaque_edge.receive.landing import folder_name
from plaque_edge.retention import sweep
from plaque_edge.store import NewCase, Store
from plaque_edge.torture import tubes
from plaque_edge.types import Reason, SeriesInfo

if TYPE_CHECKING:
    from pathlib import Path

    from service_site import Site

    from plaque_edge.store import State

Usage = namedtuple("Usage", "total used free")
LATER = datetime.now(UTC) + timedelta(days=31)


# --- room on the disk ----------------------------------------------------------------------


def test_little_space_is_told_and_too_little_stops_intake_until_there_is_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_mb = [20_000]
    monkeypatch.setattr(shutil, "disk_usage", lambda _p: Usage(1 << 50, 0, free_mb[0] << 20))
    with Store(tmp_path) as store:
        keeper = Housekeeper(store, ServiceOptions((), tmp_path))

        def at(free: int) -> tuple[list[str], bool]:
            free_mb[0] = free
            keeper._disk = -1e9
            keeper.turn(())
            return [c.code for c in store.conditions()], keeper.full

        assert at(20_000) == ([], False)
        assert at(9_000) == (["DISK_LOW"], False)
        assert at(900) == (["DISK_FULL"], True)
        assert "900 MB" in store.conditions()[0].text
        assert at(9_000) == (["DISK_LOW"], False)
        assert at(20_000) == ([], False)
        rows = [(r.detail["code"], r.detail["on"]) for r in store.audit() if r.kind == "condition"]
    assert rows == [
        ("DISK_LOW", True), ("DISK_FULL", True), ("DISK_LOW", False),
        ("DISK_FULL", False), ("DISK_LOW", True), ("DISK_LOW", False),
    ]  # fmt: skip


def test_case_waits_for_room_and_goes_on_by_itself(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free_mb = [5]
    monkeypatch.setattr(shutil, "disk_usage", lambda _p: Usage(1 << 50, 0, free_mb[0] << 20))
    site.options = replace(site.options, retention=RetentionOptions(20, 10))
    uids = site.send(0)
    service = site.start()
    site.wait(uids, "READY")
    while not service.queue.worker.idle:
        time.sleep(0.05)
    time.sleep(1.0)
    assert site.wait(uids, "READY").attempts == 0
    with Store(site.out, read_only=True) as store:
        assert [c.code for c in store.conditions()] == ["DISK_FULL"]
    free_mb[0] = 500
    assert site.wait(uids, "DONE", "REVIEW").attempts == 1
    with Store(site.out, read_only=True) as store:
        assert store.conditions() == ()


def test_full_disk_under_the_store_changes_nothing_and_passes(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        case = store.open_case(NewCase(SeriesInfo("1", "1.1"), 1, 5))
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own SQLITE_FULL
        before = store.cases(), store.audit()
        with pytest.raises(Failed, match="STORE_FULL"):
            store.update(case, message="x" * 1_000_000)
        assert (store.cases(), store.audit()) == before
        with pytest.raises(Failed, match="STORE_FULL"), store.together():
            store.move(case, "READY")
            store.update(case, message="x" * 1_000_000)
        assert (store.cases(), store.audit()) == before
        store._db.execute("PRAGMA max_page_count = 100000")
        store.move(case, "READY")
        assert store.case(case).state == "READY"
        assert store.verify_audit().faults == ()


# --- retention -----------------------------------------------------------------------------


def ended(store: Store, series: str, state: State = "DONE") -> tuple[int, Path, Path]:
    """A case with a result folder and what was received of it."""
    case = store.open_case(NewCase(SeriesInfo("1", series), 1, 5))
    result = store.out_dir / f"{series}_r1"
    incoming = store.out_dir / "incoming" / folder_name("1", series)
    for folder in (result, incoming):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"12345")
    store.move(case, "READY")
    if state != "READY":
        store.move(case, "RUNNING")
        reason = Reason("RESULT_NOT_WRITTEN", "No.") if state == "FAILED" else None
        store.move(case, state, reason, result_dir=result)
    return case, result, incoming


def test_everything_is_kept_unless_a_site_says_otherwise(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        _, result, incoming = ended(store, "1.1")
        assert sweep(store, RetentionOptions(), LATER) == 0
        assert sweep(store, RetentionOptions(keep_results_days=60), LATER) == 0
        assert result.exists()
        assert incoming.exists()


def test_old_results_and_received_files_go_and_the_log_says_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        case, result, incoming = ended(store, "1.1")
        _, waiting, waiting_in = ended(store, "1.2", "READY")
        _, _unwritten, unwritten_in = ended(store, "1.3", "FAILED")
        stranger = tmp_path / "incoming" / "somebody's"
        stranger.mkdir()
        elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
        elsewhere.mkdir()
        (elsewhere / "scan.dcm").write_bytes(b"x")
        assert sweep(store, RetentionOptions(keep_received_days=30), LATER) == 1
        assert [p.exists() for p in (incoming, waiting_in, unwritten_in, stranger)] == [
            False, True, True, True,
        ]  # fmt: skip
        assert result.exists()
        ended(store, "1.4")
        link = tmp_path / "incoming" / folder_name("1", "1.4")
        shutil.rmtree(link)
        link.symlink_to(elsewhere, target_is_directory=True)
        days = RetentionOptions(keep_results_days=30, keep_received_days=30)
        sweep(store, days, LATER)
        assert (elsewhere / "scan.dcm").exists()
        assert not result.exists()
        assert waiting.exists()
        assert store.case(case).result_dir is None
        assert store.case(case).state == "DONE"
        log = [r for r in store.audit(case) if r.kind.startswith("deleted.")]
    assert [r.kind for r in log] == ["deleted.incoming", "deleted.result"]
    assert {(r.detail["files"], r.detail["bytes"]) for r in log} == {(1, 5)}
    assert "1.1" not in str([r.detail for r in log])


def test_clock_that_jumps_makes_nothing_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ServiceOptions((), tmp_path, retention=RetentionOptions(0, 0, keep_results_days=30))
    swept: list[float] = []
    clock = {"wall": 0.0, "own": 0.0}
    real = time.time(), time.monotonic()
    monkeypatch.setattr(housekeeping, "sweep", lambda *_: swept.append(clock["own"]))
    monkeypatch.setattr(housekeeping.time, "time", lambda: real[0] + clock["wall"])
    monkeypatch.setattr(housekeeping.time, "monotonic", lambda: real[1] + clock["own"])
    with Store(tmp_path) as store:
        keeper = Housekeeper(store, options)
        for own, wall in (
            (0, 0),
            (4000, 4000),
            (4001, 1e9),
            (9000, 1e9 + 4999),
            (90_402, 1e9 + 86_401),
        ):
            clock["own"], clock["wall"] = own, wall
            keeper.turn(())
    assert swept == [0, 4000, 90_402]


# --- what is told and who may read ---------------------------------------------------------


def test_logs_and_file_names_name_nobody_and_files_are_their_owners(
    site: Site,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret = {
        "patient_name": "Zyxwvut^Quorumbert", "patient_id": "PIDQ77421", "birth_date": "19331127",
        "accession_number": "ACCQ99881", "study_description": "QDESCSTUDY",
        "series_description": "QDESCSERIES",
    }  # fmt: skip
    info = tubes.header("secret", slice_thickness_mm=1.0, **secret)
    write_series(tubes.small(0).volume(), info, site.folder / "a")
    broken = tubes.header("broken", slice_thickness_mm=1.0, **secret)
    (site.folder / "b").mkdir()
    for path in write_series(tubes.small(1).volume(), broken, site.folder / "b" / "c")[:40]:
        path.write_bytes(path.read_bytes()[:1000])
    site.mode(f"quote {info.patient_name} {info.series_instance_uid}")
    site.start(debug=True)
    failed = site.wait((info.study_instance_uid, info.series_instance_uid), "FAILED")
    assert failed.reason is not None
    assert failed.reason.code == "INTERNAL"
    site.mode("")
    assert site.asked("retry", (info.study_instance_uid, info.series_instance_uid)) is None
    row = site.wait((info.study_instance_uid, info.series_instance_uid), "DONE", "REVIEW")
    site.wait((broken.study_instance_uid, broken.series_instance_uid), "NOT_ANALYSABLE")
    site.stop()
    printed = capfd.readouterr()
    logs = sorted((site.out / "logs").iterdir())
    assert {"service.log", "worker.log"} <= {p.name for p in logs}
    told = "\n".join([*site.said, printed.out, printed.err, *(p.read_text() for p in logs)])
    assert f"case {row.case_id}" in told
    assert short_hash(info.series_instance_uid) in told
    assert "ValueError" in told, "the error itself is in the log"
    words = [*secret.values(), "Zyxwvut", "Quorumbert"]
    words += [u for i in (info, broken) for u in (i.study_instance_uid, i.series_instance_uid)]
    results = {r.name for r in site.out.iterdir() if (r / "result.json").exists()}
    names = [
        str(p.relative_to(site.out)) for p in site.out.rglob("*")
        if p.relative_to(site.out).parts[0] not in results
    ]  # fmt: skip
    for word in words:
        assert word not in told
        assert not any(word in name for name in names)
    if os.name == "posix":
        open_to_others = [p for p in site.out.rglob("*") if stat.S_IMODE(p.lstat().st_mode) & 0o077]
        assert open_to_others == []
