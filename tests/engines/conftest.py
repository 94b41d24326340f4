from __future__ import annotations

import pytest
from gpu_site import Site

from engines import gpu


@pytest.fixture
def site(monkeypatch, tmp_path):
    yield Site(monkeypatch, tmp_path)
    gpu.forget()
