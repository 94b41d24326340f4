"""The cache of plans: written at ``prepare``, verified before every use, never trusted.

Beside ``NAME.plan`` lies ``NAME.json``: the key it was built for, its SHA-256, its precision.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from engines.errors import EngineError
from engines.keys import DIGITS, difference, file_stem, stem_prefix
from engines.private import PREPARE, cache_folder, read_file, read_record, write_file, write_record

if TYPE_CHECKING:
    from pathlib import Path

    from engines.keys import Key


def save_plan(key: Key, plan: bytes, precision: str) -> None:
    """Keep a plan, its record last; remove those of other keys, and verdicts on older plans.

    Raises
    ------
    EngineError
        PLAN_DISK_FULL, PLAN_NOT_WRITTEN.
    """
    plan_path, record_path = _paths(key)
    write_file(plan_path, plan)  # until its record follows, the old one's hash refuses it
    digest = hashlib.sha256(plan).hexdigest()
    write_record(record_path, {"key": key, "sha256": digest, "precision": precision})
    for path in cache_folder().glob(f"{stem_prefix(key)}*"):
        if path not in (plan_path, record_path):
            with suppress(OSError):
                path.unlink()


def load_plan(key: Key) -> tuple[bytes, str]:
    """Return the verified bytes of a plan, and its precision.

    Raises
    ------
    EngineError
        PLAN_MISSING, PLAN_STALE, PLAN_TAMPERED, PLAN_FOLDER_OPEN, PLAN_NOT_READ.
    """
    plan_path, record_path = _paths(key)
    try:
        record = read_record(record_path)
    except EngineError as error:
        if error.code == "PLAN_MISSING":
            raise _missing(key) from error
        raise
    try:
        plan = read_file(plan_path)
    except EngineError as error:
        if error.code == "PLAN_MISSING":
            raise _tampered(key) from error
        raise
    known = record.get("key") == key and isinstance(record.get("precision"), str)
    if not known or hashlib.sha256(plan).hexdigest() != record.get("sha256"):
        raise _tampered(key)
    return plan, str(record["precision"])


def has_plan(key: Key) -> bool:
    """Say whether a good plan is there; costs a read and a hash."""
    try:
        load_plan(key)
    except EngineError:
        return False
    return True


def _paths(key: Key) -> tuple[Path, Path]:
    base = cache_folder() / file_stem(key)
    return base.with_suffix(".plan"), base.with_suffix(".json")


def _missing(key: Key) -> EngineError:
    model = key["model"]
    for path in cache_folder().glob(f"{stem_prefix(key)}{'?' * DIGITS}.json"):
        with suppress(EngineError):
            old = read_record(path).get("key")
            if isinstance(old, dict):
                text = f"The plan of {model!r} was built for {difference(old, key)}."
                return EngineError("PLAN_STALE", text, PREPARE)
    return EngineError("PLAN_MISSING", f"There is no plan of {model!r} for this GPU yet.", PREPARE)


def _tampered(key: Key) -> EngineError:
    return EngineError(
        "PLAN_TAMPERED",
        f"The plan of {key['model']!r} is not the one that was built, or was written in part.",
        PREPARE,
    )
