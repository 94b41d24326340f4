"""The Rotterdam measures on lines whose overlap can be counted by hand."""

import numpy as np
import pytest

from plaque_edge.evaluate.rotterdam import Line, compare, judge, lines
from plaque_edge.types import Branch, CoronaryTree


def line(n: int = 100, y_mm: float = 0.0, start: int = 0) -> np.ndarray:
    """Points 0.5 mm apart along x."""
    return np.stack([np.zeros(n), np.full(n, y_mm), 0.5 * np.arange(start, start + n)], axis=1)


def truth(radius_mm: float = 1.5) -> Line:
    return Line("LAD", line(), np.full(100, radius_mm))


def test_the_same_line_is_perfect():
    found = compare(truth(), line())
    assert (found.overlap, found.until_first_error, found.relevant) == (1, 1, 1)
    assert found.inside_mm == 0


def test_a_line_beside_it_within_the_radius():
    found = compare(truth(), line(y_mm=0.4))
    assert found.overlap == 1
    assert found.inside_mm == pytest.approx(0.4)


def test_half_of_the_vessel():
    # 53 true points lie within 1.5 mm of the measured 50; all 50 are right.
    found = compare(truth(), line(50))
    assert found.overlap == pytest.approx((53 + 50) / 150)
    assert found.until_first_error == pytest.approx(0.53)


def test_a_tail_that_runs_on():
    found = compare(truth(), line(150))
    assert found.overlap == pytest.approx((100 + 103) / 250)
    assert found.until_first_error == 1


def test_an_error_where_the_vessel_is_thin_does_not_count_as_first_error():
    thin = Line("LAD", line(), np.where(np.arange(100) < 80, 1.5, 0.6))
    found = compare(thin, line(80))
    assert found.relevant == 1
    assert found.until_first_error == pytest.approx(0.81)
    assert found.overlap == pytest.approx((81 + 80) / 180)


def test_nothing_found():
    found = compare(truth(), line(y_mm=30))
    assert (found.overlap, found.until_first_error, found.inside_mm) == (0, 0, None)


def tree(with_parents: bool) -> CoronaryTree:
    lm, lad = line(20), line(80, start=20)
    d1 = lad[10] + 0.5 * np.arange(1, 41)[:, None] * np.array([0, 1.0, 0])
    lcx = lm[-1] + 0.5 * np.arange(1, 61)[:, None] * np.array([1.0, 0, 0])
    rca = line(70, y_mm=60)
    named = [("LM", "LM", None, lm), ("LAD", "LAD", 0, lad), ("LAD", "D1", 1, d1)]
    named += [("LCX", "LCX", 0, lcx), ("RCA", "RCA", None, rca)]
    return CoronaryTree(
        tuple(
            Branch(v, n, parent if with_parents else None, p, np.full(len(p), 1.5))
            for v, n, parent, p in named
        )
    )


def test_ways_from_the_ostium_are_found_without_parents():
    known, guessed = lines(tree(True)), lines(tree(False))
    assert [len(a.points_mm) for a in known] == [len(b.points_mm) for b in guessed]
    assert np.allclose(known[2].points_mm[0], 0)  # the diagonal begins at the ostium


def test_a_tree_against_itself():
    found = judge(tree(True), tree(False))
    assert set(found) == {"LAD", "LCX", "RCA", "side branch"}
    assert all(o.overlap == pytest.approx(1) for o in found.values())


def test_a_lost_vessel():
    whole = tree(True)
    found = judge(whole, CoronaryTree(whole.branches[:-1]))
    assert found["RCA"].overlap == 0
    assert found["LAD"].overlap == pytest.approx(1)
