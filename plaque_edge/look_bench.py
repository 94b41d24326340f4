"""What one look over folders full of old files costs, and when a new file in them is seen."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from plaque_edge.commands import put_json
from plaque_edge.config import WatchOptions
from plaque_edge.export.result_json import write_json
from plaque_edge.phantom.dicom import encode_instances
from plaque_edge.torture import tubes
from plaque_edge.types import Volume
from plaque_edge.watch import Watcher

if TYPE_CHECKING:
    import argparse

SERIES, SLICES = 67, 300
LOOKS: Final = 40
_OLD_S = 86_400.0


def bench(options: argparse.Namespace) -> int:
    """Time looks over 20,100 old files, in a folder for each series and all in one."""
    rows = [time_looks(flat, SERIES, SLICES) for flat in (False, True)]
    data = {"series": SERIES, "files": SERIES * SLICES, "rows": rows}
    if options.json:
        put_json(data, options.json, write_json)
    if options.json != "-":
        for row in rows:
            print(
                f"{row['folders']:>3} folders: a look takes {row['look_ms']} ms "
                f"({row['look_cpu_ms']} ms of CPU, longest {row['longest_ms']} ms), "
                f"with a file that has just come {row['arrival_ms']} ms"
            )
    return 0


def time_looks(flat: bool, series: int, slices: int) -> dict[str, Any]:
    """Return the figures for one arrangement, once every header was read.

    ``arrival_ms`` is of a look at which the folder of a file that has just come is listed.
    """
    with TemporaryDirectory(prefix="plaque-edge-look-") as name:
        place = Path(name)
        fill(place, flat, series, slices)
        watcher = Watcher((place,), WatchOptions(quiet_s=0.0, header_budget_s=1e6))
        start = time.perf_counter()
        watcher.scan()
        while watcher.busy or watcher.unread_soon:
            watcher.scan()
        first_s = time.perf_counter() - start
        time.sleep(4.0)  # as long as a folder's time may be too coarse to be believed
        watcher.scan()
        wall, cpu = _timed(watcher, LOOKS)
        newest = sorted(place.rglob("*.dcm"))[-1]
        arrivals = []
        for number in range(5):
            fresh = newest.with_name(f"new-{number}")
            fresh.write_bytes(newest.read_bytes())
            arrivals += _timed(watcher, 1)[0]
        return {
            "folders": 1 if flat else series,
            "first_reading_s": round(first_s, 1),
            "look_ms": round(median(wall), 1),
            "look_cpu_ms": round(median(cpu), 1),
            "longest_ms": round(max(wall), 1),
            "arrival_ms": round(median(arrivals), 1),
        }


def fill(place: Path, flat: bool, series: int, slices: int) -> None:
    """Write old scans of tiny images."""
    volume = Volume(np.zeros((slices, 8, 8), np.int16), (0.5, 0.4, 0.4), (0.0, 0.0, 0.0))
    then = time.time() - _OLD_S
    for number in range(series):
        folder = place if flat else place / f"{number:03}"
        folder.mkdir(exist_ok=True)
        for name, data in encode_instances(volume, tubes.header(f"old-{number}")):
            path = folder / f"{number:03}-{name}.dcm"
            path.write_bytes(data)
            os.utime(path, (then, then))


def _timed(watcher: Watcher, count: int) -> tuple[list[float], list[float]]:
    """Return what each look took, in ms, and what of it was this process's CPU."""
    wall, cpu = [], []
    for _ in range(count):
        began, used = time.perf_counter(), time.process_time()
        watcher.scan()
        wall.append(1000.0 * (time.perf_counter() - began))
        cpu.append(1000.0 * (time.process_time() - used))
    return wall, cpu
