"""What is nobody else's business: files for their owner alone, and names that tell nothing.

On Windows the rights of the folder they lie in decide; modes are set there as far as they go.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

OWNER_ONLY = 0o077
"""The umask under which everything a process makes is its owner's alone."""


def short_hash(uid: str) -> str:
    """Return what stands for a UID in a log: the same for the same, and no way back."""
    return hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def make_folder(path: Path) -> None:
    """Make a folder for its owner alone; one that is there keeps its rights."""
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_file(path: Path) -> None:
    """Make an empty file for its owner alone, or take everybody else's rights from one there."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder through to the disk; Windows has no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file at once by ``data``, flushed to the disk. Raises ``OSError``."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
