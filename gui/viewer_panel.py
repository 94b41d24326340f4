"""All views of one case with their tools: a few beside the numbers, or all on the whole page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSlider,
)

from gui.curved_view import StretchedView
from gui.edit_bar import EditBar
from gui.edit_curved import EditProfileView, EditStraightView
from gui.edit_hand import Hand
from gui.edit_section import EditSectionView
from gui.edit_session import EditSession
from gui.frames import Frames
from gui.i18n import mark, tr
from gui.plane_view import AXIAL, CORONAL, SAGITTAL, PlaneView
from gui.scene import Scene
from gui.tree_view import MODES, TreeView
from gui.widgets import Card, label
from plaque_edge.correct.process import Changed
from plaque_edge.export import overlay

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from gui.case import Guard, OpenCase

TABS = (mark("Axial"), mark("Coronal"), mark("Sagittal"), mark("Curved"), mark("3-D"))


TINY = 280
"""Below this height the profile would leave nothing for images."""
LOW = 440
"""Below this height there is no room for two rows of views: one large view is chosen by tabs."""


class ViewerPanel(Card):
    """One scene, seven views and a profile; every view shows the same cursor."""

    full_wanted = Signal(bool)

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.frames = Frames(self)
        self.scene = Scene(guard, self.frames, self)
        self.box.setContentsMargins(10, 8, 10, 10)
        self.box.setSpacing(6)
        self.axial, self.coronal, self.sagittal = (
            PlaneView(self.scene, axis) for axis in (AXIAL, CORONAL, SAGITTAL)
        )
        self.stretched, self.tree = StretchedView(self.scene), TreeView(self.scene)
        self.edit = EditSession(parent=self)
        self.hand = Hand(self.scene, self.edit, self)
        self.section = EditSectionView(self.scene, self.hand)
        self.straight = EditStraightView(self.scene, self.hand)
        self.profile = EditProfileView(self.scene, self.hand)
        self.tabbed = (self.axial, self.coronal, self.sagittal, self.stretched, self.tree)
        self.views = (*self.tabbed, self.section, self.straight)
        self.box.addLayout(self._top_row())
        self.box.addLayout(self._tool_row())
        self.grid = QGridLayout()
        self.grid.setSpacing(4)
        for view in (*self.views, self.profile):
            view.setParent(self)
            view.hide()
        self.editing = EditBar(self.hand)
        self.box.addWidget(self.editing)
        self.box.addLayout(self.grid, 1)
        self.editing.leave_wanted.connect(self.leave_editing)
        self.edit.measured.connect(self._edited)
        for view in (self.axial, self.coronal, self.sagittal):
            view.readout.connect(self.readout.setText)
        self.scene.branch_changed.connect(self._branch_changed)
        self.scene.turned.connect(self._turned)
        self.scene.overlay_changed.connect(self.toggle.setChecked)
        self.full = self._roomy = self._tiny = False
        self.arrange()

    # ---- tools ---------------------------------------------------------------------------

    def _top_row(self) -> QHBoxLayout:
        self.top_row = row = QHBoxLayout()
        row.setSpacing(4)
        self.tabs = QButtonGroup(self)
        for index, name in enumerate(TABS):
            button = _button(tr(name), checkable=True)
            button.setChecked(index == 0)
            self.tabs.addButton(button, index)
            row.addWidget(button)
        self.tabs.idClicked.connect(lambda _index: self.arrange())
        row.addStretch(1)
        self.readout = label("", "muted")
        self.readout.setMinimumWidth(96)
        self.readout.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.readout)
        self.enlarge = _button(tr("All views"), checkable=True)
        self.enlarge.setToolTip(tr("All views on the whole page (F)"))
        self.enlarge.clicked.connect(self.full_wanted)
        row.addWidget(self.enlarge)
        return row

    def _tool_row(self) -> QHBoxLayout:
        self.tool_row = row = QHBoxLayout()
        row.setSpacing(6)
        self.branch = QComboBox()
        self.branch.setAccessibleName(tr("Vessel"))
        self.branch.setToolTip(tr("Vessel of the curved views (1 to 4, B)"))
        self.branch.setMinimumWidth(80)
        self.branch.activated.connect(lambda at: self.scene.set_path_step(at, 0.0))
        self.angle = QSlider(Qt.Orientation.Horizontal)
        self.angle.setRange(0, 359)
        self.angle.setMinimumWidth(60)
        self.angle.setMaximumWidth(120)
        self.angle.setAccessibleName(tr("Turn the curved views"))
        self.angle.setToolTip(tr("Turn the curved views"))
        self.angle.valueChanged.connect(lambda v: self.scene.turn(math.radians(v)))
        self.window_box = QComboBox()
        self.window_box.setAccessibleName(tr("Grey window"))
        for window in overlay.WINDOWS:
            self.window_box.addItem(tr(window.name))
            tip = tr(
                "Level {level} HU, width {width} HU",
                level=f"{window.level:.0f}", width=f"{window.width:.0f}",
            )  # fmt: skip
            at = self.window_box.count() - 1
            self.window_box.setItemData(at, tip, Qt.ItemDataRole.ToolTipRole)
        self.window_box.activated.connect(lambda i: self.scene.set_window(overlay.WINDOWS[i]))
        self.colors = QComboBox()
        self.colors.setAccessibleName(tr("Colours of the tree"))
        self.colors.addItems([tr(name) for name in MODES])
        self.colors.activated.connect(self.tree.set_mode)
        for item in (self.branch, self.angle, self.window_box):
            row.addWidget(item)
        self._overlay_tools(row)
        row.addWidget(self.colors)
        row.addStretch(1)
        return row

    def _overlay_tools(self, row: QHBoxLayout) -> None:
        self.toggle = _button(tr("Overlay"), checkable=True)
        self.toggle.setChecked(True)
        self.toggle.setToolTip(tr("Show or hide the plaque overlay (Space)"))
        self.toggle.clicked.connect(self.scene.set_overlay)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(55)
        self.opacity.setMinimumWidth(60)
        self.opacity.setMaximumWidth(100)
        self.opacity.setAccessibleName(tr("Overlay opacity"))
        self.opacity.setToolTip(tr("Overlay opacity"))
        self.opacity.valueChanged.connect(lambda v: self.scene.set_opacity(v / 100))
        self.ruler = _button(tr("Measure"), checkable=True)
        self.ruler.setToolTip(tr("Measure a distance with the mouse (M)"))
        self.ruler.toggled.connect(self._measure)
        for item in (self.toggle, self.opacity, self.ruler):
            row.addWidget(item)

    def _measure(self, on: bool) -> None:
        self.scene.measuring = on

    # ---- layout --------------------------------------------------------------------------

    def set_full(self, full: bool) -> None:
        """Show all views, or the compact choice."""
        self.full = full
        self.enlarge.setChecked(full)
        self.arrange()

    def show_tab(self, index: int) -> None:
        """Choose the large view of the compact layout."""
        self.tabs.button(index).setChecked(True)
        self.arrange()

    def arrange(self) -> None:
        """Put the views of the present layout into the grid."""
        for view in (*self.views, self.profile):
            self.grid.removeWidget(view)
        self._roomy = self.full and self.height() >= LOW
        if self._roomy:
            places = {
                self.axial: (0, 0, 1, 1), self.coronal: (1, 0, 1, 1),
                self.sagittal: (0, 1, 1, 1), self.tree: (1, 1, 1, 1),
                self.stretched: (0, 2, 2, 1), self.section: (0, 3, 2, 1),
                self.straight: (2, 0, 1, 4), self.profile: (3, 0, 1, 4),
            }  # fmt: skip
            rows, columns = (34, 34, 14, 18), (26, 26, 20, 28)
        else:
            large = self.tabbed[self.tabs.checkedId()]
            places = {
                large: (0, 0, 1, 1), self.section: (0, 1, 1, 1),
                self.straight: (1, 0, 1, 2), self.profile: (2, 0, 1, 2),
            }  # fmt: skip
            rows, columns = (64, 14, 22, 0), (64, 36, 0, 0)
            if self.full:  # a low window: the curved tab shows what the straightened view would
                del places[self.straight]
                rows = (70, 0, 30, 0)
            if self.height() < TINY:
                places.pop(self.profile)
                rows = (rows[0], rows[1] if self.straight in places else 0, 0, 0)
        for at, share in enumerate(rows):
            self.grid.setRowStretch(at, share)
        for at, share in enumerate(columns):
            self.grid.setColumnStretch(at, share)
        for view, (row, column, height, width) in places.items():
            self.grid.addWidget(view, row, column, height, width)
        for view in (*self.views, self.profile):
            view.setVisible(view in places)
        row = self.tool_row if self._roomy else self.top_row
        for item in (self.readout, self.enlarge):
            row.addWidget(item)
        for button in self.tabs.buttons():
            button.setVisible(not self._roomy)
        self.colors.setVisible(self.tree in places)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Arrange again when there has come to be room for two rows, or no longer."""
        super().resizeEvent(event)
        tiny = self.height() < TINY
        if self._roomy != (self.full and self.height() >= LOW) or self._tiny != tiny:
            self._tiny = tiny
            self.arrange()

    # ---- the case ------------------------------------------------------------------------

    def start_editing(self, case: OpenCase) -> None:
        """Correct ``case``, which must be the one on the screen."""
        self.scene.guard.require(case)
        self.hand.marked = None
        self.edit.begin(case)
        self.section.setFocus()

    def leave_editing(self) -> None:
        """Leave the correction; the case stands as it was."""
        case = self._shown
        if self.edit.active:
            self.edit.end()
            if case is not None:
                self.scene.take_branches(case.branches)

    def _edited(self) -> None:
        """Show courses and contours as they were just measured."""
        last, case = self.edit.last, self.scene.case
        if last is None or case is None or not isinstance(last.found, Changed):
            return
        if last.key != case.key or not self.scene.guard.allows(case):
            return
        new = last.found.branches
        self.scene.take_branches(tuple(new.get(i, b) for i, b in enumerate(case.branches)))

    def show_case(self, case: OpenCase | None) -> None:
        """Show the images of ``case``, or nothing."""
        self.edit.end()
        self._shown = case
        self.branch.clear()
        if case is not None:
            self.branch.addItems([b.name for b in case.branches])
        self.readout.setText("")
        for widget in (self.branch, self.angle):
            widget.setEnabled(case is not None and bool(case.branches))
        self.scene.show_case(case)
        self._turned()

    def go_to(self, lesion: dict[str, Any], point: tuple[float, float, float]) -> None:
        """Show the narrowest point of a lesion in every view."""
        at = self.scene.branch_named(str(lesion.get("branch") or lesion["vessel"]))
        if at is None:
            self.scene.set_point(point)
            return
        line = self.scene.branches[at].centers_mm
        self.scene.set_step(at, float(np.linalg.norm(line - point, axis=1).argmin()), at)

    def next_branch(self) -> None:
        """Go to the next branch."""
        if self.scene.branches:
            self.scene.set_path_step((self.scene.path_at + 1) % len(self.scene.paths), 0.0)

    def next_tab(self) -> None:
        """Choose the next large view of the compact layout."""
        self.show_tab((self.tabs.checkedId() + 1) % len(TABS))

    def next_window(self) -> None:
        """Use the next grey window."""
        at = (self.window_box.currentIndex() + 1) % len(overlay.WINDOWS)
        self.window_box.setCurrentIndex(at)
        self.scene.set_window(overlay.WINDOWS[at])

    def next_colors(self) -> None:
        """Colour the tree by the next property."""
        at = (self.colors.currentIndex() + 1) % len(MODES)
        self.colors.setCurrentIndex(at)
        self.tree.set_mode(at)

    def _branch_changed(self) -> None:
        self.branch.setCurrentIndex(self.scene.path_at)

    def _turned(self) -> None:
        self.angle.blockSignals(True)
        self.angle.setValue(round(math.degrees(self.scene.angle)) % 360)
        self.angle.blockSignals(False)

    def close_frames(self, deadline: float | None = None) -> None:
        """End the drawing thread and what measures edits, until ``deadline`` at most."""
        self.frames.stop()
        self.edit.close(deadline)
        self.frames.close(deadline)


def _button(text: str, *, checkable: bool) -> QPushButton:
    button = QPushButton(text)
    button.setCheckable(checkable)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
