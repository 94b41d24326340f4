"""The limits of the quality gate, in one place, with their source.

Most follow the table "QC gate" that the project's domain notes propose from the acquisition
guideline of the Society of Cardiovascular Computed Tomography (SCCT 2016,
10.1016/j.jcct.2016.10.002) and from published sensitivity of plaque volumes to the
technique; those of the image were chosen on synthetic phantoms (``docs/quality-gate.md``). They
are proposals, not standards, and none is validated on patients. A site may set its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """``warn`` and ``refuse`` values are the last ones still allowed below that level."""

    spacing_warn_mm: float = 0.75
    spacing_refuse_mm: float = 1.0
    """Slice spacing and slice thickness: above 0.75 mm small plaque blurs away."""
    pixel_warn_mm: float = 0.45
    pixel_refuse_mm: float = 0.6
    """In-plane pixel spacing: 0.45 mm is a 230 mm field of view on 512 pixels."""
    field_warn_mm: float = 140.0
    field_refuse_mm: float = 100.0
    """Side of the image: a heart is 100 to 140 mm wide; a smaller image cuts it off."""
    coverage_warn_mm: float = 90.0
    coverage_refuse_mm: float = 60.0
    """Length of the scan from feet to head; ostia to apex are about 90 to 120 mm."""
    heart_cut_warn_cm2: float = 3.0
    """Muscle and blood in the plane where the scan ends: a disc 2 cm wide, the tip of the apex."""
    aorta_pass_hu: Range = (300.0, 500.0)
    aorta_limit_hu: Range = (200.0, 700.0)
    """Mean in the aortic root. Below 200 HU lumen and plaque can't be told apart; above 700 HU
    iodine hides calcium."""
    noise_warn_hu: float = 35.0
    noise_refuse_hu: float = 50.0
    """Standard deviation in the aortic root."""
    kvp_pass: Range = (100.0, 120.0)
    kvp_limit: Range = (70.0, 140.0)
    """Tube voltage: the HU thresholds of plaque were found at 100 to 120 kVp."""
    length_pass_mm: Range = (300.0, 900.0)
    length_limit_mm: Range = (120.0, 1400.0)
    """Length of all branches together; outside the second pair the tree is implausible."""
    main_length_warn_mm: float = 40.0
    """LAD, LCX or RCA shorter than this ends early: cut, occluded, or lost to motion."""
    min_main_vessels: float = 2.0
    """With fewer of LM, LAD, LCX and RCA found, nothing is summed."""
    branches_pass: Range = (5.0, 20.0)
    """All branches with the main vessels: fewer were lost, more were never coronary arteries."""
    radius_pass_mm: Range = (0.7, 3.2)
    """Median lumen radius of the first 20 mm of a main vessel; Dodge et al. 1992
    (10.1161/01.CIR.86.1.232): LM 4.5, LAD 3.7, RCA 3.9 mm diameter, +- 0.6."""
    lumen_share_pass: Range = (0.55, 1.35)
    """HU on the centerline of the first 40 mm of a main vessel, as a share of the aorta's."""
    step_warn_mm: float = 2.0
    step_refuse_mm: float = 4.0
    """Displacement between two neighbouring slices: a vessel of 3 mm is severed by 4 mm."""
    blur_warn: float = 1.6
    blur_refuse: float = 4.0
    """Edges of the worst 20 mm of a branch, to both sides, as a multiple of the scan's sharpest
    edges. A branch beyond the first is left out: its smear would be taken for plaque."""
    edge_warn_mm: float = 0.5
    """The scan's sharpest vessel edges, 65 to 85 %: beyond, all vessels move or all is soft."""
    stent_mm: float = 8.0
    """A thin even ring round the lumen of at least this length is a stent: the shortest stents
    made are 8 mm long."""
    stent_doubt_mm: float = 3.0
    """A shorter ring, down to this length, is for a person to look at."""
    metal_hu: float = 2200.0
    """Brighter than any calcium but metal."""

    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Return what differs from the shipped limits: name -> (shipped, own)."""
        return {
            f.name: (f.default, getattr(self, f.name))
            for f in fields(self)
            if getattr(self, f.name) != f.default
        }


DEFAULT = Limits()
ENHANCED_HU = 180.0
"""Blood in the heart and aorta of a contrast scan is brighter than this; without contrast it
is at 30 to 60 HU, in a venous chest scan at 100 to 170 HU."""


def from_settings(table: Mapping[str, Any]) -> Limits:
    """Return the limits with a site's own values. Raises ``Refused`` SETTINGS_INVALID."""
    known = {f.name: f.default for f in fields(Limits)}
    own: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise _invalid(f"[quality] has no {name}.")
        pair = isinstance(known[name], tuple)
        numbers = list(value) if pair and isinstance(value, list) else [value]
        if len(numbers) != 1 + pair or not all(_number(n) for n in numbers):
            raise _invalid(f"[quality] {name} needs {'two numbers' if pair else 'a number'}.")
        own[name] = (float(numbers[0]), float(numbers[1])) if pair else float(numbers[0])
    made = Limits(**own)
    for low, high in _ordered(made):
        if getattr(made, low) > getattr(made, high):
            raise _invalid(f"[quality] {low} lies above {high}.")
    for name, default in known.items():
        if isinstance(default, tuple) and getattr(made, name)[0] > getattr(made, name)[1]:
            raise _invalid(f"[quality] {name}: the first number lies above the second.")
    return made


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ordered(limits: Limits) -> list[tuple[str, str]]:
    """Pairs of names of which the first must not exceed the second."""
    names = {f.name for f in fields(limits)}
    pairs = []
    for name in sorted(names):
        other = name.replace("_warn", "_refuse")
        if "_warn" in name and other in names:
            falling = name.startswith(("field", "coverage"))
            pairs.append((other, name) if falling else (name, other))
    return pairs


def _invalid(text: str) -> Refused:
    return Refused("SETTINGS_INVALID", text, "See docs/quality-gate.md for the names.")
