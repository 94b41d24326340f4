"""What ``plaque-edge evaluate --keep DIR`` keeps: a row per scan, and beside it the whole result.

``DIR/KEY.json`` is the row; ``DIR/results/KEY/result.json`` what the scan was measured as, from
which ``validate``, ``repeatability`` and ``compare`` go on without measuring again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = dict[str, Any]
_FIELDS = {"key", "family", "preset", "seed", "status", "truth", "measured", "vessels", "model"}


def result_path(folder: Path, key: str) -> Path:
    """Return where the result of a scan is kept."""
    return folder / "results" / key / "result.json"


def read_kept(folder: Path, families: Sequence[str] = ()) -> list[Row]:
    """Read the rows of some families (none named: all), in the order of their keys.

    Raises ``Refused`` EVALUATION_ROWS where a file is no row or none is there, and
    EVALUATION_MIXED where they were not measured by one set of networks and calibration.
    """
    rows = [_read(path) for path in sorted(folder.glob("*.json"))]
    rows = [r for r in rows if not families or r["family"] in families]
    if not rows:
        what = f" of the families {', '.join(families)}" if families else ""
        text = f"{folder} holds no row of an evaluation{what}."
        raise Refused("EVALUATION_ROWS", text, "Run plaque-edge evaluate --keep DIR first.")
    model_of(rows)
    return rows


def model_of(rows: Sequence[Row]) -> dict[str, Any]:
    """Return name, version, hash and calibration of the one model that measured the rows.

    Empty where no network was ever opened. Raises ``Refused`` EVALUATION_MIXED.
    """
    found = {
        (m["sha256"], json.dumps(m["calibration"], sort_keys=True)): m
        for m in (r["model"] for r in rows)
        if m["sha256"]  # a scan refused before a network was opened has none
    }
    if len(found) > 1:
        text = f"The kept scans were measured by {len(found)} different networks or calibrations."
        raise Refused("EVALUATION_MIXED", text, "Keep the rows of one model in a folder.")
    return dict(*found.values())


def _read(path: Path) -> Row:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        row = None
    if not isinstance(row, dict) or not set(row) >= _FIELDS:
        text = f"{path.name} is not a row of an evaluation."
        raise Refused("EVALUATION_ROWS", text, "Remove it, or evaluate anew with --keep.")
    return row
