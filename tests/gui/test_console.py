"""The console: worklist, result page, viewer, announcements, and patients kept apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from factory import SampleSource, sample_info, sample_result, write_result_folder
from helpers import contrast
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea

from gui import screens, states, theme
from gui.__main__ import parse
from gui.case import IdentityError, key_of, load_case
from gui.recorder import Recorder, exit_code
from gui.source import StoreSource
from gui.window import MainWindow, WindowOptions
from plaque_edge.export import words
from plaque_edge.store import NewCase, Store

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

KINDS = ("ready", "review", "clean", "not_analysable", "failed")
CONTRACT = Path(__file__).resolve().parents[3] / "shared" / "contract" / "result.schema.json"


def _row(source: SampleSource, state: str) -> Any:
    return next(row for row in source.cases() if row.state == state)


def _open(qtbot: QtBot, window: MainWindow, source: SampleSource, state: str) -> None:
    window.open_row(_row(source, state))
    qtbot.waitUntil(lambda: window.page.case is not None, timeout=5000)
    _drawn(window)


def _drawn(window: MainWindow) -> None:
    """Let everything that was asked for be drawn and painted."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    screens.settle(app, window)


def _shown(window: MainWindow) -> Any:
    """The card at the left, looked for inside its scroll area."""
    page = window.page.left.currentWidget()
    if page is window.page.measured or not isinstance(page, QScrollArea):
        return page
    return page.widget()


def _texts(window: MainWindow) -> str:
    labels = window.findChildren(QLabel)
    return "\n".join(item.text() for item in labels if item.isVisible())


@pytest.mark.parametrize("kind", KINDS)
def test_sample_results_fit_the_schema(kind: str) -> None:
    if not CONTRACT.exists():
        pytest.skip("the result contract is not beside this repository")
    schema = json.loads(CONTRACT.read_text(encoding="utf-8"))
    jsonschema.validate(sample_result(sample_info(1), kind), schema)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("SEEN", "Receiving 212/~320"),
        ("SETTLING", "Waiting for last slices"),
        ("READY", "Queued"),
        ("RUNNING", "Segmenting 40 %"),
        ("DONE", "READY"),
        ("REVIEW", "READY, REVIEW"),
        ("NOT_ANALYSABLE", "NOT ANALYSABLE"),
        ("FAILED", "FAILED"),
        ("OUTDATED", "OUTDATED"),
    ],
)
def test_states_in_plain_words(source: SampleSource, state: str, word: str) -> None:
    text = states.describe(_row(source, state))
    assert text.word == word
    assert text.icon
    if state in ("NOT_ANALYSABLE", "FAILED", "REVIEW"):
        assert text.detail.endswith(".")


def test_worklist_shows_rows_and_summaries(qtbot: QtBot, window: MainWindow) -> None:
    model = window.worklist.model
    assert model.rowCount() == 12
    done = next(i for i, row in enumerate(model.rows()) if row.state == "DONE")
    qtbot.waitUntil(lambda: bool(model.index(done, 3).data()), timeout=5000)
    assert model.index(done, 3).data() == "Stage 2 · Moderate. 383 mm³ · PAV 9.8 %"
    bad = next(i for i, row in enumerate(model.rows()) if row.state == "NOT_ANALYSABLE")
    assert model.index(bad, 3).data().startswith("no value")
    assert "0" not in model.index(bad, 3).data()


def test_filter_and_search(qtbot: QtBot, window: MainWindow) -> None:
    list_ = window.worklist
    list_.filters.button(3).click()
    assert list_.model.rowCount() == 3
    list_.filters.button(0).click()
    qtbot.keyClicks(list_.search, "okafor px-10037")
    assert list_.model.rowCount() == 1
    qtbot.keyClicks(list_.search, " nobody")
    assert list_.model.rowCount() == 0
    assert list_.stack.currentWidget() is list_.empty
    assert list_.empty_title.text() == "No row matches"


def test_empty_worklist_says_what_to_do(window: MainWindow, source: SampleSource) -> None:
    source.clear()
    window.poll()
    assert "No scan yet" in _texts(window)
    assert "watched folder" in _texts(window)


def test_double_click_opens_the_result(qtbot: QtBot, window: MainWindow) -> None:
    table = window.worklist.table
    row = next(i for i, r in enumerate(window.worklist.model.rows()) if r.state == "DONE")
    place = table.visualRect(window.worklist.model.index(row, 1)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert window.guard.selected is None
    qtbot.mouseDClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: window.page.case is not None, timeout=5000)
    text = _texts(window)
    for expected in ("Moderate", "383 mm³", "9.8 %", "62 %", "9.9 % (5.4 to 17.3 %) in 5 years",
                     "myocardial infarction", "OpenVINO CPU, int8"):  # fmt: skip
        assert expected in text
    assert window.page.identity.name.whole() == "Νικολάου, Ελένη"
    assert "PX-10148" in window.page.identity.who.whole()
    assert window.page.identity.signed.text() == words.UNSIGNED


@pytest.mark.parametrize("state", ["NOT_ANALYSABLE", "FAILED"])
def test_refusal_looks_nothing_like_zero(
    qtbot: QtBot, window: MainWindow, source: SampleSource, state: str
) -> None:
    _open(qtbot, window, source, state)
    page = window.page
    assert _shown(window) is page.refusal
    text = _texts(window)
    assert "No value measured" in text
    assert page.case is not None
    assert page.case.branches == ()
    assert page.case.result is not None
    for reason in page.case.result["reasons"]:
        assert reason["text"] in text
        assert reason["code"] in text
    assert "mm³" not in text
    assert "Stage" not in text


def test_missing_vessel_is_a_lower_bound(
    qtbot: QtBot, window: MainWindow, source: SampleSource
) -> None:
    _open(qtbot, window, source, "REVIEW")
    text = _texts(window)
    assert "≥ 322 mm³" in text
    assert "Stage ≥ 2" in text
    assert "Not estimated" in text
    assert "header has no age" in text


def test_stage_zero_of_a_partial_tree_is_not_called_no_plaque() -> None:
    assert words.stage({"plaque_stage": 0}) == ("Stage 0", "No plaque")
    assert words.stage({"plaque_stage": 0, "lower_bound": True}) == ("Stage ≥ 0", "None found")
    assert words.stage({"plaque_stage": None})[1] == words.NOT_ANALYSABLE


def test_running_case_shows_the_line_then_its_result(
    qtbot: QtBot, window: MainWindow, source: SampleSource, folder: Path
) -> None:
    _open(qtbot, window, source, "RUNNING")
    assert _shown(window) is window.page.progress
    assert "Segmenting 40 %" in _texts(window)
    row = _row(source, "RUNNING")
    place = write_result_folder(folder / "run", sample_result(row.info), 2.0)
    source.replace_rows((replace(row, state="DONE", result_dir=place), *source.cases()[1:]))
    window.poll()
    qtbot.waitUntil(lambda: _shown(window) is window.page.measured, timeout=5000)
    assert not window.toast.isVisible()


def test_new_result_opens_itself_only_when_nothing_is_open(
    qtbot: QtBot, window: MainWindow, source: SampleSource, folder: Path
) -> None:
    row = _row(source, "RUNNING")
    place = write_result_folder(folder / "new", sample_result(row.info), 2.0)
    finished = (replace(row, state="DONE", result_dir=place), *source.cases()[1:])
    _open(qtbot, window, source, "DONE")
    reading = window.guard.selected
    source.replace_rows(finished)
    window.poll()
    assert window.guard.selected == reading
    assert window.toast.isVisible()
    assert "Lindqvist, Astrid" in window.toast.text.text()
    window.close_case()
    source.reset()
    window.poll()
    source.replace_rows(finished)
    window.poll()
    assert window.guard.selected == key_of(row)


def test_service_silence_is_said(window: MainWindow, source: SampleSource) -> None:
    assert not window.service_banner.isVisible()
    source.age = 74.0
    window.poll()
    assert window.service_banner.isVisible()
    assert "silent for 74 s" in window.service_banner.text.text()
    source.age = 0.1
    window.poll()
    assert not window.service_banner.isVisible()


def test_outdated_result_is_marked(qtbot: QtBot, window: MainWindow, source: SampleSource) -> None:
    _open(qtbot, window, source, "OUTDATED")
    assert window.page.banner.isVisible()
    assert window.page.banner.icon.text() == "OUTDATED"


@pytest.mark.parametrize("where", ["result", "study", "view"])
def test_foreign_result_is_never_shown(
    qtbot: QtBot, window: MainWindow, source: SampleSource, tmp_path: Path, where: str
) -> None:
    row = _row(source, "DONE")
    result = sample_result(row.info)
    place = write_result_folder(tmp_path, result, 4.0)
    if where == "view":
        file = tmp_path / "view" / "view.json"
        view = {**json.loads(file.read_text()), "series_instance_uid": "1.2.3"}
        file.write_text(json.dumps(view))
    else:
        name = "series_instance_uid" if where == "result" else "study_instance_uid"
        result["series"][name] = "1.2.3"
        (tmp_path / "result.json").write_text(json.dumps(result))
    foreign = replace(row, result_dir=place)
    with pytest.raises(IdentityError):
        load_case(foreign)
    source.replace_rows((foreign,))
    window.poll()
    window.open_row(foreign)
    qtbot.waitUntil(lambda: "IDENTITY_MISMATCH" in _texts(window), timeout=5000)
    assert window.page.case is None
    assert all(view.case is None for view in window.page.viewer.views)


def test_page_refuses_a_case_that_is_not_selected(window: MainWindow, source: SampleSource) -> None:
    window.guard.selected = key_of(_row(source, "REVIEW"))
    with pytest.raises(IdentityError):
        window.page.show_case(load_case(_row(source, "DONE")))


@pytest.mark.parametrize("palette", [theme.DARK, theme.LIGHT], ids=lambda p: p.name)
def testcontrast(palette: theme.Palette) -> None:
    for ink in (palette.text, palette.muted, palette.accent, palette.ok, palette.warn, palette.bad):
        for ground in (palette.surface, palette.ground):
            assert contrast(ink, ground) >= 4.5, (ink, ground)
        tinted = theme.mix(ink, palette.surface, 0.13).name()
        assert contrast(ink, tinted) >= 4.5, ink
    assert contrast(palette.on_accent, palette.accent) >= 4.5


@pytest.mark.parametrize("state", ["DONE", "REVIEW", "NOT_ANALYSABLE", "FAILED", "RUNNING"])
@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080)])
def test_no_label_or_button_is_clipped(
    qtbot: QtBot, window: MainWindow, source: SampleSource, state: str, size: tuple[int, int]
) -> None:
    window.resize(*size)
    _open(qtbot, window, source, state)
    qtbot.wait(20)
    for item in [*window.findChildren(QLabel), *window.findChildren(QPushButton)]:
        if not item.isVisible() or not item.text():
            continue
        metrics = QFontMetrics(item.font())
        if isinstance(item, QLabel) and item.wordWrap():
            assert item.height() >= item.heightForWidth(item.width()) - 1, item.text()
        else:
            assert item.width() >= metrics.horizontalAdvance(item.text()) - 1, item.text()
        assert item.height() >= metrics.height() - 1, item.text()


def test_research_use_is_on_every_page(
    qtbot: QtBot, window: MainWindow, source: SampleSource
) -> None:
    assert words.RESEARCH_USE in window.windowTitle()
    for state in ("DONE", "NOT_ANALYSABLE", "RUNNING"):
        _open(qtbot, window, source, state)
        assert words.RESEARCH_USE in _texts(window)
        assert words.TRAINING_NOTE in _texts(window)


def test_recorder_saves_each_stage_and_knows_the_end(
    qtbot: QtBot, window: MainWindow, source: SampleSource, tmp_path: Path, folder: Path
) -> None:
    recorder = Recorder(window, tmp_path, leave=False)
    running = _row(source, "RUNNING")
    place = write_result_folder(folder / "rec", sample_result(running.info), 2.0)
    seen = replace(running, state="SEEN", step="watch", received=40, expected=320)
    for row in (seen, running):
        recorder._last = 0.0
        source.replace_rows((row,))
        window.poll()
        recorder.look()
    assert recorder.final is None
    source.replace_rows((replace(running, state="DONE", result_dir=place),))
    window.poll()
    qtbot.waitUntil(lambda: window.page.case is not None, timeout=5000)
    recorder.look()
    assert recorder.final == "DONE"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "1-receiving.png", "2-running.png", "3-result.png",
    ]  # fmt: skip
    assert [exit_code(s) for s in ("DONE", "REVIEW", "NOT_ANALYSABLE", "FAILED", None)] == [
        0, 0, 2, 1, 1,
    ]  # fmt: skip


def test_screens_command_renders_pages(
    themed: QApplication, source: SampleSource, tmp_path: Path
) -> None:
    files = screens.render_all(
        tmp_path, source, [screens.Look("light", (1366, 768))], ["worklist", "ask-reject"]
    )
    assert len(files) == 2
    assert all(file.stat().st_size > 10_000 for file in files)
    theme.apply(themed, theme.DARK)


def test_real_store_from_first_slice_to_result(
    qtbot: QtBot, themed: QApplication, tmp_path: Path
) -> None:
    source = StoreSource(tmp_path)
    window = MainWindow(source, options=WindowOptions(out_dir="results"))
    window.poller.stop()
    window.poll()
    window.show()
    assert "No scan yet" in _texts(window)
    assert window.service_banner.isVisible()
    info = sample_info(2)
    with Store(tmp_path) as store:
        store.heartbeat()
        case_id = store.open_case(NewCase(info, revision=1, received=12, expected=320))
        window.poll()
        assert not window.service_banner.isVisible()
        model = window.worklist.model
        assert model.index(0, 0).data() == "Receiving 12/~320"
        store.update(case_id, received=320)
        store.move(case_id, "READY")
        store.move(case_id, "RUNNING", step="segment", progress=0.25)
        window.poll()
        assert model.index(0, 0).data() == "Segmenting 25 %"
        place = write_result_folder(tmp_path / "case", sample_result(info), 4.0)
        store.move(case_id, "DONE", result_dir=place)
        window.poll()
        qtbot.waitUntil(lambda: window.page.case is not None, timeout=5000)
        assert window.page.identity.name.whole() == "Yamada, Tarou (山田 太郎)"
        assert "383 mm³" in _texts(window)
        store.move(case_id, "OUTDATED")
        window.poll()
        qtbot.waitUntil(window.page.banner.isVisible, timeout=5000)
    window.close()
    source.close()


def test_unreadable_store_does_not_stop_the_console(themed: QApplication, tmp_path: Path) -> None:
    (tmp_path / "plaque-edge.sqlite").write_bytes(b"this is no database" * 100)
    source = StoreSource(tmp_path)
    window = MainWindow(source)
    window.poller.stop()
    window.poll()
    window.show()
    assert source.cases() == ()
    assert window.service_banner.isVisible()
    window.close()


def test_command_line() -> None:
    options = parse(["--out", "x", "--size", "1366x768", "--light"])
    assert options.size == (1366, 768)
    assert options.theme == "light"
    assert parse(["--watch", "a", "--watch", "b"]).watch == [Path("a"), Path("b")]
    with pytest.raises(SystemExit):
        parse(["--out", "x", "--size", "wide"])


@pytest.mark.parametrize("width", [700, 1366])
def test_a_message_is_read_whole_whatever_stood_there_before(
    window: MainWindow, width: int
) -> None:
    """The first one of a window too, long ones in lines; none leaves the window."""
    window.resize(width, 700)
    toast = window.toast
    for title, text, button in (
        ("No folder is watched yet", "Add one, save, then start the service.", ""),
        ("Done", "Ok.", "Open"),
        ("Not printed", "The store cannot be written: the disk is full. " * 4, "Open"),
    ):
        toast.say(title, text, button)
        QApplication.processEvents()
        lines = toast.text.heightForWidth(toast.text.width())
        assert toast.text.height() >= lines
        assert toast.title.width() >= toast.title.fontMetrics().horizontalAdvance(title)
        assert toast.text.geometry().right() < toast.width()
        assert toast.x() >= 0
        assert toast.geometry().right() < width
        if len(text) < 60:
            assert toast.text.width() >= toast.text.fontMetrics().horizontalAdvance(text)
        toast.hide()
