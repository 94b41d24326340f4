"""The technologist's day and the cardiologist's, clicked through; and what is kept of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from helpers import drawn, open_state, row_in, texts
from PySide6.QtCore import Qt

from gui import settings, sounds
from gui.dialogs import Ask, AskCovariates, AskPerson, AskReason, AskSeries, AskSignature
from gui.settings import Settings
from gui.shortcuts import PAGE, Sheet
from gui.worklist import possible
from plaque_edge.export import words
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from factory import SampleSource
    from pytestqt.qtbot import QtBot

    from gui.window import MainWindow


def _dialog(window: MainWindow, kind: type[Ask]) -> Ask:
    found = [d for d in window.findChildren(kind) if d.isVisible()]
    assert len(found) == 1
    return found[0]


def _choose(window: MainWindow, source: SampleSource, state: str) -> None:
    row = row_in(source, state)
    at = next(i for i, r in enumerate(window.worklist.model.rows()) if r == row)
    window.worklist.table.selectRow(at)


def test_the_technologists_day(qtbot: QtBot, window: MainWindow, source: SampleSource) -> None:
    """Watches, makes one urgent, tries a failed one again, acknowledges, takes another series."""
    list_ = window.worklist
    assert "Receiving 212/~320" in list_.model.index(1, 0).data()
    _choose(window, source, "READY")
    assert not list_.acts["retry"].isEnabled()
    qtbot.mouseClick(list_.acts["urgent"], Qt.MouseButton.LeftButton)
    drawn(window)
    window.poll()
    assert source.asked[-1].kind == "urgent"
    assert source.asked[-1].person == "Dr. Li"
    assert list_.model.shown_row(0).urgent
    assert list_.model.index(0, 0).data().startswith("Queued, urgent")
    _choose(window, source, "FAILED")
    qtbot.mouseClick(list_.acts["retry"], Qt.MouseButton.LeftButton)
    drawn(window)
    assert source.asked[-1].kind == "retry"
    assert source.asked[-1].revision == 1
    qtbot.keyClick(list_.table, Qt.Key.Key_K)
    drawn(window)
    window.poll()
    assert source.asked[-1].kind == "acknowledge"
    failed = next(i for i, r in enumerate(list_.model.rows()) if r.state == "FAILED")
    assert list_.model.index(failed, 0).data().startswith("FAILED, seen")
    assert not list_.acts["acknowledge"].isEnabled()
    open_state(window, source, "DONE")
    window.ask("choose", row_in(source, "DONE"))
    dialog = _dialog(window, AskSeries)
    dialog.ok.click()
    assert "not taken now" in dialog.problem.text()
    assert isinstance(dialog, AskSeries)
    dialog.series.setCurrentIndex(1)
    dialog.ok.click()
    drawn(window)
    asked = source.asked[-1]
    assert asked.kind == "choose"
    assert asked.series_uid == asked.arguments["take_uid"] != row_in(source, "DONE").series_uid
    assert asked.revision is None


def test_the_cardiologists_day(qtbot: QtBot, window: MainWindow, source: SampleSource) -> None:
    """Reads, completes covariates, rejects with a reason, accepts again, signs."""
    open_state(window, source, "DONE")
    page = window.page
    assert page.review.chip.text() == "NOT REVIEWED"
    assert page.identity.signed.text() == words.UNSIGNED
    assert page.risk.missing.text() == "Give diabetes …"
    page.risk.swap.button(2).click()
    assert "miscalibrated" in page.risk.limits.text()
    page.risk.swap.button(1).click()
    assert page.risk.curve.survival
    page.risk.missing.click()
    ask = _dialog(window, AskCovariates)
    assert isinstance(ask, AskCovariates)
    assert (ask.age.text(), ask.sex.currentData(), ask.diabetes.currentData()) == ("72", "M", None)
    ask.ok.click()
    assert "Nothing new" in ask.problem.text()
    ask.age.setText("abc")
    ask.ok.click()
    assert "number of years" in ask.problem.text()
    ask.age.setText("72")
    ask.diabetes.setCurrentIndex(1)
    ask.ok.click()
    drawn(window)
    assert [a.kind for a in source.asked] == ["covariates", "retry"]
    assert source.asked[0].arguments == {"diabetes": True}
    qtbot.keyClick(page, Qt.Key.Key_R)
    reject = _dialog(window, AskReason)
    reject.ok.click()
    assert "needs its reason" in reject.problem.text()
    assert isinstance(reject, AskReason)
    reject.reason.setCurrentIndex(4)
    reject.more.setText("D1 ends early")
    reject.ok.click()
    drawn(window)
    drawn(window)
    assert source.asked[-1].arguments == {"reason": "Vessel traced wrongly: D1 ends early"}
    assert page.review.chip.text() == "REJECTED"
    assert page.banner.isVisible()
    assert "D1 ends early" in page.banner.text.text()
    assert not page.review.buttons["sign"].isEnabled()
    qtbot.keyClick(page, Qt.Key.Key_S)
    assert source.asked[-1].kind == "reject"
    page.review.buttons["accept"].click()
    drawn(window)
    drawn(window)
    assert page.review.chip.text() == "ACCEPTED"
    assert not page.banner.isVisible()
    page.review.buttons["sign"].click()
    sign = _dialog(window, AskSignature)
    assert "383 mm³" in sign.explain.text()
    assert "PX-10148" in sign.explain.text()
    sign.ok.click()
    drawn(window)
    drawn(window)
    assert page.review.chip.text() == "SIGNED"
    assert page.identity.signed.text() == "Signed: Dr. Li"
    assert not page.review.buttons["covariates"].isEnabled()
    open_state(window, source, "REVIEW")
    assert page.identity.signed.text() == words.UNSIGNED


def test_a_name_is_asked_once_and_kept(
    window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    window.settings = Settings(role="physician")
    open_state(window, source, "DONE")
    window.page.ask("accept")
    who = _dialog(window, AskPerson)
    who.ok.click()
    assert "needed" in who.problem.text()
    assert isinstance(who, AskPerson)
    who.name.setText(" Dr. Wu ")
    who.ok.click()
    drawn(window)
    assert source.asked[-1].person == "Dr. Wu"
    assert settings.load(tmp_path / "set.json").person == "Dr. Wu"


def test_a_technologist_cannot_sign(window: MainWindow, source: SampleSource) -> None:
    window.settings = Settings(person="Kim", role="technologist")
    open_state(window, source, "DONE")
    window.page.ask("sign")
    assert not source.asked
    assert "physicians" in window.toast.title.text()


def test_a_refusal_is_told_with_its_code(window: MainWindow, source: SampleSource) -> None:
    open_state(window, source, "DONE")
    row = row_in(source, "DONE")
    for _ in range(2):
        window.desk.ask("accept", "Dr. Li", row)
    drawn(window)
    assert "ACTION_NOT_NOW" in window.toast.text.text()


def test_acts_fit_the_state(source: SampleSource) -> None:
    assert possible(None) == frozenset()
    assert possible(row_in(source, "RUNNING")) == {"urgent", "cancel"}
    assert possible(row_in(source, "SEEN")) == {"urgent"}
    assert possible(row_in(source, "DONE")) == {"retry", "choose"}
    failed = row_in(source, "FAILED")
    assert "acknowledge" in possible(failed)
    assert "acknowledge" not in possible(failed, frozenset({failed.case_id}))
    assert possible(row_in(source, "OUTDATED")) == frozenset()


def test_conditions_stand_above_the_list(window: MainWindow, source: SampleSource) -> None:
    assert not window.condition_banner.isVisible()
    source.wrong = (Reason("FOLDER_AWAY", "The folder is away.", "Check the share."),)
    window.poll()
    assert "The folder is away. Check the share." in texts(window)
    assert window.top.folder.text() == "folder away"


def test_settings_are_used_and_kept(
    window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    open_state(window, source, "DONE")
    page = window.settings_page
    window.show_page("settings")
    page.scheme.setCurrentIndex(page.scheme.findData("ivus"))
    page.sound.setChecked(False)
    kept = json.loads((tmp_path / "set.json").read_text())
    assert (kept["scheme"], kept["sound"], kept["person"]) == ("ivus", False, "Dr. Li")
    colors = dict(window.page.viewer.scene.style.colors)
    assert colors[5] == (0xF4, 0xF4, 0xF4)
    assert page.note.text() == ""
    page.language.setCurrentIndex(1)
    assert "started again" in page.note.text()
    window.go_back()
    assert window.pages.currentWidget() is window.page
    (tmp_path / "bad.json").write_text('{"scale": "huge", "theme": "light", "unknown": 1}')
    assert settings.load(tmp_path / "bad.json") == replace(Settings(), theme="light")


def test_new_results_ring_only_where_somebody_sits() -> None:
    assert not sounds.announce(True)
    assert not sounds.announce(False)


def test_every_key_is_on_the_sheet_and_in_the_tool_tips(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.show_page("keys")
    (sheet,) = window.findChildren(Sheet)
    shown = texts_of(sheet)
    for act in PAGE.values():
        assert act.keys in shown
        assert act.text in shown
    sheet.close()
    for button in (*window.worklist.acts.values(), *window.page.review.buttons.values()):
        assert button.toolTip().endswith(")") or button.toolTip()


def texts_of(widget: object) -> list[str]:
    from PySide6.QtWidgets import QLabel

    return [item.text() for item in widget.findChildren(QLabel)]  # type: ignore[attr-defined]


def test_every_control_has_a_name_for_screen_readers(
    window: MainWindow, source: SampleSource
) -> None:
    from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QSlider, QTableView

    open_state(window, source, "DONE")
    for item in (*window.findChildren(QComboBox), *window.findChildren(QSlider),
                 *window.findChildren(QTableView)):  # fmt: skip
        if item.parent() is not None and "qt_" not in item.objectName():
            assert item.accessibleName() or window.settings_page.isAncestorOf(item), item
    for button in window.findChildren(QAbstractButton):
        if type(button).__name__ in ("QPushButton", "QCheckBox"):
            assert button.text() or not button.isVisible()
    assert window.worklist.search.accessibleName()
    assert all(view.accessibleName() for view in window.page.viewer.views)
    assert window.findChildren(QLineEdit)


def test_self_test_page_shows_lines(window: MainWindow) -> None:
    from gui.sample import SELFTEST

    page = window.selftest
    page.show_result(SELFTEST)
    assert page.chip.text() == "as expected"
    assert page.table.rowCount() == len(SELFTEST["lines"])
    bad = {**SELFTEST, "passed": False}
    page.show_result(bad)
    assert page.chip.text() == "NOT AS EXPECTED"
