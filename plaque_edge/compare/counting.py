"""Which file of a result folder counts: the analysis's own, or the newest correction of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from plaque_edge.correct.current import current
from plaque_edge.errors import Refused
from plaque_edge.store import DATABASE, Store

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.correct.current import Current

RESULT = "result.json"
_UNKNOWN_STEP = "Give the folder of the correction that is meant (corrected-N)."


def counting_file(path: Path, name: str) -> Path:
    """Return the file to read for a result, its folder, or the folder of one correction.

    ``name`` is how messages call it. Where a person corrected the result, the store beside it
    says whether that still counts. Raises ``Refused`` COMPARE_CORRECTION_UNKNOWN,
    COMPARE_FILE_INVALID, and ``Failed`` as the store does.
    """
    file = path / RESULT if path.is_dir() else path
    folder = file.parent.resolve()
    if file.name != RESULT or not any(folder.glob(f"corrected-*/{RESULT}")):
        return file
    now = _of_store(folder)
    if now is None or now.folder is None:
        text = f"{name} was corrected, and no store beside it says which numbers count."
        raise Refused("COMPARE_CORRECTION_UNKNOWN", text, _UNKNOWN_STEP)
    if now.act is None:
        return file
    found = now.folder / RESULT
    if not found.exists() or hashlib.sha256(found.read_bytes()).hexdigest() != now.sha256:
        text = f"The corrected result of {name} is not the one that the store knows."
        raise Refused("COMPARE_FILE_INVALID", text, "Correct the result again, or restore it.")
    return found


def _of_store(folder: Path) -> Current | None:
    """Ask the store that holds ``folder``; ``None`` where none does."""
    for place in folder.parents:
        if (place / DATABASE).exists():
            with Store(place, read_only=True) as store:
                row = store.case_of_result(folder)
                if row is None:
                    return None
                return current(store.actions(row.case_id), row.result_dir, row.result_sha256)
    return None
