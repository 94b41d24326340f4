"""How fast each network runs on this computer, on input of its own shape."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import numpy as np

from engines import EngineError, open_engine
from plaque_edge.errors import Failed

MODELS = ("heart", "tree", "wall")


def time_engines(prefer: str = "auto", repeat: int = 3) -> list[dict[str, Any]]:
    """Return one row per network: what it ran on, and the median milliseconds of one run.

    The first run, which allocates, is reported apart as ``first_ms``. Raises ``Failed``
    with the codes of :func:`engines.open_engine`.
    """
    try:
        return [_time_one(name, prefer, repeat) for name in MODELS]
    except EngineError as error:
        raise Failed(error.code, error.text, error.next_step) from error


def _time_one(name: str, prefer: str, repeat: int) -> dict[str, Any]:
    with open_engine(name, prefer) as engine:
        shape = (1, len(engine.manifest.channels), *engine.manifest.shape)
        x = np.random.default_rng(0).random(shape, dtype=np.float32)
        times = []
        for _ in range(max(1, repeat) + 1):
            start = time.perf_counter()
            engine.run(x)
            times.append(1000.0 * (time.perf_counter() - start))
        return {
            "model": name,
            "provider": engine.provider,
            "precision": engine.precision,
            "input_shape": list(shape),
            "first_ms": round(times[0], 1),
            "median_ms": round(median(times[1:]), 1),
        }
