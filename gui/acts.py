"""What happens when a person presses a button: questions first, then a request, then its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from gui import print_acts, say, settings, theme
from gui.case import key_of
from gui.dialogs import Ask, AskCovariates, AskPerson, AskReason, AskSeries, AskSignature
from gui.i18n import mark, tr

if TYPE_CHECKING:
    from gui.desk import Answer
    from gui.window import MainWindow
    from plaque_edge.store import CaseRow

DONE = {
    "urgent": mark("The queue has changed."),
    "retry": mark("It is analysed again."),
    "cancel": mark("The analysis is stopped."),
    "choose": mark("The other series is analysed."),
    "acknowledge": mark("Acknowledged."),
    "accept": mark("The result is accepted."),
    "reject": mark("The result is rejected."),
    "sign": mark("The result is signed."),
    "covariates": mark("The covariates are kept."),
    "correct": mark("The corrections are saved."),
    "settings": mark("The service's settings are kept."),
}


def ask(window: MainWindow, kind: str, row: CaseRow) -> None:
    """Begin an act on ``row``: name of the person, what the act needs, then the request."""
    if not window.settings.person:
        first = AskPerson(window)
        first.given.connect(lambda name: _named(window, name, kind, row))
        show(first)
        return
    if kind == "sign" and window.settings.role != "physician":
        window.offer_settings(
            tr("Signing is for physicians"), tr("Choose your role in the settings (F2).")
        )
        return
    case = window.page.case
    mine = case is not None and case.key == key_of(row)
    result = case.result if case is not None and mine else None
    dialog = _dialog(window, kind, row, result)
    if dialog is None:
        given: dict[str, Any] = {"on": not row.urgent} if kind == "urgent" else {}
        if kind == "correct":
            given = {"document": window.page.viewer.edit.document(key_of(row))}
        _send(window, kind, row, given)
    else:
        dialog.given.connect(lambda given: _send(window, kind, row, given))
        show(dialog)


def _dialog(
    window: MainWindow, kind: str, row: CaseRow, result: dict[str, Any] | None
) -> Ask | None:
    if kind == "reject":
        return AskReason(window, row.info)
    if kind == "covariates":
        case = window.page.case
        known = dict((result or {}).get("covariates") or {})
        return AskCovariates(window, row.info, known | (case.review.covariates if case else {}))
    if kind == "sign":
        patient = (result or {}).get("patient") or {}
        title, word = say.stage(patient)
        tpv = say.volume(patient.get("plaque_mm3"), lower_bound=bool(patient.get("lower_bound")))
        what = f"{title} · {word} · {tpv}"
        if (result or {}).get("corrections"):
            what = f"{what} · {tr('CORRECTED')}"
        return AskSignature(window, row.info, window.settings.person, what)
    if kind == "choose":
        found = result or window.worklist.model.result_of(key_of(row)) or {}
        return AskSeries(window, row.info, (found.get("series") or {}).get("candidates") or [])
    return None


def show(dialog: Ask) -> None:
    """Open a dialog that is gone once it is closed."""
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()


def _named(window: MainWindow, name: str, kind: str, row: CaseRow) -> None:
    take_name(window, name)
    ask(window, kind, row)


def take_name(window: MainWindow, name: str) -> None:
    """Keep who works here."""
    window.settings = replace(window.settings, person=name)
    settings.save(window.settings, window.options.settings_file)
    window.settings_page.show_settings(window.settings)


def _send(window: MainWindow, kind: str, row: CaseRow, given: dict[str, Any]) -> None:
    person = window.settings.person
    if kind == "choose":
        row = replace(row, series_uid=given.pop("series_uid"))
        window.desk.ask(kind, person, row, any_revision=True, **given)
        return
    case = window.page.case
    mine = case is not None and case.key == key_of(row)
    said = case.result["corrections"] if mine and case and case.original and case.result else None
    if kind in ("accept", "reject", "sign") and said is not None and case is not None:
        # The service refuses when the result was corrected again since this one was seen.
        given = {**given, "result_sha256": case.sha256}
    window.desk.ask(kind, person, row, **given)
    if kind == "covariates" and said is not None:
        parts = ("schema", "series_instance_uid", "result_sha256", "edits")
        window.desk.ask("correct", person, row, document={p: said[p] for p in parts})
    elif kind == "covariates":
        window.desk.ask("retry", person, row)


def tell(window: MainWindow, answer: Answer) -> None:
    """Say how a request ended, and look at the case again."""
    kind = answer.asked.kind
    if kind == "settings" and answer.reason is not None and answer.reason.code == "STORE_MISSING":
        return  # no service has ever run here: there is no log yet
    if kind == "print":
        print_acts.tell_noted(window, answer)
        return
    if answer.reason is not None:
        window.toast.say(tr("Refused"), say.told(answer.reason))
    elif answer.waiting:
        window.toast.say(
            tr("Waiting for the service"),
            tr("The request is kept and done as soon as the service runs."),
        )
    else:
        window.toast.say(tr("Done"), tr(DONE[kind]), seconds=5.0)
    case = window.page.case
    if case is not None and case.row.series_uid == answer.asked.series_uid:
        if kind == "correct" and answer.reason is None:
            window.page.viewer.leave_editing()
            window.loader.request_summary(case.row)
        window.loader.request(case.row)


def apply_look(window: MainWindow) -> None:
    """Use theme and plaque colours of the settings at once; language and scale need a restart."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    chosen = window.settings
    theme.use_scheme(chosen.scheme)
    theme.apply(app, theme.LIGHT if chosen.theme == "light" else theme.DARK)
    window.page.viewer.scene.set_colors()
    window.page.viewer.tree.set_mode(window.page.viewer.tree.mode)
    if window.page.case is not None:
        window.page.show_case(window.page.case)
    window.update()
