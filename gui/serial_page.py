"""Two studies of one patient side by side, linked along the vessel, with what changed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from gui import change_words, i18n, say
from gui.case import Guard, IdentityError, OpenCase, key_of
from gui.change_table import ChangeTable
from gui.comparison import Comparison, Counted, counted
from gui.i18n import tr
from gui.prior import priors_of, same_patient
from gui.serial_link import Link, Place
from gui.serial_side import PRESENT, PRIOR, Side
from gui.shortcuts import SERIAL
from gui.widgets import Banner, label
from plaque_edge.show.reformat import chord_axes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PySide6.QtGui import QKeyEvent, QResizeEvent

    from gui.case import Key
    from gui.frames import Frames
    from gui.scene import Scene
    from plaque_edge.store import CaseRow
    from plaque_edge.types import Reason

LOW = 560
"""Below this height there is no room for pictures and table: one or the other."""


class SerialPage(QWidget):
    """The present study keeps the window's guard; the prior has one of its own.

    The prior's guard selects only what :meth:`_take_prior` has found to be of the same patient.
    """

    closed = Signal()
    wanted = Signal(object)
    print_wanted = Signal()

    def __init__(self, guard: Guard, frames: Frames) -> None:
        super().__init__()
        self.setObjectName("page")
        self.present = Side(PRESENT, guard, frames)
        self.prior = Side(PRIOR, Guard(), frames)
        self.comparison = Comparison(self)
        self.data: dict[str, Any] | None = None
        self._case: OpenCase | None = None
        self._rows: tuple[CaseRow, ...] = ()
        self._link: Link | None = None
        self._moving = self._table_first = False
        self._build()
        self._connect()
        self.blank()

    def _build(self) -> None:
        box = QVBoxLayout(self)
        box.setContentsMargins(10, 8, 10, 8)
        box.setSpacing(6)
        box.addLayout(self._tools())
        self.banner = Banner()
        box.addWidget(self.banner)
        self.sides = QWidget()
        sides = QHBoxLayout(self.sides)
        sides.setContentsMargins(0, 0, 0, 0)
        sides.setSpacing(10)
        sides.addWidget(self.prior, 1)
        sides.addWidget(self.present, 1)
        self.table = ChangeTable()
        box.addWidget(self.sides, 56)
        self.summary = label("", "small", wrap=True)
        box.addWidget(self.summary)
        box.addWidget(self.table, 44)

    def _tools(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        self.choice, self.branch = QComboBox(), QComboBox()
        self.choice.setAccessibleName(tr("Prior study"))
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.choice.activated.connect(self._choose)
        self.branch.setAccessibleName(tr("Vessel"))
        self.branch.setMinimumWidth(80)
        self.branch.activated.connect(lambda at: self.present.scene.set_path_step(at, 0.0))
        self.swap = QPushButton()
        self.swap.clicked.connect(self.turn_page)
        self.print = QPushButton(tr("Print …"))
        self.print.setToolTip(tr("Print this page, or save it as PDF (Ctrl+P)"))
        self.print.clicked.connect(self.print_wanted)
        self.choice_label = label(tr("Prior study"), "small")
        row.addWidget(self.choice_label)
        row.addWidget(self.choice)
        row.addWidget(self.branch)
        row.addStretch(1)
        row.addWidget(self.swap)
        row.addWidget(self.print)
        return row

    def _connect(self) -> None:
        self.comparison.done.connect(self._compared)
        self.comparison.refused.connect(self._refused)
        here, there = self.present.scene, self.prior.scene
        here.stepped.connect(lambda: self._follow(here, there))
        there.stepped.connect(lambda: self._follow(there, here))
        here.branch_changed.connect(lambda: self.branch.setCurrentIndex(here.path_at))
        here.turned.connect(lambda: self._turn(here, there))
        there.turned.connect(lambda: self._turn(there, here))

    # ---- whose ---------------------------------------------------------------------------

    @property
    def case(self) -> OpenCase | None:
        """The present study on the page, ``None`` while blank."""
        return self._case

    @property
    def prior_row(self) -> CaseRow | None:
        """The prior that is chosen."""
        key = self.prior.guard.selected
        return next((r for r in self._rows if key_of(r) == key), None)

    def blank(self) -> None:
        """Take everything of both studies away."""
        self.comparison.stop()
        self._case = self._link = self.data = None
        self._rows = ()
        self.choice.clear()
        self.branch.clear()
        self._forget_prior(None)
        self.present.blank(None)

    def show_case(self, case: OpenCase, rows: Iterable[CaseRow]) -> None:
        """Show ``case`` beside its newest prior among ``rows``.

        Raises ``IdentityError`` when another case is selected.
        """
        self.present.guard.require(case)
        self.blank()
        self._case = case
        self.present.show_case(case)
        self._rows = priors_of(case.row, rows)
        self._share()
        self.branch.addItems([path.view.name for path in self.present.scene.paths])
        for row in self._rows:
            text = row.info.series_description or tr("no description")
            self.choice.addItem(f"{i18n.date(row.info.study_date)} · {text}", key_of(row))
        if self._rows:
            self._choose(0)
        else:
            text = tr(
                "There is no earlier measured study with this patient ID and birth date. "
                "A name is never looked at."
            )
            self.banner.say("warn", tr("No prior study"), text)

    def refresh(self, case: OpenCase) -> None:
        """Take over who signed or corrected the present study meanwhile."""
        if self._case is None or self._case.key != case.key:
            return
        changed = case.sha256 != self._case.sha256
        self._case = case
        self.present.bar.show_review(case)
        if changed:
            self.present.show_case(case)
            if self._rows:
                self._choose(max(self.choice.currentIndex(), 0))

    def _choose(self, at: int) -> None:
        row = self._rows[at]
        self._forget_prior(row)
        self.prior.guard.selected = key_of(row)
        self.banner.say("busy", tr("Comparing …"), tr("In a process of its own; some seconds."))
        self.wanted.emit(row)

    def _compare(self, prior: Counted) -> None:
        """Compare what counts of both studies, which is what the page shows of them."""
        assert self._case is not None
        ticket = key_of(prior.row), self._case.key
        self.comparison.start(ticket, prior, counted(self._case))

    def _forget_prior(self, row: CaseRow | None) -> None:
        self.comparison.stop()
        self.prior.guard.selected = None
        self._link = self.data = None
        self.prior.blank(row, tr("Loading …") if row is not None else "")
        self.table.show_changes(None)
        self.summary.setText("")
        self.banner.hide()
        self._share()

    def take(self, loaded: OpenCase) -> None:
        """Show a loaded case as the prior if it is the one that was chosen."""
        if self._case is None or loaded.key != self.prior.guard.selected:
            return
        if not same_patient(self._case.row, loaded.row) or loaded.key == self._case.key:
            self.prior.guard.selected = None
            raise IdentityError("the prior is not an earlier study of the patient on the page")
        known = self.prior.scene.case
        self.prior.show_case(loaded)
        if known is None or known.sha256 != loaded.sha256:
            self._compare(counted(loaded))
        self._follow(self.present.scene, self.prior.scene)
        self._turn(self.present.scene, self.prior.scene)

    def failed(self, key: Key, text: str) -> None:
        """Say that the prior's images can't be read."""
        row = self.prior_row
        if row is not None and key == key_of(row) and self._case is not None:
            self.prior.say(text)
            self._compare(Counted(row, row.result_dir))

    # ---- what changed --------------------------------------------------------------------

    def _compared(self, ticket: Any, data: dict[str, Any]) -> None:
        if self._case is None or ticket != (self.prior.guard.selected, self._case.key):
            return
        self.data, self._link = data, Link(data["registration"])
        self.table.show_changes(data)
        self.summary.setText(summary(data))
        different, by_hand = data["comparability"]["differences"], change_words.corrected(data)
        if different:
            text = tr(
                "The scans were made differently: {what}. A change may come from that alone, so "
                "it is called possible.",
                what="; ".join(map(change_words.difference, different)),
            )  # fmt: skip
            self.banner.say("warn", tr("CLAIMS LOWERED"), " · ".join((*by_hand, text)))
        elif by_hand:
            text = tr(
                "Repeatability was measured without corrections, so a change is called possible."
            )
            self.banner.say("warn", tr("CLAIMS LOWERED"), f"{' · '.join(by_hand)}. {text}")
        else:
            text = tr("Same scanner, kernel, tube voltage and spacing, same networks.")
            self.banner.say("ok", tr("Comparable"), text)
        self._follow(self.present.scene, self.prior.scene)

    def _refused(self, ticket: Any, reason: Reason) -> None:
        if self._case is None or ticket != (self.prior.guard.selected, self._case.key):
            return
        self.banner.say("bad", tr("Not compared"), say.told(reason))

    # ---- one cursor ----------------------------------------------------------------------

    def _follow(self, leader: Scene, other: Scene) -> None:
        """Move the other study's cursor to the same place, or say that there is none."""
        if self._moving or self._link is None or leader.case is None or other.case is None:
            return
        branch = leader.current
        if branch is None:
            return
        forward = leader is self.present.scene
        map_ = self._link.to_prior if forward else self._link.to_present
        found = map_(Place(branch.name, leader.step))
        at = None if found is None else other.branch_at(found.branch)
        side = self.prior if forward else self.present
        if found is None or at is None:
            side.say(tr("{branch}: this place was traced in one study only.", branch=branch.name))
            return
        side.say("")
        self._moving = True
        name = leader.path.view.name if leader.path is not None else ""
        path = other.branch_at(name)
        runs = path is not None and other.paths[path].step_of(at, found.step) is not None
        other.set_step(at, found.step, path if runs else None)
        self._moving = False

    def _turn(self, leader: Scene, other: Scene) -> None:
        """Turn the other curved view so that it looks from the same side of the patient."""
        if self._moving or leader.path is None or other.path is None:
            return
        first, second = chord_axes(leader.path.view.centers_mm)
        line = math.cos(leader.angle) * first + math.sin(leader.angle) * second
        first, second = chord_axes(other.path.view.centers_mm)
        self._moving = True
        other.turn(math.atan2(float(line @ second), float(line @ first)))
        self._moving = False

    # ---- layout and keys -----------------------------------------------------------------

    def turn_page(self) -> None:
        """Show pictures instead of the table, or the other way round, where one has room."""
        self._table_first = not self._table_first
        self._share()

    def next_branch(self) -> None:
        """Go to the next vessel."""
        scene = self.present.scene
        if scene.paths:
            scene.set_path_step((scene.path_at + 1) % len(scene.paths), 0.0)

    def set_overlay(self) -> None:
        """Show or hide the plaque of both studies."""
        on = not self.present.scene.overlay_on
        for side in (self.present, self.prior):
            side.scene.set_overlay(on)

    def _share(self) -> None:
        low = self.height() < LOW
        alone = self._case is not None and not self._rows
        self.prior.setHidden(alone)
        for item in (self.choice, self.choice_label):
            item.setHidden(alone)
        self.swap.setVisible(low and not alone)
        self.swap.setText(tr("Pictures") if self._table_first else tr("Changes"))
        for side in (self.present, self.prior):
            side.views.setVisible(alone or not low or not self._table_first)
        for item in (self.table, self.summary):
            item.setVisible(not alone and (not low or self._table_first))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the height again."""
        super().resizeEvent(event)
        self._share()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Run what :data:`gui.shortcuts.SERIAL` says of a key."""
        act = None if event.modifiers() & Qt.KeyboardModifier.ControlModifier else SERIAL.get(
            Qt.Key(event.key())
        )  # fmt: skip
        if act is None:
            super().keyPressEvent(event)
        else:
            act.run(self)


def summary(data: dict[str, Any]) -> str:
    """Say in one line over how much was compared, what is left out, and against what."""
    found = data["registration"]
    parts = [
        change_words.years(data["years"]),
        tr(
            "{count} branches, {length} mm in both",
            count=found["branches"], length=i18n.number(found["common_length_mm"]),
        ),
    ]  # fmt: skip
    for side, text in (
        ("only_before", tr("only in the prior: {names}", names=", ".join(found["only_before"]))),
        ("only_after", tr("only in the present: {names}", names=", ".join(found["only_after"]))),
    ):
        if found[side]:
            parts.append(text)
    parts += change_words.excluded(data)
    source, why = data["repeatability"], data.get("not_judged")
    if why:
        parts.append(i18n.reason(why["code"], why["text"]).rstrip("。."))
    else:
        source = source or tr("not measured, so nothing is judged")
        parts.append(tr("repeatability: {source}", source=source))
    return f"mm³; PAV %. {' · '.join(parts)}."
