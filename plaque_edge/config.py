"""Settings of the service, with their defaults and the reason for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plaque_edge.quality.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """When files count and when a series is complete. All times in seconds.

    ``scan_s`` is the pause between two looks at the folder; ``quiet_s`` how long nothing may
    have come (2 on a local disk, 5 suits a share); ``late_s`` how long a series with a gap
    waits before it is judged as it is; ``header_budget_s`` how long one look may read headers,
    so that a folder full of old scans does not hold up the service. With ``head_start`` the
    analysis of a series that looks complete begins while the quiet time still runs.
    """

    scan_s: float = 0.4
    quiet_s: float = 2.0
    late_s: float = 60.0
    header_budget_s: float = 1.5
    events: bool = True
    sibling_s: float = 60.0
    head_start: bool = True


SHARE_QUIET_S = 5.0
"""Quiet time on a network share, where files come in bursts."""


@dataclass(frozen=True, slots=True)
class FolderRule:
    """What holds for one watched folder: times as in :class:`WatchOptions`.

    ``max_age_h`` leaves files alone that were older when they were first seen; ``skip`` are
    names (with * and ?) of files and folders that are not looked at. Without ``events`` the
    folder is only looked at periodically, which is all that a network share allows.
    """

    quiet_s: float = 2.0
    late_s: float = 60.0
    events: bool = True
    max_age_h: float | None = None
    skip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How the worker process runs.

    ``stall_s`` is how long a running analysis may make no progress before it counts as dead;
    ``memory_mb`` what its process may take (a usual scan takes 1100); ``stop_s`` how long it
    gets to leave a job that was cancelled. ``factory`` names ``module:function`` that returns
    (opener of engines, segmenter) in place of the networks. ``log_dir`` is where it logs.
    ``models`` is a folder with networks of the site's own (``docs/models.md``).
    """

    engine: str = "auto"
    models: Path | None = None
    stall_s: float = 180.0
    memory_mb: int = 4096
    stop_s: float = 3.0
    factory: str | None = None
    debug: bool = False
    limits: Limits = field(default_factory=Limits)
    """Limits of the quality gate."""
    risk_model: Path | None = None
    """The site's risk model, proven by ``plaque_edge.risk_choice``; else the shipped one."""
    log_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class ReceiveOptions:
    """How the DICOM receiver listens.

    ``aet`` is its own AE title and ``allow`` those that may send (none named: all); ``bind``
    the address it listens on (empty: every one of this computer). With ``tls_cert`` and
    ``tls_key`` (PEM) the connection is encrypted; with ``tls_ca`` as well, senders must show a
    certificate signed by it. ``idle_s`` is how long a sender may say nothing;
    ``min_free_bytes`` of the disk are left to the results. ``max_bytes_per_s`` are taken of all
    senders together, ``max_per_minute`` connections of one address (``None``: no limit).
    """

    port: int
    aet: str
    allow: tuple[str, ...] = ()
    bind: str = ""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    max_object_bytes: int = 2 << 30
    max_associations: int = 8
    idle_s: float = 60.0
    min_free_bytes: int = 1 << 30
    max_bytes_per_s: float | None = None
    max_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """Room on the disk of the results, and what may be deleted after how many days.

    Below ``warn_free_mb`` the store says so, below ``min_free_mb`` nothing is taken in.
    ``None`` keeps for ever. What was received is deleted only once its series has ended.
    """

    warn_free_mb: int = 10_240
    min_free_mb: int = 1024
    keep_results_days: float | None = None
    keep_received_days: float | None = None


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What ``plaque-edge watch`` and ``plaque-edge receive`` run with.

    ``rules`` are of folders that have their own. ``retry_s`` is the pause before a case is
    tried again whose end was the disk's or the share's doing. Only ``signers`` may sign a
    result; none named: anybody.
    """

    folders: tuple[Path, ...]
    out_dir: Path
    watch: WatchOptions = field(default_factory=WatchOptions)
    worker: WorkerOptions = field(default_factory=WorkerOptions)
    receive: ReceiveOptions | None = None
    retention: RetentionOptions = field(default_factory=RetentionOptions)
    retry_s: float = 10.0
    rules: Mapping[Path, FolderRule] = field(default_factory=dict)
    signers: tuple[str, ...] = ()
