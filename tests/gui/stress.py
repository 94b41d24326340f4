"""For hand use: ``-p stress`` looks for rare native crashes in the console's tests.

``PYTHONPATH=tests/gui PYTHONMALLOC=debug pytest tests/gui -p stress`` collects garbage after every
few allocations, so that whatever Python deletes too early is gone when Qt next looks at it.
``STRESS_GC`` is how many allocations that is; 1 is slow.
"""

from __future__ import annotations

import gc
import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Collect garbage as often as ``STRESS_GC`` says."""
    gc.set_threshold(int(os.environ.get("STRESS_GC", "20")), 2, 2)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Collect whatever the test left."""
    gc.collect()
