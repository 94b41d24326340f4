"""A site's follow-up as a table: one row per patient, checked before anything is computed.

Columns: ``patient_id``, ``event`` (0 or 1), follow-up as ``time_years``, ``time_months`` or
``time_days``, the model's inputs by their names, ``sex`` (F or M) for ``male``, and, where a
model needs what the networks measure, ``segmenter_sha256``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.csv_table import MISSING, CsvTable, numbers, read_csv, require, unique
from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TIMES = {"time_years": 1.0, "time_months": 1 / 12, "time_days": 1 / 365.25}
POSSIBLE = {
    "age_years": (1.0, 120.0),
    "plaque_mm3": (0.0, 10_000.0),
    "max_diameter_stenosis_percent": (0.0, 100.0),
}
YES_NO = ("male", "diabetes", "hypertension")
MEASURED = ("plaque_mm3", "max_diameter_stenosis_percent")
"""Inputs that depend on the networks that measured them."""
GROUPS = ("sex", "scanner", "kvp", "kernel", "site")
LONGEST_YEARS = 60.0
ENOUGH = 20
"""Values from which a whole column can look like another unit."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Follow-up of ``n`` patients; arrays ``(n,)``, ``nan`` where a value is not known.

    ``timed`` is false where only yes or no at a fixed time is known: then ``time_years`` is
    that time for everybody.
    """

    time_years: NDArray[np.float64]
    event: NDArray[np.bool_]
    inputs: dict[str, NDArray[np.float64]]
    groups: dict[str, tuple[str, ...]]
    segmenter_sha256: str | None
    table_sha256: str
    timed: bool = True

    def __len__(self) -> int:
        return len(self.event)

    def take(self, keep: NDArray[np.bool_]) -> Cohort:
        """Return these patients alone."""
        return Cohort(
            self.time_years[keep],
            self.event[keep],
            {k: v[keep] for k, v in self.inputs.items()},
            {k: tuple(np.array(v, object)[keep]) for k, v in self.groups.items()},
            self.segmenter_sha256,
            self.table_sha256,
            self.timed,
        )


def read_cohort(path: Path, inputs: Sequence[str], outcome_at: float | None = None) -> Cohort:
    """Read a table with these inputs. ``outcome_at``: yes or no at so many years, no times.

    Raises Refused with TABLE_* or RISK_TABLE_* where a row or the whole can't be meant so.
    """
    table = read_csv(path)
    require(table, ["patient_id", "event"])
    unique(table, ["patient_id"], "TABLE_PATIENT", "patient")
    event = _event(table)
    time = _time(table) if outcome_at is None else np.full(len(event), outcome_at)
    values = {name: _input(table, name) for name in inputs}
    groups = {g: tuple(r[g] for r in table.rows) for g in GROUPS if g in table.columns}
    return Cohort(
        time, event, values, groups, _segmenter(table), table.sha256, timed=outcome_at is None
    )


def _event(table: CsvTable) -> NDArray[np.bool_]:
    words = {"0": False, "1": True, "no": False, "yes": True, "0.0": False, "1.0": True}
    wrong = [i for i, row in enumerate(table.rows) if row["event"].lower() not in words]
    if wrong:
        text = f"event is neither 0 nor 1 in {table.where(wrong)}."
        raise Refused("RISK_TABLE_EVENT", text, "Write 1 for an event, 0 for none so far.")
    return np.array([words[row["event"].lower()] for row in table.rows])


def _time(table: CsvTable) -> NDArray[np.float64]:
    given = [name for name in TIMES if name in table.columns]
    if len(given) != 1:
        what = "several columns of follow-up" if given else "no follow-up"
        raise Refused(
            "RISK_TABLE_TIME",
            f"{table.name} has {what}.",
            f"Give exactly one of {', '.join(TIMES)}.",
        )
    time = np.array(numbers(table, given[0])) * TIMES[given[0]]
    wrong = np.flatnonzero(~(time > 0))
    if len(wrong):
        text = f"{given[0]} is missing, zero or negative in {table.where(wrong)}."
        raise Refused("RISK_TABLE_TIME", text, "Correct the dates, or leave these patients out.")
    long = np.flatnonzero(time > LONGEST_YEARS)
    if len(long):
        text = f"{given[0]} means more than {LONGEST_YEARS:.0f} years in {table.where(long)}."
        raise _units(text, "Name the column by its unit: time_years, time_months or time_days.")
    return time


def _input(table: CsvTable, name: str) -> NDArray[np.float64]:
    if name == "male" and "male" not in table.columns:
        require(table, ["sex"])
        return _sex(table)
    require(table, [name])
    values = np.array(numbers(table, name))
    low, high = (0.0, 1.0) if name in YES_NO else POSSIBLE.get(name, (-np.inf, np.inf))
    bad = (values < low) | (values > high)
    if name in YES_NO:
        bad |= ~np.isnan(values) & (values != 0) & (values != 1)
    wrong = np.flatnonzero(bad)
    if len(wrong):
        wanted = "0 or 1" if name in YES_NO else f"{low:g} to {high:g}"
        text = f"{name} is not possible (it must be {wanted}) in {table.where(wrong)}."
        raise Refused("RISK_TABLE_IMPOSSIBLE", text, "Correct the value or its unit.")
    _check_unit(table, name, values[~np.isnan(values)])
    return values


def _check_unit(table: CsvTable, name: str, known: NDArray[np.float64]) -> None:
    """Refuse a whole column that looks like another unit."""
    if len(known) < ENOUGH:
        return
    top = float(known.max())
    if name == "plaque_mm3" and 0 < top < 10:
        text = f"plaque_mm3 is never above {top:g} in {table.name}: it looks like ml."
        raise _units(text, "Multiply by 1000, since 1 ml is 1000 mm3.")
    if name == "max_diameter_stenosis_percent" and 0 < top <= 1 and (known % 1 > 0).any():
        text = f"max_diameter_stenosis_percent is never above 1 in {table.name}."
        raise _units(text, "It looks like a fraction: multiply by 100.")
    if name == "age_years" and float(np.median(known)) < 12:
        text = f"Half of the ages in {table.name} are below 12 years."
        raise _units(text, "Give age_years in years, not in decades.")


def _units(text: str, next_step: str) -> Refused:
    return Refused("RISK_TABLE_UNITS", text, next_step)


def _sex(table: CsvTable) -> NDArray[np.float64]:
    words = {"m": 1.0, "male": 1.0, "f": 0.0, "female": 0.0}
    cells = [row["sex"].lower() for row in table.rows]
    wrong = [i for i, c in enumerate(cells) if c not in words and c not in MISSING]
    if wrong:
        text = f"sex is neither F nor M in {table.where(wrong)}."
        raise Refused("RISK_TABLE_IMPOSSIBLE", text, "Write F or M, or leave the cell empty.")
    return np.array([words.get(c, np.nan) for c in cells])


def _segmenter(table: CsvTable) -> str | None:
    if "segmenter_sha256" not in table.columns:
        return None
    found = {row["segmenter_sha256"] for row in table.rows}
    if len(found) != 1 or "" in found:
        raise Refused(
            "RISK_TABLE_SEGMENTERS",
            f"{table.name} mixes {len(found)} segmenters: their volumes can't be compared.",
            "Analyse all scans again with one version, then export the table again.",
        )
    return found.pop()
