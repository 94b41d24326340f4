"""The store: one SQLite file that knows every case, its state and how it got there.

One process writes (the service), any number read (the console). The journal is a WAL, so a
process that is killed leaves the last whole state behind. Every change of state is also one
line in ``events``, which is only ever added to.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from plaque_edge.cases import (
    ASIDE,
    FINISHED,
    MAX_ATTEMPTS,
    STATES,
    TRANSITIONS,
    CaseRow,
    Event,
    IllegalTransition,
    NewCase,
    State,
    Step,
    listed,
)
from plaque_edge.errors import Failed
from plaque_edge.types import Reason, SeriesInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

__all__ = [
    "ASIDE",
    "DATABASE",
    "FINISHED",
    "MAX_ATTEMPTS",
    "SCHEMA_VERSION",
    "STATES",
    "TRANSITIONS",
    "CaseRow",
    "Event",
    "IllegalTransition",
    "NewCase",
    "State",
    "Step",
    "Store",
    "listed",
    "utc_now",
]

DATABASE: Final = "plaque-edge.sqlite"
SCHEMA_VERSION: Final = 1
_SCHEMA = """
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


class Store:
    """The cases under ``out_dir``.

    Raises ``Failed``: STORE_NEWER (written by a later version), STORE_UNREADABLE,
    STORE_MISSING (read-only and no store there).
    """

    def __init__(self, out_dir: Path, read_only: bool = False) -> None:
        self.out_dir = Path(out_dir)
        self.read_only = read_only
        self._lock = threading.RLock()
        path = self.out_dir / DATABASE
        if read_only and not path.exists():
            raise Failed(
                "STORE_MISSING", "There is no store in this folder.", "Start 'plaque-edge watch'."
            )
        with _translated():
            if not read_only:
                self.out_dir.mkdir(parents=True, exist_ok=True)
            self._db = _connect(path, read_only)
            self._open_schema()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        with self._lock:
            self._db.close()

    # ---- reading -------------------------------------------------------------------------

    def cases(self, *, everything: bool = False) -> tuple[CaseRow, ...]:
        """Return the cases, newest first, without the :data:`ASIDE` ones of studies with a better.

        ``everything`` returns those as well.
        """
        rows = tuple(self._row(r) for r in self._all("SELECT * FROM cases ORDER BY case_id DESC"))
        return rows if everything else listed(rows)

    def case(self, case_id: int) -> CaseRow:
        """Return one case. Raises ``KeyError`` when there is none of this number."""
        found = self._all("SELECT * FROM cases WHERE case_id = ?", case_id)
        if not found:
            raise KeyError(case_id)
        return self._row(found[0])

    def latest(self, study_uid: str, series_uid: str) -> CaseRow | None:
        """Return the newest revision of a series."""
        found = self._all(
            "SELECT * FROM cases WHERE study_uid = ? AND series_uid = ? "
            "ORDER BY revision DESC LIMIT 1",
            study_uid,
            series_uid,
        )
        return self._row(found[0]) if found else None

    def files(self, case_id: int) -> frozenset[str]:
        """Return the keys of the files a case was opened with."""
        found = self._all("SELECT files FROM cases WHERE case_id = ?", case_id)
        return frozenset(json.loads(found[0]["files"])) if found else frozenset()

    def events(self, case_id: int | None = None) -> tuple[Event, ...]:
        """Return the journal, oldest first, of one case or of all."""
        where = "" if case_id is None else "WHERE case_id = ?"
        rows = self._all(
            f"SELECT * FROM events {where} ORDER BY event_id",
            *(() if case_id is None else (case_id,)),
        )
        return tuple(
            Event(r["case_id"], r["at"], r["state_from"], r["state_to"], r["code"]) for r in rows
        )

    def data_version(self) -> int:
        """Return a number that changes with every change of a case, and costs nothing to ask."""
        return int(self._all("SELECT value FROM meta WHERE key = 'changes'")[0]["value"])

    def heartbeat_age_s(self) -> float | None:
        """Return the seconds since the service's last sign of life, ``None`` before the first."""
        found = self._all("SELECT value FROM meta WHERE key = 'heartbeat'")
        return max(0.0, time.time() - float(found[0]["value"])) if found else None

    # ---- writing (the service alone) -----------------------------------------------------

    def heartbeat(self) -> None:
        """Write the service's sign of life; no change of a case."""
        self._set_meta("heartbeat", repr(time.time()))

    def stop_heartbeat(self) -> None:
        """Say that the service has ended, so that nobody waits for it."""
        with self._change(count=False) as db:
            db.execute("DELETE FROM meta WHERE key = 'heartbeat'")

    def open_case(self, new: NewCase) -> int:
        """Open a case in SEEN and return its number."""
        now = utc_now()
        with self._change() as db:
            done = db.execute(
                "INSERT INTO cases (study_uid, series_uid, revision, state, info, received, "
                "expected, created_at, updated_at, files) VALUES (?,?,?,?,?,?,?,?,?,?)",
                (
                    new.info.study_instance_uid, new.info.series_instance_uid, new.revision, "SEEN",
                    _dump(asdict(new.info)), new.received, new.expected, now, now,
                    _dump(sorted(new.files)),
                ),
            )  # fmt: skip
            case_id = done.lastrowid or 0
            _journal(db, case_id, None, "SEEN", "")
        return case_id

    def update(self, case_id: int, **columns: Any) -> None:
        """Change what is known of a case, not its state.

        Columns: step, progress, message, info, received, expected, files, result_dir.
        """
        with self._change() as db:
            _write(db, case_id, self._plain(columns))

    def move(
        self, case_id: int, state: State, reason: Reason | None = None, **columns: Any
    ) -> None:
        """Change the state of a case. Raises :class:`IllegalTransition`."""
        with self._change() as db:
            old: State = db.execute(
                "SELECT state FROM cases WHERE case_id = ?", (case_id,)
            ).fetchone()["state"]
            if state not in TRANSITIONS[old]:
                raise IllegalTransition(old, state)
            changes = self._plain(columns) | {"state": state}
            changes["reason"] = None if reason is None else _dump(asdict(reason))
            _write(db, case_id, changes)
            if state == "RUNNING":
                db.execute("UPDATE cases SET attempts = attempts + 1 WHERE case_id = ?", (case_id,))
            _journal(db, case_id, old, state, reason.code if reason else "")

    def worker_died(self, case_id: int) -> State:
        """Take back a RUNNING case whose worker is gone: READY again, FAILED the third time."""
        row = self.case(case_id)
        if row.attempts < MAX_ATTEMPTS:
            self.move(case_id, "READY", step="series", progress=0.0, message="Waiting to try again")
            return "READY"
        text = f"The analysis ended without a word {row.attempts} times."
        reason = Reason("WORKER_DIED", text, "Send the scan and the log to the developers.")
        self.move(case_id, "FAILED", reason, message=text)
        return "FAILED"

    def recover(self) -> tuple[int, ...]:
        """Take back what a dead service left RUNNING; return those cases."""
        left = [r.case_id for r in self.cases(everything=True) if r.state == "RUNNING"]
        for case_id in left:
            self.worker_died(case_id)
        return tuple(left)

    # ---- inside --------------------------------------------------------------------------

    def _open_schema(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            self._db.close()
            raise Failed(
                "STORE_NEWER",
                f"The store was written by a later version (schema {version}).",
                "Update plaque-edge, or choose another folder with --out.",
            )
        if version == 0 and not self.read_only:
            self._db.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        elif version == 0:
            self._db.close()
            raise Failed("STORE_MISSING", "The store is being made.", "Try again in a second.")

    def _all(self, sql: str, *values: Any) -> Sequence[sqlite3.Row]:
        with self._lock, _translated():
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _change(self, count: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction; all of it happens or none."""
        with self._lock, _translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                if count:
                    self._db.execute("UPDATE meta SET value = value + 1 WHERE key = 'changes'")
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _set_meta(self, key: str, value: str) -> None:
        with self._change(count=False) as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _plain(self, columns: dict[str, Any]) -> dict[str, Any]:
        plain = dict(columns)
        if "info" in plain:
            plain["info"] = _dump(asdict(plain["info"]))
        if "files" in plain:
            plain["files"] = _dump(sorted(plain["files"]))
        if plain.get("result_dir") is not None:
            plain["result_dir"] = Path(plain["result_dir"]).relative_to(self.out_dir).as_posix()
        return plain

    def _row(self, row: sqlite3.Row) -> CaseRow:
        reason = json.loads(row["reason"]) if row["reason"] else None
        place = row["result_dir"]
        return CaseRow(
            case_id=row["case_id"], series_uid=row["series_uid"], study_uid=row["study_uid"],
            revision=row["revision"], state=row["state"], step=row["step"],
            progress=row["progress"], message=row["message"],
            reason=Reason(**reason) if reason else None, info=_info(json.loads(row["info"])),
            received=row["received"], expected=row["expected"], created_at=row["created_at"],
            updated_at=row["updated_at"], result_dir=self.out_dir / place if place else None,
            attempts=row["attempts"],
        )  # fmt: skip


def utc_now() -> str:
    """Return the time now, ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    target = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    db = sqlite3.connect(
        target, uri=True, isolation_level=None, timeout=10.0, check_same_thread=False
    )
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA foreign_keys = ON")
    if not read_only:
        db.execute("PRAGMA journal_mode = WAL")
        # Survives the death of any process; a power cut may lose the last moments, which the
        # next scan of the folder finds again.
        db.execute("PRAGMA synchronous = NORMAL")
    return db


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the database's errors into coded ones."""
    try:
        yield
    except sqlite3.Error as error:
        raise Failed(
            "STORE_UNREADABLE",
            f"The store cannot be read or written ({type(error).__name__}).",
            "Check the disk, its free space and the access rights of the output folder.",
        ) from error


_COLUMNS = frozenset(
    "state step progress message reason info received expected files result_dir".split()
)


def _write(db: sqlite3.Connection, case_id: int, columns: dict[str, Any]) -> None:
    unknown = set(columns) - _COLUMNS
    if unknown:
        raise ValueError(f"no such columns: {sorted(unknown)}")
    columns = columns | {"updated_at": utc_now()}
    names = ", ".join(f"{name} = ?" for name in columns)
    db.execute(f"UPDATE cases SET {names} WHERE case_id = ?", (*columns.values(), case_id))


def _journal(
    db: sqlite3.Connection, case_id: int, old: State | None, new: State, code: str
) -> None:
    db.execute(
        "INSERT INTO events (case_id, at, state_from, state_to, code) VALUES (?,?,?,?,?)",
        (case_id, utc_now(), old, new, code),
    )


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


_INFO_FIELDS = frozenset(f.name for f in fields(SeriesInfo))


def _info(data: dict[str, Any]) -> SeriesInfo:
    known = {k: v for k, v in data.items() if k in _INFO_FIELDS}
    known["image_type"] = tuple(known.get("image_type", ()))
    return SeriesInfo(**known)
