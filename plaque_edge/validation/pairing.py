"""Measured and reference values brought together, and what could not be paired, counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.errors import Refused
from plaque_edge.validation.cases import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.validation.cases import Case
    from plaque_edge.validation.reference import Reference

FACTOR, PERCENT_FACTOR = 200.0, 30.0
"""Measured and reference this far apart in the middle are of different units: ml are 1000 times
as many mm3, a fraction is a hundredth of its per cent."""

NOT_MEASURED = "Not measured"
BOUND = "Only a lower bound was measured"
DOUBTFUL = "Low attenuation that can't be told in its scan"
NO_REFERENCE = "results have no reference"


@dataclass(frozen=True, slots=True)
class Pair:
    """One value measured twice: by us and by the reference, or by us on two scans."""

    case: str
    level: str
    component: str
    measured: float
    reference: float
    scanner: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs, those of repeated scans, and the sentences about what is missing."""

    against: tuple[Pair, ...]
    repeats: tuple[Pair, ...]
    notes: tuple[str, ...]


def pair(cases: Sequence[Case], rows: Sequence[Reference]) -> Pairs:
    """Pair by name. Raises Refused VALIDATE_NO_PAIRS or VALIDATE_UNITS."""
    by_name = _names(cases)
    unknown = sorted({r.case for r in rows if r.case not in by_name})
    lost = sorted({r.repeat_of for r in rows if r.repeat_of and r.repeat_of not in by_name})
    known = [r for r in rows if r.case in by_name]
    scanners = {by_name[r.case].name: r.scanner for r in known if r.scanner}
    against, gaps = _against(known, by_name, scanners)
    repeats = _repeats(known, by_name, scanners)
    if not against and not repeats:
        text = "No case of the reference table could be paired with a measurement."
        next_step = "Let the column case hold folder names, or series or study UIDs."
        raise Refused("VALIDATE_NO_PAIRS", text, next_step)
    for component in COMPONENTS:
        _check_unit([p for p in against if p.component == component])
    named = {by_name[r.case].name for r in known}
    notes = [
        _note(unknown, "cases of the reference have no result"),
        _note(lost, "cases named by repeat_of have no result"),
        _note([c.name for c in cases if c.name not in named], NO_REFERENCE),
        *_unmeasured(cases, named),
        *(f"{what}: {n} values left out." for what, n in gaps.items() if n),
    ]
    return Pairs(tuple(against), tuple(repeats), tuple(n for n in notes if n))


def _names(cases: Sequence[Case]) -> dict[str, Case]:
    """Return cases by folder, series and study; a study of several cases is no name of one."""
    found: dict[str, Case] = {}
    shared = set()
    for case in cases:
        for name in case.also:
            shared |= {name} if found.setdefault(name, case) is not case else set()
    for name in shared | {""}:
        found.pop(name, None)
    return found | {c.name: c for c in cases}


def _against(
    rows: Sequence[Reference], by_name: dict[str, Case], scanners: dict[str, str]
) -> tuple[list[Pair], dict[str, int]]:
    out: list[Pair] = []
    gaps = dict.fromkeys((NOT_MEASURED, BOUND, DOUBTFUL), 0)
    for row in rows:
        case = by_name[row.case]
        for component, reference in row.values.items():
            if math.isnan(reference):
                continue
            gap = _gap(case, row.level, component)
            measured = case.values[row.level][component]
            if gap:
                gaps[gap] += 1
            elif measured is not None:
                scanner = scanners.get(case.name, case.scanner)
                out.append(Pair(case.name, row.level, component, measured, reference, scanner))
    return out, gaps


def _gap(case: Case, level: str, component: str) -> str:
    """Say why a value of a case is not to be compared; empty where it is."""
    if case.values[level][component] is None:
        return NOT_MEASURED
    if level in case.bounds:
        return BOUND
    doubtful = component == "low_attenuation_mm3" and "LOW_ATTENUATION_DOUBTFUL" in case.reasons
    return DOUBTFUL if doubtful else ""


def _repeats(
    rows: Sequence[Reference], by_name: dict[str, Case], scanners: dict[str, str]
) -> list[Pair]:
    links = {(r.case, r.repeat_of) for r in rows if r.repeat_of in by_name}
    out = []
    for again, first in sorted(links):
        a, b = by_name[first], by_name[again]
        for level, values in a.values.items():
            for component, x in values.items():
                if _gap(a, level, component) or _gap(b, level, component):
                    continue
                y = b.values[level][component]
                if x is not None and y is not None:
                    scanner = scanners.get(b.name, b.scanner)
                    out.append(Pair(b.name, level, component, y, x, scanner))
    return out


def _check_unit(pairs: Sequence[Pair]) -> None:
    ratios = [p.measured / p.reference for p in pairs if p.measured > 0 and p.reference > 0]
    if len(ratios) < 5:
        return
    middle, name = float(np.median(ratios)), pairs[0].component
    factor = PERCENT_FACTOR if name.endswith("percent") else FACTOR
    if not 1 / factor < middle < factor:
        raise Refused(
            "VALIDATE_UNITS",
            f"{name} of the reference differs from the measured by a factor of {middle:.3g}.",
            "Give volumes in mm3 (1 ml is 1000 mm3) and stenoses in percent.",
        )


def _note(names: Sequence[str], what: str) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{len(names)} {what}: {', '.join(names[:5])}{more}."


def _unmeasured(cases: Sequence[Case], named: set[str]) -> list[str]:
    """Say by code why cases with a reference could not be analysed."""
    out = []
    for case in cases:
        if case.name in named and case.status not in ("ready", "review"):
            out.append(f"{case.name} is {case.status}: {', '.join(case.reasons)}.")
    return out
