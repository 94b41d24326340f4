"""The console beside a real store: long lists, time left, the service dying and coming back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from factory import sample_info, sample_result, write_result_folder
from helpers import delete, drawn, row_in, texts

from gui import service_process, states
from gui.desk import Desk
from gui.dialogs import AskSignature
from gui.history import History
from gui.source import Poller, StoreSource
from gui.window import MainWindow
from gui.worklist_model import WorklistModel
from plaque_edge.store import NewAction, NewCase, Store

if TYPE_CHECKING:
    from factory import SampleSource
    from PySide6.QtWidgets import QApplication
    from pytestqt.qtbot import QtBot

    from gui.window import WindowOptions


def test_only_changed_rows_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path) as store:
        ids = [store.open_case(NewCase(sample_info(n), 1, 10)) for n in range(30)]
        source = StoreSource(tmp_path)
        first = source.cases()
        assert [r.case_id for r in first] == sorted(ids, reverse=True)
        read: list[int] = []
        plain = Store.changed_since

        def counted(self: Store, at: str) -> object:
            rows = plain(self, at)
            read.append(len(rows))
            return rows

        monkeypatch.setattr(Store, "changed_since", counted)
        time.sleep(0.01)
        store.update(ids[3], received=11)
        second = source.cases()
        assert max(read) < 30
        assert {r.case_id for r in second if r not in first} == {ids[3]}
        assert sum(a is b for a, b in zip(first, second, strict=True)) >= 20
        source.close()


def test_ten_thousand_rows_are_filtered_and_taken_quickly(source: SampleSource) -> None:
    some = source.cases()
    rows = [replace(some[i % len(some)], case_id=i, series_uid=f"1.{i}") for i in range(10_000)]
    model = WorklistModel()
    model.set_rows(rows)
    assert model.rowCount() == 10_000
    rows[77] = replace(rows[77], message="changed")
    changed: list[int] = []
    model.dataChanged.connect(lambda top, _bottom: changed.append(top.row()))
    began = time.process_time()
    model.set_rows(rows)
    model.change(frozenset({"FAILED"}), "tremblay")
    took = time.process_time() - began
    assert changed == [10_000 - 1 - 77]
    assert 0 < model.rowCount() < 1000
    assert took < 0.5


def test_time_left_is_this_machines_own_and_only_after_five_cases(source: SampleSource) -> None:
    history, running = History(), row_in(source, "RUNNING")
    result = {"status": "ready", "timing_ms": {"total": 6400.0}, "series": {"instances": 320}}
    for number in range(4):
        history.add(number, result)
    assert history.left_s(running, now=100.0) is None
    history.add(4, {**result, "status": "not_analysable"})
    assert history.usual_s(320) is None
    history.add(5, result)
    assert history.usual_s(320) == pytest.approx(6.4)
    assert history.left_s(running, now=100.0) == pytest.approx(0.6 * 6.4)
    assert states.describe(running, history.left_s(running, now=101.0)).detail == "about 4 s left"
    late = states.describe(running, history.left_s(running, now=200.0))
    assert late.detail == "longer than usual"


def test_the_service_dies_and_comes_back(
    qtbot: QtBot, themed: QApplication, tmp_path: Path, options: WindowOptions
) -> None:
    """A real process gives signs of life, is killed, and another one comes."""
    source = StoreSource(tmp_path)
    window = MainWindow(source, options=options)
    window.show()
    assert not window.top.service.text() == "Service running"
    with Store(tmp_path) as store:
        store.open_case(NewCase(sample_info(1), 1, 10))
    child = _beating(tmp_path)
    try:
        qtbot.waitUntil(lambda: window.top.service.text() == "Service running", timeout=20_000)
        qtbot.waitUntil(lambda: window.worklist.model.rowCount() == 1, timeout=5000)
    finally:
        child.kill()
        child.wait()
    with Store(tmp_path) as store:
        with store._change(count=False) as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('heartbeat', ?)",
                       (repr(time.time() - 60),))  # fmt: skip
    qtbot.waitUntil(window.service_banner.isVisible, timeout=5000)
    assert "silent for 6" in texts(window)
    assert window.worklist.model.rowCount() == 1
    child = _beating(tmp_path)
    try:
        qtbot.waitUntil(lambda: not window.service_banner.isVisible(), timeout=20_000)
        assert window.toast.title.text() == "Service running again"
    finally:
        child.kill()
        child.wait()
    window.close()
    delete(window)
    source.close()


def _beating(out: Path) -> subprocess.Popen[bytes]:
    code = (
        "import sys, time; from pathlib import Path; from plaque_edge.store import Store\n"
        "s = Store(Path(sys.argv[1]))\n"
        "while True: s.heartbeat(); time.sleep(0.2)"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(out)])


def test_a_request_waits_where_no_service_answers(
    qtbot: QtBot, themed: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gui.desk.PATIENCE_S", 0.2)
    with Store(tmp_path) as store:
        case_id = store.open_case(NewCase(sample_info(2), 1, 10))
        row = store.case(case_id)
        desk = Desk(StoreSource(tmp_path))
        answers: list[object] = []
        desk.answered.connect(answers.append)
        desk.ask("urgent", "Kim", row, on=True)
        qtbot.waitUntil(lambda: bool(answers), timeout=5000)
        assert answers[0].waiting  # type: ignore[attr-defined]
        (request,) = store.requests()
        assert (request.asked.kind, request.asked.person) == ("urgent", "Kim")
        desk.ask("urgent", " ", row, on=True)
        qtbot.waitUntil(lambda: len(answers) == 2, timeout=5000)
        assert answers[1].reason.code == "REQUEST_INVALID"  # type: ignore[attr-defined]
        desk.close()


def test_acts_in_the_store_reach_the_page(
    qtbot: QtBot, themed: QApplication, tmp_path: Path, options: WindowOptions
) -> None:
    info = sample_info(3)
    with Store(tmp_path) as store:
        place = write_result_folder(tmp_path / "case", sample_result(info), 4.0)
        case_id = store.open_case(NewCase(info, 1, 320))
        store.move(case_id, "READY")
        store.move(case_id, "RUNNING")
        store.move(case_id, "DONE", result_dir=place)
        source = StoreSource(tmp_path)
        window = MainWindow(source, options=options)
        window.poller.stop()
        window.show()
        window.poll()
        window.open_row(source.cases()[0])
        drawn(window)
        assert window.page.review.chip.text() == "NOT REVIEWED"
        store.record_action(case_id, NewAction("sign", "Dr. Wu"))
        window.poll()
        drawn(window)
        assert window.page.identity.signed.text() == "Signed: Dr. Wu"
        window.close()
        delete(window)
        source.close()


def test_reading_never_happens_on_the_gui_thread(
    qtbot: QtBot, themed: QApplication, source: SampleSource
) -> None:
    import threading

    threads: set[str] = set()
    plain = source.data_version

    def noted() -> int:
        threads.add(threading.current_thread().name)
        return plain()

    source.data_version = noted  # type: ignore[method-assign]
    poller = Poller(source)
    got: list[object] = []
    poller.snapshot.connect(got.append)
    poller.start()
    qtbot.waitUntil(lambda: len(got) > 1, timeout=5000)
    poller.stop()
    del source.data_version
    assert threads == {"poller"}


def test_a_service_of_the_consoles_own_starts_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = service_process.ServiceProcess([tmp_path], tmp_path / "out")
    service._command = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert service.ended()
    service.start()
    pid = service.pid
    service.start()
    assert service.pid == pid
    service.stop()
    assert service.ended()
    assert (tmp_path / "out" / "service.log").exists()


def test_from_an_empty_folder_to_a_signed_result(
    qtbot: QtBot,
    themed: QApplication,
    tmp_path: Path,
    options: WindowOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The console starts a real service; a scan arrives; it is measured, accepted and signed."""
    import tube_scan

    tests = Path(tube_scan.__file__).parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tests.parent), str(tests))))
    out, export = tmp_path / "results", tmp_path / "export"
    export.mkdir()
    service = service_process.ServiceProcess([export], out)
    service._command += ["--factory", "tube_scan:factory"]
    source = StoreSource(out)
    window = MainWindow(source, options=replace(options, service=service))
    window.resize(1366, 768)
    window.show()
    service.start()
    try:
        qtbot.waitUntil(lambda: window.top.service.text() == "Service running", timeout=60_000)
        tube_scan.write(export / "scan")
        page = window.page
        qtbot.waitUntil(lambda: window.page.review.isVisible(), timeout=90_000)
        assert page.case is not None
        assert states.describe(page.case.row).word == "READY"
        plaque = page.case.result["patient"]["plaque_mm3"]  # type: ignore[index]
        assert plaque == pytest.approx(tube_scan.plaque_mm3(), rel=0.05)
        drawn(window)
        assert page.viewer.straight.drawn is not None
        for kind, word in (("accept", "ACCEPTED"), ("sign", "SIGNED")):
            page.ask(kind)
            for dialog in window.findChildren(AskSignature):
                dialog.ok.click()
            qtbot.waitUntil(lambda w=word: page.review.chip.text() == w, timeout=20_000)
    finally:
        window.close()
    assert service.ended()
    delete(window)
    source.close()
    with Store(out, read_only=True) as store:
        kinds = [row.kind for row in store.audit()]
        assert not store.verify_audit().faults
    assert kinds.index("action.accept") < kinds.index("action.sign")
