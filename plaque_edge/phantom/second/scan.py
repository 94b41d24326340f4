"""One synthetic patient of the second kind: scan as DICOM would hold it, tree and exact truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from plaque_edge.phantom.anatomy import STEP_MM, Tube
from plaque_edge.phantom.scanner_physics import ScanSettings, paint_chest
from plaque_edge.phantom.scene import PRESETS, components_mm3, draw_info
from plaque_edge.phantom.second.chest import build_second_chest
from plaque_edge.phantom.second.disease import Disease, draw_disease
from plaque_edge.phantom.second.heart import Root, draw_heart, draw_root, draw_vessels, moved
from plaque_edge.phantom.second.raster import Cloud, overlay, rasterise
from plaque_edge.types import VESSELS, Branch, CoronaryTree, SeriesInfo, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SecondPhantom:
    """A scan with its truth; what :class:`plaque_edge.phantom.scene.Phantom` has of these."""

    volume: Volume
    tree: CoronaryTree
    truth: dict[str, Any]
    info: SeriesInfo


def make_second_phantom(seed: int, burden_mm3: float | None = None) -> SecondPhantom:
    """Draw a patient of the second kind and scan them (half a minute on one core)."""
    rng = np.random.default_rng([2, seed])
    heart = draw_heart(rng)
    center = -heart.base_mm * heart.a + rng.normal(0, 3, 3)
    root = draw_root(heart, rng)
    tubes = draw_vessels(heart, root, rng)
    target = burden_mm3 if burden_mm3 is not None else _draw_burden(rng)
    disease = draw_disease(tubes, target, rng)
    blood_hu = float(rng.uniform(280, 560))
    cloud = rasterise(
        tubes, disease, _lumen_hu(tubes, blood_hu, rng), rng.uniform(25, 90, len(tubes))
    )
    settings, shape, origin = _scan(rng)
    outer = [w.membrane_mm + w.offset_mm + w.wall_mm for w in disease.walls]
    high = origin + np.array(shape) * settings.spacing_zyx_mm
    here = Root(root.points_mm + center, root.radius_mm)
    box = (origin - 4, high + 4)
    chest = build_second_chest(heart, here, center, moved(tubes, center), outer, box, blood_hu, rng)
    image = paint_chest(chest, shape, origin, settings.spacing_zyx_mm)
    overlay(image, cloud, origin - center, np.array(settings.spacing_zyx_mm))
    hu = _reconstruct(image, settings, rng)
    offset = np.array([rng.uniform(-250, 250), rng.uniform(-180, -130), rng.uniform(-12, 12)])
    tree = _tree(tubes, disease, center + offset, heart.dominance)
    truth = _truth(tubes, disease, cloud, seed, blood_hu, settings) | {"dominance": heart.dominance}
    at = origin + offset
    volume = Volume(hu, settings.spacing_zyx_mm, (float(at[0]), float(at[1]), float(at[2])))
    return SecondPhantom(volume, tree, truth, draw_info(seed, PRESETS["test"], settings, rng))


def _draw_burden(rng: np.random.Generator) -> float:
    return 0.0 if rng.random() < 0.2 else float(rng.gamma(1.1, 260))


def _lumen_hu(tubes: tuple[Tube, ...], blood_hu: float, rng: np.random.Generator) -> list[Array]:
    vein = rng.uniform(60, 0.6 * blood_hu)
    fall = rng.uniform(0.0, 0.25)
    out = []
    for t in tubes:
        s = np.arange(len(t.points_mm)) * STEP_MM
        hu = vein if t.vein else blood_hu * rng.uniform(0.92, 1.0)
        out.append(hu * (1 - (0 if t.vein else fall) * np.clip(s / 120, 0, 1)))
    return out


def _scan(rng: np.random.Generator) -> tuple[ScanSettings, tuple[int, int, int], Array]:
    """Draw the settings of a diagnostic scan, and its field of view round the heart."""
    pixel, step = rng.uniform(0.32, 0.45), rng.uniform(0.3, 0.7)
    psf = rng.uniform(0.35, 0.8)
    settings = ScanSettings(
        (step, pixel, pixel), psf, max(psf, step), rng.uniform(14, 36), 0.8, 0.0, False
    )
    bottom, top = -rng.uniform(64, 76), rng.uniform(48, 62)
    n = int((top - bottom) / step)
    half = 512 * pixel / 2
    corner = np.array([bottom, rng.normal(0, 4) - half, rng.normal(5, 4) - half])
    return settings, (n, 512, 512), corner


def _reconstruct(
    image: NDArray[np.float32], s: ScanSettings, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Point spread with a tail (a fifth of it 2.2 times as wide) and ramp-filtered noise."""
    widths = (s.psf_z_mm, s.psf_mm, s.psf_mm)
    core, tail = image, image
    for axis in range(3):
        sigma = widths[axis] / 2.355 / s.spacing_zyx_mm[axis]
        core = gaussian_filter1d(core, sigma, axis=axis, truncate=3.5)
        if axis:
            tail = gaussian_filter1d(tail, 2.2 * sigma, axis=axis, truncate=3.0)
    sharp = 0.8 * core + 0.2 * tail
    noise = _noise(image.shape, s, rng)
    return np.asarray(np.clip(np.round(sharp + noise), -1024, 3071), np.int16)


def _noise(
    shape: tuple[int, ...], s: ScanSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Slices of ramp-filtered, smoothed white noise, mixed along z; repeats every 64 slices."""
    n = shape[1]
    f = np.hypot(
        np.fft.fftfreq(n, s.spacing_zyx_mm[1])[:, None], np.fft.rfftfreq(n, s.spacing_zyx_mm[2])
    )
    response = np.sqrt(f + 0.02) / (1 + (f * s.psf_mm * 1.4) ** 4)
    white = rng.normal(size=(64, n, n)).astype(np.float32)
    tile = np.fft.irfft2(np.fft.rfft2(white) * response, s=(n, n)).astype(np.float32)
    tile = gaussian_filter1d(tile, s.psf_z_mm / 2.355 / s.spacing_zyx_mm[0], axis=0, mode="wrap")
    tile *= np.float32(s.noise_hu / tile.std())
    return np.asarray(np.resize(tile, shape))


def _tree(tubes: tuple[Tube, ...], disease: Disease, offset: Array, dominance: Any) -> CoronaryTree:
    branches = tuple(
        Branch(t.vessel, t.name, t.parent, t.points_mm[::2] + offset, w.lumen_mm[::2])
        for t, w in zip(tubes, disease.walls, strict=True)
        if t.vessel is not None
    )
    return CoronaryTree(branches, dominance)


def _truth(
    tubes: tuple[Tube, ...],
    disease: Disease,
    cloud: Cloud,
    seed: int,
    blood_hu: float,
    s: ScanSettings,
) -> dict[str, Any]:
    per = {v: cloud.volumes_mm3([i for i, t in enumerate(tubes) if t.vessel == v]) for v in VESSELS}
    vessels = {v: components_mm3(per[v]) | _stenosis(tubes, disease, v) for v in VESSELS}
    return {
        "seed": seed,
        "generator": "plaque_edge.phantom.second",
        "vessels": vessels,
        "patient": components_mm3(sum(per.values(), np.zeros(7))),
        "aorta_hu": blood_hu,
        "scan": {"psf_mm": s.psf_mm, "noise_hu": s.noise_hu, "motion": False, "sharpen": 0.0},
    }


def _stenosis(tubes: tuple[Tube, ...], disease: Disease, vessel: str) -> dict[str, float]:
    mine = [(t, w) for t, w in zip(tubes, disease.walls, strict=True) if t.vessel == vessel]
    worst = max((float((1 - w.lumen_mm / t.radius_mm).max()) for t, w in mine), default=0.0)
    length = sum(len(t.points_mm) for t, _ in mine) * STEP_MM
    return {"max_diameter_stenosis_percent": 100 * worst, "length_mm": length}
