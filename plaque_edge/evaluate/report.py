"""The figures as Markdown, and their plots as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plaque_edge.agreement import Paired, bland_altman_plot, scatter_plot
from plaque_edge.evaluate.curves import table as conditions
from plaque_edge.evaluate.figures import (
    COMPONENTS,
    VISIBLE,
    analysed,
    patient_pairs,
    vessel_pairs,
)
from plaque_edge.evaluate.goals import GOALS, SLOPE, limits, verdict
from plaque_edge.evaluate.intervals import table as intervals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WORST = 10
WHOLE = "plaque_whole"
"""Plaque of patients none of whose vessels was left out."""


def markdown(f: dict[str, Any], what: str, rows: Sequence[dict[str, Any]]) -> str:
    """Goals, agreement and intervals per component, families, Rotterdam, conditions, machine."""
    head = [
        f"{f['patients']} patients, {f['scans']} scans: {what}. {f['note']}",
        "Brackets are 95 % intervals. Research use only, not a medical device.",
        "",
    ]
    if "tree" not in f:
        return "\n".join([*head, "Too few were analysed for figures."])
    parts = [
        _goals(f), _agreement(f), intervals(f["intervals"]), _families(f), _rotterdam(f),
        conditions(rows), _machine(f),
    ]  # fmt: skip
    return "\n".join([*head, *(line for part in parts for line in (*part, ""))])


def _goals(f: dict[str, Any]) -> list[str]:
    rows = ["| figure | must | wanted | measured | |", "|---|---|---|---|---|"]
    for goal in GOALS:
        value, interval, n = goal.take(f)
        state = verdict(value, limits(goal, goal.must), limits(goal, goal.wanted))
        sign = "≥" if goal.least else "≤"
        shown = _shown(value, interval, goal.unit) + ("" if n is None else f", n {n:.0f}")
        rows.append(f"| {goal.name} | {sign} {goal.must:g} | {goal.wanted:g} | {shown} | {state} |")
    for name in ("passing_bablok", "deming"):
        line = f["patient_plaque_mm3"][name]
        shown = _shown(line["slope"], line["slope_interval"])
        title = f"slope of plaque per patient ({name.replace('_', '-').title()})"
        (a, b), (c, d) = SLOPE
        state = verdict(line["slope"], *SLOPE)
        rows.append(f"| {title} | {a:.2f} to {b:.2f} | {c:.2f} to {d:.2f} | {shown} | {state} |")
    return rows


def _agreement(f: dict[str, Any]) -> list[str]:
    rows = [
        "| volume | n | ICC(A,1) | bias mm3 | limits of agreement mm3 | slope | mean error mm3 |",
        "|---|---|---|---|---|---|---|",
    ]
    for level in ("patient", "vessel"):
        for part in (*COMPONENTS, VISIBLE, WHOLE):
            a = f.get(f"{level}_{part}_mm3")
            if a is None:
                continue
            icc = _shown(a["icc_a1"], [a["icc_a1_lower"], a["icc_a1_upper"]])
            slope = _shown(a["slope"], a["slope_interval"])
            name = f"{part.replace('_', ' ')} per {level}"
            name = "plaque of patients measured whole" if part == WHOLE else name
            rows.append(
                f"| {name} | {a['n']} | {icc} | {a['bias']:+.1f} | "
                f"{a['loa_lower']:+.0f} to {a['loa_upper']:+.0f} | {slope} | "
                f"{a['mean_absolute_error']:.1f} |"
            )
    return rows


def _families(f: dict[str, Any]) -> list[str]:
    rows = [
        "| family | patients | plaque ICC(A,1) | bias mm3 | slope | mean error % | "
        "recall | precision | right side of 50 % |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, x in f["families"].items():
        a = x["plaque_mm3"] or {}
        icc = _shown(a.get("icc_a1"), [a.get("icc_a1_lower"), a.get("icc_a1_upper")])
        rest = (
            _number(x[k]["value"])
            for k in ("relative_error_percent", "recall", "precision", "right_side_of_50")
        )
        rows.append(
            f"| {name} | {x['patients']} | {icc} | {_number(a.get('bias'))} | "
            f"{_number(a.get('slope'))} | {' | '.join(rest)} |"
        )
    return rows


def _rotterdam(f: dict[str, Any]) -> list[str]:
    rows = ["| Rotterdam measure | OV | OF | OT | AI mm |", "|---|---|---|---|---|"]
    for name, x in f["rotterdam"].items():
        keys = ("overlap", "until_first_error", "relevant", "inside_mm")
        shown = (_shown(x[k]["value"], x[k]["interval"]) for k in keys)
        rows.append(f"| {name} | {' | '.join(shown)} |")
    return rows


def _machine(f: dict[str, Any]) -> list[str]:
    s = f["seconds"]
    return [
        f"Status ready without a look: {_shown(f['ready']['value'], f['ready']['interval'])}. "
        "Patients measured whole (the others' sums are lower bounds and stand above as they are): "
        f"{_shown(f['measured_whole']['value'], f['measured_whole']['interval'])}. "
        f"Seconds from command to result: median {s['median']:.1f}, most {s['most']:.1f}; "
        f"peak memory {f['peak_mb_max'] / 1024:.2f} GB."
    ]


def _shown(value: float | None, interval: Sequence[Any] | None = None, unit: str = "") -> str:
    text = _number(value) + (f" {unit}" if unit and value is not None else "")
    if value is None or not interval or interval[0] is None or interval[1] is None:
        return text
    return f"{text} ({_number(interval[0])} to {_number(interval[1])})"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 2 else f"{value:.1f}"


def write_plots(rows: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """Scatter and Bland-Altman plots of plaque per patient and vessel and of its components."""
    done = [r for r in rows if analysed(r) and r["preset"] != "rescan"]
    folder.mkdir(parents=True, exist_ok=True)
    sets = {f"patient_{p}": (patient_pairs(done, p), f"{p} per patient") for p in COMPONENTS[:4]}
    sets["vessel_plaque"] = (vessel_pairs(done, "plaque_mm3"), "plaque per vessel")
    sets["vessel_stenosis"] = (
        vessel_pairs(done, "max_diameter_stenosis_percent"),
        "diameter stenosis per vessel",
    )
    families = {"patient_plaque": [r["family"] for r in done]}
    written = []
    for name, (pairs, title) in sets.items():
        if len(pairs) < 3:
            continue
        data = Paired(
            [m for m, _ in pairs],
            [t for _, t in pairs],
            f"{title.replace('_', ' ')} (phantoms)",
            "%" if "stenosis" in name else "mm³",
            "truth",
            families.get(name),
        )
        for kind, plot in (("scatter", scatter_plot), ("bland_altman", bland_altman_plot)):
            path = folder / f"{name}_{kind}.svg"
            path.write_text(plot(data), encoding="utf-8")
            written.append(path)
    return written


def worst(rows: Sequence[dict[str, Any]], count: int = WORST) -> list[dict[str, Any]]:
    """Return the patients with the largest error of plaque volume, not analysed ones first."""

    def error(row: dict[str, Any]) -> float:
        if not analysed(row):
            return float("inf")
        return abs(float(row["measured"]["plaque_mm3"] - row["truth"]["plaque_mm3"]))

    return sorted(rows, key=error, reverse=True)[:count]
