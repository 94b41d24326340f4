"""The paper's four external sets, mirrored by phantoms whose evaluation was kept.

Their reference is exact truth. The scans were made and measured by ``plaque-edge evaluate``;
nothing is measured again here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import Refused
from plaque_edge.types import VESSELS
from plaque_edge.validation.cases import COMPONENTS, PATIENT, Case, bounds_of, values_of
from plaque_edge.validation.pairing import NO_REFERENCE, Pairs, pair
from plaque_edge.validation.reference import Reference
from plaque_edge.validation.tables import NOTICE, sections

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PaperSet:
    """One table: its name, what it stands in for, and the families of scans it is made of."""

    name: str
    title: str
    families: tuple[str, ...]
    repeats: bool = False
    """Two scans of each patient against each other, instead of each against the truth."""


SETS = (
    PaperSet("ivus", "Sub-voxel truth, as intravascular ultrasound", ("standard",)),
    PaperSet("scanners", "Other scanners and kernels", ("noisy", "soft")),
    PaperSet("repeat", "Repeat scans", ("rescan",), repeats=True),
    PaperSet("photon", "Photon-counting CT", ("photon",)),
)
"""In the order of the paper."""


def paired(chosen: PaperSet, rows: Sequence[Row]) -> Pairs:
    """Return the pairs of one set; where there are none, the sentence that says so."""
    mine = [r for r in rows if r["family"] in chosen.families]
    if not mine:
        names = " or ".join(chosen.families)
        return Pairs((), (), (f"Not measured: no scan of the family {names} was kept.",))
    try:
        found = pair(cases_of(mine), references_of(chosen, mine))
    except Refused as error:
        return Pairs((), (), (str(error),))
    counts = f"{len({r['seed'] for r in mine})} patients, {len(mine)} scans."
    # A first scan has no reference of its own in a set of repeats, and needs none.
    notes = found.notes if not chosen.repeats else [n for n in found.notes if NO_REFERENCE not in n]
    return replace(found, notes=(counts, *notes))


def paper_markdown(figures: dict[str, Any]) -> str:
    """Return the four tables as one page."""
    parts = [f"# {figures['source']}", NOTICE]
    for found in figures["sets"].values():
        parts += [f"## {found['title']}", *found["notes"], *sections(found, "###", short=True)]
    return "\n\n".join(parts) + "\n"


def cases_of(rows: Sequence[Row]) -> list[Case]:
    """Return the measured side of the rows."""
    return [
        Case(
            row["key"],
            (),
            row["family"],
            row["model"]["sha256"],
            row["status"],
            tuple(row["reasons"]),
            bounds_of(row["measured"], {v: row["vessels"][v]["measured"] for v in VESSELS}),
            {PATIENT: values_of(row["measured"])}
            | {v: values_of(row["vessels"][v]["measured"]) for v in VESSELS},
        )
        for row in rows
    ]


def references_of(chosen: PaperSet, rows: Sequence[Row]) -> list[Reference]:
    """Return the truth of the rows; in a set of repeats which scan is the second of which."""
    firsts = {r["seed"]: r["key"] for r in rows if r["preset"] != "rescan"}
    if chosen.repeats:
        return [
            Reference(r["key"], PATIENT, {}, r["family"], firsts.get(r["seed"], "not kept"))
            for r in rows
            if r["preset"] == "rescan"
        ]
    return [reference for row in rows for reference in _truth(row)]


def _truth(row: Row) -> Iterator[Reference]:
    levels = {PATIENT: row["truth"]} | {v: row["vessels"][v]["truth"] for v in VESSELS}
    for level, truth in levels.items():
        values = {c: float(truth.get(c, math.nan)) for c in COMPONENTS}
        yield Reference(row["key"], level, values, row["family"], "")
