"""``torture load``: studies arrive interleaved and shuffled, from four writers at once.

Events are lost on purpose (the watcher has none), every writer writes its files in pieces, and
what the watcher says at the end is compared with what was written: each series whole, none
mixed, none called complete before its last file.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from plaque_edge.config import WatchOptions
from plaque_edge.phantom.dicom import WriteOptions, encode_instances
from plaque_edge.series import read_candidates
from plaque_edge.torture import tubes
from plaque_edge.types import Volume
from plaque_edge.watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plaque_edge.types import SeriesInfo
    from plaque_edge.watch import SeriesSeen

SLICES, SIDE = 300, 16
"""Small slices: the number of files is what is tried here."""
WRITERS = 4
_PATIENCE_S = 900.0


def run(count: int, seed: int, say: Callable[[str], None], slices: int = SLICES) -> dict[str, Any]:
    """Write ``count`` studies and watch them come."""
    infos = [tubes.header(f"load-{seed}-{i}", patient_id=f"L{i}") for i in range(count)]
    with TemporaryDirectory(prefix="plaque-edge-load-") as name:
        folder = Path(name)
        writers = [
            threading.Thread(target=_write, args=(infos[w::WRITERS], folder, seed + w, slices))
            for w in range(WRITERS)
        ]
        watcher = Watcher((folder,), WatchOptions(quiet_s=2.0, events=False))
        began = time.monotonic()
        for writer in writers:
            writer.start()
        early, looks = 0, []
        found: tuple[SeriesSeen, ...] = ()
        while time.monotonic() - began < _PATIENCE_S:
            start = time.monotonic()
            found = watcher.scan()
            looks.append(time.monotonic() - start)
            early += sum(s.phase == "READY" and s.received < slices for s in found)
            writing = any(w.is_alive() for w in writers)
            if not writing and len(found) >= count and all(s.phase == "READY" for s in found):
                break
            time.sleep(0.05 if watcher.unread_soon else 0.4)
        took = time.monotonic() - began
        say(f"{count * slices} files in {took:.0f} s")
        wrong = _wrong(infos, found, slices)
        whole = sum(len(read_candidates(s.files).candidates) == 1 for s in found[:5])
    return {
        "studies": count,
        "slices_each": slices,
        "writers": WRITERS,
        "grouped_right": count - len(wrong),
        "wrong": wrong[:5],
        "called_complete_too_early": early,
        "seconds": round(took, 1),
        "looks": len(looks),
        "longest_look_s": round(max(looks), 2),
        "peak_mb": psutil.Process().memory_info().rss >> 20,
        "passed": not wrong and not early and whole == min(5, count),
    }


def _wrong(infos: list[SeriesInfo], found: tuple[SeriesSeen, ...], slices: int) -> list[str]:
    """Compare what was seen with what was written, in words."""
    seen = {s.uids: s for s in found}
    wrong = [] if len(found) == len(infos) else [f"{len(found)} series of {len(infos)}"]
    for info in infos:
        series = seen.get((info.study_instance_uid, info.series_instance_uid))
        if series is None or series.phase != "READY" or series.received != slices:
            wrong.append(f"{info.patient_id}: {series.received if series else 'no'} files")
        elif any(p.name.split("-")[0] != info.patient_id for p in series.files):
            wrong.append(f"{info.patient_id}: files of others")
    return wrong


def _write(infos: list[SeriesInfo], folder: Path, seed: int, slices: int) -> None:
    """Write the slices of several studies in random order, some of them in two pieces."""
    rng = random.Random(seed)
    waiting = [(info, _slices(info, slices)) for info in infos]
    while waiting:
        info, files = rng.choice(waiting)
        entry = next(files, None)
        if entry is None:
            waiting.remove((info, files))
            continue
        name, data = entry
        path = folder / f"{seed % 3}" / f"{info.patient_id}-{name}"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            if rng.random() < 0.05:
                file.write(data[: len(data) // 2])
                file.flush()
                time.sleep(0.005)
                file.write(data[len(data) // 2 :])
            else:
                file.write(data)


def _slices(info: SeriesInfo, slices: int) -> Iterator[tuple[str, bytes]]:
    hu = np.full((slices, SIDE, SIDE), 40, np.int16)
    volume = Volume(hu, (0.5, 4.0, 4.0), (0.0, 0.0, 0.0))
    return encode_instances(volume, info, WriteOptions(order="shuffled", names="random"))
