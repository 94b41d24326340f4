"""Engines: everything that runs a network. Arrays in, arrays out; knows no DICOM.

One door: :func:`open_engine`. Order of ``auto``: OpenVINO, then ONNX Runtime on the CPU.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from engines.base import Engine
from engines.errors import EngineError
from engines.manifest import Manifest, models_sha256, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

ORDER = ("openvino", "cpu")
"""Names for ``--engine``, best first."""
LIBRARY = {"openvino": "openvino", "cpu": "onnxruntime"}
MOST_THREADS = 8


def available() -> tuple[str, ...]:
    """Engines whose library is installed here, best first."""
    return tuple(name for name in ORDER if find_spec(LIBRARY[name]) is not None)


def default_threads() -> int:
    """CPUs this process may use, at most eight."""
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    )
    return min(count, MOST_THREADS)


def open_engine(
    model: str | Path,
    prefer: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
) -> Engine:
    """Open a network by name ("heart", "tree", "wall") or by its folder.

    ``prefer`` names an engine, which is then taken or refused, never replaced; "auto" takes the
    first that opens and keeps in ``notes`` why better ones did not. ``precision`` is "f32"
    (default) or "bf16" (OpenVINO only).

    Raises
    ------
    EngineError
        ENGINE_UNKNOWN, ENGINE_UNAVAILABLE, ENGINE_PRECISION, MODEL_MISSING, MODEL_INVALID,
        MODEL_TAMPERED, MODEL_MISMATCH.
    """
    manifest = read_manifest(model)
    if prefer != "auto":
        return _open(prefer, manifest, precision, threads)
    notes: list[str] = []
    for name in ORDER:
        try:
            engine = _open(name, manifest, precision, threads)
        except EngineError as error:
            if error.code.startswith("MODEL_"):
                raise
            notes.append(f"{name}: {error.text}")
            continue
        engine.notes = tuple(notes)
        return engine
    raise EngineError(
        "ENGINE_UNAVAILABLE",
        "No engine can be opened: " + " ".join(notes),
        "Run plaque-edge doctor.",
    )


def _open(name: str, manifest: Manifest, precision: str | None, threads: int | None) -> Engine:
    if name not in ORDER:
        raise EngineError(
            "ENGINE_UNKNOWN",
            f"There is no engine called {name!r}; known are auto, {', '.join(ORDER)}.",
        )
    count = threads or default_threads()
    if precision not in (None, "f32", "bf16") or (name == "cpu" and precision == "bf16"):
        raise EngineError(
            "ENGINE_PRECISION", f"The engine {name!r} has no precision {precision!r}.", "Use f32."
        )
    try:
        if name == "openvino":
            from engines.openvino_engine import OpenVinoEngine

            return OpenVinoEngine(manifest, count, precision or "f32")
        from engines.ort import OrtEngine

        return OrtEngine(manifest, count)
    except ImportError as error:
        here = ", ".join(available()) or "none"
        raise EngineError(
            "ENGINE_UNAVAILABLE",
            f"{LIBRARY[name]} cannot be loaded ({error}); installed here: {here}.",
            "Choose another engine or install it.",
        ) from error


__all__ = [
    "ORDER",
    "Engine",
    "EngineError",
    "Manifest",
    "available",
    "models_sha256",
    "open_engine",
    "read_manifest",
]
