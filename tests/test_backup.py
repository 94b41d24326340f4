"""A copy of the store while it is written, and the way back."""

from __future__ import annotations

import sqlite3
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from plaque_edge.cli import main
from plaque_edge.errors import Failed, Refused
from plaque_edge.service import lock_folder
from plaque_edge.store import DATABASE, NewCase, Store
from plaque_edge.store.backup import back_up, prove
from plaque_edge.types import SeriesInfo

if TYPE_CHECKING:
    from pathlib import Path


def fill(store: Store, first: int, count: int) -> None:
    for i in range(first, first + count):
        case = store.open_case(NewCase(SeriesInfo("1", f"1.{i}", patient_name="Doe^Jane"), 1, 5))
        store.move(case, "READY")


def test_copy_is_whole_while_the_store_is_written(tmp_path: Path) -> None:
    out, stop = tmp_path / "out", threading.Event()
    store = Store(out)
    fill(store, 0, 200)

    def write() -> None:
        number = 1000
        while not stop.is_set():
            fill(store, number, 1)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [back_up(out, tmp_path / f"{i}.sqlite") for i in range(5)]
    finally:
        stop.set()
        writer.join()
    sizes = [b.cases for b in made]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 200, "the writer never got in between"
    for backup in made:
        assert stat.S_IMODE(backup.path.stat().st_mode) == 0o600
        db = sqlite3.connect(backup.path)
        opened, states = (
            db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("cases", "audit")
        )
        db.close()
        assert states in (2 * opened, 2 * opened - 1)  # between two changes, never inside one
    assert sorted(p.name for p in tmp_path.iterdir()) == [*(f"{i}.sqlite" for i in range(5)), "out"]
    store.close()


def test_nothing_is_overwritten_and_nothing_half_stays(tmp_path: Path) -> None:
    with Store(tmp_path / "out") as store:
        fill(store, 0, 3)
    back_up(tmp_path / "out", tmp_path / "copy")
    with pytest.raises(Refused, match="BACKUP_EXISTS"):
        back_up(tmp_path / "out", tmp_path / "copy")
    with pytest.raises(Failed, match="BACKUP_NOT_WRITTEN"):
        back_up(tmp_path / "out", tmp_path / "no" / "folder")
    with pytest.raises(Failed, match="STORE_MISSING"):
        back_up(tmp_path, tmp_path / "other")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "out"]


def test_restore_brings_back_what_was_copied_and_keeps_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy"
    at = ["--out", str(out)]
    with Store(out) as store:
        fill(store, 0, 3)
        then = store.cases()
    assert main(["backup", str(copy), *at]) == 0
    with Store(out) as store:
        fill(store, 3, 2)
    with lock_folder(out):
        assert main(["restore", str(copy), *at]) == 1
        assert "STORE_IN_USE" in capsys.readouterr().err
    assert main(["restore", str(copy), *at]) == 0
    with Store(out) as store:
        assert store.cases() == then
        assert store.audit()[-1].kind == "restored"
        assert store.verify_audit().faults == ()
        fill(store, 7, 1)
    (kept,) = out.glob("*.before-restore.*.bak")
    assert prove(kept).cases == 5
    assert main(["audit", "verify", *at]) == 0
    assert main(["restore", str(tmp_path / "none"), *at]) == 2


def test_damaged_copy_is_not_taken(tmp_path: Path) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy"
    with Store(out) as store:
        fill(store, 0, 50)
        then = store.cases()
    back_up(out, copy)
    whole = copy.read_bytes()
    forged = sqlite3.connect(copy)
    forged.execute("DROP TRIGGER audit_no_update")
    forged.execute("UPDATE audit SET person = 'x' WHERE seq = 7")
    forged.commit()
    forged.close()
    bad = {"forged": copy.read_bytes(), "cut": whole[: len(whole) // 2], "text": b"hello" * 99}
    hole = bytearray(whole)
    hole[8192:12288] = bytes(4096)
    for name, data in (bad | {"hole": bytes(hole)}).items():
        (tmp_path / name).write_bytes(data)
        assert main(["restore", str(tmp_path / name), "--out", str(out)]) == 1, name
    with Store(out) as store:
        assert store.cases() == then
    assert not list(out.glob("*.bak"))
    assert (out / DATABASE).exists()
