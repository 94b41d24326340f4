"""One synthetic patient and scan with what lies beyond the ordinary (presets with ``wide``).

Anatomy's numbers come from the seed's own stream as in ``scene.py``; everything that is new
here comes from a stream of its own, so that the older presets stay what they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.phantom import kernels
from plaque_edge.phantom.anatomy import STEP_MM, Anatomy, make_anatomy
from plaque_edge.phantom.beam import coarse_steps, hardening_hu, pool
from plaque_edge.phantom.calcium import chest_calcium
from plaque_edge.phantom.deposits import Deposit, join, paint_deposit
from plaque_edge.phantom.lesions import draw_burden_mm3, draw_lesions
from plaque_edge.phantom.lesions_wide import draw_wide_burden_mm3, draw_wide_lesions
from plaque_edge.phantom.metal import (
    Stent,
    graft_clips,
    pacing_lead,
    place_stent,
    stent_struts,
    sternal_wires,
)
from plaque_edge.phantom.presets import Preset, Wide
from plaque_edge.phantom.scanner_physics import ScanSettings, blur, paint_chest, paint_vessels
from plaque_edge.phantom.scene import Made, Patient, Phantom, assemble, finish
from plaque_edge.phantom.slabs import Slabs, draw_slabs, whole
from plaque_edge.phantom.texture import (
    Texture,
    add_noise,
    keep_edges,
    noise_cube,
    noise_map,
    ring_table,
    streak_tile,
)
from plaque_edge.phantom.tissue import Chest, build_chest
from plaque_edge.phantom.variants import draw_variant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Artefacts:
    """Everything that stands between a scene and its image, beside :class:`ScanSettings`."""

    slabs: Slabs
    texture: Texture
    hardening: tuple[float, float] | None
    """Strength of beam hardening and share of scatter (``beam.hardening_hu``)."""


def make_wide_phantom(
    seed: int, p: Preset, burden_mm3: float | None = None, *, truth: bool = True
) -> Phantom:
    """Draw a patient and a scan of preset ``p``; arguments as of ``scene.make_phantom``."""
    w = p.wide or Wide()
    base, rng = np.random.default_rng(seed), np.random.default_rng([seed, 7])
    anatomy = make_anatomy(base, draw_variant(w.variants, w.missing, w.graft, rng))
    settings, texture = draw_scan(p, w, rng)
    blood_hu = float(rng.uniform(*w.blood_hu))
    patient = draw_wide_patient(anatomy, w, settings.motion, blood_hu, burden_mm3, rng)
    shape, origin = field_of_view(p, settings, anatomy, rng)
    high = origin + np.array(shape) * settings.spacing_zyx_mm
    chest = build_chest(anatomy, patient.outer_mm, origin - 8, high + 8, blood_hu, base)
    slabs = (
        draw_slabs(float(origin[0]), float(high[0]), w.step_mm, rng)
        if rng.random() < w.steps
        else whole(float(origin[0]))
    )
    hard = (rng.uniform(0.03, 0.3), rng.choice([0.0, 1.0]) * rng.uniform(0.005, 0.06))
    artefacts = Artefacts(slabs, texture, hard if rng.random() < w.hardening else None)
    deposit, stent = draw_deposits(patient, chest, w, rng)
    hu = acquire_wide(chest, patient.scene, deposit, shape, origin, settings, artefacts, rng)
    extra = describe(anatomy, artefacts, stent)
    made = Made(patient, chest, settings, blood_hu, hu, origin, slabs, extra)
    return finish(seed, p, made, rng, truth=truth)


def draw_scan(p: Preset, w: Wide, rng: np.random.Generator) -> tuple[ScanSettings, Texture]:
    """Scan and reconstruction parameters."""
    pixel, step = rng.uniform(*p.pixel_mm), rng.uniform(*p.slice_mm)
    sharpen = rng.uniform(0.1, 0.6) if rng.random() < w.sharpen else 0.0
    if rng.random() < w.photon_counting:
        step = min(step, rng.uniform(0.2, 0.4))
        psf, noise, sharpen = rng.uniform(0.25, 0.4), rng.uniform(8, 22), 0.0
    elif rng.random() < w.outer:
        psf, noise = rng.uniform(*w.outer_psf_mm), rng.uniform(*w.outer_noise_hu)
    else:
        psf, noise = rng.uniform(*w.psf_mm), rng.uniform(*w.noise_hu)
    grain = rng.uniform(0.1, 0.5) if rng.random() < 0.2 else rng.uniform(0.5, 1.4)
    texture = Texture(uneven=rng.uniform(0, 0.3))
    if rng.random() < w.iterative:
        texture = Texture(
            blotchy=rng.uniform(0.1, 0.6),
            blotch_mm=rng.uniform(1.5, 4),
            edges=rng.uniform(0, 1.0),
            smoothing=rng.choice([0.0, 1.0]) * rng.uniform(0.7, 2.0),
            uneven=rng.uniform(0, 0.3),
        )
    if rng.random() < w.streaks:
        shoulder, ring = rng.uniform(0, 0.8) * noise, rng.uniform(0, 0.25) * noise
        texture = replace(texture, shoulder_hu=shoulder, ring_hu=ring * (rng.random() < 0.4))
    psf_z = max(psf * 0.8, step * rng.uniform(0.7, 1.2))
    motion = bool(rng.random() < w.motion)
    settings = ScanSettings((step, pixel, pixel), psf, psf_z, noise, grain, sharpen, motion)
    return settings, texture


def draw_wide_patient(
    anatomy: Anatomy,
    w: Wide,
    moving: bool,
    blood_hu: float,
    burden_mm3: float | None,
    rng: np.random.Generator,
) -> Patient:
    """Plaques, contrast along the vessels, and grafts that hold contrast."""
    if w.disease:
        burden = draw_wide_burden_mm3(rng) if burden_mm3 is None else burden_mm3
        lesions = draw_wide_lesions(anatomy, burden, rng)
    else:
        burden = draw_burden_mm3(rng) if burden_mm3 is None else burden_mm3
        lesions = draw_lesions(anatomy, burden, rng)
    motion = rng.uniform(*w.motion_mm) if moving else 0.0
    patient = assemble(anatomy, lesions, blood_hu, motion, rng)
    scene, hu = patient.scene, patient.scene.lumen_hu.copy()
    for i, tube in enumerate(anatomy.tubes):
        rows = scene.tube == i
        s = scene.arc[rows]
        if tube.name.startswith("SVG"):
            hu[rows] = blood_hu * rng.uniform(0.85, 1.05)
        elif not tube.vein and w.disease:
            wave = np.sin(2 * np.pi * s / rng.uniform(25, 90) + rng.uniform(0, 6))
            fall = rng.uniform(0, 0.25) * np.clip(s / 120, 0, 1)
            hu[rows] *= (1 + rng.uniform(0, 0.06) * wave) * (1 - fall)
    wall_hu = rng.uniform(20, 100, len(scene.wall_hu)) if w.disease else scene.wall_hu
    return replace(patient, scene=scene._replace(lumen_hu=hu, wall_hu=wall_hu))


def field_of_view(
    p: Preset, s: ScanSettings, anatomy: Anatomy, rng: np.random.Generator
) -> tuple[Shape, Array]:
    """Shape and first voxel: the preset's, and at least all coronary arteries and 6 mm more."""
    points = np.vstack([t.points_mm for t in anatomy.tubes if t.vessel is not None])
    bottom = min(-rng.uniform(*p.z_below_mm), float(points[:, 0].min()) - 6)
    top = max(rng.uniform(*p.z_above_mm), float(points[:, 0].max()) + 6)
    n = int((top - bottom) / s.spacing_zyx_mm[0])
    matrix = p.matrix or round(rng.uniform(158, 185) / s.spacing_zyx_mm[1])
    half = matrix * s.spacing_zyx_mm[1] / 2
    center = np.array([-5, 5]) + rng.normal(0, 5, 2)
    low, high = points[:, 1:].min(0) + half - 6, points[:, 1:].max(0) - half + 6
    center = np.where(high <= low, np.clip(center, np.minimum(high, low), low), (low + high) / 2)
    return (n, matrix, matrix), np.array([bottom, center[0] - half, center[1] - half])


def draw_deposits(
    patient: Patient, chest: Chest, w: Wide, rng: np.random.Generator
) -> tuple[Deposit, Stent | None]:
    """Calcium outside the coronaries and metal; only a stent may lie inside a vessel."""
    anatomy, stent = patient.anatomy, None
    parts = chest_calcium(chest, anatomy, w.calcium, rng)
    if rng.random() < w.lead:
        parts.append(pacing_lead(anatomy, rng))
    if any(t.name.startswith("SVG") for t in anatomy.tubes):
        parts += [sternal_wires(rng), graft_clips(anatomy, rng)]
    outside = join(parts)
    outside = outside.where(~in_vessels(patient.scene, outside.points_mm))
    if rng.random() < w.stent:
        stent = place_stent(anatomy, rng)
        part = slice(int(stent.start_mm / STEP_MM), int(stent.end_mm / STEP_MM))
        struts = stent_struts(
            anatomy.tubes[stent.tube].points_mm[part],
            patient.lumen_mm[stent.tube][part],
            rng.uniform(0.07, 0.13),
            rng.uniform(15000, 45000),
            int(rng.integers(5, 9)),
        )
        outside = join([outside, struts])
    return outside, stent


def in_vessels(scene: kernels.Scene, points_mm: Array) -> NDArray[np.bool_]:
    """Which points lie in a coronary vessel, wall included."""
    return np.array([kernels.tissue_at(scene, p, -1, 0.0)[0] != 0 for p in points_mm], bool)


def acquire_wide(
    chest: Chest,
    scene: kernels.Scene,
    deposit: Deposit,
    shape: Shape,
    origin: Array,
    s: ScanSettings,
    artefacts: Artefacts,
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """One reconstructed scan, int16 HU ``(z, y, x)``."""
    spacing = np.array(s.spacing_zyx_mm)
    image = paint_slabs(chest, scene, deposit, shape, origin, s, artefacts.slabs)
    steps = coarse_steps(s.spacing_zyx_mm)
    coarse = pool(image, steps)
    added = np.zeros((1, 1, 1), np.float32)
    if artefacts.hardening is not None:
        added = hardening_hu(coarse, steps[1] * float(spacing[1]), *artefacts.hardening)
    image = blur(image, s)
    texture = artefacts.texture
    level = noise_map(coarse, texture, rng) * np.float32(s.noise_hu)
    if added.shape == (1, 1, 1):
        added = np.zeros_like(level)
    tile = noise_cube(s.spacing_zyx_mm, s.noise_grain_mm, s.psf_z_mm, texture, rng)
    near_top = np.clip(np.linspace(-2.0, 1.0, shape[0]), 0, 1)
    add_noise(
        image,
        np.array(steps),
        added,
        level,
        tile,
        rng.integers(0, tile.shape[0], 3),
        streak_tile(s.spacing_zyx_mm, rng),
        near_top * texture.shoulder_hu,
        ring_table(rng),
        texture.ring_hu,
    )
    if texture.smoothing > 0:
        smooth = np.empty_like(image)
        keep_edges(image, texture.smoothing * s.noise_hu, smooth)
        image = smooth
    _level_slabs(image, origin, spacing, artefacts.slabs)
    return np.asarray(np.clip(np.floor(image + 0.5), -1024, 3071), np.int16)


def paint_slabs(
    chest: Chest,
    scene: kernels.Scene,
    deposit: Deposit,
    shape: Shape,
    origin: Array,
    s: ScanSettings,
    slabs: Slabs,
) -> NDArray[np.float32]:
    """Sharp HU of the scene, each slab painted where it shows it."""
    spacing = np.array(s.spacing_zyx_mm)
    slab = slabs.of(origin[0] + spacing[0] * np.arange(shape[0]))
    image = np.empty(shape, np.float32)
    for k in np.unique(slab):
        rows = np.flatnonzero(slab == k)
        part = image[rows[0] : rows[-1] + 1]
        at = origin + slabs.shift_mm[k] + np.array([rows[0] * spacing[0], 0, 0])
        part[:] = paint_chest(chest, (len(rows), *shape[1:]), at, s.spacing_zyx_mm)
        paint_vessels(scene, part, at, s)
        paint_deposit(part, at, spacing, deposit)
    return image


def _level_slabs(image: NDArray[np.float32], origin: Array, spacing: Array, slabs: Slabs) -> None:
    if len(slabs.gain) == 1:
        return
    slab = slabs.of(origin[0] + spacing[0] * np.arange(len(image)))
    for z, k in enumerate(slab):
        image[z] = slabs.gain[k] * (image[z] + 1000) - 1000 + slabs.offset_hu[k]


def describe(anatomy: Anatomy, artefacts: Artefacts, stent: Stent | None) -> dict[str, Any]:
    """Return what ``truth.json`` says of the scan's artefacts and the heart's variants."""
    names = {t.name for t in anatomy.tubes}
    return {
        "artefacts": {
            "slab_borders_mm": artefacts.slabs.first_mm[1:].tolist(),
            "slab_shift_mm": artefacts.slabs.shift_mm.tolist(),
            "beam_hardening": artefacts.hardening is not None,
            "iterative": artefacts.texture.blotchy > 0,
            "stent": None
            if stent is None
            else {
                "branch": anatomy.tubes[stent.tube].name,
                "start_mm": stent.start_mm,
                "end_mm": stent.end_mm,
            },
            "grafts": sorted(n for n in names if n.startswith("SVG")),
        },
        "absent": [v for v in ("LM", "LAD", "LCX", "RCA") if v not in names],
    }
