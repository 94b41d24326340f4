"""The bar on top: where one is, the lamps, and the ways to the other pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton

from gui import i18n
from gui.i18n import mark, tr
from gui.widgets import Chip, label
from plaque_edge.export import words

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from gui.source import Snapshot

PAGES = (
    ("settings", mark("Settings"), "F2"), ("selftest", mark("Self-test"), "F3"),
    ("about", mark("About"), "F4"), ("keys", mark("Keys"), "F1"),
)  # fmt: skip
WORKLIST, RESULT = mark("Worklist"), mark("Result")
LOW_GB, NONE_GB = 20.0, 5.0
"""Free space below which the disk's lamp warns, and below which it is red."""


class TopBar(QFrame):
    """Title, back, pages, lamps."""

    wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.setFixedHeight(46)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(6)
        self.title = label("plaque-edge", "strong")
        row.addWidget(self.title)
        row.addSpacing(6)
        self.back = QPushButton()
        self.back.hide()
        row.addWidget(self.back)
        self.buttons: dict[str, QPushButton] = {}
        for name, text, key in PAGES:
            button = QPushButton(tr(text))
            button.setObjectName("flat")
            button.setToolTip(f"{tr(text)} ({key})")
            button.clicked.connect(lambda _=False, n=name: self.wanted.emit(n))
            self.buttons[name] = button
            row.addWidget(button)
        row.addStretch(1)
        self.provider = Chip("clock", tr("engine unknown"), "quiet")
        self.disk = Chip("clock", tr("disk unknown"), "quiet")
        self.folder = Chip("clock", tr("folder unknown"), "quiet")
        self.service = Chip("clock", tr("Service unknown"), "quiet")
        self.research = Chip("info", tr(words.RESEARCH_USE), "quiet")
        for chip in (self.provider, self.disk, self.folder, self.service, self.research):
            row.addWidget(chip)
        self._alive = False

    def show_back(self, on: bool, where: str = WORKLIST) -> None:
        """Show or hide the way back, and where it leads."""
        self.back.setText(f"←  {tr(where)}")
        self.back.setToolTip(tr("Back (Esc)") if where != WORKLIST else tr("Back to the worklist"))
        self.back.setVisible(on)
        self.fit()

    def show_service(self, alive: bool) -> None:
        """Show whether the service gives signs of life."""
        self._alive = alive
        if alive:
            self.service.set("check", tr("Service running"), "ok")
        else:
            self.service.set("cross", tr("Service not running"), "bad")

    def show_surroundings(self, snapshot: Snapshot) -> None:
        """Show the folder's and the disk's lamps."""
        codes = [c.code for c in snapshot.conditions]
        if any(code.startswith("FOLDER") for code in codes):
            self.folder.set("cross", tr("folder away"), "bad")
        elif self._alive:
            self.folder.set("check", tr("folder watched"), "ok")
        else:
            self.folder.set("clock", tr("folder not watched"), "quiet")
        free = snapshot.free_gb
        if free is None:
            self.disk.set("clock", tr("disk unknown"), "quiet")
            return
        low = free < LOW_GB or any(code.startswith("DISK") for code in codes)
        tone = "bad" if free < NONE_GB else "warn" if low else "ok"
        icon = {"bad": "cross", "warn": "warn", "ok": "check"}[tone]
        self.disk.set(icon, tr("{free} GB free", free=i18n.number(free)), tone)

    def show_provider(self, result: dict[str, Any]) -> None:
        """Show what the networks of the latest result really ran on."""
        provider = str(result.get("software", {}).get("provider", "none"))
        if provider != "none":
            self.provider.set("check", provider, "ok")

    def fit(self) -> None:
        """Leave the least important out where the window is narrow; the foot says it as well."""
        used = 40 + sum(
            item.sizeHint().width() + 6 for item in (*self.buttons.values(), self.service)
        )
        used += self.back.sizeHint().width() + 6 if not self.back.isHidden() else 0
        for item in (self.disk, self.title, self.folder, self.provider, self.research):
            used += item.sizeHint().width() + 6
            item.setVisible(used <= self.width())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit again."""
        super().resizeEvent(event)
        self.fit()
