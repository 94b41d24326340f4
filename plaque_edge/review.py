"""What people may do with a result, and where it then stands. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from plaque_edge.types import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

Standing = Literal["unreviewed", "accepted", "rejected", "signed"]
NEXT: Final[dict[Standing, dict[str, Standing]]] = {
    "unreviewed": {
        "accept": "accepted", "reject": "rejected", "sign": "signed", "correct": "unreviewed"
    },
    "accepted": {"reject": "rejected", "sign": "signed", "correct": "unreviewed"},
    "rejected": {"accept": "accepted", "correct": "unreviewed"},
    "signed": {"reject": "rejected"},
}  # fmt: skip
"""What each act makes of each standing; any other act is refused. Rejecting takes back a sign; who
corrects makes new numbers, which nobody has reviewed."""


def standing(acts: Iterable[str]) -> Standing:
    """Return where a result stands after these acts, oldest first; others do not change it."""
    now: Standing = "unreviewed"
    for act in acts:
        now = NEXT[now].get(act, now)
    return now


def refusal(act: str, now: Standing, arguments: dict[str, object]) -> Reason | None:
    """Return why an act is not possible on a result that stands there, ``None`` when it is."""
    if act == "covariates":
        if now == "signed":
            return Reason(
                "ACTION_NOT_NOW", "The result is signed.", "Reject it first, and say why."
            )
        return None
    if act not in NEXT[now]:
        text = f"A result that is {now} cannot take this: {act}."
        return Reason("ACTION_NOT_NOW", text, f"Possible now: {', '.join(NEXT[now])}.")
    if act == "reject" and not str(arguments.get("reason", "")).strip():
        return Reason("ACTION_REASON_MISSING", "A rejection needs its reason.", "Say why.")
    return None
