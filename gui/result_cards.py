"""The cards of the result page: headline, vessels, lesions, quality, refusal, progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui import i18n, say, states, theme
from gui.bars import Legend, VesselBars
from gui.edit_words import own_numbers
from gui.i18n import mark, tr
from gui.widgets import Card, Chip, ElidedLabel, label
from plaque_edge.export import words

if TYPE_CHECKING:
    from gui.case import Guard, OpenCase


class Headline(Card):
    """One headline: the stage's word, then TPV, PAV and the tightest stenosis."""

    prior_wanted = Signal()
    print_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout()
        row.setSpacing(16)
        self.figures = []
        for share in (24, 36, 15, 25):
            column = QVBoxLayout()
            column.setSpacing(0)
            title = ElidedLabel("small", Qt.TextElideMode.ElideLeft)  # interval, vessel: last
            number = label("", "headline")
            self.figures.append((title, number))
            column.addWidget(title)
            column.addWidget(number)
            row.addLayout(column, share)
        self.box.addLayout(row)
        self.by_hand = QWidget()
        hand = QHBoxLayout(self.by_hand)
        hand.setContentsMargins(0, 0, 0, 0)
        self.own = label("", wrap=True)
        hand.addWidget(Chip("warn", tr("CORRECTED"), "warn"))
        hand.addWidget(self.own, 1)
        self.box.addWidget(self.by_hand)
        self.chip, self.extras, self.note = Chip(), ElidedLabel(), ElidedLabel("muted")
        foot = QHBoxLayout()
        foot.addWidget(self.chip)
        foot.addWidget(self.extras, 1)
        self.prior, self.print = QPushButton(), QPushButton(tr("Print …"))
        self.prior.clicked.connect(self.prior_wanted)
        self.print.clicked.connect(self.print_wanted)
        self.print.setToolTip(tr("Print this page, or save it as PDF (Ctrl+P)"))
        for button in (self.prior, self.print):
            button.setObjectName("flat")
            foot.addWidget(button)
        self.show_prior(None)
        self.box.addLayout(foot)
        self.box.addWidget(self.note)

    def show_case(self, case: OpenCase) -> None:
        """Show the patient's numbers."""
        assert case.result is not None
        patient = case.result["patient"]
        bound = bool(patient.get("lower_bound"))
        lesions = case.result.get("lesions") or []
        worst = words.worst_lesion(lesions)
        where = "" if worst is None else f", {lesions[worst]['vessel']}"
        range_95 = say.interval(patient)
        total = tr("Total plaque volume")
        if range_95:
            total = tr("Total plaque volume, 95 %: {range}", range=range_95)
        texts = (
            say.stage(patient),
            (total, say.volume(patient["plaque_mm3"], lower_bound=bound)),
            ("PAV", say.percent(patient["pav_percent"])),
            (tr("Tightest stenosis") + where,
             say.percent(patient["max_diameter_stenosis_percent"], 0)),
        )  # fmt: skip
        palette = theme.current()
        for (top, number), (name, text) in zip(self.figures, texts, strict=True):
            top.set_whole(name)
            number.setText(text)
            missing = text == tr(words.NOT_ANALYSABLE)
            size = theme.STRONG if missing else 26
            ink = palette.bad if missing else palette.text
            number.setStyleSheet(f"font-size: {size}px; color: {ink};")
            number.setMinimumHeight(38)
        self.own.setText(own_numbers(case))
        self.by_hand.setVisible(case.original is not None)
        state = states.describe(case.row)
        self.chip.set(state.icon, state.word, state.tone)
        note, extras = self._note(case.result, bound), extra_findings(case.result)
        if not note:
            extras.insert(0, tr("All four vessels traced."))
        self.extras.set_whole("  ·  ".join(extras))
        self.note.set_whole(note)
        self.note.setVisible(bool(note))

    def show_prior(self, date: str | None) -> None:
        """Offer the newest prior study, of this DICOM date, where there is one."""
        self.prior.setVisible(date is not None)
        if date is not None:
            self.prior.setText(tr("Prior {date}", date=i18n.date(date)))
            self.prior.setToolTip(tr("Both studies side by side, and what changed (P)"))

    @staticmethod
    def _note(result: dict[str, Any], bound: bool) -> str:
        # That it was corrected stands above already, with the analysis's own numbers.
        reasons = [say.reason(r)[0] for r in result["reasons"] if r["code"] != "CORRECTED"]
        if reasons:
            return "  ·  ".join(reasons)
        if bound:
            return tr("Lower bound: part of the tree was not analysable.")
        return ""


def extra_findings(result: dict[str, Any]) -> list[str]:
    """Say what newer results carry: CAD-RADS proposal, SIS, SSS, high-risk plaque, segments."""
    patient, out = result["patient"], []
    proposal = patient.get("cad_rads")
    if proposal:
        out.append(tr("{category} (proposal)", category=proposal["text"]))
    for key, name in (("segment_involvement_score", "SIS"), ("segment_stenosis_score", "SSS")):
        if patient.get(key) is not None:
            out.append(f"{name} {patient[key]}")
    risky = [x for x in result.get("lesions") or [] if len(high_risk(x)) >= 2]
    if any("features" in x for x in result.get("lesions") or []):
        names = ", ".join(words.branch_of(x) for x in risky)
        out.append(tr("high-risk plaque: {where}", where=names or tr("none")))
    missing = patient.get("missing_segments")
    if missing:
        out.append(tr("not traced: {segments}", segments=", ".join(str(m) for m in missing)))
    return out


FEATURES = {
    "low_attenuation": mark("low attenuation"),
    "positive_remodeling": mark("positive remodelling"),
    "spotty_calcification": mark("spotty calcium"),
    "napkin_ring": mark("napkin ring"),
}


def high_risk(lesion: dict[str, Any]) -> list[str]:
    """Return the high-risk features that a lesion has."""
    found = [f["name"] for f in lesion.get("features") or [] if f.get("present")]
    return [tr(FEATURES[name]) for name in found if name in FEATURES]


class Vessels(Card):
    """The stacked bars with their legend."""

    def __init__(self, guard: Guard) -> None:
        super().__init__(tr("Plaque volume per vessel"))
        self.head.addWidget(Legend())
        self.bars = VesselBars(guard)
        self.box.addWidget(self.bars, 1)


class Lesions(Card):
    """Lesions, tightest first; a click jumps to the slice."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__(tr("Lesions, tightest first"))
        self.table = QTableWidget(0, 4)
        self.table.setHorizontalHeaderLabels([tr("Branch"), tr("Stenosis"), "mm³", tr("At, mm")])
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setStyleSheet(
            "QTableView { border: none; } QHeaderView::section { padding: 2px 4px; }"
        )
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(26)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(36)
        self.table.horizontalHeader().setHighlightSections(False)
        self.table.setTabKeyNavigation(False)
        self.table.setAccessibleName(tr("Lesions"))
        self.empty = label(tr("No lesion found in the analysed vessels."), "muted", wrap=True)
        self.box.addWidget(self.table, 1)
        self.box.addWidget(self.empty, 1)
        self.order: list[int] = []
        self.table.itemSelectionChanged.connect(self._select)

    def show_case(self, case: OpenCase) -> None:
        """List the lesions of ``case``."""
        assert case.result is not None
        lesions = case.result.get("lesions") or []
        self.order = sorted(range(len(lesions)), key=lambda i: _tightness(lesions[i]))
        self.table.blockSignals(True)
        self.table.setRowCount(len(lesions))
        for at, index in enumerate(self.order):
            item = lesions[index]
            texts = (
                str(item.get("branch") or item["vessel"]),
                _short(item["diameter_stenosis_percent"]),
                say.volume(item["plaque_mm3"], unit=False),
                f"{item['start_mm']:.0f}–{item['end_mm']:.0f}",
            )
            for column, text in enumerate(texts):
                cell = self.table.item(at, column)
                if cell is None:
                    cell = QTableWidgetItem()
                    self.table.setItem(at, column, cell)
                cell.setText(text)
                cell.setToolTip(_lesion_tip(item))
                side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
                cell.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        for column in range(4):
            side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
            header = self.table.horizontalHeaderItem(column)
            if header is not None:
                header.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        self.table.clearSelection()
        self.table.blockSignals(False)
        self.table.setVisible(bool(lesions))
        self.empty.setVisible(not lesions)

    def mark(self, index: int) -> None:
        """Highlight lesion ``index`` without asking for a jump."""
        self.table.blockSignals(True)
        if index in self.order:
            self.table.selectRow(self.order.index(index))
        self.table.blockSignals(False)

    def _select(self) -> None:
        row = self.table.currentRow()
        if 0 <= row < len(self.order):
            self.chosen.emit(self.order[row])


def _short(percent: float | None) -> str:
    return tr("n/a") if percent is None else say.percent(percent, 0)


def _lesion_tip(lesion: dict[str, Any]) -> str:
    """Everything the result says of a lesion, in lines."""
    c, n, low = words.parts(lesion) or (None, None, None)
    lines = [
        f"{words.branch_of(lesion)}, {lesion['start_mm']:.0f}–{lesion['end_mm']:.0f} mm",
        f"C {say.volume(c)} · N {say.volume(n)} · L {say.volume(low)}",
    ]
    if lesion.get("remodeling_index") is not None:
        lines.append(tr("remodelling index {value}", value=f"{lesion['remodeling_index']:.2f}"))
    return "\n".join([*lines, *high_risk(lesion)])


def _tightness(lesion: dict[str, Any]) -> tuple[float, float]:
    stenosis = lesion["diameter_stenosis_percent"]
    return (1.0 if stenosis is None else -float(stenosis), -float(lesion["plaque_mm3"]))


def _sentences(text: str, more: str) -> str:
    return f"{text.rstrip('.')}. {more}" if more else text


class QcStrip(Card):
    """Image quality in words, on one line; the whole list is the tool tip."""

    def __init__(self) -> None:
        super().__init__()
        self.box.setContentsMargins(14, 6, 14, 6)
        row = QHBoxLayout()
        row.setSpacing(10)
        self.chip, self.text = Chip(), ElidedLabel()
        row.addWidget(label(tr("Image quality"), "small"))
        row.addWidget(self.chip)
        row.addWidget(self.text, 1)
        self.box.addLayout(row)

    def show_case(self, case: OpenCase) -> None:
        """Show the verdict and what led to it."""
        assert case.result is not None
        qc = case.result["qc"]
        tone = {"diagnostic": "ok", "limited": "warn", "non_diagnostic": "bad"}[qc["verdict"]]
        icon = {"ok": "check", "warn": "warn", "bad": "stop"}[tone]
        self.chip.set(icon, tr(words.QC_WORDS[qc["verdict"]]), tone)
        checks = qc["checks"]
        raised = [c for c in checks if c["level"] != "pass"]
        passed = [c for c in checks if c["level"] == "pass"]
        parts = [_sentences(say.check(c), say.reason({"text": "", **c})[1]).strip() for c in raised]
        if passed:
            told = ", ".join(say.check(c).rstrip(".") for c in passed)
            parts.append(tr("passed: {checks}", checks=told) if parts else told)
        self.text.set_whole("  ·  ".join(parts) or tr("No check could be made."))
        levels = {"pass": tr("passed"), "warn": tr("warning"), "refuse": tr("refused")}
        self.setToolTip("\n".join(f"{levels[c['level']]}: {say.check(c)}" for c in checks))


class Refusal(Card):
    """Why there is no value: nothing like a result, and nothing like zero."""

    print_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.box.setContentsMargins(24, 20, 24, 20)
        self.chip = Chip()
        self.title = label("", "headline")
        self.lead = label("", "strong", wrap=True)
        self.reasons = QVBoxLayout()
        self.reasons.setSpacing(14)
        self.print = QPushButton(tr("Print …"))
        self.print.setObjectName("flat")
        self.print.clicked.connect(self.print_wanted)
        top = QHBoxLayout()
        top.addWidget(self.chip)
        top.addStretch(1)
        top.addWidget(self.print)
        self.box.addLayout(top)
        self.box.addWidget(self.title)
        self.box.addWidget(self.lead)
        self.box.addSpacing(8)
        self.box.addLayout(self.reasons)
        self.box.addStretch(1)

    def show_case(self, case: OpenCase) -> None:
        """Show the reasons of ``case``, from its result or from its row."""
        state = states.describe(case.row)
        palette = theme.current()
        failed = case.row.state == "FAILED"
        self.chip.set(state.icon, state.word, "bad")
        self.title.setText(tr("No value measured"))
        self.title.setStyleSheet(f"color: {palette.bad};")
        self.lead.setText(
            tr("The software could not finish. Trying again may help.")
            if failed
            else tr("This series cannot be measured. That is not a finding of “no plaque”.")
        )
        while self.reasons.count():
            item = self.reasons.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for reason in self._of(case):
            self.reasons.addWidget(_reason(reason))

    @staticmethod
    def _of(case: OpenCase) -> list[dict[str, Any]]:
        if case.result is not None and case.result["reasons"]:
            reasons: list[dict[str, Any]] = case.result["reasons"]
            return reasons
        reason = case.row.reason
        if reason is None:
            return [
                {"code": "REASON_MISSING", "text": case.row.message or tr("No reason was given.")}
            ]
        return [{"code": reason.code, "text": reason.text, "next_step": reason.next_step}]


def _reason(reason: dict[str, Any]) -> QWidget:
    out = QWidget()
    box = QVBoxLayout(out)
    box.setContentsMargins(14, 0, 0, 0)
    box.setSpacing(3)
    out.setObjectName("reason")
    bad = theme.current().bad
    out.setStyleSheet(f"QWidget#reason {{ border-left: 3px solid {bad}; }}")
    text, step = say.reason(reason)
    box.addWidget(label(text, "strong", wrap=True))
    if step:
        box.addWidget(label(tr("Next step: {step}", step=step), wrap=True))
    if text != reason["text"]:  # the translation has no numbers; the original has
        box.addWidget(label(f"{reason['text']} {reason.get('next_step', '')}", "muted", wrap=True))
    box.addWidget(label(reason["code"], "small"))
    return out


class Stepper(QWidget):
    """The eight words of the line, with the one at work marked."""

    def __init__(self) -> None:
        super().__init__()
        self._at, self._share = 0, 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Ask for one row of dots with words under them."""
        return QSize(640, 72)

    def set(self, step: str, share: float) -> None:
        """Mark ``step`` as being at work."""
        self._at = states.STEPS.index(step) if step in states.STEPS else 0
        self._share = share
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw dots, links and words."""
        palette = theme.current()
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            gap = self.width() / len(states.STEPS)
            for at, word in enumerate(states.STEPS):
                x, y = gap * (at + 0.5), 24.0
                done, active = at < self._at, at == self._at
                if at:
                    ink = palette.accent if at <= self._at else palette.line
                    painter.setPen(QPen(QColor(ink), 2))
                    painter.drawLine(int(x - gap + 13), int(y), int(x - 13), int(y))
                painter.setPen(QPen(QColor(palette.accent if done or active else palette.line), 2))
                painter.setBrush(QColor(palette.accent if done else palette.surface))
                painter.drawEllipse(QRectF(x - 9, y - 9, 18, 18))
                if active:
                    painter.setBrush(QColor(palette.accent))
                    painter.setPen(Qt.PenStyle.NoPen)
                    painter.drawEllipse(QRectF(x - 4.5, y - 4.5, 9, 9))
                painter.setPen(QColor(palette.text if active else palette.muted))
                painter.setFont(theme.font(theme.BODY, bold=active))
                painter.drawText(
                    QRectF(x - gap / 2, 42, gap, 22), Qt.AlignmentFlag.AlignCenter, tr(word)
                )


class Progress(Card):
    """A case on its way: what is happening now."""

    def __init__(self) -> None:
        super().__init__()
        self.box.addStretch(1)
        self.title = label("", "headline")
        self.detail = label("", "muted", wrap=True)
        self.stepper = Stepper()
        for item in (self.title, self.detail):
            item.setAlignment(Qt.AlignmentFlag.AlignCenter)
            self.box.addWidget(item)
        self.box.addSpacing(16)
        self.box.addWidget(self.stepper)
        self.box.addStretch(1)

    def show_case(self, case: OpenCase) -> None:
        """Show the state of a case that has no result yet."""
        state = states.describe(case.row)
        self.title.setText(state.word)
        self.detail.setText(state.detail or tr("The result opens here by itself."))
        self.stepper.set(case.row.step, case.row.progress)
