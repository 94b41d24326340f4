"""What ``doctor`` says of the computer, and that each warning has a next step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from plaque_edge import doctor_computer as dc

if TYPE_CHECKING:
    from pathlib import Path


def test_every_line_has_a_level_and_warnings_a_next_step() -> None:
    lines = dc.computer_checks()
    assert [x["code"] for x in lines] == ["CPU", "FOLDER", "FOLDER", "FOLDER", "QT", "CLOCK"]
    for line in lines:
        assert line["level"] in ("pass", "warn", "refuse")
        assert line["next_step"] or line["level"] == "pass"


def test_a_clock_before_the_release_is_told() -> None:
    assert dc._clock(datetime(1980, 1, 1, tzinfo=UTC))["level"] == "warn"
    assert dc._clock(datetime(2027, 1, 1, tzinfo=UTC))["level"] == "pass"


def test_a_processor_without_avx2_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dc.platform, "machine", lambda: "x86_64")
    assert dc._cpu({"sse2"})["level"] == "warn"
    line = dc._cpu({"avx2", "avx512_bf16"})
    assert line["level"] == "pass" and "avx2, avx512_bf16" in line["text"]


@pytest.mark.parametrize(("needed", "level"), [(True, "refuse"), (False, "warn")])
def test_a_folder_that_cannot_be_written_to(tmp_path: Path, needed: bool, level: str) -> None:
    line = dc._folder(tmp_path / "not there", "x", needed=needed)
    assert line["level"] == level and line["next_step"]


def test_a_console_that_cannot_load_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_name: str) -> None:
        raise ImportError("libEGL.so.1")

    monkeypatch.setattr(dc.importlib, "import_module", fail)
    line = dc._qt()
    assert line["level"] == "warn" and "libEGL.so.1" in line["text"] and line["next_step"]
