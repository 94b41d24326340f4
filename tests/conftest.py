from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crash_stack import pytest_runtest_setup as pytest_runtest_setup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service_site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    from service_site import Site

    monkeypatch.setenv("PLAQUE_EDGE_TEST_MODE", str(tmp_path / "mode"))
    made = Site(tmp_path)
    yield made
    made.mode("")
    if hasattr(made, "service"):
        made.stop()
