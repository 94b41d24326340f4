"""What the store's tables look like, version by version; only ever forward.

A change of the tables is a new entry in :data:`MIGRATIONS`; an entry that has been released is
never edited. ``PRAGMA user_version`` holds the number of the last one that was applied.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from plaque_edge.errors import Failed
from plaque_edge.private import make_file
from plaque_edge.store.chain import append
from plaque_edge.store.clock import file_stamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _only_added_to(table: str, key: str) -> str:
    """Return triggers that refuse a change or a removal of a row, also by REPLACE."""
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is only added to'); END;"
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}"
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) {refuse}"
    )


_V1 = """
CREATE TABLE cases (
  case_id INTEGER PRIMARY KEY AUTOINCREMENT,
  study_uid TEXT NOT NULL, series_uid TEXT NOT NULL, revision INTEGER NOT NULL,
  state TEXT NOT NULL, step TEXT NOT NULL DEFAULT 'watch', progress REAL NOT NULL DEFAULT 0,
  message TEXT NOT NULL DEFAULT '', reason TEXT, info TEXT NOT NULL,
  received INTEGER NOT NULL DEFAULT 0, expected INTEGER,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, result_dir TEXT,
  attempts INTEGER NOT NULL DEFAULT 0, files TEXT NOT NULL DEFAULT '[]',
  UNIQUE (study_uid, series_uid, revision));
CREATE INDEX cases_state ON cases (state);
CREATE TABLE events (
  event_id INTEGER PRIMARY KEY AUTOINCREMENT, case_id INTEGER NOT NULL REFERENCES cases,
  at TEXT NOT NULL, state_from TEXT, state_to TEXT NOT NULL, code TEXT NOT NULL DEFAULT '');
CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN
  SELECT RAISE(ABORT, 'events are only added to'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN
  SELECT RAISE(ABORT, 'events are only added to'); END;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta VALUES ('changes', '0');
"""

_V2 = f"""
ALTER TABLE cases ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cases ADD COLUMN result_sha256 TEXT;
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL,
  case_id INTEGER REFERENCES cases, person TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL,
  previous TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE INDEX audit_case ON audit (case_id);
{_only_added_to("audit", "seq")}
CREATE TABLE requests (
  request_id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,
  study_uid TEXT NOT NULL, series_uid TEXT NOT NULL, revision INTEGER,
  arguments TEXT NOT NULL DEFAULT '{{}}', person TEXT NOT NULL, asked_at TEXT NOT NULL,
  done_at TEXT, reason TEXT);
CREATE INDEX requests_open ON requests (request_id) WHERE done_at IS NULL;
CREATE TABLE actions (
  action_id INTEGER PRIMARY KEY AUTOINCREMENT, case_id INTEGER NOT NULL REFERENCES cases,
  kind TEXT NOT NULL, arguments TEXT NOT NULL DEFAULT '{{}}', person TEXT NOT NULL,
  at TEXT NOT NULL, request_id INTEGER REFERENCES requests, result_sha256 TEXT);
CREATE INDEX actions_case ON actions (case_id);
{_only_added_to("actions", "action_id")}
CREATE TABLE conditions (
  code TEXT PRIMARY KEY, level TEXT NOT NULL, text TEXT NOT NULL, next_step TEXT NOT NULL,
  since TEXT NOT NULL);
"""


def _to_2(db: sqlite3.Connection) -> None:
    """Move the journal of states into the audit log, with its times."""
    for row in db.execute("SELECT * FROM events ORDER BY event_id").fetchall():
        detail = {"from": row["state_from"], "to": row["state_to"], "code": row["code"]}
        append(db, "state", row["case_id"], detail, at=row["at"])
    db.execute("DROP TABLE events")


def _nothing(_db: sqlite3.Connection) -> None:
    """Do no more than the SQL."""


MIGRATIONS: Final[tuple[tuple[str, Callable[[sqlite3.Connection], None]], ...]] = (
    (_V1, _nothing),
    (_V2, _to_2),
)
"""Number n leads from schema n to n + 1: SQL, then what SQL alone can't do."""
SCHEMA_VERSION: Final = len(MIGRATIONS)


def version_of(db: sqlite3.Connection) -> int:
    """Return the file's schema, 0 for an empty file. Raises ``Failed`` STORE_NEWER."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise Failed(
            "STORE_NEWER",
            f"The store was written by a later version (schema {version}).",
            "Update plaque-edge, or choose another folder with --out.",
        )
    return version


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the file to :data:`SCHEMA_VERSION`, all of it or nothing.

    One that holds something is first copied beside itself, as ``NAME.schema-N.TIME.bak``.
    """
    old = version_of(db)
    if old == SCHEMA_VERSION:
        return
    kept = _keep_copy(db, path, old) if old else None
    db.execute(f"PRAGMA synchronous = {'FULL' if old else 'NORMAL'}")
    db.execute("BEGIN IMMEDIATE")
    try:
        for number in range(old, SCHEMA_VERSION):
            sql, further = MIGRATIONS[number]
            for statement in _statements(sql):
                db.execute(statement)
            further(db)
        if kept is not None:
            append(db, "migrated", None, {"from": old, "to": SCHEMA_VERSION, "copy": kept.name})
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _keep_copy(db: sqlite3.Connection, path: Path, version: int) -> Path:
    """Copy the file as it is beside itself and prove the copy. Raises ``sqlite3.Error``."""
    copy = path.with_name(f"{path.name}.schema-{version}.{file_stamp()}.bak")
    copy_whole(db, copy)
    return copy


def copy_whole(db: sqlite3.Connection, target: Path, pages: int = -1) -> None:
    """Copy a database that may be in use to one whole file, for its owner alone.

    ``pages`` at a time, so that a writer gets in between. The copy is proved; a bad or partial
    one is removed. Raises ``sqlite3.Error``, ``OSError``.
    """
    try:
        make_file(target)
        with closing(sqlite3.connect(target)) as copy:
            db.backup(copy, pages=pages, sleep=0.005)
            copy.execute("PRAGMA journal_mode = DELETE")
            verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(f"the copy is not whole: {verdict}")
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _statements(sql: str) -> list[str]:
    """Split a script at the ends of its statements (a trigger is one), for one transaction."""
    found, current = [], ""
    for part in sql.split(";"):
        current += part + ";"
        if sqlite3.complete_statement(current):
            found.append(current)
            current = ""
    return found
