"""What was fastest here: measured by ``prepare``, remembered for this computer and these weights.

Only engines that reproduced the reference are in it, and only precisions whose card allows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.errors import EngineError
from engines.keys import ON_GPU, Key, cpu_name, file_stem, library_version
from engines.private import cache_folder, read_record, write_record
from engines.variants import default_precisions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engines.manifest import Manifest

ORDER = (*ON_GPU, "openvino", "cpu")
"""Engines as ``auto`` tries them where nothing was measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One engine in one precision, and the milliseconds it took for one window."""

    engine: str
    precision: str
    ms: float


def order_of(manifest: Manifest) -> list[tuple[str, str]]:
    """Return (engine, precision) as ``auto`` tries them; f32 of every engine is always in it."""
    first = [(m.engine, m.precision) for m in read_choice(manifest)]
    gpu = [pair for pair in first if pair[0] in ON_GPU]
    cpu = [pair for pair in first if pair[0] not in ON_GPU]
    plain = [(name, "f32") for name in ORDER]
    order = gpu + plain[: len(ON_GPU)] + cpu + plain[len(ON_GPU) :]
    return list(dict.fromkeys(order))


def keep_choice(manifest: Manifest, measured: Sequence[Measured]) -> list[Measured]:
    """Keep the fastest precision of each GPU engine, and of the CPU; return what was kept.

    A GPU comes before the CPU in whatever order the numbers are; among the CPU's engines the
    fastest is the first.

    Raises
    ------
    EngineError
        PLAN_DISK_FULL, PLAN_NOT_WRITTEN.
    """
    fastest: dict[str, Measured] = {}
    for entry in sorted(measured, key=lambda m: m.ms):
        fastest.setdefault(entry.engine, entry)
    kept = sorted(
        fastest.values(),
        key=lambda m: (ON_GPU.index(m.engine), 0) if m.engine in ON_GPU else (9, m.ms),
    )
    rows = [[m.engine, m.precision, m.ms] for m in kept]
    key = _key(manifest)
    write_record(_path(key), {"key": key, "measured": rows})
    return kept


def read_choice(manifest: Manifest) -> list[Measured]:
    """Return what was kept for these weights on this computer; nothing where that is in doubt.

    What was kept when the lists still allowed it, and they no longer do, is left out.
    """
    key = _key(manifest)
    try:
        record = read_record(_path(key))
        if record["key"] != key:
            return []
        kept = [Measured(str(e), str(p), float(ms)) for e, p, ms in record["measured"]]
        return [m for m in kept if m.precision in default_precisions(m.engine, manifest)]
    except (EngineError, KeyError, TypeError, ValueError):
        return []


def _key(manifest: Manifest) -> Key:
    libraries = {name: library_version(name) for name in ("openvino", "cpu")}
    return {
        "engine": "choice",
        "model": manifest.name,
        "model_sha256": manifest.weights_sha256,
        "cpu": cpu_name(),
        **libraries,
    }


def _path(key: Key) -> Path:
    return cache_folder() / f"{file_stem(key)}.json"
