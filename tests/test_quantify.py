"""Volumes against analytic bodies and against slow numpy twins; what counts and what does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from quantify_bodies import (
    PIXEL,
    STEP,
    WINDOW,
    layered,
    slow_area,
    slow_profile,
    slow_rays,
    straighten,
    to_segment,
)
from scipy.spatial.transform import Rotation

from plaque_edge.quantify import kernels, sections
from plaque_edge.quantify.grading import Profile
from plaque_edge.quantify.lesions import gate
from plaque_edge.quantify.measures import (
    label_grid,
    map_vessels,
    measure,
    warm_up,
)
from plaque_edge.quantify.options import Calibration, GateOptions, of_model
from plaque_edge.quantify.pack import make_grid, pack, tight_grid
from plaque_edge.quantify.reference import healthy_diameter
from plaque_edge.quantify.scores import plaque_stage
from plaque_edge.runs import runs
from plaque_edge.types import VESSELS, CoronaryTree, Reason

LUMEN, OUTER = 1.5, 2.0


def tree_of(*straight, **more):
    return CoronaryTree(tuple(s.branch for s in straight), **more)


def tube(length=30.0, lumen=LUMEN, outer=OUTER, plaque=None, turn=None, component=4, **names):
    """A straight tube from the origin along z; ``plaque(s)`` is its share of the wall."""
    turn = np.eye(3) if turn is None else turn

    def body(p):
        q = p @ turn
        s, d = q[..., 0], np.hypot(q[..., 1], q[..., 2])
        share = None if plaque is None else plaque(s)
        inner = lumen(s) if callable(lumen) else lumen
        return layered(d - inner, d - outer, share, component)

    ends = np.array([[0.0, 0, 0], [length, 0, 0]]) @ turn.T
    return straighten(body, ends, **names)


def between(low, high):
    """Share of each cross-section between two heights: half of it on the border itself."""
    return lambda s: np.clip((s - low) / STEP + 0.5, 0, 1) * np.clip((high - s) / STEP + 0.5, 0, 1)


@pytest.fixture(scope="module")
def fork():
    """A parent and a side branch at 50 degrees, both with plaque at the fork."""
    t = np.radians(50)
    a, b = ([0, 0, 0], [30, 0, 0]), ([14, 0, 0], [14 + 16 * np.cos(t), 16 * np.sin(t), 0])

    def body(p):
        da, db = to_segment(p, *a), to_segment(p, *b)
        near = (np.linalg.norm(p - np.array([15.0, 1.0, 0.0]), axis=-1) < 6).astype(float)
        lumen, outer = np.minimum(da - 1.6, db - 1.1), np.minimum(da - 2.2, db - 1.6)
        return layered(lumen, outer, near)

    return straighten(body, a, name="LAD"), straighten(body, b, name="D1", parent=0)


# ---- analytic bodies -------------------------------------------------------------------


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 20, 10), (77, -40, 15)])
def test_straight_tube_within_one_per_cent_at_any_angle(angles):
    turn = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
    s = tube(plaque=between(10, 20), turn=turn)
    v = measure([s], tree_of(s)).vessels["LAD"]
    assert v.lumen_mm3 == pytest.approx(np.pi * LUMEN**2 * 30, rel=0.01)
    assert v.vessel_mm3 == pytest.approx(np.pi * OUTER**2 * 30, rel=0.01)
    assert v.plaque_mm3 == pytest.approx(np.pi * (OUTER**2 - LUMEN**2) * 10, rel=0.01)
    assert v.pav_percent == pytest.approx(100 * v.plaque_mm3 / v.vessel_mm3)
    assert v.length_mm == pytest.approx(30.0)


@pytest.mark.parametrize("bend_mm", [4.0, 6.0, 12.0])
def test_bent_tube_within_one_per_cent(bend_mm):
    """Half a torus (Pappus): the inner side of the bend must not count twice."""
    angle = np.linspace(0, np.pi, 600)
    points = bend_mm * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)

    def body(p):
        d = np.hypot(np.hypot(p[..., 0], p[..., 1]) - bend_mm, p[..., 2])
        return layered(d - LUMEN, d - OUTER)

    s = straighten(body, points)
    v = measure([s], tree_of(s)).vessels["LAD"]
    assert v.lumen_mm3 == pytest.approx(np.pi**2 * LUMEN**2 * bend_mm, rel=0.01)
    assert v.vessel_mm3 == pytest.approx(np.pi**2 * OUTER**2 * bend_mm, rel=0.01)


def test_sphere_like_bulge_within_one_per_cent():
    """A ball of plaque around a straight lumen: the napkin-ring volume 4/3 pi h³."""
    ball, lumen = 3.0, 1.2

    def body(p):
        d = np.hypot(p[..., 1], p[..., 2])
        return layered(d - lumen, np.linalg.norm(p - [15.0, 0, 0], axis=-1) - ball, 1.0)

    s = straighten(body, [[0, 0, 0], [30, 0, 0]])
    v = measure([s], tree_of(s)).vessels["LAD"]
    assert v.plaque_mm3 == pytest.approx(4 / 3 * np.pi * (ball**2 - lumen**2) ** 1.5, rel=0.01)


@pytest.mark.parametrize("degrees", [30, 60, 90])
def test_fork_counts_its_union_once(degrees):
    t = np.radians(degrees)
    along = np.array([np.cos(t), np.sin(t), 0])
    a, b = ([0, 0, 0], [40, 0, 0]), ([20, 0, 0], np.array([20.0, 0, 0]) + 20 * along)

    def body(p):
        da, db = to_segment(p, *a), to_segment(p, *b)
        return layered(np.minimum(da - 1.6, db - 1.1), np.minimum(da - 2.1, db - 1.5))

    parent = straighten(body, a, name="LAD")
    child = straighten(body, b, name="D1", parent=0)
    v = measure([parent, child], tree_of(parent, child)).vessels["LAD"]
    axes = np.arange(0.05, 40, 0.1), np.arange(-2.45, 23, 0.1), np.arange(-2.45, 2.5, 0.1)
    p = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    db = np.where((p - b[1]) @ along > 0, 9.0, to_segment(p, *b))
    da = to_segment(p, *a)
    assert v.lumen_mm3 == pytest.approx((np.minimum(da - 1.6, db - 1.1) < 0).sum() / 1e3, rel=0.01)
    assert v.vessel_mm3 == pytest.approx((np.minimum(da - 2.1, db - 1.5) < 0).sum() / 1e3, rel=0.01)


def test_childs_wall_inside_the_parents_lumen_is_lumen():
    """Each branch sees only itself: without the lumen rule a wall would cross the parent."""
    a, b = ([0, 0, 0], [30, 0, 0]), ([15, 0, 0], [15, 15, 0])

    def view(first, second, radii, other):
        def body(p):
            d = to_segment(p, *first)
            f = layered(d - radii[0], d - radii[1])
            outside = to_segment(p, *second) < other
            return np.where(outside & (f[0] > 0.5), np.eye(7)[1].reshape(7, *[1] * (p.ndim - 1)), f)

        return body

    parent = straighten(view(a, b, (1.6, 2.1), 1.5), a, name="LAD")
    child = straighten(view(b, a, (1.1, 1.5), 2.1), b, name="D1", parent=0)
    v = measure([parent, child], tree_of(parent, child)).vessels["LAD"]
    axes = np.arange(0.05, 30, 0.1), np.arange(-2.45, 15, 0.1), np.arange(-2.45, 2.5, 0.1)
    p = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    da, db = to_segment(p, *a), to_segment(p, *b)
    lumen = (np.minimum(da - 1.6, db - 1.1) < 0).sum() / 1e3
    vessel = (np.minimum(da - 2.1, db - 1.5) < 0).sum() / 1e3
    assert v.lumen_mm3 == pytest.approx(lumen, rel=0.01)
    assert v.vessel_mm3 == pytest.approx(vessel, rel=0.01)


# ---- twins -----------------------------------------------------------------------------


def test_profile_is_that_of_the_numpy_twin(fork):
    packed = pack(fork, Calibration())
    grid = tight_grid(packed, 0.5)
    fast = kernels.accumulate(packed.tree, grid)
    slow = slow_profile(packed, grid)
    assert fast[:, :5] == pytest.approx(slow[:, :5], abs=1e-6)
    assert fast[:, 5].sum() == pytest.approx(slow[:, 5].sum(), abs=1e-6)


def test_rays_and_areas_are_those_of_their_twins(fork):
    rng = np.random.default_rng(2)
    noisy = fork[1].fractions[:, :12].astype(float) + rng.normal(0, 30, (7, 12, WINDOW, WINDOW))
    fractions = np.clip(noisy, 0, 255).astype(np.uint8)
    inside = sections.inside_wall(fractions)
    assert inside == pytest.approx(fractions[2:].sum(axis=0) / 255.0, abs=1e-5)
    rays = sections.ray_lengths(inside, PIXEL)
    assert rays == pytest.approx(slow_rays(inside, PIXEL), abs=1e-5)
    assert sections.area(inside, PIXEL, rays) == pytest.approx(slow_area(inside, PIXEL, rays))


def test_tiles_hold_every_step_that_can_see_them(fork):
    packed = pack(fork, Calibration())
    grid = tight_grid(packed, 0.25)
    edge = kernels.TILE * grid.spacing
    low = grid.origin - grid.spacing / 2
    for t in range(0, len(grid.tile), 7):
        near = low + grid.tile[t] / kernels.TILE * edge
        gap = np.maximum(near - packed.tree.centers, packed.tree.centers - near - edge)
        distance = np.linalg.norm(np.maximum(gap, 0), axis=1)
        want = np.flatnonzero(distance <= packed.search_mm)
        assert grid.step[grid.start[t] : grid.start[t + 1]].tolist() == want.tolist()


# ---- what counts -----------------------------------------------------------------------


def everything():
    return (
        tube(plaque=between(5, 15), vessel="LM", name="LM"),
        move(tube(plaque=between(8, 20), vessel="LAD", name="LAD"), (0, 30, 0)),
        move(tube(vessel="LCX", name="LCX"), (0, 60, 0)),
        move(tube(plaque=between(3, 9), component=6, vessel="RCA", name="RCA"), (0, 90, 0)),
    )


def move(straight, by):
    by = np.asarray(by, float)
    branch = replace(straight.branch, points_mm=straight.branch.points_mm + by)
    return replace(straight, centers_mm=straight.centers_mm + by, branch=branch)


SUMMED = (
    "plaque_mm3",
    "calcified_mm3",
    "noncalcified_mm3",
    "low_attenuation_mm3",
    "vessel_mm3",
    "lumen_mm3",
)


def test_vessels_add_up_to_the_patient_exactly(fork):
    straight = (*(move(s, (60, 0, 0)) for s in fork), *everything()[2:])
    got = measure(straight, tree_of(*straight))
    measured = [v for v in got.vessels.values() if v.status != "not_analysable"]
    for name in SUMMED:
        assert getattr(got.patient, name) == sum(getattr(v, name) for v in measured)
    for v in (*measured, got.patient):
        assert v.plaque_mm3 == v.calcified_mm3 + v.noncalcified_mm3
    for vessel in VESSELS:
        own = sum(x.plaque_mm3 for x in got.lesions if x.vessel == vessel)
        assert own == pytest.approx(got.vessels[vessel].plaque_mm3 or 0.0)


def test_order_of_branches_does_not_matter(fork):
    straight = (*fork, *(move(s, (60, 0, 0)) for s in everything()))
    first = measure(straight, tree_of(*straight))
    for order in ((5, 3, 1, 0, 2, 4), (1, 0, 5, 4, 3, 2)):
        assert measure([straight[i] for i in order], tree_of(*straight)) == first


def test_number_of_threads_does_not_matter(fork):
    numba = pytest.importorskip("numba")
    before, many = numba.get_num_threads(), measure(fork, tree_of(*fork))
    numba.set_num_threads(1)
    try:
        assert measure(fork, tree_of(*fork)) == many
    finally:
        numba.set_num_threads(before)


def test_no_plaque_is_zero_only_where_it_was_looked_for():
    s = tube()
    got = measure([s], tree_of(s, missing={"RCA": Reason("TREE_RCA_MISSING", "not found")}))
    assert got.vessels["LAD"].status == "analysed"
    assert got.vessels["LAD"].plaque_mm3 == 0.0
    assert got.vessels["LAD"].max_diameter_stenosis_percent == 0.0
    for name in ("LM", "LCX", "RCA"):
        v = got.vessels[name]
        assert v.status == "not_analysable"
        assert all(getattr(v, x) is None for x in (*SUMMED, "pav_percent", "length_mm"))
        assert v.max_diameter_stenosis_percent is None
    assert got.patient.lower_bound
    assert got.patient.plaque_mm3 == 0.0


def test_nothing_traced_is_nothing_measured():
    got = measure([], CoronaryTree(()))
    assert all(v.status == "not_analysable" for v in got.vessels.values())
    assert all(getattr(got.patient, x) is None for x in (*SUMMED, "plaque_stage"))
    assert got.patient.lower_bound
    assert got.lesions == ()


def test_a_branch_without_fractions_makes_its_vessel_partial(fork):
    got = measure(fork[:1], tree_of(*fork))
    assert got.vessels["LAD"].status == "partial"
    assert got.patient.lower_bound
    straight = everything()
    assert not measure(straight, tree_of(*straight)).patient.lower_bound


def test_components_go_where_they_belong():
    for component, name in (
        (4, "noncalcified_mm3"),
        (5, "low_attenuation_mm3"),
        (6, "calcified_mm3"),
    ):
        s = tube(plaque=between(10, 20), component=component)
        v = measure([s], tree_of(s)).vessels["LAD"]
        assert getattr(v, name) == pytest.approx(v.plaque_mm3)
    s = tube(plaque=between(10, 20), component=5)
    v = measure([s], tree_of(s)).vessels["LAD"]
    assert v.noncalcified_mm3 == v.low_attenuation_mm3 > 0
    assert v.calcified_mm3 == 0.0


def test_other_vessel_counts_as_nothing():
    s = tube()
    beside = np.zeros_like(s.fractions[0], bool)
    beside[:, :, 36:] = True
    dirty = s.fractions.copy()
    dirty[:, beside] = 0
    dirty[1, beside] = 255
    clean = measure([s], tree_of(s))
    assert measure([replace(s, fractions=dirty)], tree_of(s)) == clean
    all_other = np.zeros_like(s.fractions)
    all_other[1] = 255
    v = measure([replace(s, fractions=all_other)], tree_of(s)).vessels["LAD"]
    assert (v.lumen_mm3, v.vessel_mm3, v.plaque_mm3) == (0.0, 0.0, 0.0)
    assert v.pav_percent is None


def test_plaque_apart_from_the_vessel_does_not_count():
    s = tube()
    dirty = s.fractions.copy()
    dirty[:, :, :, 40:44] = 0
    dirty[4, :, :, 40:44] = 255
    v = measure([replace(s, fractions=dirty)], tree_of(s)).vessels["LAD"]
    assert v.plaque_mm3 == 0.0


def test_thin_plaque_is_gated_and_the_gate_can_be_moved():
    s = tube(lumen=1.75, plaque=between(10, 20))
    ring_mm2 = np.pi * (2.0**2 - 1.75**2)
    high = GateOptions(area_mm2=1.5 * ring_mm2)
    assert measure([s], tree_of(s), high).vessels["LAD"].plaque_mm3 == 0.0
    low = GateOptions(area_mm2=0.5 * ring_mm2)
    got = measure([s], tree_of(s), low).vessels["LAD"].plaque_mm3
    assert got == pytest.approx(ring_mm2 * 10, rel=0.02)
    assert measure([s], tree_of(s), high).vessels["LAD"].vessel_mm3 == pytest.approx(
        np.pi * 4 * 30, rel=0.01
    )


def test_gate_drops_short_runs_and_widens_long_ones():
    s = tube()
    volume = np.zeros((61, 6))
    volume[10:13, 5] = 2.0 * STEP
    volume[30:36, 5] = 2.0 * STEP
    profile = Profile(s, volume, np.ones((61, 2)), 0)
    assert runs(gate(profile, GateOptions())) == [(28, 38)]
    assert runs(gate(profile, GateOptions(min_length_mm=1.0, dilate_mm=0.0))) == [
        (10, 13),
        (30, 36),
    ]
    assert runs(gate(profile, GateOptions(area_mm2=2.5))) == []


def test_calibration_is_neutral_unless_told():
    s = tube(plaque=lambda s: 0.7 * between(10, 20)(s))
    plain = measure([s], tree_of(s))
    assert measure([s], tree_of(s), calibration=Calibration()) == plain
    told = Calibration.from_mapping({"temperature": 1.0, "prior": {"noncalcified": 0.5}})
    assert measure([s], tree_of(s), calibration=told).patient.plaque_mm3 < plain.patient.plaque_mm3
    assert Calibration(temperature=0.5).table()[0, 51] == pytest.approx(0.04)
    with pytest.raises(ValueError, match="unknown classes"):
        Calibration.from_mapping({"prior": {"liver": 1.0}})
    with pytest.raises(ValueError, match="temperature"):
        Calibration(temperature=0.0)


# ---- stenosis, remodelling, stages --------------------------------------------------------


@pytest.mark.parametrize("truth", [25.0, 50.0, 75.0])
def test_stenosis_of_a_tapering_tube(truth):
    def healthy(s):
        return 1.9 - 0.012 * s

    def lumen(s):
        dip = np.cos(0.5 * np.pi * np.clip((s - 25) / 5, -1, 1)) ** 2
        return healthy(s) * (1 - truth / 100 * dip)

    def body(p):
        s, d = p[..., 0], np.hypot(p[..., 1], p[..., 2])
        return layered(d - lumen(s), d - healthy(s) - 0.5, between(20, 30)(s))

    s = straighten(body, [[0, 0, 0], [60, 0, 0]])
    got = measure([s], tree_of(s))
    assert got.vessels["LAD"].max_diameter_stenosis_percent == pytest.approx(truth, abs=3)
    (lesion,) = got.lesions
    assert lesion.start_mm < 25 < lesion.end_mm
    assert lesion.worst_point_mm[0] == pytest.approx(25, abs=1)
    assert lesion.remodeling_index == pytest.approx(1.0, abs=0.03)


def test_positive_remodelling():
    def body(p):
        s, d = p[..., 0], np.hypot(p[..., 1], p[..., 2])
        out = 2.0 + 0.6 * np.cos(0.5 * np.pi * np.clip((s - 25) / 6, -1, 1)) ** 2
        return layered(d - 1.5, d - out, between(19, 31)(s))

    s = straighten(body, [[0, 0, 0], [60, 0, 0]])
    got = measure([s], tree_of(s))
    assert got.vessels["LAD"].remodeling_index == pytest.approx(1.3, abs=0.03)
    assert got.vessels["LAD"].max_diameter_stenosis_percent == pytest.approx(0, abs=2)


def test_side_branch_is_no_stenosis(fork):
    got = measure(fork, tree_of(*fork))
    assert got.lesions
    assert got.vessels["LAD"].max_diameter_stenosis_percent < 15


def test_small_vessels_are_not_graded():
    s = tube(lumen=0.6, outer=1.6, plaque=between(10, 20))
    got = measure([s], tree_of(s))
    assert got.lesions[0].diameter_stenosis_percent is None
    assert got.vessels["LAD"].max_diameter_stenosis_percent is None


def test_reference_never_grows_away_from_the_ostium_and_bridges_a_lesion():
    rng = np.random.default_rng(4)
    s = np.arange(160) * 0.5
    truth = 4.0 - 0.02 * s - 0.5 * (s > 40)
    diameter = truth + rng.normal(0, 0.08, 160)
    ill = (s > 20) & (s < 32)
    diameter[ill] *= 0.5
    diameter[[5, 100]] += 2.0
    got = healthy_diameter(diameter, ~ill, np.ones(160, bool), 0.5)
    assert np.all(np.diff(got) <= 1e-12)
    assert np.abs(got - truth)[ill].max() < 0.25
    assert np.abs(got - truth).mean() < 0.15


def test_reference_with_little_healthy_vessel_is_a_high_percentile():
    d = np.linspace(1, 3, 20)
    usable = np.ones(20, bool)
    assert healthy_diameter(d, np.zeros(20, bool), usable, 0.5)[0] == np.percentile(d, 90)
    assert healthy_diameter(d, usable, np.zeros(20, bool), 0.5) is None


@pytest.mark.parametrize(
    ("volume", "stage"),
    [(0.0, 0), (1e-9, 1), (250.0, 1), (250.1, 2), (750.0, 2), (750.1, 3), (4000.0, 3)],
)
def test_stages(volume, stage):
    assert plaque_stage(volume) == stage


# ---- overlay ---------------------------------------------------------------------------


def test_labels_lie_where_the_tube_lies():
    s = tube(plaque=between(10, 20), component=6)
    shape, spacing, origin = (70, 30, 40), (0.6, 0.4, 0.4), (-5.0, -6.0, -7.0)
    labels = label_grid([s], shape, spacing, origin)
    axes = [origin[d] + spacing[d] * np.arange(shape[d]) for d in range(3)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    d = np.hypot(y, x)
    along = (z > 0.5) & (z < 29.5) & ((np.abs(z - 10) > 0.6) & (np.abs(z - 20) > 0.6))
    clear = along & (np.abs(d - LUMEN) > 0.2) & (np.abs(d - OUTER) > 0.2)
    ring = np.where((z > 10) & (z < 20), 5, 2)
    want = np.where(d < LUMEN, 1, np.where(d < OUTER, ring, 0))
    assert labels.dtype == np.uint8
    assert np.array_equal(labels[clear], want[clear])
    assert not labels[(z < -0.5) | (z > 30.5)].any()


def test_labels_show_uncounted_plaque_as_wall_and_cut_at_the_grid():
    s = tube(lumen=1.7, plaque=between(10, 11))
    labels = label_grid([s], (20, 11, 13), (0.5, 0.5, 0.5), (5.0, -2.5, -3.0))
    assert set(np.unique(labels)) == {0, 1, 2}
    far = label_grid([s], (8, 8, 8), (0.5, 0.5, 0.5), (500.0, 0.0, 0.0))
    assert not far.any()
    assert not label_grid([], (4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)).any()


def test_labels_and_volumes_agree(fork):
    mapped = map_vessels(fork)
    grid = tight_grid(mapped.packed, 0.25)
    labels = kernels.paint(mapped.packed.tree, grid, np.concatenate(mapped.gated))
    v = measure(fork, tree_of(*fork)).vessels["LAD"]
    assert (labels == 1).sum() / 64 == pytest.approx(v.lumen_mm3, rel=0.02)
    assert (labels > 0).sum() / 64 == pytest.approx(v.vessel_mm3, rel=0.02)
    assert (labels > 2).sum() / 64 == pytest.approx(v.plaque_mm3, rel=0.05)


def test_grid_of_another_spacing_gives_the_same_volume(fork):
    packed = pack(fork, Calibration())
    fine = kernels.accumulate(packed.tree, tight_grid(packed, 0.25)).sum(axis=0)
    low = packed.tree.centers.min(axis=0) - 8.3
    grid = make_grid(packed, low, np.array([0.3, 0.22, 0.31]), (170, 160, 60))
    other = kernels.accumulate(packed.tree, grid).sum(axis=0)
    assert other[:5] == pytest.approx(fine[:5], rel=0.01)
    # Hard plaque counts voxels where plaque is the largest share: it only opens the gate.
    assert other[5] == pytest.approx(fine[5], rel=0.05)


def test_warm_up_runs():
    warm_up()


def test_a_models_calibration_is_used_as_it_stands():
    gate_options, calibration = of_model({"plaque_prior": 2.0, "gate_area_mm2": 1.5})
    assert gate_options == GateOptions(area_mm2=1.5)
    assert calibration.prior == (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
    calcium = of_model({"plaque_prior": 2.0, "calcium_prior": 1.5})[1]
    assert calcium.prior == (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0)
    assert of_model({}) == (GateOptions(), Calibration())
