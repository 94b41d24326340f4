"""Short forms of ``torture kill`` and ``torture disk``; the long ones are commands."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from plaque_edge.cli import main
from plaque_edge.errors import Refused
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
