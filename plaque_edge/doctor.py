"""``info``, ``doctor``, ``prepare`` and ``bench``: what this is, whether it is ready, how fast."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plaque_edge
from plaque_edge import RESEARCH_USE
from plaque_edge.commands import put_json
from plaque_edge.doctor_computer import computer_checks
from plaque_edge.errors import PlaqueEdgeError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

NEEDED = ("numpy", "scipy", "numba", "pydicom", "reportlab", "onnxruntime")
WANTED = ("openvino", "watchdog", "PySide6", "highdicom")
MIN_MEMORY_GB, MIN_DISK_GB = 3.5, 2.0


def info(options: argparse.Namespace) -> int:
    """Say what this is: version, Python, system, models."""
    root = Path(plaque_edge.__file__).parent.parent
    models = sorted(p.parent.name for p in (root / "engines" / "models").glob("*/model.toml"))
    data: dict[str, Any] = {
        "name": "plaque-edge",
        "version": plaque_edge.__version__,
        "notice": RESEARCH_USE,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "models": models,
        "result_schema": "plaque-edge/result/1",
        "licence": "Apache-2.0",
    }
    return _show(data, options.json)


def doctor(options: argparse.Namespace) -> int:
    """Check this computer; exit 1 when something needed is missing."""
    checks = [
        _python(),
        *(_package(p, True) for p in NEEDED),
        *(_package(p, False) for p in WANTED),
    ]
    checks += [_memory(), _disk(), *computer_checks(), *_engines(), _models(options.engine)]
    ready = all(c["level"] != "refuse" for c in checks)
    data = {"notice": RESEARCH_USE, "ready": ready, "checks": checks}
    if options.json:
        put(data, options.json)
    if options.json != "-":
        for check in checks:
            mark = {"pass": "OK     ", "warn": "warning", "refuse": "FAILURE"}[check["level"]]
            print(f"{mark} {check['code']}: {check['text']} {check['next_step']}".rstrip())
        print("Ready." if ready else "Not ready: see the lines marked FAILURE.")
        print(f"{RESEARCH_USE}.")
    return 0 if ready else 1


def prepare(options: argparse.Namespace) -> int:
    """Build plans, prove engines, compile kernels and open all once: no patient waits for it."""
    from engines.prepare import prepare_engines
    from plaque_edge.engines_cmd import say
    from plaque_edge.show.warm import warm_up as warm_viewer
    from plaque_edge.worker import Opener, warm_everything

    start = time.perf_counter()
    warm_viewer()
    rows = prepare_engines(options.engine, say=say)
    model = warm_everything(Opener(options.engine), run=True)
    data = {
        "notice": RESEARCH_USE,
        "seconds": round(time.perf_counter() - start, 2),
        "provider": model.provider,
        "precision": model.precision,
        "model": model.name,
        "model_version": model.version,
        "model_sha256": model.sha256,
    }
    if options.json:
        put({**data, "engines": [row.to_dict() for row in rows]}, options.json)
    if options.json != "-":
        _show(
            {**data, "proven": [f"{r.engine} {r.model} {r.precision}" for r in rows if r.good]},
            None,
        )
    return 0


def bench(options: argparse.Namespace) -> int:
    """Time each network on its own input shape, or quantify and reading beside libraries."""
    if options.what == "read":
        from plaque_edge.read_bench import bench as bench_read

        return bench_read(options)
    if options.what == "look":
        from plaque_edge.look_bench import bench as bench_look

        return bench_look(options)
    if options.what == "arrival":
        from plaque_edge.arrival_bench import bench as bench_arrival

        return bench_arrival(options)
    if options.what == "quantify":
        from plaque_edge.quantify_bench import bench as bench_quantify

        return bench_quantify(options)
    from plaque_edge.engine_bench import HEAD, line_of, time_engines

    data = time_engines(options.engine, options.repeat)
    if options.json:
        put(data, options.json)
    if options.json != "-":
        print("\n".join([HEAD, *map(line_of, data["engines"])]))
    return 0


def _show(data: dict[str, Any], target: str | None) -> int:
    if target:
        put(data, target)
    if target != "-":
        for key, value in data.items():
            text = ", ".join(value) or "none" if isinstance(value, list) else value
            print(f"{key.replace('_', ' '):<14} {text}")
    return 0


def put(data: dict[str, Any], target: str) -> None:
    """Write JSON to a file, or print it for "-"."""
    put_json(data, target, _write())


def _write() -> Callable[[dict[str, Any], Path], None]:
    from plaque_edge.export.result_json import write_json

    return write_json


def check(code: str, level: str, text: str, next_step: str = "") -> dict[str, str]:
    """Return one line of ``doctor``; ``level`` is pass, warn or refuse."""
    return {"code": code, "level": level, "text": text, "next_step": next_step}


def _python() -> dict[str, str]:
    good = sys.version_info >= (3, 11)
    text = f"Python {platform.python_version()} (3.11 or later is needed)"
    step = "" if good else "Install Python 3.11 or later, then start python3 run.py."
    return check("PYTHON", "pass" if good else "refuse", text, step)


def _package(name: str, needed: bool) -> dict[str, str]:
    if importlib.util.find_spec(name) is None:
        text = f"{name} is not installed"
        step = "Start it with python3 run.py, which installs everything."
        return check("PACKAGE", "refuse" if needed else "warn", text, step)
    return check("PACKAGE", "pass", f"{name} {_version(name)}".strip())


def _version(name: str) -> str:
    for dist in (name, f"{name}_Essentials"):
        try:
            return metadata.version(dist)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _memory() -> dict[str, str]:
    try:
        gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        step = f"See that the computer has {MIN_MEMORY_GB} GB or more."
        return check("MEMORY", "warn", "the size of the memory is not known", step)
    level = "pass" if gigabytes >= MIN_MEMORY_GB else "warn"
    return check(
        "MEMORY",
        level,
        f"{gigabytes:.1f} GB ({MIN_MEMORY_GB} GB or more is advised)",
        "" if level == "pass" else "Close other programs, or add memory.",
    )


def _disk() -> dict[str, str]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    level = "pass" if free >= MIN_DISK_GB else "warn"
    return check(
        "DISK",
        level,
        f"{free:.0f} GB free here ({MIN_DISK_GB:.0f} GB is advised)",
        "" if level == "pass" else "Free some space.",
    )


def _engines() -> list[dict[str, str]]:
    from plaque_edge.engines_cmd import engine_checks

    try:
        return engine_checks()
    except Exception as error:
        text = f"the engines cannot be looked at ({type(error).__name__})"
        return [check("PROVIDER", "warn", text, "Run plaque-edge engines verify.")]


def _models(engine: str) -> dict[str, str]:
    try:
        from plaque_edge.worker import Opener

        model = Opener(engine)().info()
    except PlaqueEdgeError as error:
        reason = error.reason
        return check("ENGINE", "refuse", f"{reason.code}: {reason.text}", reason.next_step)
    except Exception as error:
        text = f"the networks do not open ({type(error).__name__})"
        return check("ENGINE", "refuse", text, "Run plaque-edge engines verify.")
    text = f"{model.name} {model.version} on {model.provider}, {model.precision}"
    return check("ENGINE", "pass", text)
