"""The self-test: expected is what the shipped weights measured; others are held to the truth."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from engines import read_manifest
from engines.manifest import models_sha256
from plaque_edge.selftest_cmd import EXPECTED, compare
from plaque_edge.types import VESSELS

TRUTH = {"vessels": {v: {"plaque_mm3": 100.0} for v in VESSELS}}
SHIPPED = {"model_sha256": "a", "plaque_mm3": {**dict.fromkeys(VESSELS, 60.0), "patient": 240.0}}


def result(plaque_mm3: float | None, sha256: str = "a") -> Any:
    """A result as far as the self-test reads it."""
    each = SimpleNamespace(plaque_mm3=plaque_mm3)
    whole = SimpleNamespace(plaque_mm3=None if plaque_mm3 is None else 4 * plaque_mm3)
    return SimpleNamespace(
        status="ready",
        reasons=(),
        measures=SimpleNamespace(vessels=dict.fromkeys(VESSELS, each), patient=whole),
        model=SimpleNamespace(sha256=sha256, provider="test"),
        timing_ms={},
    )


def test_it_is_of_the_shipped_weights() -> None:
    sha256 = models_sha256([read_manifest(n) for n in ("heart", "tree", "wall")])
    assert json.loads(EXPECTED.read_text())["model_sha256"] == sha256


@pytest.mark.parametrize(
    ("measured", "passed"), [(60, True), (62, True), (70, False), (100, False)]
)
def test_shipped_weights_must_measure_what_they_did(measured: float, passed: bool) -> None:
    assert compare(TRUTH, result(measured), SHIPPED)["passed"] is passed


def test_a_sites_own_weights_are_held_to_the_truth_coarsely() -> None:
    assert compare(TRUTH, result(100, "own"), SHIPPED)["passed"]
    assert not compare(TRUTH, result(30, "own"), SHIPPED)["passed"]


def test_not_measured_is_never_as_expected() -> None:
    data = compare(TRUTH, result(None), SHIPPED)
    assert not data["passed"]
    assert "not analysable" in [line["measured"] for line in data["lines"]]
