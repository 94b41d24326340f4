"""What the service does beside its cases: signs of life, disk space, folders, anchor, retention."""

from __future__ import annotations

import json
import logging
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from plaque_edge.private import replace_file
from plaque_edge.retention import sweep
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.config import ServiceOptions
    from plaque_edge.store import Store

ANCHOR: Final = "audit.anchor"
"""Number and hash of a row of the audit log, so that a cut end is noticed."""
_BEAT_S, _DISK_S, _SWEEP_S = 1.0, 1.0, 3600.0
_JUMP_S, _DOUBT_S = 3600.0, 86_400.0
"""A clock that jumps further than this makes nothing old: nothing is deleted for a day."""


log = logging.getLogger(__name__)


def _clock_ahead_s() -> float:
    """Return what the clock on the wall is ahead of the one that can't be set."""
    return time.time() - time.monotonic()


class Housekeeper:
    """Call :meth:`turn` often; each duty has its own pace. ``full``: no analysis may start."""

    def __init__(self, store: Store, options: ServiceOptions) -> None:
        self.store, self.options = store, options
        self.full = False
        self._beat = self._disk = self._sweep = -_SWEEP_S
        self._anchored = -1
        self._ahead_s = _clock_ahead_s()
        self._missing: tuple[Path, ...] = ()
        for condition in store.conditions():  # of the service before
            store.clear_condition(condition.code)
        self._watch_disk()

    def turn(self, missing: tuple[Path, ...]) -> None:
        """Do what is due. ``missing`` are watched folders that are not there."""
        now = time.monotonic()
        if missing != self._missing:
            self._tell_missing(missing)
        if now - self._disk > _DISK_S:
            self._disk = now
            self._watch_disk()
        if now - self._beat > _BEAT_S:
            self._beat = now
            self.store.heartbeat()
            self.anchor()
        ahead_s = _clock_ahead_s()
        if abs(ahead_s - self._ahead_s) > _JUMP_S:
            log.warning(
                "CLOCK_JUMPED: by %.0f s; nothing is deleted for a day.", ahead_s - self._ahead_s
            )
            self._ahead_s, self._sweep = ahead_s, now + _DOUBT_S - _SWEEP_S
        if now - self._sweep > _SWEEP_S:
            self._sweep = now
            sweep(self.store, self.options.retention)

    def anchor(self) -> None:
        """Keep the newest row's number and hash beside the store, where there is a new one."""
        newest = self.store.anchor()
        if newest.seq == self._anchored:
            return
        self.store.flush()  # the anchor must never know more than the disk does
        data = json.dumps({"seq": newest.seq, "sha256": newest.sha256}).encode()
        with suppress(OSError):  # a full disk: the next turn tries again
            replace_file(self.store.out_dir / ANCHOR, data)
            self._anchored = newest.seq

    def _watch_disk(self) -> None:
        """Warn of a disk that fills up; below the limit nothing is taken in until there is room."""
        limits = self.options.retention
        free = shutil.disk_usage(self.store.out_dir).free
        self.full = free < limits.min_free_mb << 20
        low = free < limits.warn_free_mb << 20
        self._say("DISK_FULL", self.full, "Intake has stopped: only {} MB are free.", free, "stop")
        self._say("DISK_LOW", low and not self.full, "Only {} MB are free.", free, "warn")

    def _say(self, code: str, holds: bool, text: str, free: int, level: str) -> None:
        known = {c.code for c in self.store.conditions()}
        if holds and code not in known:
            step = "Free some space on the disk of the results; work goes on by itself."
            self.store.set_condition(Reason(code, text.format(free >> 20), step), level)
        elif not holds and code in known:
            self.store.clear_condition(code)

    def _tell_missing(self, missing: tuple[Path, ...]) -> None:
        if missing:
            names = ", ".join(str(m) for m in missing)
            text = f"A watched folder is not there: {names}."
            step = "Check that it is connected; work goes on by itself."
            self.store.set_condition(Reason("FOLDER_AWAY", text, step))
        else:
            self.store.clear_condition("FOLDER_AWAY")
        self._missing = missing
