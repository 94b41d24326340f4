"""What a case is: its states, the legal changes between them, and the row the console shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from plaque_edge.errors import PlaqueEdgeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plaque_edge.types import Reason, SeriesInfo

State = Literal[
    "SEEN", "SETTLING", "READY", "RUNNING", "DONE", "REVIEW", "NOT_ANALYSABLE", "FAILED", "OUTDATED"
]
Step = Literal["watch", "series", "volume", "segment", "quantify", "risk", "store", "show"]
STATES: Final[tuple[State, ...]] = get_args(State)

TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    "SEEN": frozenset({"SETTLING", "READY", "NOT_ANALYSABLE", "OUTDATED"}),
    "SETTLING": frozenset({"SEEN", "READY", "NOT_ANALYSABLE", "OUTDATED"}),
    "READY": frozenset({"SEEN", "RUNNING", "FAILED", "OUTDATED"}),
    "RUNNING": frozenset({"READY", "DONE", "REVIEW", "NOT_ANALYSABLE", "FAILED", "OUTDATED"}),
    "DONE": frozenset({"OUTDATED"}),
    "REVIEW": frozenset({"OUTDATED"}),
    "NOT_ANALYSABLE": frozenset({"OUTDATED"}),
    "FAILED": frozenset({"READY", "OUTDATED"}),
    "OUTDATED": frozenset(),
}
"""Every legal change of state. READY fails when a person cancels it; FAILED may be tried again;
OUTDATED is the end."""

FINISHED: Final = frozenset({"DONE", "REVIEW", "NOT_ANALYSABLE", "FAILED", "OUTDATED"})
MAX_ATTEMPTS: Final = 3
"""A case during which the worker died this often is FAILED; the queue goes on."""
ASIDE: Final = frozenset(
    "OTHER_CHOSEN LOCALIZER SECONDARY_CAPTURE NOT_CT DERIVED_REFORMAT CALCIUM_SCORE MATERIAL_MAP "
    "COLOUR KERNEL_LUNG_BONE SLICES_TOO_THICK NOT_ENHANCED POSITION_MISSING TOO_FEW_SLICES "
    "COVERAGE_TOO_SHORT NOT_AXIAL PIXELS_8BIT".split()
)
"""Refusals of the series that come along with a coronary CTA (scout, calcium score ...). They
are not listed once their study has a better series, whose result names them."""


class IllegalTransition(PlaqueEdgeError):
    """A change of state that :data:`TRANSITIONS` does not allow: a fault of the program."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__(
            "STATE_TRANSITION", f"A case cannot go from {old} to {new}.", "Report this fault."
        )


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case as the console shows it. Times are ISO 8601 in UTC; ``progress`` is 0..1.

    ``received`` and ``expected`` count slices; ``expected`` is ``None`` when no header says.
    ``attempts`` are the starts that count; ``result_sha256`` is the hash of ``result.json``.
    """

    case_id: int
    series_uid: str
    study_uid: str
    revision: int
    state: State
    step: Step
    progress: float
    message: str
    reason: Reason | None
    info: SeriesInfo
    received: int
    expected: int | None
    created_at: str
    updated_at: str
    result_dir: Path | None
    attempts: int = 0
    urgent: bool = False
    result_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal: a change of state and the code of its reason, if any."""

    case_id: int
    at: str
    state_from: State | None
    state_to: State
    code: str


@dataclass(frozen=True, slots=True)
class NewCase:
    """What is known when a case is opened. ``files`` are opaque keys of its files."""

    info: SeriesInfo
    revision: int
    received: int
    expected: int | None = None
    files: tuple[str, ...] = ()
    urgent: bool = False


def listed(rows: Sequence[CaseRow]) -> tuple[CaseRow, ...]:
    """Return the rows worth a line in the worklist (see :data:`ASIDE`)."""
    aside = [
        r.state == "NOT_ANALYSABLE" and r.reason is not None and r.reason.code in ASIDE
        for r in rows
    ]
    better = {r.study_uid for r, a in zip(rows, aside, strict=True) if not a}
    return tuple(r for r, a in zip(rows, aside, strict=True) if not a or r.study_uid not in better)
