"""What one row of the store means in plain words: icon + word + tone + the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gui import i18n
from gui.i18n import mark, tr

if TYPE_CHECKING:
    from plaque_edge.store import CaseRow

FINISHED = frozenset({"DONE", "REVIEW", "NOT_ANALYSABLE", "FAILED"})
MEASURED = frozenset({"DONE", "REVIEW", "OUTDATED"})
WAITING = frozenset({"SEEN", "SETTLING", "READY", "RUNNING"})
STEPS = (
    mark("watch"), mark("series"), mark("volume"), mark("segment"),
    mark("quantify"), mark("risk"), mark("store"), mark("show"),
)  # fmt: skip
"""The eight words of the straight line, in order."""

_DOING = {
    "watch": mark("Receiving {percent} %"),
    "series": mark("Checking {percent} %"),
    "volume": mark("Reading {percent} %"),
    "segment": mark("Segmenting {percent} %"),
    "quantify": mark("Measuring {percent} %"),
    "risk": mark("Estimating risk {percent} %"),
    "store": mark("Storing {percent} %"),
    "show": mark("Exporting {percent} %"),
}


@dataclass(frozen=True, slots=True)
class StateText:
    """A state for the eye: ``progress`` is 0..1, or ``None`` when there is nothing to measure."""

    icon: str
    word: str
    detail: str
    tone: str
    progress: float | None = None


def describe(row: CaseRow, left_s: float | None = None) -> StateText:
    """Put one row's state into words; ``left_s`` as :meth:`History.left_s` gives it."""
    if row.state == "SEEN":
        return _receiving(row)
    if row.state == "SETTLING":
        waiting = row.message or tr("{count} slices so far", count=row.received)
        return StateText("clock", tr("Waiting for last slices"), tr(waiting), "busy", None)
    if row.state == "READY":
        word = tr("Queued, urgent") if row.urgent else tr("Queued")
        detail = reason_text(row) if row.reason else tr(row.message or mark("next in line"))
        return StateText("clock", word, detail, "busy", None)
    if row.state == "RUNNING":
        word = tr(_DOING.get(row.step, mark("Working {percent} %")),
                  percent=f"{100 * row.progress:.0f}")  # fmt: skip
        return StateText("run", word, _time_left(row, left_s), "busy", row.progress)
    if row.state == "DONE":
        return StateText("check", tr("READY"), "", "ok")
    if row.state == "REVIEW":
        return StateText("eye", tr("READY, REVIEW"), reason_text(row), "warn")
    if row.state == "NOT_ANALYSABLE":
        return StateText("stop", tr("NOT ANALYSABLE"), reason_text(row), "bad")
    if row.state == "FAILED":
        return StateText("cross", tr("FAILED"), reason_text(row), "bad")
    detail = tr(row.message or mark("a newer revision exists"))
    return StateText("old", tr("OUTDATED"), detail, "quiet")


def _time_left(row: CaseRow, left_s: float | None) -> str:
    if left_s is None:
        return tr(row.message) if row.message else ""
    if left_s < 0:
        return tr("longer than usual")
    return tr("about {seconds} s left", seconds=f"{max(1.0, left_s):.0f}")


def _receiving(row: CaseRow) -> StateText:
    detail = tr(row.message) if row.message else ""
    if row.expected:
        share = min(1.0, row.received / row.expected)
        word = tr("Receiving {received}/~{expected}", received=row.received, expected=row.expected)
        return StateText("down", word, detail, "busy", share)
    word = tr("Receiving {received}", received=row.received)
    return StateText("down", word, detail, "busy", None)


def reason_text(row: CaseRow) -> str:
    """Return the reason in the row in the language in use."""
    if row.reason is None:
        return tr(row.message) if row.message else ""
    return i18n.reason(row.reason.code, row.reason.text)
