"""Risk on a site's table: R's survival, planted hazards, the commands, and every bad table."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plaque_edge.cli import main
from plaque_edge.risk_proofs import planted, r_survival

TERMS = ", ".join(planted.NAMES)
WORDS = ["--endpoint", "simulated", "--population", "nobody"]
SHA = "a" * 64


def write(path: Path, columns: dict[str, list[object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def cohort(n: int = 1500, seed: int = 5) -> dict[str, list[object]]:
    drawn = planted.draw(np.random.default_rng(seed), n)
    columns: dict[str, list[object]] = {"patient_id": [f"p{i}" for i in range(n)]}
    columns |= {name: x.tolist() for name, x in drawn.items()}
    columns["event"] = drawn["event"].astype(int).tolist()
    columns["sex"] = ["M" if m else "F" for m in columns.pop("male")]
    return columns | {"segmenter_sha256": [SHA] * n}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    data = str(write(folder / "data.csv", cohort()))
    fit = ["--data", data, "--terms", TERMS, "--penalty", "0", "--bootstrap", "5"]
    assert main(["risk", "fit", *fit, *WORDS, "--out", str(folder / "m.json")]) == 0
    return folder


def refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["risk", *command]) == 2
    out, err = capsys.readouterr()
    code, rest = err.split(": ", 1)
    assert out == "" and rest.count(". ") >= 1, "a sentence and a next step, and no number"
    return code


@pytest.mark.parametrize("tied", [False, True])
def test_every_figure_is_that_of_r(tied):
    if shutil.which("Rscript") is None:
        text = "Rscript is not installed (Debian: r-base-core, r-cran-survival)"
        pytest.fail(text) if os.environ.get("PLAQUE_EDGE_REAL_PEERS") == "1" else pytest.skip(text)
    drawn = planted.draw(np.random.default_rng(1), 600)
    z = planted.terms(*(drawn[k] for k in list(drawn)[:4]))
    time = np.ceil(drawn["time_years"] * 4) / 4 if tied else drawn["time_years"]
    found = r_survival.compare(z, time, drawn["event"] == 1, np.array([1.0, 3.0, 5.0]))
    assert len(found) == 14 and max(found.values()) < r_survival.TOLERANCE


def test_planted_hazards_are_covered_as_often_as_the_intervals_say():
    found = planted.repeat(40, 800, seed=3)
    low, high = planted.expected_range(40)
    assert all(low <= c <= high for c in found["coverage"].values())


def test_a_fit_brings_back_what_was_planted(site):
    model = json.loads((site / "m.json").read_text())
    for term, true in zip(model["terms"], planted.PLANTED, strict=True):
        assert abs(term["coefficient"] - true) < 3 * term["se"], term["name"]
    assert model["segmenter_sha256"] == SHA and model["fit"]["events"] >= 100
    assert model["baseline"]["horizons_years"] == [1, 2, 3, 4, 5]


def test_recalibration_finds_a_level_three_times_higher(site):
    data = str(write(site / "r.csv", cohort(900, 8)))
    columns = cohort(900, 8)
    for name in ("diabetes", "hypertension"):
        columns[name] = [""] * 900
    write(Path(data), columns)
    out = site / "r.json"
    assert main(["risk", "recalibrate", "--data", data, *WORDS, "--out", str(out)]) == 0
    model = json.loads(out.read_text())
    level, se = model["baseline"]["cumulative_hazard"][-1], model["baseline"]["se_log"]
    assert abs(np.log(level / (5 * planted.HAZARD_PER_YEAR))) < 3 * se
    assert abs(model["fit"]["slope"] - 1) < 3 * model["fit"]["slope_se"]


def test_evaluation_of_new_patients_and_of_those_it_was_fitted_on(site, capsys):
    new = write(site / "new.csv", cohort(900, 6) | {"scanner": ["A", "B", "C"] * 300})
    command = ["risk", "evaluate", "--model", str(site / "m.json"), "--bootstrap", "50"]
    report, figures = site / "report.html", site / "e.json"
    out = ["--report", str(report), "--json", str(figures)]
    assert main([*command, "--data", str(new), *out]) == 0
    found = json.loads(figures.read_text())
    last = found["horizons"][-1]
    low, high = found["slope"]["interval"]
    assert low < 1 < high and last["ratio"]["interval"][0] < 1 < last["ratio"]["interval"][1]
    assert {"scanner: A", "male: yes", "age below 65"} <= {s["name"] for s in found["subgroups"]}
    text = report.read_text()
    assert text.count("<svg") == 2 * len(found["horizons"]) and "Research use only" in text
    assert text.count('<span class="open">open</span></td>') >= 20, "authors' items stay open"
    capsys.readouterr()
    assert main([*command, "--data", str(site / "data.csv")]) == 0
    assert "fitted on this very table" in capsys.readouterr().out


def test_yes_or_no_without_times_is_an_auc_and_said_to_be(site, capsys):
    columns = cohort(400, 9)
    columns.pop("time_years")
    data = write(site / "binary.csv", columns)
    command = ["risk", "evaluate", "--data", str(data), "--outcome-at", "2", "--bootstrap", "50"]
    assert main([*command, "--score", "plaque_mm3", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    e, x = np.array(columns["event"]) == 1, np.array(columns["plaque_mm3"], float)
    pairs = x[e][:, None] - x[~e][None, :]
    assert found["harrell"]["value"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert found["slope"] is None and "Only yes or no" in found["notes"][0]


def test_apply_says_its_interval_and_refuses_what_it_lacks(site, capsys):
    model = ["apply", "--model", str(site / "m.json")]
    values = ["--value", "plaque_mm3=200", "--value", "max_diameter_stenosis_percent=30"]
    whole = [*values, "--age", "61", "--sex", "M"]
    assert refused([*model, *whole], capsys) == "RISK_SEGMENTER_MISMATCH"
    assert main(["risk", "apply", *whole]) == 0
    assert "95 % band" in capsys.readouterr().out
    assert refused(["apply", *values, "--sex", "F"], capsys) == "RISK_AGE_MISSING"
    assert refused(["apply", *values, "--age", "61"], capsys) == "RISK_SEX_MISSING"
    assert refused(["apply", *values, "--age", "610"], capsys) == "RISK_AGE_INVALID"
    assert refused(["apply", "--value", "plaque_mm3=-1"], capsys) == "RISK_VALUE_INVALID"
    assert refused(["apply", "--value", "plaque"], capsys) == "RISK_VALUE_INVALID"
    assert refused(["apply", "--value", "plaque_mm3=0.25"], capsys) == "RISK_VALUE_UNITS"
    fraction = "max_diameter_stenosis_percent=0.7"
    assert refused(["apply", "--value", fraction], capsys) == "RISK_VALUE_UNITS"
    assert refused(["apply", str(site / "data.csv")], capsys) == "RESULT_UNREADABLE"


def measured(**changes: object) -> dict[str, Any]:
    """A result.json with what a risk needs."""
    return {
        "patient": {"plaque_mm3": 200.0, "max_diameter_stenosis_percent": 30.0},
        "covariates": {"age_years": 61, "sex": "M"},
        "software": {"model": {"sha256": SHA}},
        "qc": {"verdict": "diagnostic"},
        "reasons": [],
    } | changes


def test_a_result_that_says_no_risk_gets_none_by_hand_either(site, tmp_path, capsys):
    treated = {"code": "RISK_TREATED", "text": "A stent.", "next_step": "Ask."}
    results = {
        "RISK_TREATED": measured(reasons=[treated]),
        "RISK_QC": measured(qc={"verdict": "non_diagnostic"}, software={"model": None}),
        "RISK_LOWER_BOUND": measured(patient=measured()["patient"] | {"lower_bound": True}),
        "RISK_SEGMENTER_MISMATCH": measured(software={"model": {"sha256": "b" * 64}}),
        "RESULT_UNREADABLE": {"patient": {}},
    }
    path = tmp_path / "result.json"
    command = ["apply", str(path), "--model", str(site / "m.json")]
    for code, data in results.items():
        path.write_text(json.dumps(data))
        assert refused(command, capsys) == code
    path.write_text(json.dumps(measured()))
    assert main(["risk", *command]) == 0


def test_a_horizon_before_the_first_event_has_no_baseline(tmp_path, capsys):
    columns = cohort(1200, 12)
    columns["time_years"] = [t + 1.2 for t in columns["time_years"]]
    data = str(write(tmp_path / "late.csv", columns))
    out = tmp_path / "m.json"
    start = ["--data", data, *WORDS, "--out", str(out)]
    fit = ["risk", "fit", *start, "--terms", TERMS, "--penalty", "0", "--bootstrap", "3"]
    assert main([*fit, "--horizons", "1,3"]) == 0
    assert json.loads(out.read_text())["baseline"]["horizons_years"] == [3]
    capsys.readouterr()
    capsys.readouterr()
    again = ["recalibrate", *start, "--model", str(out), "--horizons", "1"]
    assert refused(again, capsys) == "RISK_FOLLOW_UP_SHORT"


def test_a_model_that_says_no_risk_at_all_is_judged_not_divided_by(site, tmp_path):
    model = json.loads((site / "m.json").read_text())
    model["baseline"]["cumulative_hazard"][0] = 0.0
    (tmp_path / "zero.json").write_text(json.dumps(model))
    figures = tmp_path / "e.json"
    command = ["risk", "evaluate", "--data", str(site / "data.csv"), "--bootstrap", "41"]
    command += ["--model", str(tmp_path / "zero.json"), "--horizons", "1,5"]
    command += ["--report", str(tmp_path / "r.html"), "--json", str(figures)]
    assert main(command) == 0
    first, last = json.loads(figures.read_text())["horizons"]
    assert first["ratio"]["expected"] == 0
    assert first["ratio"]["ratio"] is None
    assert last["ratio"]["ratio"] == pytest.approx(1, abs=0.2)


def change(name: str, values: object, rows: slice = slice(None)):
    def edit(columns: dict[str, list[object]]) -> None:
        n = len(columns["event"])
        column = np.array(columns.get(name, [""] * n), object)
        column[rows] = values
        columns[name] = column.tolist()

    return edit


FEW = slice(0, 3)


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (change("patient_id", "", FEW), "TABLE_PATIENT_MISSING"),
        (change("patient_id", "p1", FEW), "TABLE_PATIENT_DUPLICATE"),
        (change("event", 2, FEW), "RISK_TABLE_EVENT"),
        (change("time_years", 0, FEW), "RISK_TABLE_TIME"),
        (change("time_years", 900), "RISK_TABLE_UNITS"),
        (change("time_days", 900), "RISK_TABLE_TIME"),
        (change("age_years", 610, FEW), "RISK_TABLE_IMPOSSIBLE"),
        (change("age_years", "60,5", FEW), "TABLE_NUMBER"),
        (change("age_years", 6), "RISK_TABLE_UNITS"),
        (change("age_years", "", slice(0, 1200)), "RISK_TABLE_INCOMPLETE"),
        (change("sex", "X", FEW), "RISK_TABLE_IMPOSSIBLE"),
        (change("plaque_mm3", 0.3), "RISK_TABLE_UNITS"),
        (change("max_diameter_stenosis_percent", 0.3), "RISK_TABLE_UNITS"),
        (change("segmenter_sha256", "b", FEW), "RISK_TABLE_SEGMENTERS"),
        (change("event", 0, slice(0, 1400)), "RISK_EVENTS_TOO_FEW"),
        (change("sex", "M"), "RISK_FIT_UNSTABLE"),
        (lambda c: c.update(sex=["M" if e else "F" for e in c["event"]]), "RISK_SEPARATION"),
        (lambda c: c.pop("segmenter_sha256"), "RISK_SEGMENTER_MISSING"),
        (lambda c: c.pop("age_years"), "TABLE_COLUMN_MISSING"),
    ],
)
def test_a_table_that_gives_no_honest_model_is_refused(tmp_path, capsys, edit, code):
    columns = cohort()
    edit(columns)
    data = write(tmp_path / "bad.csv", columns)
    out = tmp_path / "m.json"
    fit = ["fit", "--data", str(data), "--terms", TERMS, *WORDS, "--out", str(out)]
    assert refused(fit, capsys) == code
    assert not out.exists()


def test_a_model_of_another_segmenter_judges_no_table(site, tmp_path, capsys):
    data = write(tmp_path / "x.csv", cohort(300) | {"segmenter_sha256": ["b" * 64] * 300})
    command = ["evaluate", "--data", str(data), "--model", str(site / "m.json")]
    assert refused(command, capsys) == "RISK_SEGMENTER_MISMATCH"


def test_words_and_terms_that_are_not_understood(tmp_path, capsys):
    data = str(write(tmp_path / "x.csv", cohort(50)))
    start = ["fit", "--data", data, "--out", str(tmp_path / "m.json")]
    assert refused([*start, "--terms", "age^2", *WORDS], capsys) == "RISK_TERM_UNKNOWN"
    assert refused([*start, "--terms", "age_years"], capsys) == "RISK_WORDS_MISSING"
    horizons = ["--terms", "age_years", *WORDS, "--horizons", "5,1"]
    assert refused([*start, *horizons], capsys) == "RISK_HORIZONS"
