"""What people did to one result, and where it stands after that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plaque_edge.correct.current import correction
from plaque_edge.review import Standing, standing

if TYPE_CHECKING:
    from plaque_edge.store import Action


@dataclass(frozen=True, slots=True)
class Review:
    """The acts on one revision, oldest first."""

    acts: tuple[Action, ...] = ()

    @property
    def standing(self) -> Standing:
        """Where the result stands: unreviewed, accepted, rejected or signed."""
        return standing(act.done.kind for act in self.acts)

    @property
    def decided(self) -> Action | None:
        """The act that made it so."""
        kinds = ("accept", "reject", "sign")
        return next((a for a in reversed(self.acts) if a.done.kind in kinds), None)

    @property
    def correction(self) -> Action | None:
        """The act that corrected the numbers last; ``None`` where they are the analysis's own."""
        return correction(self.acts)

    @property
    def covariates(self) -> dict[str, Any]:
        """What people gave for the next analysis; the latest word counts."""
        given: dict[str, Any] = {}
        for act in self.acts:
            if act.done.kind == "covariates":
                given |= act.done.arguments
        return given
