"""Saves pictures of a live run and leaves when everything is done: what the demo uses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gui.window import MainWindow

RECEIVING, RUNNING, RESULT = "1-receiving.png", "2-running.png", "3-result.png"
_EVERY_S = 0.7


class Recorder:
    """Looks at the window every 200 ms; keeps the last picture of each stage."""

    def __init__(self, window: MainWindow, folder: Path | None, *, leave: bool) -> None:
        from PySide6.QtCore import QTimer

        self.final: str | None = None
        self._window, self._folder, self._leave = window, folder, leave
        self._last = 0.0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._timer = QTimer(window)
        self._timer.timeout.connect(self.look)
        if folder is not None or leave:
            self._timer.start(200)

    def look(self) -> None:
        """Save what is due; leave when every case is finished and the newest is on screen."""
        from gui.states import FINISHED

        rows = self._window.worklist.model.rows()
        live = {row.state for row in rows} - FINISHED - {"OUTDATED"}
        if live & {"SEEN", "SETTLING"}:
            self._save(RECEIVING)
        elif live & {"READY", "RUNNING"}:
            self._save(RUNNING)
        case = self._window.page.case
        shown = case is not None and case.row.state in FINISHED
        if shown and case is not None and self.final != case.row.state:
            self._save(RESULT, now=True)
            self.final = case.row.state
        if self._leave and shown and not live:
            self._quit()

    def _save(self, name: str, *, now: bool = False) -> None:
        if self._folder is None or (not now and time.monotonic() - self._last < _EVERY_S):
            return
        self._last = time.monotonic()
        self._window.grab().save(str(self._folder / name))

    def _quit(self) -> None:
        from PySide6.QtCore import QCoreApplication

        self._timer.stop()
        self._save(RESULT, now=True)
        QCoreApplication.exit(0)


def exit_code(state: str | None) -> int:
    """Return 0 for a result, 2 for not analysable, 1 for failed or nothing at all."""
    return {"DONE": 0, "REVIEW": 0, "NOT_ANALYSABLE": 2}.get(state or "", 1)
