"""Figures of the quality gate: of each check, what it found and what it told wrongly."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from plaque_edge.evaluate.gate_breaks import BREAKS, CLEAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOTE: Final = "Measured on synthetic phantoms with their true vessels, not on patients."
KINDS: Final = {**CLEAN, **BREAKS}
CUT_CM2: Final = 1.0
"""Muscle in the scan's last plane from which on a drawn heart counts as cut."""
_NO_ALARM: Final = frozenset({"QC_GRAFT_UNKNOWN"})
"""Right whenever the breastbone is not in the scan, which the gate's phantoms don't decide."""


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return verdicts on clean phantoms, and confusion of every check."""
    clean = [r for r in rows if r["kind"] in CLEAN]
    seconds = [r["seconds"] for r in rows]
    return {
        "note": NOTE,
        "phantoms": len({(r["seed"], r["made_as"]) for r in rows}),
        "clean": _clean(clean),
        "checks": {code: _confusion(code, rows) for code in _codes(rows)},
        "broken": {name: _found([r for r in rows if r["kind"] == name]) for name in BREAKS},
        "image_cpu_seconds_median": round(float(np.median(seconds)), 3) if seconds else None,
        "image_cpu_seconds_most": max(seconds, default=None),
    }


def _codes(rows: Iterable[dict[str, Any]]) -> list[str]:
    return sorted({code for r in rows for code in r["checks"]} - _NO_ALARM)


def _clean(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {"of": len(rows)}
    for verdict in ("diagnostic", "limited", "non_diagnostic"):
        out[verdict] = sum(r["verdict"] == verdict for r in rows)
    limits = Counter(code for r in rows for code in r["limiting"])
    return out | {
        "limited_by": dict(limits),
        "vessels_left_out": sum(len(r["left_out"]) for r in rows),
        "diagnostic_by_kind": {
            name: f"{sum(r['verdict'] == 'diagnostic' for r in own)} of {len(own)}"
            for name in CLEAN
            if (own := [r for r in rows if r["kind"] == name])
        },
    }


def _confusion(code: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Count what was broken and found, and what was told of scans that don't break the rule."""
    broken = [r for r in rows if KINDS[r["kind"]].code == code and _enough(r)]
    whole = [r for r in rows if not KINDS[r["kind"]].may_speak(code) and not _by_chance(r, code)]
    false = Counter(r["kind"] for r in whole if _speaks(r, code))
    found = sum(_speaks(r, code) for r in broken)
    return {
        "broken": len(broken),
        "found": found,
        "sensitivity": round(found / len(broken), 3) if broken else None,
        "whole": len(whole),
        "false_alarms": false.total(),
        "false_alarm_rate": round(false.total() / len(whole), 3) if whole else None,
        "false_refusals": sum(_level(r, code) == "refuse" for r in whole),
        "false_alarms_in": dict(false),
    }


def _found(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    levels = Counter(_level(r, KINDS[r["kind"]].code) for r in rows if _enough(r))
    counted = {k: levels[k] for k in ("refuse", "warn", "pass")}
    return {"of": levels.total(), **counted, "too_little": len(rows) - levels.total()}


def _enough(row: dict[str, Any]) -> bool:
    least = KINDS[row["kind"]].least
    return least is None or row["true"][least[0]] >= least[1]


def _by_chance(row: dict[str, Any], code: str) -> bool:
    """Say whether a phantom's heart reaches out of its scan although nothing was to be broken."""
    return code == "QC_HEART_CUT" and row["true"].get("cut_cm2", 0.0) > CUT_CM2


def _level(row: dict[str, Any], code: str) -> str:
    return str(row["checks"].get(code, ["pass"])[0])


def _speaks(row: dict[str, Any], code: str) -> bool:
    return _level(row, code) != "pass"


def table(found: dict[str, Any]) -> str:
    """Write the figures as Markdown."""
    clean = found["clean"]
    lines = [
        f"{clean['of']} clean phantoms: {clean['diagnostic']} diagnostic, {clean['limited']} "
        f"limited, {clean['non_diagnostic']} refused; limited by {clean['limited_by'] or 'none'}; "
        f"{clean['vessels_left_out']} vessels wrongly left out.",
        "",
        "| check | broken: found | not broken: false alarms | false refusals | where |",
        "|---|---|---|---|---|",
    ]
    for code, c in found["checks"].items():
        seen = f"{c['found']} of {c['broken']}" if c["broken"] else "not broken here"
        where = ", ".join(f"{k} {n}" for k, n in c["false_alarms_in"].items())
        lines.append(
            f"| {code} | {seen} | {c['false_alarms']} of {c['whole']} | {c['false_refusals']} "
            f"| {where} |"
        )
    return "\n".join(lines)
