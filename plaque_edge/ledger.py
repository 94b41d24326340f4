"""The newest revision of every series, in memory beside the store, so that a look costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plaque_edge.private import short_hash
from plaque_edge.publish import folder_name
from plaque_edge.store import NewCase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from plaque_edge.store import CaseRow, State, Store
    from plaque_edge.types import Reason
    from plaque_edge.watch import SeriesSeen

Uids = tuple[str, str]
"""Study and series UID."""


class Ledger:
    """Every change goes to the store first and is read back from it."""

    def __init__(self, store: Store, say: Callable[[str], None]) -> None:
        self.store, self.say = store, say
        self._rows: dict[Uids, tuple[CaseRow, frozenset[str]]] = {}
        self.read_again()

    def __iter__(self) -> Iterator[tuple[Uids, CaseRow]]:
        return iter([(uids, row) for uids, (row, _) in self._rows.items()])

    def read_again(self) -> None:
        """Believe the store and nothing else."""
        self._rows = {
            (row.study_uid, row.series_uid): (row, self.store.files(row.case_id))
            for row in reversed(self.store.cases(everything=True))
        }

    def row(self, uids: Uids) -> CaseRow | None:
        """Return the newest revision of a series."""
        known = self._rows.get(uids)
        return known[0] if known else None

    def files(self, uids: Uids) -> frozenset[str]:
        """Return the keys of the files that revision has."""
        known = self._rows.get(uids)
        return known[1] if known else frozenset()

    def move(
        self, case_id: int, state: State, reason: Reason | None = None, **columns: object
    ) -> None:
        """Change the state of a case."""
        self.store.move(case_id, state, reason, **columns)
        self.reload(case_id)

    def update(self, case_id: int, **columns: object) -> None:
        """Change what is known of a case."""
        self.store.update(case_id, **columns)
        self.reload(case_id)

    def folder(self, row: CaseRow) -> Path:
        """Return where a case's result belongs.

        Two studies may hold a series of the same UID, as copies of a study do; neither may
        overwrite the other's result.
        """
        twin = any(uid == row.series_uid and study != row.study_uid for study, uid in self._rows)
        name = folder_name(row.series_uid, row.revision, row.study_uid if twin else "")
        return self.store.out_dir / name

    def hold(self, row: CaseRow, series: SeriesSeen) -> None:
        """Note the files that a case is analysed from, where some have gone since it was queued.

        They may come back: then they are new to it and make a revision.
        """
        if series.keys != self.files(series.uids):
            self.update(row.case_id, files=series.keys, received=series.received)

    def open(self, series: SeriesSeen, revision: int, *, urgent: bool = False) -> int:
        """Open a revision of a series and return its case."""
        new = NewCase(
            series.info, revision, series.received, series.expected, tuple(series.keys), urgent
        )
        case_id = self.store.open_case(new)
        self.reload(case_id)
        name = short_hash(series.info.series_instance_uid)
        self.say(f"case {case_id}: receiving series {name}, revision {revision}")
        return case_id

    def reload(self, case_id: int) -> None:
        """Read the newest revision of a case's series again."""
        changed = self.store.case(case_id)
        row = self.store.latest(changed.study_uid, changed.series_uid)
        if row is not None:
            self._rows[row.study_uid, row.series_uid] = row, self.store.files(row.case_id)
