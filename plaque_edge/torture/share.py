"""``torture share``: the watched folder is really gone for a while, again and again.

The folder is renamed away while slices arrive and come back, as a share that drops and is
mounted again. The service must take the series up by itself, once, whole, with the right
numbers, and the store must have said that the folder was away.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from plaque_edge.cases import FINISHED
from plaque_edge.store import Store
from plaque_edge.torture.stream import Patterns, Servant, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaque_edge.torture.stream import Scan

GONE_S = (0.5, 10.0, 300.0)
"""How long the share is away; a ``count`` of 1 or 2 leaves the longer ones out."""
_NOTICED_S, _BACK_S = 5.0, 120.0


def run(count: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Take the folder away for each of the first ``count`` times; return what came of it."""
    rng = random.Random(seed)
    with TemporaryDirectory(prefix="plaque-edge-share-") as name:
        place = Path(name)
        folder, out_dir = place / "share", place / "results"
        folder.mkdir()
        patterns = Patterns()
        patterns.learn(place / "reference")
        servant = Servant(folder, out_dir, ("--late", "30"))
        servant.start()
        rows, scans = [], []
        try:
            for number, gone_s in enumerate(GONE_S[:count]):
                row, scan = _one(number, gone_s, rng, (patterns, folder, out_dir))
                rows.append(row)
                scans.append(scan)
                say(f"gone for {gone_s} s: {row}")
        finally:
            exit_code = servant.stop()
        found = judge(patterns, scans, out_dir)
    bad = any(found[k] for k in ("lost", "duplicated", "wrong", "input_altered"))
    told = all(r["told_after_s"] is not None for r in rows if r["gone_s"] > 1)
    return {"absences": rows, **found, "exit_code": exit_code,
            "passed": not bad and told and exit_code == 0}  # fmt: skip


def _one(
    number: int, gone_s: float, rng: random.Random, scene: tuple[Patterns, Path, Path]
) -> tuple[dict[str, Any], Scan]:
    """Send one scan, half of its slices before the folder goes away; wait for the result."""
    patterns, folder, out_dir = scene
    half = patterns.write(number, folder.parent / "sender")
    paths = rng.sample(sorted(half.files), len(half.files))  # so that there are gaps
    place = folder / f"{number:04}"
    place.mkdir()
    for path in paths[: len(paths) // 2]:
        path.rename(place / path.name)
    time.sleep(rng.uniform(0.3, 1.5))
    away = folder.with_name("unplugged")
    folder.rename(away)
    told: list[float] = []
    watching = threading.Thread(target=_listen, args=(out_dir, gone_s, told), daemon=True)
    watching.start()
    time.sleep(gone_s)
    away.rename(folder)
    for path in paths[len(paths) // 2 :]:
        path.rename(place / path.name)
    back = time.monotonic()
    watching.join()
    while time.monotonic() - back < _BACK_S and not _finished(out_dir, half.uids):
        time.sleep(0.1)
    took = time.monotonic() - back
    files = {place / path.name: digest for path, digest in half.files.items()}
    row = {
        "gone_s": gone_s,
        "told_after_s": round(told[0], 2) if told else None,
        "result_s_after_return": round(took, 1),
    }
    return row, type(half)(half.uids, half.pattern, files)


def _listen(out_dir: Path, gone_s: float, told: list[float]) -> None:
    """Note when the store first says that the folder is away."""
    began = time.monotonic()
    while time.monotonic() - began < min(gone_s + 1.0, 60.0) and not told:
        try:
            with Store(out_dir, read_only=True) as store:
                if any(c.code == "FOLDER_AWAY" for c in store.conditions()):
                    told.append(time.monotonic() - began)
        except Exception:  # not there yet
            pass
        time.sleep(0.05)


def _finished(out_dir: Path, uids: tuple[str, str]) -> bool:
    try:
        with Store(out_dir, read_only=True) as store:
            row = store.latest(*uids)
    except Exception:
        return False
    return row is not None and row.state in FINISHED
