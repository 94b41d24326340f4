"""validate: pairing, tables and refusals on made results; the statistics are tested elsewhere."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from plaque_edge.agreement import agreement, repeatability
from plaque_edge.cli import main
from plaque_edge.types import VESSELS
from plaque_edge.validation.cases import COMPONENTS

if TYPE_CHECKING:
    from pathlib import Path

DOUBTFUL = "LOW_ATTENUATION_DOUBTFUL"
SHARES = dict(zip(VESSELS, (0.1, 0.4, 0.2, 0.3), strict=True))


def result(folder: Path, name: str, plaque: float | None, **changes: object) -> None:
    """A result.json with what validate reads."""

    def values(share: float) -> dict[str, float | None]:
        return dict.fromkeys(COMPONENTS, None if plaque is None else share * plaque)

    data = {
        "status": "ready",
        "reasons": [],
        "series": {"series_instance_uid": f"1.2.{name}", "study_instance_uid": f"1.{name}"},
        "scan": {"manufacturer": "ACME", "scanner_model": "One", "kernel": "B40"},
        "software": {"model": {"sha256": "a" * 64}},
        "patient": values(1.0) | {"lower_bound": False, "max_diameter_stenosis_percent": 40.0},
        "vessels": {v: values(SHARES[v]) for v in VESSELS},
    } | changes
    (folder / name).mkdir(parents=True)
    (folder / name / "result.json").write_text(json.dumps(data))


def table(path: Path, rows: list[dict[str, object]]) -> Path:
    columns = list(dict.fromkeys(k for row in rows for k in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    rows: list[dict[str, object]] = []
    for i, plaque in enumerate(rng.gamma(2, 100, 8)):
        result(tmp_path / "results", f"c{i}", float(plaque))
        reference = float(plaque * 1.1 + 5)
        rows.append({"case": f"c{i}", "vessel": "patient", "plaque_mm3": reference})
        rows += [
            {"case": f"1.2.c{i}", "vessel": v, "plaque_mm3": reference * s}
            for v, s in SHARES.items()
        ]
        for row in rows:
            row.setdefault("scanner", "A" if i < 4 else "B")
    table(tmp_path / "ref.csv", rows)
    return tmp_path


def run(study: Path) -> int:
    options = ["--reference", str(study / "ref.csv"), "--out", str(study / "out")]
    return main(["validate", str(study / "results"), *options])


def refused(study: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(study) == 2
    out, err = capsys.readouterr()
    assert out == "" and not (study / "out" / "figures.json").exists()
    code, rest = err.split(": ", 1)
    assert rest.count(". ") >= 1, "a sentence and a next step"
    return code


def test_tables_hold_what_the_statistics_give(study: Path) -> None:
    assert run(study) == 0
    figures = json.loads((study / "out" / "figures.json").read_text())
    rows = {(r["component"], r["level"]): r for r in figures["agreement"]}
    with (study / "out" / "pairs.csv").open() as file:
        pairs = [r for r in csv.DictReader(file) if r["component"] == "plaque_mm3"]
    for level, members in {"patient": ["patient"], "all vessels": VESSELS, "LAD": ["LAD"]}.items():
        chosen = [r for r in pairs if r["vessel"] in members]
        m, r = ([float(p[k]) for p in chosen] for k in ("measured", "reference"))
        assert rows["plaque_mm3", level]["n"] == len(chosen) == 8 * len(members)
        assert rows["plaque_mm3", level]["figures"] == agreement(m, r).as_dict()
    assert rows["plaque_mm3", "patient"]["figures"]["slope"] == pytest.approx(1 / 1.1)
    scanners = [r for r in figures["scanners"] if r["level"] == "patient"]
    assert [(r["scanner"], r["n"]) for r in scanners] == [("A", 4), ("B", 4)]
    text = (study / "out" / "tables.md").read_text()
    assert "Research use only" in text and "By scanner" in text and "| LAD |" in text
    names = {p.name for p in (study / "out").glob("*.svg")}
    assert "reference-plaque-patient-bland-altman-percent.svg" in names and len(names) == 6


def test_what_was_not_measured_is_counted_never_zero(study: Path) -> None:
    result(study / "results", "n1", None, status="not_analysable", reasons=[{"code": "X_Y"}])
    bound = dict.fromkeys(COMPONENTS, 5.0) | {"lower_bound": True}
    result(study / "results", "n2", 50.0, patient=bound)
    result(study / "results", "n3", 50.0)
    more = [{"case": c, "vessel": "patient", "plaque_mm3": 60} for c in ("n1", "n2", "gone")]
    with (study / "ref.csv").open("a", newline="") as file:
        csv.DictWriter(file, ["case", "vessel", "plaque_mm3", "scanner"]).writerows(more)
    half = {v: dict.fromkeys(COMPONENTS, 5.0) | {"status": "analysed"} for v in VESSELS}
    half["LCX"]["status"] = "partial"
    result(study / "results", "n4", 50.0, vessels=half, reasons=[{"code": DOUBTFUL}])
    more = [{"case": "n4", "vessel": v, "plaque_mm3": 6, "low_attenuation_mm3": 1} for v in VESSELS]
    lines = (study / "ref.csv").read_text().splitlines()
    rows = [*csv.DictReader(lines), *more]
    table(study / "ref.csv", [{"low_attenuation_mm3": ""} | r for r in rows])
    assert run(study) == 0
    figures = json.loads((study / "out" / "figures.json").read_text())
    assert figures["agreement"][0]["n"] == 8
    n = {r["level"]: r["n"] for r in figures["agreement"] if r["component"] == "plaque_mm3"}
    assert (n["LCX"], n["LAD"]) == (8, 9)
    assert not [r for r in figures["agreement"] if r["component"] == "low_attenuation_mm3"]
    notes = "\n".join(figures["notes"])
    for said in (
        "1 cases of the reference have no result: gone",
        "1 results have no reference: n3",
        "n1 is not_analysable: X_Y",
        "Not measured: 1",
        "Only a lower bound was measured: 3",
        "Low attenuation that can't be told in its scan: 3",
    ):
        assert said in notes


def test_repeats_are_paired_by_name(tmp_path: Path) -> None:
    rng, rows, first, second = np.random.default_rng(4), [], [], []
    for i in range(5):
        a, b = 100.0 + 40 * i, 100.0 + 40 * i + float(rng.normal(0, 6))
        result(tmp_path / "results", f"a{i}", a)
        result(tmp_path / "results", f"b{i}", b)
        rows.append({"case": f"b{i}", "repeat_of": f"a{i}"})
        first.append(a)
        second.append(b)
    table(tmp_path / "ref.csv", rows)
    assert run(tmp_path) == 0
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    row = figures["repeatability"][0]
    wanted = repeatability(first, second)
    assert (row["component"], row["level"], row["n"]) == ("plaque_mm3", "patient", 5)
    assert row["within_sd"] == pytest.approx(wanted.within_sd)
    assert row["cv_percent"] == pytest.approx(wanted.cv_percent)
    assert not figures["agreement"]


def test_fewer_than_three_pairs_give_words_not_figures(tmp_path: Path) -> None:
    for i in range(2):
        result(tmp_path / "results", f"c{i}", 100.0)
    rows = [{"case": f"c{i}", "plaque_mm3": 90} for i in range(2)]
    table(tmp_path / "ref.csv", rows)
    assert run(tmp_path) == 0
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["agreement"][0]["figures"] is None
    assert "fewer than 3 pairs" in (tmp_path / "out" / "tables.md").read_text()


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([{"case": "c1", "plaque_mm3": x} for x in (5, 6)], "VALIDATE_CASE_DUPLICATE"),
        ([{"case": "", "plaque_mm3": 5}], "VALIDATE_CASE_MISSING"),
        ([{"case": "c1", "plaque_mm3": -5}], "VALIDATE_IMPOSSIBLE"),
        ([{"case": "c1", "max_diameter_stenosis_percent": 120}], "VALIDATE_IMPOSSIBLE"),
        ([{"case": "c1", "plaque_mm3": "12,5"}], "TABLE_NUMBER"),
        ([{"case": "c1", "plaque": 5}], "TABLE_COLUMN_MISSING"),
        ([{"patient": "c1", "plaque_mm3": 5}], "TABLE_COLUMN_MISSING"),
        ([{"case": "c1", "vessel": "LIMA", "plaque_mm3": 5}], "VALIDATE_VESSEL"),
        ([{"case": "elsewhere", "plaque_mm3": 5}], "VALIDATE_NO_PAIRS"),
        ([{"case": f"c{i}", "plaque_mm3": 0.1 + i / 10} for i in range(8)], "VALIDATE_UNITS"),
        ([{"case": f"c{i}", "max_diameter_stenosis_percent": 0.4 + i / 20} for i in range(8)],
         "VALIDATE_UNITS"),
    ],
)  # fmt: skip
def test_a_table_that_cant_be_meant_so_is_refused(study, capsys, rows, code):
    table(study / "ref.csv", rows)
    assert refused(study, capsys) == code


def test_results_of_two_models_are_not_one_study(study, capsys):
    result(study / "results", "other", 50.0, software={"model": {"sha256": "b" * 64}})
    assert refused(study, capsys) == "VALIDATE_MODELS_MIXED"


def test_broken_input_is_refused(study, capsys):
    (study / "results" / "c1" / "result.json").write_text("{}")
    assert refused(study, capsys) == "VALIDATE_RESULT"
    (study / "ref.csv").write_bytes(b"\xff\xfe\x00")
    assert refused(study, capsys) == "TABLE_UNREADABLE"
    assert main(["validate", "--out", str(study / "out")]) == 2
    assert capsys.readouterr().err.startswith("VALIDATE_OPTION: ")


def kept(folder: Path, family: str, seed: int, measured: float | None, **changes) -> None:
    """A row as the evaluation keeps it; ``measured`` is 1.1 times the truth where it is one."""
    true = 100.0 + seed % 100 * 10
    names = [c for c in COMPONENTS if c.endswith("_mm3")]
    patient = dict.fromkeys(names, true)
    vessel = patient | {"max_diameter_stenosis_percent": 40.0 + seed % 7}
    found = dict.fromkeys(COMPONENTS, measured and measured * true)
    row = {
        "family": family,
        "preset": "test",
        "seed": seed,
        "status": "ready" if measured else "not_analysable",
        "reasons": [] if measured else ["QC_NOISE"],
        "truth": patient,
        "measured": found | {"lower_bound": False},
        "vessels": {key: {"truth": vessel, "measured": found} for key in VESSELS},
        "model": {"sha256": "a" * 64, "calibration": {}, "version": "9"},
    } | changes
    row["key"] = f"{family}-{seed}-{row['preset']}"
    folder.mkdir(exist_ok=True)
    (folder / f"{row['key']}.json").write_text(json.dumps(row))


def test_the_papers_four_tables_come_from_kept_rows(tmp_path, capsys):
    rows, rng, again = tmp_path / "kept", np.random.default_rng(2), {}
    for i in range(6):
        kept(rows, "standard", 3_000_000 + i, 1.1)
        kept(rows, "noisy", 3_000_010 + i, 1.3)
        kept(rows, "soft", 3_000_020 + i, 0.7)
        seed = 3_000_030 + i
        again[seed] = (1.0, float(rng.normal(1.0, 0.1)))
        for preset, factor in zip(("test", "rescan"), again[seed], strict=True):
            kept(rows, "rescan", seed, factor, preset=preset)
    kept(rows, "standard", 3_000_009, None)
    command = ["validate", "--phantoms", str(rows), "--out", str(tmp_path / "out")]
    assert main([*command, "--debug"]) == 0
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert "not patients" in figures["source"] and figures["model_sha256"] == "a" * 64
    sets = figures["sets"]
    assert list(sets) == ["ivus", "scanners", "repeat", "photon"]

    plaque = sets["ivus"]["agreement"][0]
    true = [100.0 + 10 * i for i in range(6)]
    wanted = agreement([1.1 * t for t in true], true).as_dict()
    assert (plaque["component"], plaque["level"], plaque["n"]) == ("plaque_mm3", "patient", 6)
    assert plaque["figures"]["bias"] == pytest.approx(wanted["bias"])
    assert plaque["figures"]["icc_a1"] == pytest.approx(wanted["icc_a1"])
    assert any("3000009-test is not_analysable: QC_NOISE" in n for n in sets["ivus"]["notes"])

    by_scanner = {r["scanner"]: r for r in sets["scanners"]["scanners"] if r["level"] == "patient"}
    assert by_scanner["noisy"]["figures"]["slope"] == pytest.approx(1.3)
    assert by_scanner["soft"]["figures"]["slope"] == pytest.approx(0.7)

    first = [a * (100.0 + seed % 100 * 10) for seed, (a, _) in again.items()]
    second = [b * (100.0 + seed % 100 * 10) for seed, (_, b) in again.items()]
    repeat = sets["repeat"]["repeatability"][0]
    assert repeat["n"] == 6 and not sets["repeat"]["agreement"]
    assert repeat["within_sd"] == pytest.approx(repeatability(first, second).within_sd)
    assert "12 scans" in sets["repeat"]["notes"][0] and len(sets["repeat"]["notes"]) == 1

    assert sets["photon"]["notes"] == ["Not measured: no scan of the family photon was kept."]
    text = (tmp_path / "out" / "tables.md").read_text()
    assert "Research use only" in text and text.count("\n## ") == 4
    assert (tmp_path / "out" / "ivus-reference-plaque-patient-scatter.svg").is_file()
    kept(rows, "photon", 3_000_050, 1.0, model={"sha256": "b" * 64, "calibration": {}})
    capsys.readouterr()
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("EVALUATION_MIXED: ")


@pytest.mark.parametrize("content", [None, "{", "[]", '{"key": "x"}'])
def test_what_is_no_kept_row_is_refused(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "row.json").write_text(content)
    assert main(["validate", "--phantoms", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert capsys.readouterr().err.startswith("EVALUATION_ROWS: ")
