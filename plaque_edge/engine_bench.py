"""How fast each network runs on this computer: every usable engine and precision in one run.

Each is measured in a process of its own, so that peak memory is its own; input is that of the
parity gate, and the output is judged by it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from engines import EngineError, default_threads, read_manifest
from engines.choice import ORDER
from engines.keys import cpu_name
from engines.manifest import SHIPPED
from engines.openers import installed, open_one
from engines.parity import WINDOWS, compare
from engines.parity_input import windows
from engines.variants import RUNS, in_precision
from plaque_edge import RESEARCH_USE
from plaque_edge.memory import peak_mb

REFERENCE = ("cpu", "f32", "")
ISAS = ("", "AVX2")
"""Instruction sets; "" is all this processor has. Only OpenVINO can be held to fewer, and AVX2 has
no bf16."""


def time_engines(prefer: str = "auto", repeat: int = 3) -> dict[str, Any]:
    """Return the computer and one row per engine, precision, instruction set and network.

    ``repeat`` is the number of rounds over the gate's windows. A row holds the codes and
    sentences of :func:`engines.open_engine` under ``error`` where it could not be run.
    """
    wanted = [
        (engine, precision, isa)
        for engine in ORDER
        for precision in RUNS[engine]
        for isa in (ISAS if engine == "openvino" and precision != "bf16" else ISAS[:1])
        if installed(engine) and prefer in ("auto", engine)
    ]
    with tempfile.TemporaryDirectory(prefix="plaque-edge-bench-") as name:
        rows = []
        for network in SHIPPED:
            base = _measure_apart(network, REFERENCE, repeat, Path(name))
            rest = [
                _measure_apart(network, w, repeat, Path(name)) for w in wanted if w != REFERENCE
            ]
            rows += [_judged(row, base, Path(name)) for row in (base, *rest)]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "notice": RESEARCH_USE,
        "cpu": cpu_name(),
        "threads": default_threads(),
        "repeat": repeat,
        "load": load,
        "note": "ms are of the wall clock; cpu_ms of all threads together, which other work on "
        "the computer changes least. ONNX Runtime can't be held to AVX2.",
        "engines": rows,
    }


def _measure_apart(
    network: str, wanted: tuple[str, str, str], repeat: int, folder: Path
) -> dict[str, Any]:
    """Measure in a new process; its output lies in ``folder`` afterwards."""
    engine, precision, isa = wanted
    row = {"model": network, "engine": engine, "asked": precision, "isa": isa or "all"}
    code = (
        f"from plaque_edge.engine_bench import measure_here as m; m(*{[*_arguments(row, repeat)]})"
    )
    place = {"ONEDNN_MAX_CPU_ISA": isa} if isa else {}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / _file(row))],
        env={**os.environ, **place},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        text = f"The process ended with exit code {done.returncode}."
        return row | {"error": f"INTERNAL: {text} Run plaque-edge doctor."}
    found: dict[str, Any] = json.loads(lines[-1])
    return row | found


def _arguments(row: dict[str, Any], repeat: int) -> tuple[str, str, str, int]:
    return row["model"], row["engine"], row["asked"], repeat


def _file(row: dict[str, Any]) -> str:
    return f"{row['model']}-{row['engine']}-{row['asked']}-{row['isa']}.npy"


def measure_here(network: str, name: str, precision: str, repeat: int) -> None:
    """Measure in this process; print one line of JSON, write the output to ``argv[1]``."""
    try:
        found = _measure(network, name, precision, repeat)
    except EngineError as error:
        found = {"error": str(error)}
    print(json.dumps(found))


def _measure(network: str, name: str, precision: str, repeat: int) -> dict[str, Any]:
    manifest = read_manifest(network)
    x = windows(manifest, WINDOWS)
    start = time.perf_counter()
    with open_one(name, manifest, precision, gate=False) as engine:
        opened = time.perf_counter()
        np.save(sys.argv[1], engine.run(x[:1]))
        warm_ms = 1000 * (time.perf_counter() - start)
        times, busy = [], time.process_time()
        for i in range(WINDOWS * max(1, repeat)):
            begin = time.perf_counter()
            engine.run(x[i % WINDOWS][None])
            times.append(1000 * (time.perf_counter() - begin))
        busy = (time.process_time() - busy) / len(times)
        np.save(sys.argv[1], engine.run(x))
        return {
            "provider": engine.provider,
            "precision": engine.precision,
            "open_ms": round(1000 * (opened - start), 1),
            "warm_up_ms": round(warm_ms, 1),
            "min_ms": round(min(times), 1),
            "p50_ms": round(float(np.percentile(times, 50)), 1),
            "p95_ms": round(float(np.percentile(times, 95)), 1),
            "cpu_ms": round(1000 * busy, 1),
            "peak_mb": peak_mb(),
        }


def _judged(row: dict[str, Any], base: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Add the ratio to the reference and the gate's verdict."""
    if "error" in row or "error" in base:
        return row
    if row["precision"] != row["asked"]:
        text = f"It computes this in {row['precision']}."
        return row | {"error": f"ENGINE_PRECISION: {text} Use that precision."}
    manifest = in_precision(read_manifest(row["model"]), row["asked"])
    verdict = compare(np.load(folder / _file(base)), np.load(folder / _file(row)), manifest)
    return row | {
        "times_faster": round(base["min_ms"] / row["min_ms"], 2),
        "passed": verdict.passed,
        "reason": verdict.reason,
        "agreement": verdict.agreement,
        "worst_volume_percent": round(100 * max(map(abs, verdict.volume_off.values())), 3),
    }


def line_of(row: dict[str, Any]) -> str:
    """Return one row of the table."""
    head = f"{row['model']:<6} {row['engine']:<9} {row['asked']:<5} {row['isa']:<5}"
    if "error" in row:
        return f"{head} {row['error']}"
    return (
        f"{head} {row['p50_ms']:8.1f} {row['p95_ms']:8.1f} {row['cpu_ms']:8.1f} "
        f"{row['warm_up_ms']:8.0f} {row['peak_mb']:6d} {row['times_faster']:6.2f}  "
        f"{'passed' if row['passed'] else 'refused: ' + row['reason']}"
    )


HEAD = (
    f"{'net':<6} {'engine':<9} {'prec.':<5} {'isa':<5} {'p50 ms':>8} {'p95 ms':>8} {'cpu ms':>8} "
    f"{'warm ms':>8} {'MB':>6} {'faster':>6}  gate"
)
