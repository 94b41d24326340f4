"""What edits say beside contours: other segments, stretches that are not measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from plaque_edge.correct.edits import Exclude, Relabel
from plaque_edge.errors import Refused
from plaque_edge.quantify import scct
from plaque_edge.types import Gap, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.correct.edits import Edit
    from plaque_edge.quantify.measures import Mapped
    from plaque_edge.quantify.pack import Packed
    from plaque_edge.types import Branch, VesselName

VESSEL_OF: Final[dict[int, VesselName]] = {
    **dict.fromkeys((1, 2, 3, 4, 16), "RCA"),
    5: "LM",
    **dict.fromkeys((6, 7, 8, 9, 10), "LAD"),
    **dict.fromkeys((11, 12, 13, 14, 15, 17, 18), "LCX"),
}
"""To which vessel each segment counts, a ramus to the circumflex."""
SIDE_BRANCH: Final = {n: name for name, n in scct.OWN_NUMBER.items() if name != "LM"}
MARKED = "as a person marked it"


def word_of(mapped: Mapped, edits: Sequence[Edit]) -> tuple[Mapped, scct.Labels | None]:
    """Return the branches with their new names, and the segments as the edits say, if they do.

    Raises ``Refused`` CORRECTION_SEGMENT_VESSEL.
    """
    said = [e for e in edits if isinstance(e, Relabel)]
    if not said:
        return mapped, None
    mapped = _renamed(mapped, said)
    labels = scct.label_steps(mapped.packed)
    steps, borders = [s.copy() for s in labels.steps], dict(labels.borders)
    for edit in said:
        steps[edit.branch][edit.start : edit.end + 1] = edit.segment
        borders[edit.segment] = MARKED
    return mapped, scct.Labels(tuple(steps), borders)


def gaps_of(packed: Packed, edits: Sequence[Edit]) -> tuple[Gap, ...]:
    """Return the stretches that the edits exclude, by the branches of ``packed``."""
    return tuple(
        Gap(e.branch, e.start, e.end, _note(e, packed.branches[e.branch].step_mm))
        for e in edits
        if isinstance(e, Exclude)
    )


def _note(gap: Exclude, step_mm: float) -> Reason:
    where = f"{gap.start * step_mm:.0f} to {gap.end * step_mm:.0f} mm"
    return Reason(
        "CORRECTION_EXCLUDED",
        f"{gap.name}: {where} was excluded by a person: {gap.why.strip()}.",
        "The vessel is told as partial and the sums as lower bounds.",
    )


def _renamed(mapped: Mapped, said: Sequence[Relabel]) -> Mapped:
    """Give a branch that was relabelled from end to end its new name and vessel."""
    branches = list(mapped.packed.branches)
    for edit in said:
        item = branches[edit.branch]
        begin = mapped.profiles[edit.branch].take_off
        whole = edit.start <= begin and edit.end >= len(item.centers_mm) - 1
        vessel = VESSEL_OF[edit.segment]
        if not whole and vessel != item.branch.vessel:
            raise Refused(
                "CORRECTION_SEGMENT_VESSEL",
                f"Segment {edit.segment} is of {vessel}, the stretch of {item.branch.vessel}.",
                "Relabel the whole branch if it is of another vessel.",
            )
        if whole:
            taken = {b.branch.name for i, b in enumerate(branches) if i != edit.branch}
            branches[edit.branch] = replace(item, branch=_named(item.branch, edit.segment, taken))
    packed = replace(mapped.packed, branches=tuple(branches))
    profiles = tuple(replace(p, item=b) for p, b in zip(mapped.profiles, branches, strict=True))
    return replace(mapped, packed=packed, profiles=profiles)


def _named(branch: Branch, segment: int, taken: set[str]) -> Branch:
    vessel, name = VESSEL_OF[segment], SIDE_BRANCH.get(segment, branch.name)
    if segment not in SIDE_BRANCH and vessel != branch.vessel:
        name = vessel
    if name != branch.name and name in taken:
        # A name is how lesions and views find their branch, so it is given once.
        name = next(n for n in (f"{name}{c}" for c in "bcdefgh") if n not in taken)
    return replace(branch, vessel=vessel, name=name)
