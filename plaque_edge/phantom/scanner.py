"""A simulated scanner: a series that arrives in a folder the way consoles write it.

Each file is created, its bytes come in pieces, and only then does the next begin, so
whoever watches the folder meets half files.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from plaque_edge.phantom.dicom import WriteOptions, encode_instances

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plaque_edge.types import SeriesInfo, Volume

PIECES = 4
"""A file arrives in this many pieces; a local network copy does it in about as many."""


def export(
    volume: Volume,
    info: SeriesInfo,
    folder: Path,
    slices_per_second: float,
    on_file: Callable[[int, int, Path], None] | None = None,
    options: WriteOptions | None = None,
) -> list[Path]:
    """Write the series into ``folder`` at a scanner's pace and return the files.

    ``slices_per_second`` of 0 or less means as fast as the disk takes them. ``on_file``
    is called with (files done, files in all, path) after each whole file. Reconstruction
    consoles export about 20 to 60 slices a second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = 1 if options is not None and options.enhanced else volume.shape_zyx[0]
    period_s = 1.0 / slices_per_second if slices_per_second > 0 else 0.0
    start = time.monotonic()
    written: list[Path] = []
    for number, (name, data) in enumerate(encode_instances(volume, info, options)):
        path = folder / name
        _write_in_pieces(path, data, start, number * period_s, period_s)
        written.append(path)
        if on_file is not None:
            on_file(number + 1, total, path)
    return written


def _write_in_pieces(path: Path, data: bytes, start: float, begin_s: float, span_s: float) -> None:
    """Write ``data`` in :data:`PIECES`, spread over ``span_s`` seconds from ``start + begin_s``."""
    size = -(-len(data) // PIECES)
    with path.open("xb", buffering=0) as file:
        for piece in range(PIECES):
            _sleep_until(start + begin_s + span_s * (piece + 1) / (PIECES + 1))
            file.write(data[piece * size : (piece + 1) * size])


def _sleep_until(moment: float) -> None:
    wait_s = moment - time.monotonic()
    if wait_s > 0:
        time.sleep(wait_s)
