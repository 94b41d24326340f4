"""``bench engines``: every engine in a process of its own, judged beside the reference."""

from __future__ import annotations

import pytest

from plaque_edge import engine_bench as bench


@pytest.fixture
def only_heart(monkeypatch) -> None:
    monkeypatch.setattr(bench, "SHIPPED", ("heart",))
    monkeypatch.setattr(bench, "RUNS", {"openvino": ("f32",), "cpu": ("f32",)})
    monkeypatch.setattr(bench, "ORDER", ("openvino", "cpu"))


def test_each_engine_is_measured_and_compared_with_the_reference(only_heart) -> None:
    data = bench.time_engines(repeat=1)
    assert data["cpu"] and data["threads"] >= 1
    rows = {(r["engine"], r["isa"]): r for r in data["engines"]}
    assert set(rows) == {("cpu", "all"), ("openvino", "all"), ("openvino", "AVX2")}
    for row in rows.values():
        assert 0 < row["min_ms"] <= row["p50_ms"] <= row["p95_ms"]
        assert row["warm_up_ms"] >= row["open_ms"] > 0 and row["cpu_ms"] > 0
        assert 50 < row["peak_mb"] < 4000
        assert row["passed"] and row["agreement"] > 0.999
        ratio = rows["cpu", "all"]["min_ms"] / row["min_ms"]
        assert row["times_faster"] == pytest.approx(ratio, abs=0.006)
        assert bench.line_of(row).endswith("passed")
    assert rows["cpu", "all"]["provider"] == "ONNX Runtime CPU"


def test_bf16_is_not_held_to_instructions_that_have_none(only_heart, monkeypatch) -> None:
    monkeypatch.setattr(bench, "RUNS", {"openvino": ("f32", "bf16"), "cpu": ("f32",)})
    monkeypatch.setattr(bench.sys, "executable", "false")
    rows = bench.time_engines(repeat=1)["engines"]
    asked = [(r["asked"], r["isa"]) for r in rows if r["engine"] == "openvino"]
    assert asked == [("f32", "all"), ("f32", "AVX2"), ("bf16", "all")]


def test_a_process_that_dies_is_a_row_with_an_error(only_heart, monkeypatch) -> None:
    monkeypatch.setattr(bench.sys, "executable", "false")
    rows = bench.time_engines(repeat=1)["engines"]
    assert len(rows) == 3
    assert all(row["error"].startswith("INTERNAL: ") for row in rows)
    assert "INTERNAL" in bench.line_of(rows[0])


def test_an_engine_that_refuses_says_why_in_its_row(capsys) -> None:
    bench.measure_here("heart", "cpu", "int8", 1)
    assert "ENGINE_PRECISION: The engine 'cpu' has no precision 'int8'." in capsys.readouterr().out


def test_another_precision_than_was_asked_for_is_no_measurement(tmp_path) -> None:
    row = {"model": "heart", "engine": "openvino", "asked": "bf16", "precision": "f32"}
    judged = bench._judged(row, {"min_ms": 1.0}, tmp_path)
    assert judged["error"] == "ENGINE_PRECISION: It computes this in f32. Use that precision."
