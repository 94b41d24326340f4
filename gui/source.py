"""Where rows come from: the store, opened read-only as soon as it exists."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Protocol

from plaque_edge.errors import PlaqueEdgeError

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.store import CaseRow


class Source(Protocol):
    """What the console asks of a store, and nothing more."""

    def cases(self) -> tuple[CaseRow, ...]:
        """Return all rows, newest first."""

    def data_version(self) -> int:
        """Return a number that changes whenever the rows do."""

    def heartbeat_age_s(self) -> float | None:
        """Return the age of the service's last sign of life in seconds, ``None`` if never."""


class StoreSource:
    """The store under ``out_dir``; waits for it, and survives its absence."""

    def __init__(self, out_dir: Path) -> None:
        self._out_dir = out_dir
        self._store: Source | None = None

    def cases(self) -> tuple[CaseRow, ...]:
        """Return all rows, none while there is no store."""
        store = self._opened()
        return store.cases() if store is not None else ()

    def data_version(self) -> int:
        """Return the store's version, -1 while there is no store."""
        store = self._opened()
        return store.data_version() if store is not None else -1

    def heartbeat_age_s(self) -> float | None:
        """Return the age of the service's last sign of life."""
        store = self._opened()
        return store.heartbeat_age_s() if store is not None else None

    def _opened(self) -> Source | None:
        if self._store is None and (self._out_dir / "plaque-edge.sqlite").exists():
            from plaque_edge.store import Store

            try:
                self._store = Store(self._out_dir, read_only=True)
            except (OSError, sqlite3.Error, PlaqueEdgeError):
                return None
        return self._store
