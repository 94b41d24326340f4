"""The store: legal changes only, readers see whole states, death loses nothing."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from plaque_edge.errors import Failed
from plaque_edge.store import (
    DATABASE,
    STATES,
    TRANSITIONS,
    IllegalTransition,
    NewCase,
    Store,
)
from plaque_edge.types import Reason, SeriesInfo

if TYPE_CHECKING:
    from pathlib import Path


def header(series: str = "1.2.3", study: str = "1.2") -> SeriesInfo:
    return SeriesInfo(
        study, series, patient_name="Νικολάου^Ελένη", image_type=("A", "B"), age_years=6.5
    )


def new(series: str = "1.2.3", revision: int = 1, study: str = "1.2") -> NewCase:
    return NewCase(header(series, study), revision, 5, 10, ("b", "a"))


def reach(store: Store, state: str) -> int:
    """A case in the given state, by legal changes only."""
    case_id = store.open_case(new(f"1.{time.monotonic_ns()}"))
    paths = {
        "SEEN": (), "SETTLING": ("SETTLING",), "READY": ("READY",), "RUNNING": ("READY", "RUNNING"),
        "OUTDATED": ("OUTDATED",),
    }  # fmt: skip
    for step in paths.get(state, ("READY", "RUNNING", state)):
        store.move(case_id, step)  # type: ignore[arg-type]
    return case_id


def test_row_comes_back_as_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    case_id = store.open_case(new())
    store.move(case_id, "READY")
    store.move(case_id, "RUNNING", step="volume", progress=0.25)
    reason = Reason("CODE_X", "Text.", "Next.")
    store.move(case_id, "REVIEW", reason, result_dir=tmp_path / "r1", progress=1.0)
    row = Store(tmp_path, read_only=True).case(case_id)
    assert row.info == header()
    assert (row.state, row.reason, row.result_dir) == ("REVIEW", reason, tmp_path / "r1")
    assert (row.received, row.expected, row.attempts) == (5, 10, 1)
    assert store.files(case_id) == {"a", "b"}
    assert [e.state_to for e in store.events(case_id)] == ["SEEN", "READY", "RUNNING", "REVIEW"]
    assert store.events(case_id)[-1].code == "CODE_X"
    assert all(e.at.endswith("Z") for e in store.events())


@pytest.mark.parametrize(("old", "target"), list(itertools.product(STATES, STATES)))
def test_exactly_the_legal_changes_pass(tmp_path: Path, old: str, target: str) -> None:
    store = Store(tmp_path)
    case_id = reach(store, old)
    before = store.case(case_id), store.events()
    if target in TRANSITIONS[old]:  # type: ignore[index]
        store.move(case_id, target)  # type: ignore[arg-type]
        assert store.case(case_id).state == target
    else:
        with pytest.raises(IllegalTransition):
            store.move(case_id, target)  # type: ignore[arg-type]
        assert (store.case(case_id), store.events()) == before


def test_every_state_can_end() -> None:
    ends = {"DONE", "REVIEW", "NOT_ANALYSABLE", "FAILED", "OUTDATED"}
    for state in STATES:
        seen, todo = set(), {state}
        while todo:
            now = todo.pop()
            seen.add(now)
            todo |= TRANSITIONS[now] - seen  # type: ignore[index,operator]
        assert seen & ends, state


REPLACE = "INSERT OR REPLACE INTO audit VALUES (1, '', '', NULL, '', '{}', '', '')"


def test_journal_cannot_be_changed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.open_case(new())
    db = sqlite3.connect(tmp_path / DATABASE)
    for sql in ("UPDATE audit SET person = 'x'", "DELETE FROM audit", REPLACE):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(sql)
    db.close()


def test_version_changes_with_cases_only(tmp_path: Path) -> None:
    store, reader = Store(tmp_path), Store(tmp_path / ".", read_only=True)
    first = reader.data_version()
    assert reader.heartbeat_age_s() is None
    store.heartbeat()
    assert reader.data_version() == first
    assert 0.0 <= (reader.heartbeat_age_s() or 0.0) < 5.0
    store.open_case(new())
    assert reader.data_version() > first
    store.stop_heartbeat()
    assert reader.heartbeat_age_s() is None


def test_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    db = sqlite3.connect(tmp_path / DATABASE)
    db.execute("PRAGMA user_version = 99")
    db.close()
    for read_only in (False, True):
        with pytest.raises(Failed, match="STORE_NEWER"):
            Store(tmp_path, read_only)


def test_missing_and_broken_store(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="STORE_MISSING"):
        Store(tmp_path, read_only=True)
    (tmp_path / DATABASE).write_bytes(b"not a database" * 100)
    with pytest.raises(Failed, match="STORE_UNREADABLE"):
        Store(tmp_path)


def test_reader_cannot_write(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with pytest.raises(Failed, match="STORE_UNREADABLE"):
        Store(tmp_path, read_only=True).open_case(new())


def test_third_death_fails_the_case(tmp_path: Path) -> None:
    store = Store(tmp_path)
    case_id = store.open_case(new())
    store.move(case_id, "READY")
    for state in ("READY", "READY", "FAILED"):
        store.move(case_id, "RUNNING")
        assert Store(tmp_path).recover() == (case_id,)
        assert store.case(case_id).state == state
    reason = store.case(case_id).reason
    assert reason is not None
    assert reason.code == "SERVICE_KILLED"


def test_companions_are_listed_only_without_a_better(tmp_path: Path) -> None:
    store = Store(tmp_path)
    scout = store.open_case(new("1.scout"))
    store.move(scout, "NOT_ANALYSABLE", Reason("LOCALIZER", "It is a scout.", ""))
    assert [r.case_id for r in store.cases()] == [scout]
    better = store.open_case(new("1.cta"))
    other = store.open_case(new("1.x", study="9"))
    assert [r.case_id for r in store.cases()] == [other, better]
    assert len(store.cases(everything=True)) == 3


def _write_until_killed(folder: Path) -> None:
    store = Store(folder)
    for i in itertools.count():
        case_id = store.open_case(new(f"1.{i}"))
        store.move(case_id, "READY")
        store.move(case_id, "RUNNING")


def test_killed_writer_leaves_whole_states(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    writer = context.Process(target=_write_until_killed, args=(tmp_path,))
    writer.start()
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            if len(Store(tmp_path, read_only=True).cases()) > 20:
                break
        except Failed:
            pass
        time.sleep(0.02)
    writer.kill()
    writer.join()
    store = Store(tmp_path)
    rows = store.cases()
    assert len(rows) > 20
    for row in rows:
        assert store.events(row.case_id)[-1].state_to == row.state
    running = {r.case_id for r in rows if r.state == "RUNNING"}
    assert set(store.recover()) == running
