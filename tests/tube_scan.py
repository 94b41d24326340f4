"""The large scan of tubes that the tests of pipeline, service and command line run on."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from plaque_edge.phantom.dicom import WriteOptions, write_series
from plaque_edge.torture.tubes import (
    LUMEN_MM,
    MODEL,
    PLACES,
    PLAQUE_MM,
    WALL_MM,
    Engines,
    Found,
    Tubes,
)
from plaque_edge.torture.tubes import header as info

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plaque_edge.types import Branch, CoronaryTree, StraightBranch, Volume

__all__ = ["LUMEN_MM", "MODEL", "PLACES", "PLAQUE_MM", "WALL_MM", "Engines", "info"]

SPACING = (0.75, 0.45, 0.45)
SHAPE = (124, 316, 316)
LENGTHS = {"LM": 12.0, "LAD": 85.0, "LCX": 80.0, "RCA": 84.0, "D1": 70.0}
SCAN = Tubes(SHAPE, SPACING, (-50.0, -71.0, -71.0), LENGTHS, 20.0, 40.0)


def plaque_mm3() -> float:
    return SCAN.plaque_mm3()


def make_volume() -> Volume:
    return SCAN.volume()


def tree(missing: tuple[str, ...] = ()) -> CoronaryTree:
    return SCAN.tree(missing)


def straight(branch: Branch) -> StraightBranch:
    return SCAN.straight(branch)


def segmenter(missing: tuple[str, ...] = (), aorta: float = 400.0) -> Any:
    def run(volume: Volume, engines: Any, progress: Callable[[float], None] | None) -> Found:
        assert volume.hu.ndim == 3
        if progress is not None:
            progress(0.5)
        return SCAN.found(missing, aorta)

    return run


def factory() -> tuple[Any, Any]:
    """For worker processes: ``tube_scan:factory``."""
    return Engines, segmenter()


def slow_factory() -> tuple[Any, Any]:
    inner = segmenter()

    def slow(volume: Volume, engines: Any, progress: Any) -> Found:
        time.sleep(3.0)
        found: Found = inner(volume, engines, progress)
        return found

    return Engines, slow


def killer_factory() -> tuple[Any, Any]:
    """A segmenter during which the process dies, as in a crash of native code."""

    def die(volume: Volume, engines: Any, progress: Any) -> Found:
        os._exit(9)

    return Engines, die


def write(
    folder: Path, name: str = "tubes", how: WriteOptions | None = None, **changes: Any
) -> list[Path]:
    return write_series(make_volume(), info(name, **changes), folder, how)
