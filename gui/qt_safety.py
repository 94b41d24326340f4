"""A guard against a reference-count error of PySide6 6.12 on Python 3.11 and older.

Its void functions return ``None`` without taking a reference (seen on 6.12.0: each
``painter.save()`` costs ``None`` one). From Python 3.12 on ``None`` is immortal and nothing
happens; before, the interpreter aborts with "deallocating None" after some thousand calls.
"""

from __future__ import annotations

import ctypes
import sys

SPARE_REFERENCES = 1 << 48
"""Years of painting at a million calls per second."""


def keep_none_alive() -> bool:
    """Give ``None`` spare references where it is mortal; return whether that was needed."""
    mortal = sys.implementation.name == "cpython" and sys.version_info < (3, 12)
    if mortal and sys.getrefcount(None) < SPARE_REFERENCES // 2:
        # The reference count is the first field of every object in these versions.
        ctypes.c_ssize_t.from_address(id(None)).value += SPARE_REFERENCES
    return mortal
