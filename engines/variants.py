"""Files of other precision beside ``model.onnx``, as ``variants.toml`` lists them.

``plaque-edge train variants`` writes both from one ``model.onnx``, with what each moves on
phantoms; files that were made from other weights are never used.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engines.errors import EngineError

if TYPE_CHECKING:
    from engines.manifest import Manifest

LIST = "variants.toml"
IN_FILES = ("f16", "int8")
"""Precisions that are files of their own; bf16 is f32's file, rounded by the processor."""
PRECISIONS = ("f32", *IN_FILES, "bf16")
RUNS = {
    "tensorrt": ("f32", "f16", "int8"),
    "rtx": ("f32", "f16", "int8"),
    "cuda": ("f32", "f16"),
    "openvino": ("f32", "f16", "int8", "bf16"),
    "cpu": ("f32",),  # int8 is slower than f32 there, and takes more memory
}
"""What each engine may be asked for."""
MOST_MOVED_PERCENT = 1.0
LEAST_PHANTOMS = 6
"""A precision that moves volumes by more on average, or that was measured on fewer phantoms, is
never taken unasked: two phantoms showed 0.3 % where eight others showed 4.6 %."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One precision of a network: its file ("" for f32's own), what it moves, on how many."""

    precision: str
    onnx: str
    sha256: str
    moved_percent: float
    phantoms: int

    @property
    def may_be_default(self) -> bool:
        """Whether it may be taken without being asked for."""
        return self.moved_percent <= MOST_MOVED_PERCENT and self.phantoms >= LEAST_PHANTOMS


def read_variants(manifest: Manifest) -> dict[str, Variant]:
    """Return the measured precisions of a network; none where there is no list of these weights.

    Raises
    ------
    EngineError
        MODEL_INVALID.
    """
    path = manifest.folder / LIST
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        if table["source_sha256"] != manifest.weights_sha256:
            return {}
        return {name: _variant(name, table[name]) for name in PRECISIONS if name in table}
    except (tomllib.TOMLDecodeError, KeyError, ValueError, TypeError) as error:
        raise EngineError(
            "MODEL_INVALID",
            f"The {LIST} of {manifest.name!r} cannot be read: {error}.",
            "Install the model again.",
        ) from error


def _variant(name: str, table: dict[str, Any]) -> Variant:
    measured = table["measured"]
    files = str(table.get("onnx", "")), str(table.get("sha256", ""))
    return Variant(name, *files, float(measured["moved_percent"]), int(measured.get("phantoms", 0)))


def in_precision(manifest: Manifest, precision: str) -> Manifest:
    """Return the manifest with the file of ``precision``. Raises ENGINE_PRECISION."""
    if precision not in IN_FILES:
        return replace(manifest, precision=precision)
    found = read_variants(manifest).get(precision)
    if found is None:
        raise EngineError(
            "ENGINE_PRECISION",
            f"{manifest.name!r} has no {precision} file made from its present weights.",
            "Run plaque-edge train variants, or use f32.",
        )
    return replace(
        manifest,
        precision=precision,
        onnx=manifest.folder / found.onnx,
        sha256=found.sha256,
    )


def default_precisions(engine: str, manifest: Manifest) -> tuple[str, ...]:
    """Return the precisions of an engine that may be taken unasked, f32 first."""
    known = read_variants(manifest)
    good = (p for p in RUNS[engine] if p in known and known[p].may_be_default)
    return ("f32", *good)
