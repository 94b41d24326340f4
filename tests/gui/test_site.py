"""The service's settings on the settings page: through its file, checked, never the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from helpers import drawn, texts
from PySide6.QtCore import Qt

from gui.service_process import ServiceProcess
from plaque_edge.settings import read_limits, read_receiver, read_settings, read_signers

if TYPE_CHECKING:
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
