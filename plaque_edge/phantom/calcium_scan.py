"""The scan without contrast that calcium scores are made on, of the same patient.

Anatomy, plaque and place on the table stay; blood has the HU of blood and muscle that of muscle,
slices are 3 mm, the kernel is smooth. Between the two scans of a study the heart beats on: it is
displaced a little, as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.phantom.rescan import LEFT, RIGHT
from plaque_edge.phantom.scanner_physics import ScanSettings, acquire
from plaque_edge.phantom.scene import volume_offset
from plaque_edge.types import Volume, triple

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.phantom.scene import Patient, Phantom
    from plaque_edge.phantom.tissue import Chest
    from plaque_edge.types import SeriesInfo

BLOOD_HU, MUSCLE_HU = 45.0, 50.0
MUSCLE = ("atrial wall", "myocardium", "liver")
SLICE_MM = 3.0
SETTINGS = ScanSettings((SLICE_MM, 0.4, 0.4), 0.9, SLICE_MM, 18.0, 1.1, 0.0, False)
"""A smooth kernel at 120 kVp; 18 HU of noise is a usual value, not one from a source."""


@dataclass(frozen=True, slots=True)
class CalciumScan:
    """The series as it is, and the same without noise, from which the truth is counted."""

    volume: Volume
    clean: Volume
    info: SeriesInfo


def calcium_scan(
    phantom: Phantom, seed: int, settings: ScanSettings = SETTINGS, most_shift_mm: float = 1.5
) -> CalciumScan:
    """Scan the patient of ``phantom`` without contrast.

    ``seed`` draws noise and displacement, the latter at most ``most_shift_mm`` along each axis.
    """
    rng = np.random.default_rng([seed, 17])
    shift = rng.uniform(-most_shift_mm, most_shift_mm, 3)
    patient, chest = without_contrast(phantom.patient, phantom.chest)
    offset = volume_offset(phantom)
    low = np.asarray(phantom.volume.origin_zyx_mm) - offset
    extent = np.array(phantom.volume.shape_zyx) * phantom.volume.spacing_zyx_mm
    nz, ny, nx = (int(n) for n in extent / settings.spacing_zyx_mm)

    def scan(how: ScanSettings) -> Volume:
        noise = np.random.default_rng([seed, 18])
        hu = acquire(chest, patient.scene, (nz, ny, nx), low + shift, how, noise)
        return Volume(hu, how.spacing_zyx_mm, triple(low + offset))

    uid = f"{phantom.info.study_instance_uid}.3"
    info = replace(
        phantom.info,
        series_instance_uid=uid,
        series_number=2,
        series_description=f"CaScore {settings.spacing_zyx_mm[0]:g} Qr36",
        kernel="Qr36",
        kvp=120.0,
        slice_thickness_mm=settings.spacing_zyx_mm[0],
        contrast_agent="",
    )
    return CalciumScan(scan(settings), scan(replace(settings, noise_hu=0.0)), info)


def without_contrast(patient: Patient, chest: Chest) -> tuple[Patient, Chest]:
    """Return both with plain blood and muscle; geometry, walls and plaques stay."""
    blood = np.array([n in LEFT or n in RIGHT or n == "ivc" for n in chest.names])
    muscle = np.array([n in MUSCLE for n in chest.names])
    hu = np.where(blood, BLOOD_HU, np.where(muscle, MUSCLE_HU, chest.hu))
    gradient: NDArray[np.float64] = np.where(blood[:, None], 0.0, chest.gradient)
    texture = np.where(blood, 0.0, chest.texture_hu)
    scene = patient.scene
    plain = scene._replace(lumen_hu=np.full_like(scene.lumen_hu, BLOOD_HU))
    return replace(patient, scene=plain), replace(
        chest, hu=hu, gradient=gradient, texture_hu=texture
    )
