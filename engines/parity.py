"""The parity gate: an engine must reproduce ONNX Runtime's f32 on the CPU before its first use.

Verdicts are made at ``prepare`` and by ``engines verify``, and kept beside the plans under the
same key. Without a verdict only f32 on the CPU is used.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engines.errors import EngineError
from engines.keys import ON_GPU, file_stem
from engines.parity_input import windows
from engines.private import PREPARE, cache_folder, read_record, write_record

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from engines.base import Engine
    from engines.keys import Key
    from engines.manifest import Manifest

WINDOWS = 3
"""Enough that a pipelined engine reuses its buffers."""
LEAST_VOXELS = 200
"""A class smaller than this has no Dice, and its volume is compared with this one."""


class Limits(NamedTuple):
    """What a precision may differ from the reference."""

    agreement: float
    dice: float
    volume_off: float


STRICT, COARSE = Limits(0.999, 0.99, 0.01), Limits(0.99, 0.95, 0.02)
LIMITS = {"f32": STRICT, "f16": STRICT, "bf16": COARSE, "int8": COARSE}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an engine reproduces the reference, by how much, and what failed."""

    passed: bool
    reason: str
    agreement: float
    dice: dict[str, float] = field(default_factory=dict)
    volume_off: dict[str, float] = field(default_factory=dict)


def outputs(engine: Engine) -> NDArray[np.float32]:
    """Run the fixed input; probabilities ``(WINDOWS, k, z, y, x)``."""
    return engine.run(windows(engine.manifest, WINDOWS))


def compare(
    reference: NDArray[np.float32], tested: NDArray[np.float32], manifest: Manifest
) -> Verdict:
    """Judge probabilities ``(n, k, z, y, x)``, in the manifest's precision, by the reference's."""
    if not np.isfinite(tested).all():
        return Verdict(False, "it returned numbers that are not finite", 0.0)
    a, b = reference.argmax(1), tested.argmax(1)
    agreement = float((a == b).mean())
    dice, off = {}, {}
    for k, name in enumerate(manifest.classes):
        in_a, in_b = a == k, b == k
        both = int(in_a.sum()) + int(in_b.sum())
        if both >= 2 * LEAST_VOXELS:
            dice[name] = round(2 * float((in_a & in_b).sum()) / both, 6)
        volume = float(reference[:, k].sum(dtype=np.float64))
        change = float(tested[:, k].sum(dtype=np.float64)) - volume
        off[name] = round(change / max(volume, LEAST_VOXELS), 6)
    reason = _reason(agreement, dice, off, LIMITS[manifest.precision])
    return Verdict(not reason, reason, round(agreement, 6), dice, off)


def _reason(agreement: float, dice: dict[str, float], off: dict[str, float], limits: Limits) -> str:
    found = []
    if agreement < limits.agreement:
        found.append(f"only {100 * agreement:.2f} % of the voxels agree")
    found += [f"Dice of {n} is {v:.3f}" for n, v in dice.items() if v < limits.dice]
    found += [
        f"volume of {n} is off by {100 * v:+.1f} %"
        for n, v in off.items()
        if abs(v) > limits.volume_off
    ]
    return ", ".join(found)


def keep_verdict(key: Key, verdict: Verdict) -> None:
    """Write a verdict. Raises PLAN_DISK_FULL, PLAN_NOT_WRITTEN."""
    write_record(_path(key), {"key": key, **asdict(verdict)})


def read_verdict(key: Key) -> Verdict | None:
    """Return the verdict on this key; None where there is none that can be relied on."""
    try:
        data: dict[str, Any] = read_record(_path(key))
        if data.pop("key") != key or not isinstance(data["passed"], bool):
            return None
        return Verdict(**data)
    except (EngineError, KeyError, TypeError):
        return None


def require_parity(key: Key) -> None:
    """Let an engine pass, or not. Raises ENGINE_PARITY, ENGINE_UNPROVEN."""
    verdict = read_verdict(key)
    if verdict is None:
        if key["engine"] in ON_GPU or key["precision"] != "f32":
            text = f"{key['model']!r} was not yet compared with the reference on this engine."
            raise EngineError("ENGINE_UNPROVEN", text, PREPARE)
    elif not verdict.passed:
        raise EngineError(
            "ENGINE_PARITY",
            f"{key['model']!r} does not give the reference's result: {verdict.reason}.",
            "It is not used; send the file of plaque-edge engines verify to the maintainers.",
        )


def _path(key: Key) -> Path:
    return cache_folder() / f"{file_stem(key)}.verdict.json"
