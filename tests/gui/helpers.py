"""What the tests of the console do again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QLabel

from gui import screens

if TYPE_CHECKING:
    from gui.sample import SampleSource
    from gui.window import MainWindow


def delete(window: MainWindow) -> None:
    """Take a closed window away at once, so that later ones are styled alone."""
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def row_in(source: SampleSource, state: str) -> Any:
    return next(row for row in source.cases() if row.state == state)


def drawn(window: MainWindow) -> None:
    """Let everything that was asked for be read, answered, drawn and painted."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    screens.settle(app, window)


def open_state(window: MainWindow, source: SampleSource, state: str) -> None:
    window.open_row(row_in(source, state))
    drawn(window)
    assert window.page.case is not None


def texts(window: MainWindow) -> str:
    labels = window.findChildren(QLabel)
    return "\n".join(item.text() for item in labels if item.isVisible())


def contrast(a: str, b: str) -> float:
    """WCAG 2.1 contrast ratio."""

    def light(color: str) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                 for c in QColor(color).getRgbF()[:3]]  # fmt: skip
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((light(a), light(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)
