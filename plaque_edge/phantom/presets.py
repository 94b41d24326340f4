"""What a phantom may be: sizes, qualities and artefacts of its scan, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Wide:
    """Chances (0..1) and ranges of what goes beyond an ordinary scan of an ordinary heart.

    The defaults are an ordinary scan. Ranges follow ``docs/phantom.md``.
    """

    psf_mm: Range = (0.35, 0.75)
    noise_hu: Range = (14, 34)
    outer_psf_mm: Range = (0.25, 1.2)
    outer_noise_hu: Range = (5, 50)
    outer: float = 0.0
    """Share of scans with the outer ranges of point spread and noise."""
    sharpen: float = 0.25
    photon_counting: float = 0.0
    blood_hu: Range = (250, 620)
    iterative: float = 0.0
    hardening: float = 0.0
    streaks: float = 0.0
    steps: float = 0.0
    step_mm: Range = (0.2, 1.5)
    motion: float = 0.0
    motion_mm: Range = (0.3, 1.0)
    """Largest of the random displacements that a moving vessel takes during the scan."""
    variants: float = 0.0
    """Chance of each of: bridge, odd origin, tortuous, dilated, bare muscle, vein in contact."""
    calcium: float = 0.0
    """Chance of each of: valve, aortic wall, annular and pericardial calcium."""
    stent: float = 0.0
    lead: float = 0.0
    graft: float = 0.0
    missing: float = 0.0
    """Chance of a right coronary artery that isn't there."""
    disease: bool = False
    """Plaques of the wide kinds (``lesions_wide``) instead of the ordinary ones."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Size and difficulty of a phantom scan."""

    matrix: int | None = 512
    """Pixels a side; None: as many as the field of view of 158-185 mm needs."""
    pixel_mm: Range = (0.33, 0.46)
    slice_mm: Range = (0.3, 0.7)
    z_below_mm: Range = (66, 82)
    z_above_mm: Range = (46, 66)
    wild: bool = True
    """Every other scan wider than a diagnostic one: noise to 50 HU, PSF to 1.05 mm; motion."""
    wide: Wide | None = None
    """Drawn by ``wide.py`` with what is said here; ``wild`` isn't asked then."""
    rescan: int = 0
    """Not 0: scan of that number of the patient of preset ``test`` (``rescan.py``)."""


_EVERYTHING = Wide(
    outer=0.4,
    photon_counting=0.15,
    blood_hu=(200, 650),
    iterative=0.4,
    hardening=0.6,
    streaks=0.25,
    steps=0.2,
    motion=0.15,
    variants=0.12,
    calcium=0.25,
    stent=0.1,
    lead=0.05,
    graft=0.05,
    missing=0.03,
    disease=True,
)
_TEST = Preset(matrix=512, pixel_mm=(0.31, 0.46), slice_mm=(0.4, 0.75), wild=False, wide=Wide())


def _family(**changes: Any) -> Preset:
    """Ordinary test scans with one thing changed."""
    return replace(_TEST, wide=replace(Wide(), **changes))


PRESETS = {
    "standard": Preset(wild=False),
    "small": Preset(matrix=330, pixel_mm=(0.45, 0.47), slice_mm=(0.6, 0.65), wild=False),
    "training": Preset(matrix=None, pixel_mm=(0.32, 0.5), slice_mm=(0.25, 1.0)),
    "test": Preset(matrix=512, pixel_mm=(0.31, 0.46), slice_mm=(0.25, 0.75), wild=False),
    "wide": Preset(matrix=None, pixel_mm=(0.3, 0.5), slice_mm=(0.3, 1.0), wide=_EVERYTHING),
    "noisy": _family(noise_hu=(32, 48), motion=1.0),
    "soft": _family(psf_mm=(0.8, 1.0), noise_hu=(10, 22), sharpen=0.0, iterative=0.5),
    "photon": replace(_family(photon_counting=1.0), slice_mm=(0.2, 0.3), pixel_mm=(0.31, 0.36)),
    "rescan": Preset(matrix=512, pixel_mm=(0.31, 0.46), slice_mm=(0.25, 0.75), rescan=1),
    "steps": _family(steps=1.0, step_mm=(1.0, 3.0)),
    "motion": _family(motion=1.0, motion_mm=(1.0, 2.5)),
    "stent": _family(stent=1.0, hardening=1.0),
    "graft": _family(graft=1.0, hardening=1.0),
    "lead": _family(lead=1.0, hardening=1.0),
    "missing": _family(missing=1.0),
    "hardening": _family(hardening=1.0, calcium=1.0),
    "iterative": _family(iterative=1.0),
}
