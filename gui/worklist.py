"""The worklist: one row per series with its state in plain words, filters and a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from gui import states, theme
from gui.case import Key, key_of
from gui.row_delegate import RowDelegate
from gui.widgets import label
from plaque_edge.export import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.store import CaseRow

Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("State", "Patient", "Study", "Result", "Slices", "Updated (UTC)")
ROW_ROLE = Qt.ItemDataRole.UserRole
LINES_ROLE = Qt.ItemDataRole.UserRole + 1
FILTERS: dict[str, frozenset[str] | None] = {
    "All": None,
    "In progress": frozenset({"SEEN", "SETTLING", "READY", "RUNNING"}),
    "Ready": frozenset({"DONE", "REVIEW"}),
    "Needs a person": frozenset({"REVIEW", "NOT_ANALYSABLE", "FAILED"}),
}


class WorklistModel(QAbstractTableModel):
    """The store's rows, newest first, with the headline of finished ones."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[CaseRow, ...] = ()
        self._summaries: dict[Key, dict[str, Any]] = {}

    def rows(self) -> tuple[CaseRow, ...]:
        """Return what is shown."""
        return self._rows

    def set_rows(self, rows: Sequence[CaseRow]) -> None:
        """Take the store's rows; rows that stay in place are only repainted."""
        rows = tuple(rows)
        if [key_of(r) for r in rows] != [key_of(r) for r in self._rows]:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
            return
        old, self._rows = self._rows, rows
        for at, (before, after) in enumerate(zip(old, rows, strict=True)):
            if before != after:
                self.dataChanged.emit(self.index(at, 0), self.index(at, len(COLUMNS) - 1))

    def set_summary(self, key: Key, patient: dict[str, Any]) -> None:
        """Take the headline of one finished row."""
        self._summaries[key] = patient
        for at, row in enumerate(self._rows):
            if key_of(row) == key:
                self.dataChanged.emit(self.index(at, 3), self.index(at, 3))

    def missing_summaries(self) -> list[CaseRow]:
        """Return measured rows whose headline is not known yet."""
        return [
            row
            for row in self._rows
            if row.state in states.MEASURED
            and row.result_dir is not None
            and key_of(row) not in self._summaries
        ]

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Return the number of rows."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Return the number of columns."""
        return len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = 0) -> Any:
        """Return the column titles."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the row itself, or its two lines of text."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        if role == ROW_ROLE:
            return row
        lines = self._lines(row, index.column())
        if role == LINES_ROLE:
            return lines
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return ". ".join(part for part in lines if part)
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == 0:
            return _tip(row)
        return None

    def _lines(self, row: CaseRow, column: int) -> tuple[str, str]:
        info = row.info
        if column == 0:
            text = states.describe(row)
            return text.word, text.detail
        if column == 1:
            who = f"{info.patient_id or 'no ID'} · {words.sex_age(info.sex, info.age_years)}"
            return words.person(info.patient_name), who
        if column == 2:
            when = f"{words.date(info.study_date)} {words.time(info.study_time)}".strip()
            revision = f" · revision {row.revision}" if row.revision > 1 else ""
            return when, (info.series_description or info.study_description or "") + revision
        if column == 3:
            return self._result(row)
        if column == 4:
            expected = f"of ~{row.expected}" if row.expected else ""
            return str(row.received), expected if row.state == "SEEN" else ""
        return row.updated_at[11:19], row.updated_at[:10]

    def _result(self, row: CaseRow) -> tuple[str, str]:
        patient = self._summaries.get(key_of(row))
        if row.state in ("NOT_ANALYSABLE", "FAILED"):
            return "no value", "see the reason"
        if patient is None:
            return "", ""
        title, word = words.stage(patient)
        bound = bool(patient.get("lower_bound"))
        tpv = words.volume(patient["plaque_mm3"], lower_bound=bound)
        return f"{title} · {word}", f"{tpv} · PAV {words.percent(patient['pav_percent'])}"


def _tip(row: CaseRow) -> str:
    if row.reason is None:
        return row.message
    return f"{row.reason.code}: {row.reason.text} {row.reason.next_step}".strip()


class _Filter(QSortFilterProxyModel):
    """Shows rows of some states whose texts hold the search words."""

    def __init__(self) -> None:
        super().__init__()
        self.states: frozenset[str] | None = None
        self.text = ""

    def change(self, states_: frozenset[str] | None, text: str) -> None:
        self.beginFilterChange()
        self.states, self.text = states_, text.casefold().strip()
        self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        model = self.sourceModel()
        row: CaseRow = model.data(model.index(source_row, 0), ROW_ROLE)
        if self.states is not None and row.state not in self.states:
            return False
        info = row.info
        text = " ".join(
            (info.patient_name, words.person(info.patient_name), info.patient_id,
             info.accession_number, info.series_description, info.study_description,
             words.date(info.study_date), states.describe(row).word)
        ).casefold()  # fmt: skip
        return all(word in text for word in self.text.split())


class Worklist(QWidget):
    """The table with its filters; ``opened`` carries the row a person asked for."""

    opened = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self.model = WorklistModel()
        self.proxy = _Filter()
        self.proxy.setSourceModel(self.model)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 16, 16, 12)
        box.setSpacing(12)
        box.addLayout(self._tools())
        self.table = self._table()
        self.empty = self._empty()
        self.stack = QStackedWidget()
        self.stack.addWidget(self.table)
        self.stack.addWidget(self.empty)
        box.addWidget(self.stack, 1)
        self.model.modelReset.connect(self._update_empty)
        self._update_empty()

    def set_rows(self, rows: Sequence[CaseRow]) -> None:
        """Show the store's rows and keep the selected one selected."""
        selected = self.selected()
        self.model.set_rows(rows)
        self._counts()
        self._update_empty()
        if selected is not None:
            self.select(key_of(selected))

    def selected(self) -> CaseRow | None:
        """Return the row under the selection."""
        index = self.table.currentIndex()
        row: CaseRow | None = index.data(ROW_ROLE) if index.isValid() else None
        return row

    def select(self, key: Key) -> None:
        """Move the selection to the row with this identity, when it is shown."""
        for at in range(self.proxy.rowCount()):
            row: CaseRow = self.proxy.index(at, 0).data(ROW_ROLE)
            if key_of(row) == key and self.table.currentIndex().row() != at:
                self.table.selectRow(at)

    def _tools(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.filters = QButtonGroup(self)
        for at, name in enumerate(FILTERS):
            button = QPushButton(name)
            button.setCheckable(True)
            button.setChecked(at == 0)
            self.filters.addButton(button, at)
            row.addWidget(button)
        row.addStretch(1)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search name, ID, accession, date …")
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(320)
        row.addWidget(self.search)
        self.filters.idClicked.connect(self._filter)
        self.search.textChanged.connect(self._filter)
        return row

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.proxy)
        table.setItemDelegate(RowDelegate(table))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setAccessibleName("Worklist")
        table.verticalHeader().hide()
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        table.verticalHeader().setDefaultSectionSize(60)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for column, width in ((4, 84), (5, 116)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            table.setColumnWidth(column, width)
        table.activated.connect(self._open)
        table.clicked.connect(self._open)
        return table

    def _empty(self) -> QWidget:
        page = QWidget()
        box = QVBoxLayout(page)
        box.setAlignment(Qt.AlignmentFlag.AlignCenter)
        box.setSpacing(theme.GAP)
        self.empty_title, self.empty_text = label("", "title"), label("", "muted")
        for item in (self.empty_title, self.empty_text):
            item.setAlignment(Qt.AlignmentFlag.AlignCenter)
            box.addWidget(item)
        return page

    def _update_empty(self) -> None:
        shown = self.proxy.rowCount() > 0
        self.stack.setCurrentWidget(self.table if shown else self.empty)
        if self.model.rows():
            self.empty_title.setText("No row matches")
            self.empty_text.setText("Change the filter or the search above.")
        else:
            self.empty_title.setText("No scan yet")
            self.empty_text.setText(
                "Export a coronary CTA to the watched folder: it appears here by itself."
            )

    def _filter(self) -> None:
        name = list(FILTERS)[self.filters.checkedId()]
        self.proxy.change(FILTERS[name], self.search.text())
        self._update_empty()

    def _counts(self) -> None:
        for at, (name, wanted) in enumerate(FILTERS.items()):
            rows = self.model.rows()
            count = len(rows) if wanted is None else sum(r.state in wanted for r in rows)
            self.filters.button(at).setText(f"{name}  {count}")

    def _open(self, index: QModelIndex) -> None:
        row: CaseRow | None = index.data(ROW_ROLE)
        if row is not None:
            self.opened.emit(row)
