"""The evaluation as one HTML file that opens anywhere: tables, plots inside, TRIPOD+AI's items."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import numpy as np

import plaque_edge
from plaque_edge.charts import NOTICE, Band, Chart, Curve, Points, svg
from plaque_edge.risk.tripod import answer_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plaque_edge.risk.evaluate import AtHorizon, Evaluation, Value

STYLE = (
    "body{font:15px/1.5 'DejaVu Sans',Arial,sans-serif;color:#1B2430;max-width:900px;margin:2em "
    "auto;padding:0 1em}table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #C9D1DA;"
    "padding:.3em .6em;text-align:left;vertical-align:top}th{background:#F2F5F8}.notice{border:2px "
    "solid #A11D2B;padding:.6em 1em}.open{color:#8A4B00}svg{max-width:100%;height:auto}"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What the report says beside the figures."""

    title: str
    endpoint: str
    population: str
    source: str
    """What the table is, honestly: real or simulated, whose, whether the model saw it."""
    model_lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    development: bool = False


def text(value: Value | None, digits: int = 3) -> str:
    """Return a figure with its interval in words."""
    if value is None or not np.isfinite(value.value):
        return "not available"
    low, high = value.interval
    if not np.isfinite([low, high]).all():
        return f"{value.value:.{digits}f} (no interval)"
    return f"{value.value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def html(found: Evaluation, told: Told) -> str:
    """Return the whole report."""
    parts = [
        f"<h1>{escape(told.title)}</h1>",
        f'<p class="notice"><strong>{escape(NOTICE)}</strong> {escape(told.source)}</p>',
        _paragraphs(told.notes),
        _table(["", ""], summary_rows(found, told)),
        "<h2>Discrimination and calibration by horizon</h2>",
        _table(
            ["years", "events", "followed beyond", "AUC", "O/E", "Brier", "IPA", "ICI"],
            horizon_rows(found),
        ),
        *(_horizon(h) for h in found.horizons if h.ratio is not None),
        "<h2>Subgroups</h2>",
        "<p>Where events are fewer than ten no figure is given.</p>",
        _table(["group", "patients", "events", "Harrell's C", "O/E"], subgroup_rows(found)),
        "<h2>The model</h2>" + _paragraphs(told.model_lines) if told.model_lines else "",
        "<h2>TRIPOD+AI</h2>",
        "<p>Collins et al. 2024, doi:10.1136/bmj-2023-078378. What software can't know is left to "
        'the authors and marked <span class="open">open</span>.</p>',
        _items(found, told),
        f"<p>plaque-edge {plaque_edge.__version__}, {datetime.date.today().isoformat()}</p>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(told.title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def summary_rows(found: Evaluation, told: Told) -> list[tuple[str, str]]:
    """Return the figures that have no horizon."""
    follow = found.median_follow_up
    rows = [
        ("what was judged", found.name),
        ("endpoint", told.endpoint),
        ("patients, events", f"{found.patients}, {found.events}"),
        ("median follow-up", "not available" if follow is None else f"{follow:.2f} years"),
        ("Harrell's C", text(found.harrell)),
        ("Uno's C", text(found.uno)),
        ("calibration slope", text(found.slope, 2)),
    ]
    if told.left_out:
        gaps = ", ".join(f"{k} {v}" for k, v in told.missing.items())
        rows.append(("left out for missing inputs", f"{told.left_out} ({gaps})"))
    return rows


def horizon_rows(found: Evaluation) -> list[tuple[str, ...]]:
    """Return one row per horizon."""
    return [
        (
            f"{h.years:g}",
            f"{h.events}",
            f"{h.at_risk}",
            text(h.auc),
            _ratio(h),
            text(h.brier, 4),
            text(h.ipa),
            "not available" if h.smooth is None else f"{h.smooth.ici:.4f}",
        )
        for h in found.horizons
    ]


def subgroup_rows(found: Evaluation) -> list[tuple[str, ...]]:
    """Return one row per subgroup; too few events are said, not computed."""
    return [
        (
            s.name,
            f"{s.patients}",
            f"{s.events}",
            "too few events" if s.harrell is None else text(s.harrell),
            "not available"
            if s.ratio is None
            else f"{s.ratio.ratio:.2f} ({s.ratio.interval[0]:.2f} to {s.ratio.interval[1]:.2f})",
        )
        for s in found.subgroups
    ]


def _ratio(h: AtHorizon) -> str:
    if h.ratio is None:
        return "not available"
    low, high = h.ratio.interval
    return (
        f"{h.ratio.ratio:.2f} ({low:.2f} to {high:.2f}): "
        f"{100 * h.ratio.observed:.1f} % seen, {100 * h.ratio.expected:.1f} % foretold"
    )


def _horizon(h: AtHorizon) -> str:
    return f"<h2>At {h.years:g} years</h2>{calibration_plot(h)}{decision_plot(h)}"


def calibration_plot(h: AtHorizon) -> str:
    """Observed against predicted risk: groups with intervals, and the smooth curve."""
    groups = [g for g in h.groups if np.isfinite([g.observed]).all()]
    top = 1.1 * max([g.expected for g in groups] + [g.observed for g in groups] + [0.01])
    marks: list[Band | Curve | Points] = [Curve((0, 1), (0, 1), "perfect", 6)]
    for g in groups:
        if np.isfinite(g.interval).all():
            marks.append(Curve((g.expected, g.expected), g.interval, "", 0))
    marks.append(
        Points([g.expected for g in groups], [g.observed for g in groups], "groups, 95 %", 0)
    )
    if h.smooth is not None:
        marks.append(Curve(h.smooth.predicted.tolist(), h.smooth.observed.tolist(), "smooth", 1))
    title = f"Calibration at {h.years:g} years"
    span = (0.0, min(1.0, top))
    return svg(Chart(title, "predicted risk", "observed risk", tuple(marks), span, span))


def decision_plot(h: AtHorizon) -> str:
    """Net benefit over thresholds: the model, everybody, nobody."""
    cut, model, everybody = (list(c) for c in zip(*h.net_benefit, strict=True))
    top = max(0.005, 1.15 * max([*model, *everybody]))
    marks = (
        Curve(cut, model, "by this model", 1),
        Curve(cut, everybody, "everybody", 2),
        Curve((0, max(cut)), (0, 0), "nobody", 6),
    )
    title = f"Decision curve at {h.years:g} years"
    return svg(
        Chart(title, "threshold risk", "net benefit", marks, (0.0, max(cut)), (-0.3 * top, top))
    )


def _items(found: Evaluation, told: Told) -> str:
    rows = []
    for item in answer_items(found, told):
        mark = escape(item.answer) if item.answer else '<span class="open">open</span>'
        rows.append(f"<tr><td>{item.number}</td><td>{escape(item.topic)}</td><td>{mark}</td></tr>")
    return f"<table><tr><th>item</th><th>topic</th><th>here</th></tr>{''.join(rows)}</table>"


def _paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first = "".join(f"<th>{escape(c)}</th>" for c in head) if any(head) else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{body}</table>" if first else f"<table>{body}</table>"
