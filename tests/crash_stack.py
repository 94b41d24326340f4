"""So that a native crash is told: gives signal handlers a stack of our own before each test.

``faulthandler`` writes where Python was from a handler that runs on an alternate stack, set once
when the interpreter starts. After the engines have run in the process (``prepare``, ``doctor``)
a library has put a stack of its own in its place and unmapped it (measured: after
``test_doctor_and_prepare_run_here`` the main thread's stack was 11,568 bytes at an address that
was not mapped). The handler then can't run and the process dies without a word.
"""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SIZE = 1 << 16
_memory = ctypes.create_string_buffer(SIZE)


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def own_stack() -> None:
    """Let signal handlers of this thread run on memory that stays; nothing on other systems."""
    if sys.platform.startswith("linux"):
        stack = _Stack(ctypes.addressof(_memory), 0, SIZE)
        ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give the test's own crash a voice, whatever the one before has done."""
    own_stack()
