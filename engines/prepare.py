"""Make the engines of this computer ready: build plans, compare with the reference, measure.

Run by ``plaque-edge prepare`` and ``engines verify``, never while a patient waits.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from engines.choice import ORDER, Measured, keep_choice, read_choice
from engines.errors import EngineError, told
from engines.keys import key_of
from engines.manifest import SHIPPED, read_manifest, read_weights
from engines.openers import default_threads, installed, open_one
from engines.parity import WINDOWS, compare, keep_verdict, outputs, read_verdict
from engines.parity_input import windows
from engines.progress import Progress
from engines.variants import RUNS, default_precisions, in_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from engines.base import Engine
    from engines.keys import Key
    from engines.manifest import Manifest
    from engines.parity import Verdict

REFERENCE = "cpu"
PLANNED = ("tensorrt", "rtx")


@dataclass(slots=True)
class Row:
    """What was done for one engine and network. ``error`` is "" or ``CODE: sentence. Step``."""

    engine: str
    model: str
    provider: str = ""
    precision: str = "f32"
    plan: str = ""
    build_s: float = 0.0
    window_ms: float | None = None
    verdict: Verdict | None = None
    error: str = ""

    @property
    def good(self) -> bool:
        """Whether ``auto`` may use this engine for this network."""
        return not self.error and self.verdict is not None and self.verdict.passed

    @property
    def title(self) -> str:
        """What it is about, for people."""
        return f"{self.engine} {self.precision}, {self.model}"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {**asdict(self), "good": self.good}


def prepare_engines(
    prefer: str = "auto",
    models: tuple[str | Path, ...] = SHIPPED,
    say: Callable[[str], None] = lambda _text: None,
    *,
    fresh: bool = False,
    precisions: Sequence[str] | None = None,
) -> list[Row]:
    """Prepare the installed engines, or the named one; one row each, the reference left out.

    Every precision whose card allows it is compared and timed, or those of ``precisions``; with
    "auto" the fastest is kept as this computer's choice. What was proven before is kept unless
    ``fresh``. Nothing is raised for an engine: what it lacks is in its row, and told, but for a
    missing GPU that nobody asked for.
    """
    names = [n for n in ORDER if n != REFERENCE and prefer in ("auto", n) and installed(n)]
    work = []
    for model in models if names else ():
        reference = _Reference(read_manifest(model))
        rows = [
            Row(name, reference.manifest.name, precision=precision)
            for name in names
            for precision in precisions or default_precisions(name, reference.manifest)
            if precision in RUNS[name]
        ]
        work.append((reference, rows))
    progress = Progress(say, sum(len(rows) for _, rows in work))
    for reference, rows in work:
        for row in rows:
            with progress.step():
                _try_one(row, reference, progress, fresh, asked=prefer == row.engine)
        if prefer == "auto" and precisions is None:
            _choose(reference, rows, progress, fresh)
    return [row for _, rows in work for row in rows]


class _Reference:
    """The reference's output of one network, computed when first asked for."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._probability: NDArray[np.float32] | None = None
        self.ms = 0.0

    def probability(self) -> NDArray[np.float32]:
        if self._probability is None:
            with open_one(REFERENCE, self.manifest, threads=default_threads()) as engine:
                self._probability, self.ms = timed_outputs(engine)
        return self._probability


def timed_outputs(engine: Engine) -> tuple[NDArray[np.float32], float]:
    """Run the gate's fixed input; probabilities ``(WINDOWS, k, z, y, x)``, median ms of one."""
    out = outputs(engine)
    times = []
    for window in windows(engine.manifest, WINDOWS):
        start = time.perf_counter()
        engine.run(window[None])
        times.append(1000 * (time.perf_counter() - start))
    return out, round(median(times), 3)


def _try_one(
    row: Row, reference: _Reference, progress: Progress, fresh: bool, *, asked: bool
) -> None:
    try:
        _prepare_one(row, reference, progress, fresh)
    except Exception as error:
        row.error = str(told(error, "Run plaque-edge doctor."))
        if asked or not row.error.startswith("ENGINE_GPU_MISSING"):
            progress.say(f"{row.title}: {row.error}")


def _prepare_one(row: Row, reference: _Reference, progress: Progress, fresh: bool) -> None:
    manifest = in_precision(reference.manifest, row.precision)
    key = key_of(row.engine, manifest)
    known = None if fresh else read_verdict(key)
    known_ms = {(m.engine, m.precision): m.ms for m in read_choice(reference.manifest)}
    with _opened(row, key, manifest, progress) as engine:
        row.provider = engine.provider
        if engine.precision != row.precision:
            text = f"It computes this network in {engine.precision}."
            raise EngineError("ENGINE_PRECISION", text, "Use that precision.")
        row.window_ms = known_ms.get((row.engine, row.precision))
        if known is None or row.plan == "built":
            progress.say(f"{row.title}: comparing with the reference")
            tested, row.window_ms = timed_outputs(engine)
            known = compare(reference.probability(), tested, manifest)
            keep_verdict(key, known)
    row.verdict = known
    if not known.passed:
        progress.say(f"{row.title}: not used, {known.reason}")


def _choose(reference: _Reference, rows: list[Row], progress: Progress, fresh: bool) -> None:
    """Keep the fastest of what was proven, where any of it is new."""
    manifest = reference.manifest
    good = [row for row in rows if row.good]
    known = {(m.engine, m.precision): m.ms for m in read_choice(manifest)}
    # What was measured before and lost then has no number, and needs none.
    new = [r for r in good if r.window_ms not in (None, known.get((r.engine, r.precision)))]
    if known and not fresh and not new:
        return
    try:
        kept = keep_choice(manifest, _measured(reference, good))
    except (EngineError, ImportError) as error:
        progress.say(str(error))
        return
    first = kept[0]
    progress.say(f"{manifest.name}: {first.engine} {first.precision}, {first.ms:.0f} ms a window")


def _measured(reference: _Reference, good: list[Row]) -> list[Measured]:
    reference.probability()
    measured = [Measured(REFERENCE, "f32", reference.ms)]
    for row in good:
        if row.window_ms is None:
            with open_one(row.engine, reference.manifest, row.precision) as engine:
                row.window_ms = timed_outputs(engine)[1]
        measured.append(Measured(row.engine, row.precision, row.window_ms))
    return measured


def _opened(row: Row, key: Key, manifest: Manifest, progress: Progress) -> Engine:
    """Open the engine; build its plan where there is none that is good."""
    if row.engine not in PLANNED:
        return open_one(row.engine, manifest, manifest.precision, gate=False)
    try:
        row.plan = "kept"
        return open_one(row.engine, manifest, manifest.precision, gate=False)
    except EngineError as error:
        if not error.code.startswith("PLAN_"):
            raise
        progress.say(f"{row.title}: {error.text} Building it, which may take minutes.")
    _build(row, key, manifest, progress)
    progress.say(f"{row.title}: built in {row.build_s:.0f} s")
    return open_one(row.engine, manifest, manifest.precision, gate=False)


def _build(row: Row, key: Key, manifest: Manifest, progress: Progress) -> None:
    from engines.trt.build import build_plan
    from engines.trt.library import load
    from engines.trt.plans import save_plan
    from engines.trt.timing import Timings

    start = time.perf_counter()
    timings = Timings(key) if row.engine == "tensorrt" else None
    weights = read_weights(manifest)
    plan, precision = build_plan(load(row.engine), manifest, weights, timings, progress)
    save_plan(key, plan, precision)
    row.plan, row.build_s = "built", round(time.perf_counter() - start, 2)
