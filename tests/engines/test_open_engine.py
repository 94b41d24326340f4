"""The one door: order, strictness, and that a computer without a GPU pays nothing for it."""

from __future__ import annotations

import ast
import importlib
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import engines
from engines import EngineError, cuda, gpu, open_engine, read_manifest
from engines.openers import ORDER, open_one
from engines.status import engine_states


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PLAQUE_EDGE_PLANS", str(tmp_path / "plans"))
    gpu.forget()
    yield
    gpu.forget()


def no_gpu(monkeypatch) -> None:
    monkeypatch.setattr(cuda, "has_driver", lambda: False)


def test_order() -> None:
    assert engines.ORDER == ("tensorrt", "rtx", "cuda", "openvino", "cpu")


def test_without_gpu_auto_takes_openvino_and_says_nothing(monkeypatch, capfd, caplog) -> None:
    no_gpu(monkeypatch)
    monkeypatch.setattr(engines, "installed", lambda name: name in ("openvino", "cpu"))
    with open_engine("heart", threads=1) as engine:
        assert engine.provider.startswith("OpenVINO")
        assert engine.notes == ()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_looking_for_gpu_engines_takes_no_time(monkeypatch) -> None:
    no_gpu(monkeypatch)
    best = float("inf")
    for _ in range(5):
        gpu.forget()
        start = time.perf_counter()
        for name in ORDER:
            engines.installed(name)
        for _ in range(3):
            with pytest.raises(EngineError):
                gpu.probe()
        best = min(best, time.perf_counter() - start)
    assert best < 0.05


def test_an_installed_gpu_engine_without_gpu_leaves_one_note(monkeypatch) -> None:
    no_gpu(monkeypatch)
    for module in ("engines", "engines.openers"):
        monkeypatch.setattr(f"{module}.installed", lambda name: name in ("rtx", "openvino", "cpu"))
    with open_engine("heart", threads=1) as engine:
        assert engine.provider.startswith("OpenVINO")
        assert engine.notes == ("rtx: This computer has no NVIDIA driver.",)


@pytest.mark.parametrize("name", ["tensorrt", "rtx", "cuda"])
@pytest.mark.parametrize("here", [True, False])
def test_a_named_engine_is_never_replaced(monkeypatch, name: str, here: bool) -> None:
    no_gpu(monkeypatch)
    monkeypatch.setattr("engines.openers.installed", lambda _name: here)
    code = "ENGINE_GPU_MISSING" if here else "ENGINE_UNAVAILABLE"
    with pytest.raises(EngineError) as caught:
        open_engine("heart", name)
    assert caught.value.code == code
    assert caught.value.next_step


@pytest.mark.parametrize("name", ["tensorrt", "rtx", "cuda", "cpu"])
def test_bf16_is_openvinos_alone(name: str) -> None:
    with pytest.raises(EngineError, match="ENGINE_PRECISION"):
        open_engine("heart", name, "bf16")


def test_bf16_is_refused_where_the_processor_has_none(monkeypatch) -> None:
    monkeypatch.setattr("engines.openvino_engine._capabilities", lambda _core: ["FP32", "INT8"])
    with pytest.raises(EngineError, match=r"ENGINE_PRECISION: .*no bf16") as caught:
        open_one("openvino", read_manifest("heart"), "bf16", threads=1, gate=False)
    assert caught.value.next_step == "Use f32."


def test_a_wheel_uninstalled_over_the_other_is_told_and_openvino_serves(
    monkeypatch, tmp_path
) -> None:
    no_gpu(monkeypatch)
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)  # what is left: a folder, no code
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # so that what comes is undone
    del sys.modules["onnxruntime"]
    whole = [p for p in sys.path if not (Path(p) / "onnxruntime").is_dir()]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *whole])
    importlib.invalidate_caches()
    assert not engines.installed("cpu")
    monkeypatch.setattr("engines.status.library_version", lambda _name: "1")
    state = engine_states(("heart",))[-1]
    assert (state.engine, state.usable, state.code) == ("cpu", False, "ENGINE_WHEELS_BOTH")
    with pytest.raises(EngineError, match=r"ENGINE_WHEELS_BOTH: .*Uninstall both"):
        open_engine("heart", "cpu")


def test_no_error_of_the_engines_is_without_a_next_step() -> None:
    folder = Path(engines.__file__).parent
    calls = [
        (path.name, node)
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "EngineError"
    ]
    assert len(calls) > 30
    assert [f"{name}:{node.lineno}" for name, node in calls if len(node.args) < 3] == []


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(EngineError, match=r"ENGINE_UNKNOWN.*rtx, cuda, openvino, cpu"):
        open_engine("heart", "gpu")


def test_the_probe_asks_once_and_tells_an_old_driver_from_none(monkeypatch) -> None:
    from fake_cuda import FakeCuda

    fake = FakeCuda()
    fake.fail("cudaGetDeviceCount", "cudaErrorInsufficientDriver")
    monkeypatch.setattr(cuda, "load_runtime", lambda: fake)
    for _ in range(3):
        with pytest.raises(EngineError, match="ENGINE_DRIVER_OLD"):
            gpu.probe()
    assert fake.calls == ["cudaGetDeviceCount"]
    gpu.forget()
    card = gpu.probe()
    assert (card.name, card.compute_capability, card.cuda) == ("Fake RTX", "8.9", "13.5")


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((1, 2, 64, 96, 96), "float32"),  # channels
        ((1, 1, 64, 96, 92), "float32"),  # a size that these networks can't halve three times
        ((1, 1, 64, 96, 96), "float64"),
        ((1, 64, 96, 96), "float32"),
    ],
)
def test_input_of_another_shape_or_kind_is_refused(shape: tuple[int, ...], kind: str) -> None:
    with (
        open_engine("heart", "cpu", threads=1) as engine,
        pytest.raises(EngineError, match="ENGINE_SHAPE: 'heart' takes float32"),
    ):
        engine.run(np.zeros(shape, kind))
