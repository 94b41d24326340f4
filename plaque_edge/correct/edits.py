"""Edits as plain data, and the one JSON document that holds a case's edits.

An edit names a branch by its number and name in the result's own order, and cross-sections by
their step. Nothing here measures anything. Of two edits of the same thing the later one counts.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from plaque_edge.errors import Refused
from plaque_edge.quantify.sections import ANGLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from plaque_edge.types import StraightBranch

SCHEMA: Final = "plaque-edge/corrections/1"
MAX_EDITS: Final = 5000
MIN_RADIUS_MM, MAX_RADIUS_MM = 0.1, 12.0
CONTOUR_SPREAD_MM, CENTRE_SPREAD_MM = 1.0, 5.0
"""How far along the vessel a drawn contour, or a moved centre, fades out."""
MAX_SPREAD_MM = 20.0
_PLANE = Literal["lumen", "wall"]


@dataclass(frozen=True, slots=True)
class Contour:
    """A drawn outline of lumen or outer wall in one cross-section.

    ``radii_mm`` are measured from the pole in :data:`sections.ANGLES` directions, from ``u``
    towards ``v``; ``pole_mm`` lies at (u, v) mm from the centre the analysis found.
    """

    branch: int
    name: str
    step: int
    which: _PLANE
    radii_mm: tuple[float, ...]
    pole_mm: tuple[float, float] = (0.0, 0.0)
    spread_mm: float = CONTOUR_SPREAD_MM


@dataclass(frozen=True, slots=True)
class Centre:
    """A cross-section's centre moved in its own plane by (u, v) mm from where the analysis put it.

    The sections within ``spread_mm`` follow, less and less.
    """

    branch: int
    name: str
    step: int
    offset_mm: tuple[float, float]
    spread_mm: float = CENTRE_SPREAD_MM


@dataclass(frozen=True, slots=True)
class Relabel:
    """Another segment of the 18-segment model for the steps ``start`` to ``end``, both included."""

    branch: int
    name: str
    start: int
    end: int
    segment: int


@dataclass(frozen=True, slots=True)
class Exclude:
    """Steps ``start`` to ``end``, both included, that are not to be measured, and why."""

    branch: int
    name: str
    start: int
    end: int
    why: str


Edit = Contour | Centre | Relabel | Exclude
_KINDS: Final[dict[str, type[Edit]]] = {
    "contour": Contour,
    "centre": Centre,
    "relabel": Relabel,
    "exclude": Exclude,
}
_NAME_OF: Final = {kind: name for name, kind in _KINDS.items()}


def subject(edit: Edit) -> tuple[object, ...]:
    """Return what an edit is of: of two edits of one subject the later one counts."""
    if isinstance(edit, Contour):
        return ("contour", edit.branch, edit.step, edit.which)
    if isinstance(edit, Centre):
        return ("centre", edit.branch, edit.step)
    return (_NAME_OF[type(edit)], edit.branch, edit.start, edit.end)


def added(edits: Sequence[Edit], new: Edit) -> tuple[Edit, ...]:
    """Return the edits with one more, in place of an earlier one of the same subject."""
    return (*(e for e in edits if subject(e) != subject(new)), new)


def of_branch(edits: Iterable[Edit], branch: int) -> tuple[Edit, ...]:
    """Return the edits of one branch."""
    return tuple(e for e in edits if e.branch == branch)


def document(edits: Sequence[Edit], series_uid: str, result_sha256: str) -> dict[str, Any]:
    """Return the JSON document of all edits of one result, which its hash names."""
    return {
        "schema": SCHEMA,
        "series_instance_uid": series_uid,
        "result_sha256": result_sha256,
        "edits": [{"kind": _NAME_OF[type(e)], **_plain(asdict(e))} for e in edits],
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _rounded(value) for key, value in values.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value


def read(data: object, series_uid: str, result_sha256: str) -> tuple[Edit, ...]:
    """Return the edits of a document, made for exactly this result.

    Raises ``Refused`` CORRECTION_INVALID, CORRECTION_OTHER_RESULT.
    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise _invalid(f"it is not of the form {SCHEMA}")
    if data.get("series_instance_uid") != series_uid or data.get("result_sha256") != result_sha256:
        raise Refused(
            "CORRECTION_OTHER_RESULT",
            "The corrections were made on another result.",
            "Open the result again and correct what it shows.",
        )
    found = data.get("edits")
    if not isinstance(found, list) or len(found) > MAX_EDITS:
        raise _invalid(f"there is no list of up to {MAX_EDITS} edits")
    return tuple(_edit(item, number) for number, item in enumerate(found, 1))


def check(edits: Iterable[Edit], straight: Sequence[StraightBranch]) -> None:
    """Raise ``Refused`` CORRECTION_INVALID where an edit is of no branch or step of the result."""
    for number, edit in enumerate(edits, 1):
        if not 0 <= edit.branch < len(straight):
            raise _invalid(f"edit {number} is of a branch that is not there")
        item = straight[edit.branch]
        if item.branch.name != edit.name:
            raise _invalid(f"edit {number} calls {item.branch.name} {edit.name}")
        last = edit.step if isinstance(edit, Contour | Centre) else edit.end
        if last >= len(item.centers_mm):
            raise _invalid(f"edit {number} lies beyond the end of {edit.name}")


def _edit(item: object, number: int) -> Edit:
    if not isinstance(item, dict):
        raise _invalid(f"edit {number} is no object")
    values = dict(item)
    kind = _KINDS.get(str(values.pop("kind", "")))
    if kind is None:
        raise _invalid(f"edit {number} is of no known kind")
    try:
        for name in ("radii_mm", "pole_mm", "offset_mm"):
            if name in values:
                values[name] = tuple(_number(v) for v in values[name])
        edit = kind(**values)
        wrong = _wrong(edit)
    except (TypeError, ValueError) as error:
        raise _invalid(f"edit {number} lacks or has what it should not") from error
    if wrong:
        raise _invalid(f"edit {number}: {wrong}")
    return edit


def _wrong(edit: Edit) -> str:
    """Say what of an edit can't be; raises TypeError for values of another type."""
    if not isinstance(edit.name, str) or not _whole(edit.branch):
        return "no branch is named"
    if isinstance(edit, Contour | Centre):
        if not _whole(edit.step) or not 0.0 <= _number(edit.spread_mm) <= MAX_SPREAD_MM:
            return "step or spread"
        place = edit.pole_mm if isinstance(edit, Contour) else edit.offset_mm
        if len(place) != 2 or math.hypot(*place) > MAX_RADIUS_MM:
            return "it lies outside the cross-section"
    if isinstance(edit, Contour):
        if edit.which not in ("lumen", "wall") or len(edit.radii_mm) != ANGLES:
            return f"a contour is lumen or wall and has {ANGLES} radii"
        if not all(MIN_RADIUS_MM <= r <= MAX_RADIUS_MM for r in edit.radii_mm):
            return f"radii lie between {MIN_RADIUS_MM} and {MAX_RADIUS_MM} mm"
    if isinstance(edit, Relabel | Exclude) and not (
        _whole(edit.start) and _whole(edit.end) and edit.start <= edit.end
    ):
        return "a stretch runs from a step to a later one"
    if isinstance(edit, Relabel) and not (_whole(edit.segment) and 1 <= edit.segment <= 18):
        return "segments are 1 to 18"
    if isinstance(edit, Exclude) and not 0 < len(edit.why.strip()) <= 500:
        return "why it is excluded is missing, or too long"
    return ""


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("not a finite number")
    return float(value)


def _invalid(why: str) -> Refused:
    return Refused(
        "CORRECTION_INVALID", f"The corrections can't be read: {why}.", "Correct the result anew."
    )


def summary(edits: Iterable[Edit]) -> dict[str, int]:
    """Count the edits by kind, in the order of :data:`_KINDS`; kinds without any are left out."""
    found = [_NAME_OF[type(e)] for e in edits]
    return {kind: found.count(kind) for kind in _KINDS if kind in found}


def as_words(counts: Mapping[str, int]) -> str:
    """Say what was corrected, such as ``2 contours, 1 stretch excluded``."""
    one = {
        "contour": ("contour", "contours"),
        "centre": ("centre moved", "centres moved"),
        "relabel": ("stretch relabelled", "stretches relabelled"),
        "exclude": ("stretch excluded", "stretches excluded"),
    }
    return ", ".join(f"{n} {one[kind][n != 1]}" for kind, n in counts.items())
