"""What keeps the GUI thread: the stopwatch itself, and a whole day without a computation on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer

from gui.bench_day import Stopwatch, day

if TYPE_CHECKING:
    from factory import SampleSource
    from PySide6.QtWidgets import QApplication

    from gui.window import MainWindow

COMPUTATION_MS = 150.0
"""CPU that no event may take even on a slow, busy computer: a reformat of a scan, a load of a
case or a comparison takes several times as much. ``bench console`` measures the 16 ms."""


def _burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_the_stopwatch_sees_what_keeps_the_thread(qapp: QApplication) -> None:
    watch = Stopwatch()
    QTimer.singleShot(0, lambda: _burn(0.05))
    watch.turn(qapp, "work")
    QTimer.singleShot(0, lambda: time.sleep(0.03))
    watch.turn(qapp, "sleep")
    figures = watch.figures()
    worst = figures["worst"][0]
    assert 50.0 <= worst["cpu_ms"] < 150.0
    assert worst["step"] == "work"
    assert figures["above"] == 1
    (slept,) = (p for p in watch.pieces if p.step == "sleep")
    assert slept.wall_ms >= 29.0
    assert slept.cpu_ms < 15.0


def test_a_day_computes_nothing_on_the_gui_thread(
    qapp: QApplication, window: MainWindow, source: SampleSource
) -> None:
    source.add_prior()
    window.poll()
    watch = day(qapp, window, source, 1)
    figures = watch.figures()
    steps = {piece.step for piece in watch.pieces}
    assert {"open DONE", "prior study", "turn", "tree", "ask sign", "close"} <= steps
    assert figures["pieces"] > 300
    assert figures["longest_cpu_ms"] < COMPUTATION_MS, figures["worst"][:3]
