"""Paper and PDF: the page as it looks, whose it is, UNSIGNED or who signed, read from the PDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from helpers import drawn, open_state, row_in
from pypdf import PdfReader

from gui import acts, screens
from gui.dialogs import AskPrint
from gui.print_job import FAILED
from plaque_edge.export import words

if TYPE_CHECKING:
    from pathlib import Path

    from factory import SampleSource
    from pytestqt.qtbot import QtBot

    from gui.window import MainWindow


def _print(qtbot: QtBot, window: MainWindow, file: Path, *, serial: bool = False) -> list[str]:
    """Print the open page in its process; return the text of each sheet."""
    job = acts.print_job(window, serial=serial, file=str(file), printer="", copies=1)
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
    job = acts.print_job(
        window, serial=False, file=str(tmp_path / "no" / "x.pdf"), printer="", copies=1
    )
    with qtbot.waitSignal(window.printing.done, timeout=400_000) as answer:
        window.printing.start(job)
    assert answer.args[1].code == FAILED.code
    assert "PRINT_FAILED" in window.toast.text.text()
    assert list(tmp_path.glob("**/*.pdf")) == []


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
