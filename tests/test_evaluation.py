"""Agreement statistics against published numbers, scipy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from plaque_edge.evaluation import agreement, icc_a1

SHROUT_FLEISS_1979 = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]


def test_icc_is_the_published_example():
    icc = icc_a1(SHROUT_FLEISS_1979)
    assert icc.value == pytest.approx(0.2898, abs=5e-5)
    # The interval that R's psych and irr print for ICC(2,1) of these data.
    assert icc.lower == pytest.approx(0.0188, abs=5e-4)
    assert icc.upper == pytest.approx(0.7611, abs=5e-4)


def test_icc_finds_the_variance_components_it_was_made_from():
    rng = np.random.default_rng(3)
    subject, rater, noise = 10.0, 0.0, 4.0
    x = rng.normal(0, subject, (4000, 1)) + rater + rng.normal(0, noise, (4000, 2))
    icc = icc_a1(x)
    assert icc.value == pytest.approx(100 / 116, abs=0.01)
    assert icc.lower < 100 / 116 < icc.upper
    shifted = x + np.array([0.0, 10.0])
    assert icc_a1(shifted).value == pytest.approx(100 / (116 + 50), abs=0.02)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        x = rng.normal(0, 2, (20, 1)) + rng.normal(0, 1, (20, 2))
        icc = icc_a1(x)
        hits += icc.lower <= 0.8 <= icc.upper
    assert 0.91 <= hits / 400 <= 0.985


def test_identical_values_agree_perfectly():
    x = np.array([0.0, 10.0, 250.0, 900.0])
    got = agreement(x, x)
    assert (got.icc_a1, got.icc_a1_lower, got.icc_a1_upper) == (1.0, 1.0, 1.0)
    assert (got.bias, got.sd, got.slope, got.intercept) == (0.0, 0.0, 1.0, 0.0)


def test_slope_trap_shows_although_the_icc_is_high():
    truth = np.linspace(0, 900, 40)
    measured = 0.62 * truth + 130
    got = agreement(measured, truth)
    assert got.slope == pytest.approx(0.62)
    assert got.intercept == pytest.approx(130)
    assert got.icc_a1 > 0.85
    assert got.bias == pytest.approx(np.mean(measured - truth))


def test_line_and_limits_are_scipys():
    rng = np.random.default_rng(1)
    truth = rng.gamma(1.0, 200, 60)
    measured = 0.9 * truth + rng.normal(10, 30, 60)
    got = agreement(measured, truth)
    line = stats.linregress(truth, measured)
    assert (got.slope, got.intercept, got.pearson_r) == pytest.approx(
        (line.slope, line.intercept, line.rvalue)
    )
    d = measured - truth
    assert got.loa_upper - got.loa_lower == pytest.approx(2 * 1.96 * np.std(d, ddof=1))
    assert got.as_dict()["n"] == 60


def test_too_little_data_is_an_error_not_a_number():
    with pytest.raises(ValueError, match="3 values"):
        agreement([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        agreement([1.0, np.nan, 2.0], [1.0, 2.0, 3.0])
    assert np.isnan(icc_a1([[1, 1], [1, 1], [1, 1]]).value)
    assert np.isnan(agreement([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]).slope)
