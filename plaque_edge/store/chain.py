"""The audit log: rows that are only added, each with a hash that covers the one before.

Whoever changes, removes or moves a row breaks the chain at that place. Whoever cuts off its end
or writes all of it anew is found by an anchor: number and hash of a row, kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plaque_edge.store.clock import utc_now

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

START = "0" * 64
"""What the first row has in place of the hash before it."""
_MOST_SEARCHED = 100
"""Rows for which a place they were moved from is looked for."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the log. ``detail`` is what the kind needs; it names nobody but ``person``."""

    seq: int
    at: str
    kind: str
    case_id: int | None
    person: str
    detail: dict[str, Any]
    previous: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """A row that was there: its number and hash."""

    seq: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where the log is not what was written: the row's number and what is wrong."""

    seq: int
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What :func:`verify` found: how many rows, the last one, every fault in order."""

    rows: int
    last: Anchor
    faults: tuple[Fault, ...]


def append(
    db: sqlite3.Connection,
    kind: str,
    case_id: int | None,
    detail: dict[str, Any],
    *,
    person: str = "",
    at: str | None = None,
) -> None:
    """Add one row, inside the caller's transaction."""
    last = db.execute("SELECT seq, sha256 FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = (last[0] + 1, last[1]) if last else (1, START)
    text = json.dumps(detail, ensure_ascii=False, allow_nan=False, sort_keys=True)
    values = (seq, at or utc_now(), kind, case_id, person, text)
    db.execute(
        "INSERT INTO audit (seq, at, kind, case_id, person, detail, previous, sha256) "
        "VALUES (?,?,?,?,?,?,?,?)",
        (*values, previous, _hash(*values, previous)),
    )


def row_of(row: sqlite3.Row) -> AuditRow:
    """Return a row of the table as a dataclass."""
    return AuditRow(
        row["seq"], row["at"], row["kind"], row["case_id"], row["person"],
        json.loads(row["detail"]), row["previous"], row["sha256"],
    )  # fmt: skip


def verify(rows: Iterable[sqlite3.Row], counter: int, anchors: Iterable[Anchor] = ()) -> Verdict:
    """Go through the log from its first row. ``counter`` is the last number ever given out."""
    faults: list[Fault] = []
    seen: dict[int, str] = {}
    previous, last = START, 0
    wrong: list[tuple[Any, ...]] = []
    for row in rows:
        values = tuple(row)
        seq, sha256 = values[0], values[7]
        if seq != last + 1:
            faults.append(Fault(last + 1, _removed(last + 1, seq - 1)))
        elif values[6] != previous:
            faults.append(Fault(seq, f"row {seq} does not follow row {last}"))
        if _hash(*values[:7]) != sha256:
            wrong.append(values)
        seen[seq] = sha256
        previous, last = sha256, seq
    faults += _wrong_rows(wrong, list(seen))
    if counter > last:
        faults.append(Fault(last + 1, _removed(last + 1, counter) + " at the end"))
    faults += _against(anchors, seen, max(last, counter))
    end = Anchor(last, previous)
    return Verdict(len(seen), end, tuple(sorted(faults, key=lambda f: f.seq)))


def _hash(*values: object) -> str:
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _removed(first: int, last: int) -> str:
    return f"row {first} is gone" if first == last else f"rows {first} to {last} are gone"


def _wrong_rows(wrong: list[tuple[Any, ...]], numbers: list[int]) -> Iterator[Fault]:
    """Tell rows that were changed from rows that stand in another's place."""
    for values in wrong[:_MOST_SEARCHED]:
        seq = values[0]
        moved = next((n for n in numbers if _hash(n, *values[1:7]) == values[7]), None)
        where = f"row {seq} was changed" if moved is None else f"row {seq} is row {moved}, moved"
        yield Fault(seq, where)
    for values in wrong[_MOST_SEARCHED:]:
        yield Fault(values[0], f"row {values[0]} was changed")


def _against(anchors: Iterable[Anchor], seen: dict[int, str], known: int) -> Iterator[Fault]:
    for anchor in anchors:
        if anchor.seq > known:
            text = f"{_removed(known + 1, anchor.seq)} at the end: the anchor knows them"
            yield Fault(known + 1, text)
        elif anchor.seq in seen and seen[anchor.seq] != anchor.sha256:
            yield Fault(anchor.seq, f"row {anchor.seq} is not the one the anchor knows")
