"""How the error of plaque volume depends on noise, sharpness, spacing, contrast and motion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.charts import Chart, Curve, Points, svg
from plaque_edge.evaluate.figures import analysed
from plaque_edge.evaluate.shares import mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONDITIONS = {
    "noise_hu": "noise (HU)",
    "psf_mm": "point spread (mm)",
    "slice_mm": "slice spacing (mm)",
    "aorta_hu": "blood in the aorta (HU)",
    "motion": "motion (0 no, 1 yes)",
}
FLOOR_MM3 = 50.0
"""Added to the true volume under the error, so that light disease doesn't decide."""
BINS = 4


def error_percent(row: dict[str, Any]) -> float:
    """100 (measured - true) / (true + 50 mm3)."""
    measured, true = row["measured"]["plaque_mm3"], row["truth"]["plaque_mm3"]
    return float(100 * (measured - true) / (true + FLOOR_MM3))


def curves(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Per condition: bins of equal counts with mean error, mean absolute error, intervals."""
    done = [r for r in rows if analysed(r)]
    out = {}
    for key in CONDITIONS:
        x = np.array([float(r["scan"][key]) for r in done])
        e = np.array([error_percent(r) for r in done])
        out[key] = [
            {
                "from": float(x[i].min()),
                "to": float(x[i].max()),
                "error_percent": mean(e[i].tolist()),
                "absolute_error_percent": mean(np.abs(e[i]).tolist()),
            }
            for i in _bins(x)
            if len(i)
        ]
    return out


def _bins(x: Any) -> list[Any]:
    if len(np.unique(x)) <= BINS:
        return [np.flatnonzero(x == v) for v in np.unique(x)]
    return list(np.array_split(np.argsort(x, kind="stable"), BINS))


def write_curves(rows: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """One SVG per condition: every scan, and the means of the bins."""
    done = [r for r in rows if analysed(r)]
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for key, bins in curves(rows).items():
        middle = [(b["from"] + b["to"]) / 2 for b in bins]
        marks = (
            Points([float(r["scan"][key]) for r in done], [error_percent(r) for r in done], "scan"),
            Curve(middle, [b["error_percent"]["value"] for b in bins], "mean", 1),
            Curve(middle, [b["absolute_error_percent"]["value"] for b in bins], "mean absolute", 2),
        )
        title = f"Error of plaque volume by {CONDITIONS[key]}, phantoms"
        path = folder / f"error_by_{key}.svg"
        chart = Chart(title, CONDITIONS[key], "100 (measured - true) / (true + 50 mm³)", marks)
        path.write_text(svg(chart), encoding="utf-8")
        written.append(path)
    return written


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the bins as lines of a Markdown table."""
    lines = ["| condition | from | to | mean error % | mean absolute error % | n |"]
    lines.append("|---|---|---|---|---|---|")
    for key, bins in curves(rows).items():
        for b in bins:
            e, a = b["error_percent"], b["absolute_error_percent"]
            lines.append(
                f"| {CONDITIONS[key]} | {b['from']:.3g} | {b['to']:.3g} | {e['value']:+.0f} | "
                f"{a['value']:.0f} ({a['interval'][0]:.0f} to {a['interval'][1]:.0f}) | {a['n']} |"
            )
    return lines
