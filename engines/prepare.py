"""Make the engines of this computer ready: build plans, compare with the reference, remember.

Run by ``plaque-edge prepare`` and ``engines verify``, never while a patient waits.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engines.errors import EngineError, told
from engines.keys import key_of
from engines.manifest import SHIPPED, read_manifest, read_weights
from engines.openers import ORDER, default_threads, installed, open_one
from engines.parity import compare, keep_verdict, outputs, read_verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from engines.base import Engine
    from engines.keys import Key
    from engines.manifest import Manifest
    from engines.parity import Verdict

REFERENCE = "cpu"


@dataclass(slots=True)
class Row:
    """What was done for one engine and network. ``error`` is "" or ``CODE: sentence. Step``."""

    engine: str
    model: str
    provider: str = ""
    precision: str = ""
    plan: str = ""
    build_s: float = 0.0
    verdict: Verdict | None = None
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether ``auto`` may use this engine for this network."""
        return not self.error and self.verdict is not None and self.verdict.passed

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {**asdict(self), "good": self.good}


def prepare_engines(
    prefer: str = "auto",
    models: tuple[str | Path, ...] = SHIPPED,
    say: Callable[[str], None] = lambda _text: None,
    *,
    fresh: bool = False,
) -> list[Row]:
    """Prepare the installed engines, or the named one; one row each, the reference left out.

    What was proven before is kept unless ``fresh``. Nothing is raised for an engine: what it
    lacks is in its row, and told, but for a missing GPU that nobody asked for.
    """
    names = [n for n in ORDER if n not in (REFERENCE,) and prefer in ("auto", n) and installed(n)]
    rows = []
    for model in models:
        reference = _Reference(read_manifest(model)) if names else None
        for name in names:
            assert reference is not None
            row = Row(name, reference.manifest.name)
            rows.append(row)
            try:
                _prepare_one(row, reference, say, fresh)
            except Exception as error:
                row.error = str(told(error, "Run plaque-edge doctor."))
                if prefer == name or not row.error.startswith("ENGINE_GPU_MISSING"):
                    say(f"{name}, {row.model}: {row.error}")
    return rows


class _Reference:
    """The reference's output of one network, computed when first asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._probability: NDArray[np.float32] | None = None

    def probability(self) -> NDArray[np.float32]:
        if self._probability is None:
            with open_one(REFERENCE, self.manifest, threads=default_threads()) as engine:
                self._probability = outputs(engine)
        return self._probability


def _prepare_one(row: Row, reference: _Reference, say: Callable[[str], None], fresh: bool) -> None:
    manifest = reference.manifest
    key = key_of(row.engine, manifest)
    known = None if fresh else read_verdict(key)
    with _opened(row, key, manifest, say) as engine:
        row.provider, row.precision = engine.provider, engine.precision
        if known is None or row.plan == "built":
            say(f"{row.engine}, {row.model}: comparing with the reference")
            known = compare(reference.probability(), outputs(engine), manifest)
            keep_verdict(key, known)
    row.verdict = known
    if not known.passed:
        say(f"{row.engine}, {row.model}: not used, {known.reason}")


def _opened(row: Row, key: Key, manifest: Manifest, say: Callable[[str], None]) -> Engine:
    """Open the engine; build its plan where there is none that is good."""
    if row.engine not in ("tensorrt", "rtx"):
        return open_one(row.engine, manifest, gate=False)
    try:
        row.plan = "kept"
        return open_one(row.engine, manifest, gate=False)
    except EngineError as error:
        if not error.code.startswith("PLAN_"):
            raise
        say(f"{row.engine}, {row.model}: {error.text} Building it, which may take minutes.")
    _build(row, key, manifest)
    say(f"{row.engine}, {row.model}: built in {row.build_s:.0f} s")
    return open_one(row.engine, manifest, gate=False)


def _build(row: Row, key: Key, manifest: Manifest) -> None:
    from engines.trt.build import build_plan
    from engines.trt.library import load
    from engines.trt.plans import save_plan

    start = time.perf_counter()
    plan, precision = build_plan(load(row.engine), manifest, read_weights(manifest))
    save_plan(key, plan, precision)
    row.plan, row.build_s = "built", round(time.perf_counter() - start, 2)
