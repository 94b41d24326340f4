"""The risk model: published vectors, lifelines, the band, every refusal."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace

import numpy as np
import pytest

from plaque_edge.errors import Refused
from plaque_edge.risk.cox import Predictor, predictor, risk_band
from plaque_edge.risk.model import DEFAULT_MODEL, INPUTS, estimate, load_model, parse_model
from plaque_edge.risk.show import describe_estimate, describe_model
from plaque_edge.types import Covariates, PatientMeasures, VesselMeasures

F60 = Covariates(60, "F")
M60 = Covariates(60, "M")
M70 = Covariates(70, "M")


def patient(plaque=100.0, stenosis=0.0, **more):
    return PatientMeasures(plaque_mm3=plaque, max_diameter_stenosis_percent=stenosis, **more)


def five_year(model, plaque, who, stenosis=0.0):
    return 100 * estimate(model, patient(plaque, stenosis), who, "diagnostic").probability[-1]


@pytest.fixture(scope="module")
def model():
    return load_model()


# TPV, HR against none, then 5-year risk in % of F60, M60, M60 with a stenosis >= 50 %, M70 too.
TABLE = [
    (0, 1.00, 1.9, 2.5, 4.9, 6.6),
    (50, 1.41, 2.7, 3.5, 6.9, 9.2),
    (87, 1.66, 3.2, 4.1, 8.0, 10.7),
    (250, 2.45, 4.7, 6.0, 11.7, 15.4),
    (750, 4.00, 7.5, 9.6, 18.3, 23.9),
    (1000, 4.58, 8.5, 10.9, 20.7, 26.9),
]


@pytest.mark.parametrize("row", TABLE)
def test_default_model_gives_its_published_vectors(model, row):
    plaque, ratio, f60, m60, m60_stenosis, m70_stenosis = row
    got = (
        five_year(model, plaque, F60),
        five_year(model, plaque, M60),
        five_year(model, plaque, M60, 50.0),
        five_year(model, plaque, M70, 80.0),
    )
    assert [round(x, 1) for x in got] == [f60, m60, m60_stenosis, m70_stenosis]
    hazard_ratio = estimate(model, patient(plaque), F60, "diagnostic").relative_to_no_plaque
    assert round(hazard_ratio, 2) == ratio


def test_baseline_survival_is_the_published_one(model):
    risk = estimate(model, patient(0.0), F60, "diagnostic")
    assert risk.horizons_years == (1, 2, 3, 4, 5)
    survival = [1 - p for p in risk.probability]
    assert survival == pytest.approx([0.9961, 0.9922, 0.9884, 0.9845, 0.9807], abs=5e-5)


def test_coefficients_apply_to_known_risk_factors(model):
    base = estimate(model, patient(), M60, "diagnostic").probability[-1]
    ill = replace(M60, diabetes=True, hypertension=False)
    got = estimate(model, patient(), ill, "diagnostic").probability[-1]
    ratio = np.log1p(-got) / np.log1p(-base)
    assert ratio == pytest.approx(np.exp(0.53 * 0.85 - 0.34 * 0.5))


def test_stenosis_counts_from_fifty_per_cent_on(model):
    assert five_year(model, 100, M60, 49.99) == five_year(model, 100, M60, 0.0)
    assert five_year(model, 100, M60, 50.0) > five_year(model, 100, M60, 49.99)


def test_band_is_the_one_of_a_monte_carlo_over_the_errors(model):
    rng = np.random.default_rng(7)
    who = predictor(model, {"plaque_mm3": 400.0, "age_years": 72.0, "male": 1.0,
                            "max_diameter_stenosis_percent": 60.0, "diabetes": 1.0,
                            "hypertension": 0.0})  # fmt: skip
    _, lower, upper = risk_band(model, who)
    mean = np.array([t.coefficient for t in model.terms])
    sd = np.array([t.se for t in model.terms])
    n = 400_000
    lp = rng.normal(mean, sd, (n, len(mean))) @ np.array(who.values)
    hazard = 0.0195 * np.exp(rng.normal(0, 0.40, n)) * np.exp(lp)
    low, high = np.quantile(1 - np.exp(-hazard), [0.025, 0.975])
    assert (lower[-1], upper[-1]) == pytest.approx((low, high), rel=0.01)


def test_a_covariance_replaces_the_standard_errors(model):
    size = len(model.terms) + 1
    full = np.zeros((size, size))
    full[0, 0], full[-1, -1], full[0, -1] = 0.04, 0.09, -0.05
    full[-1, 0] = full[0, -1]
    correlated = replace(model, covariances=(tuple(map(tuple, full)),) * len(model.horizons_years))
    who = Predictor((2.0, *(0.0,) * (size - 2)), 1.0, ())
    p, _, upper = risk_band(correlated, who)
    se = np.sqrt(4 * 0.04 + 0.09 - 2 * 2 * 0.05)
    ratio = np.log1p(-upper[0]) / np.log1p(-p[0])
    assert ratio == pytest.approx(np.exp(1.959964 * se), rel=1e-5)


def test_same_input_same_output_and_ordered_band(model):
    first = estimate(model, patient(321.0, 55.0), M70, "diagnostic")
    assert first == estimate(load_model(), patient(321.0, 55.0), M70, "diagnostic")
    for low, p, high in zip(first.lower, first.probability, first.upper, strict=True):
        assert 0 < low < p < high < 1
    assert list(first.probability) == sorted(first.probability)


@pytest.mark.parametrize(
    ("measured", "who", "qc", "code"),
    [
        (patient(), Covariates(None, "M"), "diagnostic", "RISK_AGE_MISSING"),
        (patient(), Covariates(float("nan"), "M"), "diagnostic", "RISK_AGE_INVALID"),
        (patient(), Covariates(-3, "M"), "diagnostic", "RISK_AGE_INVALID"),
        (patient(), Covariates(6.1, "M"), "diagnostic", "RISK_AGE_INVALID"),
        (patient(), Covariates(732, "M"), "diagnostic", "RISK_AGE_INVALID"),
        (patient(), Covariates(60, None), "diagnostic", "RISK_SEX_MISSING"),
        (patient(), Covariates(60, "O"), "diagnostic", "RISK_SEX_MISSING"),
        (patient(), M60, "non_diagnostic", "RISK_QC"),
        (patient(), M60, "", "RISK_QC"),
        (patient(lower_bound=True), M60, "diagnostic", "RISK_LOWER_BOUND"),
        (PatientMeasures(), M60, "diagnostic", "RISK_PLAQUE_MISSING"),
        (patient(stenosis=None), M60, "diagnostic", "RISK_STENOSIS_MISSING"),
    ],
)
def test_no_risk_without_what_it_needs(model, measured, who, qc, code):
    with pytest.raises(Refused) as caught:
        estimate(model, measured, who, qc)
    assert caught.value.reason.code == code
    assert caught.value.reason.text and caught.value.reason.next_step


def test_out_of_range_is_clamped_and_said(model):
    old = estimate(model, patient(5000.0), Covariates(97, "F"), "diagnostic")
    edge = estimate(model, patient(1500.0), Covariates(85, "F"), "diagnostic")
    assert old.probability == edge.probability
    codes = {w.code for w in old.warnings} - {w.code for w in edge.warnings}
    assert codes == {"RISK_PLAQUE_MM3_OUT_OF_RANGE", "RISK_AGE_YEARS_OUT_OF_RANGE"}


def test_unknown_risk_factors_are_average_and_said(model):
    codes = {w.code for w in estimate(model, patient(), M60, "diagnostic").warnings}
    assert codes == {"RISK_DIABETES_UNKNOWN", "RISK_HYPERTENSION_UNKNOWN"}
    known = Covariates(60, "M", diabetes=False, hypertension=True)
    assert estimate(model, patient(), known, "diagnostic").warnings == ()
    limited = estimate(model, patient(), known, "limited").warnings
    assert [w.code for w in limited] == ["RISK_QC_LIMITED"]


def test_limits_and_hash_travel_with_every_estimate(model):
    risk = estimate(model, patient(), M60, "diagnostic")
    assert [text[:3] for text in risk.limits] == [f"({c})" for c in "abcdefgh"]
    assert risk.model_sha256 == hashlib.sha256(DEFAULT_MODEL.read_bytes()).hexdigest()
    shown = "\n".join(describe_estimate(risk))
    told = "\n".join(describe_model(model))
    for text in risk.limits:
        assert text in shown and text in told
    for out in (shown, told):
        assert "Research use only" in out
    assert "5 y:" in shown and "RISK_DIABETES_UNKNOWN" in shown


def test_no_vessel_has_a_risk():
    assert not any("risk" in f.name or "prob" in f.name for f in fields(VesselMeasures))
    assert {t.input for t in load_model().terms} <= set(INPUTS)


def test_a_model_of_another_segmenter_is_refused(model):
    bound = replace(model, segmenter_sha256="a" * 64)
    with pytest.raises(Refused, match="RISK_SEGMENTER_MISMATCH"):
        estimate(bound, patient(), M60, "diagnostic", "b" * 64)
    assert estimate(bound, patient(), M60, "diagnostic", "a" * 64).probability


@pytest.mark.parametrize(
    "break_it",
    [
        lambda d: d.pop("terms"),
        lambda d: d.update(schema="other/1"),
        lambda d: d["terms"][0]["transform"].update(kind="cubic"),
        lambda d: d["terms"][0].update(range=[5, 1]),
        lambda d: d["terms"][0].update(coefficient=float("nan")),
        lambda d: d["baseline"].update(cumulative_hazard=[0.1, 0.2]),
        lambda d: d["baseline"].update(cumulative_hazard=[0.5, 0.4, 0.3, 0.2, 0.1]),
        lambda d: d.update(covariance=[[1.0]]),
        lambda d: d.update(limits=[]),
    ],
)
def test_a_broken_model_is_refused_in_one_sentence(tmp_path, break_it):
    data = json.loads(DEFAULT_MODEL.read_text("utf-8"))
    break_it(data)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(Refused) as caught:
        load_model(path)
    assert caught.value.reason.code == "RISK_MODEL_INVALID"


def test_missing_and_garbled_files_are_refused(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(Refused, match="RISK_MODEL_INVALID"):
        load_model(path)
    path.write_bytes(b"\xff\x00 not json")
    with pytest.raises(Refused, match="RISK_MODEL_INVALID"):
        load_model(path)
    path.write_text("[1, 2]", "utf-8")
    with pytest.raises(Refused, match="RISK_MODEL_INVALID"):
        load_model(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_predictions_are_those_of_lifelines():
    """A model fitted by lifelines and written in our form predicts what lifelines predicts."""
    lifelines = pytest.importorskip("lifelines")
    from lifelines.datasets import load_rossi

    table = load_rossi()
    fitted = lifelines.CoxPHFitter().fit(table, "week", "arrest")
    names = list(fitted.params_.index)
    times = fitted.baseline_cumulative_hazard_.index.to_numpy()[::6]
    hazard = fitted.baseline_cumulative_hazard_.loc[times].iloc[:, 0].tolist()
    covariance = np.zeros((len(names) + 1,) * 2)
    covariance[:-1, :-1] = fitted.variance_matrix_.to_numpy()
    center = table[names].mean()
    data = {
        "schema": "plaque-edge/risk-model/1",
        "name": "rossi",
        "version": "1",
        "endpoint": "arrest",
        "terms": [
            {
                "name": name,
                "input": name,
                "transform": {"kind": "linear", "center": float(center[name]), "scale": 1.0},
                "coefficient": float(fitted.params_[name]),
                "se": float(fitted.standard_errors_[name]),
                "range": [float(table[name].min()), float(table[name].max())],
                "unknown": "refuse",
            }
            for name in names
        ],
        "baseline": {
            "horizons_years": times.tolist(),
            "cumulative_hazard": hazard,
            "se_log": 0.0,
        },
        "covariance": covariance.tolist(),
        "limits": ["test only"],
    }
    model = parse_model(data, "0" * 64)
    people = table.sample(25, random_state=1)
    wanted = 1 - fitted.predict_survival_function(people, times=times).to_numpy()
    for i in range(len(people)):
        person = {name: float(people[name].iloc[i]) for name in names}
        who = predictor(model, person)
        got, lower, upper = risk_band(model, who)
        assert got == pytest.approx(tuple(wanted[:, i]), rel=1e-9, abs=1e-12)
        x = np.array(who.values)
        se = np.sqrt(x @ fitted.variance_matrix_.to_numpy() @ x)
        spread = np.log(np.log1p(-upper[-1]) / np.log1p(-lower[-1]))
        assert spread == pytest.approx(2 * 1.959964 * se, rel=1e-5)
