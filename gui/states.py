"""What one row of the store means in plain words: icon + word + tone + the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plaque_edge.store import CaseRow

FINISHED = frozenset({"DONE", "REVIEW", "NOT_ANALYSABLE", "FAILED"})
MEASURED = frozenset({"DONE", "REVIEW", "OUTDATED"})
STEPS = ("watch", "series", "volume", "segment", "quantify", "risk", "store", "show")
"""The eight words of the straight line, in order."""

_DOING = {
    "watch": "Receiving",
    "series": "Checking",
    "volume": "Reading",
    "segment": "Segmenting",
    "quantify": "Measuring",
    "risk": "Estimating risk",
    "store": "Storing",
    "show": "Exporting",
    "export": "Exporting",
}


@dataclass(frozen=True, slots=True)
class StateText:
    """A state for the eye: ``progress`` is 0..1, or ``None`` when there is nothing to measure."""

    icon: str
    word: str
    detail: str
    tone: str
    progress: float | None = None


def describe(row: CaseRow) -> StateText:
    """Put one row's state into words."""
    reason = _reason(row)
    if row.state == "SEEN":
        return _receiving(row)
    if row.state == "SETTLING":
        waiting = row.message or f"{row.received} slices so far"
        return StateText("clock", "Waiting for last slices", waiting, "busy", None)
    if row.state == "READY":
        return StateText("clock", "Queued", row.message or "next in line", "busy", None)
    if row.state == "RUNNING":
        word = f"{_DOING.get(row.step, 'Working')} {100 * row.progress:.0f} %"
        return StateText("run", word, row.message, "busy", row.progress)
    if row.state == "DONE":
        return StateText("check", "READY", "", "ok")
    if row.state == "REVIEW":
        return StateText("eye", "READY, REVIEW", reason, "warn")
    if row.state == "NOT_ANALYSABLE":
        return StateText("stop", "NOT ANALYSABLE", reason, "bad")
    if row.state == "FAILED":
        return StateText("cross", "FAILED", reason, "bad")
    return StateText("old", "OUTDATED", row.message or "a newer revision exists", "quiet")


def _receiving(row: CaseRow) -> StateText:
    if row.expected:
        share = min(1.0, row.received / row.expected)
        return StateText(
            "down", f"Receiving {row.received}/~{row.expected}", row.message, "busy", share
        )
    return StateText("down", f"Receiving {row.received}", row.message, "busy", None)


def _reason(row: CaseRow) -> str:
    return row.reason.text if row.reason else row.message
