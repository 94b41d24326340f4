"""Agreement statistics against published numbers, scipy, slow twins and simulation."""

from __future__ import annotations

import itertools
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from plaque_edge.agreement import (
    Paired,
    agreement,
    bland_altman_plot,
    correlation,
    deming,
    icc_a1,
    least_squares,
    limits_of_agreement,
    passing_bablok,
    percent_limits,
    repeatability,
    scatter_plot,
)

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
    got = agreement(x, x).as_dict()
    assert (got["icc_a1"], got["icc_a1_lower"], got["icc_a1_upper"]) == (1.0, 1.0, 1.0)
    assert (got["bias"], got["sd"], got["loa_lower"], got["loa_upper"]) == (0.0, 0.0, 0.0, 0.0)
    assert (got["pearson_r"], got["deming"]["slope"], got["passing_bablok"]["slope"]) == (1, 1, 1)
    assert (got["slope"], got["intercept"]) == (1.0, 0.0)


def test_slope_trap_shows_although_the_icc_is_high():
    truth = np.linspace(0, 900, 40)
    measured = 0.62 * truth + 130
    got = agreement(measured, truth)
    for line in (got.least_squares, got.deming, got.passing_bablok):
        assert line.slope == pytest.approx(0.62)
        assert line.intercept == pytest.approx(130)
    assert got.icc.value > 0.85
    assert got.absolute.trend < -0.4 and got.absolute.trend_p < 0.001


def noisy(n: int = 60, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.gamma(1.0, 200, n)
    return 0.9 * truth + rng.normal(10, 30, n), truth


def test_line_limits_and_correlation_are_scipys():
    measured, truth = noisy()
    line, got = stats.linregress(truth, measured), least_squares(measured, truth)
    t = stats.t.ppf(0.975, 58)
    assert (got.slope, got.intercept) == pytest.approx((line.slope, line.intercept))
    assert got.slope_interval[1] - got.slope == pytest.approx(t * line.stderr)
    assert got.intercept_interval[1] - got.intercept == pytest.approx(t * line.intercept_stderr)
    limits, d = limits_of_agreement(measured, truth), measured - truth
    assert limits.upper - limits.lower == pytest.approx(2 * 1.96 * np.std(d, ddof=1))
    bias = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert limits.bias_interval == pytest.approx((bias.low, bias.high))
    trend = stats.linregress((measured + truth) / 2, d)
    assert (limits.trend, limits.trend_p) == pytest.approx((trend.slope, trend.pvalue))
    pearson = stats.pearsonr(measured, truth)
    ci = pearson.confidence_interval(0.95)
    r = correlation(measured, truth)
    assert (r.r, *r.interval) == pytest.approx((pearson.statistic, ci.low, ci.high))


def test_intervals_of_the_limits_cover_as_often_as_they_say():
    rng, hits, runs = np.random.default_rng(8), np.zeros(2), 1500
    for d in rng.normal(5, 10, (runs, 12)):
        got = limits_of_agreement(d, np.zeros(12))
        true_low, true_high = 5 - 19.6, 5 + 19.6
        hits += [
            got.lower_interval[0] <= true_low <= got.lower_interval[1],
            got.upper_interval[0] <= true_high <= got.upper_interval[1],
        ]
    assert (np.abs(hits / runs - 0.95) < 0.02).all()


def test_intervals_of_the_limits_are_near_the_approximation_of_bland_and_altman():
    measured, truth = noisy(400)
    got = limits_of_agreement(measured, truth)
    half = 1.96 * got.sd * np.sqrt(1 / 400 + 1.96**2 / (2 * 399))
    for value, (low, high) in ((got.lower, got.lower_interval), (got.upper, got.upper_interval)):
        # The exact interval is not symmetric: the limit lies nearer its inner end.
        assert (low, high) == pytest.approx((value - half, value + half), abs=0.08 * half)


def test_percent_leaves_out_pairs_of_zeros_and_counts_them():
    got = percent_limits([0, 110, 90, 105], [0, 90, 110, 95])
    assert got is not None and (got.n, got.left_out) == (3, 1)
    assert got.bias == pytest.approx((20 - 20 + 10) / 3)
    assert percent_limits([0, 0, 0, 5], [0, 0, 0, 5]) is None


def test_deming_is_the_axis_of_the_cloud():
    measured, truth = noisy()
    axis = np.linalg.svd(np.stack([truth - truth.mean(), measured - measured.mean()]))[0][:, 0]
    got, swapped = deming(measured, truth), deming(truth, measured)
    assert got.slope == pytest.approx(axis[1] / axis[0])
    assert swapped.slope == pytest.approx(1 / got.slope)


def test_deming_is_unbiased_where_least_squares_is_not():
    rng, slopes, covered = np.random.default_rng(4), [], 0
    for _ in range(150):
        true = rng.uniform(0, 100, 60)
        x, y = true + rng.normal(0, 20, 60), 1.2 * true + rng.normal(0, 20, 60)
        line = deming(y, x)
        slopes.append((line.slope, least_squares(y, x).slope))
        covered += line.slope_interval[0] <= 1.2 <= line.slope_interval[1]
    mean = np.mean(slopes, axis=0)
    assert mean[0] == pytest.approx(1.2, abs=0.04) and mean[1] < 0.9
    assert 0.89 <= covered / 150 <= 0.99


def slow_passing_bablok(y, x):
    """The paper's recipe, pair by pair."""
    slopes = []
    for i, j in itertools.combinations(range(len(x)), 2):
        dx, dy = x[j] - x[i], y[j] - y[i]
        if dx == 0 and dy == 0:
            continue
        slope = np.inf * np.sign(dy) if dx == 0 else dy / dx
        if slope != -1:
            slopes.append(slope)
    slopes.sort()
    shift = sum(s < -1 for s in slopes)
    n, count = len(x), len(slopes)
    if count % 2:
        slope = slopes[(count + 1) // 2 + shift - 1]
    else:
        slope = (slopes[count // 2 + shift - 1] + slopes[count // 2 + shift]) / 2
    c = stats.norm.ppf(0.975) * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    m1 = round((count - c) / 2)
    return slope, slopes[m1 + shift - 1], slopes[count - m1 + 1 + shift - 1]


@pytest.mark.parametrize("seed", range(4))
def test_passing_bablok_is_its_slow_twin(seed):
    measured, truth = np.round(noisy(25 + seed, seed), -1)  # rounded: ties and steep pairs
    got = passing_bablok(measured, truth)
    slow = slow_passing_bablok(measured, truth)
    assert (got.slope, *got.slope_interval) == pytest.approx(slow)
    assert got.intercept == pytest.approx(np.median(measured - got.slope * truth))
    assert got.intercept_interval[0] <= got.intercept <= got.intercept_interval[1]


def test_passing_bablok_does_not_care_which_is_the_reference_nor_about_an_outlier():
    measured, truth = noisy(41)
    got = passing_bablok(measured, truth)
    assert passing_bablok(truth, measured).slope == pytest.approx(1 / got.slope)
    measured[3] = 1e6
    assert passing_bablok(measured, truth).slope == pytest.approx(got.slope, abs=0.02)


def test_repeatability_finds_the_noise_it_was_made_from():
    rng, hits, runs = np.random.default_rng(11), np.zeros(2), 600
    for _ in range(runs):
        true = rng.uniform(100, 300, 15)
        a, b = (true * (1 + rng.normal(0, 0.08, 15)) for _ in range(2))
        got = repeatability(a, b)
        assert got.cv_percent_interval is not None
        hits[0] += got.cv_percent_interval[0] <= 8 <= got.cv_percent_interval[1]
        a, b = true + rng.normal(0, 6, 15), true + rng.normal(0, 6, 15)
        low, high = repeatability(a, b).within_sd_interval
        hits[1] += low <= 6 <= high
    assert (np.abs(hits / runs - 0.95) < 0.03).all()


def test_repeatability_by_hand():
    got = repeatability([10, 20, 0, 40], [14, 20, 0, 36])
    assert got.within_sd == pytest.approx(np.sqrt((16 + 16) / 2 / 4))
    assert got.coefficient == pytest.approx(1.96 * np.sqrt(2) * got.within_sd)
    assert got.cv_n == 3
    assert got.cv_percent == pytest.approx(100 * np.sqrt((8 / 144 + 8 / 1444) / 3))
    assert repeatability([0, 0, 0], [0, 0, 0]).cv_percent is None


def test_too_little_data_is_an_error_not_a_number():
    with pytest.raises(ValueError, match="3 values"):
        agreement([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        agreement([1.0, np.nan, 2.0], [1.0, 2.0, 3.0])
    assert np.isnan(icc_a1([[1, 1], [1, 1], [1, 1]]).value)


def test_what_is_not_defined_is_null_in_json():
    got = agreement([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]).as_dict()
    assert got["slope"] is None and got["pearson_r"] is None
    assert got["deming"]["slope"] is None and got["passing_bablok"]["slope"] is None
    json.dumps(got, allow_nan=False)
    json.dumps(agreement(*noisy()).as_dict(), allow_nan=False)


def test_plots_are_svg_that_holds_every_pair_inside_the_frame():
    measured, truth = noisy(30)
    groups = ["LAD" if i % 2 else "<RCA>" for i in range(30)]
    data = Paired(measured.tolist(), truth.tolist(), "plaque", groups=groups)
    for text in (
        scatter_plot(data),
        bland_altman_plot(data),
        bland_altman_plot(data, percent=True),
    ):
        root = ElementTree.fromstring(text)
        plot = root.find("{http://www.w3.org/2000/svg}g")
        assert plot is not None
        marks = [e for e in plot if e.tag.endswith(("circle", "rect"))]
        assert len(marks) == 30
        for e in marks:
            across = float(e.get("cx") or float(e.get("x", 0)) + 3)
            down = float(e.get("cy") or float(e.get("y", 0)) + 3)
            assert 72 <= across <= 514 and 34 <= down <= 342
        assert "&lt;RCA&gt;" in text and "Research use only" in text


def test_plots_of_values_that_are_all_alike():
    for m, r in (([55.0] * 3, [50.0] * 3), ([0.0] * 3, [0.0] * 3), ([0.3 * 55] * 3, [5.5 * 3] * 3)):
        data = Paired(m, r, "plaque")
        for text in (scatter_plot(data), bland_altman_plot(data)):
            assert "nan" not in text and ElementTree.fromstring(text) is not None


def test_ticks_are_round_and_inside():
    from plaque_edge.charts import ticks

    assert ticks(-0.1, 1.02, 6) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    for low, high in ((-274.3, 812.0), (3e-4, 9e-4), (1e5, 1.2e5)):
        got = ticks(low, high)
        assert 3 <= len(got) <= 8 and low <= got[0] and got[-1] <= high
