"""A CSV file as rows of text with their line numbers, and numbers out of its cells.

Commas, semicolons and tabs separate; numbers have a decimal point. A patient's identity never
gets into a message: rows are named by their line.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MISSING = {"", "na", "n/a", "nan", "null", "none", "."}


@dataclass(frozen=True, slots=True)
class CsvTable:
    """``rows`` holds one mapping per line; ``lines`` their numbers in the file, from 1."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]
    sha256: str

    def where(self, indices: Iterable[int]) -> str:
        """Return the lines of some rows in words, five at most."""
        found = [self.lines[i] for i in indices]
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        word = "line" if len(found) == 1 else "lines"
        return f"{word} {', '.join(map(str, found[:5]))}{more}"


def read_csv(path: Path) -> CsvTable:
    """Read a table with a header line. Raises Refused TABLE_UNREADABLE, TABLE_HEADER."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        text = f"The table {path.name} can't be read as text (UTF-8)."
        raise Refused("TABLE_UNREADABLE", text, "Save it as CSV in UTF-8.") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        text = f"The table {path.name} has no rows below a header line."
        raise Refused("TABLE_UNREADABLE", text, "Give a CSV file with one row per line.")
    separator = max(",;\t", key=lines[0].count)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    header, rows, numbers = [c.strip() for c in next(reader)], [], []
    doubled = {c for c in header if header.count(c) > 1}
    if doubled or "" in header:
        what = f"names {sorted(doubled)[0]} twice" if doubled else "has a column without a name"
        raise Refused(
            "TABLE_HEADER", f"The header of {path.name} {what}.", "Name each column once."
        )
    for cells in reader:
        if not any(c.strip() for c in cells):
            continue
        if len(cells) != len(header):
            said = f"Line {reader.line_num} of {path.name} has {len(cells)} cells"
            next_step = "Write decimals with a point, and texts with commas in quotes."
            raise Refused("TABLE_HEADER", f"{said}, the header {len(header)}.", next_step)
        rows.append({k: c.strip() for k, c in zip(header, cells, strict=True)})
        numbers.append(reader.line_num)
    digest = hashlib.sha256(content).hexdigest()
    return CsvTable(path.name, tuple(header), tuple(rows), tuple(numbers), digest)


def require(table: CsvTable, columns: Sequence[str]) -> None:
    """Refuse TABLE_COLUMN_MISSING where a column is not there."""
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise Refused(
            "TABLE_COLUMN_MISSING",
            f"{table.name} has no column {', '.join(missing)}.",
            f"Its columns are {', '.join(table.columns)}. Rename or add what is missing.",
        )


def numbers(table: CsvTable, column: str) -> list[float]:
    """Return a column as numbers, ``nan`` where missing. Raises Refused TABLE_NUMBER."""
    values, wrong = [], []
    for index, row in enumerate(table.rows):
        cell = row[column]
        try:
            value = math.nan if cell.lower() in MISSING else float(cell)
        except ValueError:
            value = math.inf
        if math.isinf(value):
            wrong.append(index)
        values.append(value)
    if wrong:
        raise Refused(
            "TABLE_NUMBER",
            f"{column} is not a number in {table.where(wrong)} of {table.name}.",
            "Write numbers with a decimal point; leave a cell empty where nothing is known.",
        )
    return values


def unique(table: CsvTable, columns: Sequence[str], code: str, what: str) -> None:
    """Refuse ``code`` _MISSING or _DUPLICATE where ``columns`` don't name every row once."""
    keys = [tuple(row[c] for c in columns) for row in table.rows]
    nameless = [i for i, row in enumerate(table.rows) if row[columns[0]].lower() in MISSING]
    if nameless:
        text = f"{table.name} has no {columns[0]} in {table.where(nameless)}."
        raise Refused(f"{code}_MISSING", text, f"Name the {what} of every row.")
    first: dict[tuple[str, ...], int] = {}
    again = [i for i, key in enumerate(keys) if first.setdefault(key, i) != i]
    if again:
        text = f"{table.name} names a {what} twice: {table.where(again)}."
        raise Refused(f"{code}_DUPLICATE", text, "Keep one row for each, and say which by hand.")
