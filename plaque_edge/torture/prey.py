"""The process that reads damaged files for ``torture fuzz``: one after another, as intake does."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from plaque_edge.decode_ahead import decode_slice
from plaque_edge.dicom_read import read_header
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.memory import peak_mb
from plaque_edge.series import choose, read_candidates
from plaque_edge.volume import load_volume

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from plaque_edge.series import Inventory

HARD_LIMIT = 3 << 30
"""What the system lets the process have at all: it shall be seen above 2 GB, not take all."""


class Fate(NamedTuple):
    """What became of one file: the bucket it ended in, the code of the refusal, or a fault.

    ``uids`` are of its header, when it has one. ``peak_mb`` is the process's peak so far.
    """

    name: str
    bucket: str
    code: str
    fault: str
    uids: tuple[str, str] | None
    seconds: float
    peak_mb: int


def feed(pipe: Connection, sound: tuple[Path, ...]) -> None:
    """Answer each path with its :class:`Fate`; ``sound`` are the other slices of a whole series."""
    _limit()
    with contextlib.suppress(EOFError, OSError):
        while True:
            path = pipe.recv()
            began = time.perf_counter()
            bucket, code, fault, uids = eat(path, sound)
            took = time.perf_counter() - began
            pipe.send(Fate(path.name, bucket, code, fault, uids, took, peak_mb()))


def eat(path: Path, sound: tuple[Path, ...]) -> tuple[str, str, str, tuple[str, str] | None]:
    """Read one file as intake does; return bucket, code, fault and UIDs as in :class:`Fate`."""
    uids = None
    try:
        inventory = read_candidates([path])
        homes = [code for code, files in inventory.buckets.items() if path in files]
        if len(homes) != 1:
            return "", "", f"in {len(homes)} buckets", None
        with contextlib.suppress(Exception):  # it is in a bucket: that is what read it says
            header = read_header(path)
            uids = header.info.study_instance_uid, header.info.series_instance_uid
        code = _code_of(inventory)
        for other in (read_candidates([*sound, path]),) if uids else ():
            for series in other.candidates:
                with contextlib.suppress(PlaqueEdgeError):
                    load_volume(series)
        return homes[0], _decode(path) or code, "", uids
    except PlaqueEdgeError as error:
        return "REFUSED", error.reason.code, "", uids
    except BaseException as error:
        return "", "", f"{type(error).__name__}: {error}"[:200], uids


def _code_of(inventory: Inventory) -> str:
    try:
        choose(inventory)
    except PlaqueEdgeError as error:
        return error.reason.code
    return "CHOSEN"


def _decode(path: Path) -> str:
    """Decode the first frame the way the volume does; return the refusal's code, "" for none."""
    try:
        header = read_header(path)
    except Exception:
        return ""
    pixels = header.pixels
    fit = pixels.bits_allocated == 16 and pixels.samples == 1 and header.frames
    if header.incomplete or pixels.invalid or not fit or pixels.kept == "nowhere":
        return ""
    try:
        decode_slice(header, 0, np.empty((pixels.rows, pixels.columns), np.int16))
    except PlaqueEdgeError as error:
        return error.reason.code
    return "DECODED"


def _limit() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (HARD_LIMIT, HARD_LIMIT))
