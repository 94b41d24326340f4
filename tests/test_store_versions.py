"""Old stores come forward with a copy beside them, whole or not at all."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from plaque_edge.errors import Failed
from plaque_edge.store import DATABASE, SCHEMA_VERSION, NewRequest, Store, ask, schema

OLD = {1: Path(__file__).parent / "store_v1.sql"}
"""Dumps of stores that the released versions of their time wrote."""


def old_store(folder: Path, version: int) -> Path:
    db = sqlite3.connect(folder / DATABASE)
    db.executescript(OLD[version].read_text(encoding="utf-8"))
    db.close()
    return folder / DATABASE


def content(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    lines = list(db.iterdump())
    db.close()
    return lines


def test_every_old_version_has_its_dump() -> None:
    assert sorted(OLD) == list(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("version", sorted(OLD))
def test_old_store_comes_forward_and_a_copy_stays(tmp_path: Path, version: int) -> None:
    before = content(old_store(tmp_path, version))
    with Store(tmp_path) as store:
        rows = {(r.series_uid, r.revision): r for r in store.cases(everything=True)}
        outdated, running = rows["1.2.1", 1], rows["1.2.1", 2]
        assert (outdated.state, running.state, len(rows)) == ("OUTDATED", "RUNNING", 3)
        assert outdated.info.patient_name == "Νικολάου^Ελένη"
        assert outdated.result_dir == tmp_path / "1.2.1_r1"
        assert [e.state_to for e in store.events(outdated.case_id)] == [
            "SEEN", "SETTLING", "READY", "RUNNING", "DONE", "OUTDATED",
        ]  # fmt: skip
        assert store.events(rows["1.2.2", 1].case_id)[-1].code == "LOCALIZER"
        assert store.audit()[-1].kind == "migrated"
        assert store.verify_audit().faults == ()
        assert store.recover() == (running.case_id,)
    (copy,) = tmp_path.glob(f"*.schema-{version}.*.bak")
    assert content(copy) == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    Store(tmp_path).close()
    assert len(list(tmp_path.glob("*.bak"))) == 1


def test_failed_migration_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_store(tmp_path, 1)
    before = content(path)

    def breaks(db: sqlite3.Connection) -> None:
        db.execute("DROP TABLE events")
        db.execute("INSERT INTO no_such_table VALUES (1)")

    steps = (schema.MIGRATIONS[0], (schema.MIGRATIONS[1][0], breaks))
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with pytest.raises(Failed, match="STORE_UNREADABLE"):
        Store(tmp_path)
    assert content(path) == before
    monkeypatch.undo()
    with Store(tmp_path) as store:
        assert len(store.cases(everything=True)) == 3


def test_readers_wait_for_the_service_to_bring_it_forward(tmp_path: Path) -> None:
    before = content(old_store(tmp_path, 1))
    with pytest.raises(Failed, match="STORE_OLDER"):
        Store(tmp_path, read_only=True)
    with pytest.raises(Failed, match="STORE_OLDER"):
        ask(tmp_path, NewRequest("cancel", "me", "1.2", "1.2.1"))
    assert content(tmp_path / DATABASE) == before


def test_new_store_and_one_brought_forward_have_the_same_tables(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old_store(tmp_path / "old", 1)
    made = {}
    for name in ("old", "new"):
        Store(tmp_path / name).close()
        db = sqlite3.connect(tmp_path / name / DATABASE)
        made[name] = db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        db.close()
    assert made["old"] == made["new"]
