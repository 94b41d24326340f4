"""The result page of one case: identity on top, numbers at the left, images at the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from gui import result_cards as cards
from gui import states
from gui.viewer_panel import ViewerPanel
from gui.widgets import Banner, Card, IdentityBar, label
from plaque_edge.export import overlay, words
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from PySide6.QtGui import QKeyEvent

    from gui.case import Guard, OpenCase
    from plaque_edge.store import CaseRow


class ResultPage(QWidget):
    """Shows exactly one case; :meth:`blank` empties it before another one is loaded."""

    closed = Signal()
    newer_wanted = Signal()

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.setObjectName("page")
        self._guard = guard
        self._case: OpenCase | None = None
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        self.identity = IdentityBar()
        self.banner = Banner()
        self.banner.clicked.connect(self.newer_wanted)
        box.addWidget(self.identity)
        box.addWidget(self.banner)
        body = QVBoxLayout()
        body.setContentsMargins(12, 12, 12, 12)
        body.setSpacing(10)
        columns = QHBoxLayout()
        columns.setSpacing(10)
        columns.addWidget(self._left(), 53)
        self.viewer = ViewerPanel(guard)
        columns.addWidget(self.viewer, 47)
        body.addLayout(columns, 1)
        self.qc = cards.QcStrip()
        body.addWidget(self.qc)
        box.addLayout(body, 1)
        self.viewer.scene.worst_wanted.connect(self.jump_to_worst)

    def _left(self) -> QStackedWidget:
        self.left = QStackedWidget()
        self.measured = self._measured()
        self.refusal, self.progress = cards.Refusal(), cards.Progress()
        self.loading = Card()
        self.loading_text = label("Loading …", "title", wrap=True)
        self.loading_text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.loading.box.addWidget(self.loading_text, 1)
        for page in (self.measured, self.refusal, self.progress, self.loading):
            self.left.addWidget(page)
        return self.left

    def _measured(self) -> QWidget:
        out = QWidget()
        box = QVBoxLayout(out)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(10)
        self.headline = cards.Headline()
        self.vessels = cards.Vessels(self._guard)
        self.lesions, self.risk = cards.Lesions(), cards.Risk(self._guard)
        low = QHBoxLayout()
        low.setSpacing(10)
        low.addWidget(self.lesions, 45)
        low.addWidget(self.risk, 55)
        box.addWidget(self.headline)
        box.addWidget(self.vessels, 45)
        box.addLayout(low, 55)
        self.vessels.bars.vessel_clicked.connect(self.jump_to_vessel)
        self.lesions.chosen.connect(self.jump_to)
        return out

    @property
    def case(self) -> OpenCase | None:
        """The case on the page, ``None`` while blank."""
        return self._case

    def blank(self, row: CaseRow, text: str = "Loading …") -> None:
        """Take everything of the former case away and show whose turn it is."""
        self._case = None
        self.viewer.show_case(None)
        self.vessels.bars.show_case(None)
        self.risk.curve.show_case(None)
        self.qc.hide()
        self.banner.hide()
        self.identity.show_row(row)
        self.loading_text.setText(text)
        self.left.setCurrentWidget(self.loading)

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
        self._case = case
        self.identity.show_row(case.row)
        if case.result is not None:
            seconds = (case.result["timing_ms"].get("total") or 0.0) / 1000
            self.identity.show_software(case.result["software"], seconds)
            self.qc.show_case(case)
        self.qc.setVisible(case.result is not None)
        self._fill(case)
        if not (same and had_result):
            self.viewer.show_case(case)
            self.jump_to_worst()
        self.mark_outdated(case.row.state == "OUTDATED")

    def _fill(self, case: OpenCase) -> None:
        measured = case.result is not None and case.result["status"] in ("ready", "review")
        refused = case.row.state in ("NOT_ANALYSABLE", "FAILED") or (
            case.result is not None and not measured
        )
        if refused:
            self.refusal.show_case(case)
            self.left.setCurrentWidget(self.refusal)
        elif measured:
            self.headline.show_case(case)
            self.vessels.bars.show_case(case)
            self.lesions.show_case(case)
            self.risk.show_case(case)
            self.left.setCurrentWidget(self.measured)
        elif case.row.state in states.FINISHED:
            self.loading_text.setText("The result of this case is missing on disk.")
            self.left.setCurrentWidget(self.loading)
        else:
            self.progress.show_case(case)
            self.left.setCurrentWidget(self.progress)

    def mark_outdated(self, outdated: bool) -> None:
        """Say that slices came later and a newer revision exists, or take that back."""
        if outdated:
            text = "Slices arrived after this result. A newer revision replaces it."
            self.banner.say("warn", "OUTDATED", text, "Open the newest")
        else:
            self.banner.hide()

    def jump_to(self, index: int) -> None:
        """Show lesion ``index`` in the axial view."""
        lesions = self._lesions()
        if self._case is None or self._case.stack is None or not 0 <= index < len(lesions):
            return
        point = overlay.lesion_point(lesions[index])
        if point is not None and self._case.stack.index_of(point) is not None:
            self.viewer.go_to(lesions[index], point)
            self.lesions.mark(index)

    def jump_to_worst(self) -> None:
        """Show the tightest lesion, if there is one."""
        worst = words.worst_lesion(self._lesions())
        if worst is not None:
            self.jump_to(worst)

    def jump_to_vessel(self, vessel: str) -> None:
        """Show the tightest lesion of one vessel."""
        lesions = self._lesions()
        mine = [i for i, item in enumerate(lesions) if item["vessel"] == vessel]
        worst = words.worst_lesion([lesions[i] for i in mine])
        if worst is not None:
            self.jump_to(mine[worst])

    def _lesions(self) -> list[dict[str, Any]]:
        result = self._case.result if self._case is not None else None
        return (result.get("lesions") or []) if result is not None else []

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc: back to the worklist; 1 to 4: LM, LAD, LCX, RCA."""
        keys = (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4)
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        elif event.key() in keys:
            self.jump_to_vessel(VESSELS[keys.index(Qt.Key(event.key()))])
        else:
            super().keyPressEvent(event)
