"""Training samples for the three networks, cut from phantoms of the training seeds.

One phantom gives one sample for the tree (whole heart at 0.8 mm) and about thirty windows for
the wall; the heart finder trains on cheap coarse renderings of the whole chest. Samples are
one ``.npz`` per seed, so that an interrupted run loses nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from plaque_edge.phantom.render import straight_fractions
from plaque_edge.phantom.scanner_physics import ScanSettings, acquire
from plaque_edge.phantom.scene import (
    PRESETS,
    Phantom,
    draw_patient,
    draw_settings,
    make_phantom,
    tree_label_map,
    volume_offset,
)
from plaque_edge.phantom.tissue import build_chest
from plaque_edge.segment.healthy_wall import healthy_wall_mm
from plaque_edge.segment.heart import HEART_SHAPE, HEART_SPACING_MM
from plaque_edge.segment.straighten import (
    PIXEL_MM,
    STEP_MM,
    WIDTH,
    parallel_frames,
    sample_sections,
)
from plaque_edge.segment.tree_maps import TREE_SPACING_MM, resample_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from plaque_edge.segment.network import Network

WINDOW_STEPS = 64
WINDOWS_PER_PHANTOM = 48


def tree_sample(phantom: Phantom) -> dict[str, NDArray[Any]]:
    """Return the scan at 0.8 mm and its labels, cropped to where vessels can be."""
    offset = volume_offset(phantom)
    points = np.concatenate([t.points_mm for t in phantom.patient.anatomy.tubes]) + offset
    low, high = points.min(0) - 14, points.max(0) + 14
    shape = tuple(int(n) for n in np.ceil((high - low) / TREE_SPACING_MM))
    hu = resample_volume(phantom.volume, low, TREE_SPACING_MM, (shape[0], shape[1], shape[2]))
    labels = tree_label_map(phantom, TREE_SPACING_MM, low, (shape[0], shape[1], shape[2]), offset)
    return {"tree_hu": hu, "tree_labels": labels}


def wall_samples(
    phantom: Phantom, rng: np.random.Generator, n: int = WINDOWS_PER_PHANTOM
) -> dict[str, NDArray[Any]]:
    """Cut straightened windows along jittered centerlines, with the scene's true fractions."""
    hu = np.zeros((n, WINDOW_STEPS, WIDTH, WIDTH), np.int16)
    target = np.zeros((n, 7, WINDOW_STEPS, WIDTH, WIDTH), np.uint8)
    offset = volume_offset(phantom)
    for i in range(n):
        tube, start = _pick(phantom, rng, diseased=i < 0.4 * n)
        line = phantom.slabs.shown(phantom.patient.anatomy.tubes[tube].points_mm[::2])
        if len(phantom.slabs.gain) > 1:  # a tracer cuts the corners of a step
            line = gaussian_filter1d(line, 1.5, axis=0, mode="nearest")
        centers, u, v = _window(line, start, rng)
        sections = sample_sections(
            phantom.volume.hu,
            phantom.volume.origin_zyx_mm,
            phantom.volume.spacing_zyx_mm,
            centers + offset,
            u,
            v,
        )
        hu[i] = np.round(sections)
        straight_fractions(
            phantom.patient.scene,
            tube,
            centers,
            u,
            v,
            PIXEL_MM,
            2,
            phantom.slabs.first_mm,
            phantom.slabs.shift_mm,
            target[i],
        )
    blood = np.asarray(phantom.truth["aorta_hu"], np.float32)
    return {"wall_hu": hu, "wall_target": target, "blood_hu": blood}


def _pick(phantom: Phantom, rng: np.random.Generator, diseased: bool) -> tuple[int, int]:
    """Tube and first step; a diseased window is centred near a plaque where there is one."""
    tubes, lesions = phantom.patient.anatomy.tubes, phantom.patient.lesions
    if diseased and lesions:
        lesion = lesions[int(rng.integers(len(lesions)))]
        middle = (lesion.center_mm + rng.uniform(-1, 1) * lesion.half_mm) / STEP_MM
        return lesion.tube, int(middle - rng.uniform(8, WINDOW_STEPS - 8))
    length = np.array([0.0 if t.vein else float(len(t.points_mm)) for t in tubes])
    tube = int(rng.choice(len(tubes), p=length / length.sum()))
    return tube, int(rng.integers(-10, max(1, len(tubes[tube].points_mm) // 2 - WINDOW_STEPS + 10)))


def _window(
    points: NDArray[np.float64], start: int, rng: np.random.Generator
) -> tuple[Any, Any, Any]:
    """Centers and frame of one window: straight beyond the ends, jittered as a tracer errs."""
    at = np.arange(start, start + WINDOW_STEPS)
    inside = points[np.clip(at, 0, len(points) - 1)]
    head, tail = (
        points[0] - points[min(6, len(points) - 1)],
        points[-1] - points[-min(7, len(points))],
    )
    head, tail = head / max(np.linalg.norm(head), 1e-6), tail / max(np.linalg.norm(tail), 1e-6)
    before, after = np.maximum(0, -at), np.maximum(0, at - len(points) + 1)
    centers = inside + STEP_MM * (before[:, None] * head + after[:, None] * tail)
    amount = rng.choice([0.0, 0.15, 0.35], p=[0.2, 0.5, 0.3]) * rng.uniform(0.5, 1.5)
    jitter = gaussian_filter1d(rng.normal(size=(WINDOW_STEPS, 3)), rng.uniform(3, 10), axis=0)
    jitter = amount * (jitter / max(jitter.std(), 1e-6) + rng.normal(0, 0.5, 3))
    centers = centers + jitter
    _, u, v = parallel_frames(centers)
    a = rng.uniform(0, 2 * np.pi)
    return centers, np.cos(a) * u + np.sin(a) * v, np.cos(a) * v - np.sin(a) * u


def heart_sample(seed: int) -> dict[str, NDArray[Any]]:
    """Render a whole chest at 3 mm, cheaply, with heart (1) and ascending aorta (2)."""
    rng = np.random.default_rng(seed)
    settings = draw_settings(PRESETS["training"], rng)
    blood = float(rng.uniform(220, 650))
    patient = draw_patient(rng, blood, False)
    extent = np.array([rng.uniform(95, 190), *[rng.uniform(150, 270)] * 2])
    origin = np.array(
        [
            -rng.uniform(62, 62 + max(4, extent[0] - 105)),
            *(rng.normal([-5, 10], 14) - extent[1:] / 2),
        ]
    )
    fine = HEART_SPACING_MM / 2
    shape = tuple(int(n) for n in extent / fine)
    chest = build_chest(
        patient.anatomy, patient.outer_mm, origin - 4, origin + extent + 4, blood, rng
    )
    coarse = ScanSettings((fine,) * 3, 2.0, 2.0, settings.noise_hu * 0.35, 1.0, 0.0, False)
    hu = acquire(chest, patient.scene, (shape[0], shape[1], shape[2]), origin, coarse, rng)
    names = ("pericardial fat", "la", "lv", "ra", "rv", "myocardium", "atrial wall")
    heart = np.minimum.reduce([chest.field(n) for n in names])
    return pad_heart_sample(hu, heart, chest.field("aorta"), chest.origin_mm, origin, fine)


def pad_heart_sample(
    hu: Any, heart: Any, aorta: Any, grid_origin: Any, origin: Any, fine: float
) -> dict[str, NDArray[Any]]:
    """Average to 3 mm and put into the network's fixed shape."""
    from scipy.ndimage import map_coordinates

    n = [min(s // 2, m) for s, m in zip(hu.shape, HEART_SHAPE, strict=True)]
    small = (
        hu[: 2 * n[0], : 2 * n[1], : 2 * n[2]].reshape(n[0], 2, n[1], 2, n[2], 2).mean((1, 3, 5))
    )
    grid = [
        (origin[a] + fine / 2 + HEART_SPACING_MM * np.arange(n[a]) - grid_origin[a]) / 2.0
        for a in range(3)
    ]
    mesh = np.stack(np.meshgrid(*grid, indexing="ij"))
    labels = (map_coordinates(heart, mesh, order=1) < 0).astype(np.uint8)
    labels[map_coordinates(aorta, mesh, order=1) < 0] = 2
    image = np.full(HEART_SHAPE, -1024, np.int16)
    out = np.zeros(HEART_SHAPE, np.uint8)
    where = tuple(
        slice((m - k) // 2, (m - k) // 2 + k) for m, k in zip(HEART_SHAPE, n, strict=True)
    )
    image[where], out[where] = np.round(small), labels
    return {"heart_hu": image, "heart_labels": out}


def write_samples(
    seeds: range,
    folder: Path,
    windows: int = WINDOWS_PER_PHANTOM,
    heart: bool = True,
    preset: str = "training",
) -> None:
    """Write one ``<seed>.npz`` per phantom of ``preset`` that is not there yet.

    ``heart`` adds a coarse whole chest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed}.npz"
        if path.exists():
            continue
        phantom = make_phantom(seed, preset, truth=False)
        rng = np.random.default_rng([seed, 1])
        partial = path.with_suffix(".tmp.npz")
        arrays: dict[str, Any] = {**tree_sample(phantom), **wall_samples(phantom, rng, windows)}
        if heart:
            arrays |= heart_sample(seed)
        np.savez(partial, **arrays)
        partial.replace(path)


def measure_walls(folder: Path, network: Network) -> None:
    """Write ``<seed>.wall.json`` beside every sample that has none: its patient's healthy wall.

    ``network`` is the wall network as it is before the training, so that the wall comes with the
    errors of a first look.
    """
    for path in sorted(folder.glob("*.npz")):
        seen = path.with_suffix(".wall.json")
        if seen.exists() or ".tmp" in path.name:
            continue
        with np.load(path) as f:
            hu, blood = f["wall_hu"][::2], float(f["blood_hu"])
        wall = healthy_wall_mm(255 * network.run(h, blood) for h in hu)
        seen.write_text(json.dumps({"wall_mm": wall}))
