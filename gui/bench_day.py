"""A day's click-through with every piece of work on the GUI thread timed.

A piece is one event with everything it leads to on that thread: what keeps a click waiting.
Both clocks are taken: the thread's own CPU, which other programs on the computer do not change,
and the wall's, which they do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gui.sample import SampleSource
    from gui.window import MainWindow

LIMIT_MS = 16.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One event: CPU of the thread and wall in ms, what it was, the step it belongs to."""

    cpu_ms: float
    wall_ms: float
    what: str
    step: str


class TimedApplication(QApplication):
    """Notes how long each event keeps the GUI thread while ``step`` is set."""

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        self.pieces: list[Piece] = []
        self.step = ""
        self._inside = False

    def notify(self, receiver: QObject, event: QEvent) -> bool:
        """Deliver the event and note its time; events inside an event count to that."""
        if self._inside or not self.step:
            return bool(super().notify(receiver, event))
        self._inside = True
        step, what = self.step, f"{type(receiver).__name__} {event.type().name}"
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            return bool(super().notify(receiver, event))
        finally:
            self._inside = False
            cpu_ms = 1000 * (time.thread_time() - cpu)
            self.pieces.append(Piece(cpu_ms, 1000 * (time.perf_counter() - wall), what, step))

    def figures(self) -> dict[str, Any]:
        """Return number, longest and those above the limit, by CPU."""
        ordered = sorted(self.pieces, key=lambda p: -p.cpu_ms)
        above = [p for p in ordered if p.cpu_ms > LIMIT_MS]
        return {
            "pieces": len(ordered),
            "limit_ms": LIMIT_MS,
            "above": len(above),
            "longest_cpu_ms": round(ordered[0].cpu_ms, 1),
            "longest_wall_ms": round(max(p.wall_ms for p in ordered), 1),
            "worst": [
                {"cpu_ms": round(p.cpu_ms, 1), "wall_ms": round(p.wall_ms, 1),
                 "event": p.what, "step": p.step}
                for p in ordered[:12]
            ],
        }  # fmt: skip


def day(app: TimedApplication, window: MainWindow, source: SampleSource, rounds: int) -> None:
    """Click through what technologist and cardiologist do, ``rounds`` times.

    The first round makes every page once, as the console does when it starts; it is not timed.
    """
    for number in range(rounds + 1):
        for name, act in _steps(window, source):
            app.step = name if number else ""
            QTimer.singleShot(0, window, act)
            _settle(app, window)
    app.step = ""


def _settle(app: TimedApplication, window: MainWindow) -> None:
    """Let everything come that the step leads to: loads, frames, answers."""
    end = time.monotonic() + 0.12
    while time.monotonic() < end:
        app.processEvents()
        time.sleep(0.002)
    window.loader.wait()
    window.page.viewer.frames.wait()
    app.processEvents()


def _steps(window: MainWindow, source: SampleSource) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is clicked, in order, with its name."""
    page, list_ = window.page, window.worklist
    rows = source.cases()

    def opened(state: str) -> Callable[[], None]:
        return lambda: window.open_row(next(r for r in rows if r.state == state))

    yield "poll a changed list", window.poll
    yield "search", lambda: list_.search.setText("okafor")
    yield "clear search", list_.search.clear
    yield "choose a row", lambda: list_.table.selectRow(4)
    for state in ("DONE", "REVIEW", "NOT_ANALYSABLE", "RUNNING", "FAILED", "DONE"):
        yield f"open {state}", opened(state)
    yield "LAD's tightest lesion", lambda: page.jump_to_vessel("LAD")
    yield "along the vessel", lambda: page.viewer.scene.walk(0.5)
    yield "next slice", lambda: page.viewer.axial.set_slice(40)
    yield "turn", lambda: page.viewer.scene.turn(0.4)
    yield "overlay off", lambda: page.viewer.scene.set_overlay(False)
    yield "overlay on", lambda: page.viewer.scene.set_overlay(True)
    yield "curved view", lambda: page.viewer.show_tab(3)
    yield "tree", lambda: page.viewer.show_tab(4)
    yield "colours of the tree", page.viewer.next_colors
    yield "all views", lambda: page.show_full(True)
    yield "numbers", lambda: page.show_full(False)
    yield "limits of the risk", lambda: page.risk.turn_to(2)
    yield "prior study", window.open_serial
    yield "along both", lambda: window.serial.present.scene.walk(2.0)
    yield "back to the result", window.go_back
    for kind in ("covariates", "reject", "sign"):
        yield f"ask {kind}", lambda k=kind: page.ask(k)
        yield "cancel", lambda: _cancel(window)
    for name in ("settings", "selftest", "about"):
        yield name, lambda n=name: window.show_page(n)
    yield "back", window.go_back
    yield "close", window.close_case


def _cancel(window: MainWindow) -> None:
    from gui.dialogs import Ask

    for dialog in window.findChildren(Ask):
        dialog.reject()
