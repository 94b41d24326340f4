"""Where rows come from: the store, read by one background thread, and written to by asking.

The GUI thread only takes finished snapshots. Whatever happens to the file or the service, the
last known rows stay, and the snapshot says since when nothing new came.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import Signal

from gui.background import END_S, Speaker, end
from gui.review import Review
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.store import NewRequest, Store, ask, listed

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtCore import QObject

    from plaque_edge.store import CaseRow, Request
    from plaque_edge.types import Reason

POLL_S = 0.2


class Source(Protocol):
    """What the console asks of a store, and nothing more."""

    def cases(self) -> tuple[CaseRow, ...]:
        """Return all rows worth a line, newest first."""

    def data_version(self) -> int:
        """Return a number that changes whenever the rows do, -1 while it cannot be read."""

    def heartbeat_age_s(self) -> float | None:
        """Return the age of the service's last sign of life in seconds, ``None`` if never."""

    def conditions(self) -> tuple[Reason, ...]:
        """Return what is wrong with the service's surroundings now."""

    def acknowledged(self) -> frozenset[int]:
        """Return the cases of which somebody has seen why they have no value."""

    def review(self, case_id: int) -> Review:
        """Return what people did to a case."""

    def ask(self, new: NewRequest) -> int:
        """Put down a request; return its number. Raises ``PlaqueEdgeError``."""

    def request(self, number: int) -> Request:
        """Return a request with its answer, if there is one."""

    def free_gb(self) -> float | None:
        """Return the free space for results, ``None`` when it is not known."""


class StoreSource:
    """The store under ``out_dir``: waits for it, and survives its absence and its errors."""

    def __init__(self, out_dir: Path) -> None:
        self._out_dir = out_dir
        self._store: Store | None = None
        self._known: dict[int, CaseRow] = {}
        self._last = ""
        self._rows: tuple[CaseRow, ...] = ()

    def cases(self) -> tuple[CaseRow, ...]:
        """Return the rows; the last known ones while the store cannot be read."""
        try:
            self._update(self._open())
        except PlaqueEdgeError:
            self.close()
        return self._rows

    def data_version(self) -> int:
        """Return the store's version."""
        try:
            return self._open().data_version()
        except PlaqueEdgeError:
            self.close()
            return -1

    def heartbeat_age_s(self) -> float | None:
        """Return the age of the service's last sign of life."""
        try:
            return self._open().heartbeat_age_s()
        except PlaqueEdgeError:
            self.close()
            return None

    def conditions(self) -> tuple[Reason, ...]:
        """Return what is wrong now; a store that cannot be read is that itself."""
        try:
            return self._open().conditions()
        except PlaqueEdgeError as error:
            self.close()
            return () if error.reason.code == "STORE_MISSING" else (error.reason,)

    def acknowledged(self) -> frozenset[int]:
        """Return the cases whose failure somebody has seen."""
        try:
            return self._open().acknowledged()
        except PlaqueEdgeError:
            self.close()
            return frozenset()

    def review(self, case_id: int) -> Review:
        """Return what people did to a case. Raises ``PlaqueEdgeError``."""
        with Store(self._out_dir, read_only=True) as store:
            return Review(store.actions(case_id))

    def ask(self, new: NewRequest) -> int:
        """Put down a request; may take seconds on a busy disk."""
        return ask(self._out_dir, new)

    def request(self, number: int) -> Request:
        """Return a request with its answer."""
        with Store(self._out_dir, read_only=True) as store:
            return store.request(number)

    def free_gb(self) -> float | None:
        """Return the free space on the disk of the results."""
        try:
            return shutil.disk_usage(self._out_dir).free / 1e9
        except OSError:
            return None

    def close(self) -> None:
        """Close the file."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _open(self) -> Store:
        if self._store is None:
            self._store = Store(self._out_dir, read_only=True)
        return self._store

    def _update(self, store: Store) -> None:
        """Read what changed; read everything again when rows have gone."""
        self._merge(store.changed_since(self._last))
        if store.count() != len(self._known):
            self._known = {}
            self._merge(store.changed_since(""))
        rows = sorted(self._known.values(), key=lambda r: -r.case_id)
        self._rows = listed(rows)

    def _merge(self, rows: tuple[CaseRow, ...]) -> None:
        self._known.update((row.case_id, row) for row in rows)
        self._last = max((self._last, *(row.updated_at for row in rows)))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the store said at one moment; ``rows`` is ``None`` when nothing changed."""

    rows: tuple[CaseRow, ...] | None
    heartbeat_age_s: float | None
    conditions: tuple[Reason, ...] = ()
    free_gb: float | None = None
    acknowledged: frozenset[int] = frozenset()


class Poller(Speaker):
    """Asks the source every 200 ms on its own thread and hands over snapshots."""

    snapshot = Signal(object)

    def __init__(self, source: Source, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source = source
        self._version: int | None = None
        self._reading = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="poller", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def look(self) -> Snapshot:
        """Read the source once, cheaply when nothing has changed."""
        with self._reading:
            age = self._source.heartbeat_age_s()
            conditions = self._source.conditions()
            version = self._source.data_version()
            rows, seen = None, frozenset[int]()
            if version != self._version:
                rows, self._version = self._source.cases(), version
                seen = self._source.acknowledged()
            return Snapshot(rows, age, conditions, self._source.free_gb(), seen)

    def stop(self, deadline: float | None = None) -> None:
        """End the thread; what it reads is waited for, until ``deadline`` at most."""
        self._end.set()
        self.hush()
        end([self._thread], time.monotonic() + END_S if deadline is None else deadline)

    def _work(self) -> None:
        while not self._end.is_set():
            self.tell(self.snapshot, self.look())
            self._end.wait(POLL_S)
