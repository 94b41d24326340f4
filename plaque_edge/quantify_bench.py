"""``plaque-edge bench quantify``: our label statistics beside the libraries', in one run.

The volume has the size of a whole scan, once with labels of winding tubes as a vessel map has
them, and once with every voxel labelled. All give count, mean, SD, least and greatest HU and
bounding box of every label. The floor is the time of reading every byte of CT and labels once,
with as many threads. The libraries are those of the tests (requirements/test.txt).
"""

from __future__ import annotations

import math
import os
import platform
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from plaque_edge.errors import Failed
from plaque_edge.quantify.jit import jit, prange
from plaque_edge.quantify.label_stats import CHUNKS, label_statistics

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

LABELS = 7
LONG_MS = 5000.0
"""Who takes longer than this in all is not timed again."""
TURN_MS = 300.0
"""Who takes less than this is timed several times in each turn."""
NOTE = "Speed depends on the computer and what else it does; all four gave the same numbers."


@jit(parallel=True)
def _read_once(words: NDArray[np.uint64]) -> int:
    """Sum all words, in as many pieces as the statistics use: the memory floor."""
    out = np.zeros(CHUNKS, np.uint64)
    piece = (words.size + CHUNKS - 1) // CHUNKS
    for chunk in prange(CHUNKS):
        total = np.uint64(0)
        for i in range(chunk * piece, min((chunk + 1) * piece, words.size)):
            total += words[i]
        out[chunk] = total
    return int(out.sum())


def read_all(labels: NDArray[np.uint8], hu: NDArray[np.int16]) -> int:
    """Read every byte of both arrays once."""
    return _read_once(labels.reshape(-1).view(np.uint64)) + _read_once(
        hu.reshape(-1).view(np.uint64)
    )


def ours(labels: NDArray[np.uint8], hu: NDArray[np.int16]) -> NDArray[np.float64]:
    """Count and mean of labels 1 to 6, for checking that all agree."""
    s = label_statistics(labels, hu, LABELS)
    return np.stack([s.voxels[1:].astype(float), s.mean_hu[1:]])


def by_scipy(labels: NDArray[np.uint8], hu: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the same from scipy.ndimage."""
    from scipy import ndimage

    index = np.arange(1, LABELS)
    count = np.bincount(labels.ravel(), minlength=LABELS)[1:]
    mean = ndimage.mean(hu, labels, index)
    ndimage.standard_deviation(hu, labels, index)
    ndimage.minimum(hu, labels, index)
    ndimage.maximum(hu, labels, index)
    ndimage.find_objects(labels, LABELS - 1)
    return np.stack([count, mean])


def by_simpleitk(labels: NDArray[np.uint8], hu: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the same from SimpleITK's label statistics, its copy of the arrays included."""
    import SimpleITK as sitk

    f: Any = sitk.LabelStatisticsImageFilter()  # type: ignore[no-untyped-call]
    f.Execute(sitk.GetImageFromArray(hu), sitk.GetImageFromArray(labels))
    index = range(1, LABELS)
    return np.array([[f.GetCount(k) for k in index], [f.GetMean(k) for k in index]], np.float64)


def by_scikit(labels: NDArray[np.uint8], hu: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the same from scikit-image's regionprops."""
    from skimage.measure import regionprops_table

    names = ("area", "intensity_mean", "intensity_std", "intensity_min", "intensity_max", "bbox")
    make: Any = regionprops_table
    table = make(labels, intensity_image=hu, properties=names)
    return np.stack([table["area"], table["intensity_mean"]])


CONTENDERS: dict[str, Callable[[Any, Any], Any]] = {
    "plaque-edge": ours,
    "scipy.ndimage": by_scipy,
    "SimpleITK": by_simpleitk,
    "scikit-image": by_scikit,
}


def vessel_labels(shape: tuple[int, int, int], seed: int = 11) -> NDArray[np.uint8]:
    """Draw six tubes, 11 voxels wide, that wind through a scan."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    cube = np.argwhere(np.ones((11, 11, 11))) - 5
    ball = cube[np.linalg.norm(cube, axis=1) <= 5]
    for k in range(1, LABELS):
        walk = np.cumsum(rng.normal(0, 1, (400, 3)), axis=0)
        at = np.array(shape) / 2 + 4 * walk
        for p in at.astype(int):
            z, y, x = np.clip(ball + p, 0, np.array(shape) - 1).T
            labels[z, y, x] = k
    return labels


def run(repeat: int = 5, shape: tuple[int, int, int] = (128, 512, 512)) -> dict[str, Any]:
    """Time all contenders on both volumes. Raises ``Failed`` BENCH_DISAGREES."""
    rng = np.random.default_rng(3)
    slab = rng.integers(-1024, 1500, (16, *shape[1:]), dtype=np.int16)
    hu = np.ascontiguousarray(np.resize(slab, shape))
    slabs = np.arange(shape[0]) * (LABELS - 1) // shape[0] + 1
    dense = np.ascontiguousarray(np.broadcast_to(slabs[:, None, None], shape)).astype(np.uint8)
    names = ("numba", "numpy", "scipy", "SimpleITK", "scikit-image")
    return {
        "note": NOTE,
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {numba.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}"
        if hasattr(os, "getloadavg")
        else platform.machine(),
        "versions": {name: version(name) for name in names},
        "repeat": repeat,
        "volumes": {
            "vessel labels": _volume(vessel_labels(shape), hu, repeat),
            "every voxel labelled": _volume(dense, hu, repeat),
        },
    }


def _volume(labels: NDArray[np.uint8], hu: NDArray[np.int16], repeat: int) -> dict[str, Any]:
    expected = ours(labels, hu)
    rows: dict[str, dict[str, Any]] = {}
    read_all(labels, hu)
    for name, call in CONTENDERS.items():
        got, peak = _peak_mb(call, labels, hu)
        if not np.allclose(got, expected):
            text = f"{name} and plaque-edge give different numbers."
            raise Failed("BENCH_DISAGREES", text, "Report this; do not trust the measures.")
        rows[name] = {"peak_extra_mb": peak}
    times = best_ms({**CONTENDERS, "floor": read_all}, labels, hu, repeat)
    for name, row in rows.items():
        row["ms"] = times[name]
    best = min(row["ms"] for name, row in rows.items() if name != "plaque-edge")
    return {
        "shape_zyx": list(hu.shape),
        "labelled_percent": round(100.0 * float((labels > 0).mean()), 3),
        "read_once_ms": times["floor"],
        "contenders": rows,
        "times_faster_than_the_best": round(best / times["plaque-edge"], 1),
        "times_the_memory_floor": round(times["plaque-edge"] / times["floor"], 2),
    }


def best_ms(
    calls: Mapping[str, Callable[[Any, Any], Any]], labels: Any, hu: Any, repeat: int
) -> dict[str, float]:
    """Least of many runs each: what the computer can do when nothing else runs.

    All take turns, so that a busy spell of the computer meets all of them.
    """
    least = dict.fromkeys(calls, math.inf)
    spent = dict.fromkeys(calls, 0.0)
    for _ in range(repeat):
        for name, call in calls.items():
            until = spent[name] + TURN_MS
            while spent[name] < min(until, LONG_MS):
                start = time.perf_counter()
                call(labels, hu)
                took = 1000.0 * (time.perf_counter() - start)
                least[name], spent[name] = min(least[name], took), spent[name] + took
    return {name: round(ms, 2) for name, ms in least.items()}


def _peak_mb(call: Callable[[Any, Any], Any], labels: Any, hu: Any) -> tuple[Any, float | None]:
    """Return the result, and how far the process's memory rose (Linux only)."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        reset.write_text("5")
        before = _high_water(status.read_text())
    except OSError:
        return call(labels, hu), None
    got = call(labels, hu)
    return got, round(_high_water(status.read_text()) - before, 1)


def _high_water(status: str) -> float:
    line = next(x for x in status.splitlines() if x.startswith("VmHWM"))
    return float(line.split()[1]) / 1024.0


def bench(options: argparse.Namespace) -> int:
    """Print and write the figures."""
    from plaque_edge.commands import put_json
    from plaque_edge.export.result_json import write_json

    data = run(options.repeat)
    if options.json:
        put_json(data, options.json, write_json)
    if options.json != "-":
        print("\n".join(lines(data)))
    return 0


def lines(data: dict[str, Any]) -> list[str]:
    """Write the figures as text."""
    out = []
    for name, v in data["volumes"].items():
        out.append(f"{name} ({v['labelled_percent']} % of {v['shape_zyx']})")
        out.append(f"  {'reading every byte once':<24} {v['read_once_ms']:10.2f} ms")
        for who, row in v["contenders"].items():
            peak = row["peak_extra_mb"]
            extra = "" if peak is None else f"  +{peak:.0f} MB"
            out.append(f"  {who:<24} {row['ms']:10.2f} ms{extra}")
        out.append(f"  {v['times_faster_than_the_best']} times faster than the best library, "
                   f"{v['times_the_memory_floor']} times the memory floor")  # fmt: skip
    return [*out, data["machine"], data["note"]]
