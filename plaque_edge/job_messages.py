"""What crosses the pipe between service and worker: plain data, no more.

A job goes one way; progress and how it ended come back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plaque_edge.types import Covariates, Reason, Status

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Job:
    """One series to analyse among the files of its study; ``last_file`` in monotonic seconds.

    ``take_uid`` is the series or stack of the study that a person took, if any. ``head_start``:
    begun before the series counts as complete, so that it may have to be done again.
    """

    case_id: int
    files: tuple[Path, ...]
    series_uid: str
    folder: Path
    last_file: float
    covariates: Covariates = field(default_factory=Covariates)
    take_uid: str | None = None
    head_start: bool = False


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """Files the worker may read and decode while it has nothing else to do."""

    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class HasRead:
    """The files sent last are decoded; more may come."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave the running job as soon as possible; stay warm."""


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
    """The job is over. ``draft`` is its whole folder, still to be put into its place.

    Without a draft the result could not be written. ``codes`` are of every reason it gives.
    """

    case_id: int
    status: Status
    reason: Reason | None
    draft: Path | None
    codes: tuple[str, ...] = ()
    sha256: str | None = None
    timing_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The job was left because :meth:`Worker.stop_job` asked for it."""

    case_id: int


@dataclass(frozen=True, slots=True)
class Died:
    """The worker process is gone, or was ended because it stalled or took too much memory."""

    case_id: int | None
    reason: Reason


Message = Ready | Moved | Ended | Stopped | Died
