"""Accept, edit covariates, reject, sign: what stands, and what is possible next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton

from gui import i18n
from gui.i18n import mark, tr
from gui.widgets import Card, Chip
from plaque_edge.review import NEXT

if TYPE_CHECKING:
    from gui.case import OpenCase
    from gui.review import Review

ACTS = {
    "correct": (mark("Correct …"), mark("Draw contours, move the line, exclude, relabel (D)")),
    "covariates": (mark("Covariates …"), mark("Age, sex, diabetes, hypertension (E)")),
    "accept": (mark("Accept"), mark("The result may be used as it is (A)")),
    "reject": (mark("Reject …"), mark("The result may not be used; say why (R)")),
    "sign": (mark("Sign …"), mark("Sign this revision (S)")),
}
CHIPS = {
    "unreviewed": ("info", mark("NOT REVIEWED"), "quiet"),
    "accepted": ("check", mark("ACCEPTED"), "ok"),
    "rejected": ("stop", mark("REJECTED"), "bad"),
    "signed": ("check", mark("SIGNED"), "ok"),
}


class ReviewBar(Card):
    """One line under the numbers."""

    asked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.box.setContentsMargins(14, 6, 10, 6)
        row = QHBoxLayout()
        row.setSpacing(8)
        self.chip = Chip()
        row.addWidget(self.chip)
        self.images = QPushButton(tr("Images"))
        self.images.setToolTip(tr("All views on the whole page (F)"))
        row.addWidget(self.images)
        self.buttons: dict[str, QPushButton] = {}
        for kind, (name, tip) in ACTS.items():
            button = QPushButton(tr(name))
            button.setToolTip(tr(tip))
            button.clicked.connect(lambda _=False, k=kind: self.asked.emit(k))
            self.buttons[kind] = button
            row.addWidget(button)
        self.box.addLayout(row)

    def show_case(self, case: OpenCase) -> None:
        """Show where the result of ``case`` stands."""
        review = case.review
        icon, word, tone = CHIPS[review.standing]
        self.chip.set(icon, tr(word), tone)
        self.chip.setToolTip(decision(case.review) or tr("Nobody has reviewed this result."))
        outdated = case.row.state == "OUTDATED"
        for kind, button in self.buttons.items():
            able = kind in NEXT[review.standing] or (
                kind == "covariates" and review.standing != "signed"
            )
            button.setEnabled(able and not outdated)


def decision(review: Review) -> str:
    """Say who decided when, and why a result was rejected; empty where nobody has."""
    decided = review.decided
    if decided is None:
        return ""
    time, day = i18n.clock(decided.at)
    text = tr("by {person}, {day} {time}", person=decided.done.person, day=day, time=time)
    reason = decided.done.arguments.get("reason")
    return f"{text}: {reason}" if reason else text
