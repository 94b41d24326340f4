"""Small shared widgets: card, chip, label, banner, toast, identity bar, table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QVBoxLayout,
    QWidget,
)

from gui import i18n, icons, say, theme
from gui.i18n import tr
from plaque_edge.export import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.store import CaseRow


def label(text: str = "", name: str = "", *, wrap: bool = False) -> QLabel:
    """Return a plain-text label with one of the sheet's styles."""
    out = QLabel(text)
    out.setTextFormat(Qt.TextFormat.PlainText)
    out.setObjectName(name)
    out.setWordWrap(wrap)
    return out


class ElidedLabel(QLabel):
    """One line that shortens itself with an ellipsis and keeps the whole text as tool tip.

    ``end`` is where it shortens: where it matters least.
    """

    def __init__(self, name: str = "", end: Qt.TextElideMode = Qt.TextElideMode.ElideRight) -> None:
        super().__init__()
        self._end = end
        self.setObjectName(name)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._whole = ""

    def set_whole(self, text: str) -> None:
        """Show ``text``, shortened when it does not fit."""
        self._whole = text
        self._fit()

    def whole(self) -> str:
        """Return the text before shortening."""
        return self._whole

    def resizeEvent(self, event: object) -> None:
        """Shorten again for the new width."""
        self._fit()

    def _fit(self) -> None:
        metrics = QFontMetrics(self.font())
        shown = metrics.elidedText(self._whole, self._end, self.width())
        self.setText(shown)
        self.setToolTip(self._whole if shown != self._whole else "")


class Card(QFrame):
    """A raised surface with a small title and a vertical layout inside."""

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self.setObjectName("card")
        self.box = QVBoxLayout(self)
        self.box.setContentsMargins(16, 12, 16, 12)
        self.box.setSpacing(theme.GAP)
        self.head = QHBoxLayout()
        if title:
            self.head.addWidget(label(title, "small"))
            self.head.addStretch(1)
            self.box.addLayout(self.head)


def page_card(page: QWidget) -> Card:
    """Give a page its one card, with the margin that every page has."""
    page.setObjectName("page")
    outer = QVBoxLayout(page)
    outer.setContentsMargins(16, 16, 16, 16)
    card = Card()
    outer.addWidget(card)
    return card


class Chip(QWidget):
    """Icon + word in one colour, on a tinted ground."""

    def __init__(self, icon: str = "", text: str = "", tone: str = "quiet") -> None:
        super().__init__()
        self._icon, self._text, self._tone = icon, text, tone
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set(self, icon: str, text: str, tone: str) -> None:
        """Change what the chip says."""
        self._icon, self._text, self._tone = icon, text, tone
        self.setAccessibleName(text)
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """Return the word."""
        return self._text

    def sizeHint(self) -> QSize:
        """Fit the word."""
        metrics = QFontMetrics(theme.font(theme.SMALL, bold=True))
        return QSize(metrics.horizontalAdvance(self._text) + (42 if self._icon else 24), 26)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw ground, icon and word."""
        palette = theme.current()
        color = palette.tone(self._tone)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
            painter.setPen(theme.mix(color, palette.surface, 0.55))
            painter.setBrush(theme.mix(color, palette.surface, 0.13))
            painter.drawRoundedRect(frame, 13, 13)
            left = 12.0
            if self._icon:
                icons.draw(painter, self._icon, QRectF(10, 5, 16, 16), color)
                left = 32.0
            painter.setPen(QColor(color))
            painter.setFont(theme.font(theme.SMALL, bold=True))
            painter.drawText(
                QRectF(left, 0, self.width() - left, self.height()),
                Qt.AlignmentFlag.AlignVCenter,
                self._text,
            )


BANNER_ICONS = {"ok": "check", "warn": "warn", "bad": "warn", "busy": "run"}


class Banner(QFrame):
    """A full-width message with an optional button; hidden while there is nothing to say."""

    clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 16, 8)
        self.icon = Chip()
        self.text = label(wrap=True)
        self.button = QPushButton()
        self.button.clicked.connect(self.clicked)
        row.addWidget(self.icon)
        row.addWidget(self.text, 1)
        row.addWidget(self.button)
        self.hide()

    def say(self, tone: str, word: str, text: str, button: str = "") -> None:
        """Show ``text`` in ``tone``."""
        palette = theme.current()
        ground = theme.mix(palette.tone(tone), palette.surface, 0.14).name()
        self.setStyleSheet(f"Banner {{ background: {ground}; }}")
        self.icon.set(BANNER_ICONS[tone], word, tone)
        self.text.setText(text)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self.show()


class Toast(QFrame):
    """A message at the lower right that goes by itself; never moves the reader's page."""

    clicked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("toast")
        self.row = row = QHBoxLayout(self)
        row.setContentsMargins(16, 12, 12, 12)
        row.setSpacing(12)
        self.column = column = QVBoxLayout()
        column.setSpacing(2)
        self.title, self.text = label("", "strong", wrap=True), label("", "muted", wrap=True)
        column.addWidget(self.title)
        column.addWidget(self.text)
        row.addLayout(column)
        self.open = QPushButton(tr("Open"))
        self.open.clicked.connect(self._accept)
        row.addWidget(self.open)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        self.hide()

    def say(self, title: str, text: str, button: str = "", seconds: float = 12.0) -> None:
        """Show the toast for some seconds, with a button where there is something to open."""
        palette = theme.current()
        self.setStyleSheet(
            f"QFrame#toast {{ background: {palette.raised}; border: 1px solid {palette.accent};"
            " border-radius: 8px; }"
        )
        self.title.setText(title)
        self.text.setText(text)
        self.open.setText(button)
        self.open.setVisible(bool(button))
        self._fit()
        self.place()
        self.show()
        self.raise_()
        self._timer.start(int(1000 * seconds))

    def _fit(self) -> None:
        """Be as wide as the text, or as the window, with as many lines as that takes.

        A layout that was hidden while its texts changed remembers the size of the old ones.
        """
        for item in (self, self.title, self.text, self.open):
            item.ensurePolished()
        parent, button = self.parentWidget(), 0 if self.open.isHidden() else 12
        button += self.open.sizeHint().width() if button else 0
        room = max(160, (640 if parent is None else parent.width() - 48) - 30 - button)
        both = (self.title, self.text)
        wide = max(item.fontMetrics().horizontalAdvance(item.text()) for item in both) + 4
        for item in both:
            item.setFixedSize(min(wide, room), item.heightForWidth(min(wide, room)))
        for layout in (self.column, self.row):
            layout.invalidate()
        self.resize(self.row.sizeHint())

    def place(self) -> None:
        """Keep the toast at the lower right of its window."""
        parent = self.parentWidget()
        if parent is not None:
            x, y = parent.width() - self.width() - 24, parent.height() - self.height() - 56
            self.move(QPoint(x, y))

    def _accept(self) -> None:
        self.hide()
        self.clicked.emit()


class IdentityBar(QFrame):
    """Who is on the screen: fixed on top of everything that shows a patient."""

    NARROW = 900

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.setFixedHeight(60)
        self.row = row = QHBoxLayout(self)
        row.setContentsMargins(16, 6, 16, 6)
        row.setSpacing(16)
        self.name, self.who = ElidedLabel("title"), ElidedLabel("small")
        self.study, self.series = ElidedLabel(), ElidedLabel("small")
        self.run, self.model = ElidedLabel(), ElidedLabel("small")
        for top, bottom, share in (
            (self.name, self.who, 36),
            (self.study, self.series, 39),
            (self.run, self.model, 25),
        ):
            column = QVBoxLayout()
            column.setSpacing(1)
            column.addWidget(top)
            column.addWidget(bottom)
            row.addLayout(column, share)
        self.signed = Chip("warn", tr(words.UNSIGNED), "warn")
        row.addWidget(self.signed)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave the software to a tool tip where the patient would have to be shortened."""
        super().resizeEvent(event)
        narrow = self.width() < self.NARROW
        for item in (self.run, self.model):
            item.setVisible(not narrow)
        for at, share in enumerate((54, 46, 0) if narrow else (36, 39, 25)):
            self.row.setStretch(at, share)

    def show_row(self, row: CaseRow) -> None:
        """Show the identity of ``row``; what ran it follows with :meth:`show_software`."""
        info = row.info
        self.name.set_whole(say.person(info.patient_name))
        who = tr(
            "ID {id} · born {date}",
            id=info.patient_id or tr("unknown"), date=i18n.date(info.birth_date),
        )  # fmt: skip
        self.who.set_whole(f"{who} · {say.sex_age(info.sex, info.age_years)}")
        when = f"{i18n.date(info.study_date)} {words.time(info.study_time)}".strip()
        accession = info.accession_number or tr("unknown")
        self.study.set_whole(tr("Study {when} · acc. {accession}",
                                when=when, accession=accession))  # fmt: skip
        series = info.series_description or info.study_description or tr("no description")
        self.series.set_whole(f"{series}  ·  {tr('revision {number}', number=row.revision)}")
        self.show_software(None, 0.0)
        self.show_signed("")

    def show_signed(self, person: str) -> None:
        """Show who signed; an empty name is UNSIGNED."""
        if person:
            self.signed.set("check", tr("Signed: {person}", person=person), "ok")
        else:
            self.signed.set("warn", tr(words.UNSIGNED), "warn")

    def show_software(self, software: dict[str, object] | None, seconds: float) -> None:
        """Show what computed the result, or that there is none."""
        if software is None:
            self.run.set_whole(tr("no result yet"))
            self.model.set_whole("")
            return
        precision = software.get("precision") or tr("unknown precision")
        ran = f"{software['provider']}, {precision}"
        if software["provider"] == "none":
            ran = tr("Networks did not run")
        self.run.set_whole(f"{ran}, {i18n.number(seconds, 1)} s")
        model = software["model"]
        name = f"{model.get('name')} {model.get('version')}" if isinstance(model, dict) else ""
        self.model.set_whole(tr("Model {name}", name=name.strip() or tr("none")))
        self.setToolTip(f"{self.run.whole()}\n{self.model.whole()}")


def table(heads: Sequence[str], name: str, wide: int = 0) -> QTableWidget:
    """Return an empty table with translated heads, of which column ``wide`` takes the room."""
    out = QTableWidget(0, len(heads))
    out.setHorizontalHeaderLabels([tr(h) for h in heads])
    out.verticalHeader().hide()
    out.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    out.horizontalHeader().setSectionResizeMode(wide, QHeaderView.ResizeMode.Stretch)
    out.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
    out.setAccessibleName(name)
    return out
