"""Two studies side by side: whose they are, one cursor, what changed, and never another patient."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import delete, drawn, open_state, row_in, texts
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from gui import change_words, screens
from gui.case import IdentityError, Loader, OpenCase, key_of, load_case
from gui.change_table import rows_of
from gui.comparison import counted, reason_of
from gui.print_text import of_change
from gui.prior import priors_of
from gui.serial_link import Link, Place
from gui.window import MainWindow
from plaque_edge.compare import change

if TYPE_CHECKING:
    from factory import SampleSource
    from PySide6.QtWidgets import QApplication
    from pytestqt.qtbot import QtBot

    from gui.window import WindowOptions


def _serial(window: MainWindow, source: SampleSource, kernel: str = "Bv40", **changes: Any) -> Any:
    row = source.add_prior(kernel, **changes)
    window.poll()
    open_state(window, source, "DONE")
    window.open_serial()
    screens._answer(window)
    drawn(window)
    return row


# ---- whose ------------------------------------------------------------------------------------


def test_a_prior_is_found_by_id_and_birth_date_never_by_name(source: SampleSource) -> None:
    present = row_in(source, "DONE")
    prior = source.add_prior(patient_name="Married^Name")
    assert priors_of(present, source.cases()) == (prior,)
    for changes in (
        {"patient_id": "PX-1"}, {"birth_date": "19540515"}, {"birth_date": ""},
        {"study_date": "20270101"}, {"study_date": ""}, {"study_date": "20261123"},
    ):  # fmt: skip
        same_name = replace(prior, info=replace(prior.info, **changes))
        assert priors_of(present, (present, same_name)) == ()
    nobody = replace(present, info=replace(present.info, patient_id=" "))
    other = replace(prior, info=replace(prior.info, patient_id=" "))
    assert priors_of(nobody, (other,)) == ()
    for spoiled in (
        replace(prior, study_uid=present.study_uid), replace(prior, state="OUTDATED"),
        replace(prior, state="FAILED"), replace(prior, result_dir=None),
    ):  # fmt: skip
        assert priors_of(present, (spoiled,)) == ()
    older = replace(prior, case_id=1, info=replace(prior.info, study_date="20240101"))
    assert priors_of(present, (older, prior)) == (prior, older)


def test_a_foreign_study_never_becomes_the_prior(window: MainWindow, source: SampleSource) -> None:
    _serial(window, source)
    foreign = load_case(row_in(source, "REVIEW"))
    window.serial.take(foreign)
    shown = window.serial.prior.scene.case
    assert shown is not None
    assert shown.key != foreign.key
    window.serial.prior.guard.selected = foreign.key
    with pytest.raises(IdentityError):
        window.serial.take(foreign)
    assert window.serial.prior.guard.selected is None


def test_both_identities_stand_there_and_no_view_goes_without_its_word(
    window: MainWindow, source: SampleSource
) -> None:
    prior = _serial(window, source)
    page = window.serial
    for side, word, row in (
        (page.prior, "PRIOR", prior), (page.present, "PRESENT", row_in(source, "DONE")),
    ):  # fmt: skip
        assert side.bar.chip.text() == f"{word} STUDY"
        assert row.info.patient_id in side.bar.who.text()
        assert row.info.accession_number in side.bar.who.text()
        assert side.bar.signed.text() == "UNSIGNED"
        assert side.scene.badge.startswith(word)
        assert side.scene.badge.split()[-1] == side.bar.date.text()
        assert side.curved.accessibleName().startswith(word)
    assert page.prior.bar.date.text() == "2025-05-18"
    window.desk.ask("sign", "Dr. Li", row_in(source, "DONE"))
    drawn(window)
    window.poll()
    drawn(window)
    assert page.present.bar.signed.text() == "Signed: Dr. Li"
    assert page.prior.bar.signed.text() == "UNSIGNED"


def test_without_a_prior_it_says_so(window: MainWindow, source: SampleSource) -> None:
    _serial(window, source, birth_date="19010101")
    assert "no earlier measured study" in texts(window)
    assert not window.serial.prior.isVisible()
    assert not window.serial.table.isVisible()


def test_a_thousand_switches_never_mix_patients_in_two_studies(
    qtbot: QtBot, themed: QApplication, source: SampleSource, options: WindowOptions
) -> None:
    """Like the test of one study; every paint of either side is of what that side selected."""
    rng = random.Random(8)

    def slow(row: Any) -> OpenCase:
        time.sleep(rng.choice((0.0, 0.001, 0.003)))
        return load_case(row)

    presents = [row_in(source, "DONE"), source.cases()[9]]
    priors = {
        key_of(presents[0]): source.add_prior("Bv36"),
        key_of(presents[1]): source.add_prior("Bv44", present=9),
    }
    window = MainWindow(source, Loader(slow), options)
    window.serial.comparison.start = lambda *_: None  # type: ignore[method-assign]
    window.poller.stop()
    window.poll()
    window.resize(1180, 680)
    window.show()
    page, painted = window.serial, []
    for side in (page.present, page.prior):
        side.guard.on_paint = lambda case, selected: painted.append((case, selected))
    both = 0
    for number in range(1000):
        row = rng.choice(presents)
        window.open_row(row)
        for _ in range(rng.choice((0, 0, 1, 3))):
            themed.processEvents()
        if number % 20 == 0:
            window.loader.wait()
            themed.processEvents()
        window.open_serial()
        if number % 20 == 0:
            window.loader.wait()
            themed.processEvents()
            window.page.viewer.frames.wait()
            themed.processEvents()
        for side, wanted in ((page.present, row), (page.prior, priors[key_of(row)])):
            case = side.scene.case
            assert case is None or case.key == key_of(wanted)
            views = [view.case for view in (side.curved, side.section)]
            assert all(c is None or c.key == key_of(wanted) for c in views)
            if case is not None:
                assert wanted.info.patient_id in side.bar.who.text()
        both += page.prior.scene.case is not None
    assert both > 20
    assert len({case for case, _ in painted if case is not None}) == 4
    assert all(case == selected for case, selected in painted)
    window.close()
    delete(window)


# ---- one cursor -------------------------------------------------------------------------------


def test_the_link_is_the_registration() -> None:
    link = Link(
        {
            "pairs": [
                {"branch_before": "D2", "branch_after": "D1", "before_steps": [10, 15],
                 "after_steps": [3, 9], "partner": [10, 11, 11, 12, 13, 14]},
            ]
        }
    )  # fmt: skip
    assert link.to_prior(Place("D1", 3.0)) == Place("D2", 10.0)
    assert link.to_prior(Place("D1", 6.5)) == Place("D2", 12.5)
    assert link.to_present(Place("D2", 12.0)) == Place("D1", 6.0)
    assert link.to_present(Place("D2", 11.0)) == Place("D1", 4.5)
    assert link.to_prior(Place("D1", 2.0)) is None
    assert link.to_prior(Place("LAD", 4.0)) is None
    assert link.to_present(Place("D2", 9.0)) is None


def test_one_cursor_moves_both_studies(window: MainWindow, source: SampleSource) -> None:
    """The invented prior has the same tree: the same place is the same point."""
    _serial(window, source)
    here, there = window.serial.present.scene, window.serial.prior.scene
    here.set_path_step(1, 70.0)
    assert np.linalg.norm(np.subtract(here.point_mm, there.point_mm)) < 0.3
    assert there.path_at == here.path_at
    there.set_path_step(3, 20.0)
    assert here.branches[here.branch].name == "RCA"
    assert np.linalg.norm(np.subtract(here.point_mm, there.point_mm)) < 0.3
    here.set_path_step(2, 4.0)  # in the left main, on the way to the LCX
    assert (there.branches[there.branch].name, there.path_at) == ("LM", 2)
    here.turn(1.0)
    assert there.angle == pytest.approx(1.0, abs=0.02)


def test_a_place_without_partner_is_told(window: MainWindow, source: SampleSource) -> None:
    _serial(window, source)
    page = window.serial
    assert page.data is not None
    only_lad = [p for p in page.data["registration"]["pairs"] if p["branch_after"] == "LAD"]
    page._link = Link({"pairs": only_lad})
    before = page.prior.scene.point_mm
    page.present.scene.set_path_step(3, 20.0)
    assert "traced in one study only" in page.prior.note.text()
    assert page.prior.scene.point_mm == before
    page.present.scene.set_path_step(1, 70.0)
    assert page.prior.note.text() == ""


# ---- what changed -----------------------------------------------------------------------------


def test_the_table_says_what_compare_says(window: MainWindow, source: SampleSource) -> None:
    _serial(window, source)
    data = window.serial.data
    assert data is not None
    lines = [texts for _, texts, _ in rows_of(data)]
    assert len(lines) == 5 * 5 + len(data["segments"])
    plaque = data["patient"]["plaque_mm3"]
    assert plaque["after_mm3"] == pytest.approx(plaque["before_mm3"] / 0.7, rel=1e-3)
    assert lines[0][:2] == ("Patient", "Plaque")
    keys = ("before_mm3", "after_mm3", "change_mm3", "per_year_mm3", "measurable_from_mm3")
    wanted = [plaque[key] for key in keys]
    assert [float(text) for text in lines[0][2:7]] == pytest.approx(wanted, abs=0.051)
    assert [text[0] == "+" for text in lines[0][2:7]] == [False, False, True, True, False]
    assert lines[0][7] == "▲ increase"
    table = window.serial.table
    shown = [[table.item(r, c).text() for c in range(8)] for r in range(table.rowCount())]
    assert shown == [list(line) for line in lines]
    data["vessels"]["RCA"] = None
    (missing,) = [t for _, t, _ in rows_of(data) if t[0] == "RCA"]
    assert missing[2:] == (*["n/a"] * 5, "not in both studies: not compared")


def test_other_technique_lowers_the_claim_in_words(
    window: MainWindow, source: SampleSource
) -> None:
    _serial(window, source, "Bv36")
    page = window.serial
    assert page.banner.icon.text() == "CLAIMS LOWERED"
    assert "kernel Bv36 / Bv40" in page.banner.text.text()
    assert page.table.item(0, 7).text() == ("▲? possible increase: the scans were made differently")


def test_every_claim_of_compare_has_its_words() -> None:
    for why in (change.OTHERWISE, change.BY_HAND, ""):
        judge = change._Judge(None, 1.0, why=why)
        for moved, limit in ((5.0, 1.0), (-5.0, 1.0), (0.5, 1.0), (5.0, None)):
            assert judge._claim(moved, limit) in change_words.CLAIMS
    assert change.NOT_TOLD in change_words.CLAIMS
    assert change_words.difference("kernel unknown") == "kernel unknown"
    assert change_words.difference("tube voltage 100.0 and 120.0") == "tube voltage 100.0 / 120.0"
    assert change_words.difference("something new") == "something new"


def test_a_comparison_runs_outside_and_the_page_says_so(
    qtbot: QtBot, window: MainWindow, source: SampleSource
) -> None:
    """The real command in its process, on folders as the service writes them."""
    source.add_prior("Bv40")
    window.poll()
    open_state(window, source, "DONE")
    window.open_serial()
    page = window.serial
    qtbot.waitUntil(lambda: page.comparison.running, timeout=60_000)
    assert page.banner.icon.text() == "Comparing …"
    assert page.table.rowCount() == 0
    qtbot.waitUntil(lambda: not page.comparison.running, timeout=120_000)
    assert page.banner.icon.text() == "Comparable"
    assert page.table.rowCount() > 20
    assert page.case is not None
    ticket, mine = (page.prior.guard.selected, page.case.key), counted(page.case)
    page.comparison.start(ticket, mine, mine)  # type: ignore[arg-type]
    qtbot.waitUntil(lambda: not page.comparison.running, timeout=120_000)
    assert "COMPARE_SAME_SERIES" in page.banner.text.text()


def test_a_corrected_prior_is_compared_by_its_corrected_numbers_and_says_so(
    qtbot: QtBot, window: MainWindow, source: SampleSource
) -> None:
    """The real command: what it compares is what the page shows of the prior."""
    screens._serial_corrected(window, source)
    page = window.serial
    prior = page.prior.scene.case
    assert prior is not None
    assert prior.original is not None
    assert prior.result is not None
    assert page.prior.bar.corrected.isVisible()
    assert not page.present.bar.corrected.isVisible()
    page._compare(counted(prior))
    qtbot.waitUntil(lambda: not page.comparison.running, timeout=120_000)
    data = page.data
    assert data is not None
    assert data["before"]["result_sha256"] == prior.sha256
    assert data["before"]["corrected"]["by"] == "Dr. Li"
    for text in (page.banner.text.text(), of_change(data)):
        assert "Prior corrected by Dr. Li, 2026-11-23" in text
    assert page.banner.icon.text() == "CLAIMS LOWERED"
    assert "excluded in the prior, not compared: LAD" in page.summary.text()
    lad = data["vessels"]["LAD"]["plaque_mm3"]
    traced = prior.result["vessels"]["LAD"]["plaque_mm3"]
    own = prior.original["vessels"]["LAD"]["plaque_mm3"]
    assert lad["before_mm3"] == pytest.approx(traced, rel=0.02)
    assert abs(lad["before_mm3"] - own) > 5
    page.comparison.start(
        (prior.key, page.case.key),  # type: ignore[union-attr]
        counted(prior)._replace(sha256="0" * 64),
        counted(page.case),  # type: ignore[arg-type]
    )
    qtbot.waitUntil(lambda: not page.comparison.running, timeout=120_000)
    assert "COMPARE_CHANGED" in page.banner.text.text()


def test_a_correction_made_meanwhile_is_compared_anew(
    window: MainWindow, source: SampleSource
) -> None:
    _serial(window, source)
    page, started = window.serial, []
    page.comparison.start = lambda *given: started.append(given)  # type: ignore[method-assign]
    case = page.case
    assert case is not None
    page.refresh(case)
    assert started == []
    page.refresh(replace(case, sha256="1" * 64))
    window.loader.wait()
    screens._settle(window)
    assert [given[2].sha256 for given in started] == ["1" * 64]
    assert page.data is None


def test_refusals_are_read_from_what_the_command_writes() -> None:
    said = reason_of("note\nCOMPARE_ORDER: The first study is later. Give the earlier first.\n")
    assert said.code == "COMPARE_ORDER"
    assert (said.text, said.next_step) == ("The first study is later.", "Give the earlier first.")
    assert reason_of("Traceback: nonsense").code == "COMPARE_BROKEN"
    assert reason_of("").code == "COMPARE_BROKEN"


def test_keys_and_buttons_lead_there_and_back(
    qtbot: QtBot, window: MainWindow, source: SampleSource
) -> None:
    open_state(window, source, "DONE")
    assert not window.page.headline.prior.isVisible()
    source.add_prior()
    window.poll()
    open_state(window, source, "DONE")
    assert window.page.headline.prior.text() == "Prior 2025-05-18"
    window.serial.comparison.start = lambda *_: None  # type: ignore[method-assign]
    qtbot.keyClick(window.page, Qt.Key.Key_P)
    assert window.pages.currentWidget() is window.serial
    assert window.top.back.text() == "←  Result"
    qtbot.keyClick(window.serial, Qt.Key.Key_Right)
    qtbot.keyClick(window.serial, Qt.Key.Key_Space)
    assert not window.serial.prior.scene.overlay_on
    qtbot.keyClick(window.serial, Qt.Key.Key_Escape)
    assert window.pages.currentWidget() is window.page
    window.close_case()
    assert window.serial.case is None
    assert window.serial.prior.scene.case is None
    assert not [x for x in window.serial.prior.findChildren(QLabel) if "PX-" in x.text()]
