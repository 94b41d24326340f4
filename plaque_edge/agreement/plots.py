"""The two plots of every agreement: scatter with its line, and Bland-Altman. SVG text out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.agreement.limits import (
    Limits,
    limits_of_agreement,
    pairs,
    percent_limits,
)
from plaque_edge.agreement.lines import least_squares
from plaque_edge.charts import Band, Chart, Curve, Mark, Points, svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Paired:
    """What a plot shows: values, the words for them, and a group (vessel, scanner) per pair."""

    measured: Sequence[float]
    reference: Sequence[float]
    quantity: str
    unit: str = "mm³"
    against: str = "reference"
    groups: Sequence[str] | None = None


def scatter_plot(data: Paired) -> str:
    """Measured against reference, the line of identity and the least squares line."""
    m, r = pairs(data.measured, data.reference)
    low, high = min(0.0, float(min(m.min(), r.min()))), float(max(m.max(), r.max())) or 1.0
    span = (low - 0.03 * (high - low), high + 0.05 * (high - low))
    line = least_squares(m, r)
    ends = (float(r.min()), float(r.max()))
    marks: list[Mark] = [
        *_points(data.groups, r, m),
        Curve(span, span, "identity", 6),
    ]
    if np.isfinite(line.slope):
        said = f"slope {line.slope:.2f}, {line.intercept:+.1f}"
        marks.append(Curve(ends, [line.slope * x + line.intercept for x in ends], said, 1))
    return svg(
        Chart(
            f"{data.quantity}, n = {len(m)}",
            f"{data.against} ({data.unit})",
            f"measured ({data.unit})",
            tuple(marks),
            span,
            span,
        )
    )


def bland_altman_plot(data: Paired, *, percent: bool = False) -> str:
    """Difference against mean, with bias and limits and the interval of each as a band.

    Raises ValueError where a percentage is asked for and fewer than 3 pairs have one.
    """
    m, r = pairs(data.measured, data.reference)
    found = percent_limits(m, r) if percent else limits_of_agreement(m, r)
    if found is None:
        raise ValueError("fewer than 3 pairs have a percentage")
    mean, groups = (m + r) / 2, data.groups
    keep = mean > 0 if percent else np.ones(len(m), bool)
    if groups is not None:
        groups = [g for g, k in zip(groups, keep, strict=True) if k]
    m, r, mean = m[keep], r[keep], mean[keep]
    difference = 100 * (m - r) / mean if percent else m - r
    unit = "%" if percent else data.unit
    margin = max(0.04 * float(np.ptp(mean)), 0.01 * float(np.abs(mean).max()), 1e-3)
    span = (float(mean.min()) - margin, float(mean.max()) + margin)
    return svg(
        Chart(
            f"{data.quantity}, n = {found.n}",
            f"mean of measured and {data.against} ({data.unit})",
            f"measured - {data.against} ({unit})",
            (*_levels(found, span, unit), *_points(groups, mean, difference)),
            span,
        )
    )


def _levels(found: Limits, span: tuple[float, float], unit: str) -> list[Curve | Band]:
    """Bias and limits as lines with their intervals as bands."""
    words = (
        ("limit", found.upper, found.upper_interval, 1),
        ("bias", found.bias, found.bias_interval, 6),
        ("limit", found.lower, found.lower_interval, 1),
    )
    out: list[Curve | Band] = []
    for word, value, (low, high), style in words:
        out.append(Band(span, (low, low), (high, high), style))
        out.append(Curve(span, (value, value), f"{word} {value:+.1f} {unit}", style))
    return out


def _points(
    groups: Sequence[str] | None, x: NDArray[np.float64], y: NDArray[np.float64]
) -> list[Points]:
    """One set of marks per group, each with its shape and name."""
    if groups is None:
        return [Points(x.tolist(), y.tolist())]
    names, of = sorted(set(groups)), np.array(groups)
    return [
        Points(x[of == name].tolist(), y[of == name].tolist(), name, style)
        for style, name in enumerate(names)
    ]
