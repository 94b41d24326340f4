"""The second phantom: its counted truth against analytic bodies, its image against its truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plaque_edge.phantom.anatomy import STEP_MM, Tube
from plaque_edge.phantom.kernels import CALC, FIBROUS, LOW, LUMEN, VEIN, WALL
from plaque_edge.phantom.scene import draw_patient
from plaque_edge.phantom.second.disease import Disease, Wall, draw_disease
from plaque_edge.phantom.second.heart import draw_heart, draw_root, draw_vessels
from plaque_edge.phantom.second.raster import LATTICE_MM, Cloud, overlay, rasterise
from plaque_edge.phantom.second.scan import _scan, make_second_phantom
from plaque_edge.phantom.tissue import build_chest
from plaque_edge.types import VESSELS

FLAT = np.zeros((8, 8, 8), np.float32)


def straight(length_mm: float = 30.0, vein: bool = False) -> Tube:
    along = np.arange(0, length_mm, STEP_MM)
    way = np.array([0.6, 0.48, 0.64])
    return Tube(
        "LAD", None if vein else "LAD", None, along[:, None] * way, np.full(len(along), 2.0), vein
    )


def crescent(tube: Tube, membrane_mm: float, offset_mm: float) -> Wall:
    n = len(tube.points_mm)
    full = np.full(n, 1.0)
    return Wall(
        1.5 * full, membrane_mm * full, offset_mm * full, 0.4 * full, 0.5 * full, np.zeros(n, int)
    )


def cloud_of(tube: Tube, wall: Wall, kind: list[float]) -> Cloud:
    disease = Disease((wall,), np.array([kind]), FLAT, FLAT)
    return rasterise([tube], disease, [np.full(len(tube.points_mm), 400.0)], np.array([60.0]))


@pytest.mark.parametrize("offset", [0.0, 0.4, 0.95])
def test_volumes_of_a_crescent_are_those_of_its_circles(offset: float) -> None:
    tube = straight()
    wall = crescent(tube, 2.5, offset)
    volumes = cloud_of(tube, wall, [9, 9, 90, 0, 900]).volumes_mm3([0])
    length = len(tube.points_mm) * STEP_MM + 2 * 0.2 - STEP_MM
    assert volumes[LUMEN] == pytest.approx(np.pi * 1.5**2 * length, rel=0.01)
    assert volumes[FIBROUS] == pytest.approx(np.pi * (2.5**2 - 1.5**2) * length, rel=0.01)
    assert volumes[LOW] == volumes[CALC] == 0
    theta = np.linspace(-np.pi, np.pi, 4001)
    edge = offset * np.cos(theta) + np.sqrt(2.5**2 - (offset * np.sin(theta)) ** 2)
    ring = np.trapezoid(((edge + 0.5) ** 2 - edge**2) / 2, theta)
    assert volumes[WALL] == pytest.approx(ring * length, rel=0.01)
    assert wall.plaque_mm3() == pytest.approx(volumes[FIBROUS], rel=0.01)


def test_components_follow_the_fields() -> None:
    tube = straight()
    wall = crescent(tube, 2.5, 0.5)
    everything = cloud_of(tube, wall, [-1, 9, 90, 0, 900])
    assert everything.volumes_mm3([0])[FIBROUS] == 0
    assert set(everything.hu[everything.code == CALC]) == {900.0}
    lipid = cloud_of(tube, wall, [9, -1, 90, -5, 900])
    assert lipid.volumes_mm3([0])[LOW] > 0.3 * lipid.volumes_mm3([0])[FIBROUS]
    assert set(lipid.hu[lipid.code == LOW]) == {-5.0}


def test_an_artery_lies_over_a_vein_and_lumen_over_all() -> None:
    artery, vein = straight(), replace(straight(vein=True), name="GCV")
    walls = (
        crescent(artery, 2.5, 0.3),
        replace(crescent(vein, 3.2, 0), lumen_mm=vein.radius_mm * 1.6),
    )
    disease = Disease(walls, np.array([[9, 9, 90, 0, 900.0]]), FLAT, FLAT)
    hu = [np.full(len(artery.points_mm), 400.0), np.full(len(artery.points_mm), 120.0)]
    cloud = rasterise([artery, vein], disease, hu, np.array([60.0, 60.0]))
    alone = cloud_of(artery, walls[0], [9, 9, 90, 0, 900])
    assert np.allclose(cloud.volumes_mm3([0]), alone.volumes_mm3([0]))
    assert (cloud.code[cloud.owner == 1] == VEIN).all()
    assert set(cloud.hu[cloud.owner == 1]) == {120.0}
    assert len(np.unique(cloud.index, axis=0)) == len(cloud.index)


def test_the_image_holds_what_the_cubes_hold() -> None:
    tube = straight()
    cloud = cloud_of(tube, crescent(tube, 2.5, 0.5), [9, 9, 90, 0, 900])
    spacing = np.array([0.6, 0.4, 0.4])
    low = cloud.index.min(0) * LATTICE_MM - 2.1  # edges of voxels between cubes
    shape = tuple(int(n) for n in np.ceil((np.ptp(cloud.index, axis=0) * LATTICE_MM + 4) / spacing))
    image = np.zeros(shape, np.float32)
    overlay(image, cloud, low, spacing)
    voxel, cube = float(np.prod(spacing)), LATTICE_MM**3
    # 0.6 and 0.4 mm hold whole numbers of cubes, so nothing is lost to the grid
    assert image.sum() * voxel == pytest.approx(cloud.hu.sum() * cube, rel=1e-4)
    assert image.max() == pytest.approx(400)


@pytest.mark.parametrize("target", [0.0, 60.0, 900.0])
def test_disease_reaches_its_target(target: float) -> None:
    rng = np.random.default_rng(3)
    heart = draw_heart(rng)
    tubes = draw_vessels(heart, draw_root(heart, rng), rng)
    walls = draw_disease(tubes, target, rng).walls
    total = sum(w.plaque_mm3() for w in walls)
    assert total == pytest.approx(target, rel=0.5, abs=5)
    for wall in walls:
        assert (wall.lumen_mm <= wall.membrane_mm + 1e-9).all()
        assert (wall.offset_mm <= wall.membrane_mm - wall.lumen_mm + 1e-9).all()
        assert (wall.lumen_mm > 0.2).all()


def test_hearts_have_what_their_dominance_says() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        heart = draw_heart(rng)
        tubes = draw_vessels(heart, draw_root(heart, rng), rng)
        names = {t.name for t in tubes}
        assert ("L-PDA" in names) == (heart.dominance == "left")
        assert ("R-PLB" in names) == (heart.dominance == "right")
        assert 5 < len(tubes[0].points_mm) * STEP_MM < 25  # the left main
        assert all(t.parent is None or t.parent < i for i, t in enumerate(tubes))


def test_one_seed_gives_one_scan_and_a_whole_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    def coarse(rng: np.random.Generator) -> tuple:
        settings, (n, height, width), corner = _scan(rng)
        wide = tuple(2 * s for s in settings.spacing_zyx_mm)
        return replace(settings, spacing_zyx_mm=wide), (n // 2, height // 2, width // 2), corner

    monkeypatch.setattr("plaque_edge.phantom.second.scan._scan", coarse)
    one = make_second_phantom(5, 120.0)
    assert one.volume.hu.dtype == np.int16
    parts = one.truth["patient"]
    assert parts["plaque_mm3"] == pytest.approx(
        parts["calcified_mm3"] + parts["noncalcified_mm3"], abs=1e-6
    )
    assert parts["plaque_mm3"] == pytest.approx(120, rel=0.5)
    for key in parts:
        assert parts[key] == pytest.approx(sum(one.truth["vessels"][v][key] for v in VESSELS))
    lad = next(b for b in one.tree.branches if b.name == "LAD")
    at = np.round(one.volume.to_index(lad.points_mm[20:60])).astype(int)
    inside = one.volume.hu[tuple(at.T)]
    assert np.median(inside) == pytest.approx(one.truth["aorta_hu"], rel=0.25)
    again = make_second_phantom(5, 120.0)
    assert np.array_equal(one.volume.hu, again.volume.hu)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_no_chamber_of_the_first_phantom_flows_round_a_vessel(seed: int) -> None:
    from scipy.ndimage import map_coordinates

    rng = np.random.default_rng(seed)
    patient = draw_patient(rng, 400.0, False)
    low, high = np.array([-80.0, -90, -95]), np.array([65.0, 95, 85])
    chest = build_chest(patient.anatomy, patient.outer_mm, low, high, 400.0, rng)
    for tube in patient.anatomy.tubes:
        points = tube.points_mm[24:]  # past the ostium
        at = (points - chest.origin_mm).T / 2.0
        for name in ("ra", "la", "rv", "pa", "svc", "ivc", "descending aorta"):
            inside = map_coordinates(chest.field(name), at, order=1, mode="nearest") < 0
            assert inside.mean() < 0.02, (tube.name, name)
