"""What a plan and a parity verdict hold for: this network, this library, this processor."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from engines.gpu import probe

if TYPE_CHECKING:
    from engines.manifest import Manifest

Key = dict[str, str]
DIGITS = 20
ON_GPU = ("tensorrt", "rtx", "cuda")
WORDS = {
    "model_sha256": "another version of the network",
    "version": "another version of the library",
    "gpu": "another GPU",
    "compute_capability": "another GPU",
    "driver": "another driver",
    "system": "another operating system",
}


def key_of(engine: str, manifest: Manifest) -> Key:
    """Return the key of one engine and network, in the manifest's precision, on this computer.

    Raises
    ------
    EngineError
        Those of :func:`engines.gpu.probe` and of loading TensorRT, for engines on a GPU.
    """
    gpu = probe() if engine in ON_GPU else None
    return {
        "engine": engine,
        "model": manifest.name,
        "model_sha256": manifest.sha256,
        "version": library_version(engine),
        "precision": manifest.precision,
        "gpu": gpu.name if gpu else cpu_name(),
        "compute_capability": gpu.compute_capability if gpu else "",
        "driver": f"{gpu.driver} CUDA {gpu.cuda}" if gpu else "",
        "system": f"{platform.system()} {platform.machine()}",
    }


def file_stem(key: Key) -> str:
    """Return a file name of one key: model, engine, hash of everything."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return f"{stem_prefix(key)}{digest[:DIGITS]}"


def stem_prefix(key: Key) -> str:
    """Return how the names begin for this model, engine and precision, whatever else is in it."""
    model = re.sub("[^A-Za-z0-9]+", "_", key["model"])
    return f"{model}-{key['engine']}-{key.get('precision', 'f32')}-"


def difference(old: Key, new: Key) -> str:
    """Say for people in what two keys differ."""
    words = (WORDS.get(name, name) for name in new if old.get(name) != new[name])
    return ", ".join(dict.fromkeys(words)) or "nothing known"


def library_version(engine: str) -> str:
    """Return the version of an engine's library, or "" where it is not installed."""
    if engine in ("tensorrt", "rtx"):
        from engines.trt.library import load

        return load(engine).version
    names = {"openvino": ("openvino",), "cuda": ("onnxruntime-gpu", "onnxruntime")}
    for name in names.get(engine, ("onnxruntime",)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


@cache
def cpu_name() -> str:
    """Return the processor's name: another one may compute differently."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()
