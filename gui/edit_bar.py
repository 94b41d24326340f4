"""The correction's bar over the images: tools, undo, both numbers, save and leave."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui import i18n, say
from gui.edit_hand import TOOLS, Hand
from gui.i18n import mark, tr
from gui.widgets import Chip, ElidedLabel
from plaque_edge.quantify import scct

WHICH = (("lumen", mark("Lumen")), ("wall", mark("Outer wall")))
TOOL_NAMES = {
    "points": (mark("Points"), mark("Drag the points of the contour (Alt+P)")),
    "brush": (mark("Brush"), mark("Push the contour with a round brush (Alt+B)")),
    "centre": (mark("Centre"), mark("Move the vessel's line (Alt+C)")),
    "stretch": (mark("Stretch"), mark("Mark a stretch, then exclude or relabel it (Alt+S)")),
}
TOOL_KEYS = {"points": "Alt+P", "brush": "Alt+B", "centre": "Alt+C", "stretch": "Alt+S"}
REASONS = (
    mark("Motion or step artefact"),
    mark("Line left the vessel"),
    mark("Stent or bypass graft"),
    mark("Not a coronary artery"),
    mark("Not to be judged here"),
)
KEYS = (
    (mark("Alt+L, Alt+W"), mark("Edit the lumen, the outer wall")),
    (mark("Alt+P B C S"), mark("Points, brush, centre, stretch")),
    ("PgUp PgDn", mark("Next point of the contour")),
    ("↑ ↓", mark("Chosen point outwards, inwards; with Shift the whole contour")),
    (mark("Shift + arrows"), mark("Move the centre")),
    ("[ ]", mark("The stretch begins, ends at the cursor")),
    ("Ctrl+Z, Ctrl+Y", mark("Undo, redo")),
    ("Ctrl+S", mark("Save the corrections")),
)
"""What the sheet of keys (F1) lists."""


class EditBar(QFrame):
    """Shown while a case is corrected; everything by mouse and by key."""

    save_wanted = Signal()
    leave_wanted = Signal()

    def __init__(self, hand: Hand) -> None:
        super().__init__()
        self.hand, self.session = hand, hand.session
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addLayout(self._tools())
        box.addLayout(self._stretch())
        box.addLayout(self._foot())
        self.text = ElidedLabel("strong")
        box.addWidget(self.text)
        hand.changed.connect(self.refresh)
        self.session.edited.connect(self.refresh)
        self.session.measured.connect(self.refresh)
        hand.scene.stepped.connect(self._numbers)
        self._shortcuts()
        self.hide()

    # ---- building ------------------------------------------------------------------------

    def _tools(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self.which, self.tools = QButtonGroup(self), QButtonGroup(self)
        for number, (key, name) in enumerate(WHICH):
            button = _button(tr(name), tr("Edit the lumen, the outer wall"))
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, k=key: self.hand.choose(which=k))
            self.which.addButton(button, number)
            row.addWidget(button)
        row.addSpacing(10)
        for number, key in enumerate(TOOLS):
            name, tip = TOOL_NAMES[key]
            button = _button(tr(name), tr(tip))
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, k=key: self.hand.choose(tool=k))
            self.tools.addButton(button, number)
            row.addWidget(button)
        row.addStretch(1)
        self.undo = _button(tr("Undo"), tr("Take the last step back (Ctrl+Z)"))
        self.redo = _button(tr("Redo"), tr("Do the step again (Ctrl+Y)"))
        self.undo.clicked.connect(self.session.undo)
        self.redo.clicked.connect(self.session.redo)
        for button in (self.undo, self.redo):
            row.addWidget(button)
        return row

    def _stretch(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self.marked = ElidedLabel("small")
        self.why, self.segment = QComboBox(), QComboBox()
        for box in (self.why, self.segment):
            box.setMaximumWidth(150)
        self.why.setAccessibleName(tr("Why it is excluded"))
        for text in REASONS:
            self.why.addItem(tr(text), text)
        self.segment.setAccessibleName(tr("Segment"))
        for number, name in scct.NAMES.items():
            self.segment.addItem(f"{number} {name}", number)
        self.exclude = _button(tr("Exclude"), tr("Do not measure the marked stretch"))
        self.relabel = _button(tr("Relabel"), tr("Give the marked stretch this segment"))
        self.exclude.clicked.connect(lambda: self.hand.exclude(self.why.currentData()))
        self.relabel.clicked.connect(lambda: self.hand.relabel(self.segment.currentData()))
        row.addWidget(self.marked, 1)
        for item in (self.why, self.exclude, self.segment, self.relabel):
            row.addWidget(item)
        self._stretch_tools: tuple[QWidget, ...] = (
            self.marked, self.why, self.exclude, self.segment, self.relabel,
        )  # fmt: skip
        return row

    def _foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.chip = Chip()
        self.clear = _button(tr("Take all back"), tr("The analysis's own numbers again"))
        self.save = _button(tr("Save …"), tr("Save the corrections (Ctrl+S)"))
        self.leave = _button(tr("Leave"), tr("Leave without saving (D)"))
        self.clear.clicked.connect(self.session.clear)
        self.save.clicked.connect(self.save_wanted)
        self.leave.clicked.connect(self.leave_wanted)
        row.addWidget(self.chip)
        row.addStretch(1)
        for button in (self.clear, self.save, self.leave):
            row.addWidget(button)
        return row

    def _shortcuts(self) -> None:
        keys: dict[str, Any] = {
            "Ctrl+Z": self.session.undo,
            "Ctrl+Y": self.session.redo,
            "Ctrl+Shift+Z": self.session.redo,
            "Ctrl+S": self.save.click,
            "Alt+L": lambda: self.hand.choose(which="lumen"),
            "Alt+W": lambda: self.hand.choose(which="wall"),
            "[": lambda: self.hand.mark_end(last=False),
            "]": lambda: self.hand.mark_end(last=True),
        }
        keys |= {k: lambda t=t: self.hand.choose(tool=t) for t, k in TOOL_KEYS.items()}
        self.shortcuts = []
        for key, run in keys.items():
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(run)
            self.shortcuts.append(shortcut)
        self._enable(False)

    def _enable(self, on: bool) -> None:
        for shortcut in self.shortcuts:
            shortcut.setEnabled(on)

    # ---- showing -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show tools, steps and numbers as they stand."""
        on = self.session.active
        self.setVisible(on)
        self._enable(on)
        if not on:
            return
        self.which.button(0 if self.hand.which == "lumen" else 1).setChecked(True)
        self.tools.button(TOOLS.index(self.hand.tool)).setChecked(True)
        for button in self.which.buttons():
            button.setEnabled(self.hand.tool in ("points", "brush"))
        stretch = self.hand.tool == "stretch"
        for item in self._stretch_tools:
            item.setVisible(stretch)
        some = self.hand.marked is not None
        for item in (self.exclude, self.relabel):
            item.setEnabled(some)
        self.marked.set_whole(self._stretch_text())
        self.undo.setEnabled(self.session.can_undo)
        self.redo.setEnabled(self.session.can_redo)
        self.clear.setEnabled(bool(self.session.edits))
        self.save.setEnabled(self.session.unsaved and self.session.last is not None)
        self._numbers()

    def _stretch_text(self) -> str:
        if self.hand.marked is None or self.hand.marked[0] >= len(self.hand.scene.branches):
            return tr("Drag along the vessel to mark a stretch, or [ and ]")
        at, first, last = self.hand.marked
        branch = self.hand.scene.branches[at]
        ends = (i18n.number(s * branch.step_mm, 1) for s in (first, last))
        return tr("{branch}: {start} to {end} mm", branch=branch.name, start=next(ends),
                  end=next(ends))  # fmt: skip

    def _numbers(self) -> None:
        """Write the analysis's numbers and the corrected ones beside each other."""
        case, last = self.hand.scene.case, self.session.last
        if not self.session.active or case is None or case.key != self.session.key:
            return
        if last is None or self.session.busy:
            self.chip.set("info", tr("MEASURING"), "quiet")
        elif self.session.edits:
            self.chip.set("warn", tr("CORRECTED"), "warn")
        else:
            self.chip.set("check", tr("AS ANALYSED"), "ok")
        if last is not None and self.hand.able:
            self.text.set_whole("  ·  ".join(self.lines(case.analysed, last.found.numbers)))

    def lines(self, before: dict[str, Any] | None, now: dict[str, Any]) -> list[str]:
        """Say vessel and patient in words: analysis → corrected."""
        branch = self.hand.scene.current
        if before is None or branch is None:
            return []
        out = []
        mine = [part["vessels"].get(branch.vessel) for part in (before, now)]
        if None not in mine:
            out.append(f"{branch.vessel} {_volumes(*mine)}")
        old, new = before["patient"], now["patient"]
        out.append(f"{tr('plaque')} {_volumes(old, new)}")
        pav = (say.percent(p["pav_percent"]) for p in (old, new))
        narrow = (say.percent(p["max_diameter_stenosis_percent"], 0) for p in (old, new))
        out.append(f"PAV {_pair(*pav, unit=' %')}")
        out.append(f"{tr('stenosis')} {_pair(*narrow, unit=' %')}")
        return out


def _volumes(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Write a plaque volume before and after."""
    return _pair(*(say.volume(part["plaque_mm3"]) for part in (before, after)), unit=" mm³")


def _pair(before: str, after: str, *, unit: str) -> str:
    """Write both with the unit once, or one alone where they are the same."""
    if before == after:
        return before
    return f"{before.removesuffix(unit) if after.endswith(unit) else before} → {after}"


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
