"""Agreement of a measurement with a reference, and of a measurement with its own repeat.

Pure: lists of numbers in, frozen dataclasses and SVG text out.
"""

from plaque_edge.agreement.icc import Icc, icc_a1
from plaque_edge.agreement.limits import Limits, limits_of_agreement, percent_limits
from plaque_edge.agreement.lines import Line, deming, least_squares, passing_bablok
from plaque_edge.agreement.plots import Paired, bland_altman_plot, scatter_plot
from plaque_edge.agreement.repeatability import Repeatability, repeatability
from plaque_edge.agreement.summary import Agreement, Correlation, agreement, correlation

__all__ = [
    "Agreement",
    "Correlation",
    "Icc",
    "Limits",
    "Line",
    "Paired",
    "Repeatability",
    "agreement",
    "bland_altman_plot",
    "correlation",
    "deming",
    "icc_a1",
    "least_squares",
    "limits_of_agreement",
    "passing_bablok",
    "percent_limits",
    "repeatability",
    "scatter_plot",
]
