"""The figures of the evaluation: intervals, pairs, families, goals, and going on after a stop."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from plaque_edge.errors import Refused
from plaque_edge.evaluate import command
from plaque_edge.evaluate.curves import curves, write_curves
from plaque_edge.evaluate.families import FULL, scans
from plaque_edge.evaluate.figures import figures, relative_error
from plaque_edge.evaluate.goals import GOALS
from plaque_edge.evaluate.report import markdown, worst, write_plots
from plaque_edge.evaluate.shares import bootstrapped, share

PARTS = ("plaque", "calcified", "noncalcified", "low_attenuation", "lumen", "vessel")


def row(seed: int, truth: float, measured: float | None, family="standard", preset="test") -> dict:
    status = "ready" if measured is not None else "not_analysable"
    volumes = {f"{p}_mm3": truth for p in PARTS}
    found = {f"{p}_mm3": measured for p in PARTS} | {
        "status": "not_analysable" if measured is None else "analysed",
        "lower_bound": measured is None,
        "intervals_95": measured
        and {f"{p}_mm3": [0.8 * measured, 1.08 * measured] for p in PARTS[1:]},
    }
    vessel = {
        "truth": volumes | {"max_diameter_stenosis_percent": 40.0 + seed % 3 * 10},
        "measured": found | {"max_diameter_stenosis_percent": None if measured is None else 48.0},
    }
    out = {
        "key": f"{family}-{seed}-{preset}",
        "family": family,
        "preset": preset,
        "generator": "first",
        "seed": seed,
        "status": status,
        "reasons": [],
        "truth": volumes,
        "measured": found,
        "vessels": dict.fromkeys(("LM", "LAD", "LCX", "RCA"), vessel),
        "scan": {
            "noise_hu": 10.0 + seed,
            "psf_mm": 0.5,
            "slice_mm": 0.5,
            "aorta_hu": 400.0,
            "motion": seed % 2 == 0,
        },
        "model": {"sha256": "a" * 64, "calibration": {}},
        "quality": None,
        "seconds": 10.0 + seed,
        "peak_mb": 900,
    }
    if measured is not None:
        out["tree"] = {"recall": 0.9, "precision": 0.8, "names": 1.0, "distance_mm": 0.2}
        keys = ("overlap", "until_first_error", "relevant", "inside_mm")
        out["rotterdam"] = {"LAD": dict.fromkeys(keys, 0.5)}
    return out


def test_wilson_is_scipys():
    found = share([True] * 17 + [False] * 3)
    expected = binomtest(17, 20).proportion_ci(method="wilson")
    assert found["interval"] == pytest.approx([expected.low, expected.high], abs=1e-4)


def test_bootstrap_of_a_mean_is_that_of_the_normal_for_many():
    x = np.random.default_rng(3).normal(5, 2, 400)
    found = bootstrapped(x, lambda v: float(v.mean()))
    half = 1.96 * x.std(ddof=1) / 20
    assert found["interval"] == pytest.approx([x.mean() - half, x.mean() + half], abs=0.03)


def test_relative_error_is_of_volumes_above_50():
    assert relative_error([(110, 100), (60, 80), (40, 10)])["value"] == pytest.approx(17.5)


def test_what_is_not_analysed_counts_but_is_never_zero():
    rows = [row(i, 100.0 * i, 90.0 * i) for i in range(1, 6)] + [row(9, 300.0, None)]
    found = figures(rows)
    assert found["analysed_without_a_person"]["value"] == pytest.approx(5 / 6)
    assert found["patient_plaque_mm3"]["n"] == 5
    assert found["patient_plaque_mm3"]["slope"] == pytest.approx(0.9)
    assert found["vessel_plaque_mm3"]["n"] == 20
    assert worst(rows, 1)[0]["seed"] == 9


def test_a_lower_bound_counts_as_it_is_and_is_told_apart():
    rows = [row(i, 100.0 * i, 90.0 * i) for i in range(1, 6)]
    rows[4]["measured"] |= {"lower_bound": True, "plaque_mm3": 100.0}
    found = figures(rows)
    assert found["patient_plaque_mm3"]["n"] == 5
    assert found["patient_plaque_mm3"]["slope"] < 0.6
    assert found["patient_plaque_whole_mm3"]["n"] == 4
    assert found["patient_plaque_whole_mm3"]["slope"] == pytest.approx(0.9)
    assert found["measured_whole"]["value"] == pytest.approx(0.8)
    assert "plaque of patients measured whole | 4 |" in markdown(found, "x", rows)


def test_the_side_of_50_percent():
    # Measured 48 everywhere; the truth is 40, 50 and 60.
    found = figures([row(i, 100.0 * i, 90.0 * i) for i in range(3, 9)])
    assert found["stenosis"]["right_side_of_50"]["value"] == pytest.approx(1 / 3)
    assert found["stenosis"]["error_points"]["value"] == pytest.approx((8 + 2 + 12) / 3)


def test_second_scans_count_for_repeatability_only():
    rows = []
    for i in range(1, 6):
        rows += [
            row(i, 100.0 * i, 100.0 * i, "rescan", "first"),
            row(i, 100.0 * i, 104.0 * i, "rescan", "rescan"),
        ]
    found = figures(rows)
    assert found["patients"] == 5
    assert found["patient_plaque_mm3"]["slope"] == pytest.approx(1.0)
    assert found["rescan"]["pairs"] == 5
    # 4 % apart: SD of a pair 4 / sqrt(2) over a mean of 102
    assert found["rescan"]["cv_percent"] == pytest.approx(100 * 0.04 / np.sqrt(2) / 1.02)


def test_false_plaque_of_plaque_free_patients():
    rows = [row(i, 0.0, float(i)) for i in range(1, 5)] + [row(9, 300.0, 300.0)]
    found = figures(rows)["plaque_free"]
    assert found["patients"] == 4
    assert found["p95_mm3"]["value"] == pytest.approx(np.percentile([1, 2, 3, 4], 95))


def test_how_often_intervals_hold():
    """Measured 0.9 of the truth with an interval up to 0.97 of it, or all of it, up to 1.08."""
    rows = [row(i, 100.0, 90.0 if i < 4 else 100.0) for i in range(1, 11)] + [row(11, 50.0, None)]
    found = figures(rows)["intervals"]
    patient = found["patient"]["calcified"]["all"]
    assert patient["held"]["value"] == pytest.approx(0.7)
    assert patient["held"]["interval"] == pytest.approx(
        list(binomtest(7, 10).proportion_ci(method="wilson")), abs=1e-4
    )
    assert patient["half_width_mm3"] == pytest.approx(0.14 * 100)
    assert patient["without"] == 0
    assert found["vessel"]["calcified"]["all"]["held"]["n"] == 40
    assert found["patient"]["plaque"]["all"]["held"]["n"] == 0
    assert found["patient"]["plaque"]["all"]["without"] == 10
    assert found["patient"]["calcified"]["classes"] == []  # no file of these networks
    text = markdown(figures(rows), "a test", rows)
    assert "| calcified per patient | all | 70 % (40 to 89), n 10 | 14.0 | 0 | **missed** |" in text


def test_every_goal_is_in_the_text(tmp_path):
    rows = [row(i, 100.0 * i, 90.0 * i + i % 2) for i in range(1, 6)]
    text = markdown(figures(rows), "a test", rows)
    for goal in GOALS:
        assert goal.name in text
    assert "not a medical device" in text
    assert "phantoms" in text
    assert all(
        p.read_text().startswith("<svg")
        for p in (*write_plots(rows, tmp_path), *write_curves(rows, tmp_path))
    )


def test_error_by_condition():
    # Measured 0.9 of the truth where the seed is odd, all of it where it is even (and moving).
    rows = [row(i, 100.0, 90.0 if i % 2 else 100.0) for i in range(1, 9)]
    found = curves(rows)
    still, moving = found["motion"]
    assert still["error_percent"]["value"] == pytest.approx(-100 * 10 / 150)
    assert moving["error_percent"]["value"] == 0
    assert [b["from"] for b in found["noise_hu"]] == [11, 13, 15, 17]


def test_each_patient_has_a_seed_of_their_own():
    chosen = list(scans(FULL, 100))
    assert len({s.key for s in chosen}) == len(chosen) == 74
    assert len({s.seed for s in chosen}) == sum(FULL.values()) == 64
    assert min(s.seed for s in chosen) == 3_000_100


def test_a_family_may_begin_at_a_seed_of_its_own():
    parse = command._parser().parse_args
    chosen = command._chosen(parse(["--family", "soft=2@7", "--family", "rescan=1@3"]))
    assert [s.key for s in chosen] == [
        "soft-3000007-soft",
        "soft-3000008-soft",
        "rescan-3000003-test",
        "rescan-3000003-rescan",
    ]
    one_after_the_other = command._chosen(parse(["--family", "soft=2", "--family", "photon=1"]))
    assert [s.seed for s in one_after_the_other] == [3_000_000, 3_000_001, 3_000_002]


def test_a_stopped_evaluation_goes_on(tmp_path, monkeypatch, capsys):
    asked = []

    def evaluate_one(scan, _engine, _keep):
        asked.append(scan.seed)
        return row(scan.seed % 100, 100.0 * (scan.seed % 100), 90.0 * (scan.seed % 100))

    monkeypatch.setattr(command, "evaluate_one", evaluate_one)
    arguments = ["--count", "4", "--first", "1", "--keep", str(tmp_path / "kept")]
    assert command.main([*arguments, "--json", str(tmp_path / "a.json")]) == 0
    assert command.main([*arguments, "--json", str(tmp_path / "b.json")]) == 0
    assert asked == [3_000_001, 3_000_002, 3_000_003, 3_000_004]
    first, second = (json.loads((tmp_path / n).read_text()) for n in ("a.json", "b.json"))
    assert first["figures"] == second["figures"]
    assert (tmp_path / "a.md").read_text().startswith("4 patients, 4 scans")
    kept = next((tmp_path / "kept").glob("*.json"))
    other = json.loads(kept.read_text()) | {"model": {"sha256": "b" * 64, "calibration": {}}}
    kept.write_text(json.dumps(other))
    with pytest.raises(Refused, match="EVALUATION_MIXED"):
        command.main([*arguments, "--json", str(tmp_path / "c.json")])
