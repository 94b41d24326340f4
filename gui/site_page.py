"""The service's own settings: folders, receiver, who may sign, limits; kept in its file.

Nothing here touches the store: the file is checked and written by :mod:`plaque_edge.settings_file`
on another thread, and the service reads it when it starts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui import i18n
from gui.background import Background
from gui.destinations import Destinations
from gui.i18n import mark, tr
from gui.widgets import label, table
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.quality.limits import DEFAULT
from plaque_edge.settings_file import load_file, save_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtCore import QObject

    from plaque_edge.types import Reason

FOLDER_HEADS = (mark("Folder"), mark("Network share"))
LIMIT_HEADS = (mark("Limit"), mark("Shipped"), mark("Here"))


@dataclass(frozen=True, slots=True)
class Saved:
    """How saving ended; ``data`` is what the file now holds."""

    data: dict[str, Any] | None
    reason: Reason | None = None


class SiteFile(Background):
    """Reads and writes the file on a thread of its own: it may lie on a slow share."""

    loaded = Signal(object)
    saved = Signal(object)

    finishes = True

    def __init__(self, path: Path, parent: QObject | None = None) -> None:
        super().__init__("site file", parent)
        self.path = path

    def load(self) -> None:
        """Read the file; ``loaded`` follows."""
        self.put(lambda: self.tell(self.loaded, self._try(lambda: load_file(self.path))))

    def save(self, data: dict[str, Any]) -> None:
        """Write the file; ``saved`` follows."""

        def write() -> dict[str, Any]:
            save_file(self.path, data)
            return load_file(self.path)

        self.put(lambda: self.tell(self.saved, self._try(write)))

    @staticmethod
    def _try(work: Callable[[], dict[str, Any]]) -> Saved:
        try:
            return Saved(work())
        except PlaqueEdgeError as error:
            return Saved(None, error.reason)


class SitePage(QWidget):
    """A form over the file; nothing is kept before "Save" and nothing half."""

    kept = Signal(object)
    restart_wanted = Signal()

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.file = SiteFile(path, self)
        self.data: dict[str, Any] = {}
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        inside = QWidget()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(inside)
        scroll.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)
        box.addWidget(scroll, 1)
        form = QVBoxLayout(inside)
        form.setContentsMargins(0, 0, 8, 0)
        form.setSpacing(8)
        self._folders(form)
        self._receiver(form)
        self._limits(form)
        box.addLayout(self._foot())
        self.file.loaded.connect(self._loaded)
        self.file.saved.connect(self._saved)

    # ---- parts ---------------------------------------------------------------------------

    def _folders(self, form: QVBoxLayout) -> None:
        form.addWidget(label(tr("Watched folders"), "strong"))
        self.folders = table(FOLDER_HEADS, tr("Watched folders"))
        self.folders.setFixedHeight(130)
        form.addWidget(self.folders)
        row = QHBoxLayout()
        self.add, self.remove = QPushButton(tr("Add a folder …")), QPushButton(tr("Remove"))
        self.add.clicked.connect(self._choose_folder)
        self.remove.clicked.connect(lambda: self.folders.removeRow(self.folders.currentRow()))
        row.addWidget(self.add)
        row.addWidget(self.remove)
        row.addStretch(1)
        form.addLayout(row)

    def _receiver(self, form: QVBoxLayout) -> None:
        form.addWidget(label(tr("DICOM receiver"), "strong"))
        lines = QFormLayout()
        self.receives = QCheckBox(tr("The scanner may send here"))
        self.port, self.aet, self.allow = QLineEdit(), QLineEdit(), QLineEdit()
        self.allow.setPlaceholderText(tr("all"))
        self.receives.toggled.connect(self._fit)
        lines.addRow("", self.receives)
        lines.addRow(tr("Port"), self.port)
        lines.addRow(tr("Own AE title"), self.aet)
        lines.addRow(tr("AE titles that may send, with commas"), self.allow)
        form.addLayout(lines)
        form.addWidget(label(tr("Roles"), "strong"))
        roles = QFormLayout()
        self.signers = QLineEdit()
        self.signers.setPlaceholderText(tr("whoever is a physician in this console's settings"))
        roles.addRow(tr("Who may sign, with commas"), self.signers)
        form.addLayout(roles)
        self.destinations = Destinations()
        form.addWidget(self.destinations)

    def _limits(self, form: QVBoxLayout) -> None:
        form.addWidget(label(tr("Limits of the quality gate"), "strong"))
        self.limits = table(LIMIT_HEADS, tr("Limits of the quality gate"))
        self.limits.setMinimumHeight(190)
        self.limits.setRowCount(len(fields(DEFAULT)))
        for at, item in enumerate(fields(DEFAULT)):
            for column, text in enumerate((item.name, _text(item.default), "")):
                cell = QTableWidgetItem(text)
                if column < 2:
                    cell.setFlags(cell.flags() & ~Qt.ItemFlag.ItemIsEditable)
                self.limits.setItem(at, column, cell)
        form.addWidget(self.limits)

    def _foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.save, self.restart = QPushButton(tr("Save")), QPushButton(tr("Restart the service"))
        self.save.clicked.connect(self._save)
        self.restart.clicked.connect(self.restart_wanted)
        self.restart.hide()
        self.note = label("", "muted", wrap=True)
        row.addWidget(self.save)
        row.addWidget(self.restart)
        row.addWidget(self.note, 1)
        return row

    def _fit(self) -> None:
        for box in (self.port, self.aet, self.allow):
            box.setEnabled(self.receives.isChecked())

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self, tr("Add a folder …"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.add_folder)
        dialog.open()

    def add_folder(self, path: str, share: bool = False) -> None:
        """Put a folder into the list; "Save" keeps it."""
        at = self.folders.rowCount()
        self.folders.insertRow(at)
        self.folders.setItem(at, 0, QTableWidgetItem(path))
        box = QTableWidgetItem()
        box.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
        box.setCheckState(Qt.CheckState.Checked if share else Qt.CheckState.Unchecked)
        self.folders.setItem(at, 1, box)

    # ---- the file ------------------------------------------------------------------------

    def _loaded(self, found: Saved) -> None:
        if found.data is None:
            self._tell(found.reason)
            return
        self.data = found.data
        self.note.setText(tr("File: {path}", path=self.file.path))
        self.folders.setRowCount(0)
        for entry in self.data.get("folder", []):
            self.add_folder(str(entry["path"]), bool(entry.get("share", False)))
        receiver = self.data.get("receiver", {})
        self.receives.setChecked(bool(receiver))
        self.port.setText(str(receiver.get("port", 11112)))
        self.aet.setText(str(receiver.get("aet", "PLAQUE")))
        self.allow.setText(", ".join(receiver.get("allow", [])))
        self.signers.setText(", ".join(self.data.get("roles", {}).get("sign", [])))
        self.destinations.show_entries(self.data.get("destination", []), self.file.path.parent)
        own = self.data.get("quality", {})
        for at, item in enumerate(fields(DEFAULT)):
            self.limits.item(at, 2).setText(_text(own[item.name]) if item.name in own else "")
        self._fit()

    def current(self) -> dict[str, Any]:
        """Return the form as tables of the file; what it does not show stays as it was."""
        old = {str(e["path"]): e for e in self.data.get("folder", [])}
        folders = []
        for at in range(self.folders.rowCount()):
            path = self.folders.item(at, 0).text().strip()
            entry = {**old.get(path, {}), "path": path}
            entry.pop("share", None)
            if self.folders.item(at, 1).checkState() == Qt.CheckState.Checked:
                entry["share"] = True
            folders.append(entry)
        out = {k: v for k, v in self.data.items() if k not in ("folder", "receiver", "roles")}
        out["folder"] = folders
        out["destination"] = self.destinations.entries()
        if self.receives.isChecked():
            out["receiver"] = {
                **self.data.get("receiver", {}),
                "port": _number(self.port.text()),
                "aet": self.aet.text().strip(),
                "allow": _names(self.allow.text()),
            }
        if _names(self.signers.text()):
            out["roles"] = {"sign": _names(self.signers.text())}
        own = {}
        for at, item in enumerate(fields(DEFAULT)):
            text = self.limits.item(at, 2).text().strip()
            if text:
                parts = [_number(part) for part in text.split("–" if "–" in text else ";")]
                own[item.name] = parts if isinstance(item.default, tuple) else parts[0]
        out["quality"] = own
        return {k: v for k, v in out.items() if v}

    def _save(self) -> None:
        self.save.setEnabled(False)
        self.file.save(self.current())

    def _saved(self, found: Saved) -> None:
        self.save.setEnabled(True)
        if found.data is None:
            self._tell(found.reason)
            return
        changed = sorted(
            k for k in {*found.data, *self.data} if found.data.get(k) != self.data.get(k)
        )
        self._loaded(found)
        self.note.setText(tr("Saved. The service reads it when it starts again."))
        if changed:
            self.kept.emit(changed)

    def _tell(self, reason: Reason | None) -> None:
        if reason is not None:
            text = i18n.reason(reason.code, reason.text)
            more = reason.text if text != reason.text else ""
            step = i18n.next_step(reason.code, reason.next_step)
            self.note.setText(f"{tr('Not kept: {why}', why=text)} {more} {step} ({reason.code})")


def _text(value: Any) -> str:
    parts = value if isinstance(value, list | tuple) else (value,)
    return " – ".join(f"{v:g}" for v in parts)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _number(text: str) -> Any:
    """Return a number, whole where it is; what is none stays text, and is refused as such."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        return text.strip()
    if not math.isfinite(value):
        return text.strip()
    return int(value) if value.is_integer() else value
