"""Cutting what holds no lumen: exact cases on straight branches."""

import numpy as np
import pytest

from plaque_edge.segment.prune import LEAST_LUMEN_MM2, LEAST_SEEN_MM, prune
from plaque_edge.types import Branch


def straight(name: str, n: int, start: tuple[float, float, float], parent: int | None) -> Branch:
    """``n`` points 0.5 mm apart along y."""
    points = np.array(start) + np.arange(n)[:, None] * np.array([0, 0.5, 0])
    return Branch("LAD", name, parent, points, np.ones(n))


def lumen(n: int, *seen: tuple[int, int]) -> np.ndarray:
    """2 mm2 within the given stretches, nothing elsewhere."""
    area = np.zeros(n)
    for first, last in seen:
        area[first:last] = 2.0
    return area


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
    assert len(prune([straight("LAD", 80, (0, 0, 0), None)], [area])[0].points_mm) == 80
