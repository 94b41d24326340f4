"""Scores of a patient from graded segments: SIS, SSS, plaque stages, a CAD-RADS 2.0 proposal.

CAD-RADS 2.0: Cury et al. 2022, doi:10.1016/j.jcct.2022.07.002. Pure functions of grades, so
that graded tables of real patients can be put through the same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plaque_edge.types import CadRads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STAGE_LIMITS_MM3 = (0.0, 250.0, 750.0)
"""Plaque stages by total plaque volume: 0 / >0-250 / >250-750 / >750 mm³
(Min et al. 2022, doi:10.1016/j.jcct.2022.03.001)."""
PAV_STAGE_LIMITS_PERCENT = (0.0, 5.0, 15.0)
"""The same stages by percent atheroma volume: 0 / >0-5 / >5-15 / >15 %."""
MODERATE, SEVERE, OCCLUDED = 50.0, 70.0, 99.5
"""Per cent diameter stenosis; what was measured as 99.5 is printed as 100."""
MILD = 25.0


@dataclass(frozen=True, slots=True)
class Grade:
    """One segment: which vessel it belongs to, whether it holds plaque, its stenosis in per cent.

    ``stenosis`` is ``None`` where it could not be graded (a vessel below 1.5 mm).
    """

    vessel: str
    plaque: bool
    stenosis: float | None


def plaque_stage(plaque_mm3: float) -> int:
    """Stage 0 to 3 of a total plaque volume in mm³ (:data:`STAGE_LIMITS_MM3`)."""
    return sum(plaque_mm3 > limit for limit in STAGE_LIMITS_MM3)


def pav_stage(pav_percent: float) -> int:
    """Stage 0 to 3 of a percent atheroma volume (:data:`PAV_STAGE_LIMITS_PERCENT`)."""
    return sum(pav_percent > limit for limit in PAV_STAGE_LIMITS_PERCENT)


def segment_involvement(grades: Iterable[Grade]) -> int:
    """SIS: the number of segments with plaque (Min et al., JACC 2007;50:1161)."""
    return sum(g.plaque for g in grades)


def segment_stenosis(grades: Iterable[Grade]) -> int:
    """SSS: 0 to 3 points a segment, summed: plaque below 50 %, 50 to 69 %, 70 % and more."""
    return sum(_points(g) for g in grades)


def _points(grade: Grade) -> int:
    if not grade.plaque and not grade.stenosis:
        return 0
    stenosis = grade.stenosis or 0.0
    return 1 + (stenosis >= MODERATE) + (stenosis >= SEVERE)


def category(grades: Sequence[Grade]) -> tuple[str, str]:
    """CAD-RADS category of fully readable segments and the rule that decided."""
    worst: dict[str, float] = {}
    for g in grades:
        if g.stenosis is not None:
            worst[g.vessel] = max(worst.get(g.vessel, 0.0), g.stenosis)
    most = max(worst.values(), default=0.0)
    severe = [v for v in ("LAD", "LCX", "RCA") if worst.get(v, 0.0) >= SEVERE]
    if most >= OCCLUDED:
        return "5", "a vessel is occluded"
    if worst.get("LM", 0.0) >= MODERATE:
        return "4B", f"left main {worst['LM']:.0f} %, at least 50 %"
    if len(severe) == 3:
        return "4B", "three vessels of 70 % or more"
    where = max(worst, key=lambda v: worst[v], default="")
    for name, low in (("4A", SEVERE), ("3", MODERATE), ("2", MILD)):
        if most >= low:
            return name, f"{where} {most:.0f} %, at least {low:.0f} %"
    if most > 0 or any(g.plaque for g in grades):
        return "1", "plaque, or a stenosis below 25 %"
    return "0", "no plaque and no stenosis"


def plaque_category(sis: int, agatston: float | None = None) -> tuple[str | None, str]:
    """P1 to P4 from SIS, and from the calcium score where there is one: the higher of the two.

    No published rule leads from a plaque volume to P; none is made up here.
    """
    by_sis = sum(sis >= limit for limit in (1, 3, 5, 8))
    if agatston is None:
        return (f"P{by_sis}" if by_sis else None), f"segment involvement score {sis}"
    by_score = sum(round(agatston) >= limit for limit in (1, 101, 301, 1000))  # as it is printed
    most = max(by_sis, by_score)
    basis = f"the higher of segment involvement score {sis} and Agatston score {agatston:.0f}"
    return (f"P{most}" if most else None), basis


def cad_rads(
    grades: Sequence[Grade],
    *,
    complete: bool,
    high_risk_plaque: bool,
) -> CadRads:
    """Propose CAD-RADS 2.0. ``complete``: every trunk segment could be read.

    A tree that is not complete is N, unless a stenosis of 50 % or more was found: then N is
    a modifier (CAD-RADS 2.0). S, G, I and E are a reader's to add.
    """
    name, because = category(grades)
    plaque, basis = plaque_category(segment_involvement(grades))
    modifiers = ["HRP"] if high_risk_plaque else []
    if not complete:
        if name in ("0", "1", "2"):
            because = f"not all segments could be read; those that were are {name} ({because})"
            name = "N"
        else:
            modifiers.insert(0, "N")
    text = "/".join([f"CAD-RADS {name}", *([plaque] if plaque else []), *modifiers])
    return CadRads(name, plaque, tuple(modifiers), text, basis, because)
