"""How each engine is opened: what must be there first, and what is said when it isn't."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from engines.choice import ORDER
from engines.errors import EngineError
from engines.gpu import probe
from engines.keys import ON_GPU, key_of
from engines.manifest import read_weights
from engines.parity import require_parity
from engines.trt import library
from engines.variants import RUNS, in_precision

if TYPE_CHECKING:
    from engines.base import Engine
    from engines.manifest import Manifest

LIBRARY = {
    **library.TITLES,
    "cuda": "onnxruntime-gpu",
    "openvino": "openvino",
    "cpu": "onnxruntime",
}
MOST_THREADS = 8


def installed(name: str) -> bool:
    """Say whether an engine's library is here, without importing it."""
    if name == "cuda":
        from engines.ort import cuda_installed

        return cuda_installed()
    if name in ("tensorrt", "rtx"):
        return library.installed(name) is not None
    return _is_whole(LIBRARY[name])


def _is_whole(module: str) -> bool:
    """Say whether a module is here with its code, not as a folder left by an uninstallation."""
    spec = find_spec(module)
    return spec is not None and spec.origin is not None


def missing(name: str) -> EngineError:
    """Return what to say of an engine whose library is not here."""
    if name in ("cuda", "cpu") and find_spec("onnxruntime") and not _is_whole("onnxruntime"):
        from engines.ort import in_part

        return in_part()
    text = f"{LIBRARY[name]} is not installed."
    return EngineError("ENGINE_UNAVAILABLE", text, "See docs/engines.md.")


def available() -> tuple[str, ...]:
    """Engines whose library is installed here, best first."""
    return tuple(name for name in ORDER if installed(name))


def default_threads() -> int:
    """CPUs this process may use, at most eight."""
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    )
    return min(count, MOST_THREADS)


def open_one(
    name: str,
    manifest: Manifest,
    precision: str | None = None,
    threads: int | None = None,
    *,
    gate: bool = True,
) -> Engine:
    """Open this engine or refuse; ``gate=False`` is for who is about to make the verdict.

    Raises
    ------
    EngineError
        As :func:`engines.open_engine`.
    """
    if name not in ORDER:
        raise EngineError(
            "ENGINE_UNKNOWN",
            f"There is no engine called {name!r}; known are auto, {', '.join(ORDER)}.",
            "Name one of these, or auto.",
        )
    precision = precision or "f32"
    if precision not in RUNS[name]:
        raise EngineError(
            "ENGINE_PRECISION",
            f"The engine {name!r} has no precision {precision!r}.",
            f"Use {' or '.join(RUNS[name])}.",
        )
    manifest = in_precision(manifest, precision)
    try:
        if name in ON_GPU:
            return _open_on_gpu(name, manifest, gate)
        return _open_on_cpu(name, manifest, threads, gate)
    except ImportError as error:
        here = ", ".join(available()) or "none"
        raise EngineError(
            "ENGINE_UNAVAILABLE",
            f"{LIBRARY[name]} cannot be loaded ({error}); installed here: {here}.",
            "Choose another engine or install it.",
        ) from error


def _open_on_cpu(name: str, manifest: Manifest, threads: int | None, gate: bool) -> Engine:
    count = threads or default_threads()
    if name == "openvino":
        if gate:
            require_parity(key_of(name, manifest))
        from engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(manifest, count)
    from engines.ort import OrtEngine

    return OrtEngine(manifest, count)


def _open_on_gpu(name: str, manifest: Manifest, gate: bool) -> Engine:
    if not installed(name):
        raise ImportError(f"{LIBRARY[name]} is not installed")
    gpu = probe()
    try:
        if name == "cuda":
            return _open_cuda(manifest, gpu.name, gate)
        return _open_trt(name, manifest, gpu.name, gate)
    except (EngineError, ImportError):
        raise
    except Exception as error:  # a driver's or a library's own: the next engine may serve
        raise EngineError(
            "ENGINE_FAILED",
            f"{LIBRARY[name]} failed with an unexpected {type(error).__name__}.",
            "Run plaque-edge engines verify.",
        ) from error


def _open_cuda(manifest: Manifest, gpu_name: str, gate: bool) -> Engine:
    if gate:
        require_parity(key_of("cuda", manifest))
    from engines.ort import OrtCudaEngine

    return OrtCudaEngine(manifest, gpu_name)


def _open_trt(name: str, manifest: Manifest, gpu_name: str, gate: bool) -> Engine:
    from engines.trt.engine import TrtEngine
    from engines.trt.plans import load_plan

    read_weights(manifest)  # a plan outlives its ONNX file, but not unnoticed
    key = key_of(name, manifest)
    plan, precision = load_plan(key)
    if gate:
        require_parity(key)
    return TrtEngine(manifest, library.load(name), plan, precision, gpu_name)
