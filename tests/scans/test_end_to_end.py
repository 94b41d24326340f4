"""The whole product on a small synthetic CCTA, with the shipped networks: nothing is replaced.

Numbers are judged widely here, so that only what is broken fails; how good they are is what
``plaque-edge evaluate`` measures.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from whole_scan import Analysed, run

from plaque_edge.evaluate.case import tree_of
from plaque_edge.evaluate.tree_metrics import compare_trees
from plaque_edge.export.result_json import SCHEMA_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.phantom.scene import Phantom


@pytest.fixture(scope="module")
def result(analysed: Analysed) -> dict[str, Any]:
    assert "Traceback" not in analysed.done.stderr
    return analysed.result


def test_the_result_keeps_the_contract(result: dict[str, Any]) -> None:
    jsonschema.validate(result, json.loads(SCHEMA_FILE.read_text()))
    assert result["status"] in ("ready", "review")
    assert "CPU" in result["software"]["provider"]
    assert len(result["software"]["model"]["sha256"]) == 64


def test_vessels_are_found_where_they_are(phantom: Phantom, result: dict[str, Any]) -> None:
    found = compare_trees(phantom.tree, tree_of(result))
    assert found.recall > 0.75
    assert found.names is not None
    assert found.names > 0.9
    assert result["vessels"]["LAD"]["status"] == "analysed"


def test_volumes_are_of_the_right_size(phantom: Phantom, result: dict[str, Any]) -> None:
    truth, measured = phantom.truth["patient"], result["patient"]
    assert measured["plaque_mm3"] == pytest.approx(truth["plaque_mm3"], rel=0.6)
    assert measured["lumen_mm3"] == pytest.approx(truth["lumen_mm3"], rel=0.3)
    assert measured["plaque_mm3"] == pytest.approx(
        sum(v["plaque_mm3"] or 0.0 for v in result["vessels"].values())
    )


def test_risk_takes_age_and_sex_from_the_header(result: dict[str, Any], phantom: Phantom) -> None:
    assert result["covariates"]["age_years"] == phantom.info.age_years
    assert result["covariates"]["sex"] == phantom.info.sex
    if result["qc"]["verdict"] != "non_diagnostic":
        risk = result["risk"]
        assert risk["horizons_years"] == [1, 2, 3, 4, 5]
        assert all(
            low <= p <= high
            for low, p, high in zip(risk["lower"], risk["probability"], risk["upper"], strict=True)
        )


def test_the_demo_ends_in_screens_and_files(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = run("demo", "--headless", "--preset", "small", "--seed", "7", "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "last file to result:" in done.stdout
    assert list((out / "screenshots").glob("*.png"))
    assert list((out / "results").glob("*/report.pdf"))
    data = json.loads(next((out / "results").glob("*/result.json")).read_text(encoding="utf-8"))
    assert data["timing_ms"]["last_file_to_result"] > 0
