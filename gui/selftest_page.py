"""The self-test: a phantom through the whole line in a process of its own, shown line by line."""

from __future__ import annotations

import json
import sys
from typing import Any

from PySide6.QtCore import QProcess, Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from gui.i18n import mark, tr
from gui.widgets import Chip, label, page_card

HEADS = (mark("What"), mark("Expected"), mark("Measured"), mark("Verdict"))
SAID = (
    mark("Making a synthetic scan, not a patient"), mark("Opening the engines"),
    mark("status"), mark("plaque LM"), mark("plaque LAD"), mark("plaque LCX"), mark("plaque RCA"),
    mark("plaque of the patient"), mark("ready or review"), mark("ready"), mark("review"),
    mark("not_analysable"), mark("failed"),
)  # fmt: skip
"""Words of ``plaque-edge selftest``."""


class SelfTestPage(QWidget):
    """Start it, watch it, read what it found."""

    def __init__(self) -> None:
        super().__init__()
        card = page_card(self)
        card.box.addWidget(label(tr("Self-test"), "title"))
        text = tr(
            "A synthetic scan goes through the whole line on this computer: reading, networks, "
            "measuring. Its plaque is known exactly. About a minute; running analyses become "
            "slower meanwhile."
        )
        card.box.addWidget(label(text, "muted", wrap=True))
        row = QHBoxLayout()
        self.start = QPushButton(tr("Run the self-test"))
        self.start.clicked.connect(self.run)
        self.chip, self.doing = Chip("clock", tr("not run yet"), "quiet"), label("", "muted")
        for item in (self.start, self.chip, self.doing):
            row.addWidget(item)
        row.addStretch(1)
        card.box.addLayout(row)
        self.table = QTableWidget(0, len(HEADS))
        self.table.setHorizontalHeaderLabels([tr(h) for h in HEADS])
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setAccessibleName(tr("Self-test"))
        card.box.addWidget(self.table, 1)
        self.note = label("", "small", wrap=True)
        card.box.addWidget(self.note)
        self._process: QProcess | None = None
        self._out = b""

    def run(self) -> None:
        """Start the test unless it runs."""
        if self._process is not None:
            return
        self.start.setEnabled(False)
        self.chip.set("run", tr("running"), "busy")
        self.table.setRowCount(0)
        self._out = b""
        process = QProcess(self)
        process.readyReadStandardError.connect(self._heard)
        process.readyReadStandardOutput.connect(self._collect)
        process.finished.connect(self._finished)
        process.errorOccurred.connect(lambda _error: self._finished(1))
        self._process = process
        process.start(sys.executable, ["-m", "plaque_edge", "selftest", "--json", "-"])

    def stop(self) -> None:
        """End a running test (closing)."""
        process, self._process = self._process, None
        if process is not None:
            process.finished.disconnect()
            process.kill()
            process.waitForFinished(3000)

    def _heard(self) -> None:
        if self._process is None:
            return
        for line in bytes(self._process.readAllStandardError().data()).splitlines():
            try:
                said = str(json.loads(line)["doing"])
            except (ValueError, KeyError, TypeError):
                continue
            step = said.removeprefix("At work: ")
            self.doing.setText(tr("At work: {step}", step=tr(step)) if step != said else tr(said))

    def _collect(self) -> None:
        if self._process is not None:
            self._out += bytes(self._process.readAllStandardOutput().data())

    def _finished(self, _code: int) -> None:
        if self._process is None:
            return
        self._collect()
        self._process = None
        self.start.setEnabled(True)
        self.doing.setText("")
        try:
            self.show_result(json.loads(self._out))
        except (ValueError, KeyError, TypeError):
            self.chip.set("cross", tr("The self-test did not finish"), "bad")

    def show_result(self, data: dict[str, Any]) -> None:
        """Show what the test found."""
        passed = bool(data["passed"])
        word = tr("as expected") if passed else tr("NOT AS EXPECTED")
        self.chip.set("check" if passed else "cross", word, "ok" if passed else "bad")
        self.table.setRowCount(len(data["lines"]))
        for at, line in enumerate(data["lines"]):
            verdict = tr("as expected") if line["ok"] else tr("NOT AS EXPECTED")
            texts = (line["what"], line["expected"], line["measured"], verdict)
            for column, text in enumerate(texts):
                item = QTableWidgetItem(tr(text))
                item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(at, column, item)
        self.note.setText(
            tr(
                "{provider}, {seconds} s. A synthetic phantom, not a patient. Expected is what the "
                "shipped networks measured when they were shipped; the truth stands beside.",
                provider=data["provider"], seconds=data["seconds"],
            )
        )  # fmt: skip
