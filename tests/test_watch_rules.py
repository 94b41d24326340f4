"""Folders with rules of their own, and what may happen to a folder; no service, no worker."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from dicom_factory import cta, hashes, info
from test_watch import FAST, look_until, only

from plaque_edge import folder_tree
from plaque_edge import folders as module
from plaque_edge.config import FolderRule
from plaque_edge.errors import Refused
from plaque_edge.settings import read_settings
from plaque_edge.types import Reason
from plaque_edge.watch import Watcher

QUICK = FolderRule(quiet_s=0.2, late_s=20.0)


def test_settings_file(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        '[[folder]]\npath = "export"\n[[folder]]\npath = "/mnt/ct2"\nshare = true\n'
        'late_s = 120\nmax_age_h = 24\nskip = ["*.tmp", "archive"]\n'
    )
    assert read_settings(tmp_path / "site.toml") == {
        tmp_path / "export": FolderRule(),
        Path("/mnt/ct2"): FolderRule(5.0, 120.0, False, 24.0, ("*.tmp", "archive")),
    }


@pytest.mark.parametrize(
    "text",
    ["", "folder = 3", "[[folder]]\n", '[[folder]]\npath = "a"\nquiet_s = -1',
     '[[folder]]\npath = "a"\nquiet_s = true', '[[folder]]\npath = "a"\nspeed = 1',
     '[[folder]]\npath = "a"\nskip = "x"', '[[folder]]\npath = "a"\n[[folder]]\npath = "a"',
     '[[folder]]\npath = "a"\nshare = "yes"', 'out = "x"\n[[folder]]\npath = "a"'],
)  # fmt: skip
def test_settings_that_mean_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(text)
    with pytest.raises(Refused, match="SETTINGS_INVALID"):
        read_settings(tmp_path / "site.toml")


def test_settings_unreadable(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[[folder")
    for name in ("site.toml", "gone.toml"):
        with pytest.raises(Refused, match="SETTINGS_UNREADABLE"):
            read_settings(tmp_path / name)


def test_each_folder_by_its_rule(tmp_path: Path) -> None:
    for name in "abc":
        cta(tmp_path / name / "deep", name)
    old = time.time() - 7200
    for path in (tmp_path / "c").rglob("IM*"):
        os.utime(path, (old, old))
    rules = {
        tmp_path / "a": QUICK,
        tmp_path / "b": replace(QUICK, skip=("de*p",)),
        tmp_path / "c": replace(QUICK, max_age_h=1.0),
    }
    watcher = Watcher(tuple(rules), FAST, rules=rules)
    assert look_until(watcher, "READY").uids == (
        info("a").study_instance_uid,
        info("a").series_instance_uid,
    )
    assert len(watcher.scan()) == 1
    young = next((tmp_path / "c").rglob("IM*"))
    young.touch()
    watcher.scan()
    assert len(watcher.scan()) == 2


def test_folder_that_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    cta(folder, "a")
    watcher = Watcher((folder,), FAST)
    first = look_until(watcher, "READY")
    shutil.rmtree(folder)
    cta(folder, "b")
    for _ in range(3):
        seen = watcher.scan()
    (second,) = seen
    assert second.uids != first.uids
    assert not second.keys & first.keys


def test_nothing_is_judged_at_once_when_a_folder_comes_back(tmp_path: Path) -> None:
    folder, away = tmp_path / "share", tmp_path / "away"
    cta(folder)[20].unlink()
    watcher = Watcher((folder,), replace(FAST, late_s=4.0))
    look_until(watcher, "SETTLING")
    folder.rename(away)
    watcher.scan()
    time.sleep(4.2)
    away.rename(folder)
    assert only(watcher).phase == "SEEN"
    look_until(watcher, "READY")


def test_one_folder_that_cannot_be_listed_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cta(tmp_path / "a", "a")
    cta(tmp_path / "b", "b")
    watcher = Watcher((tmp_path,), FAST)
    for _ in range(2):
        before = watcher.scan()
    real = os.scandir

    def refuse(path: str) -> object:
        if path == str(tmp_path / "b"):
            raise PermissionError(13, "locked", path)
        return real(path)

    monkeypatch.setattr(folder_tree.os, "scandir", refuse)
    assert {s.uids for s in watcher.scan()} == {s.uids for s in before}
    assert watcher.missing == (tmp_path / "b",)


def test_locked_file_holds_its_series_then_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = cta(tmp_path)
    real = module.read_header

    def locked(path: Path) -> object:
        if path == paths[0]:
            raise PermissionError(13, "locked")
        return real(path)

    monkeypatch.setattr(module, "read_header", locked)
    watcher = Watcher((tmp_path,), replace(FAST, late_s=30.0))
    assert "not whole" in look_until(watcher, "SETTLING").message
    monkeypatch.setattr(module, "read_header", real)
    assert look_until(watcher, "READY").received == 64


def test_names_in_any_script_and_folders_however_deep(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 600)
    os.makedirs(deep)  # noqa: PTH103 - Path.mkdir goes deep by recursion
    names = ["Ärzte", "患者", "المريض", "😀", "a b'c\"", "e\u0301", "\u202eevil"]
    names += [os.fsdecode(b"\xff\xfe")] if os.name == "posix" else []
    for path, name in zip(cta(tmp_path / "in"), names * 9, strict=False):
        target = deep / f"{name}{path.name}"
        path.rename(target)
    watcher = Watcher((tmp_path,), FAST)
    assert look_until(watcher, "READY").received == 64


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_reason_that_names_a_file_of_no_script_can_be_written() -> None:
    reason = Reason("CODE", f"{os.fsdecode(bytes([255]))}.dcm is cut short.")
    assert reason.text.encode() == b"\\udcff.dcm is cut short."


def test_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cta(tmp_path)
    jump = [0.0]
    real = time.time
    monkeypatch.setattr(module.time, "time", lambda: real() + jump[0])
    watcher = Watcher((tmp_path,), FAST)
    for jump[0] in (0.0, 86_400.0, -86_400.0, 0.0):
        watcher.scan()
    seen = look_until(watcher, "READY")
    assert 0.0 <= time.monotonic() - seen.last_file < 20.0


def test_new_series_is_read_before_old_files(tmp_path: Path) -> None:
    """The 20,000 old files are 2,000 here; docs/watch.md has the measured time."""
    (tmp_path / "old").mkdir()
    old = time.time() - 86_400
    data = b"\0" * 128 + b"DICM" + b"\0" * 50
    for i in range(2000):
        path = tmp_path / "old" / f"{i}"
        path.write_bytes(data)
        os.utime(path, (old, old))
    cta(tmp_path / "new")
    watcher = Watcher((tmp_path,), replace(FAST, header_budget_s=0.05))
    seen = look_until(watcher, "READY", 30.0)
    assert seen.received == 64
    assert seen.backlog


def test_input_is_never_touched(tmp_path: Path) -> None:
    cta(tmp_path)
    before = hashes(tmp_path)
    look_until(Watcher((tmp_path,), FAST), "READY")
    assert hashes(tmp_path) == before
