"""What may be deleted after a time, where a site has said so: results, and what was received.

By default everything is kept. Export folders are never touched: only ``incoming/`` and
``superseded/``, which the receiver filled, and result folders that the store names.
"""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from plaque_edge.receive.landing import INCOMING, SUPERSEDED, folder_name
from plaque_edge.store import FINISHED

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.config import RetentionOptions
    from plaque_edge.store import CaseRow, Store

_NOT_YET: Final = frozenset("RESULT_DISK_FULL RESULT_NOT_WRITTEN".split())


def sweep(store: Store, options: RetentionOptions, now: datetime | None = None) -> int:
    """Delete what is older than its time; return how many folders went. Each is audited first."""
    now = now or datetime.now(UTC)
    count = 0
    if options.keep_results_days is not None:
        count += _results(store, now - timedelta(days=options.keep_results_days))
    if options.keep_received_days is not None:
        count += _received(store, now - timedelta(days=options.keep_received_days))
    return count


def _results(store: Store, before: datetime) -> int:
    """Delete result folders of cases that ended before; the case itself stays."""
    count = 0
    for row in store.cases(everything=True):
        if row.state in FINISHED and row.result_dir is not None and _time(row) < before:
            # First the row, then the folder: a console never opens what is half gone.
            place, size = row.result_dir, _size(row.result_dir)
            with store.together():
                store.update(row.case_id, result_dir=None)
                store.note("deleted.result", size, row.case_id)
            count += _delete(place, store.out_dir)
    return count


def _received(store: Store, before: datetime) -> int:
    """Delete what was received of series whose every revision ended before."""
    newest: dict[str, list[CaseRow]] = {}
    for row in store.cases(everything=True):
        newest.setdefault(folder_name(row.study_uid, row.series_uid), []).append(row)
    count = 0
    for kind in (INCOMING, SUPERSEDED):
        root = store.out_dir / kind
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            rows = newest.get(folder.name, [])
            if not rows or any(r.state not in FINISHED or _time(r) >= before for r in rows):
                continue
            if any(r.reason is not None and r.reason.code in _NOT_YET for r in rows):
                continue
            name = hashlib.sha256(folder.name.encode()).hexdigest()[:16]
            detail = _size(folder) | {"folder": kind, "name_sha256": name}
            store.note(f"deleted.{kind}", detail, rows[0].case_id)
            count += _delete(folder, store.out_dir)
    return count


def _delete(folder: Path, out_dir: Path) -> int:
    """Delete a folder that really lies in ours, whatever links say; 1 when it is gone."""
    inside = folder.resolve().is_relative_to(out_dir.resolve())
    if not inside or folder.is_symlink() or folder.resolve() == out_dir.resolve():
        return 0
    shutil.rmtree(folder, ignore_errors=True)
    return int(not folder.exists())


def _size(folder: Path) -> dict[str, object]:
    files = [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    return {"files": len(files), "bytes": sum(p.stat().st_size for p in files)}


def _time(row: CaseRow) -> datetime:
    return datetime.fromisoformat(row.updated_at)
