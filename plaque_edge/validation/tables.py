"""The tables: agreement per component, vessel and scanner, repeatability, as data and Markdown."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from plaque_edge import RESEARCH_USE
from plaque_edge.agreement import agreement, repeatability
from plaque_edge.agreement.summary import known
from plaque_edge.types import VESSELS
from plaque_edge.validation.cases import COMPONENTS, PATIENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.validation.pairing import Pair, Pairs

FEWEST = 3
LEVELS = (PATIENT, "all vessels", *VESSELS)
NOTICE = f"{RESEARCH_USE}."


def words(component: str) -> str:
    """Return a component as a reader says it."""
    known_words = {"max_diameter_stenosis_percent": "largest stenosis (%)"}
    return known_words.get(component, component.replace("_mm3", "").replace("_", " "))


def select(pairs: Sequence[Pair], component: str, level: str, scanner: str = "") -> list[Pair]:
    """Return the pairs of one table row."""
    return [
        p
        for p in pairs
        if p.component == component
        and (not scanner or p.scanner == scanner)
        and (p.level == level or (level == "all vessels" and p.level != PATIENT))
    ]


def all_figures(pairs: Pairs) -> dict[str, Any]:
    """Return every row of every table; a row with fewer than 3 pairs has no figures."""
    scanners = sorted({p.scanner for p in pairs.against})
    return {
        "agreement": _rows(pairs.against, LEVELS),
        "scanners": [
            {"scanner": s} | row for s in scanners for row in _rows(pairs.against, LEVELS[:2], s)
        ],
        "repeat_agreement": _rows(pairs.repeats, LEVELS),
        "repeatability": _repeat_rows(pairs.repeats),
        "notes": list(pairs.notes),
    }


def _rows(pairs: Sequence[Pair], levels: Sequence[str], scanner: str = "") -> list[dict[str, Any]]:
    out = []
    for component in COMPONENTS:
        for level in levels:
            chosen = select(pairs, component, level, scanner)
            if chosen:
                head = {"component": component, "level": level, "n": len(chosen)}
                out.append(head | {"figures": _agreement(chosen)})
    return out


def _agreement(chosen: Sequence[Pair]) -> dict[str, Any] | None:
    if len(chosen) < FEWEST:
        return None
    return agreement([p.measured for p in chosen], [p.reference for p in chosen]).as_dict()


def _repeat_rows(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    out = []
    for component in COMPONENTS:
        for level in LEVELS:
            chosen = select(pairs, component, level)
            if len(chosen) >= FEWEST:
                found = repeatability([p.reference for p in chosen], [p.measured for p in chosen])
                row = {"component": component, "level": level}
                out.append(row | known(asdict(found)))
    return out


def markdown(figures: dict[str, Any], title: str) -> str:
    """Return all tables as one Markdown page."""
    parts = [f"# {title}", NOTICE, *figures["notes"], *sections(figures, "##")]
    return "\n\n".join(parts) + "\n"


def sections(figures: dict[str, Any], heading: str, *, short: bool = False) -> list[str]:
    """Return the tables with their headings; ``short`` has single vessels for plaque alone."""

    def shown(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        brief = (COMPONENTS[0], *LEVELS[:2])
        return [r for r in rows if not short or r["component"] in brief or r["level"] in brief]

    parts = []
    if figures["agreement"]:
        table = _agreement_table(shown(figures["agreement"]), "")
        parts += [f"{heading} Agreement with the reference", table]
    if len({r["scanner"] for r in figures["scanners"]}) > 1:
        parts += [f"{heading} By scanner", _agreement_table(shown(figures["scanners"]), "scanner")]
    if figures["repeatability"]:
        rows = shown(figures["repeatability"])
        parts += [f"{heading} Repeatability", _repeat_table(rows, figures["repeat_agreement"])]
    return parts


def _agreement_table(rows: Sequence[dict[str, Any]], first: str) -> str:
    head = [*([first] if first else []), "volume", "of", "n", "ICC(2,1)", "bias", "limits"]
    head += ["bias %", "limits %", "r", "slope", "Deming", "Passing-Bablok"]
    body = []
    for row in rows:
        start = [*([row[first]] if first else []), words(row["component"]), row["level"]]
        body.append([*start, str(row["n"]), *_cells(row["figures"])])
    return _table(head, body)


def _cells(f: dict[str, Any] | None) -> list[str]:
    if f is None:
        return ["fewer than 3 pairs", *[""] * 8]
    percent = f["percent"]
    icc = (f["icc_a1"], (f["icc_a1_lower"], f["icc_a1_upper"]))
    return [
        _value(*icc, 2),
        _value(f["bias"], f["bias_interval"], 1),
        f"{_number(f['loa_lower'], 0)} to {_number(f['loa_upper'], 0)}",
        "" if percent is None else _value(percent["bias"], percent["bias_interval"], 0),
        ""
        if percent is None
        else f"{_number(percent['lower'], 0)} to {_number(percent['upper'], 0)}",
        _value(f["pearson_r"], f["pearson_r_interval"], 2),
        _value(f["slope"], f["slope_interval"], 2),
        _number(f["deming"]["slope"], 2),
        _number(f["passing_bablok"]["slope"], 2),
    ]


def _repeat_table(rows: Sequence[dict[str, Any]], agreed: Sequence[dict[str, Any]]) -> str:
    icc = {(r["component"], r["level"]): r["figures"] for r in agreed}
    head = ["volume", "of", "n", "ICC(2,1)", "within-patient SD", "coefficient", "CV %"]
    body = []
    for row in rows:
        f = icc[row["component"], row["level"]] or {}
        body.append(
            [
                words(row["component"]),
                row["level"],
                str(row["n"]),
                _value(f.get("icc_a1"), (f.get("icc_a1_lower"), f.get("icc_a1_upper")), 2),
                _value(row["within_sd"], row["within_sd_interval"], 1),
                _value(row["coefficient"], row["coefficient_interval"], 1),
                _value(row["cv_percent"], row["cv_percent_interval"], 0),
            ]
        )
    return _table(head, body)


def _number(value: float | None, digits: int) -> str:
    return "not defined" if value is None else f"{value:.{digits}f}"


def _value(value: float | None, interval: Sequence[float | None] | None, digits: int) -> str:
    if value is None or interval is None or None in interval:
        return _number(value, digits)
    low, high = (_number(v, digits) for v in interval)
    return f"{value:.{digits}f} ({low} to {high})"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
