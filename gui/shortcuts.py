"""Every key of the console in one table: what it does, and the sheet that lists them (F1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QScrollArea, QVBoxLayout, QWidget

from gui.edit_bar import KEYS
from gui.i18n import mark, tr
from gui.widgets import label
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.result_page import ResultPage
    from gui.serial_page import SerialPage


@dataclass(frozen=True, slots=True)
class Act:
    """One key on a page."""

    keys: str
    text: str
    run: Callable[[Any], Any]


_TURN = math.radians(15)


def _scene(page: ResultPage) -> Any:
    return page.viewer.scene


def _walk(page: SerialPage, millimetres: float) -> None:
    page.present.scene.walk(millimetres)


def _turn(page: SerialPage, angle: float) -> None:
    page.present.scene.turn(page.present.scene.angle + angle)


PAGE: dict[Qt.Key, Act] = {
    Qt.Key.Key_Escape: Act("Esc", mark("Back to the worklist"), lambda p: p.closed.emit()),
    **{
        key: Act("1 2 3 4", mark("LM, LAD, LCX, RCA: tightest lesion"),
                 lambda p, v=vessel: p.jump_to_vessel(v))
        for key, vessel in zip(
            (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4), VESSELS, strict=True
        )
    },
    Qt.Key.Key_Home: Act("Home", mark("Worst lesion"), lambda p: p.jump_to_worst()),
    Qt.Key.Key_Left: Act("← →", mark("Along the vessel, 0.5 mm"), lambda p: _scene(p).walk(-0.5)),
    Qt.Key.Key_Right: Act("← →", mark("Along the vessel, 0.5 mm"), lambda p: _scene(p).walk(0.5)),
    Qt.Key.Key_Comma: Act(", .", mark("Turn the curved views"),
                          lambda p: _scene(p).turn(_scene(p).angle - _TURN)),
    Qt.Key.Key_Period: Act(", .", mark("Turn the curved views"),
                           lambda p: _scene(p).turn(_scene(p).angle + _TURN)),
    Qt.Key.Key_B: Act("B", mark("Next branch"), lambda p: p.viewer.next_branch()),
    Qt.Key.Key_Space: Act(mark("Space, O"), mark("Overlay on or off"),
                          lambda p: _scene(p).set_overlay(not _scene(p).overlay_on)),
    Qt.Key.Key_O: Act(mark("Space, O"), mark("Overlay on or off"),
                      lambda p: _scene(p).set_overlay(not _scene(p).overlay_on)),
    Qt.Key.Key_W: Act("W", mark("Next grey window"), lambda p: p.viewer.next_window()),
    Qt.Key.Key_C: Act("C", mark("Colours of the tree"), lambda p: p.viewer.next_colors()),
    Qt.Key.Key_V: Act("V", mark("Next view"), lambda p: p.viewer.next_tab()),
    Qt.Key.Key_F: Act("F", mark("All views, or numbers and images"),
                      lambda p: p.show_full(not p.viewer.full)),
    Qt.Key.Key_M: Act("M", mark("Measure a distance"), lambda p: p.viewer.ruler.toggle()),
    Qt.Key.Key_L: Act("L", mark("Limits of the risk"), lambda p: p.risk.turn_to(2)),
    Qt.Key.Key_P: Act("P", mark("Prior study side by side"), lambda p: p.serial_wanted.emit()),
    Qt.Key.Key_D: Act("D", mark("Correct: draw contours, or leave"), lambda p: p.ask("correct")),
    Qt.Key.Key_E: Act("E", mark("Covariates"), lambda p: p.ask("covariates")),
    Qt.Key.Key_A: Act("A", mark("Accept"), lambda p: p.ask("accept")),
    Qt.Key.Key_R: Act("R", mark("Reject, with a reason"), lambda p: p.ask("reject")),
    Qt.Key.Key_S: Act("S", mark("Sign"), lambda p: p.ask("sign")),
}  # fmt: skip
SERIAL: dict[Qt.Key, Act] = {
    Qt.Key.Key_Escape: Act("Esc", mark("Back to the result"), lambda p: p.closed.emit()),
    Qt.Key.Key_Left: Act("← →", mark("Along the vessel, 0.5 mm"), lambda p: _walk(p, -0.5)),
    Qt.Key.Key_Right: Act("← →", mark("Along the vessel, 0.5 mm"), lambda p: _walk(p, 0.5)),
    Qt.Key.Key_Comma: Act(", .", mark("Turn the curved views"), lambda p: _turn(p, -_TURN)),
    Qt.Key.Key_Period: Act(", .", mark("Turn the curved views"), lambda p: _turn(p, _TURN)),
    Qt.Key.Key_B: Act("B", mark("Next branch"), lambda p: p.next_branch()),
    Qt.Key.Key_Space: Act(mark("Space, O"), mark("Overlay on or off"), lambda p: p.set_overlay()),
    Qt.Key.Key_O: Act(mark("Space, O"), mark("Overlay on or off"), lambda p: p.set_overlay()),
    Qt.Key.Key_V: Act("V", mark("Pictures or changes, in a low window"), lambda p: p.turn_page()),
}
VIEWS = (
    ("↑ ↓ PgUp PgDn", mark("In a slice: next slices; in a curved view or the tree: turn")),
    (mark("Wheel"), mark("Slices; along the vessel; zoom of the tree")),
    (mark("Ctrl + wheel"), mark("Zoom; double click: fit again")),
    (mark("Right drag"), mark("Move a slice; turn a curved view or the tree")),
)
WORKLIST = (
    ("↑ ↓ Enter", mark("Choose and open a row")),
    ("/", mark("Search")),
    ("U", mark("Urgent, or no longer")),
    ("T", mark("Analyse again")),
    ("X", mark("Cancel")),
    ("O", mark("Other series of the study")),
    ("K", mark("Acknowledge a failure")),
)
WORKLIST_KEYS = {
    "U": "urgent", "T": "retry", "X": "cancel", "O": "choose", "K": "acknowledge",
}  # fmt: skip
EVERYWHERE = (
    ("F1", mark("This sheet")),
    ("F2", mark("Settings")),
    ("F3", mark("Self-test")),
    ("F4", mark("About")),
    ("Ctrl+P", mark("Print, or save as PDF")),
    ("Tab", mark("Next control")),
)


class Sheet(QDialog):
    """The list of all keys."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Keys"))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        scroll, inside = QScrollArea(), QWidget()
        scroll.setWidgetResizable(True)
        outer.addWidget(scroll)
        box = QVBoxLayout(inside)
        box.setContentsMargins(24, 20, 24, 20)
        box.addWidget(label(tr("Keys"), "title"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(18)
        grid.setVerticalSpacing(6)
        box.addLayout(grid)
        page = list(dict.fromkeys((act.keys, act.text) for act in PAGE.values()))
        serial = tuple(dict.fromkeys((act.keys, act.text) for act in SERIAL.values()))
        half = (len(page) + 1) // 2
        columns: tuple[tuple[tuple[str, tuple[tuple[str, str], ...]], ...], ...] = (
            ((tr("Result"), tuple(page[:half])), (tr("Views"), VIEWS), (tr("Correction"), KEYS)),
            ((tr("Result"), tuple(page[half:])), (tr("Two studies"), serial)),
            ((tr("Worklist"), WORKLIST), (tr("Everywhere"), EVERYWHERE)),
        )
        if parent.width() < 1150:
            columns = (columns[0], columns[1] + columns[2])
        if parent.width() < 1000:
            columns = (columns[0] + columns[1],)
        for column, groups in enumerate(columns):
            row = 0
            for title, lines in groups:
                grid.addWidget(label(title, "strong"), row, 2 * column, 1, 2)
                row += 1
                for keys, text in lines:
                    grid.addWidget(label(tr(keys), "strong"), row, 2 * column)
                    grid.addWidget(label(tr(text)), row, 2 * column + 1)
                    row += 1
        scroll.setWidget(inside)
        wanted, room = inside.sizeHint(), parent.size()
        self.resize(
            min(wanted.width() + 18, room.width() - 24),
            min(wanted.height() + 4, room.height() - 24),
        )
