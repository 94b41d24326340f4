"""Looks that do not ask after everything, and what they find all the same."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from plaque_edge import folder_tree
from plaque_edge.folder_tree import BITE, LIST_S, SURE_S, Tree

if TYPE_CHECKING:
    from pathlib import Path


class Looker:
    """Looks again and again, and counts what a look asks of the system.

    A file is at rest at the second look that finds it as it was.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
        self.tree, self.now, self.asked, self.listed = Tree(root, **more), 0.0, 0, 0
        self.files: dict[str, tuple[int, int]] = {}
        self.rest: set[str] = set()
        stat, scandir = os.stat, os.scandir

        def counted_stat(*a: Any, **k: Any) -> Any:
            self.asked += 1
            return stat(*a, **k)

        def counted_scandir(*a: Any) -> Any:
            self.listed += 1
            return scandir(*a)

        monkeypatch.setattr(folder_tree.os, "stat", counted_stat)
        monkeypatch.setattr(folder_tree.os, "scandir", counted_scandir)

    def look(self, after_s: float = 0.4) -> tuple[set[str], set[str]]:
        """Return the names of what changed or came, and of what went."""
        self.now += after_s
        self.asked = self.listed = 0
        changed, gone = set(), set()
        for path, status in self.tree.look(self.now, self.rest.__contains__):
            name = os.path.basename(path)  # noqa: PTH119
            if status is None:
                if self.files.pop(path, None) is not None:
                    gone.add(name)
                self.rest.discard(path)
                continue
            seen = (status.st_size, status.st_mtime_ns)
            if self.files.get(path) == seen:
                self.rest.add(path)
            else:
                self.files[path] = seen
                self.rest.discard(path)
                changed.add(name)
        return changed, gone

    def settle(self) -> None:
        for _ in range(3):
            self.look()
        self.look(SURE_S)


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Looker]:
    """Three folders of 800 files, at rest."""
    root = tmp_path / "root"
    for folder in "abc":
        (root / folder).mkdir(parents=True)
        for number in range(800):
            (root / folder / f"{folder}{number}").write_text("x")
    looker = Looker(root, monkeypatch)
    assert len(looker.look()[0]) == 2400
    looker.settle()
    return root, looker


def test_what_is_at_rest_costs_next_to_nothing(full: tuple[Path, Looker]) -> None:
    root, looker = full
    assert looker.look() == (set(), set())
    assert looker.listed == 0
    assert looker.asked <= 4 + BITE
    (root / "b" / "new").write_text("x")
    assert looker.look() == ({"new"}, set())
    assert looker.listed == 1, "one folder changed"


def test_everything_is_listed_and_asked_after_in_turn(full: tuple[Path, Looker]) -> None:
    _, looker = full
    asked = 0
    for _ in range(3):
        looker.look()
        asked += looker.asked - 4
    assert asked == 2400
    looker.look(LIST_S)
    assert looker.listed == 4


def test_file_rewritten_in_place_is_found_within_a_round(full: tuple[Path, Looker]) -> None:
    root, looker = full
    path = root / "c" / "c700"
    os.utime(path, ns=(1, 1))
    found = [looker.look()[0] for _ in range(4)]
    assert {"c700"} in found
    os.utime(path, ns=(2, 2))
    assert "c700" in looker.look()[0] | looker.look()[0] | looker.look()[0]


def test_file_that_moves_is_asked_after_at_each_look(full: tuple[Path, Looker]) -> None:
    root, looker = full
    path = root / "a" / "slow"
    for size in range(1, 6):
        path.write_text("x" * size)
        assert looker.look()[0] == {"slow"}


def test_folder_whose_time_says_nothing_is_listed_soon(full: tuple[Path, Looker]) -> None:
    root, looker = full
    before = (root / "a").stat()
    (root / "a" / "new").write_text("x")
    os.utime(root / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert looker.look() == (set(), set())
    assert looker.look(LIST_S) == ({"new"}, set())


def test_time_of_two_seconds_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on FAT: two files within one tick of the folder's time."""
    looker = Looker(tmp_path, monkeypatch)
    os.utime(tmp_path, ns=(0, 0))
    looker.look()
    (tmp_path / "one").write_text("x")
    os.utime(tmp_path, ns=(2 * 10**9, 2 * 10**9))
    assert looker.look()[0] == {"one"}
    (tmp_path / "two").write_text("x")
    os.utime(tmp_path, ns=(2 * 10**9, 2 * 10**9))
    assert looker.look()[0] == {"two"}


def test_what_goes_is_told(full: tuple[Path, Looker]) -> None:
    root, looker = full
    (root / "a" / "a3").unlink()
    assert looker.look() == (set(), {"a3"})
    shutil.rmtree(root / "b")
    assert looker.look()[1] == {f"b{n}" for n in range(800)}
    assert len(looker.files) == 1599
    assert looker.tree.missing == []


def test_folder_that_is_away_takes_nothing_with_it(full: tuple[Path, Looker]) -> None:
    root, looker = full
    root.rename(root.with_name("away"))
    assert looker.look() == (set(), set())
    assert looker.tree.missing == [str(root)]
    os.utime(root.with_name("away") / "a" / "a5", ns=(5, 5))
    root.with_name("away").rename(root)
    found = [looker.look()[0] for _ in range(4)]
    assert {"a5"} in found
    assert len(looker.files) == 2400


def test_bare_place_of_a_share_is_no_empty_folder(
    full: tuple[Path, Looker], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, looker = full
    real, away = folder_tree.os.stat, root.with_name("away")
    root.rename(away)
    root.mkdir()

    def other_device(path: Any, **more: Any) -> Any:
        status = real(path, **more)
        if path != str(root):
            return status
        return os.stat_result((*status[:2], status.st_dev + 1, *status[3:]))

    monkeypatch.setattr(folder_tree.os, "stat", other_device)
    for _ in range(3):
        assert looker.look() == (set(), set())
        assert looker.tree.missing == [str(root)]
    monkeypatch.setattr(folder_tree.os, "stat", real)
    root.rmdir()
    away.rename(root)
    assert looker.look() == (set(), set())
    assert looker.tree.missing == []


def test_names_that_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.tmp", "b.dcm", "archive/c.dcm", "out/d.dcm", "deep/e.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "archive", target_is_directory=True)
    out = (tmp_path / "out").resolve()
    looker = Looker(tmp_path, monkeypatch, skip=("*.tmp", "arch*"), ignore=(out,))
    assert looker.look() == ({"b.dcm", "e.dcm"}, set())
