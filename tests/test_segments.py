"""Segments of the 18-segment model, composition by HU, high-risk features, what can't be graded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from quantify_bodies import layered, slow_profile, straighten, to_segment

from plaque_edge.quantify import kernels, rollup
from plaque_edge.quantify.features import find_features
from plaque_edge.quantify.grading import Profile, grade
from plaque_edge.quantify.hu_rules import FIXED, low_attenuation_doubt, rules_for
from plaque_edge.quantify.kernels import COLUMNS, PER_RULE
from plaque_edge.quantify.measures import map_vessels, measure, measure_mapped
from plaque_edge.quantify.options import Calibration
from plaque_edge.quantify.pack import Packed, pack, tight_grid
from plaque_edge.quantify.scct import TRUNK, label_steps
from plaque_edge.types import Branch, CoronaryTree, SegmentMeasures, StraightBranch


def line(name, vessel, start, end, parent=None, radius=1.5, bulge=0.0):
    """A branch without an image, 0.5 mm steps, bowed sideways by ``bulge`` mm."""
    start, end = np.array(start, float), np.array(end, float)
    n = round(float(np.linalg.norm(end - start)) / 0.5) + 1
    t = np.linspace(0, 1, n)[:, None]
    points = start + t * (end - start)
    points[:, 2] += (bulge * np.sin(np.pi * t))[:, 0]
    side = np.tile([[0.0, 0.0, 1.0]], (n, 1))
    branch = Branch(vessel, name, parent, points, np.full(n, radius))
    return StraightBranch(
        branch, points, side, side, 0.5, 0.25,
        np.zeros((7, n, 4, 4), np.uint8), np.zeros((n, 4, 4), np.float32),
    )  # fmt: skip


def labels(*items):
    """Segment numbers by branch name, and the borders."""
    from plaque_edge.quantify.pack import find_parents

    parents = find_parents(items, [i.branch.radius_mm for i in items])
    depth = np.array([0 if i.branch.parent is None else 1 for i in items])
    tree = type("T", (), {"depth": depth})()
    none = np.zeros(0)
    packed = Packed(tuple(items), tree, none, none, none, tuple(parents))  # type: ignore[arg-type]
    found = label_steps(packed)
    return {i.branch.name: s for i, s in zip(items, found.steps, strict=True)}, found.borders


def spans(numbers):
    """First step of each segment along a branch, in order."""
    return [(int(n), int(np.argmax(numbers == n))) for n in dict.fromkeys(numbers.tolist())]


def test_lad_is_cut_at_the_first_wide_diagonal_and_half_way_on():
    lad = line("LAD", "LAD", (0, 0, 0), (100, 0, 0))
    thin = line("D1", "LAD", (10, 0, 0), (10, 30, 0), 0, radius=0.6)
    wide = line("D2", "LAD", (30, 0, 0), (30, 30, 0), 0)
    far = line("D3", "LAD", (80, 0, 0), (80, 30, 0), 0)
    got, borders = labels(lad, thin, wide, far)
    assert spans(got["LAD"]) == [(6, 0), (7, 60), (8, 130)]
    assert set(got["D1"]) == {9}
    assert set(got["D2"]) == {10}
    assert set(got["D3"]) == {8}, "a third diagonal counts to the segment it leaves"
    assert "1.5 mm" in borders[6]
    alone, borders = labels(lad)
    assert spans(alone["LAD"]) == [(6, 0), (7, 50), (8, 125)]
    assert "no diagonal" in borders[6]


def test_lcx_is_cut_at_the_first_marginal_and_beyond_a_left_pda_is_posterolateral():
    lcx = line("LCX", "LCX", (0, 0, 0), (0, 90, 0))
    om = line("OM1", "LCX", (0, 20, 0), (25, 20, 0), 0)
    second = line("OM2", "LCX", (0, 40, 0), (25, 40, 0), 0)
    pda = line("L-PDA", "LCX", (0, 80, 0), (30, 80, 0), 0)
    got, _ = labels(lcx, om, second, pda)
    assert spans(got["LCX"]) == [(11, 0), (13, 40), (18, 161)]
    assert [set(got[n]) for n in ("OM1", "OM2", "L-PDA")] == [{12}, {14}, {15}]
    assert spans(labels(lcx)[0]["LCX"]) == [(11, 0), (13, 90)]


def test_rca_is_cut_at_the_point_farthest_from_its_chord():
    rca = line("RCA", "RCA", (0, 0, 0), (0, 100, 0), bulge=30.0)
    pda = line("R-PDA", "RCA", rca.centers_mm[180], rca.centers_mm[180] + [30, 0, 0], 0)
    plb = line("R-PLB", "RCA", rca.centers_mm[190], rca.centers_mm[190] + [30, 5, 0], 0)
    am = line("AM1", "RCA", rca.centers_mm[60], rca.centers_mm[60] + [30, 0, 0], 0)
    got, borders = labels(rca, pda, plb, am)
    order = spans(got["RCA"])
    assert [n for n, _ in order] == [1, 2, 3, 16]
    assert order[1][1] == pytest.approx(order[2][1] / 2, abs=1)
    assert 70 < order[2][1] < 110
    assert order[3][1] == 181
    assert [set(got[n]) for n in ("R-PDA", "R-PLB")] == [{4}, {16}]
    assert set(got["AM1"]) == {2}
    assert "farthest" in borders[2]


# ---- sums ------------------------------------------------------------------------------------


def body_of(a, b, plaque, outer=2.2, lumen=1.5):
    """A fork with plaque near it; HU by tissue."""

    def body(p):
        da, db = to_segment(p, *a), to_segment(p, *b)
        near = (np.linalg.norm(p - np.array(plaque), axis=-1) < 5).astype(float)
        return layered(np.minimum(da - lumen, db - 1.1), np.minimum(da - outer, db - 1.6), near)

    return body


HU = np.array([-80.0, 60.0, 400.0, 60.0, 80.0, 0.0, 800.0])


def with_hu(straight):
    hu = np.tensordot(HU, straight.fractions.astype(float) / 255, axes=1)
    return replace(straight, hu=hu.astype(np.float32))


@pytest.fixture(scope="module")
def fork():
    a, b = ([0, 0, 0], [30, 0, 0]), ([14, 0, 0], [26, 11, 0])
    body = body_of(a, b, (15.0, 1.0, 0.0))
    parent = with_hu(straighten(body, a, name="LAD"))
    child = with_hu(straighten(body, b, name="D1", parent=0))
    return parent, child


ADDED = (
    "plaque_mm3", "calcified_mm3", "noncalcified_mm3", "low_attenuation_mm3", "fibro_fatty_mm3",
    "fibrous_mm3", "lumen_mm3", "vessel_mm3", "length_mm",
)  # fmt: skip


def test_segments_add_up_to_their_vessel_and_vessels_to_the_patient_exactly(fork):
    mapped = map_vessels(fork, rules=rules_for((400.0, 20.0), 100.0))
    got = measure_mapped(mapped, CoronaryTree(tuple(s.branch for s in fork)))
    assert {s.number for s in got.segments} == {6, 7, 8, 9}
    lad = got.vessels["LAD"]
    for name in ADDED:
        assert getattr(lad, name) == sum(getattr(s, name) for s in got.segments)
        assert getattr(got.patient, name) == getattr(lad, name)
    for part in (lad, got.patient, *got.segments):
        assert part.plaque_mm3 == part.calcified_mm3 + part.noncalcified_mm3
        soft = part.low_attenuation_mm3 + part.fibro_fatty_mm3 + part.fibrous_mm3
        assert part.noncalcified_mm3 == soft
        assert [c.rule for c in part.compositions] == ["network", "fixed", "adapted"]
        for c in part.compositions:
            assert c.calcified_mm3 + c.noncalcified_mm3 == pytest.approx(part.plaque_mm3, abs=1e-4)
    whole = sum(p.volume_mm3[:, :5].sum() for p in mapped.profiles)
    assert lad.vessel_mm3 == pytest.approx(whole, abs=1e-4)
    assert got.patient.missing_segments == tuple(n for n in TRUNK if n not in (6, 7, 8))
    assert got.patient.coverage_percent == pytest.approx(100 * 3 / 9)
    assert got.patient.cad_rads is not None
    assert got.patient.cad_rads.category == "N"
    for profile in got.profiles:
        assert all(len(v) == len(profile.points_mm) for v in profile.values.values())
    kept = sum(float(p.values["plaque_mm3"].sum()) for p in got.profiles)
    assert kept == pytest.approx(got.patient.plaque_mm3, abs=1e-4)


def test_split_by_hu_is_that_of_its_twin(fork):
    rules = rules_for((400.0, 20.0), 80.0)
    packed = pack(fork[:1], Calibration(), rules)
    fast = kernels.accumulate(packed.tree, tight_grid(packed, 0.5))
    assert fast.shape[1] == COLUMNS + PER_RULE * len(rules)
    plaque = fast[:, 2:5].sum(axis=1)
    for k in range(len(rules)):
        part = fast[:, COLUMNS + PER_RULE * k : COLUMNS + PER_RULE * (k + 1)]
        assert part.sum(axis=1) == pytest.approx(plaque, abs=1e-9)
    # HU as a channel of its own: the twin reads the share of voxels below each limit from it.
    limit = rules[0].fibrous_from
    flat = replace(fork[0], hu=np.where(fork[0].hu < limit, 0.0, 1e4).astype(np.float32))
    low = kernels.accumulate(pack([flat], Calibration(), rules[:1]).tree, tight_grid(packed, 0.5))
    slow = slow_profile(packed, tight_grid(packed, 0.5))
    assert low[:, 2:5].sum() == pytest.approx(slow[:, 2:5].sum(), abs=1e-6)
    assert low[:, COLUMNS].sum() < plaque.sum()


@pytest.mark.parametrize("hu", [-5.0, 29.9, 30.0, 130.9, 131.0, 349.0, 350.0, 900.0])
def test_every_voxel_goes_to_the_part_its_hu_says(fork, hu):
    flat = replace(fork[0], hu=np.full_like(fork[0].hu, hu))
    packed = pack([flat], Calibration())
    got = kernels.accumulate(packed.tree, tight_grid(packed, 0.5))[:, COLUMNS:].sum(axis=0)
    part = int(np.searchsorted([30.0, 131.0, 350.0], hu, side="right"))
    assert np.flatnonzero(got > 1e-9).tolist() == [part]


# ---- HU rules --------------------------------------------------------------------------------


def test_adapted_rule_follows_blood_and_voltage():
    assert rules_for(None) == (FIXED,)
    fixed, adapted = rules_for((300.0, 20.0), 120.0)
    assert fixed == FIXED
    assert adapted.calcified_from == 360.0
    assert rules_for((600.0, 30.0), 120.0)[1].calcified_from == 690.0
    assert rules_for((300.0, 10.0), 100.0)[1].calcified_from == pytest.approx(395.5)
    assert "100 kVp" in rules_for((300.0, 10.0), 100.0)[1].text


@pytest.mark.parametrize(
    ("aorta", "kvp", "kernel", "doubted"),
    [
        ((400.0, 20.0), 120.0, "Bv40", False),
        ((400.0, 20.0), 80.0, "Bv40", True),
        ((400.0, 20.0), None, "Bv40", True),
        ((400.0, 20.0), 100.0, "Bv56", True),
        ((400.0, 36.0), 100.0, "Bv40", True),
        ((560.0, 20.0), 100.0, "Bv40", True),
        (None, 100.0, "Bv40", True),
    ],
)
def test_low_attenuation_is_doubted_by_technique(aorta, kvp, kernel, doubted):
    reason = low_attenuation_doubt(aorta, kvp, kernel)
    assert (reason is not None) == doubted
    assert reason is None or (reason.code == "LOW_ATTENUATION_DOUBTFUL" and reason.next_step)


# ---- high-risk features ----------------------------------------------------------------------


def painted(paint):
    """A tube 1.5 mm wide in plaque 3 mm wide, 10 mm long; ``paint(hu, f, a, b)`` changes it."""
    n, h = 41, 48
    axis = (np.arange(h) - (h - 1) / 2) * 0.25
    a, b = np.meshgrid(axis, axis, indexing="ij")
    r = np.hypot(a, b)
    f = np.zeros((7, n, h, h), np.uint8)
    where = np.where(r < 1.5, 2, np.where(r < 3.0, 4, 0))
    for c in (0, 2, 4):
        f[c] = 255 * (where == c)
    hu = np.broadcast_to(HU[where], (n, h, h)).astype(np.float32).copy()
    paint(hu, f, a, b)
    points = np.zeros((n, 3))
    points[:, 0] = 0.5 * np.arange(n)
    side = np.tile([[0.0, 1.0, 0.0]], (n, 1)), np.tile([[0.0, 0.0, 1.0]], (n, 1))
    branch = Branch("LAD", "LAD", None, points, np.full(n, 1.5))
    item = StraightBranch(branch, points, *side, 0.5, 0.25, f, hu)
    volume = np.zeros((n, COLUMNS + PER_RULE))
    volume[10:31, 2] = 5.0
    area = np.column_stack([np.full(n, np.pi * 1.5**2), np.full(n, np.pi * 4.0)])
    area[10:31, 1] = np.pi * 9.0
    return Profile(item, volume, area, 0)


def put(f, hu, mask, steps, component, value):
    for i in steps:
        for c in range(7):
            f[c, i][mask] = 255 if c == component else 0
        hu[i][mask] = value


def features(paint, **more):
    profile = painted(paint)
    inside = np.zeros(41, bool)
    inside[10:31] = True
    found = find_features(profile, 10, 31, grade(profile, inside), **more)
    return {f.name: f for f in found}


def test_low_attenuation_needs_its_area_and_says_where():
    def core(hu, f, a, b):
        put(f, hu, np.hypot(a - 2.2, b) < 0.75, range(18, 22), 5, 0.0)

    got = features(core)["low_attenuation"]
    assert got.present
    assert 18 <= got.cross_section < 22
    assert got.point_mm[0] == got.cross_section * 0.5
    assert not features(lambda *_: None)["low_attenuation"].present
    unsure = features(core, low_attenuation=False)
    assert unsure["low_attenuation"].present is None
    assert unsure["napkin_ring"].present is None
    assert unsure["positive_remodeling"].present


@pytest.mark.parametrize(("steps", "present"), [(3, True), (8, False)])
def test_spotty_calcification_is_short(steps, present):
    def spot(hu, f, a, b):
        put(f, hu, np.hypot(a - 2.2, b) < 0.5, range(18, 18 + steps), 6, 900.0)

    assert features(spot)["spotty_calcification"].present is present


def test_calcium_without_soft_plaque_is_not_spotty():
    def bare(hu, f, a, b):
        f[0][:, np.hypot(a, b) >= 1.5] = 255
        f[4] = 0
        put(f, hu, np.hypot(a - 2.2, b) < 0.5, range(18, 21), 6, 900.0)

    assert not features(bare)["spotty_calcification"].present


def test_napkin_ring_needs_a_brighter_rim():
    def ring(rim):
        def paint(hu, f, a, b):
            put(f, hu, np.hypot(a - 2.1, b) < 0.55, range(18, 22), 5, 0.0)
            hu[18:22][:, (np.hypot(a, b) >= 1.5) & (np.hypot(a - 2.1, b) >= 0.55)] = rim

        return paint

    assert features(ring(70.0))["napkin_ring"].present
    assert not features(ring(10.0))["napkin_ring"].present
    assert not features(ring(250.0))["napkin_ring"].present


# ---- what can't be graded ---------------------------------------------------------------------


def dipped(lumen_dip, outer_dip, plaque=2.0):
    """A profile whose lumen and outer wall shrink by these shares over 5 mm in its middle."""
    profile = painted(lambda *_: None)
    area = np.column_stack([np.full(41, np.pi * 1.5**2), np.full(41, np.pi * 4.0)])
    area[16:26, 0] *= (1 - lumen_dip) ** 2
    area[16:26, 1] *= (1 - outer_dip) ** 2
    volume = np.zeros_like(profile.volume_mm3)
    volume[16:26, 2] = plaque
    return Profile(profile.item, volume, area, 0)


def test_a_narrow_lumen_in_a_whole_wall_is_a_stenosis():
    graded = grade(dipped(0.6, 0.0), np.zeros(41, bool))
    assert np.nanmax(graded.stenosis_percent()) == pytest.approx(60, abs=3)
    assert not graded.lost.any()


def test_without_plaque_there_is_no_stenosis():
    assert np.isnan(
        grade(dipped(0.6, 0.0, plaque=0.0), np.zeros(41, bool)).stenosis_percent()
    ).all()


def test_where_the_wall_vanishes_too_the_line_was_lost_and_that_is_told():
    profile = dipped(0.8, 0.7)
    graded = grade(profile, np.zeros(41, bool))
    assert np.isnan(graded.stenosis_percent()[18:24]).all()
    assert graded.lost[18:24].all()
    none = np.zeros(41, bool)
    course = rollup.Course(profile, none, graded, np.full(41, 7))
    (note,) = rollup.not_measured(CoronaryTree((profile.item.branch,)), [course])
    assert note.code == "LUMEN_NOT_SEEN"


def test_a_branch_without_length_is_told_and_makes_its_vessel_partial(fork):
    point = np.zeros((1, 3))
    flat = Branch("LAD", "D2", 0, point, np.ones(1))
    got = measure(fork, CoronaryTree((*(s.branch for s in fork), flat)))
    assert "BRANCH_ZERO_LENGTH" in [n.code for n in got.notes]
    assert got.vessels["LAD"].status == "partial"
    assert got.patient.lower_bound


def test_what_a_result_keeps_can_be_compared_with_itself(fork):
    """From measures to JSON and back: every list whole, volumes finite, all of it registered."""
    import json

    import jsonschema
    from test_result_json import SCHEMA, measured

    from plaque_edge.compare.change import NOT_JUDGED, compare
    from plaque_edge.compare.study import read_study
    from plaque_edge.export.result_json import to_dict

    tree = CoronaryTree(tuple(s.branch for s in fork))
    got = measure_mapped(map_vessels(fork, rules=rules_for((400.0, 20.0), 100.0)), tree)
    case = replace(measured(), measures=got, tree=tree)
    info = replace(case.info, patient_id="P1", birth_date="19600101", study_date="20240101")
    data = json.loads(json.dumps(to_dict(replace(case, info=info)), allow_nan=False))
    jsonschema.validate(data, SCHEMA)
    later = json.loads(json.dumps(data))
    later["series"]["series_instance_uid"] += ".2"
    later["scan"]["study_date"] = "20260101"
    change = compare(read_study(data, "BEFORE"), read_study(later, "AFTER"), None)
    assert change["registration"]["median_distance_mm"] == pytest.approx(0.0, abs=1e-6)
    plaque = change["patient"]["plaque_mm3"]
    assert plaque["before_mm3"] == pytest.approx(got.patient.plaque_mm3, rel=0.02)
    assert plaque["change_mm3"] == pytest.approx(0.0, abs=1e-9)
    assert plaque["claim"] == NOT_JUDGED


def test_a_slight_narrowing_without_plaque_scores_nothing():
    def segment(plaque, stenosis):
        return SegmentMeasures(
            "analysed", plaque_mm3=plaque, max_diameter_stenosis_percent=stenosis, number=6,
            vessel="LAD",
        )  # fmt: skip

    got = rollup.grades_of([segment(0.2, 12.0), segment(0.2, 30.0), segment(5.0, 12.0)])
    assert [g.stenosis for g in got] == [0.0, 30.0, 12.0]
    assert [g.plaque for g in got] == [False, False, True]
