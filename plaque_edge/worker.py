"""Inside the worker process: warm up once, then one job after the other.

It ends when the service does, however that happens, and writes nothing but drafts: the service
puts a finished one into its place.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.decode_ahead import AHEAD, decode_ahead
from plaque_edge.errors import Failed, PlaqueEdgeError
from plaque_edge.job_messages import (
    Ended,
    HasRead,
    Job,
    Moved,
    ReadAhead,
    Ready,
    Stop,
    Stopped,
)
from plaque_edge.private import OWNER_ONLY
from plaque_edge.service_log import open_log
from plaque_edge.types import ModelInfo, Reason, Volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

    from plaque_edge.config import WorkerOptions
    from plaque_edge.pipeline import EngineSet, Segmenter

log = logging.getLogger(__name__)
GPU_LOST = "ENGINE_DEVICE_LOST"


class JobStopped(BaseException):
    """The service wants the job left. No ``Exception``: nothing on the way may take it for one."""


def work(pipe: Connection, options: WorkerOptions) -> None:
    """Warm up, then do jobs until the other end of the pipe is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the service decides when it ends
        signal.signal(number, signal.SIG_IGN)
    os.umask(OWNER_ONLY)
    if options.log_dir is not None:
        open_log(options.log_dir, "worker")
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        began = time.perf_counter()
        engines, segmenter = open_all(options)
        provider = warm_up(engines)
        pipe.send(Ready(provider, round(time.perf_counter() - began, 2)))
        while True:
            order = pipe.recv()
            if isinstance(order, Job):
                pipe.send(run_job(order, pipe, engines, segmenter, options))
            elif isinstance(order, ReadAhead):
                decode_ahead(order.files)
                pipe.send(HasRead())


def _end_with_parent() -> None:
    """End at once when the service is gone, so that no two workers do one case."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(3)


def open_all(options: WorkerOptions) -> tuple[Callable[[], EngineSet], Segmenter | None]:
    """Return a function that gives the opened engines, and the segmenter that uses them."""
    if options.factory:
        module, name = options.factory.split(":")
        made: tuple[Callable[[], EngineSet], Segmenter | None]
        made = getattr(importlib.import_module(module), name)()
        return made
    return Opener(options.engine, options.models), None


class Opener:
    """Opens the engines on the first call and keeps them; a failure is tried again."""

    def __init__(self, prefer: str = "auto", models: Path | None = None) -> None:
        self._prefer, self._models = prefer, models
        self._engines: Any = None

    def __call__(self) -> EngineSet:
        """Return the engines. Raises ``Failed`` with the engine's code."""
        if self._engines is None:
            from engines import EngineError
            from plaque_edge.segment.run import Engines

            try:
                self._engines = Engines(self._prefer, models=self._models)
            except EngineError as error:
                raise Failed(error.code, error.text, error.next_step) from error
        engines: EngineSet = self._engines
        return engines


def warm_up(engines: Callable[[], EngineSet]) -> str:
    """Do :func:`warm_everything`; return the provider, "none" when it fails.

    A failure is not the end: every job then tells it as its own reason.
    """
    try:
        return warm_everything(engines, run=True).provider
    except PlaqueEdgeError as error:
        log.error("%s", error)
    except Exception as error:
        log.error("ENGINE_FAILED: %s while warming up.", type(error).__name__)
    return "none"


def warm_everything(engines: Callable[[], EngineSet], *, run: bool = False) -> ModelInfo:
    """Import, compile every kernel and open the engines, so that no patient waits for it.

    With ``run`` each network runs once on zeros, since the first run takes its memory.
    """
    from plaque_edge import pipeline  # noqa: F401 - imported now, used by the first job
    from plaque_edge.dicom_pixels import warm_up as warm_reading
    from plaque_edge.quality.artefacts import warm_up as warm_quality
    from plaque_edge.quantify.measures import warm_up as warm_quantify

    opened = engines()
    _tell_notes(opened)
    warm_reading()
    warm_quantify()
    warm_quality()
    _warm_sampling()
    for name in ("heart", "tree", "wall") if run else ():
        engine = getattr(opened, name, None)
        if engine is not None:
            shape = (1, len(engine.manifest.channels), *engine.manifest.shape)
            engine.run(np.zeros(shape, np.float32))
    return opened.info()


def _tell_notes(opened: object) -> None:
    """Log why a better engine does not serve; of a GPU's, where there is one to serve with."""
    from engines.cuda import has_driver
    from engines.keys import ON_GPU

    networks = (getattr(opened, name, None) for name in ("heart", "tree", "wall"))
    notes = dict.fromkeys(note for n in networks for note in getattr(n, "notes", ()))
    for note in notes:
        if has_driver() or note.partition(":")[0] not in ON_GPU:
            log.warning("ENGINE_REPLACED: %s", note)


def _warm_sampling() -> None:
    """Compile the resampling kernels of segment on a cube of a few voxels."""
    from plaque_edge.segment.straighten import sample_sections
    from plaque_edge.segment.tree_maps import resample_volume

    volume = Volume(np.zeros((8, 8, 8), np.int16), (0.5, 0.4, 0.4), (0.0, 0.0, 0.0))
    resample_volume(volume, np.zeros(3), 0.8, (3, 3, 3))
    steps = np.zeros((2, 3))
    steps[:, 0] = 0.5, 1.0
    u, v = np.zeros((2, 3)), np.zeros((2, 3))
    u[:, 1] = v[:, 2] = 1.0
    sample_sections(volume.hu, volume.origin_zyx_mm, volume.spacing_zyx_mm, steps, u, v)


def run_job(
    job: Job,
    pipe: Connection,
    engines: Callable[[], EngineSet],
    segmenter: Segmenter | None,
    options: WorkerOptions,
) -> Ended | Stopped:
    """Analyse one series, write its draft, and say how it ended."""

    def progress(step: str, share: float) -> None:
        if pipe.poll() and isinstance(pipe.recv(), Stop):
            raise JobStopped
        pipe.send(Moved(job.case_id, step, share))

    AHEAD.keep = job.head_start
    try:
        return _analyse(job, progress, engines, segmenter, options)
    except JobStopped:
        return Stopped(job.case_id)


def _analyse(
    job: Job,
    progress: Callable[[str, float], None],
    engines: Callable[[], EngineSet],
    segmenter: Segmenter | None,
    options: WorkerOptions,
) -> Ended:
    from plaque_edge.pipeline import AnalyzeOptions, analyze
    from plaque_edge.publish import write_draft

    wanted = AnalyzeOptions(
        series_uid=job.take_uid,
        subject_uid=job.series_uid,
        covariates=job.covariates,
        debug=options.debug,
        limits=options.limits,
        risk_model=options.risk_model,
    )
    analysis = analyze(job.files, wanted, engines, throttled(progress), segmenter)
    result = analysis.result
    codes = tuple(r.code for r in result.reasons)
    if result.status == "failed" and GPU_LOST in codes:
        # Nothing runs on that GPU in this process any more: the next one does the case again.
        log.error("%s: the worker ends and is started again.", GPU_LOST)
        raise SystemExit(1)
    progress("show", 0.96)
    reason = result.reasons[0] if result.reasons else None
    try:
        draft = write_draft(analysis, job.folder, job.last_file)
    except Failed as error:
        return Ended(job.case_id, "failed", error.reason, None, (error.reason.code,))
    except Exception as error:
        log.error("INTERNAL at export: %s", type(error).__name__, exc_info=options.debug)
        text = f"An unexpected {type(error).__name__} stopped the export."
        reason = Reason("INTERNAL", text, "Run again with --debug.")
        return Ended(job.case_id, "failed", reason, None, ("INTERNAL",))
    timing = draft.data["timing_ms"]
    return Ended(job.case_id, result.status, reason, draft.folder, codes, draft.sha256, timing)


def throttled(
    report: Callable[[str, float], None], every_s: float = 0.1
) -> Callable[[str, float], None]:
    """Pass on a new step at once and the rest not oftener than ``every_s``."""
    last: list[Any] = ["", 0.0]

    def progress(step: str, share: float) -> None:
        now = time.monotonic()
        if step != last[0] or now - last[1] >= every_s:
            last[:] = [step, now]
            report(step, share)

    return progress
