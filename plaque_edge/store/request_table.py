"""What people ask of the service: the console and the commands put it down, the service answers.

Nobody but the service changes a case. Whoever wants something adds a row here by :func:`ask`,
with a connection that can do nothing else, and sees ``done_at`` and ``reason`` when it is done.
A request waits while no service runs.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from plaque_edge.store.chain import append
from plaque_edge.store.clock import utc_now
from plaque_edge.store.database import (
    DATABASE,
    Database,
    connect,
    dump,
    missing,
    require_current,
    translated,
)
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS: Final = frozenset(
    "urgent cancel retry choose acknowledge accept reject sign covariates correct backup "
    "settings print".split()
)
"""Everything that can be asked; ``docs/store.md`` has the arguments of each."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """Something asked by ``person``, of one series or, without UIDs, of the service.

    ``revision`` names the result that the person saw; without it the newest is meant.
    """

    kind: str
    person: str
    study_uid: str = ""
    series_uid: str = ""
    revision: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the store holds it: open until ``done_at``; refused when it has a ``reason``."""

    request_id: int
    asked: NewRequest
    asked_at: str
    done_at: str | None
    reason: Reason | None


def ask(out_dir: Path, new: NewRequest) -> int:
    """Put down a request and return its number; some milliseconds, at most 10 s when busy.

    Raises ``ValueError`` for an unknown kind or nobody's name, and ``Failed`` as
    :class:`~plaque_edge.store.database.Database` does.
    """
    if new.kind not in REQUESTS:
        raise ValueError(f"nothing of the kind {new.kind!r} can be asked")
    if not new.person.strip():
        raise ValueError("a request needs the name of who asks")
    path = out_dir / DATABASE
    if not path.exists():
        raise missing()
    with translated(), closing(connect(path, "rw")) as db:
        require_current(db)
        db.execute("PRAGMA synchronous = FULL")
        db.set_authorizer(_may_only_ask)
        done = db.execute(
            "INSERT INTO requests (kind, study_uid, series_uid, revision, arguments, person, "
            "asked_at) VALUES (?,?,?,?,?,?,?)",
            (
                new.kind, new.study_uid, new.series_uid, new.revision, dump(new.arguments),
                new.person, utc_now(),
            ),
        )  # fmt: skip
        return done.lastrowid or 0


def _may_only_ask(action: int, table: str | None, *_: object) -> int:
    """SQLite asks this for everything a statement does."""
    write = action in (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
    own = table in ("requests", "sqlite_sequence") and action != sqlite3.SQLITE_DELETE
    reads = (sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_TRANSACTION)
    return sqlite3.SQLITE_OK if (write and own) or action in reads else sqlite3.SQLITE_DENY


class RequestTable(Database):
    """The service's side of it."""

    def requests(self, *, everything: bool = False) -> tuple[Request, ...]:
        """Return the open requests, oldest first; with ``everything`` the answered ones as well."""
        where = "" if everything else "WHERE done_at IS NULL"
        rows = self._all(f"SELECT * FROM requests {where} ORDER BY request_id")
        return tuple(_request(row) for row in rows)

    def request(self, request_id: int) -> Request:
        """Return one request. Raises ``KeyError`` when there is none of this number."""
        rows = self._all("SELECT * FROM requests WHERE request_id = ?", request_id)
        if not rows:
            raise KeyError(request_id)
        return _request(rows[0])

    def taken(self, study_uid: str) -> str | None:
        """Return the series or stack of a study that a person took last, if any did."""
        rows = self._all(
            "SELECT series_uid, arguments FROM requests WHERE kind = 'choose' AND study_uid = ? "
            "AND done_at IS NOT NULL AND reason IS NULL ORDER BY request_id DESC LIMIT 1",
            study_uid,
        )
        if not rows:
            return None
        return str(json.loads(rows[0]["arguments"]).get("take_uid", rows[0]["series_uid"]))

    def answer(self, request: Request, reason: Reason | None, case_id: int | None) -> None:
        """Close a request as done or, with a reason, as refused; it goes into the audit log."""
        asked = request.asked
        detail = {
            "request": request.request_id,
            "revision": asked.revision,
            "arguments": asked.arguments,
            "refused": reason.code if reason else None,
        }
        with self._change(flush=True) as db:
            db.execute(
                "UPDATE requests SET done_at = ?, reason = ? WHERE request_id = ?",
                (utc_now(), dump(asdict(reason)) if reason else None, request.request_id),
            )
            append(db, asked.kind, case_id, detail, person=asked.person)


def _request(row: sqlite3.Row) -> Request:
    asked = NewRequest(
        row["kind"], row["person"], row["study_uid"], row["series_uid"], row["revision"],
        json.loads(row["arguments"]),
    )  # fmt: skip
    reason = Reason(**json.loads(row["reason"])) if row["reason"] else None
    return Request(row["request_id"], asked, row["asked_at"], row["done_at"], reason)
