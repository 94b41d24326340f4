"""What the console asks a person: name, covariates, reason of a rejection, signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from gui import i18n, say
from gui.i18n import mark, tr
from gui.widgets import label

if TYPE_CHECKING:
    from PySide6.QtGui import QShowEvent

    from plaque_edge.types import SeriesInfo

REASONS = (
    mark("Wrong series"),
    mark("Motion or step artefact"),
    mark("Contrast is not good enough"),
    mark("Vessel traced wrongly"),
    mark("Wall or lumen outlined wrongly"),
    mark("Stent or bypass graft"),
    mark("Other"),
)


class Ask(QDialog):
    """A small dialog with title, explanation, a form and OK / Cancel; never blocks."""

    given = Signal(object)

    def __init__(self, parent: QWidget, title: str, text: str, accept: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(440)
        box = QVBoxLayout(self)
        box.setContentsMargins(20, 18, 20, 16)
        box.setSpacing(12)
        box.addWidget(label(title, "title", wrap=True))
        self.explain = label(text, wrap=True)
        box.addWidget(self.explain)
        self.form = QFormLayout()
        self.form.setSpacing(10)
        box.addLayout(self.form)
        self.problem = label("", "small", wrap=True)
        box.addWidget(self.problem)
        buttons = QDialogButtonBox()
        self.ok = buttons.addButton(accept, QDialogButtonBox.ButtonRole.AcceptRole)
        self.cancel = buttons.addButton(tr("Cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self._finish)
        buttons.rejected.connect(self.reject)
        box.addWidget(buttons)

    def showEvent(self, event: QShowEvent) -> None:
        """Take the size that the content needs, as far as the window has it."""
        super().showEvent(event)
        parent = self.parentWidget()
        if parent is not None:
            self.resize(self.sizeHint().boundedTo(parent.size()))

    def answer(self) -> Any:
        """Return what was given, or ``None`` while something is missing."""
        raise NotImplementedError

    def _finish(self) -> None:
        value = self.answer()
        if value is None:
            return
        self.accept()
        self.given.emit(value)


def _who(info: SeriesInfo) -> str:
    born = tr("born {date}", date=i18n.date(info.birth_date))
    return f"{say.person(info.patient_name)} · ID {info.patient_id} · {born}"


class AskPerson(Ask):
    """Who works at this console: printed into the audit log with every act."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(
            parent,
            tr("Who are you?"),
            tr("Your name goes into the audit log with everything you decide."),
            tr("Go on"),
        )
        self.name = QLineEdit()
        self.form.addRow(tr("Name"), self.name)

    def answer(self) -> str | None:
        """Return the name."""
        name = self.name.text().strip()
        if not name:
            self.problem.setText(tr("A name is needed."))
        return name or None


class AskCovariates(Ask):
    """Age, sex, diabetes, hypertension: what the risk model needs beside the scan."""

    def __init__(self, parent: QWidget, info: SeriesInfo, known: dict[str, Any]) -> None:
        text = tr(
            "For the risk model. What is not known stays unknown; nothing is guessed. The series "
            "is analysed again with these values, as a new revision."
        )
        super().__init__(parent, tr("Covariates"), f"{_who(info)}\n\n{text}", tr("Analyse again"))
        self._known = known
        self.age = QLineEdit()
        self.age.setPlaceholderText(tr("unknown"))
        if known.get("age_years") is not None:
            self.age.setText(f"{known['age_years']:g}")
        self.sex = _choice(((None, "unknown"), ("F", mark("female")), ("M", mark("male"))))
        yes_no = ((None, "unknown"), (True, mark("yes")), (False, mark("no")))
        self.diabetes, self.hypertension = _choice(yes_no), _choice(yes_no)
        for box, name in (
            (self.sex, "sex"), (self.diabetes, "diabetes"), (self.hypertension, "hypertension"),
        ):  # fmt: skip
            box.setCurrentIndex(max(0, box.findData(known.get(name))))
        self.form.addRow(tr("Age in years"), self.age)
        self.form.addRow(tr("Sex"), self.sex)
        self.form.addRow(tr("Diabetes"), self.diabetes)
        self.form.addRow(tr("Hypertension"), self.hypertension)

    def answer(self) -> dict[str, Any] | None:
        """Return what is known and differs from before; nothing new is no answer."""
        given: dict[str, Any] = {
            "sex": self.sex.currentData(),
            "diabetes": self.diabetes.currentData(),
            "hypertension": self.hypertension.currentData(),
        }
        text = self.age.text().strip().replace(",", ".")
        try:
            given["age_years"] = float(text) if text else None
        except ValueError:
            given["age_years"] = -1.0
        age = given["age_years"]
        if age is not None and not 0 < age < 130:
            self.problem.setText(tr("The age has to be a number of years between 1 and 129."))
            return None
        new = {k: v for k, v in given.items() if v is not None and v != self._known.get(k)}
        if not new:
            self.problem.setText(tr("Nothing new was given."))
        return new or None


class AskReason(Ask):
    """Why a result is rejected."""

    def __init__(self, parent: QWidget, info: SeriesInfo) -> None:
        super().__init__(parent, tr("Reject this result"), _who(info), tr("Reject"))
        self.reason = QComboBox()
        self.reason.addItem(tr("Choose a reason"), None)
        for text in REASONS:
            self.reason.addItem(tr(text), text)
        self.more = QLineEdit()
        self.form.addRow(tr("Reason"), self.reason)
        self.form.addRow(tr("In words"), self.more)

    def answer(self) -> dict[str, str] | None:
        """Return the reason, in English for the log, with the person's own words."""
        reason, more = self.reason.currentData(), self.more.text().strip()
        if reason is None or (reason == "Other" and not more):
            self.problem.setText(tr("A rejection needs its reason."))
            return None
        return {"reason": f"{reason}: {more}" if more else reason}


class AskSignature(Ask):
    """Sign: who, whose result, what it means."""

    def __init__(self, parent: QWidget, info: SeriesInfo, person: str, headline: str) -> None:
        text = tr(
            "I have looked at the images and these numbers. The signature is of this revision "
            "only and is kept in the audit log. It makes no diagnosis of a research result."
        )
        super().__init__(
            parent, tr("Sign this result"), f"{_who(info)}\n{headline}\n\n{text}", tr("Sign")
        )
        self.form.addRow(tr("Signed by"), label(person, "strong"))

    def answer(self) -> dict[str, Any]:
        """Return nothing beside the act itself."""
        return {}


class AskSeries(Ask):
    """Another series of the study, best first with its points."""

    def __init__(self, parent: QWidget, info: SeriesInfo, candidates: list[dict[str, Any]]) -> None:
        text = tr("The service analyses the chosen one; the present result becomes outdated.")
        super().__init__(
            parent, tr("Other series of this study"), f"{_who(info)}\n\n{text}", tr("Take this")
        )
        self.series = QComboBox()
        self.series.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.series.setMaximumWidth(max(300, parent.width() - 170))
        self._candidates = candidates
        for item in candidates:
            shown = f"{item.get('series_number') or '?'} · {item.get('description') or '?'} · "
            shown += tr("{count} slices", count=item["instances"])
            shown += f" · {tr('{points} of 100 points', points=i18n.number(item['points']))}"
            if item.get("chosen"):
                shown += f" · {tr('taken now')}"
            self.series.addItem(shown, item["take_uid"])
        self.why = label("", "small", wrap=True)
        self.form.addRow(tr("Series"), self.series)
        self.form.addRow("", self.why)
        self.series.currentIndexChanged.connect(self._explain)
        self._explain()

    def _explain(self) -> None:
        at = self.series.currentIndex()
        if 0 <= at < len(self._candidates):
            lines = [f"{c['what']}: {c['text']}" for c in self._candidates[at]["criteria"]]
            self.why.setText(" · ".join(lines))

    def answer(self) -> dict[str, Any] | None:
        """Return the candidate to take, unless it is the present one."""
        at = self.series.currentIndex()
        if at < 0 or self._candidates[at].get("chosen"):
            self.problem.setText(tr("Choose a series that is not taken now."))
            return None
        chosen = self._candidates[at]
        return {"take_uid": chosen["take_uid"], "series_uid": chosen["series_instance_uid"]}


def _choice(items: tuple[tuple[Any, str], ...]) -> QComboBox:
    box = QComboBox()
    for value, text in items:
        box.addItem(tr(text), value)
    return box


class AskPrint(Ask):
    """Where the page goes: a PDF file, or one of the system's printers once they are known."""

    def __init__(self, parent: QWidget, info: SeriesInfo, folder: str, *, signed: bool) -> None:
        state = tr("It is signed.") if signed else tr("It is UNSIGNED, and says so on every sheet.")
        super().__init__(
            parent, tr("Print, or save as PDF"), f"{_who(info)}\n\n{state}", tr("Print")
        )
        self.target = QComboBox()
        self.target.addItem(tr("PDF file"), "")
        self.file = QLineEdit(f"{folder}/plaque-{info.study_date or 'study'}.pdf")
        self.copies = QComboBox()
        for count in range(1, 6):
            self.copies.addItem(str(count), count)
        self.form.addRow(tr("To"), self.target)
        self.form.addRow(tr("File"), self.file)
        self.form.addRow(tr("Copies"), self.copies)
        self.problem.setText(tr("Looking for printers …"))
        self.target.currentIndexChanged.connect(self._fit)
        self._fit()

    def show_printers(self, names: list[str]) -> None:
        """Offer the printers that were found."""
        for name in names:
            self.target.addItem(name, name)
        self.problem.setText("" if names else tr("This computer has no printer: PDF only."))

    def _fit(self) -> None:
        paper = bool(self.target.currentData())
        self.file.setEnabled(not paper)
        self.copies.setEnabled(paper)

    def answer(self) -> dict[str, Any] | None:
        """Return printer and copies, or the file."""
        printer, file = self.target.currentData(), self.file.text().strip()
        if not printer and not file:
            self.problem.setText(tr("Name a file."))
            return None
        if not printer and not file.lower().endswith(".pdf"):
            file += ".pdf"
        return {"printer": printer, "file": file, "copies": self.copies.currentData()}
