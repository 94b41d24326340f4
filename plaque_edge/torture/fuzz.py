"""``torture fuzz``: thousands of damaged DICOM files through intake.

First each file alone, in a process that is watched for its memory, its time and its life: it
must end in exactly one bucket or be refused with a code. Then all of them, in batches, through
the service itself: it must live, and every file with a readable header must belong to a case
that came to an end.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psutil

from plaque_edge.cases import FINISHED
from plaque_edge.phantom.dicom import encode_instances
from plaque_edge.store import Store
from plaque_edge.torture import tubes
from plaque_edge.torture.mutate import mutate
from plaque_edge.torture.prey import Fate, feed
from plaque_edge.torture.sources import all_sources, tiny
from plaque_edge.torture.stream import Servant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MEMORY_MB = 2048
TIME_S = 30.0
"""Longest for one file; a busy computer needs a second for the worst."""
BATCH = 250
THROUGH = 500
"""Files that also go through the service, where each series takes seconds."""
_SERVICE_S = 900.0


def run(
    count: int, seed: int, say: Callable[[str], None], folders: Sequence[Path] = ()
) -> dict[str, Any]:
    """Damage ``count`` files and return what became of them."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="plaque-edge-fuzz-") as name:
        place = Path(name)
        made = _make(count, seed, place / "damaged", folders)
        say(f"{count} files made of {made['sources']} sources")
        eater = _Eater(place / "sound")
        fates = []
        for number, path in enumerate(sorted((place / "damaged").iterdir()), start=1):
            fates.append(eater.eat(path))
            if number % 500 == 0:
                say(f"{number} files, {len(eater.crashed)} crashes, {eater.peak_mb} MB at most")
        eater.close()
        service = _through_service(place, fates[:THROUGH], say)
    faults = [f"{f.name}: {f.fault}" for f in fates if f.fault]
    return {
        "files": count,
        **made,
        "buckets": dict(Counter(f.bucket for f in fates if f.bucket).most_common()),
        "codes": dict(Counter(f.code for f in fates if f.code).most_common()),
        "unforeseen": len(faults),
        "unforeseen_examples": faults[:10],
        "crashes": eater.crashed,
        "hangs": eater.hung,
        "over_2_gb": eater.heavy,
        "peak_mb": eater.peak_mb,
        "slowest_s": round(max(f.seconds for f in fates), 2),
        "service": service,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "passed": not (faults or eater.crashed or eater.hung or eater.heavy)
        and bool(service["passed"]),
    }


def _make(count: int, seed: int, folder: Path, homes: Sequence[Path]) -> dict[str, Any]:
    """Write the damaged files; each depends on the seed and its own number alone."""
    sources = all_sources(homes)
    names, everything = sorted(sources), list(sources.values())
    scans = [n for n in names if n.startswith("phantom") or "CT" in n]
    folder.mkdir()
    kinds: Counter[str] = Counter()
    for number in range(count):
        rng = random.Random(seed * 1_000_003 + number)
        kind, data = mutate(sources[rng.choice(rng.choice((names, scans)))], everything, rng)
        kinds.update(kind.split("+"))
        (folder / f"{number:05}-{kind[:60]}.dcm").write_bytes(data)
    return {"sources": len(sources), "damage": dict(kinds.most_common())}


class _Eater:
    """The process that reads, replaced whenever it dies, hangs or grows too large."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        made = encode_instances(tiny(), tubes.header("fuzz-explicit"))
        for name, data in list(made)[1:]:
            (folder / name).write_bytes(data)
        self._sound = tuple(sorted(folder.iterdir()))
        self.crashed: list[str] = []
        self.hung: list[str] = []
        self.heavy: list[str] = []
        self.peak_mb = 0
        self._start()

    def eat(self, path: Path) -> Fate:
        """Have one file read."""
        self._pipe.send(path)
        began, used = time.monotonic(), psutil.Process(self._process.pid)
        why = ""
        while not self._pipe.poll(0.02):
            try:
                weight = used.memory_info().rss >> 20
            except psutil.Error:
                weight = 0
            if not self._process.is_alive():
                why = f"exit code {self._process.exitcode}"
                self.crashed.append(f"{path.name}: {why}")
            elif weight > MEMORY_MB:
                why = f"{weight} MB"
                self.heavy.append(f"{path.name}: {why}")
            elif time.monotonic() - began > TIME_S:
                why = f"{TIME_S:.0f} s"
                self.hung.append(path.name)
            if why:
                self.close()
                self._start()
                return Fate(path.name, "", "", why, None, time.monotonic() - began, 0)
        fate: Fate = self._pipe.recv()
        self.peak_mb = max(self.peak_mb, fate.peak_mb)
        if fate.peak_mb > MEMORY_MB:
            self.heavy.append(f"{path.name}: peak {fate.peak_mb} MB")
            self.close()
            self._start()
        return fate

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=feed, args=(theirs, self._sound), daemon=True)
        self._process.start()
        theirs.close()


def _through_service(
    place: Path, fates: Sequence[Fate], say: Callable[[str], None]
) -> dict[str, Any]:
    """Let the files arrive in the service's folder, batch by batch."""
    folder, out_dir = place / "export", place / "results"
    folder.mkdir()
    servant = Servant(folder, out_dir, ("--late", "1"))
    servant.start()
    assert servant.process is not None
    process, peak, unfinished = psutil.Process(servant.process.pid), 0, 0
    wanted: set[tuple[str, str]] = set()
    for start in range(0, len(fates), BATCH):
        batch = fates[start : start + BATCH]
        (folder / f"{start:05}").mkdir()
        for fate in batch:
            source = place / "damaged" / fate.name
            shutil.move(source, folder / f"{start:05}" / fate.name)
        wanted |= {f.uids for f in batch if f.uids is not None}
        unfinished = _wait(out_dir, wanted, servant)
        alive = servant.process.poll() is None
        peak = max(peak, process.memory_info().rss >> 20) if alive else peak
        say(f"service: {start + len(batch)} files, {len(wanted)} series, {unfinished} unfinished")
        if not alive or unfinished:
            break
    alive = servant.process.poll() is None
    exit_code = servant.stop() if alive else servant.process.returncode
    with Store(out_dir, read_only=True) as store:
        rows = store.cases(everything=True)
    codes = Counter(r.reason.code if r.reason else r.state for r in rows)
    return {
        "files": len(fates),
        "alive": alive,
        "exit_code": exit_code,
        "series": len(wanted),
        "cases": len(rows),
        "unfinished": unfinished,
        "results": dict(codes.most_common()),
        "worker_crashes": codes.get("WORKER_DIED", 0),
        "peak_mb": peak,
        "passed": alive and exit_code == 0 and unfinished == 0,
    }


def _wait(out_dir: Path, wanted: set[tuple[str, str]], servant: Servant) -> int:
    """Wait until every series has an ended case; return how many have not."""
    left, end = len(wanted), time.monotonic() + _SERVICE_S
    while left and time.monotonic() < end:
        time.sleep(0.5)
        if servant.process is None or servant.process.poll() is not None:
            break
        try:
            with Store(out_dir, read_only=True) as store:
                rows = store.cases(everything=True)
        except Exception:  # not there yet
            continue
        ended = {(r.study_uid, r.series_uid) for r in rows if r.state in FINISHED}
        ongoing = {(r.study_uid, r.series_uid) for r in rows if r.state not in FINISHED}
        left = len(wanted - (ended - ongoing))
    return left
