"""Engines: everything that runs a network. Arrays in, arrays out; knows no DICOM.

One door: :func:`open_engine`. Order of ``auto``: TensorRT, TensorRT-RTX, ONNX Runtime on CUDA,
then what ``prepare`` found fastest on this processor, else OpenVINO, ONNX Runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.base import Engine
from engines.choice import ORDER, order_of
from engines.errors import EngineError
from engines.keys import ON_GPU
from engines.manifest import Manifest, models_sha256, read_manifest
from engines.openers import available, default_threads, installed, open_one

if TYPE_CHECKING:
    from pathlib import Path


def open_engine(
    model: str | Path,
    prefer: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
) -> Engine:
    """Open a network by name ("heart", "tree", "wall") or by its folder.

    ``prefer`` names an engine, which is then taken or refused, never replaced; "auto" takes the
    first that opens and keeps in ``notes`` why better ones did not. ``precision`` is "f32",
    "f16", "int8" or "bf16", and may stand behind the engine's name ("openvino:int8"). Without
    it, "auto" takes what ``prepare`` found fastest among those whose volumes stay, and a named
    engine f32. Nothing is built here: plans come from ``prepare``.

    Raises
    ------
    EngineError
        ENGINE_UNKNOWN, ENGINE_UNAVAILABLE, ENGINE_PRECISION, ENGINE_PARITY, ENGINE_UNPROVEN,
        ENGINE_GPU_MISSING, ENGINE_DRIVER_OLD, ENGINE_OUT_OF_MEMORY, ENGINE_DEVICE_LOST, PLAN_*,
        MODEL_MISSING, MODEL_INVALID, MODEL_TAMPERED, MODEL_MISMATCH.
    """
    manifest = read_manifest(model)
    prefer, _, asked = prefer.partition(":")
    precision = precision or asked or None
    if prefer != "auto":
        return open_one(prefer, manifest, precision, threads)
    notes: list[str] = []
    for name, found in order_of(manifest):
        if name in ON_GPU and not installed(name):
            continue  # a computer without a GPU has nothing to explain
        try:
            engine = open_one(name, manifest, precision or found, threads)
        except EngineError as error:
            if error.code.startswith("MODEL_"):
                raise
            notes.append(f"{name}: {error.text}")
            continue
        engine.notes = tuple(dict.fromkeys(notes))
        return engine
    raise EngineError(
        "ENGINE_UNAVAILABLE",
        "No engine can be opened: " + " ".join(dict.fromkeys(notes)),
        "Run plaque-edge doctor.",
    )


__all__ = [
    "ORDER",
    "Engine",
    "EngineError",
    "Manifest",
    "available",
    "default_threads",
    "models_sha256",
    "open_engine",
    "read_manifest",
]
