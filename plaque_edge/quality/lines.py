"""Lines of the quality gate from a value and its limits.

What can't be judged is "not known", which is a warning, never a pass and never a number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plaque_edge.types import Level, QcCheck

if TYPE_CHECKING:
    from plaque_edge.quality.limits import Range

_ROUNDING = 1e-3
RECONSTRUCT = "Reconstruct the scan again with thinner slices, a smaller field or another kernel."
REPEAT = "Ask the cardiologist whether the scan can be used; see the acquisition protocol."
LOOK = "Look at the vessel tree; anatomy may vary."


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: the code of its line, its name in words, its unit and what to do."""

    code: str
    what: str
    unit: str
    next_step: str


def at_most(subject: Subject, value: float | None, warn: float, refuse: float) -> QcCheck:
    """Pass up to ``warn``, refuse above ``refuse``."""
    unit = subject.unit
    limits = f"pass up to {warn:g} {unit}, refused above {refuse:g} {unit}"
    if value is None:
        return unknown(subject, limits)
    level: Level = "pass" if value <= warn + _ROUNDING else "warn"
    return _line(subject, "refuse" if value > refuse + _ROUNDING else level, value, limits)


def at_least(subject: Subject, value: float | None, warn: float, refuse: float) -> QcCheck:
    """Pass from ``warn``, refuse below ``refuse``."""
    unit = subject.unit
    limits = f"pass from {warn:g} {unit}, refused below {refuse:g} {unit}"
    if value is None:
        return unknown(subject, limits)
    level: Level = "pass" if value >= warn - _ROUNDING else "warn"
    return _line(subject, "refuse" if value < refuse - _ROUNDING else level, value, limits)


def within(subject: Subject, value: float | None, usual: Range, allowed: Range) -> QcCheck:
    """Pass inside ``usual``, refuse outside ``allowed``."""
    (low, high), (lowest, highest), unit = usual, allowed, subject.unit
    limits = f"pass {low:g} to {high:g} {unit}, refused outside {lowest:g} to {highest:g} {unit}"
    if value is None:
        return unknown(subject, limits)
    level: Level = "pass" if low <= value <= high else "warn"
    if not lowest <= value <= highest:
        level = "refuse"
    return _line(subject, level, value, limits)


def unknown(subject: Subject, limits: str) -> QcCheck:
    """Return a warning for what could not be known; it never counts as zero."""
    text = f"The {subject.what} is not known."
    return QcCheck(subject.code, "warn", None, limits, text, "Check the scan.")


def softened(check: QcCheck) -> QcCheck:
    """Return the check as a warning where it refuses."""
    return replace(check, level="warn") if check.level == "refuse" else check


def _line(subject: Subject, level: Level, value: float, limits: str) -> QcCheck:
    state = {"pass": "in order", "warn": "outside the usual range", "refuse": "out of bounds"}
    text = f"The {subject.what} of {value:.3g} {subject.unit} is {state[level]}."
    next_step = "" if level == "pass" else subject.next_step
    return QcCheck(subject.code, level, round(float(value), 4), limits, text, next_step)
