"""What goes beyond ordinary phantoms: each effect against an analytic or an independent truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plaque_edge.phantom import kernels
from plaque_edge.phantom.anatomy import APEX, LATERAL, STEP_MM, UP, make_anatomy
from plaque_edge.phantom.beam import back_project, hardening_hu, project
from plaque_edge.phantom.deposits import nodule, paint_deposit, rod
from plaque_edge.phantom.lesions_wide import KINDS, draw_wide_lesions
from plaque_edge.phantom.metal import stent_struts
from plaque_edge.phantom.presets import PRESETS, Wide
from plaque_edge.phantom.render import straight_fractions
from plaque_edge.phantom.scanner_physics import ScanSettings
from plaque_edge.phantom.scene import make_phantom, volume_offset
from plaque_edge.phantom.slabs import Slabs, draw_slabs
from plaque_edge.phantom.texture import Texture, band_response, keep_edges, noise_cube
from plaque_edge.phantom.tissue import Chest
from plaque_edge.phantom.variants import Variant, above_surface
from plaque_edge.phantom.wide import paint_slabs
from tests.scans.test_phantom import plaque, straight_scene

SPACING = np.array([0.5, 0.4, 0.4])


def excess_mm3(image: np.ndarray, spacing: np.ndarray) -> float:
    return float(image.sum() * np.prod(spacing))


@pytest.mark.parametrize("radius", [0.04, 0.5])
def test_a_rod_weighs_its_hu_times_its_volume_however_thin(radius: float) -> None:
    line = np.array([[4.0, 4, 4], [4, 12, 4], [10, 12, 9]])
    image = np.zeros((40, 50, 50), np.float32)
    paint_deposit(image, np.zeros(3), SPACING, rod(line, radius, 900.0))
    length = 8 + np.sqrt(36 + 25)
    expected = 900 * np.pi * radius**2 * length
    assert excess_mm3(image, SPACING) == pytest.approx(expected, rel=0.06)
    assert image.max() <= 900.0


def test_a_nodule_has_the_volume_of_its_ellipsoid_at_its_place() -> None:
    image = np.zeros((40, 50, 50), np.float32)
    paint_deposit(
        image,
        np.zeros(3),
        SPACING,
        nodule(np.array([9, 8, 8.0]), np.array([2, 3, 1.5]), np.eye(3), 500),
    )
    assert excess_mm3(image, SPACING) == pytest.approx(500 * 4 / 3 * np.pi * 9, rel=0.05)
    center = [
        (np.indices(image.shape)[a] * image).sum() / image.sum() * SPACING[a] for a in range(3)
    ]
    assert np.allclose(center, [9, 8, 8], atol=0.15)


def empty_chest(hu: float) -> Chest:
    return Chest(
        ("body",),
        np.full((1, 40, 40, 40), -8.0, np.float32),
        np.array([hu]),
        np.zeros(1),
        np.zeros((1, 3)),
        np.zeros((40, 40, 40), np.float32),
        np.array([-20.0, -40, -40]),
    )


def test_a_slab_step_moves_what_it_shows_by_the_stated_amount() -> None:
    shift = np.array([1.2, -0.8, 2.0])
    slabs = Slabs(np.array([0.0, 10.0]), np.stack([np.zeros(3), shift]), np.zeros(2), np.ones(2))
    settings = ScanSettings((0.4, 0.4, 0.4), 0.5, 0.5, 0.0, 1.0, 0.0, False)
    far = straight_scene(1.0, 10.0)
    far = far._replace(cell_origin=far.cell_origin + 500)
    for z, moved in ((5.0, np.zeros(3)), (18.0, shift)):
        at = np.array([z, 4.0, 5.0])
        ball = nodule(at, np.full(3, 2.0), np.eye(3), 600.0)
        image = paint_slabs(
            empty_chest(0.0), far, ball, (60, 50, 50), np.array([0.0, -6, -6]), settings, slabs
        )
        grid = np.indices(image.shape) * 0.4 + np.array([0.0, -6, -6])[:, None, None, None]
        centroid = (grid * image).sum((1, 2, 3)) / image.sum()
        assert np.allclose(centroid, at - moved, atol=0.1)
        assert np.allclose(slabs.shown(at[None])[0], at - moved)


def test_slabs_of_a_drawn_scan_keep_steps_within_what_is_asked() -> None:
    for seed in range(20):
        slabs = draw_slabs(-70, 60, (1.0, 3.0), np.random.default_rng(seed))
        assert (np.diff(slabs.first_mm) >= 20).all()
        assert np.allclose(slabs.shift_mm[len(slabs.gain) // 2], 0)
        assert np.linalg.norm(slabs.shift_mm, axis=1).max() > 0.5


def test_targets_under_a_step_are_those_of_the_moved_scene() -> None:
    scene = straight_scene(1.8, 40.0, (plaque(),))
    z = np.arange(12, 28, 0.5)
    centers = np.stack([z, np.zeros_like(z), np.zeros_like(z)], 1)
    u, v = np.tile([0.0, 1, 0], (len(z), 1)), np.tile([0.0, 0, 1], (len(z), 1))
    shift = np.array([0.7, 0.5, -0.3])
    out = np.zeros((2, 7, len(z), 48, 48), np.uint8)
    still = np.zeros((1, 3))
    straight_fractions(scene, 0, centers + shift, u, v, 0.25, 2, np.zeros(1), still, out[0])
    straight_fractions(scene, 0, centers, u, v, 0.25, 2, np.zeros(1), shift[None], out[1])
    assert out[0, kernels.FIBROUS].any()
    assert (out[0] != out[1]).mean() < 1e-4  # sub-pixels on an edge may round either way


# Mass attenuation, cm2/g (NIST XCOM): water, cortical bone; share of photons of a 120 kVp beam.
KEV = np.array([40, 50, 60, 80, 100, 120])
WATER = np.array([0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1614]) / 10
BONE = np.array([0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1655]) / 10
PHOTONS = np.array([0.08, 0.19, 0.27, 0.27, 0.14, 0.05])


def hardened_hu(n: int, pixel: float, centers: np.ndarray, radius: float) -> np.ndarray:
    """What many energies do to two inserts of bone (0.8 g/cm3 more) in 200 mm of water.

    Two scans with water correction, filtered and back-projected one view after the other: one of
    six energies less one in which bone attenuates in proportion to its length.
    """
    t = (np.arange(n) - (n - 1) / 2) * pixel
    y, x = np.meshgrid(t, t, indexing="ij")
    water_mm = 2 * np.sqrt(np.maximum(0, 100**2 - t**2))
    known = np.linspace(0, 400, 4000)
    through = -np.log((PHOTONS * np.exp(-known[:, None] * WATER)).sum(1))

    def corrected(bone_mm: np.ndarray) -> np.ndarray:
        depth = water_mm[:, None] * WATER + 0.8 * bone_mm[:, None] * BONE
        return np.interp(-np.log((PHOTONS * np.exp(-depth)).sum(1)), through, known)

    slope = corrected(np.full(n, 0.1)) - corrected(np.zeros(n))
    ramp = np.abs(np.fft.fftfreq(4 * n, pixel))
    image = np.zeros((n, n))
    for a in np.arange(120) * np.pi / 120:
        bone = np.zeros(n)
        for cy, cx in centers:
            off = t - (cx * np.cos(a) + cy * np.sin(a))
            bone += 2 * np.sqrt(np.maximum(0, radius**2 - off**2))
        error = corrected(bone) - corrected(np.zeros(n)) - slope * bone / 0.1
        filtered = np.fft.ifft(np.fft.fft(error, 4 * n) * ramp).real[:n]
        image += np.interp(x * np.cos(a) + y * np.sin(a), t, filtered)
    return 1000 * image * np.pi / 120


def test_beam_hardening_darkens_between_two_inserts_as_many_energies_do() -> None:
    n, pixel, radius = 180, 1.2, 9.0
    centers = np.array([[0.0, -22], [0, 22]])
    slow = hardened_hu(n, pixel, centers, radius)
    t = (np.arange(n) - (n - 1) / 2) * pixel
    y, x = np.meshgrid(t, t, indexing="ij")
    distance = np.min([np.hypot(y - cy, x - cx) for cy, cx in centers], axis=0)
    scene = np.where(distance < radius, 120 + 1030.0, 0.0).astype(np.float32)[None]
    fast = hardening_hu(scene, pixel, 0.1, 0.0)[0]
    outside = (np.hypot(y, x) < 70) & (distance > radius + 2)
    between = (abs(y) < 4) & (abs(x) < 6)
    assert slow[between].mean() < -5
    assert fast[between].mean() < -5
    assert np.corrcoef(slow[outside], fast[outside])[0, 1] > 0.95
    beta = 0.1 * np.polyfit(fast[outside], slow[outside], 1)[0]
    assert 0.03 < beta < 0.3  # what scans draw from holds the physical strength


def test_scatter_darkens_between_inserts_and_nothing_dense_means_nothing() -> None:
    image = np.zeros((1, 100, 100), np.float32)
    assert not hardening_hu(image, 1.2, 0.3, 0.05).any()
    image[0, 45:55, 25:35] = image[0, 45:55, 65:75] = 1200
    error = hardening_hu(image, 1.2, 0.0, 0.05)[0]
    assert error[48:52, 45:55].mean() < error[20:24, 45:55].mean() - 1


def test_projection_and_back_projection_give_a_disc_back() -> None:
    n = 96
    t = np.arange(n) - (n - 1) / 2
    disc = (np.hypot(*np.meshgrid(t, t)) < 20).astype(np.float32)[None]
    rays = project(disc, 1.0, 90)
    middle = rays[0, :, rays.shape[2] // 2]
    assert np.allclose(middle, 40, rtol=0.04)
    ramp = np.abs(np.fft.fftfreq(4 * rays.shape[2]))
    filtered = np.fft.ifft(np.fft.fft(rays, 4 * rays.shape[2], axis=2) * ramp).real
    back = back_project(filtered[..., : rays.shape[2]].astype(np.float32), (n, n))[0]
    assert back[44:52, 44:52].mean() == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("blotchy", [0.0, 0.5])
def test_noise_has_the_power_it_is_designed_with(blotchy: float) -> None:
    texture = Texture(blotchy=blotchy, blotch_mm=3.0)
    spacing, size = (0.5, 0.4, 0.4), 96
    cube = noise_cube(spacing, 0.9, 0.6, texture, np.random.default_rng(3), size)
    assert cube.std() == pytest.approx(1.0, abs=1e-3)
    power = np.abs(np.fft.fftn(cube)) ** 2 / size**6
    f = np.meshgrid(*[np.fft.fftfreq(size, d) for d in spacing], indexing="ij")
    plane = np.hypot(f[1], f[2])
    band = band_response(f[0], plane, 0.9, 0.6) ** 2
    low = np.exp(-2 * (np.pi * np.hypot(plane, f[0]) * 3.0 * 0.42) ** 2) ** 2
    design = (1 - blotchy) * band / band.sum() + blotchy * low / low.sum()
    for a, b in ((0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 1.0)):
        here = (plane > a) & (plane <= b)
        assert power[here].sum() == pytest.approx(design[here].sum(), rel=0.12, abs=1e-4)


def test_edge_keeping_filter_is_its_slow_twin_and_keeps_edges() -> None:
    rng = np.random.default_rng(4)
    image = rng.normal(0, 20, (6, 24, 24)).astype(np.float32)
    image[:, :, 12:] += 400
    out = np.empty_like(image)
    keep_edges(image, 30.0, out)
    z, y, x = 3, 10, 12
    block = image[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2].astype(float).ravel()
    w = 0.7 / (1 + ((block - image[z, y, x]) / 30.0) ** 4)
    w[13] = 1.0
    assert out[z, y, x] == pytest.approx((w * block).sum() / w.sum(), rel=1e-4)
    assert out[:, :, 2:10].std() < 0.6 * image[:, :, 2:10].std()
    step = out[:, :, 12].mean() - out[:, :, 11].mean()
    assert step == pytest.approx(image[:, :, 12].mean() - image[:, :, 11].mean(), abs=6)


def test_struts_lie_on_the_lumen_wall_and_leave_the_lumen_free() -> None:
    z = np.arange(0, 20, STEP_MM)
    points = np.stack([z, np.zeros_like(z), np.zeros_like(z)], 1)
    struts = stent_struts(points, np.full(len(z), 1.5), 0.1, 30000.0)
    r = np.hypot(struts.points_mm[:, 1], struts.points_mm[:, 2])
    assert 1.35 < r.min()
    assert r.max() < 1.52
    metal = struts.volume_mm3.sum() / (np.pi * (1.5**2 - 1.4**2) * 20)
    assert 0.1 < metal < 0.25  # share of the wall that is metal; makers state 12-20 %


def hearts(variant: Variant, n: int = 6) -> list:
    return [make_anatomy(np.random.default_rng(s), variant) for s in range(n)]


def test_a_bridge_lies_as_deep_in_the_muscle_as_stated() -> None:
    for heart in hearts(Variant(bridge=(0.5, 20.0, 3.0))):
        lad = next(t for t in heart.tubes if t.name == "LAD")
        assert lad.buried_mm is not None
        s = np.arange(len(lad.points_mm)) * STEP_MM
        canonical = heart.frame.to_canonical(lad.points_mm)
        height, _ = above_surface(canonical, (APEX, UP, LATERAL), heart.frame)
        inside = (s > lad.buried_mm[0] + 3) & (s < lad.buried_mm[1] - 3)
        assert np.median(height[inside]) == pytest.approx(-3.0, abs=0.8)
        assert lad.buried_mm[1] - lad.buried_mm[0] == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize(
    ("variant", "name"),
    [(Variant(left="lcx_right"), "LCX"), (Variant(right="left_cusp"), "RCA")],
)
def test_odd_origins_run_round_the_root_and_not_through_it(variant: Variant, name: str) -> None:
    for heart in hearts(variant):
        tube = next(t for t in heart.tubes if t.name == name)
        assert tube.parent is None
        course = tube.points_mm[40:200]
        d = np.linalg.norm(course[:, None] - heart.root_mm[None], axis=2)
        assert (d - heart.root_radius_mm).min() > 0.5
        usual = make_anatomy(np.random.default_rng(0))
        assert any(t.name == name for t in usual.tubes)


def test_a_missing_right_artery_is_missing_and_separate_ostia_have_no_main_stem() -> None:
    for heart in hearts(Variant(right="missing")):
        names = {t.name for t in heart.tubes}
        assert "RCA" not in names
        assert {"LAD", "LCX", "L-PDA"} <= names
    for heart in hearts(Variant(left="separate")):
        assert "LM" not in {t.name for t in heart.tubes}


def test_plaques_of_the_wide_kinds_keep_their_ranges_and_reach_their_burden() -> None:
    totals = []
    for seed in range(8):
        anatomy = make_anatomy(np.random.default_rng(seed))
        lesions = draw_wide_lesions(anatomy, 800.0, np.random.default_rng([seed, 7]))
        totals.append(
            sum(x.volume_mm3(float(np.median(anatomy.tubes[x.tube].radius_mm))) for x in lesions)
        )
        assert all(not anatomy.tubes[x.tube].vein for x in lesions)
        assert all(0 < x.peak_mm <= 4.5 and 0 <= x.narrowing <= 0.88 for x in lesions)
    assert 500 < np.median(totals) < 1300
    assert KINDS["long thin"].peak_mm == (0.3, 0.7)


@pytest.fixture(scope="module")
def everything():
    """A cheap coarse scan with all artefacts at once."""
    wide = Wide(
        iterative=1, hardening=1, streaks=1, steps=1, step_mm=(1, 3), variants=0.3, calcium=1,
        stent=1, lead=1, graft=1, disease=True,
    )  # fmt: skip
    preset = replace(
        PRESETS["wide"], matrix=230, pixel_mm=(0.75, 0.8), slice_mm=(1.2, 1.3), wide=wide
    )
    return make_phantom(21, preset, 400.0)


def test_centerlines_lie_in_bright_lumen_on_both_sides_of_every_step(everything) -> None:
    assert len(everything.slabs.gain) > 2
    for name in ("LAD", "RCA"):
        branch = next(b for b in everything.tree.branches if b.name == name)
        wide = branch.radius_mm > 1.2
        index = np.round(everything.volume.to_index(branch.points_mm[wide])).astype(int)
        values = everything.volume.hu[tuple(index.T)]
        assert np.median(values) > 0.5 * everything.truth["aorta_hu"], name


def test_truth_is_the_scene_s_whatever_the_image_suffers(everything) -> None:
    tubes = everything.patient.anatomy.tubes
    vessel = np.array([-1 if t.vessel is None else 0 for t in tubes])
    table = kernels.tally_volumes(everything.patient.scene, 0.4, vessel)[0]  # coarser lattice
    plaque_mm3 = table[[kernels.FIBROUS, kernels.LOW, kernels.CALC]].sum()
    assert everything.truth["patient"]["plaque_mm3"] == pytest.approx(plaque_mm3, rel=0.03)
    told = everything.truth["artefacts"]
    assert told["stent"]
    assert told["grafts"]
    assert told["beam_hardening"]
    assert len(told["slab_shift_mm"]) == len(everything.slabs.gain)
    assert np.isfinite(volume_offset(everything)).all()
