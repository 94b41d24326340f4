"""What keeps the GUI thread: the stopwatch itself, and a whole day without a computation on it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from PySide6.QtCore import QTimer

from gui.bench_day import TimedApplication, day

if TYPE_CHECKING:
    from factory import SampleSource
    from pytestqt.qtbot import QtBot

    from gui.window import MainWindow

COMPUTATION_MS = 150.0
"""CPU that no event may take even on a slow, busy computer: a reformat of a scan, a load of a
case or a comparison takes several times as much. ``bench console`` measures the 16 ms."""


@pytest.fixture
def timed(qapp: object) -> TimedApplication:
    assert isinstance(qapp, TimedApplication)
    qapp.pieces.clear()
    return qapp


def _burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_the_stopwatch_sees_who_keeps_the_thread(qtbot: QtBot, timed: TimedApplication) -> None:
    timed.step = "work"
    QTimer.singleShot(0, lambda: _burn(0.05))
    QTimer.singleShot(0, lambda: time.sleep(0.03))
    qtbot.wait(300)
    timed.step = ""
    figures = timed.figures()
    worst = figures["worst"][0]
    assert 50.0 <= worst["cpu_ms"] < 150.0
    assert worst["step"] == "work"
    assert figures["above"] >= 1
    assert figures["longest_wall_ms"] >= 50.0
    slept = [p for p in timed.pieces if p.wall_ms >= 29.0 and p.cpu_ms < 15.0]
    assert slept
    QTimer.singleShot(0, lambda: _burn(0.02))
    before = len(timed.pieces)
    qtbot.wait(60)
    assert len(timed.pieces) == before


def test_a_day_computes_nothing_on_the_gui_thread(
    timed: TimedApplication, window: MainWindow, source: SampleSource
) -> None:
    source.add_prior()
    window.poll()
    day(timed, window, source, 1)
    figures = timed.figures()
    steps = {piece.step for piece in timed.pieces}
    assert {"open DONE", "prior study", "turn", "tree", "ask sign", "close"} <= steps
    assert figures["pieces"] > 300
    assert figures["longest_cpu_ms"] < COMPUTATION_MS, figures["worst"][:3]
