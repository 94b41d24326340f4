"""The settings of this console: look, language, announcements, who works here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QBoxLayout,
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui import bars, theme
from gui.i18n import LANGUAGES, mark, tr
from gui.settings import ROLES, SCALES, Settings
from gui.site_page import SitePage
from gui.widgets import label, page_card

if TYPE_CHECKING:
    from pathlib import Path

    from PySide6.QtGui import QResizeEvent

TABS = (mark("This console"), mark("The service"))
NARROW = 1040
THEMES = {"dark": mark("Dark"), "light": mark("Light")}


class SettingsPage(QWidget):
    """Every change is kept at once; language and size need a restart, and it says so."""

    changed = Signal(object)

    def __init__(self, settings: Settings, out_dir: str, site_file: Path) -> None:
        super().__init__()
        card = page_card(self)
        card.box.addLayout(self._head())
        self.site = SitePage(site_file)
        inside = QWidget()
        self.stack = QStackedWidget()
        self.stack.addWidget(_scrolled(inside))
        self.stack.addWidget(self.site)
        card.box.addWidget(self.stack, 1)
        box = QVBoxLayout(inside)
        box.setContentsMargins(0, 0, 8, 0)
        self.columns = columns = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        columns.setSpacing(12)
        left, right = QFormLayout(), QFormLayout()
        for form in (left, right):
            form.setVerticalSpacing(12)
            form.setHorizontalSpacing(16)
            columns.addLayout(form, 1)
        box.addLayout(columns)
        self._look(left)
        self._work(right, out_dir)
        self.note = label("", "muted", wrap=True)
        box.addWidget(self.note)
        box.addStretch(1)
        self._quiet = False
        self.show_settings(settings)

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(label(tr("Settings"), "title"))
        row.addSpacing(16)
        self.tabs = QButtonGroup(self)
        for at, name in enumerate(TABS):
            button = QPushButton(tr(name))
            button.setCheckable(True)
            button.setChecked(at == 0)
            self.tabs.addButton(button, at)
            row.addWidget(button)
        self.tabs.idClicked.connect(self.turn_to)
        row.addStretch(1)
        return row

    def turn_to(self, tab: int) -> None:
        """Show this console's settings (0) or the service's (1), read anew."""
        self.tabs.button(tab).setChecked(True)
        self.stack.setCurrentIndex(tab)
        if tab == 1:
            self.site.file.load()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put both columns under each other where there is no room."""
        super().resizeEvent(event)
        way = QBoxLayout.Direction
        self.columns.setDirection(way.TopToBottom if self.width() < NARROW else way.LeftToRight)

    def _look(self, form: QFormLayout) -> None:
        self.language = _combo(LANGUAGES.items())
        self.theme = _combo((k, tr(v)) for k, v in THEMES.items())
        self.scale = _combo((s, f"{s} %") for s in SCALES)
        self.scheme = _combo((s.key, tr(s.name)) for s in theme.SCHEMES)
        self.legend = bars.Legend()
        for name, box in (
            (tr("Language"), self.language), (tr("Theme"), self.theme),
            (tr("Size of everything"), self.scale), (tr("Plaque colours"), self.scheme),
        ):  # fmt: skip
            box.currentIndexChanged.connect(self._tell)
            box.setAccessibleName(name)
            form.addRow(name, box)
        form.addRow("", self.legend)

    def _work(self, form: QFormLayout, out_dir: str) -> None:
        self.person = QLineEdit()
        self.person.editingFinished.connect(self._tell)
        self.role = _combo((k, tr(v)) for k, v in ROLES.items())
        self.role.currentIndexChanged.connect(self._tell)
        form.addRow(tr("Your name"), self.person)
        form.addRow(tr("Your role"), self.role)
        self.sound = QCheckBox(tr("Sound for a new result"))
        self.toast = QCheckBox(tr("Message for a new result"))
        self.open_new = QCheckBox(tr("Open a new result by itself when nothing is open"))
        for box in (self.sound, self.toast, self.open_new):
            box.toggled.connect(self._tell)
            form.addRow("", box)
        form.addRow(tr("Results folder"), label(out_dir or "results", wrap=True))

    def show_settings(self, settings: Settings) -> None:
        """Show these choices without telling a change."""
        self._quiet = True
        self._last = settings
        for box, value in (
            (self.language, settings.language), (self.theme, settings.theme),
            (self.scale, settings.scale), (self.scheme, settings.scheme),
            (self.role, settings.role),
        ):  # fmt: skip
            box.setCurrentIndex(max(0, box.findData(value)))
        self.person.setText(settings.person)
        self.sound.setChecked(settings.sound)
        self.toast.setChecked(settings.toast)
        self.open_new.setChecked(settings.open_new)
        self._quiet = False

    def current(self) -> Settings:
        """Return what is chosen now."""
        return Settings(
            self.language.currentData(), self.theme.currentData(), self.scale.currentData(),
            self.scheme.currentData(), self.person.text().strip(), self.role.currentData(),
            self.sound.isChecked(), self.toast.isChecked(), self.open_new.isChecked(),
        )  # fmt: skip

    def _tell(self) -> None:
        new = self.current()
        if not self._quiet and new != self._last:
            restart = (new.language, new.scale) != (self._last.language, self._last.scale)
            self._last = new
            self.changed.emit(new)
            self.legend.update()
            if restart and not self.note.text():
                self.note.setText(tr("Language and size change when the console is started again."))

    def tell(self, problem: str) -> None:
        """Say that the choices could not be kept, and why."""
        self.note.setText(tr("Not kept: {why}", why=problem) if problem else "")


def _scrolled(inside: QWidget) -> QScrollArea:
    out = QScrollArea()
    out.setWidgetResizable(True)
    out.setFrameShape(QFrame.Shape.NoFrame)
    out.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    out.setWidget(inside)
    out.viewport().setAutoFillBackground(False)
    inside.setAutoFillBackground(False)
    return out


def _combo(items: object) -> QComboBox:
    box = QComboBox()
    for value, text in items:  # type: ignore[attr-defined]
        box.addItem(text, value)
    return box
