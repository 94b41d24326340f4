"""The cases: one row for each revision of each series, and the legal changes of its state."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaque_edge.cases import (
    FINISHED,
    MAX_ATTEMPTS,
    TRANSITIONS,
    CaseRow,
    Event,
    IllegalTransition,
    NewCase,
    State,
    listed,
)
from plaque_edge.store.chain import append
from plaque_edge.store.clock import utc_now
from plaque_edge.store.database import Database, dump
from plaque_edge.types import Reason, SeriesInfo

if TYPE_CHECKING:
    import sqlite3

GONE = Reason(
    "SERVICE_KILLED",
    "The service ended without a word while this was analysed.",
    "It is analysed again by itself.",
)


class CaseTable(Database):
    """Reading is for everybody, writing for the service alone."""

    # ---- reading -------------------------------------------------------------------------

    def cases(self, *, everything: bool = False) -> tuple[CaseRow, ...]:
        """Return the cases, newest first, without the ``ASIDE`` ones of studies with a better.

        ``everything`` returns those as well.
        """
        rows = tuple(self._row(r) for r in self._all("SELECT * FROM cases ORDER BY case_id DESC"))
        return rows if everything else listed(rows)

    def changed_since(self, at: str) -> tuple[CaseRow, ...]:
        """Return the cases changed at or after ``at`` (ISO 8601 in UTC), newest first, all kinds.

        With :meth:`count` a console keeps a list of thousands up to date without reading it all.
        """
        rows = self._all("SELECT * FROM cases WHERE updated_at >= ? ORDER BY case_id DESC", at)
        return tuple(self._row(r) for r in rows)

    def count(self) -> int:
        """Return the number of cases, all kinds."""
        return int(self._all("SELECT COUNT(*) AS n FROM cases")[0]["n"])

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

    def case_of_result(self, folder: Path) -> CaseRow | None:
        """Return the case whose result lies in ``folder``, ``None`` where it is nobody's."""
        out_dir = self.out_dir.resolve()
        if not folder.resolve().is_relative_to(out_dir):
            return None
        place = folder.resolve().relative_to(out_dir).as_posix()
        found = self._all("SELECT * FROM cases WHERE result_dir = ?", place)
        return self._row(found[0]) if found else None

    def files(self, case_id: int) -> frozenset[str]:
        """Return the keys of the files a case was opened with."""
        found = self._all("SELECT files FROM cases WHERE case_id = ?", case_id)
        return frozenset(json.loads(found[0]["files"])) if found else frozenset()

    def events(self, case_id: int | None = None) -> tuple[Event, ...]:
        """Return the changes of state, oldest first, of one case or of all."""
        where = "" if case_id is None else "AND case_id = ?"
        rows = self._all(
            f"SELECT case_id, at, detail FROM audit WHERE kind = 'state' {where} ORDER BY seq",
            *(() if case_id is None else (case_id,)),
        )
        found = [(r["case_id"], r["at"], json.loads(r["detail"])) for r in rows]
        return tuple(Event(i, at, d["from"], d["to"], d["code"]) for i, at, d in found)

    # ---- writing (the service alone) -----------------------------------------------------

    def open_case(self, new: NewCase) -> int:
        """Open a case in SEEN and return its number."""
        now = utc_now()
        with self._change() as db:
            done = db.execute(
                "INSERT INTO cases (study_uid, series_uid, revision, state, info, received, "
                "expected, created_at, updated_at, files, urgent) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (
                    new.info.study_instance_uid, new.info.series_instance_uid, new.revision, "SEEN",
                    dump(asdict(new.info)), new.received, new.expected, now, now,
                    dump(sorted(new.files)), new.urgent,
                ),
            )  # fmt: skip
            case_id = done.lastrowid or 0
            _journal(db, case_id, None, "SEEN", None)
        return case_id

    def update(self, case_id: int, **columns: Any) -> None:
        """Change what is known of a case, not its state.

        Columns: step, progress, message, info, received, expected, files, result_dir,
        result_sha256, urgent.
        """
        with self._change() as db:
            _write(db, case_id, self._plain(columns))

    def move(
        self, case_id: int, state: State, reason: Reason | None = None, **columns: Any
    ) -> None:
        """Change the state of a case. Raises :class:`IllegalTransition`."""
        with self._change(flush=state in FINISHED) as db:
            old: State = db.execute(
                "SELECT state FROM cases WHERE case_id = ?", (case_id,)
            ).fetchone()["state"]
            if state not in TRANSITIONS[old]:
                raise IllegalTransition(old, state)
            changes = self._plain(columns) | {"state": state}
            changes["reason"] = None if reason is None else dump(asdict(reason))
            if state == "RUNNING":
                db.execute("UPDATE cases SET attempts = attempts + 1 WHERE case_id = ?", (case_id,))
            _write(db, case_id, changes)
            _journal(db, case_id, old, state, reason)

    def worker_died(self, case_id: int, reason: Reason) -> State:
        """Take back a RUNNING case whose worker is gone: READY again, FAILED the third time."""
        row = self.case(case_id)
        if row.attempts < MAX_ATTEMPTS:
            self.give_back(case_id, reason)
            return "READY"
        text = f"{reason.text} This was attempt {row.attempts}, the last."
        last = Reason(reason.code, text, "Send the scan and the log to the developers.")
        self.move(case_id, "FAILED", last, message=text)
        return "FAILED"

    def give_back(self, case_id: int, reason: Reason, *, counts: bool = True) -> None:
        """Put a RUNNING case back into the queue; an attempt that does not count is taken off."""
        left = {} if counts else {"attempts": self.case(case_id).attempts - 1}
        self.move(
            case_id, "READY", reason, step="series", progress=0.0, message=reason.text, **left
        )

    def recover(self) -> tuple[int, ...]:
        """Take back what a dead service left RUNNING; return those cases."""
        left = [r.case_id for r in self.cases(everything=True) if r.state == "RUNNING"]
        for case_id in left:
            self.worker_died(case_id, GONE)
        return tuple(left)

    # ---- inside --------------------------------------------------------------------------

    def _plain(self, columns: dict[str, Any]) -> dict[str, Any]:
        plain = dict(columns)
        if "info" in plain:
            plain["info"] = dump(asdict(plain["info"]))
        if "files" in plain:
            plain["files"] = dump(sorted(plain["files"]))
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
            attempts=row["attempts"], urgent=bool(row["urgent"]),
            result_sha256=row["result_sha256"],
        )  # fmt: skip


_COLUMNS = frozenset(
    "state step progress message reason info received expected files result_dir "
    "result_sha256 urgent attempts".split()
)


def _write(db: sqlite3.Connection, case_id: int, columns: dict[str, Any]) -> None:
    unknown = set(columns) - _COLUMNS
    if unknown:
        raise ValueError(f"no such columns: {sorted(unknown)}")
    columns = columns | {"updated_at": utc_now()}
    names = ", ".join(f"{name} = ?" for name in columns)
    db.execute(f"UPDATE cases SET {names} WHERE case_id = ?", (*columns.values(), case_id))


def _journal(
    db: sqlite3.Connection, case_id: int, old: State | None, new: State, reason: Reason | None
) -> None:
    code = reason.code if reason else ""
    append(db, "state", case_id, {"from": old, "to": new, "code": code})


_INFO_FIELDS = frozenset(f.name for f in fields(SeriesInfo))


def _info(data: dict[str, Any]) -> SeriesInfo:
    known = {k: v for k, v in data.items() if k in _INFO_FIELDS}
    known["image_type"] = tuple(known.get("image_type", ()))
    return SeriesInfo(**known)
