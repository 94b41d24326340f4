"""``engines list|verify``, ``prepare`` and ``doctor``, with a GPU and without."""

from __future__ import annotations

import json
from functools import partial
from importlib import metadata
from types import SimpleNamespace

import pytest

from engines import gpu
from engines.prepare import prepare_engines
from engines.status import engine_states
from engines.verify import verify_engines
from plaque_edge import engines_cmd
from plaque_edge.cli import main
from plaque_edge.worker import _tell_notes


@pytest.fixture
def no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PLAQUE_EDGE_PLANS", str(tmp_path / "plans"))
    monkeypatch.setattr("engines.cuda.has_driver", lambda: False)
    gpu.forget()
    yield
    gpu.forget()


def test_verify_writes_a_report_a_site_can_send(no_gpu, monkeypatch, tmp_path, capsys) -> None:
    quick = partial(verify_engines, models=("heart", "wall"))
    monkeypatch.setattr("engines.verify.verify_engines", quick)
    target = tmp_path / "report.json"
    assert main(["engines", "verify", "--engine", "openvino", "--json", str(target)]) == 0
    report = json.loads(target.read_text())
    assert report["format"] == "plaque-edge/engines/1" and report["passed"]
    assert "no NVIDIA driver" in report["gpu"]["error"]
    assert {(r["engine"], r["model"], r["good"]) for r in report["results"]} == {
        ("openvino", name, True) for name in ("heart", "wall")
    }
    assert report["results"][0]["timing_ms"]["per_window_of_1"] > 0
    assert str(tmp_path) not in target.read_text()
    assert "Passed" in capsys.readouterr().out


def test_verify_of_an_engine_that_cannot_run_is_a_failure(no_gpu, tmp_path) -> None:
    target = tmp_path / "report.json"
    assert main(["engines", "verify", "--engine", "tensorrt", "--json", str(target)]) == 1
    assert not json.loads(target.read_text())["passed"]


def test_list_says_why_not(no_gpu, capsys) -> None:
    assert main(["engines", "list", "--json", "-"]) == 0
    states = {s["engine"]: s for s in json.loads(capsys.readouterr().out)["engines"]}
    assert list(states) == ["tensorrt", "rtx", "cuda", "openvino", "cpu"]
    assert states["cpu"]["usable"] and not states["rtx"]["usable"] and states["rtx"]["reason"]
    assert main(["engines", "list"]) == 0
    out = capsys.readouterr().out
    assert "cpu       yes" in out and "rtx       no" in out


def test_on_a_gpu_the_report_has_card_plans_and_times(site) -> None:
    report = verify_engines("rtx", (site.model,))
    assert report["passed"] and report["gpu"]["name"] == "Fake RTX"
    (result,) = report["results"]
    assert (result["plan"], result["good"], result["left_bytes"]) == ("built", True, 0)
    assert report["engines"][1]["usable"]


def test_wrong_results_fail_the_report(site) -> None:
    site.trt.spoil = lambda p: p[:, ::-1]
    report = verify_engines("rtx", (site.model,))
    assert not report["passed"] and report["results"][0]["verdict"]["reason"]
    assert not report["engines"][1]["usable"]


def test_memory_that_is_not_freed_fails_the_report(site, monkeypatch) -> None:
    monkeypatch.setattr("engines.verify.MOST_LEFT_BYTES", 1000)
    monkeypatch.setattr(type(site.cuda), "cudaFree", lambda *_: None)
    report = verify_engines("rtx", (site.model,))
    assert not report["passed"] and "did not free" in report["results"][0]["error"]


def test_doctor_names_card_driver_memory_and_the_reason_why_not(site, monkeypatch) -> None:
    monkeypatch.setattr("engines.status.engine_states", lambda: engine_states((site.model,)))
    lines = [f"{c['level']} {c['code']} {c['text']}" for c in engines_cmd.engine_checks()]
    text = "\n".join(lines)
    assert "pass GPU Fake RTX, compute capability 8.9, 8.0 GB, driver 580.95 (CUDA 13.5)" in text
    assert "warn PROVIDER rtx: There is no plan of 'small' for this GPU yet." in text
    assert "PLANS" not in text
    prepare_engines("rtx", (site.model,))
    text = "\n".join(c["text"] for c in engines_cmd.engine_checks())
    assert "rtx: TensorRT-RTX 1.7.1, gives the reference's result" in text
    assert "1 plans" in text


def test_doctor_tells_an_old_driver(site) -> None:
    site.cuda.fail("cudaGetDeviceCount", "cudaErrorInsufficientDriver")
    line = engines_cmd.engine_checks()[0]
    assert line["level"] == "warn" and line["next_step"] == "Install a newer driver."


def test_without_a_gpu_doctor_warns_of_no_engine_that_needs_one(no_gpu) -> None:
    lines = {c["text"]: c for c in engines_cmd.engine_checks() if c["code"] == "PROVIDER"}
    for name in ("tensorrt", "rtx", "cuda"):
        assert lines[f"{name}: needs an NVIDIA GPU."]["level"] == "pass"
    (openvino,) = (c for text, c in lines.items() if text.startswith("openvino"))
    assert openvino["next_step"] == "Run plaque-edge prepare."


def test_beside_an_engine_that_uses_the_gpu_no_other_is_missed(site, monkeypatch) -> None:
    monkeypatch.setattr("engines.status.engine_states", lambda: engine_states((site.model,)))
    prepare_engines("rtx", (site.model,))
    lines = [c for c in engines_cmd.engine_checks() if c["code"] == "PROVIDER"]
    (tensorrt,) = (c for c in lines if c["text"].startswith("tensorrt"))
    assert tensorrt["level"] == "pass" and "Another engine uses the GPU" in tensorrt["text"]
    assert not [c for c in lines if c["level"] == "warn" and not c["next_step"]]


@pytest.mark.parametrize("both", [True, False])
def test_doctor_explains_both_onnxruntime_wheels(no_gpu, monkeypatch, both: bool) -> None:
    real = metadata.version
    fake = {"onnxruntime-gpu": "1.31.1"} if both else {}
    monkeypatch.setattr(metadata, "version", lambda n: fake[n] if n in fake else real(n))
    found = [c for c in engines_cmd.engine_checks() if c["code"] == "ENGINE_WHEELS_BOTH"]
    assert len(found) == both


def test_doctor_and_prepare_run_here(no_gpu, capsys, tmp_path) -> None:
    assert main(["prepare", "--engine", "openvino", "--json", str(tmp_path / "p.json")]) == 0
    out = capsys.readouterr().out
    assert all(f"openvino {name} f32" in out for name in ("heart", "tree", "wall"))
    rows = json.loads((tmp_path / "p.json").read_text())["engines"]
    assert [r["model"] for r in rows if r["precision"] == "f32"] == ["heart", "tree", "wall"]
    assert main(["doctor", "--json", "-"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    providers = [c["text"] for c in checks if c["code"] == "PROVIDER"]
    assert any(t.startswith("openvino: ") and "reference's result" in t for t in providers)


@pytest.mark.parametrize("driver", [True, False])
def test_that_another_engine_serves_is_logged_where_there_is_a_gpu(
    monkeypatch, caplog, driver: bool
) -> None:
    monkeypatch.setattr("engines.cuda.has_driver", lambda: driver)
    network = SimpleNamespace(notes=("rtx: There is no plan.",))
    _tell_notes(SimpleNamespace(heart=network, tree=network, wall=SimpleNamespace(notes=())))
    told = [record.getMessage() for record in caplog.records]
    assert told == (["ENGINE_REPLACED: rtx: There is no plan."] if driver else [])


def test_that_the_cpus_better_engine_does_not_serve_is_logged_everywhere(
    monkeypatch, caplog
) -> None:
    monkeypatch.setattr("engines.cuda.has_driver", lambda: False)
    note = "openvino: 'heart' does not give the reference's result: off."
    _tell_notes(SimpleNamespace(heart=SimpleNamespace(notes=(note,)), tree=None, wall=None))
    assert [r.getMessage() for r in caplog.records] == [f"ENGINE_REPLACED: {note}"]
