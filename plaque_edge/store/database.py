"""The file itself: opening it, one transaction at a time, its errors as coded ones."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from plaque_edge.errors import Failed
from plaque_edge.private import make_file, make_folder
from plaque_edge.store.clock import utc_now
from plaque_edge.store.schema import SCHEMA_VERSION, migrate, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

DATABASE: Final = "plaque-edge.sqlite"


class Database:
    """The SQLite file under ``out_dir``; the writer brings its schema up to date.

    Raises ``Failed``: STORE_NEWER (written by a later version), STORE_OLDER (the reader must
    wait for the service to migrate it), STORE_UNREADABLE, STORE_FULL (no space),
    STORE_MISSING (read-only and no store there).
    """

    def __init__(self, out_dir: Path, read_only: bool = False) -> None:
        self.out_dir = Path(out_dir)
        self.read_only = read_only
        self._lock = threading.RLock()
        path = self.out_dir / DATABASE
        if read_only and not path.exists():
            raise missing()
        with translated():
            if not read_only:
                make_folder(self.out_dir)
                make_file(path)
            self._db = connect(path, "ro" if read_only else "rwc")
            try:
                self._open_schema(path)
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
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

    def _open_schema(self, path: Path) -> None:
        if self.read_only:
            require_current(self._db)
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        migrate(self._db, path)

    def _all(self, sql: str, *values: Any) -> Sequence[sqlite3.Row]:
        with self._lock, translated():
            return self._db.execute(sql, values).fetchall()

    def flush(self) -> None:
        """Put everything written so far on the disk."""
        with self._change(count=False, flush=True) as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('flushed', ?)", (utc_now(),))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make one transaction, flushed to the disk, of all changes inside."""
        with self._change(count=False, flush=True):
            yield

    @contextmanager
    def _change(self, *, count: bool = True, flush: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction; all of it happens or none.

        ``count`` tells readers that cases changed. With ``flush`` it and all before it are on
        the disk before this returns, so that not even a power cut takes it back. Without, it
        survives the death of any process; a power cut may lose the last moments, which the
        next scan of the folder finds again. Inside another it is a part of that one.
        """
        with self._lock, translated():
            if self._db.in_transaction:
                yield self._db
                self._count(count)
                return
            self._db.execute(f"PRAGMA synchronous = {'FULL' if flush else 'NORMAL'}")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._count(count)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _count(self, count: bool) -> None:
        if count:
            self._db.execute("UPDATE meta SET value = value + 1 WHERE key = 'changes'")


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file in SQLite's ``mode``: ro, rw or rwc."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True, isolation_level=None, timeout=10.0, check_same_thread=False,
    )  # fmt: skip
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA foreign_keys = ON")
    return db


def require_current(db: sqlite3.Connection) -> None:
    """Raise ``Failed`` unless the file has exactly this version's schema."""
    version = version_of(db)
    if version == 0:
        raise Failed("STORE_MISSING", "The store is being made.", "Try again in a second.")
    if version < SCHEMA_VERSION:
        raise Failed(
            "STORE_OLDER",
            f"The store is of an earlier version (schema {version}).",
            "Start the service: it keeps a copy and brings the store up to date.",
        )


def missing() -> Failed:
    """Return the failure for a folder without a store."""
    return Failed(
        "STORE_MISSING", "There is no store in this folder.", "Start 'plaque-edge watch'."
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn the database's errors into coded ones."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            raise Failed(
                "STORE_FULL",
                "The store cannot be written: the disk is full.",
                "Free some space; the service goes on by itself.",
            ) from error
        raise Failed(
            "STORE_UNREADABLE",
            f"The store cannot be read or written ({type(error).__name__}).",
            "Check the disk, its free space and the access rights of the output folder.",
        ) from error


def dump(value: Any) -> str:
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
