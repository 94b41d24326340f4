"""One of two studies side by side: whose and which it is on top, its curved MPR and section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from gui import i18n, say, theme
from gui.curved_view import StretchedView
from gui.edit_words import correction_lines
from gui.i18n import mark, tr
from gui.scene import Scene
from gui.section_view import SectionView
from gui.widgets import Chip, ElidedLabel, label
from plaque_edge.export import words

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent

    from gui.case import Guard, OpenCase
    from gui.frames import Frames
    from plaque_edge.store import CaseRow

PRESENT, PRIOR = "present", "prior"
NAMES = {PRESENT: mark("PRESENT STUDY"), PRIOR: mark("PRIOR STUDY")}
BADGES = {PRESENT: mark("PRESENT"), PRIOR: mark("PRIOR")}
ICONS = {PRESENT: "check", PRIOR: "old"}
NARROW = 620
"""Width below which not all of a study fits on two lines."""
TONES = {PRESENT: "busy", PRIOR: "warn"}


class StudyBar(QFrame):
    """Which study: word, date, then the patient; nobody takes the prior for the present one."""

    def __init__(self, which: str) -> None:
        super().__init__()
        self.which = which
        self._texts = ("", "", "")
        self.setObjectName("bar")
        box = QVBoxLayout(self)
        box.setContentsMargins(10, 5, 10, 5)
        box.setSpacing(2)
        top = QHBoxLayout()
        top.setSpacing(10)
        self.chip = Chip(ICONS[which], tr(NAMES[which]), TONES[which])
        self.date, self.name = label("", "strong"), ElidedLabel("strong")
        self.signed = Chip("warn", tr(words.UNSIGNED), "warn")
        self.corrected = Chip("warn", tr("CORRECTED"), "warn")
        top.addWidget(self.chip)
        top.addWidget(self.date)
        top.addWidget(self.name, 1)
        top.addWidget(self.corrected)
        top.addWidget(self.signed)
        self.who = label("", "small", wrap=True)
        box.addLayout(top)
        box.addWidget(self.who)

    def show_row(self, row: CaseRow | None) -> None:
        """Show the identity of ``row``, or nobody's; :meth:`show_review` says who did what."""
        self.show_review(None)
        if row is None:
            self._texts = ("", "", "")
            self.date.setText("")
            self.name.set_whole("")
            self._fit()
            return
        info = row.info
        self.date.setText(i18n.date(info.study_date))
        self.name.set_whole(say.person(info.patient_name))
        who = tr(
            "ID {id} · born {date}",
            id=info.patient_id or tr("unknown"), date=i18n.date(info.birth_date),
        )  # fmt: skip
        more = tr(
            "acc. {accession} · {series} · revision {number}",
            accession=info.accession_number or tr("unknown"),
            series=info.series_description or tr("no description"), number=row.revision,
        )  # fmt: skip
        sex_age = say.sex_age(info.sex, info.age_years).replace(" ", "\u00a0")
        self._texts = (self.name.whole(), f"{who} · {sex_age}", more)
        self._fit()
        color = theme.current().tone(TONES[self.which])
        self.setStyleSheet(f"StudyBar {{ border-top: 4px solid {color}; }}")

    def _fit(self) -> None:
        """Keep the patient whole: in a narrow bar the name goes down, details become a tip."""
        narrow = self.width() < NARROW
        name, who, more = self._texts
        self.name.setVisible(not narrow)
        self.signed.setVisible(not narrow)
        self.chip.set(
            ICONS[self.which], tr((BADGES if narrow else NAMES)[self.which]), TONES[self.which]
        )
        short = f"{self.signed.text()} · {name} · {who}" if name else ""
        self.who.setText(short if narrow else f"{who} · {more}")
        self.setToolTip(more)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit again."""
        super().resizeEvent(event)
        self._fit()

    def show_review(self, case: OpenCase | None) -> None:
        """Show who signed, or UNSIGNED, and whether a person corrected the numbers."""
        said = correction_lines(case) if case is not None else ()
        self.corrected.setVisible(bool(said))
        self.corrected.setToolTip("\n".join(said))
        standing = "" if case is None else case.review.standing
        decided = case.review.decided if case is not None and standing == "signed" else None
        person = "" if decided is None else decided.done.person
        if person:
            self.signed.set("check", tr("Signed: {person}", person=person), "ok")
        else:
            self.signed.set("warn", tr(words.UNSIGNED), "warn")
        self._fit()


class Side(QWidget):
    """One study with a scene and a guard of its own."""

    def __init__(self, which: str, guard: Guard, frames: Frames) -> None:
        super().__init__()
        self.which = which
        self.guard, self.scene = guard, Scene(guard, frames, self)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        self.bar = StudyBar(which)
        self.note = label("", "small", wrap=True)
        self.views = QWidget()
        row = QHBoxLayout(self.views)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.curved, self.section = StretchedView(self.scene), SectionView(self.scene)
        row.addWidget(self.curved, 58)
        row.addWidget(self.section, 42)
        box.addWidget(self.bar)
        box.addWidget(self.note)
        box.addWidget(self.views, 1)
        for view in (self.curved, self.section):
            view.setAccessibleName(f"{tr(NAMES[which])}: {view.accessibleName()}")

    def blank(self, row: CaseRow | None, note: str = "") -> None:
        """Take all pictures away; show whose turn it is, if anybody's."""
        self.scene.show_case(None)
        self.scene.badge = ""
        self.bar.setVisible(row is not None)
        self.bar.show_row(row)
        self.say(note)

    def show_case(self, case: OpenCase) -> None:
        """Show ``case``; its guard must have it selected. Raises ``IdentityError``."""
        self.guard.require(case)
        self.bar.show_row(case.row)
        self.bar.setVisible(True)
        self.bar.show_review(case)
        self.scene.badge = f"{tr(BADGES[self.which])} {i18n.date(case.row.info.study_date)}"
        self.scene.show_case(case)
        self.say("")

    def say(self, note: str) -> None:
        """Show a line under the identity, or none."""
        self.note.setText(note)
        self.note.setVisible(bool(note))
