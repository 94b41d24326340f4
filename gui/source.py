"""Where rows come from: the store, opened read-only as soon as it exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plaque_edge.store import CaseRow

T = TypeVar("T")


class Source(Protocol):
    """What the console asks of a store, and nothing more."""

    def cases(self) -> tuple[CaseRow, ...]:
        """Return all rows, newest first."""

    def data_version(self) -> int:
        """Return a number that changes whenever the rows do."""

    def heartbeat_age_s(self) -> float | None:
        """Return the age of the service's last sign of life in seconds, ``None`` if never."""


class StoreSource:
    """The store under ``out_dir``: waits for it, and survives its absence and its errors."""

    def __init__(self, out_dir: Path) -> None:
        self._out_dir = out_dir
        self._store: Store | None = None
        self._rows: tuple[CaseRow, ...] = ()

    def cases(self) -> tuple[CaseRow, ...]:
        """Return all rows; the last known ones while the store cannot be read."""
        self._rows = self._ask(lambda store: store.cases(), self._rows)
        return self._rows

    def data_version(self) -> int:
        """Return the store's version, -1 while it cannot be read."""
        return self._ask(lambda store: store.data_version(), -1)

    def heartbeat_age_s(self) -> float | None:
        """Return the age of the service's last sign of life."""
        return self._ask(lambda store: store.heartbeat_age_s(), None)

    def close(self) -> None:
        """Close the file."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _ask(self, question: Callable[[Store], T], otherwise: T) -> T:
        try:
            if self._store is None:
                self._store = Store(self._out_dir, read_only=True)
            return question(self._store)
        except PlaqueEdgeError:
            self.close()
            return otherwise
