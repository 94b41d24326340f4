"""The result page of one case: identity on top, numbers at the left, images at the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui import result_cards as cards
from gui import say, states
from gui.edit_words import correction_lines
from gui.i18n import tr
from gui.review_bar import ReviewBar, decision
from gui.risk_card import Risk
from gui.shortcuts import PAGE
from gui.viewer_panel import ViewerPanel
from gui.widgets import Banner, Card, IdentityBar, label
from plaque_edge.export import overlay, words

if TYPE_CHECKING:
    from PySide6.QtGui import QKeyEvent, QResizeEvent

    from gui.case import Guard, OpenCase
    from plaque_edge.store import CaseRow
    from plaque_edge.types import Reason

WIDE = 1150
"""From this width on numbers and images stand side by side; below, one or the other."""

LOW = 460
"""Below this height the foot gives way to numbers and images."""
QUALITY = 330
"""Width that image quality in words needs beside the review."""


class ResultPage(QWidget):
    """Shows exactly one case; :meth:`blank` empties it before another one is loaded."""

    closed = Signal()
    newer_wanted = Signal()
    serial_wanted = Signal()
    print_wanted = Signal()
    asked = Signal(str)

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.setObjectName("page")
        self._guard = guard
        self._case: OpenCase | None = None
        self._lesion: int | None = None
        self._reviewable = False
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        self.identity = IdentityBar()
        self.banner = Banner()
        self.banner.clicked.connect(self.newer_wanted)
        box.addWidget(self.identity)
        box.addWidget(self.banner)
        body = QVBoxLayout()
        body.setContentsMargins(10, 10, 10, 10)
        body.setSpacing(8)
        columns = QHBoxLayout()
        columns.setSpacing(8)
        columns.addWidget(self._left(), 52)
        self.viewer = ViewerPanel(guard)
        columns.addWidget(self.viewer, 48)
        body.addLayout(columns, 1)
        self.qc, self.review = cards.QcStrip(), ReviewBar()
        self.foot = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self.foot.setSpacing(8)
        self.foot.addWidget(self.qc, 1)
        self.foot.addWidget(self.review)
        body.addLayout(self.foot)
        box.addLayout(body, 1)
        self.viewer.scene.worst_wanted.connect(self.jump_to_worst)
        self.viewer.full_wanted.connect(self.show_full)
        self.review.asked.connect(self.ask)
        self.viewer.editing.save_wanted.connect(lambda: self.asked.emit("correct"))
        self.viewer.edit.refused.connect(self._not_corrected)
        self.review.images.clicked.connect(lambda: self.show_full(True))
        self.risk.complete_wanted.connect(lambda: self.ask("covariates"))
        self.headline.prior_wanted.connect(self.serial_wanted)
        for card in (self.headline, self.refusal):
            card.print_wanted.connect(self.print_wanted)

    def _left(self) -> QStackedWidget:
        self.left = QStackedWidget()
        self.measured = self._measured()
        self.refusal, self.progress = cards.Refusal(), cards.Progress()
        self.loading = Card()
        self.loading_text = label(tr("Loading …"), "title", wrap=True)
        self.loading_text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.loading.box.addWidget(self.loading_text, 1)
        for page in (self.measured, _scrolled(self.refusal), self.progress, self.loading):
            self.left.addWidget(page)
        return self.left

    def _measured(self) -> QWidget:
        out = QWidget()
        out.setObjectName("page")
        self.numbers = box = QVBoxLayout(out)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        self.headline = cards.Headline()
        self.vessels = cards.Vessels(self._guard)
        self.lesions, self.risk = cards.Lesions(), Risk(self._guard)
        low = QHBoxLayout()
        low.setSpacing(8)
        low.addWidget(self.lesions, 42)
        low.addWidget(self.risk, 58)
        self.lesions.setMinimumSize(262, 150)
        self.risk.setMinimumHeight(190)
        box.addWidget(self.headline)
        box.addWidget(self.vessels, 40)
        box.addLayout(low, 60)
        self.vessels.bars.vessel_clicked.connect(self.jump_to_vessel)
        self.lesions.chosen.connect(self.jump_to)
        return _scrolled(out)

    @property
    def case(self) -> OpenCase | None:
        """The case on the page, ``None`` while blank."""
        return self._case

    # ---- the case ------------------------------------------------------------------------

    def blank(self, row: CaseRow, text: str = "") -> None:
        """Take everything of the former case away and show whose turn it is."""
        self._case = None
        self._reviewable = False
        self.viewer.show_case(None)
        self.vessels.bars.show_case(None)
        self.risk.curve.show_case(None)
        for item in (self.qc, self.review, self.banner):
            item.hide()
        self.identity.show_row(row)
        self.loading_text.setText(text or tr("Loading …"))
        self._turn(self.loading)

    def show_case(self, case: OpenCase) -> None:
        """Show ``case``; it must be the selected one.

        Raises
        ------
        IdentityError
            When another case is selected: the page then stays as it is.
        """
        self._guard.require(case)
        same = self._case is not None and self._case.key == case.key
        had_result = self._case is not None and self._case.result is not None
        changed = self._case is not None and self._case.review.correction != case.review.correction
        self._case = case
        self.identity.show_row(case.row)
        if case.result is not None:
            seconds = (case.result["timing_ms"].get("total") or 0.0) / 1000
            self.identity.show_software(case.result["software"], seconds)
            self.qc.show_case(case)
        self.qc.setVisible(case.result is not None)
        self._fill(case)
        if not (same and had_result) or changed:
            self._lesion = None
            self.viewer.show_case(case)
            self.jump_to_worst()
        elif self._lesion is not None:
            self.lesions.mark(self._lesion)
        if case.stack is None and self.viewer.full:
            self.viewer.set_full(False)
        self._share()
        self._warn(case)

    def _fill(self, case: OpenCase) -> None:
        measured = case.result is not None and case.result["status"] in ("ready", "review")
        refused = case.row.state in ("NOT_ANALYSABLE", "FAILED") or (
            case.result is not None and not measured
        )
        self._reviewable = measured and not refused
        self.review.setVisible(self._reviewable)
        if refused:
            self.refusal.show_case(case)
            self._turn(self.refusal)
        elif measured:
            for card in (self.headline, self.vessels.bars, self.lesions, self.risk, self.review):
                card.show_case(case)
            signer = case.review.decided if case.review.standing == "signed" else None
            self.identity.show_signed(signer.done.person if signer is not None else "")
            self._turn(self.measured)
        elif case.row.state in states.FINISHED:
            self.loading_text.setText(tr("The result of this case is missing on disk."))
            self._turn(self.loading)
        else:
            self.progress.show_case(case)
            self._turn(self.progress)

    def _turn(self, page: QWidget) -> None:
        for at in range(self.left.count()):
            shown = self.left.widget(at)
            if shown is page or (isinstance(shown, QScrollArea) and shown.widget() is page):
                self.left.setCurrentIndex(at)

    def _warn(self, case: OpenCase) -> None:
        """Say above all that a newer revision exists, or that it was rejected or corrected."""
        said = correction_lines(case)
        if case.row.state == "OUTDATED":
            text = tr("A newer revision of this series replaces this result.")
            text = " · ".join((text, *said))
            self.banner.say("warn", tr("OUTDATED"), text, tr("Open the newest"))
        elif case.review.standing == "rejected":
            self.banner.say("bad", tr("REJECTED"), " · ".join((decision(case.review), *said)))
        elif said:
            self.banner.say("warn", tr("CORRECTED"), *said)
        else:
            self.banner.hide()

    def _not_corrected(self, reason: Reason) -> None:
        """Say why an edit could not be measured."""
        self.banner.say("bad", tr("Not measured"), say.told(reason))

    # ---- numbers and images side by side, or one of them ---------------------------------

    def show_full(self, full: bool) -> None:
        """Give the whole page to the images, or take half of it back."""
        self.viewer.set_full(full)
        self._share()

    def _share(self) -> None:
        full = self.viewer.full
        self.left.setVisible(not full)
        narrow = self.width() < WIDE
        self.review.images.setVisible(narrow and not full)
        worry = narrow and self._case is not None and self._case.result is not None and (
            self._case.result["qc"]["verdict"] != "diagnostic"
        )  # fmt: skip
        self._place_quality()
        tight = self.width() < self.review.sizeHint().width() + QUALITY
        way = QBoxLayout.Direction
        self.foot.setDirection(way.TopToBottom if worry or tight else way.LeftToRight)
        spare = not (full and self.height() < LOW)
        self.qc.setVisible(spare and self._case is not None and self._case.result is not None)
        self.review.setVisible(spare and self._reviewable)
        pictures = self._case is None or self._case.stack is not None
        self.viewer.setVisible(pictures and (full or self.width() >= WIDE))
        self.viewer.enlarge.setText(tr("Numbers") if full else tr("All views"))

    def _place_quality(self) -> None:
        """In a low window image quality stands under the numbers, and scrolls with them."""
        inside = self.height() < LOW and self._reviewable
        if inside != (self.numbers.indexOf(self.qc) >= 0):
            if inside:
                self.numbers.addWidget(self.qc)
            else:
                self.foot.insertWidget(0, self.qc, 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the width again."""
        super().resizeEvent(event)
        self._share()

    # ---- where to look -------------------------------------------------------------------

    def jump_to(self, index: int) -> None:
        """Show lesion ``index`` in every view."""
        lesions = self._lesions()
        if self._case is None or self._case.stack is None or not 0 <= index < len(lesions):
            return
        point = overlay.lesion_point(lesions[index])
        if point is not None and self._case.stack.index_of(point) is not None:
            self.viewer.go_to(lesions[index], point)
            self._lesion = index
            self.lesions.mark(index)

    def jump_to_worst(self) -> None:
        """Show the tightest lesion, if there is one."""
        worst = words.worst_lesion(self._lesions())
        if worst is not None:
            self.jump_to(worst)

    def jump_to_vessel(self, vessel: str) -> None:
        """Show the tightest lesion of one vessel, or its origin where it has none."""
        lesions = self._lesions()
        mine = [i for i, item in enumerate(lesions) if item["vessel"] == vessel]
        worst = words.worst_lesion([lesions[i] for i in mine])
        if worst is not None:
            self.jump_to(mine[worst])
            return
        branch = self.viewer.scene.branch_named(vessel)
        if branch is not None:
            self.viewer.scene.set_step(branch, 0.0, branch)

    def _lesions(self) -> list[dict[str, Any]]:
        result = self._case.result if self._case is not None else None
        return (result.get("lesions") or []) if result is not None else []

    def ask(self, kind: str) -> None:
        """Ask for an act on this result, if its button allows it."""
        if self.review.isVisible() and self.review.buttons[kind].isEnabled():
            if kind == "correct":
                self.correct()
            else:
                self.asked.emit(kind)

    def correct(self) -> None:
        """Begin to correct the open case, or leave that."""
        if self.viewer.edit.active:
            self.viewer.leave_editing()
        elif self._case is not None and self._case.branches:
            if self.width() < WIDE:
                self.show_full(True)
            self.viewer.start_editing(self._case)

    # ---- keys ----------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Run what :data:`gui.shortcuts.PAGE` says of a key."""
        act = None if event.modifiers() & Qt.KeyboardModifier.ControlModifier else PAGE.get(
            Qt.Key(event.key())
        )  # fmt: skip
        if act is None:
            super().keyPressEvent(event)
        else:
            act.run(self)


def _scrolled(widget: QWidget) -> QScrollArea:
    """Let a column scroll where the window is too low for it."""
    out = QScrollArea()
    out.setWidgetResizable(True)
    out.setFrameShape(QFrame.Shape.NoFrame)
    out.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    out.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    out.setWidget(widget)
    return out
