"""A day's click-through with every piece of work on the GUI thread timed.

A piece is one turn of the event loop, so several events at worst: as long as it takes, a click
waits. Both clocks are taken: the thread's own CPU, which other programs on the computer hardly
change, and the wall's, which they do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PySide6.QtWidgets import QApplication

    from gui.sample import SampleSource
    from gui.window import MainWindow

LIMIT_MS = 16.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One turn of the event loop: CPU of the thread and wall in ms, and the step it was in."""

    cpu_ms: float
    wall_ms: float
    step: str


class Stopwatch:
    """Turns the event loop and notes how long each turn keeps the GUI thread."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def turn(self, app: QApplication, step: str = "") -> None:
        """Do what is due now."""
        wall, cpu = time.perf_counter(), time.thread_time()
        app.processEvents()
        cpu_ms, wall_ms = 1000 * (time.thread_time() - cpu), 1000 * (time.perf_counter() - wall)
        self.pieces.append(Piece(cpu_ms, wall_ms, step))

    def figures(self) -> dict[str, Any]:
        """Return number, percentile, the longest, and those above the limit, by CPU."""
        ordered = sorted(self.pieces, key=lambda p: -p.cpu_ms)
        return {
            "pieces": len(ordered),
            "limit_ms": LIMIT_MS,
            "above": sum(p.cpu_ms > LIMIT_MS for p in ordered),
            "p99_cpu_ms": round(ordered[len(ordered) // 100].cpu_ms, 1),
            "longest_cpu_ms": round(ordered[0].cpu_ms, 1),
            "longest_wall_ms": round(max(p.wall_ms for p in ordered), 1),
            "worst": [
                {"cpu_ms": round(p.cpu_ms, 1), "wall_ms": round(p.wall_ms, 1), "step": p.step}
                for p in ordered[:12]
            ],
        }


def day(app: QApplication, window: MainWindow, source: SampleSource, rounds: int) -> Stopwatch:
    """Click through what technologist and cardiologist do, ``rounds`` times.

    The first round makes every page once, as the console does when it starts; it is not timed.
    """
    timed, untimed = Stopwatch(), Stopwatch()
    for number in range(rounds + 1):
        for name, act in _steps(window, source):
            QTimer.singleShot(0, window, act)
            _settle(app, window, timed if number else untimed, name)
    return timed


def _settle(app: QApplication, window: MainWindow, watch: Stopwatch, step: str) -> None:
    """Let everything come that the step leads to: loads, frames, answers."""
    end = time.monotonic() + 0.12
    while time.monotonic() < end:
        watch.turn(app, step)
        time.sleep(0.002)
    window.loader.wait()
    window.page.viewer.frames.wait()
    watch.turn(app, step)


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
