"""Segmenters for worker processes that misbehave in one way each, on the small tubes.

What they do is said by a file named in ``PLAQUE_EDGE_TEST_MODE``, so that it can change while the
service runs; ``PLAQUE_EDGE_TEST_MODE`` + ".in" is made when the segmenter is entered.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaque_edge.torture import tubes

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaque_edge.types import Volume

HOARD_MB = 600


def factory() -> tuple[Any, Any]:
    place = Path(os.environ["PLAQUE_EDGE_TEST_MODE"])

    def segment(
        volume: Volume, engines: Any, progress: Callable[[float], None] | None
    ) -> tubes.Found:
        assert progress is not None
        place.with_suffix(".in").touch()
        mode = place.read_text().strip()
        if mode == "segfault":
            ctypes.string_at(0)
        elif mode == "silent":
            time.sleep(600)
        elif mode == "memory":
            hoard = []
            for _ in range(HOARD_MB):
                hoard.append(bytearray(os.urandom(1 << 20)))
                progress(0.1)
            time.sleep(600)
        elif mode.startswith("quote"):
            raise ValueError(mode)  # as a library that quotes what it could not read
        while place.read_text().strip() == "slow":
            progress(0.1)
            time.sleep(0.05)
        while place.read_text().strip() == "deaf":
            time.sleep(0.05)
        return tubes.small_of(volume).found()

    return tubes.Engines, segment
