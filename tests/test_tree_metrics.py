"""Agreement of two trees against lengths that can be said by heart, and against a slow twin."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from plaque_edge.evaluate.tree_metrics import compare_trees
from plaque_edge.types import Branch, CoronaryTree, VesselName


def line(
    start_mm: float = 0.0,
    end_mm: float = 100.0,
    off_mm: float = 0.0,
    vessel: VesselName = "LAD",
    radius: float | np.ndarray = 1.5,
) -> Branch:
    """Along z, points every 0.5 mm, both ends included, beside the axis by ``off_mm``."""
    z = np.arange(round(2 * start_mm), round(2 * end_mm) + 1) / 2
    points = np.stack([z, np.full_like(z, off_mm), np.zeros_like(z)], 1)
    return Branch(vessel, vessel, None, points, np.broadcast_to(radius, z.shape).astype(float))


def tree(*branches: Branch) -> CoronaryTree:
    return CoronaryTree(branches)


TRUTH = tree(line())
N = 201


def values(truth: CoronaryTree, measured: CoronaryTree) -> tuple[float | None, ...]:
    return tuple(compare_trees(truth, measured).as_dict().values())


def test_a_tree_agrees_with_itself() -> None:
    assert values(TRUTH, TRUTH) == (1, 1, 1, 0)
    four = tree(line(), line(off_mm=20, vessel="LCX"), line(off_mm=40, vessel="RCA"))
    assert values(four, four) == (1, 1, 1, 0)


@pytest.mark.parametrize("off_mm", [0.5, 0.99])
def test_a_little_beside_is_found_at_that_distance(off_mm: float) -> None:
    assert values(TRUTH, tree(line(off_mm=off_mm))) == pytest.approx((1, 1, 1, off_mm))


@pytest.mark.parametrize("off_mm", [1.01, 3.0])
def test_more_than_a_millimetre_beside_is_not_found(off_mm: float) -> None:
    assert values(TRUTH, tree(line(off_mm=off_mm))) == (0, 0, None, None)


def test_a_shift_along_the_vessel_loses_its_ends_alone() -> None:
    got = values(TRUTH, tree(line(3, 103)))
    assert got == pytest.approx(((N - 4) / N, (N - 4) / N, 1, 1.5 / (N - 4)))


def test_half_a_vessel_is_half_the_recall() -> None:
    got = compare_trees(TRUTH, tree(line(0, 50)))
    assert got.recall == pytest.approx((101 + 2) / N)  # and 1 mm beyond its end
    assert got.precision == 1
    assert got.names == 1


def test_recall_goes_by_length_not_by_branch() -> None:
    truth = tree(line(0, 100), line(0, 20, 10.0, "LCX"), line(0, 20, 20.0, "RCA"))
    got = compare_trees(truth, tree(line(0, 100)))
    assert got.recall == pytest.approx(201 / (201 + 41 + 41))
    got = compare_trees(truth, tree(line(0, 20, 10.0, "LCX"), line(0, 20, 20.0, "RCA")))
    assert got.recall == pytest.approx(82 / (201 + 41 + 41))


def test_a_false_branch_costs_precision_alone() -> None:
    got = values(TRUTH, tree(line(), line(0, 50, 10.0, "LCX")))
    assert got == pytest.approx((1, N / (N + 101), 1, 0))


def test_wrong_names_count_by_length() -> None:
    got = values(TRUTH, tree(line(0, 50), line(50.5, 100, vessel="LCX")))
    assert got == pytest.approx((1, 1, 101 / N, 0))
    assert compare_trees(TRUTH, tree(line(vessel="RCA"))).names == 0


def test_names_are_judged_where_the_vessel_was_found() -> None:
    truth = tree(line(0, 100), line(0, 100, 10.0, "LCX"))
    assert compare_trees(truth, tree(line(0, 100))).names == 1
    assert compare_trees(truth, tree(line(0, 100, 10.0))).names == 0


def test_the_roll_up_name_counts_not_the_anatomical_one() -> None:
    b = line()
    other = Branch(b.vessel, "D7", None, b.points_mm, b.radius_mm)
    assert compare_trees(TRUTH, tree(other)).names == 1


def test_an_empty_tree_found_nothing() -> None:
    assert values(TRUTH, CoronaryTree(())) == (0, None, None, None)


def test_thin_branches_need_not_be_found() -> None:
    truth = tree(line(), line(0, 80, 10.0, radius=0.74))
    assert values(truth, tree(line())) == (1, 1, 1, 0)
    truth = tree(line(), line(0, 80, 10.0, radius=0.75))
    assert compare_trees(truth, tree(line())).recall == pytest.approx(N / (N + 161))


def test_a_found_thin_branch_is_no_false_one() -> None:
    truth = tree(line(), line(0, 80, 10.0, radius=0.6))
    assert values(truth, truth) == (1, 1, 1, 0)


def test_a_tapering_vessel_counts_as_far_as_it_is_wide() -> None:
    truth = tree(line(radius=np.linspace(2.0, 0.5, N)))
    wide = int((np.linspace(2.0, 0.5, N) >= 0.75).sum())
    assert compare_trees(truth, tree(line(0, 85))).recall == 1
    assert compare_trees(truth, tree(line(0, 40))).recall == pytest.approx(83 / wide)


def test_radii_of_the_measured_tree_do_not_matter() -> None:
    assert values(TRUTH, tree(line(radius=float("nan")))) == (1, 1, 1, 0)


@pytest.mark.parametrize("truth", [tree(line(radius=0.6)), CoronaryTree(())], ids=["thin", "none"])
def test_without_anything_to_find_recall_is_no_nan(truth: CoronaryTree) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recall = compare_trees(truth, TRUTH).recall
    assert recall is None or np.isfinite(recall)


def twin(truth: CoronaryTree, measured: CoronaryTree) -> tuple[float | None, ...]:
    """Every true point against every measured one."""
    found, right, distances, wide, true, count = 0, 0, [], 0, 0, 0
    for b in truth.branches:
        for point, radius in zip(b.points_mm, b.radius_mm, strict=True):
            if radius < 0.75:
                continue
            wide += 1
            best, name = min(
                (float(np.linalg.norm(m.points_mm - point, axis=1).min()), m.vessel)
                for m in measured.branches
            )
            if best <= 1.0:
                found, right = found + 1, right + (name == b.vessel)
                distances.append(best)
    for m in measured.branches:
        for point in m.points_mm:
            count += 1
            best = min(np.linalg.norm(b.points_mm - point, axis=1).min() for b in truth.branches)
            true += bool(best <= 1.0)
    return found / wide, true / count, right / found, float(np.mean(distances))


@pytest.mark.parametrize("seed", range(4))
def test_crooked_trees_against_the_slow_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def crooked(vessel: VesselName) -> Branch:
        points = np.cumsum(rng.normal((0.3, 0, 0), 0.3, (80, 3)), axis=0)
        return Branch(vessel, vessel, None, points, rng.uniform(0.6, 1.5, 80))

    truth = tree(crooked("LAD"), crooked("LCX"), crooked("RCA"))
    moved = [
        Branch(v, v, None, b.points_mm + rng.normal(0, 0.5, (80, 3)), b.radius_mm)
        for b, v in zip(truth.branches, ("LAD", "RCA", "RCA"), strict=True)
    ]
    got = values(truth, tree(*moved))
    assert got == pytest.approx(twin(truth, tree(*moved)))
    assert 0 < got[2] < 1
