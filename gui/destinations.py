"""The destinations on the settings page: add, edit, remove, and a test that says how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui import i18n
from gui.background import Background
from gui.i18n import mark, tr
from gui.widgets import label, table
from plaque_edge.destinations import OWN_AET, attempt, of_table
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PySide6.QtCore import QObject

HEADS = (
    mark("Name"), mark("Folder, or computer"), mark("Port"), mark("Its AE title"),
    mark("Own AE title"),
)  # fmt: skip
DICOM = ("port", "aet", "own_aet")
FOLDER, PACS = "folder", "dicom"
KIND = Qt.ItemDataRole.UserRole


class Trial(Background):
    """Tests one destination at a time on a thread of its own: who is asked may not answer."""

    ended = Signal(str, object)

    def __init__(self, parent: QObject) -> None:
        super().__init__("destination", parent)

    def test(self, entry: dict[str, Any], home: Path) -> None:
        """Test a destination; ``ended`` follows with its name and why it failed, if it did."""
        self.put(lambda: self.tell(self.ended, str(entry.get("name", "")), _outcome(entry, home)))


def _outcome(entry: dict[str, Any], home: Path) -> Reason | None:
    try:
        attempt(of_table(entry), home)
    except PlaqueEdgeError as error:
        return error.reason
    except ValueError as error:
        text = f"The settings cannot be used: {error}."
        return Reason("SETTINGS_INVALID", text, "Correct the line, then test again.")
    return None


class Destinations(QWidget):
    """A table over ``[[destination]]``; the page's "Save" keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.trial = Trial(self)
        self.trial.ended.connect(self._ended)
        self._home: Path | None = None
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(label(tr("Destinations"), "strong"))
        text = tr("Kept and tested here. This version sends nothing yet: results stay in the "
                  "results folder.")  # fmt: skip
        box.addWidget(label(text, "muted", wrap=True))
        self.table = table(HEADS, tr("Destinations"), wide=1)
        self.table.setFixedHeight(130)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.itemSelectionChanged.connect(self._fit)
        box.addWidget(self.table)
        box.addLayout(self._buttons())
        self.note = label("", "muted", wrap=True)
        self.note.hide()
        box.addWidget(self.note)
        self._fit()

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.add_folder = QPushButton(tr("Add a folder …"))
        self.add_pacs = QPushButton(tr("Add a PACS"))
        self.remove, self.test = QPushButton(tr("Remove")), QPushButton(tr("Test"))
        self.add_folder.clicked.connect(self._choose_folder)
        self.add_pacs.clicked.connect(lambda: self._add_pacs())
        self.remove.clicked.connect(lambda: self.table.removeRow(self.table.currentRow()))
        self.test.clicked.connect(self._test)
        self.test.setToolTip(tr("Writes and deletes a small file there, or asks the PACS (C-ECHO)"))
        for button in (self.add_folder, self.add_pacs, self.remove, self.test):
            row.addWidget(button)
        row.addStretch(1)
        return row

    # ---- lines ---------------------------------------------------------------------------

    def show_entries(self, entries: Sequence[dict[str, Any]], home: Path) -> None:
        """Show the destinations of the file; folders are relative to ``home``."""
        self._home = home
        self.table.setRowCount(0)
        for entry in entries:
            self.add(entry)

    def add(self, entry: dict[str, Any]) -> None:
        """Put a destination into the list."""
        at = self.table.rowCount()
        self.table.insertRow(at)
        folder = "path" in entry
        where = entry["path"] if folder else entry.get("host", "")
        titles = ("", "", "") if folder else (
            str(entry.get("port", "")), entry.get("aet", ""), entry.get("own_aet", OWN_AET)
        )  # fmt: skip
        for column, text in enumerate((entry["name"], where, *titles)):
            cell = QTableWidgetItem(str(text))
            cell.setData(KIND, FOLDER if folder else PACS)
            if folder and column > 1:
                cell.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.table.setItem(at, column, cell)
        self.table.selectRow(at)
        self._fit()

    def entries(self) -> list[dict[str, Any]]:
        """Return the lines as tables of the file; what is no number stays text, and is refused."""
        return [self._entry(at) for at in range(self.table.rowCount())]

    def _entry(self, at: int) -> dict[str, Any]:
        name, where, *titles = (
            self.table.item(at, column).text().strip() for column in range(len(HEADS))
        )
        if self.table.item(at, 0).data(KIND) == FOLDER:
            return {"name": name, "path": where}
        port: int | str = int(titles[0]) if titles[0].isdecimal() else titles[0]
        return {"name": name, "host": where, "port": port, "aet": titles[1], "own_aet": titles[2]}

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self, tr("Add a folder …"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.add({"name": self._free(), "path": path}))
        dialog.open()

    def _add_pacs(self) -> None:
        self.add({"name": self._free("PACS"), "host": "", "port": 104})
        self.table.setFocus()
        self.table.editItem(self.table.item(self.table.rowCount() - 1, 1))

    def _free(self, first: str = "") -> str:
        word = first or tr("Folder")
        taken = {entry["name"] for entry in self.entries()}
        return next(n for n in (word, *(f"{word} {i}" for i in range(2, 1000))) if n not in taken)

    # ---- the test ------------------------------------------------------------------------

    def _fit(self) -> None:
        chosen = self.table.currentRow() >= 0
        self.remove.setEnabled(chosen)
        self.test.setEnabled(chosen)

    def _test(self) -> None:
        at = self.table.currentRow()
        if at < 0 or self._home is None:
            return
        entry = self._entry(at)
        self.test.setEnabled(False)
        self._say(tr("Testing {name} …", name=entry["name"]))
        self.trial.test(entry, self._home)

    def _ended(self, name: str, reason: Reason | None) -> None:
        self._fit()
        if reason is None:
            self._say(tr("{name}: works.", name=name))
            return
        text = i18n.reason(reason.code, reason.text)
        more = reason.text if text != reason.text else ""
        step = i18n.next_step(reason.code, reason.next_step)
        told = " ".join(part for part in (text, more, step) if part)
        self._say(tr("{name}: does not work. {why}", name=name, why=f"{told} ({reason.code})"))

    def _say(self, text: str) -> None:
        self.note.setText(text)
        self.note.show()
