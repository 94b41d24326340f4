"""What never happens: a pixel or a number of another patient, whatever comes in whatever order."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from helpers import delete

from gui import states
from gui.case import Loader, OpenCase, load_case
from gui.window import MainWindow
from plaque_edge.export import words

if TYPE_CHECKING:
    from factory import SampleSource
    from PySide6.QtWidgets import QApplication
    from pytestqt.qtbot import QtBot

    from gui.window import WindowOptions


def test_a_thousand_switches_with_slow_loads_never_mix_patients(
    qtbot: QtBot, themed: QApplication, source: SampleSource, options: WindowOptions
) -> None:
    """Loads and frames take random times; every paint is of the selected case, by identity."""
    rng = random.Random(4)

    def slow(row: Any) -> OpenCase:
        time.sleep(rng.choice((0.0, 0.001, 0.004)))
        return load_case(row)

    window = MainWindow(source, Loader(slow), options)
    window.poller.stop()
    window.poll()
    window.resize(1180, 680)
    window.show()
    painted: list[tuple[Any, Any]] = []
    window.guard.on_paint = lambda case, selected: painted.append((case, selected))
    rows = [row for row in source.cases() if row.state in states.FINISHED]
    page = window.page
    for number in range(1000):
        row = rng.choice(rows)
        window.open_row(row)
        for _ in range(rng.choice((0, 0, 0, 1, 1, 3))):
            themed.processEvents()
        if number % 100 == 99:
            window.loader.wait()
            page.viewer.frames.wait()
            themed.processEvents()
        assert words.person(row.info.patient_name) == page.identity.name.whole()
        assert row.info.patient_id in page.identity.who.whole()
        shown = [page.case, page.viewer.scene.case, *(v.case for v in page.viewer.views)]
        for case in shown:
            assert case is None or case.row.series_uid == row.series_uid
        if page.case is not None and page.case.result is not None:
            found = page.case.result["series"]["series_instance_uid"]
            assert found == row.series_uid
    window.loader.wait()
    themed.processEvents()
    qtbot.waitUntil(lambda: page.case is not None, timeout=5000)
    page.viewer.frames.wait()
    themed.processEvents()
    assert len(painted) > 100
    assert {case for case, _ in painted if case is not None} > {painted[-1][0]}
    assert all(case == selected for case, selected in painted)
    window.close()
    delete(window)
