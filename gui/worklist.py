"""The worklist: filters, search, the list, and what can be asked for the chosen series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QPushButton,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from gui import states, theme
from gui.case import Key, key_of
from gui.i18n import mark, tr
from gui.row_delegate import RowDelegate
from gui.widgets import label
from gui.worklist_model import FILTERS, ROW_ROLE, WorklistModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QResizeEvent

    from plaque_edge.store import CaseRow

ACTS = {
    "urgent": (mark("Urgent"), mark("Before all others in the queue, or no longer (U)")),
    "retry": (mark("Analyse again"), mark("Try a failed one again, or make a new revision (T)")),
    "cancel": (mark("Cancel"), mark("Stop the analysis of this series (X)")),
    "choose": (mark("Other series …"), mark("Take another series of this study (O)")),
    "acknowledge": (mark("Acknowledge"), mark("I have seen why there is no value (K)")),
}
"""Kind of request: label and tool tip."""


SHARES, NARROW = (0.36, 0.23, 0.22, 0.19), {4: 84, 5: 124}
"""Widths of the columns: shares of what the narrow ones leave."""
SMALL, SMALL_SHARES = 1000, (0.32, 0.22, 0.22, 0.24)
"""Below this width slices and time give way to state and patient."""


def possible(row: CaseRow | None, acknowledged: frozenset[int] = frozenset()) -> frozenset[str]:
    """Return what can be asked for a row in its present state."""
    if row is None or row.state == "OUTDATED":
        return frozenset()
    if row.state in states.WAITING:
        return frozenset({"urgent", "cancel"}) if row.state in ("READY", "RUNNING") else (
            frozenset({"urgent"})
        )  # fmt: skip
    acts = {"retry", "choose"}
    if row.state in ("FAILED", "NOT_ANALYSABLE") and row.case_id not in acknowledged:
        acts.add("acknowledge")
    return frozenset(acts)


class Worklist(QWidget):
    """The list; ``opened`` and ``asked`` carry the row a person means."""

    opened = Signal(object)
    asked = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("page")
        self.model = WorklistModel()
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 12, 16, 12)
        box.setSpacing(10)
        box.addLayout(self._tools())
        self.table = self._table()
        self.empty = self._empty()
        self.stack = QStackedWidget()
        self.stack.addWidget(self.table)
        self.stack.addWidget(self.empty)
        box.addWidget(self.stack, 1)
        box.addLayout(self._acts())
        self._update()

    def set_rows(self, rows: Sequence[CaseRow]) -> None:
        """Show the store's rows and keep the selected one selected."""
        selected = self.selected()
        self.model.set_rows(rows)
        if selected is not None:
            self.select(key_of(selected))
        self._update()

    def selected(self) -> CaseRow | None:
        """Return the row under the selection."""
        index = self.table.currentIndex()
        row: CaseRow | None = index.data(ROW_ROLE) if index.isValid() else None
        return row

    def select(self, key: Key) -> None:
        """Move the selection to the row with this identity, when it is shown."""
        at = self.model.line_of(key)
        if at is not None and self.table.currentIndex().row() != at:
            self.table.selectRow(at)

    # ---- parts ---------------------------------------------------------------------------

    def _tools(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.filters = QButtonGroup(self)
        for at, name in enumerate(FILTERS):
            button = QPushButton(tr(name))
            button.setCheckable(True)
            button.setChecked(at == 0)
            self.filters.addButton(button, at)
            row.addWidget(button)
        row.addStretch(1)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search name, ID, accession, date …"))
        self.search.setAccessibleName(tr("Search"))
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(160)
        self.search.setMaximumWidth(320)
        row.addWidget(self.search, 1)
        self.filters.idClicked.connect(self._filter)
        self.search.textChanged.connect(self._filter)
        find = QShortcut(QKeySequence("/"), self, self.search.setFocus)
        find.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        return row

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setItemDelegate(RowDelegate(table))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setAccessibleName(tr("Worklist"))
        table.verticalHeader().hide()
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        table.verticalHeader().setDefaultSectionSize(60)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        table.activated.connect(self._open)
        table.doubleClicked.connect(self._open)
        table.selectionModel().currentRowChanged.connect(lambda *_: self._update_acts())
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._menu)
        return table

    def _acts(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.open_button = QPushButton(tr("Open"))
        self.open_button.setToolTip(tr("Open the chosen row (Enter, double click)"))
        self.open_button.clicked.connect(lambda: self._open(self.table.currentIndex()))
        row.addWidget(self.open_button)
        self.acts: dict[str, QPushButton] = {}
        for kind, (name, tip) in ACTS.items():
            button = QPushButton(tr(name))
            button.setToolTip(tr(tip))
            button.clicked.connect(lambda _=False, k=kind: self.act(k))
            self.acts[kind] = button
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _empty(self) -> QWidget:
        page = QWidget()
        box = QVBoxLayout(page)
        box.setAlignment(Qt.AlignmentFlag.AlignCenter)
        box.setSpacing(theme.GAP)
        self.empty_title, self.empty_text = label("", "title"), label("", "muted", wrap=True)
        for item in (self.empty_title, self.empty_text):
            item.setAlignment(Qt.AlignmentFlag.AlignCenter)
            box.addWidget(item)
        return page

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the width: the state with its reason gets most."""
        super().resizeEvent(event)
        small = self.width() < SMALL
        for column in NARROW:
            self.table.setColumnHidden(column, small)
        free = self.width() - 60 - (0 if small else sum(NARROW.values()))
        for column, share in enumerate(SMALL_SHARES if small else SHARES):
            self.table.setColumnWidth(column, round(share * free))
        for column, width in NARROW.items():
            self.table.setColumnWidth(column, width)

    # ---- what changes --------------------------------------------------------------------

    def _filter(self) -> None:
        name = list(FILTERS)[self.filters.checkedId()]
        self.model.change(FILTERS[name], self.search.text())
        self._update()

    def _update(self) -> None:
        for at, (name, count) in enumerate(zip(FILTERS, self.model.counts(), strict=True)):
            self.filters.button(at).setText(f"{tr(name)}  {count}")
        shown = self.model.rowCount() > 0
        self.stack.setCurrentWidget(self.table if shown else self.empty)
        if self.model.rows():
            self.empty_title.setText(tr("No row matches"))
            self.empty_text.setText(tr("Change the filter or the search above."))
        else:
            self.empty_title.setText(tr("No scan yet"))
            self.empty_text.setText(
                tr("Export a coronary CTA to the watched folder: it appears here by itself.")
            )
        self._update_acts()

    def _update_acts(self) -> None:
        row = self.selected()
        can = possible(row, self.model.acknowledged)
        self.open_button.setEnabled(row is not None)
        for kind, button in self.acts.items():
            button.setEnabled(kind in can)
        text = mark("Not urgent") if row is not None and row.urgent else ACTS["urgent"][0]
        self.acts["urgent"].setText(tr(text))

    def act(self, kind: str) -> None:
        """Ask ``kind`` for the selected row, if that is possible now."""
        row = self.selected()
        if row is not None and kind in possible(row, self.model.acknowledged):
            self.asked.emit(kind, row)

    def _menu(self, at: QPoint) -> None:
        index = self.table.indexAt(at)
        if not index.isValid():
            return
        self.table.selectRow(index.row())
        menu = QMenu(self)
        menu.addAction(tr("Open"), lambda: self._open(index))
        can = possible(self.selected(), self.model.acknowledged)
        for kind, button in self.acts.items():
            if kind in can:
                menu.addAction(button.text(), lambda k=kind: self.act(k))
        menu.popup(self.table.viewport().mapToGlobal(at))

    def _open(self, index: QModelIndex) -> None:
        row: CaseRow | None = index.data(ROW_ROLE)
        if row is not None:
            self.opened.emit(row)
