"""The rows of the worklist: filtered and searched in memory, told apart by identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from gui import i18n, say, states
from gui.case import Key, key_of
from gui.history import History
from gui.i18n import mark, tr
from plaque_edge.export import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.store import CaseRow

Index = QModelIndex | QPersistentModelIndex
COLUMNS = (
    mark("State"), mark("Patient"), mark("Study"), mark("Result"), mark("Slices"), mark("Changed"),
)  # fmt: skip
ROW_ROLE = Qt.ItemDataRole.UserRole
LINES_ROLE = Qt.ItemDataRole.UserRole + 1
STATE_ROLE = Qt.ItemDataRole.UserRole + 2
FILTERS: dict[str, frozenset[str] | None] = {
    mark("All"): None,
    mark("In progress"): states.WAITING,
    mark("Ready"): frozenset({"DONE", "REVIEW"}),
    mark("Needs a person"): frozenset({"REVIEW", "NOT_ANALYSABLE", "FAILED"}),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row, its identity, and what a search looks in."""

    row: CaseRow
    key: Key
    text: str


def entry_of(row: CaseRow) -> Entry:
    """Prepare a row for the list."""
    info = row.info
    text = " ".join(
        (info.patient_name, words.person(info.patient_name), info.patient_id,
         info.accession_number, info.series_description, info.study_description,
         words.date(info.study_date), info.study_date)
    ).casefold()  # fmt: skip
    return Entry(row, key_of(row), text)


def order(row: CaseRow) -> tuple[bool, int]:
    """Urgent ones that are not finished first, then the newest."""
    return not (row.urgent and row.state in states.WAITING), -row.case_id


class WorklistModel(QAbstractTableModel):
    """The store's rows with the headline of finished ones; shows what filter and search leave."""

    summary_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.acknowledged: frozenset[int] = frozenset()
        self._entries: dict[Key, Entry] = {}
        self._sorted: list[Entry] = []
        self._shown: list[Entry] = []
        self._summaries: dict[Key, dict[str, Any]] = {}
        self._asked: set[Key] = set()
        self._states: frozenset[str] | None = None
        self._words: tuple[str, ...] = ()

    # ---- what is there -------------------------------------------------------------------

    def rows(self) -> tuple[CaseRow, ...]:
        """Return every row, shown or not."""
        return tuple(entry.row for entry in self._sorted)

    def shown_row(self, at: int) -> CaseRow:
        """Return the row in line ``at``."""
        return self._shown[at].row

    def line_of(self, key: Key) -> int | None:
        """Return the line that shows this case, if any does."""
        return next((i for i, entry in enumerate(self._shown) if entry.key == key), None)

    def set_rows(self, rows: Sequence[CaseRow]) -> None:
        """Take the store's rows; rows that stay in place are only repainted."""
        old, fresh = self._entries, {}
        for row in rows:
            key = key_of(row)
            known = old.get(key)
            same = known is not None and (known.row is row or known.row == row)
            fresh[key] = known if known is not None and same else entry_of(row)
        self._entries = fresh
        self._sorted = sorted(fresh.values(), key=lambda e: order(e.row))
        self._show()

    def change(self, states_: frozenset[str] | None, text: str) -> None:
        """Show rows of some states whose texts hold all words of ``text``."""
        self._states, self._words = states_, tuple(text.casefold().split())
        self._show()

    def _show(self) -> None:
        shown = [e for e in self._sorted if self._fits(e)]
        before, same = self._shown, len(shown) == len(self._shown)
        if same and all(a.key == b.key for a, b in zip(before, shown, strict=True)):
            self._shown = shown
            for at, (a, b) in enumerate(zip(before, shown, strict=True)):
                if a is not b:
                    self.dataChanged.emit(self.index(at, 0), self.index(at, len(COLUMNS) - 1))
            return
        self.beginResetModel()
        self._shown = shown
        self.endResetModel()

    def _fits(self, entry: Entry) -> bool:
        if self._states is not None and entry.row.state not in self._states:
            return False
        return all(word in entry.text for word in self._words)

    def counts(self) -> list[int]:
        """Return how many rows each filter has."""
        found = [e.row.state for e in self._sorted]
        return [
            len(found) if wanted is None else sum(state in wanted for state in found)
            for wanted in FILTERS.values()
        ]

    def set_summary(self, key: Key, result: dict[str, Any]) -> None:
        """Take the headline of one finished row, and what it says about time."""
        self._summaries[key] = result
        self.history.add(key[0], result)
        at = self.line_of(key)
        if at is not None:
            self.dataChanged.emit(self.index(at, 3), self.index(at, 3))

    def state(self, row: CaseRow) -> states.StateText:
        """Return a row's state in words; a failure that somebody has seen turns quiet."""
        text = states.describe(row, self.history.left_s(row))
        if row.case_id in self.acknowledged and text.tone == "bad":
            return replace(text, tone="quiet", word=tr("{state}, seen", state=text.word))
        return text

    def result_of(self, key: Key) -> dict[str, Any] | None:
        """Return what is known of a finished row's result: patient, series, software, timing."""
        return self._summaries.get(key)

    def want_summary(self, row: CaseRow) -> None:
        """Ask for the headline of a measured row once; only rows that somebody sees ask."""
        key = key_of(row)
        if row.state in states.MEASURED and row.result_dir is not None and key not in self._asked:
            self._asked.add(key)
            self.summary_wanted.emit(row)

    def repaint_running(self) -> None:
        """Repaint running rows, whose time left changes by itself."""
        for at, entry in enumerate(self._shown[:200]):
            if entry.row.state == "RUNNING":
                self.dataChanged.emit(self.index(at, 0), self.index(at, 0))

    # ---- what Qt asks --------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Return the number of lines."""
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Return the number of columns."""
        return len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Return the column titles."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return tr(COLUMNS[section])
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the row itself, its state in words, or its two lines of text."""
        if not index.isValid() or index.row() >= len(self._shown):
            return None
        row = self._shown[index.row()].row
        if role == ROW_ROLE:
            return row
        if role == STATE_ROLE:
            return self.state(row)
        if role in (LINES_ROLE, Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            lines = self._lines(row, index.column())
            return lines if role == LINES_ROLE else ". ".join(part for part in lines if part)
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == 0:
            return _tip(row)
        return None

    def _lines(self, row: CaseRow, column: int) -> tuple[str, str]:
        info = row.info
        if column == 0:
            text = self.state(row)
            return text.word, text.detail
        if column == 1:
            who = f"{info.patient_id or tr('no ID')} · {say.sex_age(info.sex, info.age_years)}"
            return say.person(info.patient_name), who
        if column == 2:
            when = f"{i18n.date(info.study_date)} {words.time(info.study_time)}".strip()
            more = f" · {tr('revision {number}', number=row.revision)}" if row.revision > 1 else ""
            return when, (info.series_description or info.study_description or "") + more
        if column == 3:
            return self._result(row)
        if column == 4:
            expected = tr("of ~{expected}", expected=row.expected) if row.expected else ""
            return str(row.received), expected if row.state == "SEEN" else ""
        return i18n.clock(row.updated_at)

    def _result(self, row: CaseRow) -> tuple[str, str]:
        if row.state in ("NOT_ANALYSABLE", "FAILED"):
            return tr("no value"), tr("see the reason")
        key = key_of(row)
        result = self._summaries.get(key)
        if result is None:
            self.want_summary(row)
            return "", ""
        patient = result["patient"]
        title, word = say.stage(patient)
        tpv = say.volume(patient["plaque_mm3"], lower_bound=bool(patient.get("lower_bound")))
        pav = tr("PAV {percent}", percent=say.percent(patient["pav_percent"]))
        text = f"{tpv} · {pav}"
        if result.get("corrected"):
            text = tr("{text} · corrected by a person", text=text)
        return f"{title} · {word}", text


def _tip(row: CaseRow) -> str:
    if row.reason is None:
        return tr(row.message) if row.message else ""
    step = i18n.next_step(row.reason.code, row.reason.next_step)
    return f"{states.reason_text(row)} {step} ({row.reason.code})".strip()
