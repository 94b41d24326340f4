"""Where received objects land: whole and flushed to the disk, or not at all.

``incoming/`` is what the service watches, one folder per series; ``receiving/`` holds what is
still coming in; ``superseded/`` what a sender has since replaced by other content. All three
lie side by side, so that a file moves between them in one step.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import shutil
import threading
from typing import IO, TYPE_CHECKING, Final, Literal

from plaque_edge.private import sync_folder

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.dicom_read import Header

Outcome = Literal["stored", "again", "revised"]
INCOMING: Final = "incoming"
SUPERSEDED: Final = "superseded"
_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*")
_BLOCK = 1 << 20
_GROUP_2_LENGTH_AT = 140
"""Where files written here hold the length of their meta group: 128 + "DICM" + 8."""


class Landing:
    """The three folders under ``out_dir``. Safe to share between threads; raises ``OSError``."""

    def __init__(self, out_dir: Path, min_free_bytes: int = 0) -> None:
        self.incoming = out_dir / INCOMING
        self._receiving = out_dir / "receiving"
        self._superseded = out_dir / SUPERSEDED
        self._min_free_bytes = min_free_bytes
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        # What a killed service left half-written was never confirmed to its sender.
        shutil.rmtree(self._receiving, ignore_errors=True)
        for folder in (self.incoming, self._receiving, self._superseded):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self) -> tuple[Path, IO[bytes]]:
        """Open a new file for an object that comes in. Refuses a disk that is nearly full."""
        if shutil.disk_usage(self._receiving).free < self._min_free_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path = self._receiving / f"{next(self._numbers)}.part"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        return path, os.fdopen(os.open(path, flags, 0o600), "wb", buffering=_BLOCK)

    def land(self, part: Path, header: Header) -> Outcome:
        """Move a whole, flushed file to its place; it is gone from there if the disk says no.

        The same data set again is dropped; another one under the same UIDs takes the place of
        the first, which is kept in ``superseded/``.
        """
        info = header.info
        folder = self.incoming / folder_name(info.study_instance_uid, info.series_instance_uid)
        target = folder / f"{safe_name(header.sop_uid)}.dcm"
        outcome: Outcome = "stored"
        with self._lock:
            self._make(folder)
            if target.exists():
                if same_data_set(target, part):
                    part.unlink()
                    outcome = "again"
                else:
                    self._keep(target)
                    outcome = "revised"
            if outcome != "again":
                part.replace(target)
        sync_folder(folder)
        return outcome

    def _keep(self, target: Path) -> None:
        """Give the file that is about to be replaced a second name in ``superseded/``."""
        folder = self._superseded / target.parent.name
        self._make(folder)
        for number in itertools.count(1):
            kept = folder / f"{target.stem}.{number}.dcm"
            if kept.exists():
                continue
            try:
                os.link(target, kept)
            except OSError:  # a file system without links
                _copy(target, kept)
            sync_folder(folder)
            return

    @staticmethod
    def _make(folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(mode=0o700)
            sync_folder(folder.parent)


def safe_name(uid: str) -> str:
    """Return a file name for a UID: itself where it is one, else a hash of whatever it is."""
    if _UID.fullmatch(uid):
        return uid
    return "x" + hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def folder_name(study_uid: str, series_uid: str) -> str:
    """Return the folder of a series; short, for systems where a path has 260 characters."""
    study = hashlib.sha256(study_uid.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe_name(series_uid)}-{study}"


def same_data_set(first: Path, second: Path) -> bool:
    """Say whether two files written here hold the same bytes after their meta group.

    The meta group may differ: it names the sender.
    """
    with first.open("rb") as one, second.open("rb") as two:
        sizes = []
        for file in (one, two):
            file.seek(_GROUP_2_LENGTH_AT)
            start = _GROUP_2_LENGTH_AT + 4 + int.from_bytes(file.read(4), "little")
            sizes.append(file.seek(0, os.SEEK_END) - start)
            file.seek(start)
        if sizes[0] != sizes[1]:
            return False
        while block := one.read(_BLOCK):
            if block != two.read(_BLOCK):
                return False
    return True


def flush(file: IO[bytes]) -> None:
    """Write through to the disk."""
    file.flush()
    os.fsync(file.fileno())


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("xb") as new:
        shutil.copyfileobj(old, new, _BLOCK)
        flush(new)
