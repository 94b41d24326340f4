"""A copy of the store while the service writes it, and the way back.

Result folders are plain files and are copied with any tool; the copy made here is the journal
of what they are: cases, acts of people, the audit log.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import Failed, Refused
from plaque_edge.private import make_file
from plaque_edge.store.chain import verify
from plaque_edge.store.clock import file_stamp
from plaque_edge.store.database import DATABASE, connect, missing, translated
from plaque_edge.store.schema import SCHEMA_VERSION, copy_whole, version_of
from plaque_edge.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.store.chain import Anchor

_PAGES = 256
"""Copied at a time; the writer gets in between."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was opened and proved. ``newest`` is the last row of its audit log."""

    path: Path
    size_bytes: int
    schema: int
    cases: int
    newest: Anchor


def back_up(out_dir: Path, target: Path) -> Backup:
    """Copy the store of a running or resting service and prove the copy.

    Raises ``Refused`` BACKUP_EXISTS and ``Failed`` STORE_MISSING, BACKUP_NOT_WRITTEN,
    BACKUP_INVALID.
    """
    source = out_dir / DATABASE
    if not source.exists():
        raise missing()
    if target.exists():
        text = f"{target.name} is there already."
        raise Refused("BACKUP_EXISTS", text, "Choose another name; nothing is overwritten.")
    draft = target.with_name(f".{target.name}.part")
    try:
        with closing(connect(source, "ro")) as db:
            copy_whole(db, draft, _PAGES)
        found = prove(draft)
        draft.replace(target)
    except (OSError, sqlite3.Error) as error:
        draft.unlink(missing_ok=True)
        text = f"The copy could not be written ({type(error).__name__})."
        step = "Check free space and access rights of the folder it goes to."
        raise Failed("BACKUP_NOT_WRITTEN", text, step) from error
    except Failed:
        draft.unlink(missing_ok=True)
        raise
    return Backup(target, found.size_bytes, found.schema, found.cases, found.newest)


def prove(path: Path) -> Backup:
    """Open a copy and check every page, every reference and the audit chain.

    Raises ``Failed`` BACKUP_INVALID, STORE_NEWER.
    """
    try:
        with closing(connect(path, "ro")) as db:
            schema = version_of(db)
            pages = db.execute("PRAGMA integrity_check").fetchone()[0]
            loose = db.execute("PRAGMA foreign_key_check").fetchall()
            if schema == 0 or pages != "ok" or loose:
                raise _invalid("it is damaged")
            cases = db.execute("SELECT COUNT(*) FROM cases").fetchone()[0]
            chain = _chain(db, schema)
    except sqlite3.Error as error:
        raise _invalid("it is no store") from error
    return Backup(path, path.stat().st_size, schema, cases, chain)


def restore(source: Path, out_dir: Path, person: str) -> tuple[Backup, Path | None]:
    """Put a copy into the place of the store; the caller holds the folder's lock.

    What was there is kept beside it, under the name that is returned. Results the copy does
    not know are found again from the folders at the next start. Raises ``Failed`` as
    :func:`prove`, and RESTORE_NOT_WRITTEN, before anything was changed.
    """
    found = prove(source)
    path = out_dir / DATABASE
    draft = path.with_name(f".{path.name}.restore")
    try:
        make_file(draft)
        shutil.copyfile(source, draft)
        prove(draft)
        kept = _set_aside(path)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        text = f"The copy could not be put in place ({type(error).__name__})."
        step = "Check free space and access rights of the results folder."
        raise Failed("RESTORE_NOT_WRITTEN", text, step) from error
    with Store(out_dir) as store:
        detail: dict[str, Any] = {
            "from": source.name, "newest": found.newest.seq, "kept": kept and kept.name,
        }  # fmt: skip
        store.note("restored", detail, person=person)
    return found, kept


def _set_aside(path: Path) -> Path | None:
    """Rename the store and what its journal consists of."""
    if not path.exists():
        return None
    kept = path.with_name(f"{path.name}.before-restore.{file_stamp()}.bak")
    for end in ("-wal", "-shm", ""):
        part = path.with_name(path.name + end)
        if part.exists():
            part.replace(kept.with_name(kept.name + end))
    return kept


def _chain(db: sqlite3.Connection, schema: int) -> Anchor:
    """Prove the audit log of a copy. Raises ``Failed`` BACKUP_INVALID."""
    if schema < SCHEMA_VERSION and not _has_audit(db):
        return verify([], 0).last
    with translated():
        rows = db.execute("SELECT * FROM audit ORDER BY seq").fetchall()
    verdict = verify(rows, 0)
    if verdict.faults:
        raise _invalid(f"its audit log is broken: {verdict.faults[0].text}")
    return verdict.last


def _has_audit(db: sqlite3.Connection) -> bool:
    found = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit'")
    return found.fetchone() is not None


def _invalid(why: str) -> Failed:
    return Failed("BACKUP_INVALID", f"The copy cannot be used: {why}.", "Take an earlier one.")
