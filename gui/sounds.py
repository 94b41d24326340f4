"""The sound of a new result: the system's own bell, silent where nobody sits."""

from __future__ import annotations

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

HEADLESS = frozenset({"offscreen", "minimal", "vnc"})


def announce(on: bool) -> bool:
    """Ring, if wanted and if there is a desk; return whether it rang."""
    if not on or QGuiApplication.platformName() in HEADLESS:
        return False
    QApplication.beep()
    return True
