"""What happens when a person presses a button: questions first, then a request, then its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QStandardPaths, Qt
from PySide6.QtWidgets import QApplication

from gui import i18n, say, settings, theme
from gui.case import key_of
from gui.dialogs import Ask, AskCovariates, AskPerson, AskPrint, AskReason, AskSeries, AskSignature
from gui.i18n import mark, tr
from gui.print_job import PrintJob, Study

if TYPE_CHECKING:
    from gui.desk import Answer
    from gui.window import MainWindow
    from plaque_edge.store import CaseRow
    from plaque_edge.types import Reason

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
        _open(first)
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
        _open(dialog)


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


def _open(dialog: Ask) -> None:
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()


def _named(window: MainWindow, name: str, kind: str, row: CaseRow) -> None:
    window.settings = replace(window.settings, person=name)
    settings.save(window.settings, window.options.settings_file)
    window.settings_page.show_settings(window.settings)
    ask(window, kind, row)


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
    if answer.reason is not None:
        code = answer.reason.code
        step = i18n.next_step(code, answer.reason.next_step)
        window.toast.say(tr("Refused"), f"{i18n.reason(code, answer.reason.text)} {step} ({code})")
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


def ask_print(window: MainWindow) -> None:
    """Ask where the page on screen shall go, then print it in a process of its own."""
    case = window.page.case
    if case is None:
        return
    documents = QStandardPaths.StandardLocation.DocumentsLocation
    folder = QStandardPaths.writableLocation(documents)
    dialog = AskPrint(window, case.row.info, folder, signed=case.review.standing == "signed")
    serial = window.pages.currentWidget() is window.serial
    dialog.given.connect(lambda given: _print(window, print_job(window, serial=serial, **given)))
    window.printing.printers.connect(dialog.show_printers)
    window.printing.look_for_printers()
    _open(dialog)


def print_job(window: MainWindow, *, serial: bool, **target: Any) -> PrintJob | None:
    """Return what prints the present page, as it is seen; ``None`` when nothing is open."""
    case, page = window.page.case, window.serial
    if case is None:
        return None
    settings_ = window.settings
    scene = page.present.scene if serial else window.page.viewer.scene
    prior = page.prior.scene.case if serial else None
    return PrintJob(
        Study(case.row, case.review, (scene.branch, scene.step, scene.angle)),
        settings_.person, i18n.language(), settings_.scheme,
        prior=None if prior is None else Study(prior.row, prior.review),
        change=page.data if prior is not None else None,
        **target,
    )  # fmt: skip


def _print(window: MainWindow, job: PrintJob | None) -> None:
    if job is not None:
        window.toast.say(tr("Printing …"), tr("The page goes on meanwhile."))
        window.printing.start(job)


def tell_printed(window: MainWindow, job: PrintJob, reason: Reason | None) -> None:
    """Say how printing ended."""
    if reason is not None:
        text = f"{i18n.reason(reason.code, reason.text)} {tr(reason.next_step)} ({reason.code})"
        window.toast.say(tr("Not printed"), text)
    elif job.printer:
        window.toast.say(tr("Printed"), job.printer, seconds=5.0)
    else:
        window.toast.say(tr("Saved as PDF"), job.file, seconds=8.0)
