"""The audit log: what is changed, removed, moved or cut off is found, and where."""

from __future__ import annotations

import json
import sqlite3
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from plaque_edge.cli import main
from plaque_edge.housekeeping import ANCHOR
from plaque_edge.service_requests import answer_requests
from plaque_edge.store import (
    DATABASE,
    Anchor,
    NewAction,
    NewCase,
    NewRequest,
    Store,
    ask,
    chain,
)
from plaque_edge.types import Reason, SeriesInfo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    with Store(tmp_path) as store:
        case = store.open_case(NewCase(SeriesInfo("1", "1.1", patient_name="Doe^Jane"), 1, 5))
        store.move(case, "READY")
        store.move(case, "RUNNING")
        store.move(case, "REVIEW", Reason("QC_NOISE", "Noisy.", "Look."), result_sha256="f" * 64)
        store.record_action(case, NewAction("accept", "dr.li", result_sha256="f" * 64))
        store.record_action(case, NewAction("sign", "dr.li", result_sha256="f" * 64))
        store.note("deleted.result", {"files": 3, "bytes": 10}, case)
    return tmp_path


def forge(out: Path, *statements: str) -> None:
    """What somebody with the file and a tool can do."""
    db = sqlite3.connect(out / DATABASE)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def faults(out: Path, *anchors: Anchor) -> list[str]:
    with Store(out, read_only=True) as store:
        return [fault.text for fault in store.verify_audit(anchors).faults]


def test_a_print_is_in_the_log_with_who_which_case_and_which_numbers(out: Path) -> None:
    note = {
        "page": "result",
        "to": "pdf",
        "copies": 1,
        "corrected": True,
        "result_sha256": "f" * 64,
    }
    ask(out, NewRequest("print", "dr.wu", "1", "1.1", 1, note))
    ask(out, NewRequest("print", "dr.wu", "1", "1.1", 1, note | {"failed": "PRINT_FAILED"}))
    with Store(out) as store:
        answer_requests(SimpleNamespace(store=store, say=lambda _: None))  # type: ignore[arg-type]
        assert store.requests() == ()
        case = store.cases()[0].case_id
        rows = [row for row in store.audit(case) if row.kind == "print"]
    assert [row.person for row in rows] == ["dr.wu", "dr.wu"]
    assert [row.detail["arguments"] for row in rows] == [note, note | {"failed": "PRINT_FAILED"}]
    assert [row.detail["revision"] for row in rows] == [1, 1]
    assert all(row.detail["refused"] is None for row in rows)
    assert faults(out) == []
    forge(out, "UPDATE audit SET person = 'nobody' WHERE kind = 'print'")
    assert any("was changed" in text for text in faults(out))


def test_untouched_log_is_whole_and_names_who_and_what(out: Path) -> None:
    assert faults(out) == []
    with Store(out, read_only=True) as store:
        rows = store.audit()
    assert [r.seq for r in rows] == list(range(1, 8))
    assert [r.kind for r in rows[3:]] == ["state", "action.accept", "action.sign", "deleted.result"]
    assert [r.person for r in rows[4:6]] == ["dr.li", "dr.li"]
    assert rows[3].detail == {"from": "RUNNING", "to": "REVIEW", "code": "QC_NOISE"}


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE audit SET person = 'dr.no' WHERE seq = 6", ["row 6 was changed"]),
        ("UPDATE audit SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 1", ["row 1 was changed"]),
        ("UPDATE audit SET case_id = NULL WHERE seq = 3", ["row 3 was changed"]),
        ("DELETE FROM audit WHERE seq = 4", ["row 4 is gone"]),
        ("DELETE FROM audit WHERE seq IN (2, 3)", ["rows 2 to 3 are gone"]),
        ("DELETE FROM audit WHERE seq = 1", ["row 1 is gone"]),
        ("DELETE FROM audit WHERE seq >= 6", ["rows 6 to 7 are gone at the end"]),
        ("DELETE FROM audit", ["rows 1 to 7 are gone at the end"]),
    ],
)
def test_what_was_done_to_it_is_said(out: Path, statement: str, found: list[str]) -> None:
    forge(out, statement)
    assert faults(out) == found


def test_rows_in_each_others_place_are_told(out: Path) -> None:
    forge(
        out,
        "UPDATE audit SET seq = 99 WHERE seq = 3",
        "UPDATE audit SET seq = 3 WHERE seq = 5",
        "UPDATE audit SET seq = 5 WHERE seq = 99",
    )
    told = faults(out)
    assert "row 3 is row 5, moved" in told
    assert "row 5 is row 3, moved" in told


def test_end_cut_off_with_its_counter_is_known_by_the_anchor(out: Path) -> None:
    with Store(out, read_only=True) as store:
        anchor = store.anchor()
    forge(
        out,
        "DELETE FROM audit WHERE seq > 5",
        "UPDATE sqlite_sequence SET seq = 5 WHERE name = 'audit'",
    )
    assert faults(out) == []  # the chain alone cannot know
    assert faults(out, anchor) == ["rows 6 to 7 are gone at the end: the anchor knows them"]


def test_log_written_anew_is_known_by_the_anchor(out: Path) -> None:
    with Store(out, read_only=True) as store:
        anchor = store.anchor()
    db = sqlite3.connect(out / DATABASE)
    db.row_factory = sqlite3.Row
    rows = [chain.row_of(r) for r in db.execute("SELECT * FROM audit ORDER BY seq")]
    db.close()
    forge(out, "DELETE FROM audit", "UPDATE sqlite_sequence SET seq = 0 WHERE name = 'audit'")
    db = sqlite3.connect(out / DATABASE)
    for row in rows:
        person = "dr.no" if row.kind == "action.sign" else row.person
        chain.append(db, row.kind, row.case_id, row.detail, person=person, at=row.at)
    db.commit()
    db.close()
    assert faults(out) == []
    assert faults(out, anchor) == ["row 7 is not the one the anchor knows"]


def test_database_itself_refuses_to_change_what_is_only_added_to(out: Path) -> None:
    db = sqlite3.connect(out / DATABASE)
    for table, key in (("audit", "seq"), ("actions", "action_id")):
        columns = [c[1] for c in db.execute(f"PRAGMA table_info({table})")]
        values = ", ".join("1" if c == key else c for c in columns)
        for sql in (
            f"UPDATE {table} SET person = 'x'",
            f"DELETE FROM {table}",
            f"INSERT OR REPLACE INTO {table} SELECT {values} FROM {table} LIMIT 1",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="only added to"):
                db.execute(sql)
    db.close()


def test_commands(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--out", str(out)]
    assert main(["audit", "verify", *at]) == 0
    said = capsys.readouterr().out
    assert "7 rows, unbroken" in said
    newest = said.split()[-1]
    assert main(["audit", "show", *at, "--case", "1"]) == 0
    shown = capsys.readouterr().out
    assert "action.sign case 1 by dr.li" in shown
    assert "Doe" not in shown
    assert main(["audit", "show", *at, "--json"]) == 0
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 7
    forge(out, "DELETE FROM audit WHERE seq = 7", "UPDATE sqlite_sequence SET seq = 6")
    assert main(["audit", "verify", *at]) == 0
    assert main(["audit", "verify", *at, "--anchor", newest]) == 1
    assert "AUDIT_BROKEN: row 7 is gone at the end" in capsys.readouterr().out
    number, _, sha256 = newest.partition(":")
    (out / ANCHOR).write_text(json.dumps({"seq": int(number), "sha256": sha256}))
    assert main(["audit", "verify", *at, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["faults"][0]["seq"] == 7
    assert main(["audit", "verify", *at, "--anchor", "x"]) == 2


def test_failed_change_leaves_no_row(out: Path) -> None:
    with Store(out) as store:
        before = store.audit()
        with pytest.raises(KeyError), store.together():
            store.move(1, "OUTDATED")
            store.case(99)
        assert store.audit() == before
        assert store.case(1).state == "REVIEW"
