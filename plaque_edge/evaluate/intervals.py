"""The intervals of evaluated phantoms: the rows they are fitted on, and how often they hold.

Fitted on validation phantoms only; how often they hold is a figure of test phantoms, by the
intervals that the results themselves carry.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.manifest import MODELS
from plaque_edge.errors import Refused
from plaque_edge.evaluate.kept import model_of
from plaque_edge.evaluate.shares import share
from plaque_edge.phantom.scene import VALIDATION_SEEDS
from plaque_edge.quantify.intervals import IntervalModel, features_of
from plaque_edge.quantify.intervals_file import LEVELS, NAME, load_for
from plaque_edge.quantify.intervals_fit import Sample, fit_part
from plaque_edge.quantify.softness import PARTS
from plaque_edge.types import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GOAL = (0.90, 0.98)
"""Share of truths that must lie in their interval."""
SHIPPED = MODELS / "wall" / NAME
Row = dict[str, Any]
Figure = dict[str, Any]


def fit_model(rows: Sequence[Row]) -> IntervalModel:
    """Fit every part and level on the rows of an evaluation.

    A part of which too little was measured is left out, and so gets no interval. Raises ``Refused``
    INTERVALS_SEEDS, INTERVALS_FEW, EVALUATION_MIXED.
    """
    alien = [r["key"] for r in rows if r["seed"] not in VALIDATION_SEEDS]
    if alien:
        text = f"{len(alien)} scans, such as {alien[0]}, are not of the validation seeds."
        raise Refused("INTERVALS_SEEDS", text, "Evaluate with --split validation.")
    model = model_of(rows)
    used = [r for r in rows if _measured(r)]
    levels = {
        level: {
            part: found
            for part in PARTS
            if (found := fit_part(samples(used, level, part))) is not None
        }
        for level in LEVELS
    }
    if any("plaque" not in parts for parts in levels.values()):
        text = f"{len(used)} measured scans are too few: 25 whole patients are needed."
        raise Refused("INTERVALS_FEW", text, "Evaluate more validation phantoms.")
    day = datetime.date.today().isoformat()
    return IntervalModel(model["sha256"], dict(model["calibration"]), levels, len(used), day)


def samples(rows: Sequence[Row], level: str, part: str) -> list[Sample]:
    """Collect the volumes that an interval can be asked for, with their truth and features."""
    found = []
    for row, item in _items(rows, level, part):
        values = features_of(part, item["measured"], row["quality"])
        if values is None:
            continue
        name = f"{part}_mm3"
        patient = f"{row['generator']} {row['seed']}"
        found.append(Sample(patient, item["measured"][name], item["truth"][name], values))
    return found


def coverage(rows: Sequence[Row], model: IntervalModel | None) -> Figure:
    """How often the truth lies in its interval, per level, part and size class of ``model``."""
    levels = {level: {part: _part(rows, level, part, model) for part in PARTS} for level in LEVELS}
    return {"goal": list(GOAL), **levels}


def shipped_for(rows: Sequence[Row]) -> IntervalModel | None:
    """Return the shipped intervals where they are those of the rows' networks."""
    model = model_of(rows)
    if not model:
        return None
    calibration = tuple(model["calibration"].items())
    found = load_for(ModelInfo("", "", model["sha256"], "", "", calibration, SHIPPED.parent))
    return found if isinstance(found, IntervalModel) else None


def table(found: Figure) -> list[str]:
    """Return the figures as lines of a Markdown table."""
    low, high = (100 * x for x in found["goal"])
    lines = [
        f"| truth inside its 95 % interval (goal {low:.0f} to {high:.0f} %) | measured mm3 | held "
        "| half width, median mm3 | without interval | |",
        "|---|---|---|---|---|---|",
    ]
    for level in LEVELS:
        for part, x in found[level].items():
            for size in (x["all"], *x["classes"]):
                held = size["held"]
                if not held["n"]:
                    continue
                a, b = (100 * v for v in held["interval"])
                lines.append(
                    f"| {part.replace('_', ' ')} per {level} | {_range(size)} | "
                    f"{100 * held['value']:.0f} % ({a:.0f} to {b:.0f}), n {held['n']} | "
                    f"{size['half_width_mm3']:.1f} | {size['without']} | {verdict(held)} |"
                )
    return lines


def verdict(held: Figure) -> str:
    """Say whether a share is within the goal, or may be, by its interval.

    Where most truths are exactly 0 any interval holds nearly all of them.
    """
    low, high = held["interval"]
    if GOAL[0] <= held["value"] <= GOAL[1]:
        return "reached"
    if low <= GOAL[1] and high >= GOAL[0]:
        return "outside, but too few to tell"
    return "**missed**" if high < GOAL[0] else "**wider than wanted**"


def _range(size: Figure) -> str:
    low, high = size["from_mm3"], size["below_mm3"]
    if low is None and high is None:
        return "all"
    if low is None:
        return f"below {high:g}"
    return f"from {low:g}" if high is None else f"{low:g} to {high:g}"


def _part(rows: Sequence[Row], level: str, part: str, model: IntervalModel | None) -> Figure:
    found = []
    for _, item in _items(rows, level, part):
        name = f"{part}_mm3"
        known = (item["measured"].get("intervals_95") or {}).get(name)
        found.append((item["measured"][name], item["truth"][name], known))
    out: Figure = {"all": _held(found, None, None), "classes": []}
    classes = model.levels[level][part].classes if model and part in model.levels[level] else ()
    low: float | None = None
    for c in classes:
        high = None if c.below_mm3 == float("inf") else c.below_mm3
        mine = [x for x in found if (low is None or x[0] >= low) and x[0] < c.below_mm3]
        out["classes"].append(_held(mine, low, high))
        low = high
    return out


def _held(found: Sequence[tuple[Any, Any, Any]], low: float | None, high: float | None) -> Figure:
    known = [(true, interval) for _, true, interval in found if interval is not None]
    widths = [0.5 * (b - a) for _, (a, b) in known]
    return {
        "from_mm3": low,
        "below_mm3": high,
        "held": share([a <= true <= b for true, (a, b) in known]),
        "half_width_mm3": float(np.median(widths)) if widths else None,
        "without": len(found) - len(known),
    }


def _items(rows: Sequence[Row], level: str, part: str) -> Iterator[tuple[Row, dict[str, Any]]]:
    """Every volume that was wholly measured and can be trusted, with its row."""
    for row in rows:
        if part == "low_attenuation" and "LOW_ATTENUATION_DOUBTFUL" in row["reasons"]:
            continue
        if level == "vessel":
            items = [v for v in row["vessels"].values() if v["measured"]["status"] == "analysed"]
        else:
            items = [] if row["measured"]["lower_bound"] else [row]
        yield from ((row, i) for i in items if i["measured"][f"{part}_mm3"] is not None)


def _measured(row: Row) -> bool:
    return row["status"] in ("ready", "review") and row["quality"] is not None
