"""What people did to a result: accepted, rejected, signed it, gave covariates. Only added to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plaque_edge.store.chain import append
from plaque_edge.store.clock import utc_now
from plaque_edge.store.database import Database, dump
from plaque_edge.types import Covariates

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class NewAction:
    """One act of ``person`` on a case; ``result_sha256`` says of which result exactly."""

    kind: str
    person: str
    arguments: dict[str, Any] = field(default_factory=dict)
    request_id: int | None = None
    result_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """An act as the store holds it; ``at`` is ISO 8601 in UTC."""

    action_id: int
    case_id: int
    at: str
    done: NewAction


class ActionTable(Database):
    """Reading is for everybody, writing for the service alone."""

    def actions(self, case_id: int) -> tuple[Action, ...]:
        """Return what was done to a case, oldest first."""
        rows = self._all("SELECT * FROM actions WHERE case_id = ? ORDER BY action_id", case_id)
        return tuple(_action(row) for row in rows)

    def covariates(self, study_uid: str) -> Covariates:
        """Return what people have said of a study's patient, the latest word on each."""
        rows = self._all(
            "SELECT arguments FROM actions JOIN cases USING (case_id) "
            "WHERE kind = 'covariates' AND study_uid = ? ORDER BY action_id",
            study_uid,
        )
        said: dict[str, Any] = {}
        for row in rows:
            said |= json.loads(row["arguments"])
        return Covariates(**said)

    def acknowledged(self) -> frozenset[int]:
        """Return the cases of which somebody has seen why they have no value."""
        rows = self._all("SELECT DISTINCT case_id FROM actions WHERE kind = 'acknowledge'")
        return frozenset(int(row["case_id"]) for row in rows)

    def record_action(self, case_id: int, action: NewAction) -> int:
        """Write down an act, and into the audit log; return its number."""
        with self._change(flush=True) as db:
            done = db.execute(
                "INSERT INTO actions (case_id, kind, arguments, person, at, request_id, "
                "result_sha256) VALUES (?,?,?,?,?,?,?)",
                (
                    case_id, action.kind, dump(action.arguments), action.person, utc_now(),
                    action.request_id, action.result_sha256,
                ),
            )  # fmt: skip
            number = done.lastrowid or 0
            detail = {"action": number, "result_sha256": action.result_sha256}
            append(db, f"action.{action.kind}", case_id, detail, person=action.person)
        return number


def _action(row: sqlite3.Row) -> Action:
    done = NewAction(
        row["kind"], row["person"], json.loads(row["arguments"]), row["request_id"],
        row["result_sha256"],
    )  # fmt: skip
    return Action(row["action_id"], row["case_id"], row["at"], done)
