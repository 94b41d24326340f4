"""Files that only their owner may write: a plan is code, so where it lies decides who is trusted.

On Windows the profile folder's own rights do this; modes are set there as far as they go.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from engines.errors import EngineError

PREPARE = "Run plaque-edge prepare."
BINARY = getattr(os, "O_BINARY", 0)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def cache_folder() -> Path:
    """Return where plans and verdicts lie; ``PLAQUE_EDGE_PLANS`` names another folder."""
    named = os.environ.get("PLAQUE_EDGE_PLANS")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "plaque-edge" / "plans"
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home; others can't get in there, see read_file
        base = Path(tempfile.gettempdir()) / f"user-{os.geteuid()}"
    return base / "plaque-edge" / "plans"


def write_file(path: Path, data: bytes) -> None:
    """Replace ``path`` at once by ``data``, readable by its owner alone.

    Raises
    ------
    EngineError
        PLAN_DISK_FULL, PLAN_NOT_WRITTEN.
    """
    draft: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.chmod(0o700)
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".new")  # 0600 from the start
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except OSError as error:
        if draft is not None:
            with suppress(OSError):
                Path(draft).unlink()
        raise _not_written(error, len(data)) from error


def read_file(path: Path) -> bytes:
    """Return what lies in ``path``, if nobody else could have put it there.

    Raises
    ------
    EngineError
        PLAN_MISSING, PLAN_NOT_READ, PLAN_FOLDER_OPEN.
    """
    try:
        _require_own(path.parent.stat())
        handle = os.open(path, os.O_RDONLY | BINARY | NO_LINK)
        with os.fdopen(handle, "rb") as file:
            _require_own(os.fstat(file.fileno()))
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise EngineError("PLAN_MISSING", "There is no such file.", PREPARE) from error
    except OSError as error:
        text = f"The cache of plans cannot be read ({error.strerror})."
        raise EngineError("PLAN_NOT_READ", text, PREPARE) from error


def write_record(path: Path, data: dict[str, Any]) -> None:
    """Write JSON by :func:`write_file`."""
    write_file(path, json.dumps(data, indent=1, sort_keys=True).encode())


def read_record(path: Path) -> dict[str, Any]:
    """Read a JSON object by :func:`read_file`; also raises PLAN_TAMPERED where it is none."""
    try:
        data = json.loads(read_file(path))
    except ValueError as error:
        raise EngineError("PLAN_TAMPERED", f"{path.name} cannot be read.", PREPARE) from error
    if not isinstance(data, dict):
        raise EngineError("PLAN_TAMPERED", f"{path.name} cannot be read.", PREPARE)
    return data


def _require_own(status: os.stat_result) -> None:
    if not hasattr(os, "geteuid"):
        return
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
        raise EngineError(
            "PLAN_FOLDER_OPEN",
            "Others may write to the cache of plans, so it is not used.",
            PREPARE,
        )


def _not_written(error: OSError, size_bytes: int) -> EngineError:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return EngineError(
            "PLAN_DISK_FULL",
            f"There is no space for a plan of {size_bytes / 1e6:.0f} MB.",
            "Free some space, then run plaque-edge prepare.",
        )
    return EngineError(
        "PLAN_NOT_WRITTEN",
        f"A plan cannot be written ({error.strerror}).",
        "Check the rights of the folder that PLAQUE_EDGE_PLANS names, or of your cache folder.",
    )
