"""The reference side: a CSV with one row per case, or per case and vessel.

Columns: ``case`` (name of the result's or study's folder, or its series or study UID), ``vessel``
(LM, LAD, LCX, RCA or patient; patient where the column is missing), any of the components by
their names in result.json, ``scanner`` to group by, ``repeat_of`` to name an earlier scan of the
same patient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plaque_edge.csv_table import numbers, read_csv, require, unique
from plaque_edge.errors import Refused
from plaque_edge.types import VESSELS
from plaque_edge.validation.cases import COMPONENTS, PATIENT

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.csv_table import CsvTable

LARGEST = {"max_diameter_stenosis_percent": 100.0}


@dataclass(frozen=True, slots=True)
class Reference:
    """One row: what somebody else measured. ``nan`` where nothing is known."""

    case: str
    level: str
    values: dict[str, float]
    scanner: str
    repeat_of: str


def read_reference(path: Path) -> list[Reference]:
    """Read the table. Raises Refused TABLE_* or VALIDATE_*."""
    table = read_csv(path)
    require(table, ["case"])
    parts = [c for c in COMPONENTS if c in table.columns]
    if not parts and "repeat_of" not in table.columns:
        text = f"{table.name} has no measurement that could be compared."
        raise Refused("TABLE_COLUMN_MISSING", text, f"Use names like {', '.join(COMPONENTS[:3])}.")
    levels = _levels(table)
    key = ["case", "vessel"] if "vessel" in table.columns else ["case"]
    unique(table, key, "VALIDATE_CASE", "case")
    values = {c: _possible(table, c) for c in parts}
    return [
        Reference(
            row["case"],
            levels[i],
            {c: values[c][i] for c in parts},
            row.get("scanner", ""),
            row.get("repeat_of", ""),
        )
        for i, row in enumerate(table.rows)
    ]


def _levels(table: CsvTable) -> list[str]:
    known = {name.lower(): name for name in (*VESSELS, PATIENT)}
    cells = [row.get("vessel", PATIENT).lower() or PATIENT for row in table.rows]
    wrong = [i for i, c in enumerate(cells) if c not in known]
    if wrong:
        text = f"vessel is none of {', '.join((*VESSELS, PATIENT))} in {table.where(wrong)}."
        raise Refused("VALIDATE_VESSEL", text, "Correct the name of the vessel.")
    return [known[c] for c in cells]


def _possible(table: CsvTable, component: str) -> list[float]:
    values, top = numbers(table, component), LARGEST.get(component, math.inf)
    wrong = [i for i, v in enumerate(values) if v < 0 or v > top]
    if wrong:
        what = "negative" if math.isinf(top) else f"not in 0 to {top:g}"
        text = f"{component} is {what} in {table.where(wrong)}."
        raise Refused("VALIDATE_IMPOSSIBLE", text, "Correct the value or its unit.")
    return values
