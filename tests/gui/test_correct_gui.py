"""A reader corrects contours, the line, segments and gaps; numbers follow, and are kept."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from factory import SampleSource
from helpers import delete, drawn, texts
from PySide6.QtCore import QPoint, Qt

from gui import say, screens
from gui.case import IdentityError, key_of
from gui.dialogs import Ask
from gui.edit_session import EditSession
from gui.print_text import of_result
from gui.review import Review
from gui.widgets import Chip
from gui.window import MainWindow, WindowOptions
from plaque_edge.correct import edits as edit_data
from plaque_edge.correct.edits import Centre, Contour, Exclude, Relabel
from plaque_edge.correct.job import By, CorrectionJob
from plaque_edge.correct.official import write_corrected
from plaque_edge.pipeline import AnalyzeOptions, analyze
from plaque_edge.publish import publish, put_in_place
from plaque_edge.review import refusal
from plaque_edge.store import Action, NewAction, NewRequest, Request

sys.path.insert(0, str(Path(__file__).parents[1]))
import tube_scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PySide6.QtWidgets import QApplication
    from pytestqt.qtbot import QtBot

    from plaque_edge.store import CaseRow

AT = "2026-11-23T15:04:05.000Z"


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A scan of tubes, analysed for once: its folder and header."""
    scan = tmp_path_factory.mktemp("tubes")
    tube_scan.write(scan)
    done = analyze([scan], AnalyzeOptions(), tube_scan.Engines, None, tube_scan.segmenter())
    place = tmp_path_factory.mktemp("tubes-out") / "result"
    publish(done, place)
    return place, done.result.info


class Corrections(SampleSource):
    """The sample list with one real result on top, which answers "correct" as the service does."""

    def ask(self, new: NewRequest) -> int:
        if new.kind != "correct":
            return super().ask(new)
        self.asked.append(new)
        number = len(self.asked)
        row = next(r for r in self.cases() if r.series_uid == new.series_uid)
        acts = self._acts.setdefault(row.case_id, [])
        reason = refusal("correct", Review(tuple(acts)).standing, new.arguments)
        if reason is None:
            document = new.arguments["document"]
            assert row.result_dir is not None
            by = By(new.person, AT, document["result_sha256"], number)
            done: dict[str, Any] = {"folder": None, "sha256": None}
            if document["edits"]:
                end = write_corrected(CorrectionJob(row.result_dir, row.info, document, by))
                put_in_place(end.draft, row.result_dir / end.name)
                done = {"folder": end.name, "sha256": end.sha256}
            act = NewAction("correct", new.person, done, number, row.result_sha256)
            acts.append(Action(number, row.case_id, AT, act))
        self._answers[number] = Request(number, new, "", AT, reason)
        self._version += 1
        return number


@pytest.fixture
def real(folder: Path, analysed: Any) -> Corrections:
    source = Corrections(folder / "correct", spacing_mm=3.0)
    done = next(r for r in source.cases() if r.state == "DONE")
    place, info = analysed
    row = replace(
        done, case_id=500, info=info, series_uid=info.series_instance_uid,
        study_uid=info.study_instance_uid, result_dir=place,
    )  # fmt: skip
    source.replace_rows((row, *source.cases()))
    return source


def test_a_corrected_result_says_so_beside_the_headline_with_the_analysis_own_numbers(
    themed: QApplication, source: SampleSource, options: WindowOptions
) -> None:
    """On the page, in the worklist and at the signature; nothing of it on one as analysed."""
    window = MainWindow(source, options=options)
    window.poller.stop()
    window.resize(1366, 768)
    window.show()
    window.poll()
    screens._corrected(window, source)
    case, head = window.page.case, window.page.headline
    assert case is not None
    assert case.original is not None
    assert case.result is not None
    own, now = (say.volume(r["patient"]["plaque_mm3"]) for r in (case.original, case.result))
    assert own != now
    assert head.by_hand.isVisible()
    assert own in head.own.text()
    assert "the analysis's own numbers" in head.own.text()
    assert say.percent(case.original["patient"]["pav_percent"]) in head.own.text()
    assert now in head.figures[1][1].text()
    assert "CORRECTED" in [c.text() for c in head.by_hand.findChildren(Chip)]
    assert "Corrected by" not in head.note.text()
    assert own in of_result(case)
    model = window.worklist.model
    assert "corrected by a person" in model._result(window.page.case.row)[1]
    window.ask("sign", case.row)
    assert "CORRECTED" in texts(window)
    next(iter(window.findChildren(Ask))).close()
    window.open_row(next(r for r in source.cases() if r.state == "DONE" and r.case_id != 600))
    drawn(window)
    assert not head.by_hand.isVisible()
    assert head.own.text() == ""
    window.close()
    delete(window)


@pytest.fixture
def window(themed: QApplication, real: Corrections, options: WindowOptions) -> Iterator[MainWindow]:
    out = MainWindow(real, options=options)
    out.poller.stop()
    out.resize(1500, 900)
    out.show()
    out.poll()
    yield out
    out.close()
    delete(out)


def measured(window: MainWindow, qtbot: QtBot) -> None:
    """Wait for the numbers of the present edits."""
    edit = window.page.viewer.edit
    qtbot.waitUntil(
        lambda: edit.last is not None and not edit.busy and edit.last.edits == edit.edits,
        timeout=180_000,
    )
    drawn(window)


def open_top(window: MainWindow) -> CaseRow:
    row = window.worklist.model.rows()[0]
    window.open_row(row)
    drawn(window)
    return row


def begin(window: MainWindow, qtbot: QtBot) -> Any:
    """Open the real case and correct its LAD at the middle of the plaque."""
    row = open_top(window)
    assert row.case_id == 500
    window.page.review.buttons["correct"].click()
    panel = window.page.viewer
    assert panel.editing.isVisible()
    measured(window, qtbot)
    lad = panel.scene.branch_at("LAD")
    assert lad is not None
    panel.scene.set_step(lad, 60.0, lad)
    drawn(window)
    return panel


def drag(qtbot: QtBot, view: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag with the left button from one place (u, v) in mm to another, in steps."""
    places = [view.position_of(*(a + (b - a) * k / 4 for a, b in zip(start, end, strict=True)))
              for k in range(5)]  # fmt: skip
    points = [QPoint(round(p.x()), round(p.y())) for p in places]
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=points[0])
    for point in points[1:]:
        qtbot.mouseMove(view, point)
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=points[-1])


def plaque(window: MainWindow) -> float:
    last = window.page.viewer.edit.last
    assert last is not None
    return float(last.found.numbers["patient"]["plaque_mm3"])


def test_a_dragged_point_changes_the_number_undo_returns_it_and_the_sign_is_of_the_corrected(
    qtbot: QtBot, window: MainWindow, real: Corrections
) -> None:
    panel = begin(window, qtbot)
    page, bar = window.page, panel.editing
    before = plaque(window)
    own = page.case.result["patient"]["plaque_mm3"]  # type: ignore[index,union-attr]
    assert before == pytest.approx(own, rel=1e-6)
    assert bar.chip.text() == "AS ANALYSED"
    panel.editing.which.button(1).click()
    u, v = panel.hand.handles()[4]
    drag(qtbot, panel.section, (u, v), (1.5 * u, 1.5 * v))
    assert len(panel.edit.edits) == 1
    assert len(panel.edit._done) == 1, "one drag is one step of undo"
    drawn_mm = np.array(panel.edit.edits[0].radii_mm)
    assert panel.edit.edits[0].which == "wall"
    measured(window, qtbot)
    after = plaque(window)
    assert after > before + 0.2
    assert bar.chip.text() == "CORRECTED"
    assert "→" in bar.text.whole()
    branch = panel.scene.current
    area = float(np.pi * np.mean(drawn_mm**2))
    assert branch.area_mm2[60, 1] == pytest.approx(area, rel=0.02)
    assert "→" in bar.text.whole()

    qtbot.keyClick(panel.section, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    measured(window, qtbot)
    assert plaque(window) == before
    assert "→" not in bar.text.whole()
    qtbot.keyClick(panel.section, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    measured(window, qtbot)
    assert plaque(window) == after

    bar.save.click()
    drawn(window)
    qtbot.waitUntil(
        lambda: page.case is not None and page.case.original is not None, timeout=60_000
    )
    drawn(window)
    assert not panel.edit.active
    assert page.case is not None
    shown = page.case.result["patient"]["plaque_mm3"]  # type: ignore[index]
    assert shown == pytest.approx(after, abs=1e-3)
    assert page.case.original["patient"]["plaque_mm3"] == own  # type: ignore[index]
    assert page.banner.isVisible()
    told = texts(window)
    assert "by Dr. Li" in told
    assert f"plaque {shown:.0f} mm³, by the analysis {own:.0f} mm³" in page.banner.text.text()
    assert page.identity.signed.text() == "UNSIGNED"
    window.desk.ask("sign", "Dr. Li", page.case.row, result_sha256=page.case.sha256)
    drawn(window)
    assert real.asked[-1].kind == "sign"
    assert real.asked[-1].arguments["result_sha256"] == page.case.sha256


def test_brush_and_keys_edit_too(qtbot: QtBot, window: MainWindow) -> None:
    panel = begin(window, qtbot)
    hand, section = panel.hand, panel.section
    panel.editing.tools.button(1).click()
    assert hand.tool == "brush"
    radii, _ = hand.contour("lumen")
    drag(qtbot, section, (0.3 * radii[0], 0.0), (radii[0] + 0.1, 0.0))
    assert hand.is_drawn("lumen")
    pushed, _ = hand.contour("lumen")
    assert pushed[0] > radii[0]
    assert pushed[16] == pytest.approx(radii[16], abs=1e-3)
    panel.editing.tools.button(0).click()
    for key, grows in ((Qt.Key.Key_Up, 1), (Qt.Key.Key_Down, -1)):
        before, _ = hand.contour("lumen")
        qtbot.keyClick(section, key)
        after, _ = hand.contour("lumen")
        assert grows * (after[hand.handle] - before[hand.handle]) > 0.05
    before, _ = hand.contour("lumen")
    qtbot.keyClick(section, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    after, _ = hand.contour("lumen")
    assert (before - after) == pytest.approx(0.1, abs=2e-3)
    chosen = hand.handle
    qtbot.keyClick(section, Qt.Key.Key_PageUp)
    assert hand.handle == (chosen + 2) % 32
    wall, _ = hand.contour("wall")
    for _ in range(40):
        hand.nudge(0.5, whole=True)
    lumen, _ = hand.contour("lumen")
    assert (lumen < wall).all(), "the lumen stays inside the outer wall"


def test_centre_moves_in_the_section_and_on_the_straightened_view(
    qtbot: QtBot, window: MainWindow
) -> None:
    panel = begin(window, qtbot)
    panel.editing.tools.button(2).click()
    drag(qtbot, panel.section, (0.0, 0.0), (0.0, 0.6))
    (edit,) = panel.edit.edits
    assert isinstance(edit, Centre)
    assert edit.offset_mm == pytest.approx((0.0, 0.6), abs=0.06)
    was = window.page.case.branches[edit.branch].centers_mm[edit.step]  # type: ignore[union-attr]
    measured(window, qtbot)
    now = panel.scene.branches[edit.branch].centers_mm[edit.step]
    assert np.linalg.norm(now - was) == pytest.approx(np.hypot(*edit.offset_mm), abs=1e-3)
    view = panel.straight
    frame = view.drawn.frame
    x = round(frame.x() + 0.7 * frame.width())
    middle = round(frame.center().y())
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(x, middle))
    for y in (middle + 4, middle + 8):
        qtbot.mouseMove(view, QPoint(x, y))
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(x, middle + 8))
    moved = panel.edit.edits[-1]
    assert isinstance(moved, Centre)
    assert moved.step != edit.step
    by_mm = 8 * 2 * view.HALF_MM / frame.height()
    assert np.hypot(*moved.offset_mm) == pytest.approx(by_mm, rel=0.05)
    measured(window, qtbot)


def test_a_stretch_is_marked_on_the_profile_excluded_and_relabelled(
    qtbot: QtBot, window: MainWindow
) -> None:
    panel = begin(window, qtbot)
    bar, profile = panel.editing, panel.profile
    bar.tools.button(3).click()
    assert bar.why.isVisible()
    assert not bar.exclude.isEnabled()
    plot = profile._plot()
    y = round(plot.center().y())
    first, last = (QPoint(round(plot.x() + s * plot.width()), y) for s in (0.3, 0.6))
    qtbot.mousePress(profile, Qt.MouseButton.LeftButton, pos=first)
    qtbot.mouseMove(profile, last)
    qtbot.mouseRelease(profile, Qt.MouseButton.LeftButton, pos=last)
    assert panel.hand.marked is not None
    branch, start, end = panel.hand.marked
    assert panel.scene.branches[branch].name == "LAD"
    assert end - start > 20
    bar.exclude.click()
    assert isinstance(panel.edit.edits[-1], Exclude)
    assert panel.edit.edits[-1].why == "Motion or step artefact"
    measured(window, qtbot)
    assert panel.edit.last.found.numbers["vessels"]["LAD"]["status"] == "partial"
    panel.scene.set_step(branch, float(start), branch)
    qtbot.keyClick(panel.section, Qt.Key.Key_BracketLeft)
    panel.scene.set_step(branch, float(start + 9), branch)
    qtbot.keyClick(panel.section, Qt.Key.Key_BracketRight)
    assert panel.hand.marked == (branch, start, start + 9)
    bar.segment.setCurrentIndex(bar.segment.findData(7))
    bar.relabel.click()
    assert panel.edit.edits[-1] == Relabel(branch, "LAD", start, start + 9, 7)
    bar.clear.click()
    assert panel.edit.edits == ()
    panel.edit.undo()
    assert len(panel.edit.edits) == 2


def test_an_edit_that_cannot_be_is_told_and_can_be_undone(qtbot: QtBot, window: MainWindow) -> None:
    panel = begin(window, qtbot)
    branch = panel.scene.branch
    panel.hand.mark(branch, 10, 20)
    panel.hand.relabel(1)
    qtbot.waitUntil(lambda: window.page.banner.isVisible(), timeout=60_000)
    assert "CORRECTION_SEGMENT_VESSEL" in window.page.banner.text.text()
    panel.edit.undo()
    measured(window, qtbot)
    assert panel.edit.edits == ()


def test_never_another_patients_edit(qtbot: QtBot, window: MainWindow) -> None:
    """Answers that come late, and a save, are of the case that was corrected or of none."""
    panel = begin(window, qtbot)
    seen: list[Any] = []
    window.guard.on_paint = lambda painted, selected: seen.append((painted, selected))
    row = window.page.case.row  # type: ignore[union-attr]
    panel.hand.nudge(0.3, whole=True)
    other = next(r for r in window.worklist.model.rows() if r.state == "REVIEW")
    window.open_row(other)
    drawn(window)
    assert not panel.edit.active
    assert panel.edit.edits == ()
    assert panel.edit.last is None
    with pytest.raises(IdentityError):
        panel.edit.document(key_of(other))
    with pytest.raises(IdentityError):
        panel.edit.document(key_of(row))
    qtbot.wait(500)
    drawn(window)
    assert panel.scene.case.key == key_of(other)
    assert all(np.array_equal(a.centers_mm, b.centers_mm) for a, b in zip(
        panel.scene.branches, window.page.case.branches, strict=True))  # type: ignore[union-attr]  # fmt: skip
    assert all(painted == selected for painted, selected in seen if painted is not None)
    with pytest.raises(IdentityError):
        panel.start_editing(replace(window.page.case, row=row))  # type: ignore[type-var]


def test_an_older_result_says_that_it_cannot_be_corrected(qtbot: QtBot, window: MainWindow) -> None:
    row = next(r for r in window.worklist.model.rows() if r.state == "DONE" and r.case_id != 500)
    window.open_row(row)
    drawn(window)
    window.page.review.buttons["correct"].click()
    qtbot.waitUntil(lambda: "CORRECTION_NOT_KEPT" in window.page.banner.text.text(), timeout=60_000)
    assert not window.page.viewer.editing.save.isEnabled()


def test_undo_and_redo_stand_as_a_stack() -> None:
    """Every state comes back in order; a new edit drops what was undone."""
    session = EditSession()
    session.key = (1, "x", 1)
    session._ask = lambda: None  # type: ignore[method-assign]
    states = [()]
    for step in range(6):
        session.put(Contour(0, "LM", step, "lumen", (1.0,) * 32))
        states.append(session.edits)
    for state in reversed(states[:-1]):
        session.undo()
        assert session.edits == state
    assert not session.can_undo
    session.undo()
    assert session.edits == ()
    for state in states[1:4]:
        session.redo()
        assert session.edits == state
    session.put(Centre(0, "LM", 3, (0.1, 0.0)))
    assert not session.can_redo
    session.put(Centre(0, "LM", 3, (0.2, 0.0)), more=True)
    session.put(Centre(0, "LM", 3, (0.3, 0.0)), more=True)
    assert edit_data.summary(session.edits) == {"contour": 3, "centre": 1}
    session.undo()
    assert session.edits == states[3]
    session.close()
