"""The phantom: its truth against analytic bodies, its image against its truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from whole_scan import BURDEN_MM3, SEED

from plaque_edge.phantom import kernels
from plaque_edge.phantom.anatomy import STEP_MM, Anatomy, HeartFrame, Tube, make_anatomy
from plaque_edge.phantom.lesions import N_BLOBS, Lesion
from plaque_edge.phantom.scene import (
    PRESETS,
    TEST_SEEDS,
    TRAIN_SEEDS,
    VALIDATION_SEEDS,
    _flatten,
    _narrowed,
    assemble,
    draw_first,
    draw_patient,
    make_phantom,
)
from plaque_edge.phantom.visible import plaque_area_mm2, visible_shares
from plaque_edge.types import VESSELS


def straight_scene(
    radius_mm: float, length_mm: float, lesions: tuple[Lesion, ...] = ()
) -> kernels.Scene:
    """One straight round artery along z with the given plaques."""
    z = np.arange(0, length_mm, STEP_MM)
    points = np.stack([z, np.zeros_like(z), np.zeros_like(z)], 1)
    tube = Tube("LAD", "LAD", None, points, np.full(len(z), radius_mm))
    frame = HeartFrame(90, 40, 46, np.eye(3), np.zeros(3))
    anatomy = Anatomy(frame, (tube,), "right", points, np.ones(len(z)))
    lumen = (_narrowed(anatomy, lesions, 0),)
    scene = _flatten(anatomy, lesions, lumen, 400.0, False, np.random.default_rng(0))
    return scene._replace(oval=np.zeros_like(scene.oval))


def plaque(concentric: float = 0.2, along_power: float = 0.5, around_power: float = 2.0) -> Lesion:
    blobs = np.zeros((N_BLOBS, 8))
    return Lesion(0, 20.0, 8.0, 1.4, 0.7, concentric, 0.4, 90.0, blobs, along_power, around_power)


def test_lumen_and_wall_of_a_straight_tube_match_the_cylinder() -> None:
    scene = straight_scene(2.0, 40.0)
    volumes = kernels.tally_volumes(scene, 0.05, np.array([1]))[1]
    wall = scene.wall[0]
    length = scene.arc[-1] + 2 * 0.2  # open ends reach 0.2 mm beyond the last samples
    assert volumes[kernels.LUMEN] == pytest.approx(np.pi * 2.0**2 * length, rel=0.01)
    assert volumes[kernels.WALL] == pytest.approx(
        np.pi * ((2.0 + wall) ** 2 - 4.0) * length, rel=0.01
    )
    assert volumes[kernels.FIBROUS] == 0


def test_plaque_below_1_mm2_of_a_cross_section_is_told_apart() -> None:
    """Area of a ring of plaque against pi (R^2 - r^2), and the share of its thin ends."""
    patient = draw_patient(np.random.default_rng(3), 400.0, False, 0.0)
    thick = replace(plaque(concentric=1.0), peak_mm=0.5)
    thin = replace(thick, center_mm=45.0, peak_mm=0.075)
    z = np.arange(0, 60.0, STEP_MM)
    points = np.stack([z, np.zeros_like(z), np.zeros_like(z)], 1)
    tube = Tube("LAD", "LAD", None, points, np.full(len(z), 2.0))
    anatomy = replace(patient.anatomy, tubes=(tube,))
    drawn = assemble(anatomy, (thick, thin), 400.0, 0.0, np.random.default_rng(0))
    drawn = replace(drawn, scene=drawn.scene._replace(oval=np.zeros_like(drawn.scene.oval)))
    s = z[::2]
    lumen = drawn.lumen_mm[0][::2]
    peak = sum(x.peak_mm * x.along(s) ** x.along_power for x in drawn.lesions)
    ring = np.pi * ((lumen + peak) ** 2 - lumen**2)
    got = plaque_area_mm2(drawn, 0)
    off = np.abs(got - ring)[2:-2]  # sub-pixels of 0.125 mm along a rim of 16 mm
    assert off.max() < 0.45
    assert off.mean() < 0.1
    expected = ring[ring > 1].sum() / ring.sum()
    assert visible_shares(drawn)["LAD"] == pytest.approx(expected, abs=0.03)
    assert 0.8 < expected < 0.95
    assert visible_shares(drawn)["RCA"] == 1.0


@pytest.mark.parametrize("concentric", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("powers", [(0.5, 2.0), (0.15, 0.7), (1.2, 2.6)])
def test_plaque_volume_matches_the_integral_over_arc_and_angle(
    concentric: float, powers: tuple[float, float]
) -> None:
    lesion = plaque(concentric, *powers)
    scene = straight_scene(1.8, 40.0, (lesion,))
    s = np.linspace(12, 28, 1601)
    theta = np.linspace(-np.pi, np.pi, 721)
    along = np.cos(0.5 * np.pi * np.clip((s - 20) / 8, -1, 1))
    c = 0.5 + 0.5 * np.cos(theta - 0.7)
    around = concentric + (1 - concentric) * c ** powers[1]
    thickness = 1.4 * along[:, None] ** powers[0] * around[None]
    thickness[thickness <= 0.04] = 0
    inner = 1.8 * (1 - 0.4 * along)[:, None]
    area = np.trapezoid(((inner + thickness) ** 2 - inner**2) / 2, theta, axis=1)
    expected = np.trapezoid(area, s)
    got = kernels.tally_volumes(scene, 0.1, np.array([1]))[1]
    assert got[kernels.FIBROUS] == pytest.approx(expected, rel=0.01)


def test_calcium_wins_over_lipid_and_both_lie_inside_the_plaque() -> None:
    blobs = np.zeros((N_BLOBS, 8))
    blobs[0] = [0, 0.7, 0.5, 3, 0.8, 0.4, 2, -10.0]
    blobs[1] = [0, 0.7, 0.5, 1, 0.3, 0.2, 1, 900.0]
    lesion = Lesion(0, 20.0, 8.0, 1.4, 0.7, 0.2, 0.4, 90.0, blobs)
    volumes = kernels.tally_volumes(straight_scene(1.8, 40.0, (lesion,)), 0.1, np.array([1]))[1]
    plain = kernels.tally_volumes(straight_scene(1.8, 40.0, (plaque(),)), 0.1, np.array([1]))[1]
    assert 0 < volumes[kernels.CALC] < volumes[kernels.LOW]
    assert volumes[[kernels.FIBROUS, kernels.LOW, kernels.CALC]].sum() == pytest.approx(
        plain[kernels.FIBROUS], rel=1e-9
    )


def slow_tissue(scene: kernels.Scene, p: np.ndarray) -> int:
    """The obvious twin of ``tissue_at`` for plaque-free tubes: look at every sample."""
    inside: list[tuple[float, int]] = []
    for tube in np.unique(scene.tube):
        rows = np.flatnonzero(scene.tube == tube)
        i = rows[np.argmin(((scene.center[rows] - p) ** 2).sum(1))]
        d = p - scene.center[i]
        along = d @ scene.tangent[i]
        r = np.linalg.norm(d - along * scene.tangent[i])
        if abs(along) > 0.2:
            continue
        if scene.vein[tube]:
            code = kernels.VEIN if r < scene.lumen[i] + scene.wall[i] else kernels.OUTSIDE
        else:
            code = (
                kernels.LUMEN
                if r < scene.lumen[i]
                else kernels.WALL
                if r < scene.lumen[i] + scene.wall[i]
                else kernels.OUTSIDE
            )
        if code != kernels.OUTSIDE:
            inside.append((r - scene.lumen[i] - scene.wall[i], code))
    codes = [c for _, c in inside]
    if kernels.LUMEN in codes:
        return kernels.LUMEN
    arteries = [c for c in codes if c != kernels.VEIN]
    return arteries[0] if arteries else (kernels.VEIN if codes else kernels.OUTSIDE)


def test_tissue_at_agrees_with_its_slow_twin_on_a_whole_tree() -> None:
    rng = np.random.default_rng(5)
    scene = draw_patient(rng, 400.0, False, burden_mm3=0.0).scene
    scene = scene._replace(oval=np.zeros_like(scene.oval))
    picks = rng.integers(len(scene.center), size=1500)
    points = scene.center[picks] + rng.normal(0, 1.5, (1500, 3))
    fast = [kernels.tissue_at(scene, p, -1, 0.0)[0] for p in points]
    slow = [slow_tissue(scene, p) for p in points]
    assert len(set(slow)) == 4
    assert np.mean(np.equal(fast, slow)) > 0.998


def test_volumes_are_those_of_every_lattice_point_asked_alone() -> None:
    """Counting leaves out what can't matter in a cube of points; each point alone does not."""
    scene = draw_patient(np.random.default_rng(5), 400.0, True, burden_mm3=900.0).scene
    owner_of, n = np.zeros(scene.tube.max() + 1, np.int64), 7
    step, near = kernels.CELL_MM / n, np.empty(len(scene.tube), np.int32)
    seen = np.zeros(7)
    held = np.flatnonzero(np.diff(scene.cell_first))
    for cell in np.random.default_rng(1).choice(held, 60, replace=False):
        at = np.array(np.unravel_index(cell, scene.cell_shape))
        counted, expected = np.zeros((4, 7)), np.zeros(7)
        kernels._tally_cell(scene, at, n, near, owner_of, counted)
        for point in np.ndindex(n, n, n):
            p = scene.cell_origin + at * kernels.CELL_MM + (np.array(point) + 0.5) * step
            code, _, owner, _ = kernels.tissue_at(scene, p, -1, 0.0)
            expected[code] += owner >= 0 and code > kernels.VEIN
        assert np.array_equal(counted[0], expected)
        seen += expected
    assert (seen[[kernels.LUMEN, kernels.WALL, kernels.FIBROUS]] > 50).all()


def test_hearts_have_the_vessels_their_dominance_says() -> None:
    seen = set()
    for seed in range(40):
        a = make_anatomy(np.random.default_rng(seed))
        names = {t.name for t in a.tubes}
        assert {"LAD", "LCX", "RCA", "GCV", "CS", "MCV"} <= names
        assert ("L-PDA" in names) == (a.dominance == "left")
        assert ("R-PDA" in names) == (a.dominance != "left")
        for t in a.tubes:
            assert 0.5 < t.radius_mm.min()
            assert t.radius_mm.max() < 3.3
            steps = np.linalg.norm(np.diff(t.points_mm, axis=0), axis=1)
            assert np.allclose(steps, STEP_MM, atol=0.02)
            if t.parent is not None:
                gap = np.linalg.norm(a.tubes[t.parent].points_mm - t.points_mm[0], axis=1).min()
                assert gap < 0.3
        seen.add(a.dominance)
    assert seen == {"right", "left", "co"}


def test_seed_ranges_do_not_meet() -> None:
    ranges = [TRAIN_SEEDS, VALIDATION_SEEDS, TEST_SEEDS]
    assert all(a.stop <= b.start for a, b in pairwise(ranges))


def test_same_seed_same_scan_and_other_seed_another(phantom) -> None:
    again = make_phantom(SEED, "small", BURDEN_MM3)
    assert np.array_equal(again.volume.hu, phantom.volume.hu)
    assert again.truth == phantom.truth
    other = draw_first(SEED + 1, PRESETS["small"])
    assert other.settings != phantom.settings
    assert not np.array_equal(other.patient.scene.center, phantom.patient.scene.center)


def test_vessels_add_up_to_the_patient_and_are_plausible(phantom) -> None:
    for part in ("plaque_mm3", "lumen_mm3", "vessel_mm3"):
        assert sum(phantom.truth["vessels"][v][part] for v in VESSELS) == pytest.approx(
            phantom.truth["patient"][part]
        )
    assert 100 < phantom.truth["patient"]["plaque_mm3"] < 700
    assert 1000 < phantom.truth["patient"]["lumen_mm3"] < 6000


def test_true_centerlines_lie_in_bright_lumen_of_the_image(phantom) -> None:
    for branch in phantom.tree.branches:
        wide = branch.radius_mm > 1.2
        index = np.round(phantom.volume.to_index(branch.points_mm[wide])).astype(int)
        inside = ((index >= 0) & (index < phantom.volume.hu.shape)).all(1)
        values = phantom.volume.hu[tuple(index[inside].T)]
        if inside.sum() > 20:
            assert np.median(values) > 0.6 * phantom.truth["aorta_hu"], branch.name


def test_image_holds_lung_fat_muscle_and_bone(phantom) -> None:
    hu = phantom.volume.hu
    for low, high in ((-950, -700), (-130, -50), (20, 160), (250, 650)):
        assert ((hu > low) & (hu < high)).mean() > 0.01
