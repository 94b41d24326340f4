"""What a corrected result says of itself: who, when, what, and both numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gui import i18n, say
from gui.i18n import mark, tr

if TYPE_CHECKING:
    from gui.case import OpenCase

KINDS = {
    "contour": mark("contours: {count}"),
    "centre": mark("centres moved: {count}"),
    "relabel": mark("stretches relabelled: {count}"),
    "exclude": mark("stretches excluded: {count}"),
}


def own_numbers(case: OpenCase) -> str:
    """Return the analysis's own numbers of a corrected case, empty of one as analysed."""
    if case.original is None:
        return ""
    own = case.original["patient"]
    return tr(
        "the analysis's own numbers: {stage}, {plaque}, PAV {pav}, stenosis {stenosis}",
        stage=" ".join(say.stage(own)),
        plaque=say.volume(own["plaque_mm3"], lower_bound=bool(own.get("lower_bound"))),
        pav=say.percent(own["pav_percent"]),
        stenosis=say.percent(own["max_diameter_stenosis_percent"], 0),
    )


def correction_lines(case: OpenCase) -> tuple[str, ...]:
    """Return one line on a corrected case, nothing on one as analysed."""
    if case.original is None or case.result is None:
        return ()
    said = case.result["corrections"]
    time, day = i18n.clock(said["at"])
    who = tr("by {person}, {day} {time}", person=said["by"], day=day, time=time)
    what = ", ".join(tr(KINDS[kind], count=n) for kind, n in said["summary"].items())
    before, after = case.original["patient"], case.result["patient"]
    plaque, old = (
        say.volume(p["plaque_mm3"], lower_bound=bool(p.get("lower_bound"))) for p in (after, before)
    )
    pav, pav_old = (say.percent(p["pav_percent"]) for p in (after, before))
    numbers = tr(
        "plaque {plaque}, by the analysis {old}; PAV {pav}, by the analysis {pav_old}",
        plaque=plaque, old=old, pav=pav, pav_old=pav_old,
    )  # fmt: skip
    return (f"{who} ({what}): {numbers}",)
