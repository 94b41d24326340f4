"""Threads of the console: nothing outlives its window, nothing speaks after it was closed."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import delete, open_state, row_in
from PySide6.QtCore import QObject, Signal

from gui.background import END_S, Background, leave, still_running
from gui.frames import Frames
from gui.window import MainWindow

if TYPE_CHECKING:
    import pytest
    from factory import SampleSource
    from PySide6.QtWidgets import QApplication
    from pytestqt.qtbot import QtBot

    from gui.window import WindowOptions

DRAWN_WITHOUT_TEAM = """
import sys, tempfile
from pathlib import Path
import numba
from PySide6.QtWidgets import QApplication
app = QApplication([])
from gui.sample import SampleSource
from gui.window import MainWindow, WindowOptions
from gui.screens import settle
source = SampleSource(Path(tempfile.mkdtemp()), spacing_mm=2.0)
window = MainWindow(source, options=WindowOptions(out_dir="results"))
window.resize(1366, 768); window.show(); window.poll()
window.open_row(next(r for r in source.cases() if r.state == "DONE"))
window.page.show_full(True)
settle(app, window)
assert all(view.drawn is not None for view in window.page.viewer.views)
try:
    layer = numba.threading_layer()
except ValueError:
    layer = "none"
window.close()
print("layer", layer)
"""


class Teller(Background):
    said = Signal(int)


def _threads() -> set[str]:
    return {t.name for t in threading.enumerate()} & {
        "frames", "loader", "desk", "poller", "edits", "site file",
    }  # fmt: skip


def test_nothing_of_a_closed_window_stays(
    themed: QApplication, source: SampleSource, options: WindowOptions
) -> None:
    """Else each window would keep its images, its mapped files and its threads for ever."""
    window = MainWindow(source, options=options)
    window.poller.stop()
    window.show()
    window.poll()
    open_state(window, source, "DONE")
    stack = window.page.viewer.scene.stack
    assert stack is not None
    kept = [weakref.ref(thing) for thing in (window, window.page.viewer, window.desk, stack.hu)]
    del stack
    window.close()
    assert not _threads()
    delete(window)
    del window
    gc.collect()
    assert [ref() for ref in kept] == [None] * len(kept)


def test_pieces_are_done_in_order_and_answers_arrive(qtbot: QtBot) -> None:
    teller, heard = Teller("one"), list[int]()
    teller.said.connect(heard.append)
    for number in range(50):
        teller.put(lambda n=number: teller.tell(teller.said, n))  # type: ignore[misc]
    assert teller.wait()
    qtbot.waitUntil(lambda: len(heard) == 50)
    assert heard == list(range(50))
    teller.close()


def test_no_more_threads_than_asked_for_and_all_of_them_work(qtbot: QtBot) -> None:
    both = threading.Barrier(2, timeout=10.0)
    teller = Teller("pair", threads=2)
    for _ in range(6):
        teller.put(lambda: (both.wait(), None)[1])
    assert teller.wait()
    assert sum(t.name == "pair" for t in threading.enumerate()) == 2
    teller.close()


def test_nothing_is_said_after_closing(qtbot: QtBot) -> None:
    """Closing waits for the piece under way, drops the others, and silences all of them."""
    teller, begun, go = Teller("late"), threading.Event(), threading.Event()
    done, heard = list[int](), list[int]()
    teller.said.connect(heard.append)

    def slow(number: int) -> None:
        begun.set()
        go.wait(10.0)
        done.append(number)
        teller.tell(teller.said, number)

    teller.put(lambda: slow(1))
    teller.put(lambda: slow(2))
    assert begun.wait(10.0)
    threading.Timer(0.2, go.set).start()
    teller.close()
    assert done == [1]
    assert not any(t.name == "late" for t in threading.enumerate())
    teller.put(lambda: slow(3))
    qtbot.wait(50)
    assert heard == []
    assert done == [1]


def test_a_thread_that_outlives_its_object_says_nothing(qtbot: QtBot) -> None:
    """As when a window is taken away without having been closed."""
    parent = QObject()
    teller, begun, go, heard = Teller("orphan", parent), threading.Event(), threading.Event(), []
    teller.said.connect(heard.append)
    raised: list[BaseException] = []

    def slow() -> None:
        begun.set()
        go.wait(10.0)
        try:
            teller.tell(teller.said, 1)
        except BaseException as error:
            raised.append(error)

    teller.put(slow)
    assert begun.wait(10.0)
    parent.deleteLater()
    qtbot.waitUntil(lambda: not _alive(teller))
    go.set()
    assert teller.wait()
    assert (heard, raised) == ([], [])


def _alive(what: QObject) -> bool:
    import shiboken6

    return bool(shiboken6.isValid(what))


STUCK = """
import sys, tempfile, threading, time
from pathlib import Path
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication
app = QApplication([])
from gui.background import leave, still_running
from gui.sample import SampleSource
from gui.window import MainWindow, WindowOptions
source = SampleSource(Path(tempfile.mkdtemp()), spacing_mm=3.0)
window = MainWindow(source, options=WindowOptions(out_dir="results"))
window.show(); window.poll()
window.page.viewer.frames.wait(120.0)
begun = threading.Event()
def draws_for_ever():
    image = QImage(900, 900, QImage.Format.Format_RGB32)
    while True:
        with QPainter(image) as painter:
            begun.set()
            for y in range(0, 900, 3):
                painter.drawLine(0, y, 900, 900 - y)
window.page.viewer.frames.ask("view", 0, draws_for_ever)
both = threading.Barrier(3, timeout=60.0)
for _ in range(2):
    window.loader.put(lambda: (both.wait(), time.sleep(600)))
both.wait()
begun.wait(60.0)
began = time.monotonic()
window.close()
took = time.monotonic() - began
print("closed", took < 8.0, took, still_running(), flush=True)
raise SystemExit(leave(7))
"""


def test_closing_is_bound_and_the_process_ends_well_around_a_thread_that_draws() -> None:
    """Three threads that never end: one wait for all of them, no crash, the right exit code."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", STUCK], capture_output=True, text=True,
        timeout=300, cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.stdout.startswith("closed True"), (done.stdout, done.stderr[-2000:])
    assert "('frames', 'loader', 'loader')" in done.stdout
    assert done.returncode == 7
    assert "Fatal" not in done.stderr


def test_what_a_person_asked_for_is_put_down_before_the_window_is_gone(
    themed: QApplication, source: SampleSource, options: WindowOptions
) -> None:
    """A busy disk: longer than anything that is only read is waited for."""
    window = MainWindow(source, options=options)
    window.poller.stop()
    window.poll()
    put_down = source.ask

    def slow(new: object) -> int:
        time.sleep(END_S + 1.0)
        return put_down(new)  # type: ignore[arg-type]

    source.ask = slow  # type: ignore[method-assign]
    try:
        window.desk.ask("sign", "Dr. Li", row_in(source, "DONE"))
        window.close()
    finally:
        del source.ask
    assert [new.kind for new in source.asked] == ["sign"]
    delete(window)


def test_a_thread_that_was_left_is_known_until_it_ends(qtbot: QtBot) -> None:
    teller, begun, go = Teller("left"), threading.Event(), threading.Event()
    teller.put(lambda: (begun.set(), go.wait(30.0), None)[2])
    assert begun.wait(30.0)
    teller.close(time.monotonic() + 0.2)
    assert still_running() == ("left",)
    go.set()
    qtbot.waitUntil(lambda: still_running() == ())
    assert leave(3) == 3


def test_a_piece_that_fails_does_not_end_the_thread(
    qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    teller, done = Teller("sturdy"), list[int]()
    teller.put(lambda: [][0])
    teller.put(lambda: done.append(1))
    assert teller.wait()
    assert done == [1]
    assert "INTERNAL in sturdy: IndexError" in caplog.text
    teller.close()


def test_only_the_newest_wish_of_a_view_is_drawn(qtbot: QtBot) -> None:
    frames, go, drawn = Frames(), threading.Event(), list[object]()
    answers: list[object] = []
    frames.done.connect(lambda view, ticket, answer: answers.append((view, ticket, answer)))
    frames.ask("first", 0, lambda: go.wait(10.0))
    for ticket in range(5):
        frames.ask("view", ticket, lambda t=ticket: drawn.append(t) or t)  # type: ignore[misc]
    go.set()
    assert frames.wait()
    qtbot.waitUntil(lambda: len(answers) == 2)
    assert drawn == [4]
    assert answers[-1] == ("view", 4, 4)
    frames.close()


def test_the_console_runs_no_team_of_threads_of_numba() -> None:
    """Two threads must not launch one at once on every computer: the console launches none."""
    done = subprocess.run(
        [sys.executable, "-c", DRAWN_WITHOUT_TEAM], capture_output=True, text=True, timeout=300,
        cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "layer none", done.stderr[-2000:]
