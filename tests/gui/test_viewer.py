"""The viewer: planes, curved views, sections, tree and profile, linked by one cursor."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers import drawn, open_state, row_in
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest

from gui.case import key_of
from gui.curved_view import StretchedView
from gui.section_view import SectionView
from plaque_edge.export import overlay

if TYPE_CHECKING:
    from factory import SampleSource
    from pytestqt.qtbot import QtBot

    from gui.frame_view import FrameView
    from gui.viewer_panel import ViewerPanel
    from gui.window import MainWindow


@pytest.fixture
def panel(window: MainWindow, source: SampleSource) -> ViewerPanel:
    open_state(window, source, "DONE")
    window.page.show_full(True)
    drawn(window)
    return window.page.viewer


def _grey(view: FrameView) -> np.ndarray:
    image = view.grab().toImage().convertToFormat(view.grab().toImage().Format.Format_Grayscale8)
    pixels = np.frombuffer(image.constBits(), np.uint8).copy()
    return pixels.reshape(image.height(), image.bytesPerLine())[:, : image.width()]


def test_every_view_shows_a_frame_of_the_case(window: MainWindow, panel: ViewerPanel) -> None:
    for view in panel.views:
        assert view.isVisible()
        assert view.drawn is not None, view.title
        assert window.page.case is not None
        assert view.case is not None
        assert view.case.key == window.page.case.key
        assert _grey(view).max() > 100


def test_blank_as_soon_as_the_selection_moves_on(
    window: MainWindow, panel: ViewerPanel, source: SampleSource
) -> None:
    window.guard.selected = key_of(row_in(source, "REVIEW"))
    for view in panel.views:
        view.clearFocus()
        assert _grey(view).max() == 0, view.title


def test_a_frame_of_another_case_is_not_taken(panel: ViewerPanel, source: SampleSource) -> None:
    view = panel.axial
    other = key_of(row_in(source, "REVIEW"))
    before = view.drawn
    view._take(id(view), (other, view._asked + 1, view.subject()), None)  # type: ignore[arg-type]
    assert view.drawn is before


def test_an_older_frame_never_replaces_a_newer_one(panel: ViewerPanel) -> None:
    view = panel.axial
    assert view.case is not None
    newest = view.drawn
    view._take(id(view), (view.case.key, view._shown - 1, view.subject()), None)  # type: ignore[arg-type]
    assert view.drawn is newest


def test_one_cursor_moves_all_views(window: MainWindow, panel: ViewerPanel) -> None:
    scene = panel.scene
    scene.set_step(3, 40.0)
    drawn(window)
    branch = scene.branches[3]
    assert scene.point_mm == pytest.approx(tuple(branch.centers_mm[40]))
    stack = scene.stack
    assert stack is not None
    voxel = stack.index_of(scene.point_mm)
    assert voxel == (panel.axial.index, panel.coronal.index, panel.sagittal.index)
    assert panel.branch.currentText() == branch.name
    assert panel.section.drawn is not None
    assert panel.section.drawn.more == pytest.approx(40.0)


def test_click_on_a_plane_moves_the_curved_views(window: MainWindow, panel: ViewerPanel) -> None:
    scene = panel.scene
    scene.set_step(1, 30.0)
    drawn(window)
    at = panel.axial.place_of(scene.point_mm)
    assert at is not None
    scene.set_step(3, 5.0)
    scene.set_point((scene.branches[1].centers_mm[30][0], 0.0, 0.0), snap=False)
    drawn(window)
    QTest.mouseClick(panel.axial, Qt.MouseButton.LeftButton, pos=at.toPoint())
    assert scene.branch == 1
    assert scene.step == pytest.approx(30.0, abs=3.0)


def test_places_and_points_are_inverse(window: MainWindow, panel: ViewerPanel) -> None:
    for view in (panel.axial, panel.coronal, panel.sagittal):
        point = panel.scene.point_mm
        place = view.place_of(point)
        assert place is not None
        assert view.point_at(place) == pytest.approx(point, abs=1e-6)
        assert view.point_at(QPointF(-5, -5)) is None


def test_hu_read_out_is_the_voxel_under_the_pointer(panel: ViewerPanel) -> None:
    view, stack = panel.axial, panel.scene.stack
    assert stack is not None
    assert view.drawn is not None
    frame = view.drawn.frame
    _, rows, columns = stack.hu.shape
    said: list[str] = []
    view.readout.connect(said.append)
    for y, x in ((5, 7), (rows - 3, 2), (30, columns - 1)):
        at = QPointF(frame.x() + (x + 0.5) / columns * frame.width(),
                     frame.y() + (y + 0.5) / rows * frame.height())  # fmt: skip
        assert view.voxel_at(at) == (view.index, y, x)
        view.hover(at)
        assert said[-1].startswith(f"{stack.hu[view.index, y, x]} HU")


def test_coronal_has_the_head_up_and_the_left_at_the_right(panel: ViewerPanel) -> None:
    z, y, x = panel.scene.point_mm
    here = panel.coronal.place_of((z, y, x))
    head, left = panel.coronal.place_of((z + 10, y, x)), panel.coronal.place_of((z, y, x + 10))
    assert here is not None
    assert head is not None
    assert left is not None
    assert head.y() < here.y()
    assert left.x() > here.x()


def test_wheel_and_keys_scroll(qtbot: QtBot, panel: ViewerPanel) -> None:
    view = panel.axial
    start, branch = view.index, panel.scene.branch
    qtbot.keyClick(view, Qt.Key.Key_Up)
    assert view.index == start + 1
    view.rolled(-3)
    assert view.index == start - 2
    assert panel.scene.branch == branch
    view.set_slice(10_000)
    assert panel.scene.stack is not None
    assert view.index == panel.scene.stack.hu.shape[0] - 1


def test_overlay_window_and_colours_change_the_pixels(
    window: MainWindow, panel: ViewerPanel
) -> None:
    pictures = [_grey(panel.axial)]
    for change in (
        lambda: panel.scene.set_overlay(False),
        panel.next_window,
        lambda: (panel.scene.set_overlay(True), panel.opacity.setValue(90)),
    ):
        change()
        drawn(window)
        pictures.append(_grey(panel.axial))
    for before, after in itertools.pairwise(pictures):
        assert (before != after).any()


def test_turning_changes_the_curved_views(window: MainWindow, panel: ViewerPanel) -> None:
    before = [_grey(v) for v in (panel.stretched, panel.straight)]
    panel.scene.turn(math.radians(70))
    drawn(window)
    for old, view in zip(before, (panel.stretched, panel.straight), strict=True):
        assert (old != _grey(view)).any()
    assert panel.angle.value() == 70


def test_dragging_the_profile_walks_along_the_vessel(panel: ViewerPanel) -> None:
    panel.scene.set_step(1, 0.0)
    plot = panel.profile._plot()
    middle = QPoint(round(plot.center().x()), round(plot.center().y()))
    QTest.mouseClick(panel.profile, Qt.MouseButton.LeftButton, pos=middle)
    path = panel.scene.path
    assert path is not None
    assert panel.scene.path_step == pytest.approx((len(path.view) - 1) / 2, abs=2)
    step = panel.straight.step_at(QPointF(plot.center().x(), 5))
    assert step == pytest.approx(panel.scene.path_step, abs=1.0)


def test_a_vessel_begins_at_its_ostium(window: MainWindow, panel: ViewerPanel) -> None:
    """Walking back from the LAD comes into the left main, on one line with the LAD's lesions."""
    scene = panel.scene
    scene.set_step(1, 2.0)
    scene.walk(-2.0)
    assert (scene.branches[scene.branch].name, scene.path_at) == ("LM", 1)
    assert panel.branch.currentText() == "LAD"
    scene.set_path_step(1, 0.0)
    assert scene.point_mm == pytest.approx(tuple(scene.branches[0].centers_mm[0]))
    path = scene.path
    assert path is not None
    own = {x["vessel"]: x for i in (0, 1) for x in scene.lesions_of(i)}
    seen = {x["vessel"]: x for x in scene.path_lesions()}
    assert set(seen) == {"LM", "LAD"}
    assert seen["LM"]["start_mm"] == own["LM"]["start_mm"]
    before = path.parts[1].first * path.view.step_mm
    assert seen["LAD"]["start_mm"] == pytest.approx(own["LAD"]["start_mm"] + before)
    drawn(window)
    scene.set_step(3, 4.0)
    assert (scene.path_at, panel.branch.currentText()) == (3, "RCA")


def test_stretched_click_finds_the_step_again(window: MainWindow, panel: ViewerPanel) -> None:
    panel.scene.set_step(1, 55.0)
    drawn(window)
    assert panel.stretched.drawn is not None
    place = panel.stretched._place(panel.stretched.drawn, panel.scene.path_step)
    panel.scene.set_step(1, 10.0)
    panel.stretched.pick(place)
    assert panel.scene.step == pytest.approx(55.0, abs=1.0)


def test_tree_click_moves_the_cursor(window: MainWindow, panel: ViewerPanel) -> None:
    tree = panel.tree
    assert tree.drawn is not None
    picture, camera = tree.drawn.more
    point = panel.scene.branches[3].centers_mm[40]
    x, y, _ = camera.project(point[None], picture.sphere.shape)[0]
    ratio = tree.drawn.image.devicePixelRatio()
    tree.pick(QPointF(x / ratio, y / ratio))
    assert panel.scene.branch == 3
    assert panel.scene.step == pytest.approx(40, abs=4)


def test_tree_colours_are_different(window: MainWindow, panel: ViewerPanel) -> None:
    seen = []
    for _ in range(3):
        assert panel.tree.drawn is not None
        seen.append(panel.tree.drawn.more[0].pixels.copy())
        panel.next_colors()
        drawn(window)
    assert (seen[0] != seen[1]).any()
    assert (seen[1] != seen[2]).any()


def test_distance_is_true_millimetres(window: MainWindow, panel: ViewerPanel) -> None:
    panel.ruler.setChecked(True)
    view = panel.axial
    z, y, x = panel.scene.point_mm
    a, b = view.place_of((z, y, x)), view.place_of((z, y + 12.0, x - 16.0))
    assert a is not None
    assert b is not None
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=a.toPoint())
    QTest.mouseMove(view, b.toPoint())
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=b.toPoint())
    scale = view.pixels_per_mm()
    assert scale is not None
    assert view.measured_mm() == pytest.approx(20.0, abs=1.5 / scale)


def test_worst_lesion_and_vessels_by_key(
    qtbot: QtBot, window: MainWindow, panel: ViewerPanel
) -> None:
    page, scene = window.page, panel.scene
    assert page.case is not None
    assert page.case.result is not None
    lesions = page.case.result["lesions"]
    qtbot.keyClick(page, Qt.Key.Key_4)
    assert scene.branches[scene.branch].name == "RCA"
    qtbot.keyClick(page, Qt.Key.Key_Home)
    point = overlay.lesion_point(lesions[0])
    assert point is not None
    assert math.dist(scene.point_mm, point) < 1.0
    step = scene.step
    qtbot.keyClick(page, Qt.Key.Key_Right)
    assert scene.step == pytest.approx(step + 1)
    qtbot.keyClick(page, Qt.Key.Key_Space)
    assert not scene.overlay_on
    assert not panel.toggle.isChecked()


def test_a_result_without_branches_says_so(window: MainWindow, panel: ViewerPanel) -> None:
    from dataclasses import replace

    case = window.page.case
    assert case is not None
    panel.show_case(replace(case, branches=()))
    drawn(window)
    assert panel.axial.drawn is not None
    for view in (panel.stretched, panel.straight, panel.section, panel.tree):
        assert view.drawn is None
        assert "No vessel" in view.why_empty()


def test_a_frame_of_one_branch_never_gets_the_contours_of_another(
    qtbot: QtBot, window: MainWindow, source: SampleSource
) -> None:
    """Frames come late: until the new one is there, the old one is shown without any marks."""
    open_state(window, source, "DONE")
    window.page.show_full(True)
    panel = window.page.viewer
    lad = panel.scene.branch_at("LAD")
    assert lad is not None
    panel.scene.set_step(lad, float(len(panel.scene.branches[lad]) - 1), lad)
    drawn(window)
    views = panel.findChildren(SectionView) + panel.findChildren(StretchedView)
    assert len(views) >= 2
    marked: list[object] = []
    for view in views:
        view.marks = lambda *_, v=view: marked.append(v)  # type: ignore[method-assign]
    for view in views:
        view.repaint()
    assert len(marked) == len(views)
    marked.clear()
    ask = panel.frames.ask
    panel.frames.ask = lambda *_: None  # type: ignore[method-assign]
    other = panel.scene.branch_at("RCA")
    assert other is not None
    panel.scene.set_step(other, 0.0)
    for view in views:
        view.repaint()
    assert marked == []
    panel.frames.ask = ask  # type: ignore[method-assign]
    for view in views:
        view.refresh()
    drawn(window)
    for view in views:
        view.repaint()
    assert set(marked) == set(views)


def test_a_painter_ends_whatever_happens_while_it_paints(
    qtbot: QtBot, window: MainWindow, source: SampleSource
) -> None:
    """One left active is destroyed with its widget, which ends the process."""
    open_state(window, source, "DONE")
    view = next(v for v in window.page.viewer.findChildren(SectionView) if v.isVisible())

    def broken(*_: object) -> None:
        raise RuntimeError("broken on purpose")

    view.marks = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="broken on purpose"):
        view.repaint()
    assert not view.paintingActive()
