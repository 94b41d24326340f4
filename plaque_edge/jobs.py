"""One worker process that owns the engines: warmed, watched, replaced when it dies or stalls.

Only plain data crosses the pipe: a job one way; progress and how it ended the other way.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.config import WorkerOptions
from plaque_edge.errors import Failed, PlaqueEdgeError
from plaque_edge.types import ModelInfo, Reason, SeriesInfo, Status, Volume

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

    from plaque_edge.pipeline import EngineSet, Segmenter

log = logging.getLogger(__name__)
START_S = 300.0
"""How long opening engines and compiling kernels may take on a slow computer."""
GPU_LOST = "ENGINE_DEVICE_LOST"


@dataclass(frozen=True, slots=True)
class Job:
    """One series to analyse among the files of its study; ``last_file`` in epoch seconds."""

    case_id: int
    files: tuple[Path, ...]
    series_uid: str
    folder: Path
    last_file: float


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """Files whose headers the worker may read while it has nothing else to do."""

    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker is warm."""

    provider: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Moved:
    """A step of the running job began or went on; ``share`` of the whole is 0..1."""

    case_id: int
    step: str
    share: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The job is over and its folder written (or not, when ``folder`` is ``None``)."""

    case_id: int
    status: Status
    reason: Reason | None
    folder: Path | None
    info: SeriesInfo | None
    timing_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Died:
    """The worker process is gone or was ended because it stalled."""

    case_id: int | None
    why: str


Message = Ready | Moved | Ended | Died


class Worker:
    """The parent's handle on the worker process. Not thread-safe: one loop owns it."""

    def __init__(self, options: WorkerOptions | None = None) -> None:
        self.options = options or WorkerOptions()
        self.warm = False
        self.job: Job | None = None
        self._start()

    @property
    def idle(self) -> bool:
        """Whether it is warm and has no job."""
        return self.warm and self.job is None

    def submit(self, job: Job) -> None:
        """Give it a job; only when :attr:`idle`."""
        self.job = job
        self._heard = time.monotonic()
        self._send(job)

    def read_ahead(self, files: tuple[Path, ...]) -> None:
        """Let an idle worker read these headers."""
        if files and self.idle:
            self._send(ReadAhead(files))

    def poll(self, timeout_s: float = 0.0) -> list[Message]:
        """Return what the worker has said; a dead or stalled one is replaced and reported."""
        said: list[Message] = []
        with suppress(EOFError, OSError):
            while self._pipe.poll(timeout_s if not said else 0.0):
                message: Message = self._pipe.recv()
                self._heard = time.monotonic()
                self._note(message)
                said.append(message)
        limit = self.options.stall_s if self.warm else START_S
        stalled = (self.job is not None or not self.warm) and self._silent_s() > limit
        if stalled or not self._process.is_alive():
            said.append(self._replace("stalled" if stalled else "ended"))
        return said

    def close(self) -> None:
        """End the process; a running job is lost and will be done again."""
        self._pipe.close()
        self._process.join(timeout=0.3 if self.job is None else 0.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(timeout=5.0)

    @property
    def pid(self) -> int | None:
        """Process number of the worker."""
        return self._process.pid

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=work, args=(theirs, self.options), name="plaque-edge-worker", daemon=True
        )
        self._process.start()
        theirs.close()
        self._heard = time.monotonic()

    def _note(self, message: Message) -> None:
        if isinstance(message, Ready):
            self.warm = True
        elif isinstance(message, Ended):
            self.job = None

    def _silent_s(self) -> float:
        return time.monotonic() - self._heard

    def _replace(self, why: str) -> Died:
        case_id = self.job.case_id if self.job else None
        self._process.kill()
        self._process.join(timeout=5.0)
        self._pipe.close()
        self.warm, self.job = False, None
        self._start()
        return Died(case_id, why)

    def _send(self, message: Job | ReadAhead) -> None:
        with suppress(OSError):  # a dead worker is found by poll
            self._pipe.send(message)


# ---- inside the worker process -------------------------------------------------------------


def work(pipe: Connection, options: WorkerOptions) -> None:
    """Warm up, then do jobs until the other end of the pipe is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        began = time.perf_counter()
        engines, segmenter = open_all(options)
        provider = warm_up(engines)
        pipe.send(Ready(provider, round(time.perf_counter() - began, 2)))
        while True:
            order = pipe.recv()
            if isinstance(order, Job):
                pipe.send(run_job(order, pipe, engines, segmenter, options))
            else:
                _read_headers(order.files)


def open_all(options: WorkerOptions) -> tuple[Callable[[], EngineSet], Segmenter | None]:
    """Return a function that gives the opened engines, and the segmenter that uses them."""
    if options.factory:
        module, name = options.factory.split(":")
        made: tuple[Callable[[], EngineSet], Segmenter | None]
        made = getattr(importlib.import_module(module), name)()
        return made
    return Opener(options.engine), None


class Opener:
    """Opens the engines on the first call and keeps them; a failure is tried again."""

    def __init__(self, prefer: str = "auto") -> None:
        self._prefer = prefer
        self._engines: Any = None

    def __call__(self) -> EngineSet:
        """Return the engines. Raises ``Failed`` with the engine's code."""
        if self._engines is None:
            from engines import EngineError
            from plaque_edge.segment.run import Engines

            try:
                self._engines = Engines(self._prefer)
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
    from plaque_edge.quantify.measures import warm_up as warm_quantify

    opened = engines()
    _tell_notes(opened)
    warm_quantify()
    _warm_sampling()
    for name in ("heart", "tree", "wall") if run else ():
        engine = getattr(opened, name, None)
        if engine is not None:
            shape = (1, len(engine.manifest.channels), *engine.manifest.shape)
            engine.run(np.zeros(shape, np.float32))
    return opened.info()


def _tell_notes(opened: object) -> None:
    """Log why a better engine does not serve, on computers that have a GPU to serve with."""
    from engines.cuda import has_driver

    networks = (getattr(opened, name, None) for name in ("heart", "tree", "wall"))
    notes = dict.fromkeys(note for n in networks for note in getattr(n, "notes", ()))
    for note in notes if has_driver() else ():
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
) -> Ended:
    """Analyse one series, write its folder, and say how it ended."""
    from plaque_edge.pipeline import AnalyzeOptions, analyze
    from plaque_edge.publish import publish

    def progress(step: str, share: float) -> None:
        pipe.send(Moved(job.case_id, step, share))

    wanted = AnalyzeOptions(subject_uid=job.series_uid, debug=options.debug)
    analysis = analyze(job.files, wanted, engines, throttled(progress), segmenter)
    result = analysis.result
    if result.status == "failed" and any(r.code == GPU_LOST for r in result.reasons):
        # Nothing runs on that GPU in this process any more: the next one does the case again.
        log.error("%s: the worker ends and is started again.", GPU_LOST)
        raise SystemExit(1)
    progress("show", 0.96)
    reason = result.reasons[0] if result.reasons else None
    try:
        data = publish(analysis, job.folder, job.last_file)
    except Failed as error:
        return Ended(job.case_id, "failed", error.reason, None, result.info)
    except Exception as error:
        log.error("INTERNAL at export: %s", type(error).__name__, exc_info=options.debug)
        text = f"An unexpected {type(error).__name__} stopped the export."
        reason = Reason("INTERNAL", text, "Run again with --debug.")
        return Ended(job.case_id, "failed", reason, None, result.info)
    return Ended(job.case_id, result.status, reason, job.folder, result.info, data["timing_ms"])


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


def _read_headers(files: tuple[Path, ...]) -> None:
    from plaque_edge.dicom_read import read_header

    for path in files:
        with suppress(Exception):  # only read ahead: the job itself will say what is wrong
            read_header(path)
