"""The same patient scanned again: what differs between two scans of one day, and nothing else.

Anatomy and plaque stay to the last digit. Noise, point spread, spacing, field of view, place on
the table and amount of contrast are drawn again. A turn of the patient on the table isn't
simulated; the grid's new place against the vessels (up to 3 mm) is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.phantom.presets import PRESETS
from plaque_edge.phantom.scanner_physics import acquire, skip_acquisition
from plaque_edge.phantom.scene import Made, Phantom, draw_first, draw_settings, finish, make_phantom
from plaque_edge.phantom.slabs import whole

if TYPE_CHECKING:
    from plaque_edge.phantom.scene import Patient
    from plaque_edge.phantom.tissue import Chest

LEFT = ("pulmonary veins", "la", "lv", "aorta", "descending aorta")
RIGHT = ("svc", "rv", "ra", "pa")
SHIFT_MM = 3.0


def rescan(seed: int, which: int, *, truth: bool = True) -> Phantom:
    """Scan ``which`` of the patient of ``make_phantom(seed, "test")``; 0 is that scan itself."""
    if which == 0:
        return make_phantom(seed, "test", truth=truth)
    preset = PRESETS["test"]
    first = draw_first(seed, preset)
    new = np.random.default_rng([seed, 11, which])
    settings = draw_settings(preset, new)
    settings = replace(settings, motion=settings.motion and first.settings.motion)
    low = first.origin_mm + new.uniform(-SHIFT_MM, SHIFT_MM, 3)
    extent = np.array(first.shape) * first.settings.spacing_zyx_mm
    n = (extent / settings.spacing_zyx_mm).astype(int)
    matrix = preset.matrix or int(n[1])
    low[1:] += (extent[1:] - matrix * np.array(settings.spacing_zyx_mm[1:])) / 2
    contrast = float(np.clip(new.uniform(0.8, 1.2), 230 / first.blood_hu, 640 / first.blood_hu))
    patient, chest = first.patient, first.chest
    patient, chest = with_contrast(patient, chest, contrast, float(new.uniform(0.7, 1.3)))
    hu = acquire(chest, patient.scene, (int(n[0]), matrix, matrix), low, settings, new)
    made = Made(
        patient, chest, settings, first.blood_hu * contrast, hu, low, whole(float(low[0])), {}
    )
    scan = finish(seed, preset, made, new, truth=truth)
    skip_acquisition(first.rng)
    person = finish(seed, preset, made, first.rng, truth=False).info
    uid = f"{person.study_instance_uid}.{which + 1}"
    info = replace(person, study_instance_uid=uid, series_instance_uid=f"{uid}.1")
    return replace(scan, info=replace(info, kernel=scan.info.kernel, kvp=scan.info.kvp))


def with_contrast(
    patient: Patient, chest: Chest, left: float, right: float
) -> tuple[Patient, Chest]:
    """Return both with the HU of blood multiplied: left heart and arteries, right heart and veins.

    Geometry and the HU of walls and plaques stay.
    """
    factor = [left if n in LEFT else right if n in RIGHT else 1.0 for n in chest.names]
    scene = patient.scene
    vein = scene.vein[scene.tube]
    hu = scene.lumen_hu * np.where(vein, right, left)
    return (
        replace(patient, scene=scene._replace(lumen_hu=hu)),
        replace(chest, hu=chest.hu * np.array(factor)),
    )
