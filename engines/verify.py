"""One report that proves the engines of a computer: what we can't run here, a site can."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from statistics import median
from typing import TYPE_CHECKING, Any

from engines.cuda import Cuda
from engines.errors import EngineError
from engines.gpu import probe
from engines.keys import ON_GPU, cpu_name
from engines.manifest import SHIPPED, read_manifest
from engines.openers import open_one
from engines.parity_input import windows
from engines.prepare import prepare_engines
from engines.status import engine_states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engines.base import Engine
    from engines.prepare import Row

FORMAT = "plaque-edge/engines/1"
PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "tensorrt-cu13-bindings",
    "tensorrt-cu12-bindings",
    "tensorrt-rtx-cu13-bindings",
    "tensorrt-rtx-cu12-bindings",
    "cuda-bindings",
    "numpy",
)
BATCH, REPEAT = 4, 5
MOST_LEFT_BYTES = 64 << 20
"""What CUDA may keep for itself after an engine was closed: its kernels, loaded at first use."""


def verify_engines(
    prefer: str = "auto",
    models: tuple[str | Path, ...] = SHIPPED,
    say: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """Build what is missing, compare afresh, time, and return the report as JSON-ready data.

    Holds no name of a computer, user or patient, and no path. ``passed`` says whether every
    engine that could run here may be used; a GPU engine without any GPU doesn't count, unless
    it is the one that was asked for.
    """
    rows = prepare_engines(prefer, models, say, fresh=True)
    entries = [_entry(row, models, say) for row in rows]
    failed = [e for e in entries if not e["good"] and not _idle(e, prefer)]
    return {
        "format": FORMAT,
        "made_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "passed": bool(entries) and not failed,
        "system": {
            "os": f"{platform.system()} {platform.release()} {platform.machine()}",
            "python": platform.python_version(),
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
        },
        "gpu": _gpu(),
        "packages": installed_packages(),
        "engines": [asdict(state) for state in engine_states(models)],
        "results": entries,
    }


def installed_packages() -> dict[str, str]:
    """Return the versions of what the engines run on, as far as installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _idle(entry: dict[str, Any], prefer: str) -> bool:
    return prefer == "auto" and str(entry["error"]).startswith("ENGINE_GPU_MISSING")


def _gpu() -> dict[str, Any]:
    try:
        return asdict(probe())
    except EngineError as error:
        return {"error": str(error)}


def _entry(row: Row, models: tuple[str | Path, ...], say: Callable[[str], None]) -> dict[str, Any]:
    entry: dict[str, Any] = {**row.to_dict(), "timing_ms": {}, "left_bytes": None}
    if not row.good:
        return entry
    say(f"{row.title}: timing")
    model = next(m for m in models if read_manifest(m).name == row.model)
    try:
        entry["timing_ms"], entry["left_bytes"] = _measure(row.engine, model, row.precision)
        if (entry["left_bytes"] or 0) > MOST_LEFT_BYTES:
            text = "Closing the engine did not free the GPU's memory."
            raise EngineError("ENGINE_LEAK", text, "Send this report to the maintainers.")
    except Exception as error:
        entry.update(good=False, error=str(error) or type(error).__name__)
    return entry


def _measure(name: str, model: str | Path, precision: str) -> tuple[dict[str, float], int | None]:
    """Open, run and close; on a GPU twice: the second closing must leave what the first left."""
    manifest, free_bytes = read_manifest(model), []
    timing: dict[str, float] = {}
    counts = (1, BATCH) if name in ON_GPU else (1,)  # on the CPU windows go one by one
    for _ in range(2 if name in ON_GPU else 1):
        start = time.perf_counter()
        with open_one(name, manifest, precision) as engine:
            timing["open"] = round(1000 * (time.perf_counter() - start), 2)
            timing |= {f"per_window_of_{count}": _time(engine, count) for count in counts}
        if name in ON_GPU:
            free_bytes.append(Cuda().memory_bytes()[0])
    return timing, max(0, free_bytes[0] - free_bytes[1]) if free_bytes else None


def _time(engine: Engine, count: int) -> float:
    """Return the median milliseconds per window when ``count`` go in at once."""
    x = windows(engine.manifest, count)
    engine.run(x)
    times = []
    for _ in range(REPEAT):
        start = time.perf_counter()
        engine.run(x)
        times.append(1000 * (time.perf_counter() - start) / count)
    return round(median(times), 3)
