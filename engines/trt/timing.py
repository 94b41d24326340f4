"""The timing cache of TensorRT: what a build measured on this GPU, kept for the next build.

TensorRT-RTX has none here: with one, its builder would ask for a GPU. Like a plan, the file is
verified before it is used, and one that is not good is left out.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from engines.errors import EngineError
from engines.keys import file_stem
from engines.private import cache_folder, read_file, read_record, write_file, write_record

if TYPE_CHECKING:
    from engines.keys import Key

KEPT = ("engine", "version", "gpu", "compute_capability", "driver", "system")


class Timings:
    """The timing cache for a plan's key: one for all networks and precisions of that GPU."""

    def __init__(self, key: Key) -> None:
        self._key = {**{name: key[name] for name in KEPT}, "model": "timing"}
        base = cache_folder() / file_stem(self._key)
        self._data, self._record = base.with_suffix(".timing"), base.with_suffix(".json")

    def read(self) -> bytes:
        """Return the kept bytes; none where there are none that can be relied on."""
        with suppress(EngineError):
            record, data = read_record(self._record), read_file(self._data)
            digest = hashlib.sha256(data).hexdigest()
            if (record.get("key"), record.get("sha256")) == (self._key, digest):
                return data
        return b""

    def keep(self, data: bytes) -> None:
        """Keep the bytes; a disk that is full costs time at the next build, nothing else."""
        with suppress(EngineError):
            write_file(self._data, data)
            digest = hashlib.sha256(data).hexdigest()
            write_record(self._record, {"key": self._key, "sha256": digest})
