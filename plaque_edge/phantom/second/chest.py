"""Chambers and great vessels round the second heart; the chest about them is the first's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.phantom.anatomy import HeartFrame
from plaque_edge.phantom.tissue import FAR, Chest, Field, Layers, Space, bones, curve, lungs, trunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.phantom.anatomy import Tube
    from plaque_edge.phantom.second.heart import Heart, Root


def build_second_chest(
    heart: Heart,
    root: Root,
    center_mm: NDArray[np.float64],
    tubes: tuple[Tube, ...],
    outer_mm: list[NDArray[np.float64]],
    box_mm: tuple[Any, Any],
    blood_hu: float,
    rng: np.random.Generator,
) -> Chest:
    """Build a chest in ``box_mm`` (low, high), round ``tubes`` and ``root`` in its coordinates."""
    frame = HeartFrame(60.0, 40.0, 40.0, np.eye(3), center_mm)
    space, layers = Space(np.asarray(box_mm[0]), np.asarray(box_mm[1]), frame, rng), Layers()
    trunk(space, layers.put)
    lungs(space, layers.put)
    bones(space, layers.put)
    _chambers(space, heart, root, center_mm, _beds(space, tubes, outer_mm), blood_hu, layers.put)
    return layers.chest(space, rng)


def _beds(space: Space, tubes: tuple[Tube, ...], outer_mm: list[Any]) -> tuple[Field, Field]:
    """Vessels with the least room round them, and vessels with their fat."""
    rng = space.rng
    points = np.vstack([t.points_mm[::4] for t in tubes])
    outer = np.concatenate([o[::4] for o in outer_mm])
    fat = rng.uniform(0.8, 4.0)
    return space.tube(points, outer + rng.uniform(0.2, 1.2)), space.tube(points, outer + fat)


def _chambers(
    space: Space,
    heart: Heart,
    root: Root,
    center: NDArray[np.float64],
    beds: tuple[Field, Field],
    blood_hu: float,
    put: Any,
) -> None:
    rng, k, base = space.rng, heart.size, heart.base_mm
    basis = np.stack([heart.a, heart.r, heart.u], 1).astype(np.float32)
    h = (space.grid - center.astype(np.float32)) @ basis
    for axis in range(3):
        h[..., axis] += space.noise(20, rng.uniform(0.4, 1.5))
    below = (base - 3) - h[..., 0]

    def tube(controls: list[tuple[float, float, float]], radius: float) -> Field:
        return space.tube(curve([center + heart.at(*c) for c in controls]), radius)

    lv = np.maximum(space.ellipsoid(h, (0, 0, 0), heart.lv_mm), below)
    rv = np.maximum(space.ellipsoid(h, (0, heart.rv_off_mm, 0), heart.rv_mm), below)
    la = space.ellipsoid(h, (base - 20 * k, -8 * k, 0), (22 * k, 30 * k, 26 * k))
    ra = space.ellipsoid(h, (base - 15 * k, 38 * k, -6 * k), (21 * k, 22 * k, 27 * k))
    la, ra = np.maximum(la, h[..., 0] - (base - 4)), np.maximum(ra, h[..., 0] - (base - 4))
    laa = tube([(base - 20, -20 * k, 18 * k), (base - 8, -14 * k, 36 * k)], rng.uniform(6, 9))
    raa = tube([(base - 14, 38 * k, 14 * k), (base - 4, 32 * k, 36 * k)], rng.uniform(7, 10))
    aorta = space.tube(root.points_mm, root.radius_mm)
    pa = tube(
        [
            (base + 16 * k, 24 * k, 30 * k),
            (base + 10 * k, 16 * k, 42 * k),
            (base - 6 * k, 4 * k, 56 * k),
            (base - 26 * k, -6 * k, 60 * k),
        ],
        rng.uniform(11, 14) * k,
    )
    svc = tube([(base - 20, 44 * k, 10 * k), (base - 50, 52 * k, 50), (base - 80, 56, 90)], 9)
    ivc = tube([(base - 12, 44 * k, -20 * k), (base - 6, 50 * k, -60)], 11 * k)
    veins = np.minimum(
        tube([(base - 32, -20 * k, 10), (base - 50, -48 * k, 20)], 6 * k),
        tube([(base - 34, 4 * k, -4), (base - 60, 30 * k, 4)], 6 * k),
    )
    bed, fat = beds
    muscle, right = rng.uniform(80, 140), rng.choice([rng.uniform(80, 180), rng.uniform(180, 480)])
    near = np.where(aorta < FAR - 0.1, aorta - 2, np.float32(50))
    sac = np.minimum.reduce([lv, rv, la, ra, near]) - rng.uniform(5, 10)
    put("pericardial fat", sac + space.noise(16, 1.5), rng.uniform(-115, -80), 12)
    put("atrial wall", np.minimum.reduce([la, ra, laa, raa]) - 1.8, muscle, 10)
    put("myocardium", np.minimum(lv, rv), muscle, 12)
    put("great vessel wall", np.minimum(aorta, pa) - 1.3, 50, 8)
    put("groove fat", fat, rng.uniform(-110, -70), 14)
    clear = np.maximum(-bed, 1.5 - aorta)
    put("svc", np.maximum(svc, clear), right * rng.uniform(1, 2.2), 40)
    put("ivc", np.maximum(ivc, clear), rng.uniform(80, 160), 20)
    put("pulmonary veins", np.maximum(veins, clear), blood_hu * rng.uniform(0.9, 1.05), 10)
    septum = -(lv - 0.5)
    put("rv", np.maximum.reduce([rv + rng.uniform(2.5, 4), septum, -bed]), right, 20, 0.5)
    put("pa", np.maximum(pa, clear), right * 1.1, 12, 0.3)
    put("ra", np.maximum(np.minimum(ra, raa), clear), right * rng.uniform(0.8, 1.1), 30, 0.8)
    put("la", np.maximum(np.minimum(la, laa), clear), blood_hu * rng.uniform(0.9, 1.1), 10, 0.2)
    inner = heart.lv_mm - rng.uniform(8, 11) * k
    cavity = np.maximum(space.ellipsoid(h, (-2, 0, 0), inner), below - 2)
    rough = space.noise(5, rng.uniform(0.3, 1.2))
    put("lv", np.maximum(cavity + rough, -bed), blood_hu * rng.uniform(0.9, 1.05), 12, 0.3)
    put("aorta", aorta, blood_hu, 5, 0.05)
    down = space.tube(curve([(-110, 68, 16), (0, 64, 20), (70, 60, 18), (95, 44, 8)]), 12.0)
    put("descending wall", down - 1.5, 50, 8)
    put("descending aorta", down, blood_hu * rng.uniform(0.9, 1.0), 8)
