"""The whole store: cases, requests, actions, conditions, the audit log and signs of life."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from plaque_edge.store.action_table import ActionTable
from plaque_edge.store.case_table import CaseTable
from plaque_edge.store.chain import Anchor, AuditRow, append, row_of, verify
from plaque_edge.store.clock import utc_now
from plaque_edge.store.request_table import RequestTable
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plaque_edge.store.chain import Verdict


class Store(CaseTable, RequestTable, ActionTable):
    """The SQLite file under ``out_dir``. One process writes (the service), any number read."""

    def data_version(self) -> int:
        """Return a number that changes with every change of a case, and costs nothing to ask."""
        return int(self._all("SELECT value FROM meta WHERE key = 'changes'")[0]["value"])

    # ---- signs of life -------------------------------------------------------------------

    def heartbeat_age_s(self) -> float | None:
        """Return the seconds since the service's last sign of life, ``None`` before the first."""
        found = self._all("SELECT value FROM meta WHERE key = 'heartbeat'")
        return max(0.0, time.time() - float(found[0]["value"])) if found else None

    def heartbeat(self) -> None:
        """Write the service's sign of life; no change of a case."""
        with self._change(count=False) as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('heartbeat', ?)", (repr(time.time()),))

    def stop_heartbeat(self) -> None:
        """Say that the service has ended, so that nobody waits for it."""
        with self._change(count=False) as db:
            db.execute("DELETE FROM meta WHERE key = 'heartbeat'")

    # ---- conditions: what holds for the service as a whole ---------------------------------

    def conditions(self) -> tuple[Reason, ...]:
        """Return what is wrong with the service's surroundings now (disk, folders), oldest first.

        A console shows these above the list; ``level`` of a :class:`Reason` says how bad.
        """
        rows = self._all("SELECT * FROM conditions ORDER BY since, code")
        return tuple(Reason(r["code"], r["text"], r["next_step"]) for r in rows)

    def set_condition(self, reason: Reason, level: str = "warn") -> None:
        """Say that something is wrong now; said again with other words it replaces the first."""
        with self._change() as db:
            known = db.execute("SELECT text FROM conditions WHERE code = ?", (reason.code,))
            if known.fetchone() is None:
                append(db, "condition", None, {"code": reason.code, "on": True})
            db.execute(
                "INSERT INTO conditions VALUES (?,?,?,?,?) ON CONFLICT (code) DO UPDATE SET "
                "text = excluded.text, level = excluded.level, next_step = excluded.next_step",
                (reason.code, level, reason.text, reason.next_step, utc_now()),
            )

    def clear_condition(self, code: str) -> None:
        """Say that it is over; nothing happens when it was not."""
        with self._change() as db:
            if db.execute("DELETE FROM conditions WHERE code = ?", (code,)).rowcount:
                append(db, "condition", None, {"code": code, "on": False})

    # ---- audit ---------------------------------------------------------------------------

    def note(
        self, kind: str, detail: dict[str, Any], case_id: int | None = None, person: str = ""
    ) -> None:
        """Add a row to the audit log that belongs to no change of state."""
        with self._change(count=False, flush=True) as db:
            append(db, kind, case_id, detail, person=person)

    def audit(self, case_id: int | None = None, after: int = 0) -> tuple[AuditRow, ...]:
        """Return the audit log, oldest first, of one case or of all, ``after`` a row's number."""
        where = "" if case_id is None else "AND case_id = ?"
        case = () if case_id is None else (case_id,)
        rows = self._all(f"SELECT * FROM audit WHERE seq > ? {where} ORDER BY seq", after, *case)
        return tuple(row_of(row) for row in rows)

    def anchor(self) -> Anchor:
        """Return number and hash of the newest row, to be kept elsewhere; 0 in an empty log."""
        rows = self._all("SELECT seq, sha256 FROM audit ORDER BY seq DESC LIMIT 1")
        return Anchor(rows[0]["seq"], rows[0]["sha256"]) if rows else Anchor(0, "")

    def verify_audit(self, anchors: Iterable[Anchor] = ()) -> Verdict:
        """Go through the whole log; ``anchors`` are rows that are known to have been there."""
        rows = self._all("SELECT * FROM audit ORDER BY seq")
        found = self._all("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")
        return verify(rows, int(found[0]["seq"]) if found else 0, anchors)
