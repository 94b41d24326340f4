"""Phantoms for the quality gate: each breaks one rule, or none although it looks like it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from plaque_edge.phantom.presets import PRESETS, Wide
from plaque_edge.types import SeriesInfo, Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaque_edge.types import CoronaryTree

    Spoil = Callable[[SeriesInfo, Volume, CoronaryTree], tuple[SeriesInfo, Volume]]

SIZE: Final = replace(PRESETS["test"], matrix=370, pixel_mm=(0.42, 0.45), slice_mm=(0.55, 0.62))
"""Coarse and narrow, within the limits: what a phantom costs grows with its voxels."""
PLAIN: Final = Wide(blood_hu=(320.0, 490.0), psf_mm=(0.35, 0.7), noise_hu=(12.0, 25.0))


@dataclass(frozen=True, slots=True)
class Break:
    """A kind of phantom: the code that must speak, "" where none may, and how it is made.

    ``spoil`` turns header and scan into worse ones. ``also`` are codes that rightly speak too;
    a ``*`` at the end stands for all that begin so. ``least`` names what must truly have come of
    chance, and how much, mm: scans with less are neither broken nor whole.
    """

    code: str = ""
    wide: Wide = PLAIN
    burden_mm3: float | None = None
    spoil: Spoil | None = None
    also: tuple[str, ...] = ()
    least: tuple[str, float] | None = None

    def may_speak(self, code: str) -> bool:
        """Say whether a warning of this code is right, or nothing that counts."""
        begins = tuple(a[:-1] for a in self.also if a.endswith("*"))
        return code == self.code or code in self.also or (bool(begins) and code.startswith(begins))


def _header(**changes: Any) -> Spoil:
    return lambda info, volume, _: (replace(info, **changes), volume)


def _thinned(info: SeriesInfo, volume: Volume, _: CoronaryTree) -> tuple[SeriesInfo, Volume]:
    """Keep every second slice: 1.1 to 1.24 mm apart."""
    dz, dy, dx = volume.spacing_zyx_mm
    return info, Volume(volume.hu[::2].copy(), (2 * dz, dy, dx), volume.origin_zyx_mm)


def _halved(info: SeriesInfo, volume: Volume, _: CoronaryTree) -> tuple[SeriesInfo, Volume]:
    """Keep every second pixel: 0.8 to 0.9 mm wide."""
    dz, dy, dx = volume.spacing_zyx_mm
    hu = np.ascontiguousarray(volume.hu[:, ::2, ::2])
    return info, Volume(hu, (dz, 2 * dy, 2 * dx), volume.origin_zyx_mm)


def _short(info: SeriesInfo, volume: Volume, _: CoronaryTree) -> tuple[SeriesInfo, Volume]:
    """Keep the lowest 55 mm."""
    slices = round(55.0 / volume.spacing_zyx_mm[0])
    return info, replace(volume, hu=volume.hu[:slices].copy())


def _narrow(info: SeriesInfo, volume: Volume, _: CoronaryTree) -> tuple[SeriesInfo, Volume]:
    """Keep a field of 90 mm round the middle."""
    dz, dy, dx = volume.spacing_zyx_mm
    half = round(45.0 / dx)
    row, column = (n // 2 for n in volume.shape_zyx[1:])
    z, y, x = volume.origin_zyx_mm
    hu = volume.hu[:, row - half : row + half, column - half : column + half].copy()
    return info, Volume(hu, (dz, dy, dx), (z, y + (row - half) * dy, x + (column - half) * dx))


def _beheaded(info: SeriesInfo, volume: Volume, tree: CoronaryTree) -> tuple[SeriesInfo, Volume]:
    """Let the scan end 10 mm above the lowest coronary artery."""
    lowest = min(float(b.points_mm[:, 0].min()) for b in tree.branches)
    first = max(1, round((lowest + 10.0 - volume.origin_zyx_mm[0]) / volume.spacing_zyx_mm[0]))
    z, y, x = volume.origin_zyx_mm
    origin = (z + first * volume.spacing_zyx_mm[0], y, x)
    return info, replace(volume, hu=volume.hu[first:].copy(), origin_zyx_mm=origin)


CLEAN: Final[dict[str, Break]] = {
    "ordinary": Break(),
    "heavy calcium": Break(
        wide=replace(PLAIN, disease=True, calcium=1.0, hardening=1.0), burden_mm3=900.0
    ),
    "soft plaque, dark blood": Break(
        wide=replace(PLAIN, blood_hu=(260.0, 300.0)), burden_mm3=600.0, also=("QC_CONTRAST",)
    ),
    "soft kernel": Break(
        wide=replace(PLAIN, psf_mm=(0.8, 1.0), noise_hu=(10.0, 22.0), sharpen=0.0),
        also=("QC_THICKNESS",),
    ),
}
"""Nothing is broken; three of them look like something that is."""
_CUT: Final = ("QC_TREE_*", "QC_HEART_CUT", "QC_COVERAGE", "QC_GRAFT*", "QC_LUMEN", "QC_MOTION")
_COARSE: Final = ("QC_MOTION", "QC_STEPS", "QC_LUMEN", "QC_STENT")
BREAKS: Final[dict[str, Break]] = {
    "spacing": Break("QC_SPACING", spoil=_thinned, also=_COARSE),
    "thickness": Break("QC_THICKNESS", spoil=_header(slice_thickness_mm=1.5)),
    "pixel": Break("QC_PIXEL", spoil=_halved, also=_COARSE),
    "field of view": Break("QC_FIELD", spoil=_narrow, also=("HEART_NOT_FOUND", "QC_STEPS", *_CUT)),
    "length": Break("QC_COVERAGE", spoil=_short, also=("HEART_*", "AORTA_*", "QC_STEPS", *_CUT)),
    "heart cut": Break("QC_HEART_CUT", spoil=_beheaded, also=_CUT),
    "lung kernel": Break("QC_KERNEL", spoil=_header(kernel="Bl64")),
    "tube voltage": Break("QC_KVP", spoil=_header(kvp=60.0)),
    "no phase": Break("QC_PHASE", spoil=_header(phase_percent=None, series_description="CTA")),
    "low contrast": Break(
        "QC_CONTRAST", replace(PLAIN, blood_hu=(120.0, 190.0)), also=("QC_MOTION",)
    ),
    "noise": Break("QC_NOISE", replace(PLAIN, noise_hu=(55.0, 75.0)), also=("QC_MOTION",)),
    "steps": Break(
        "QC_STEPS", replace(PLAIN, steps=1.0, step_mm=(1.0, 3.0)), least=("step_mm", 2.0)
    ),
    "motion": Break(
        "QC_MOTION", replace(PLAIN, motion=1.0, motion_mm=(1.0, 2.5)), least=("moved_mm", 1.0)
    ),
    "stent": Break("QC_STENT", replace(PLAIN, stent=1.0, hardening=1.0), also=("QC_METAL",)),
    "bypass": Break("QC_GRAFT", replace(PLAIN, graft=1.0, hardening=1.0), also=("QC_METAL",)),
    "pacing lead": Break("QC_METAL", replace(PLAIN, lead=1.0, hardening=1.0)),
    # Noise is measured between the two ostia, of which one is not there.
    "no right artery": Break(
        "QC_TREE_VESSELS", replace(PLAIN, missing=1.0), also=("QC_NOISE", "QC_CONTRAST")
    ),
}
"""Rules and the phantom that breaks each."""
