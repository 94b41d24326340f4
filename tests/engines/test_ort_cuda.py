"""ONNX Runtime on CUDA: strict or refused; driven through a stand-in for its module."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import small_model
from fake_trt import model

from engines import EngineError, read_manifest
from engines.ort import OrtCudaEngine, cuda_error, cuda_installed


class FakeOrt:
    """Records how it was asked; ``providers`` is what it says it took."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        self.asked: dict[str, object] = {}
        self.error: Exception | None = None
        self.run_error: Exception | None = None

    def preload_dlls(self) -> None:
        print("Failed to load libcudnn.so.9")

    def SessionOptions(self) -> object:
        return SimpleNamespace(add_session_config_entry=self.entries.__setitem__)

    def InferenceSession(self, weights: bytes, options: object, **asked: object) -> object:
        self.asked = asked
        if self.error:
            raise self.error
        inside = SimpleNamespace(name="image", shape=[1, 2, 6, 5, 4])
        outside = SimpleNamespace(name="probability", shape=[1, 3, 6, 5, 4])

        def run(_names: object, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            if self.run_error:
                raise self.run_error
            return [model(feed["image"], 3)]

        return SimpleNamespace(
            get_providers=lambda: self.providers,
            get_inputs=lambda: [inside],
            get_outputs=lambda: [outside],
            run=run,
        )


@pytest.fixture
def ort(monkeypatch):
    fake = FakeOrt()
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    return fake


@pytest.fixture
def manifest(tmp_path):
    return read_manifest(small_model.write(tmp_path))


def test_no_fallback_is_asked_for_and_the_provider_is_read_back(ort, manifest, capfd) -> None:
    x = np.random.default_rng(0).random((3, 2, 6, 5, 4), dtype=np.float32)
    with OrtCudaEngine(manifest, "Fake RTX") as engine:
        np.testing.assert_array_equal(engine.run(x), model(x, 3))
        assert engine.provider == "ONNX Runtime CUDA on Fake RTX"
    assert ort.entries == {"session.disable_cpu_ep_fallback": "1"}
    assert ort.asked["enable_fallback"] == 0
    ((name, how),) = ort.asked["providers"]
    assert (name, how["use_tf32"]) == ("CUDAExecutionProvider", "0")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("got", [["CPUExecutionProvider"], []])
def test_the_cpu_in_its_place_is_refused(ort, manifest, got: list[str]) -> None:
    ort.providers = got
    with pytest.raises(EngineError, match="ENGINE_UNAVAILABLE"):
        OrtCudaEngine(manifest, "Fake RTX")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_the_real_wheel_for_the_cpu_is_refused(tmp_path) -> None:
    if cuda_installed():
        pytest.skip("onnxruntime-gpu is installed")
    with pytest.raises(EngineError, match=r"ENGINE_UNAVAILABLE|ENGINE_CUDA_FAILED"):
        OrtCudaEngine(read_manifest("heart"), "none")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CUDA failure 2: out of memory ; GPU=0", "ENGINE_OUT_OF_MEMORY"),
        ("Failed to allocate memory for requested buffer of size 1", "ENGINE_OUT_OF_MEMORY"),
        ("CUDA failure 719: unspecified launch failure", "ENGINE_DEVICE_LOST"),
        (
            "This session contains graph nodes that are assigned to the default CPU EP",
            "CUDA_FAILED",
        ),
        ("", "ENGINE_CUDA_FAILED"),
    ],
)
def test_what_it_raises_gets_a_code(ort, manifest, text: str, code: str) -> None:
    ort.error = RuntimeError(text)
    with pytest.raises(EngineError, match=code):
        OrtCudaEngine(manifest, "Fake RTX")
    ort.error, ort.run_error = None, RuntimeError(text)
    with OrtCudaEngine(manifest, "x") as engine, pytest.raises(EngineError, match=code):
        engine.run(np.zeros((1, 2, 6, 5, 4), np.float32))
    assert cuda_error(RuntimeError(text)).next_step


@pytest.mark.parametrize("there", [True, False])
def test_the_cuda_library_is_looked_for_as_a_file(monkeypatch, tmp_path, there: bool) -> None:
    name = "onnxruntime_providers_cuda.dll"
    name = name if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"
    (tmp_path / "capi").mkdir()
    if there:
        (tmp_path / "capi" / name).touch()
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("engines.ort.find_spec", lambda _name: spec)
    assert cuda_installed() is there
