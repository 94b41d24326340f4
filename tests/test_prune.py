"""Cutting what holds no lumen or a vein's: exact cases on straight branches."""

import numpy as np
import pytest

from plaque_edge.segment.prune import LEAST_LUMEN_MM2, LEAST_SEEN_MM, Lumen, prune
from plaque_edge.segment.straighten import PIXEL_MM, WIDTH
from plaque_edge.segment.wall import brightness
from plaque_edge.types import Branch


def straight(name: str, n: int, start: tuple[float, float, float], parent: int | None) -> Branch:
    """``n`` points 0.5 mm apart along y."""
    points = np.array(start) + np.arange(n)[:, None] * np.array([0, 0.5, 0])
    return Branch("LAD", name, parent, points, np.ones(n))


def lumen(n: int, *seen: tuple[int, int], area_mm2: float = 2.0) -> Lumen:
    """2 mm2 of the aorta's blood within the given stretches, nothing elsewhere."""
    area = np.zeros(n)
    for first, last in seen:
        area[first:last] = area_mm2
    return Lumen(area, np.ones(n), np.zeros(n))


def touching(seen: Lumen, at: int) -> Lumen:
    """The same, squeezed by another vessel about one place."""
    area, other = seen.area_mm2.copy(), seen.other_mm2.copy()
    area[max(at - 3, 0) : at + 4], other[max(at - 3, 0) : at + 4] = 0.5, 15.0
    return Lumen(area, seen.brightness, other)


def darker(seen: Lumen, first: int, last: int, brightness: float) -> Lumen:
    """The same with blood of another brightness in a stretch."""
    changed = seen.brightness.copy()
    changed[first:last] = brightness
    return Lumen(seen.area_mm2, changed, seen.other_mm2)


def test_a_path_that_goes_over_into_a_vein_ends_there():
    seen = darker(lumen(100, (0, 100), area_mm2=5.0), 60, 100, 0.5)
    (kept,) = prune([straight("LAD", 100, (0, 0, 0), None)], [seen])
    assert 60 <= len(kept.points_mm) <= 63


@pytest.mark.parametrize(
    ("area_mm2", "brightness", "first", "last"),
    [
        (5.0, 0.7, 60, 100),  # contrast thins out along a long artery
        (1.2, 0.45, 60, 100),  # a thin one is dimmed by what is round it
        (5.0, 0.5, 40, 60),  # a dark stretch with bright blood behind it is no vein
        (5.0, 0.5, 92, 100),  # too short to tell
    ],
)
def test_what_is_dark_for_another_reason_stays(area_mm2, brightness, first, last):
    seen = darker(lumen(100, (0, 100), area_mm2=area_mm2), first, last, brightness)
    (kept,) = prune([straight("LAD", 100, (0, 0, 0), None)], [seen])
    assert len(kept.points_mm) == 100


def test_a_side_branch_that_is_a_vein_is_left_out():
    branches = [straight("LAD", 80, (0, 0, 0), None), straight("D1", 60, (0, 10, 0), 0)]
    vein = darker(lumen(60, (0, 60), area_mm2=5.0), 6, 60, 0.5)
    kept = prune(branches, [lumen(80, (0, 80)), vein])
    assert [b.name for b in kept] == ["LAD"]


@pytest.mark.parametrize(
    ("after", "touch", "kept_points"),
    [
        (0.80, True, range(55, 66)),  # a vein nearly as bright as the artery it touches
        (0.88, True, range(100, 101)),  # the artery runs on beside a vein
        (0.80, False, range(100, 101)),  # blood mixes: nothing touches
    ],
)
def test_a_step_in_brightness_where_vessels_touch_ends_a_path(after, touch, kept_points):
    seen = darker(darker(lumen(100, (0, 100), area_mm2=5.0), 0, 60, 0.9), 60, 100, after)
    seen = touching(seen, 60) if touch else seen
    (kept,) = prune([straight("LAD", 100, (0, 0, 0), None)], [seen])
    assert len(kept.points_mm) in kept_points


@pytest.mark.parametrize(
    ("own", "touch", "stays"),
    [(0.80, True, False), (0.84, True, True), (0.80, False, True), (0.75, False, False)],
)
def test_a_side_branch_holds_the_blood_of_its_parent(own, touch, stays):
    branches = [straight("LAD", 80, (0, 0, 0), None), straight("D1", 60, (0, 20, 0), 0)]
    parent = darker(lumen(80, (0, 80), area_mm2=5.0), 0, 80, 0.9)
    branch = darker(lumen(60, (0, 60), area_mm2=5.0), 0, 60, own)
    kept = prune(branches, [parent, touching(branch, 3) if touch else branch])
    assert (len(kept) == 2) == stays


def test_what_leaves_a_vein_goes_with_it():
    branches = [
        straight("LAD", 80, (0, 0, 0), None),
        straight("D1", 60, (0, 20, 0), 0),
        straight("D1a", 60, (0, 30, 0), 1),
    ]
    vein = darker(lumen(60, (0, 60), area_mm2=5.0), 0, 60, 0.75)
    kept = prune(branches, [lumen(80, (0, 80), area_mm2=5.0), touching(vein, 3), vein])
    assert [b.name for b in kept] == ["LAD"]


def test_brightness_is_read_in_the_middle_of_a_blurred_lumen():
    axis = (np.arange(WIDTH) - (WIDTH - 1) / 2) * PIXEL_MM
    soft = np.clip(1.5 - np.hypot(axis[:, None], axis[None, :]), 0, 1)
    hu = np.float32(300) * soft + np.float32(-90) * (1 - soft)
    stack = np.repeat(hu[None], 40, 0).astype(np.float32)
    fractions = np.repeat(np.round(255 * soft)[None], 40, 0).astype(np.uint8)
    fractions[10:20] = 0  # a closed stretch says nothing and changes nothing beside it
    got = brightness(fractions, stack, 300.0)
    assert got[[0, 30, 39]] == pytest.approx(got[5], abs=1e-6)
    sure = soft**4
    assert got[30] == pytest.approx(float((sure * hu).sum() / sure.sum()) / 300, rel=1e-3)
    assert 0.85 < got[30] < 1
    assert (got[14:16] == 0).all() or got[14:16] == pytest.approx(got[5], rel=0.02)


def test_a_tail_without_lumen_is_cut():
    (kept,) = prune([straight("LAD", 100, (0, 0, 0), None)], [lumen(100, (0, 60))])
    assert 60 <= len(kept.points_mm) <= 65
    assert len(kept.radius_mm) == len(kept.points_mm)


def test_a_closed_stretch_in_the_middle_stays():
    (kept,) = prune([straight("LAD", 100, (0, 0, 0), None)], [lumen(100, (0, 30), (60, 100))])
    assert len(kept.points_mm) == 100


@pytest.mark.parametrize(
    ("seen_mm", "stays"), [(LEAST_SEEN_MM - 2, False), (LEAST_SEEN_MM + 2, True)]
)
def test_a_side_branch_needs_a_lumen(seen_mm, stays):
    branches = [straight("LAD", 80, (0, 0, 0), None), straight("D1", 40, (0, 10, 0), 0)]
    kept = prune(branches, [lumen(80, (0, 80)), lumen(40, (0, round(2 * seen_mm)))])
    assert ["D1" in [b.name for b in kept]] == [stays]


def test_a_branch_reaches_to_its_last_kept_side_branch():
    branches = [straight("LAD", 100, (0, 0, 0), None), straight("D1", 40, (0, 40, 0), 0)]
    kept = prune(branches, [lumen(100, (0, 50)), lumen(40, (0, 40))])
    assert len(kept[0].points_mm) == 81  # 40 mm, both ends counted


def test_parents_count_the_kept_branches():
    branches = [
        straight("LAD", 80, (0, 0, 0), None),
        straight("D1", 30, (0, 5, 0), 0),
        straight("D2", 60, (0, 20, 0), 0),
        straight("D2a", 30, (0, 30, 0), 2),
    ]
    areas = [lumen(80, (0, 80)), lumen(30), lumen(60, (0, 60)), lumen(30, (0, 30))]
    kept = prune(branches, areas)
    assert [(b.name, b.parent) for b in kept] == [("LAD", None), ("D2", 0), ("D2a", 1)]


def test_a_main_vessel_never_disappears():
    (kept,) = prune([straight("LAD", 80, (0, 0, 0), None)], [lumen(80)])
    assert len(kept.points_mm) == 20


def test_thin_but_real_lumens_stay():
    area = np.full(80, 1.05 * LEAST_LUMEN_MM2)
    thin = Lumen(area, np.ones(80), np.zeros(80))
    assert len(prune([straight("LAD", 80, (0, 0, 0), None)], [thin])[0].points_mm) == 80
