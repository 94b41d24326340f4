"""Paper and PDF: the page as it looks, whose it is, UNSIGNED or who signed, read from the PDF."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from helpers import drawn, open_state, row_in
from pypdf import PdfReader

from gui import print_acts, say, screens
from gui.dialogs import AskPerson, AskPrint
from gui.print_job import FAILED
from plaque_edge.errors import Failed
from plaque_edge.export import words

if TYPE_CHECKING:
    from pathlib import Path

    from factory import SampleSource
    from pytestqt.qtbot import QtBot

    from gui.print_job import PrintJob
    from gui.window import MainWindow
    from plaque_edge.store import NewRequest


def _print(qtbot: QtBot, window: MainWindow, file: Path, *, serial: bool = False) -> list[str]:
    """Print the open page in its process; return the text of each sheet."""
    job = print_acts.print_job(window, serial=serial, file=str(file), printer="", copies=1)
    assert job is not None
    with qtbot.waitSignal(window.printing.done, timeout=400_000) as answer:
        window.printing.start(job)
    assert answer.args[1] is None, answer.args[1]
    assert [p.name for p in file.parent.iterdir() if p.name.endswith(".part")] == []
    pages = PdfReader(file).pages
    for page in pages:
        assert page.mediabox.width / page.mediabox.height == pytest.approx(2**0.5, abs=0.01)
    return [" ".join(page.extract_text().split()) for page in pages]


def _everywhere(sheets: list[str], *texts: str) -> None:
    for number, sheet in enumerate(sheets, 1):
        for text in (*texts, words.RESEARCH_USE, f"page {number} of {len(sheets)}"):
            assert text in sheet, (number, text)


@pytest.mark.slow
def test_a_result_is_printed_as_it_looks(
    qtbot: QtBot, window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    open_state(window, source, "DONE")
    sheets = _print(qtbot, window, tmp_path / "a.pdf")
    _everywhere(sheets, "Νικολάου, Ελένη", "ID PX-10148", "born 1954-05-14", words.UNSIGNED)
    for text in ("Moderate", "383 mm³", "9.8 %", "DIAGNOSTIC", "NOT REVIEWED", "LM → LAD"):
        assert text in sheets[0], text
    for text in ("Lesions", "D1 (LAD)", "passed: Kernel Bv40", "miscalibrated", "CAD-RADS 3"):
        assert text in sheets[1], text
    for button in ("Sign …", "Print …", "All views"):
        assert button not in sheets[0]
    assert len(PdfReader(tmp_path / "a.pdf").pages[0].images) >= 3
    window.desk.ask("sign", "Dr. Li", row_in(source, "DONE"))
    drawn(window)
    drawn(window)
    signed = _print(qtbot, window, tmp_path / "b.pdf")
    _everywhere(signed, "Signed: Dr. Li")
    assert all(words.UNSIGNED not in sheet for sheet in signed)


@pytest.mark.slow
def test_two_studies_are_printed_with_what_changed(
    qtbot: QtBot, window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    source.add_prior("Bv36")
    window.poll()
    open_state(window, source, "DONE")
    window.open_serial()
    screens._answer(window)
    drawn(window)
    sheets = _print(qtbot, window, tmp_path / "c.pdf", serial=True)
    _everywhere(sheets, "PRESENT STUDY", "PX-10148", words.UNSIGNED)
    for text in ("PRIOR STUDY", "2025-05-18", "A231180", "CLAIMS LOWERED", "possible increase"):
        assert text in sheets[0], text
    rest = " ".join(sheets[1:])
    assert "kernel Bv36 / Bv40" in rest
    assert "RCA" in rest


@pytest.mark.slow
def test_a_refusal_is_printed_without_a_number(
    qtbot: QtBot, window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    open_state(window, source, "NOT_ANALYSABLE")
    sheets = _print(qtbot, window, tmp_path / "d.pdf")
    _everywhere(sheets, "PX-10222", words.UNSIGNED)
    assert "No value measured" in sheets[0]
    assert "SERIES_SLICE_MISSING" in sheets[1]
    assert all("0 mm³" not in sheet for sheet in sheets)


@pytest.mark.slow
def test_what_can_not_be_written_is_told(
    qtbot: QtBot, window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    open_state(window, source, "DONE")
    job = print_acts.print_job(
        window, serial=False, file=str(tmp_path / "no" / "x.pdf"), printer="", copies=1
    )
    with qtbot.waitSignal(window.printing.done, timeout=400_000) as answer:
        window.printing.start(job)
    assert answer.args[1].code == FAILED.code
    assert "PRINT_FAILED" in window.toast.text.text()
    assert list(tmp_path.glob("**/*.pdf")) == []


@pytest.mark.slow
def test_a_corrected_result_is_printed_with_both_numbers(
    qtbot: QtBot, window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    """The printing process reads the case again: it must take what counts, as the page does."""
    screens._corrected(window, source)
    case = window.page.case
    assert case is not None
    assert case.original is not None
    assert case.result is not None
    sheets = _print(qtbot, window, tmp_path / "e.pdf")
    own, now = (say.volume(r["patient"]["plaque_mm3"]) for r in (case.original, case.result))
    assert own != now
    for sheet in sheets[:2]:
        assert own in sheet
        assert now in sheet
        assert "Dr. Li" in sheet
    assert "CORRECTED" in sheets[0]


def test_a_print_stands_in_the_log_before_it_is_made(
    window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    screens._corrected(window, source)
    case = window.page.case
    assert case is not None
    started: list[PrintJob] = []
    window.printing.start = started.append  # type: ignore[method-assign]
    put_down, before = source.ask, []

    def ask(new: NewRequest) -> int:
        before.append(len(started))
        return put_down(new)

    source.ask = ask  # type: ignore[method-assign]
    job = print_acts.print_job(window, serial=False, file=str(tmp_path / "Li.pdf"), copies=2)
    print_acts.start(window, job)
    drawn(window)
    assert started == [job]
    (asked,) = [new for new in source.asked if new.kind == "print"]
    assert (asked.person, asked.series_uid, asked.revision) == ("Dr. Li", case.row.series_uid, 1)
    assert asked.arguments == {
        "page": "result", "to": "pdf", "copies": 2, "corrected": True,
        "standing": "unreviewed", "result_sha256": case.sha256,
    }  # fmt: skip
    assert job is not None
    window.printing.done.emit(job, FAILED)
    drawn(window)
    assert before == [0, 1]
    del source.ask
    assert source.asked[-1].arguments == asked.arguments | {"failed": "PRINT_FAILED"}
    assert "PRINT_FAILED" in window.toast.text.text()


def test_what_cannot_be_put_down_is_not_printed(
    window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    open_state(window, source, "DONE")
    started: list[PrintJob] = []
    window.printing.start = started.append  # type: ignore[method-assign]

    def full(new: object) -> int:
        raise Failed("STORE_FULL", "The store cannot be written: the disk is full.", "Make room.")

    source.ask = full  # type: ignore[method-assign]
    try:
        file = str(tmp_path / "a.pdf")
        print_acts.start(window, print_acts.print_job(window, serial=False, file=file))
        drawn(window)
    finally:
        del source.ask
    assert started == []
    assert window.to_print == {}
    assert window.toast.title.text() == "Not printed"
    assert "STORE_FULL" in window.toast.text.text()


def test_both_studies_of_a_serial_print_are_in_its_line(
    window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    screens._serial_corrected(window, source)
    job = print_acts.print_job(window, serial=True, printer="Ward 3", copies=1)
    prior = window.serial.prior.scene.case
    assert job is not None
    assert prior is not None
    assert (job.note["page"], job.note["to"], job.note["corrected"]) == ("serial", "printer", False)
    assert job.note["prior"] == {
        "case": 40, "corrected": True, "standing": "unreviewed", "result_sha256": prior.sha256,
    }  # fmt: skip


def test_who_prints_has_a_name(qtbot: QtBot, window: MainWindow, source: SampleSource) -> None:
    window.settings = replace(window.settings, person="")
    open_state(window, source, "DONE")
    print_acts.ask_print(window)
    (first,) = window.findChildren(AskPerson)
    assert window.findChildren(AskPrint) == []
    first.name.setText("Dr. Wu")
    first.ok.click()
    assert window.settings.person == "Dr. Wu"
    (second,) = window.findChildren(AskPrint)
    second.close()
    qtbot.waitUntil(lambda: not window.printing.running, timeout=120_000)


def test_the_dialog_asks_where_it_goes(
    window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    open_state(window, source, "DONE")
    given: list[dict[str, object]] = []
    ask = AskPrint(window, row_in(source, "DONE").info, str(tmp_path), signed=False)
    ask.given.connect(given.append)
    assert "UNSIGNED" in ask.explain.text()
    assert "PX-10148" in ask.explain.text()
    assert ask.file.text() == str(tmp_path / "plaque-20261123.pdf")
    ask.show_printers(["Ward 3"])
    ask.file.setText("")
    ask.ok.click()
    assert "Name a file" in ask.problem.text()
    ask.target.setCurrentIndex(1)
    assert not ask.file.isEnabled()
    ask.ok.click()
    assert given[0]["printer"] == "Ward 3"
    second = AskPrint(window, row_in(source, "DONE").info, str(tmp_path), signed=True)
    second.given.connect(given.append)
    second.file.setText(str(tmp_path / "page"))
    second.ok.click()
    assert given[1] == {"printer": "", "file": str(tmp_path / "page.pdf"), "copies": 1}
