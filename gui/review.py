"""What people did to a result: accepted, rejected, signed, covariates given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.store import Action


@dataclass(frozen=True, slots=True)
class Review:
    """The acts that hold now for one revision, each with who did it and when."""

    accepted: Action | None = None
    rejected: Action | None = None
    signed: Action | None = None
    covariates: dict[str, Any] = field(default_factory=dict)


def review_of(actions: Sequence[Action]) -> Review:
    """Read the acts, oldest first: a later acceptance takes back a rejection and the reverse.

    A signature holds until the result is rejected.
    """
    accepted = rejected = signed = None
    covariates: dict[str, Any] = {}
    for action in actions:
        if action.done.kind == "accept":
            accepted, rejected = action, None
        elif action.done.kind == "reject":
            accepted, rejected, signed = None, action, None
        elif action.done.kind == "sign":
            signed, rejected = action, None
        elif action.done.kind == "covariates":
            covariates |= action.done.arguments
    return Review(accepted, rejected, signed, covariates)
