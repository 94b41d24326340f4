"""The service's settings on the settings page: through its file, checked, never the store."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest
from helpers import drawn, texts
from pynetdicom import AE
from PySide6.QtCore import Qt, QTimer

from gui.service_process import ServiceProcess
from plaque_edge.destinations import Destination, attempt
from plaque_edge.errors import Failed
from plaque_edge.receive.echo import VERIFICATION
from plaque_edge.settings import (
    read_destinations,
    read_limits,
    read_receiver,
    read_settings,
    read_signers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from factory import SampleSource
    from pytestqt.qtbot import QtBot

    from gui.site_page import SitePage
    from gui.window import MainWindow


@pytest.fixture
def page(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> SitePage:
    site = window.settings_page.site
    site.file.path = tmp_path / "out" / "settings.toml"
    window.show_page("settings")
    with qtbot.waitSignal(site.file.loaded):
        window.settings_page.tabs.button(1).click()
    return site


def _save(qtbot: QtBot, page: SitePage) -> None:
    with qtbot.waitSignal(page.file.saved):
        qtbot.mouseClick(page.save, Qt.MouseButton.LeftButton)


def _limit(page: SitePage, name: str, text: str) -> None:
    names = [page.limits.item(at, 0).text() for at in range(page.limits.rowCount())]
    page.limits.item(names.index(name), 2).setText(text)


def test_what_is_entered_is_what_the_service_reads(
    qtbot: QtBot, window: MainWindow, page: SitePage, source: SampleSource, tmp_path: Path
) -> None:
    page.add_folder("/data/export")
    page.add_folder("//ct2/export", share=True)
    page.receives.setChecked(True)
    page.allow.setText("CT1, CT2")
    page.signers.setText("Dr. Li, Dr. Wu")
    _limit(page, "noise_warn_hu", "40")
    _limit(page, "kvp_pass", "90 – 120")
    _save(qtbot, page)
    assert "Saved" in page.note.text()
    file = page.file.path
    assert [str(p) for p in read_settings(file)] == ["/data/export", "/ct2/export"] or [
        p.name for p in read_settings(file)
    ] == ["export", "export"]
    assert [rule.events for rule in read_settings(file).values()] == [True, False]
    receiver = read_receiver(file)
    assert receiver is not None
    assert (receiver.port, receiver.aet, receiver.allow) == (11112, "PLAQUE", ("CT1", "CT2"))
    assert read_signers(file) == ("Dr. Li", "Dr. Wu")
    assert read_limits(file).changed() == {
        "noise_warn_hu": (35.0, 40.0),
        "kvp_pass": ((100.0, 120.0), (90.0, 120.0)),
    }
    drawn(window)
    asked = source.asked[-1]
    assert (asked.kind, asked.person) == ("settings", "Dr. Li")
    assert asked.arguments == {"changed": ["folder", "quality", "receiver", "roles"]}
    page.receives.setChecked(False)
    page.folders.selectRow(0)
    page.remove.click()
    _save(qtbot, page)
    assert read_receiver(file) is None
    assert len(read_settings(file)) == 1
    assert len(source.asked) == 1 or source.asked[-1].arguments["changed"] == ["folder", "receiver"]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [("noise_warn_hu", "high", "needs a number"), ("noise_warn_hu", "90", "lies above"),
     ("kvp_pass", "90", "two numbers")],
)  # fmt: skip
def test_what_the_service_would_refuse_is_told_with_its_code(
    qtbot: QtBot, page: SitePage, name: str, text: str, told: str
) -> None:
    page.add_folder("/data/export")
    _save(qtbot, page)
    before = page.file.path.read_bytes()
    _limit(page, name, text)
    _save(qtbot, page)
    assert "SETTINGS_INVALID" in page.note.text()
    assert told in page.note.text()
    assert page.file.path.read_bytes() == before


def test_what_the_form_does_not_show_stays(qtbot: QtBot, page: SitePage) -> None:
    page.file.path.parent.mkdir()
    page.file.path.write_text(
        '[[folder]]\npath = "/a"\nskip = ["*.tmp"]\nlate_s = 90\n'
        '[receiver]\nport = 104\naet = "X"\nbind = "127.0.0.1"\n'
    )
    with qtbot.waitSignal(page.file.loaded):
        page.file.load()
    page.add_folder("/b")
    _save(qtbot, page)
    first = next(iter(read_settings(page.file.path).values()))
    assert (first.skip, first.late_s) == (("*.tmp",), 90.0)
    receiver = read_receiver(page.file.path)
    assert receiver is not None
    assert (receiver.port, receiver.bind) == (104, "127.0.0.1")


def test_without_a_folder_start_leads_to_the_settings(
    qtbot: QtBot, window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    own = ServiceProcess([], tmp_path / "nothing")
    window.options = type(window.options)(service=own)
    source.age = None
    window.poll()
    assert window.service_banner.button.text() == "Start the service"
    window.service_banner.button.click()
    assert window.pages.currentWidget() is window.settings_page
    assert window.settings_page.site.isVisible()
    assert "No folder is watched yet" in texts(window)
    assert own.ended()
    window.options = type(window.options)()


def test_why_the_service_ended_is_told(
    qtbot: QtBot, window: MainWindow, source: SampleSource, tmp_path: Path
) -> None:
    """The real command on settings that mean nothing."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "settings.toml").write_text("[receiver]\nport = 1\nspeed = 2\n")
    own = ServiceProcess([], out)
    window.options = type(window.options)(service=own)
    own.start()
    qtbot.waitUntil(own.ended, timeout=120_000)
    source.age = None
    window.poll()
    assert "SETTINGS_INVALID" in window.service_banner.text.text()
    assert window.service_banner.button.text() == "Start again"
    window.options = type(window.options)()


# ---- destinations -----------------------------------------------------------------------------


def _outcome(qtbot: QtBot, page: SitePage, at: int) -> str:
    """Test a line as a person does, and return what the page then says."""
    part = page.destinations
    part.table.selectRow(at)
    with qtbot.waitSignal(part.trial.ended, timeout=60_000):
        part.test.click()
        assert not part.test.isEnabled()
    assert part.test.isEnabled()
    return part.note.text()


def test_destinations_are_added_edited_removed_and_kept(qtbot: QtBot, page: SitePage) -> None:
    part = page.destinations
    assert not part.test.isEnabled()
    page.add_folder("/data/export")
    part.add({"name": "Archive", "path": "/srv/results"})
    part._add_pacs()
    for column, text in enumerate(("PACS", "192.0.2.7", "104", "ARCHIVE", "PLAQUE1")):
        part.table.item(1, column).setText(text)
    _save(qtbot, page)
    assert "Saved" in page.note.text()
    folder, pacs = read_destinations(page.file.path)
    assert (folder.name, folder.kind, folder.path) == ("Archive", "folder", "/srv/results")
    assert (pacs.host, pacs.port, pacs.aet, pacs.own_aet) == (
        "192.0.2.7", 104, "ARCHIVE", "PLAQUE1",
    )  # fmt: skip
    part.table.item(1, 2).setText("one hundred")
    _save(qtbot, page)
    assert "SETTINGS_INVALID" in page.note.text()
    assert read_destinations(page.file.path) == (folder, pacs)
    part.table.selectRow(1)
    part.remove.click()
    _save(qtbot, page)
    assert read_destinations(page.file.path) == (folder,)


def test_a_folder_is_tested_by_writing_into_it(
    qtbot: QtBot, page: SitePage, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    page.destinations.add({"name": "A", "path": str(tmp_path / "there")})
    page.destinations.add({"name": "B", "path": str(tmp_path / "away")})
    (tmp_path / "file").write_text("x")
    page.destinations.add({"name": "C", "path": str(tmp_path / "file")})
    assert _outcome(qtbot, page, 0) == "A: works."
    assert list((tmp_path / "there").iterdir()) == []
    for at, name in ((1, "B"), (2, "C")):
        said = _outcome(qtbot, page, at)
        assert said.startswith(f"{name}: does not work. The folder ")
        assert "Create it" in said
        assert said.endswith("(DESTINATION_MISSING)")


def test_a_folder_that_takes_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("plaque_edge.destinations.os.fsync", full)
    with pytest.raises(Failed, match=r"DESTINATION_NOT_WRITABLE.*No space left"):
        attempt(Destination("A", "folder", path="."), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def archive() -> Iterator[int]:
    """A DICOM program that knows PLAQUE alone and is called ARCHIVE; its port."""
    there = AE(ae_title="ARCHIVE")
    there.require_called_aet, there.require_calling_aet = True, ["PLAQUE"]
    there.add_supported_context(VERIFICATION)
    server = there.start_server(("127.0.0.1", 0), block=False)
    yield server.socket.getsockname()[1]
    server.shutdown()


def test_a_pacs_is_asked_and_its_answer_told_in_words(
    qtbot: QtBot, page: SitePage, archive: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    base = {"name": "PACS", "host": "127.0.0.1", "port": archive, "aet": "ARCHIVE"}
    for change in ({}, {"own_aet": "OTHER"}, {"aet": "WRONG"}, {"port": closed}, {"aet": ""}):
        page.destinations.add(base | change)
    assert _outcome(qtbot, page, 0) == "PACS: works."
    for at, code in ((1, "REFUSED"), (2, "REFUSED"), (3, "UNREACHABLE")):
        assert f"(DESTINATION_{code})" in _outcome(qtbot, page, at)
    assert "(SETTINGS_INVALID)" in _outcome(qtbot, page, 4)


def test_a_program_that_is_no_dicom_does_not_block_the_page(
    qtbot: QtBot, page: SitePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and says nothing; the page goes on meanwhile."""
    monkeypatch.setattr("plaque_edge.receive.echo.ANSWER_S", 1.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        entry = {"name": "X", "host": "127.0.0.1", "port": mute.getsockname()[1], "aet": "Y"}
        page.destinations.add(entry)
        turns = []
        beat = QTimer()
        beat.timeout.connect(lambda: turns.append(time.monotonic()))
        beat.start(20)
        assert "(DESTINATION_NO_ANSWER)" in _outcome(qtbot, page, 0)
    assert len(turns) > 10, "the page stood still"
