"""Printing from the window: where it goes, the line in the audit log, then the sheets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QStandardPaths

from gui import acts, i18n, say
from gui.dialogs import AskPerson, AskPrint
from gui.i18n import tr
from gui.print_job import PrintJob, Study

if TYPE_CHECKING:
    from gui.case import OpenCase
    from gui.desk import Answer
    from gui.window import MainWindow
    from plaque_edge.types import Reason


def ask_print(window: MainWindow) -> None:
    """Ask where the page on screen shall go, then print it in a process of its own."""
    case = window.page.case
    if case is None:
        return
    dialog: AskPerson | AskPrint
    if not window.settings.person:
        dialog = AskPerson(window)
        dialog.given.connect(lambda name: _named(window, name))
    else:
        documents = QStandardPaths.StandardLocation.DocumentsLocation
        folder = QStandardPaths.writableLocation(documents)
        signed = case.review.standing == "signed"
        dialog = AskPrint(window, case.row.info, folder, signed=signed)
        serial = window.pages.currentWidget() is window.serial
        dialog.given.connect(lambda given: start(window, print_job(window, serial=serial, **given)))
        window.printing.printers.connect(dialog.show_printers)
        window.printing.look_for_printers()
    acts.show(dialog)


def _named(window: MainWindow, name: str) -> None:
    acts.take_name(window, name)
    ask_print(window)


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
        note=_note(case, prior, **target),
        **target,
    )  # fmt: skip


def _note(case: OpenCase, prior: OpenCase | None, **target: Any) -> dict[str, Any]:
    """Return what the audit log keeps of a print: no name, no file name, since both name people."""
    note = {
        "page": "result" if prior is None else "serial",
        "to": "printer" if target.get("printer") else "pdf",
        "copies": int(target.get("copies", 1)),
        **_seen(case),
    }
    return note if prior is None else note | {"prior": {"case": prior.row.case_id, **_seen(prior)}}


def _seen(case: OpenCase) -> dict[str, Any]:
    return {
        "corrected": case.original is not None,
        "standing": case.review.standing,
        "result_sha256": case.sha256,
    }


def start(window: MainWindow, job: PrintJob | None) -> None:
    """Put the print down for the audit log; only what was put down is printed."""
    if job is None:
        return
    window.toast.say(tr("Printing …"), tr("The page goes on meanwhile."))
    row = job.present.row
    new = window.desk.ask("print", job.person or tr("console"), row, **job.note)
    window.to_print[id(new)] = (new, job)


def noted(window: MainWindow, new: object) -> None:
    """Print what waited for its line; it stands in the store now, whatever happens next."""
    _, job = window.to_print.pop(id(new), (None, None))
    if job is not None:
        window.printing.start(job)


def tell_noted(window: MainWindow, answer: Answer) -> None:
    """Say so when a print could not be put down, and was not made for that reason."""
    _, job = window.to_print.pop(id(answer.asked), (None, None))
    if job is not None and answer.reason is not None:
        _not_printed(window, answer.reason)


def tell_printed(window: MainWindow, job: PrintJob, reason: Reason | None) -> None:
    """Say how printing ended; that it failed goes into the audit log as well."""
    if reason is not None:
        _not_printed(window, reason)
        row = job.present.row
        failed = {**job.note, "failed": reason.code}
        window.desk.ask("print", job.person or tr("console"), row, **failed)
    elif job.printer:
        window.toast.say(tr("Printed"), job.printer, seconds=5.0)
    else:
        window.toast.say(tr("Saved as PDF"), job.file, seconds=8.0)


def _not_printed(window: MainWindow, reason: Reason) -> None:
    window.toast.say(tr("Not printed"), say.told(reason))
