"""Short forms of ``torture kill`` and ``torture disk``; the long ones are commands."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from plaque_edge.cli import main
from plaque_edge.errors import Refused
from plaque_edge.pipeline import ViewData
from plaque_edge.publish import not_written, write_view
from plaque_edge.torture import disk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_kills_lose_double_and_change_nothing(tmp_path: Path) -> None:
    out = tmp_path / "kill.json"
    assert main(["torture", "kill", "--count", "3", "--seed", "2", "--json", str(out)]) == 0
    figures = json.loads(out.read_text())["figures"]
    assert sum(figures["killed"].values()) == 3
    assert figures["results"] == figures["scans"] >= 1


def test_full_disk_is_waited_for(tmp_path: Path) -> None:
    try:
        figures = disk.run(1, 1, print)
    except Refused as refused:
        pytest.skip(str(refused))
    assert figures["passed"], figures
    assert figures["results"] == figures["scans"] == 1
    assert figures["start_on_full_disk"].startswith("exit 1, STORE_")


def test_full_disk_is_told_apart_from_other_failures(tmp_path: Path) -> None:
    try:
        disk.mount(tmp_path, 1)
    except Refused as refused:
        pytest.skip(str(refused))
    try:
        view = ViewData(
            np.zeros((99, 99, 99), np.int16), np.zeros((1, 1, 1), np.uint8), (1, 1, 1), (0, 0, 0)
        )
        with pytest.raises(OSError) as caught:
            write_view(view, tmp_path / "view", "1.2")
        assert not_written(caught.value).reason.code == "RESULT_DISK_FULL"
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
