"""A native crash names its place even after a library has taken the handlers' stack away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TAKEN_AWAY = """
import ctypes, mmap
from crash_stack import _Stack

def test_one_takes_the_stack_away():
    memory = mmap.mmap(-1, 16384)
    held = ctypes.c_char.from_buffer(memory)
    stack = _Stack(ctypes.addressof(held), 0, 16384)
    assert ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None) == 0
    del held
    memory.close()

def test_two_crashes():
    ctypes.string_at(0)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the stack is Linux's")
@pytest.mark.parametrize("plugin", [True, False])
def test_a_crash_after_the_stack_went_is_told(tmp_path: Path, plugin: bool) -> None:
    """Without the plugin it is not: that is what this guards against."""
    (tmp_path / "test_it.py").write_text(TAKEN_AWAY)
    asked = ["-p", "crash_stack"] if plugin else []
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *asked, "test_it.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode < 0
    assert ("Fatal Python error: Segmentation fault" in done.stderr + done.stdout) == plugin
    assert ("test_two_crashes" in done.stderr + done.stdout) == plugin
