"""Intervals: known error laws, slow twins, what must always hold, and the file's binding."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import approx_fprime, minimize

from plaque_edge.quantify import intervals_file, intervals_fit
from plaque_edge.quantify.intervals import (
    LEAST_LOG_SPREAD,
    LEAST_MM3,
    SHIFTED_BY,
    SPREAD_BY,
    WIDER_WITH,
    Feature,
    IntervalModel,
    PartModel,
    SizeClass,
    features_of,
    with_intervals,
)
from plaque_edge.quantify.intervals_fit import (
    LEAST_CLASS,
    Sample,
    borders_of,
    conformal_factor,
    fit_part,
    folds_of,
    maximise,
    unlikelihood,
)
from plaque_edge.quantify.softness import GATED, PARTS
from plaque_edge.types import (
    ImageQuality,
    ModelInfo,
    PatientMeasures,
    PlaqueMeasures,
    Reason,
    VesselMeasures,
)

MODEL = ModelInfo("net", "1", "a" * 64, "CPU", "f32", (("gate_area_mm2", 1.5),))
QUALITY = ImageQuality(25.0, 420.0, 0.6, 1.2, 0.5, 0.4, "vascular", "diagnostic")


def values(rng, measured, **given):
    """Features of one volume of ``measured`` mm³, the rest drawn."""
    drawn = {
        "size": math.sqrt(measured),
        "length": math.sqrt(rng.uniform(200, 500)),
        "soft": math.sqrt(0.3 * measured + rng.uniform(0, 5)),
        "left_out": rng.uniform(0, 3),
        "noise_hu": rng.uniform(10, 45),
        "edge_mm": rng.uniform(0.4, 0.9),
        "motion": rng.uniform(1, 2) if rng.random() < 0.9 else None,
        "slice_mm": rng.uniform(0.3, 0.7),
        "pixel_mm": 0.4,
        "faint": 1000 / rng.uniform(250, 600),
        "odd_kernel": float(rng.random() < 0.2),
        "limited": float(rng.random() < 0.3),
    }
    return drawn | given


def spread(v):
    """The planted law: wider with noise and soft edges, a little with size."""
    return 0.9 * math.exp(0.03 * (v["noise_hu"] - 25) + (v["edge_mm"] - 0.6) + 0.03 * v["size"])


def planted(seed, patients, each):
    """Volumes whose error law is known; a quarter of the measured ones are 0."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(patients):
        for _ in range(each):
            measured = 0.0 if rng.random() < 0.25 else rng.lognormal(4, 1.2)
            v = values(rng, measured)
            root = math.sqrt(measured) + 0.2 + spread(v) * rng.standard_normal()
            out.append(Sample(str(i), measured, max(root, 0.0) ** 2, v))
    return out


@pytest.fixture(scope="module")
def model():
    return fit_part(planted(1, 90, 4))


# ---- a known law ---------------------------------------------------------------------------


def test_planted_law_is_covered_in_every_class():
    """One fit's coverage scatters as 90 scores do; over eight fits it must not be off anywhere."""
    new = planted(2, 1500, 1)
    noisy = np.array([s.values["noise_hu"] > 35 for s in new])
    found = []
    for seed in range(1, 9):
        m = fit_part(planted(seed, 90, 4))
        assert len(m.classes) == 4
        ends = [m.interval(s.measured_mm3, s.values) for s in new]
        held = np.array([a <= s.true_mm3 <= b for s, (a, b) in zip(new, ends, strict=True)])
        size = np.array([m.size_class(s.measured_mm3) for s in new])
        found.append([held.mean(), held[noisy].mean(), *(held[size == k].mean() for k in range(4))])
    assert np.min(found) > 0.89
    assert (np.mean(found, axis=0) > 0.94).all()
    assert (np.mean(found, axis=0) < 0.98).all()


def test_analytic_normal_law():
    """Root of the truth = root + 0.5 ± 0.8, far from 0: ends 1.96 x 0.8 from the middle."""
    rng = np.random.default_rng(5)
    samples = []
    for i in range(1500):
        measured = rng.uniform(300, 600)
        true = (math.sqrt(measured) + 0.5 + 0.8 * rng.standard_normal()) ** 2
        samples.append(Sample(str(i), measured, true, values(rng, measured)))
    m = fit_part(samples)
    rng = np.random.default_rng(6)
    ends = [
        m.interval(v, values(rng, v, noise_hu=25.0, edge_mm=0.6)) for v in rng.uniform(310, 590, 60)
    ]
    half = np.mean([0.5 * (math.sqrt(b) - math.sqrt(a)) for a, b in ends])
    assert half == pytest.approx(1.96 * 0.8, rel=0.06)
    shifts = [m.shift_and_spread(s.values)[0] for s in samples]
    assert np.mean(shifts) == pytest.approx(0.5, abs=0.06)


def test_noise_of_the_law_comes_back(model):
    """Twice as far apart in noise as one SD of it: the planted spread's ratio, roughly."""
    rng = np.random.default_rng(7)
    v = values(rng, 50.0)
    quiet = model.shift_and_spread(v | {"noise_hu": 15.0})[1]
    noisy = model.shift_and_spread(v | {"noise_hu": 40.0})[1]
    assert noisy / quiet == pytest.approx(math.exp(0.03 * 25), rel=0.3)


# ---- twins ---------------------------------------------------------------------------------


def slow_interval(m, measured, v):
    """The interval again, from the file's plain numbers alone."""
    x = intervals_file._plain(m)
    z = {}
    for name, (middle, width, low, high, unknown) in x["features"].items():
        known = unknown if v[name] is None else v[name]
        z[name] = (np.clip(known, low, high) - middle) / width
    z["one"] = 1.0
    shift = sum(w * z[n] for n, w in x["shift"].items())
    log_spread = sum(w * z[n] for n, w in x["log_spread"].items())
    factor = [
        c["factor"] for c in x["classes"] if c["below_mm3"] is None or measured < c["below_mm3"]
    ]
    half = factor[0] * max(np.exp(log_spread), 0.05)
    ends = np.clip(np.sqrt(measured) + shift + np.array([-half, half]), 0, None) ** 2
    return min(ends[0], measured), max(ends[1], measured + 1.0)


def test_interval_is_the_slow_twin(model):
    for s in planted(8, 200, 1):
        assert model.interval(s.measured_mm3, s.values) == pytest.approx(
            slow_interval(model, s.measured_mm3, s.values), rel=1e-12, abs=1e-12
        )


def drawn_problem():
    rng = np.random.default_rng(9)
    n = 80
    a = np.column_stack([np.ones(n), rng.standard_normal((n, len(SHIFTED_BY)))])
    b = np.column_stack([np.ones(n), rng.standard_normal((n, len(SPREAD_BY)))])
    residual = 0.3 + 0.5 * a[:, 1] + np.exp(0.4 * b[:, 3]) * rng.standard_normal(n)
    return a, b, residual


def test_likelihood_is_scipys_students_t_and_its_slope_is_right():
    a, b, residual = drawn_problem()
    rng = np.random.default_rng(10)
    w = 0.2 * rng.standard_normal(a.shape[1] + b.shape[1])
    held = rng.uniform(0, 2, len(w))
    scale = np.exp(b @ w[a.shape[1] :])
    assert scale.min() > math.exp(LEAST_LOG_SPREAD)
    expected = -stats.t.logpdf(residual, 4, loc=a @ w[: a.shape[1]], scale=scale).sum()
    constant = -len(residual) * stats.t.logpdf(0, 4)
    value, slope = unlikelihood(w, a, b, residual, held)
    assert value == pytest.approx(expected - constant + 0.5 * (held * w**2).sum())
    numeric = approx_fprime(w, lambda x: unlikelihood(x, a, b, residual, held)[0], 1e-7)
    assert slope == pytest.approx(numeric, abs=1e-3)


def test_no_other_search_finds_a_likelier_fit():
    a, b, residual = drawn_problem()
    found = maximise(a, b, residual)
    rough = 1.4826 * np.median(np.abs(residual - np.median(residual)))
    held = np.full(len(found), 1 / 0.3**2)
    held[: a.shape[1]] /= rough**2
    held[[0, a.shape[1]]] = 0

    def value(w):
        return unlikelihood(w, a, b, residual, held)[0]

    wider = a.shape[1] + 1 + np.flatnonzero([n in WIDER_WITH for n in SPREAD_BY])
    bounds = [(0 if i in wider else -5, 5) for i in range(len(found))]
    for seed in range(2):
        start = np.random.default_rng(seed).uniform(0, 0.5, len(found))
        other = minimize(value, start, method="Powell", bounds=bounds, options={"maxiter": 4000})
        assert value(found) <= other.fun + 1e-4
    assert (found[wider] >= 0).all()


@pytest.mark.parametrize("n", [19, 20, 39, 40, 200])
def test_factor_is_the_least_that_covers(n):
    """At least 95 % of n + 1 exchangeable scores are not above it, with a new one anywhere."""
    scores = np.random.default_rng(n).permutation(n) + 1.0
    k = conformal_factor(scores)
    assert (scores <= k).sum() / (n + 1) >= 0.95
    assert (scores <= k - 1).sum() / (n + 1) < 0.95


def test_fewer_patients_give_wider_intervals_from_as_many_volumes():
    """240 volumes of 30 or of 120 patients, none of whom is like himself: the +1 alone."""
    few, many = ([replace(s, patient=str(i % n)) for i, s in enumerate(planted(21, 240, 1))]
                 for n in (30, 120))  # fmt: skip
    wide, narrow = fit_part(few), fit_part(many)
    assert [c.rows for c in wide.classes] == [c.rows for c in narrow.classes]
    assert all(c.patients <= 30 for c in wide.classes)
    assert np.mean([c.factor for c in wide.classes]) > np.mean([c.factor for c in narrow.classes])


def test_alike_volumes_of_a_patient_are_covered_patient_by_patient():
    """Every volume of a patient is off in the same direction by as much: 40 draws, not 160."""
    held = []
    for seed in range(12):
        rng = np.random.default_rng([seed, 5])
        made = [of for i in range(440) for of in alike(rng, str(i))]
        m = fit_part(made[: 40 * 4])
        ends = [(s, m.interval(s.measured_mm3, s.values)) for s in made[40 * 4 :]]
        held.append(np.mean([a <= s.true_mm3 <= b for s, (a, b) in ends]))
    assert 0.945 < np.mean(held) < 0.985


def alike(rng, patient):
    off = rng.standard_normal()
    for _ in range(4):
        measured = rng.uniform(60, 90)
        v = values(rng, measured, noise_hu=25.0, edge_mm=0.6)
        yield Sample(patient, measured, max(math.sqrt(measured) + off, 0.0) ** 2, v)


def test_what_held_is_counted_without_the_patient(model):
    """A patient unlike all others is never held; told per class, and kept in the file."""
    classes = fit_part(planted(1, 90, 4)).classes
    assert classes == model.classes
    assert sum(c.rows for c in classes) == 360
    assert 0.90 * 360 < sum(c.held for c in classes) < 0.99 * 360
    rng = np.random.default_rng(30)
    odd = [Sample("odd", 50.0, 900.0, values(rng, 50.0)) for _ in range(6)]
    with_odd = fit_part([*planted(1, 90, 4), *odd])
    assert sum(c.rows - c.held for c in with_odd.classes) >= 6
    k = with_odd.size_class(50.0)
    assert with_odd.classes[k].rows - with_odd.classes[k].held >= 6


def test_a_weight_of_three_is_three_scores():
    rng = np.random.default_rng(17)
    scores, weights = rng.random(60), rng.integers(1, 4, 60)
    same = conformal_factor(np.repeat(scores, weights))
    assert conformal_factor(scores, weights.astype(float)) == same


def test_factor_of_too_few_is_an_error():
    for scores, weights in ((np.arange(18.0), None), (np.arange(90.0), np.full(90, 0.2))):
        with pytest.raises(ValueError, match="19"):
            conformal_factor(scores, weights)


# ---- what must always hold -----------------------------------------------------------------

weights = st.floats(-0.5, 0.5)


@st.composite
def models(draw):
    features = {
        n: Feature(0.5, draw(st.floats(0.2, 2)), 0.0, 30.0, 1.0) for n in {*SHIFTED_BY, *SPREAD_BY}
    }
    log_spread = {n: draw(st.floats(0, 0.2) if n in WIDER_WITH else weights) for n in SPREAD_BY}
    shift = {n: draw(weights) for n in ("one", *SHIFTED_BY)}
    classes = (SizeClass(50.0, draw(st.floats(0, 4)), 40), SizeClass(math.inf, 2.0, 40))
    return PartModel(features, shift, {"one": draw(weights)} | log_spread, classes)


@settings(max_examples=200, deadline=None)
@given(models(), st.floats(0, 900), st.integers(0, 9), st.floats(0, 40), st.floats(0, 40))
def test_never_negative_holds_what_was_measured_and_only_widens(m, measured, k, a, b):
    v = values(np.random.default_rng(0), measured)
    low, high = m.interval(measured, v)
    assert 0 <= low <= measured
    assert measured + LEAST_MM3 <= high < math.inf
    name = WIDER_WITH[k]
    if name == "left_out":  # it may shift an interval too, so only its spread must grow
        narrow, wide = (m.shift_and_spread(v | {name: x})[1] for x in sorted((a, b)))
        assert narrow <= wide
        return
    better, worse = (m.interval(measured, v | {name: x}) for x in sorted((a, b)))
    assert worse[0] <= better[0] <= better[1] <= worse[1]


def test_fitted_intervals_widen_with_noise(model):
    rng = np.random.default_rng(11)
    for measured in (0.0, 5.0, 60.0, 400.0):
        v = values(rng, measured)
        ends = [model.interval(measured, v | {"noise_hu": n}) for n in range(5, 60, 5)]
        assert all(b[0] <= a[0] and a[1] <= b[1] for a, b in pairwise(ends))
        assert ends[-1][1] - ends[-1][0] > 1.3 * (ends[0][1] - ends[0][0])


def test_zero_has_an_upper_end(model):
    v = values(np.random.default_rng(12), 0.0)
    low, high = model.interval(0.0, v)
    assert low == 0.0
    assert high >= LEAST_MM3


def test_all_zero_truths_still_leave_room():
    """Phantoms without any low attenuation don't prove that there can't be some."""
    rng = np.random.default_rng(13)
    m = fit_part([Sample(str(i), 0.0, 0.0, values(rng, 0.0)) for i in range(60)])
    assert m.interval(0.0, values(rng, 0.0))[1] >= LEAST_MM3


def test_what_is_not_known_counts_as_poor(model):
    v = values(np.random.default_rng(14), 40.0, motion=1.2)
    known, unknown = model.interval(40.0, v), model.interval(40.0, v | {"motion": None})
    assert unknown[0] <= known[0] <= known[1] <= unknown[1]


def test_too_few_give_no_model():
    assert fit_part(planted(15, 24, 1)) is None
    assert fit_part(planted(15, 19, 20)) is None  # volumes of 19 patients
    assert fit_part(planted(15, 25, 1)) is not None
    assert fit_part(planted(15, 20, 4)) is not None


def test_patients_stay_together_and_folds_are_even():
    names = [f"p{i // 4}" for i in range(80)]
    folds = folds_of(names)
    assert (folds == folds_of(names)).all()
    assert all(len(set(folds[4 * i : 4 * i + 4])) == 1 for i in range(20))
    assert set(np.bincount(folds)) == {16}


def test_every_class_is_large_enough():
    rng = np.random.default_rng(16)
    for n in (25, 60, 90, 130, 400):
        sizes = np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(3, 1, n))
        borders = borders_of(sizes)
        counts = np.histogram(sizes, [-np.inf, *borders, np.inf])[0]
        assert counts.sum() == n
        assert not borders or counts.min() >= LEAST_CLASS
    assert len(borders) == 3
    assert borders[0] == intervals_fit.NEAR_ZERO_MM3
    assert borders_of(np.zeros(100)) == []


# ---- the file ------------------------------------------------------------------------------


@pytest.fixture
def whole(model):
    levels = {level: dict.fromkeys(PARTS, model) for level in intervals_file.LEVELS}
    return IntervalModel(MODEL.sha256, dict(MODEL.calibration), levels, 90, "2026-01-01")


@pytest.fixture
def file(whole, tmp_path):
    path = tmp_path / "intervals.json"
    path.write_text(json.dumps(intervals_file.to_dict(whole)), encoding="utf-8")
    return path


def test_round_trip_to_the_last_bit(whole, file):
    found = intervals_file.load_for(replace(MODEL, folder=file.parent))
    assert isinstance(found, IntervalModel)
    assert replace(found, sha256="") == whole
    assert len(found.sha256) == 64


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (replace(MODEL, sha256="b" * 64), "networks"),
        (replace(MODEL, calibration=(("gate_area_mm2", 1.0),)), "calibration"),
        (replace(MODEL, calibration=(*MODEL.calibration, ("plaque_prior", 1.2))), "calibration"),
    ],
)
def test_intervals_of_other_networks_are_refused(file, other, word):
    found = intervals_file.load_for(replace(other, folder=file.parent))
    assert isinstance(found, Reason)
    assert found.code == "INTERVALS_OTHER_MODEL"
    assert word in found.text
    assert found.next_step


def test_no_file_no_intervals(tmp_path):
    for model in (None, MODEL, replace(MODEL, folder=tmp_path)):
        assert intervals_file.load_for(model).code == "INTERVALS_MISSING"


def part(data):
    return data["levels"]["patient"]["plaque"]


DAMAGE = {
    "another format": lambda d: d.update(format="plaque-edge/intervals/0"),
    "another coverage": lambda d: d.update(coverage=0.5),
    "shrinks with noise": lambda d: part(d)["log_spread"].update(noise_hu=-0.1),
    "not a number": lambda d: part(d)["shift"].update(one=math.nan),
    "weight missing": lambda d: part(d)["log_spread"].pop("soft"),
    "feature missing": lambda d: part(d)["features"].pop("noise_hu"),
    "no width": lambda d: part(d)["features"]["noise_hu"].__setitem__(1, 0.0),
    "no class": lambda d: part(d)["classes"].clear(),
    "classes out of order": lambda d: part(d)["classes"].reverse(),
    "class without an end": lambda d: part(d)["classes"].pop(),
    "negative factor": lambda d: part(d)["classes"][0].update(factor=-1.0),
    "unknown part": lambda d: d["levels"]["patient"].update(fat=part(d)),
    "no levels": lambda d: d.pop("levels"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_gives_no_interval(file, damage):
    data = json.loads(file.read_text())
    damage(data)
    file.write_text(json.dumps(data))
    assert intervals_file.load_for(replace(MODEL, folder=file.parent)).code == "INTERVALS_INVALID"


def test_half_a_file_gives_no_interval(file):
    file.write_bytes(file.read_bytes()[:500])
    assert intervals_file.load_for(replace(MODEL, folder=file.parent)).code == "INTERVALS_INVALID"


# ---- on a result ---------------------------------------------------------------------------


def softness_of(total):
    return {f"{p}_inside_mm3": 0.1 * total for p in PARTS} | {
        f"{p}_{place}_mm3": 1.0 for p in GATED for place in ("outside", "left_out")
    }


def vessel(status="analysed", plaque=50.0, **more):
    return VesselMeasures(
        status, plaque, 10.0, plaque - 10.0, 5.0, 90.0, 70.0, 5.5, 100.0, 55.0, 1.1,
        softness=softness_of(plaque), **more,
    )  # fmt: skip


def measures(patient=None, **more):
    vessels = dict.fromkeys(("LM", "LAD", "LCX", "RCA"), vessel()) | more
    whole = PatientMeasures(200.0, 40.0, 160.0, 20.0, 360.0, 280.0, 5.5, 1, 55.0, length_mm=400.0,
                            softness=softness_of(200.0))  # fmt: skip
    return PlaqueMeasures(vessels, patient or whole, ())


def test_every_whole_volume_has_its_interval(whole, model):
    found = with_intervals(measures(), QUALITY, whole)
    names = {f"{p}_mm3" for p in PARTS}
    assert set(found.patient.intervals_95) == names
    for v in found.vessels.values():
        assert set(v.intervals_95) == names
        assert all(a <= getattr(v, n) <= b for n, (a, b) in v.intervals_95.items())
    assert found.interval_source.scans == 90
    assert found.interval_source.reason is None
    x = features_of("plaque", {"plaque_mm3": 200.0, "length_mm": 400.0,
                               "softness": softness_of(200.0)},
                    {"noise_hu": 25.0, "blood_hu": 420.0, "edge_mm": 0.6, "motion": 1.2,
                     "slice_mm": 0.5, "pixel_mm": 0.4, "kernel": "vascular",
                     "verdict": "diagnostic"})  # fmt: skip
    assert x["soft"] == pytest.approx(math.sqrt(20.0 + 1.0))
    assert x["faint"] == pytest.approx(1000 / 420)
    assert found.patient.intervals_95["plaque_mm3"] == model.interval(200.0, x)


def test_lower_bounds_and_what_was_not_measured_have_none(whole):
    old = measures().patient
    found = with_intervals(
        measures(replace(old, lower_bound=True), LCX=vessel("partial"),
                 RCA=VesselMeasures("not_analysable")),
        QUALITY, whole,
    )  # fmt: skip
    assert found.patient.intervals_95 is None
    assert found.vessels["LCX"].intervals_95 is None
    assert found.vessels["RCA"].intervals_95 is None
    assert found.vessels["LAD"].intervals_95


def test_doubtful_low_attenuation_has_none(whole):
    doubt = Reason("LOW_ATTENUATION_DOUBTFUL", "Noise.")
    found = with_intervals(replace(measures(), low_attenuation_doubt=doubt), QUALITY, whole)
    names = {f"{p}_mm3" for p in PARTS} - {"low_attenuation_mm3"}
    assert set(found.patient.intervals_95) == names


def test_a_volume_larger_than_any_phantoms_has_none(whole):
    found = with_intervals(measures(LAD=vessel(plaque=1e5)), QUALITY, whole)
    assert "plaque_mm3" not in found.vessels["LAD"].intervals_95
    assert "lumen_mm3" in found.vessels["LAD"].intervals_95
