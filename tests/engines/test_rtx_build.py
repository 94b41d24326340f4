"""The real TensorRT-RTX parses and builds every shipped network, here, without a GPU."""

from __future__ import annotations

import platform
import sys

import pytest

from engines import EngineError, open_engine, read_manifest
from engines.cuda import has_driver
from engines.keys import library_version
from engines.manifest import MODELS, SHIPPED, read_weights
from engines.variants import IN_FILES, in_precision

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="requirements/test.txt has TensorRT-RTX for Linux on x86-64 only",
)


@pytest.fixture(scope="module")
def rtx():
    from engines.trt.library import load

    return load("rtx")


@pytest.fixture(scope="module")
def plans(rtx):
    """By name and precision, of every file that is shipped."""
    from engines.trt.build import build_plan

    manifests = [in_precision(read_manifest(n), p) for n in SHIPPED for p in ("f32", *IN_FILES)]
    return {(m.name, m.precision): build_plan(rtx, m, read_weights(m)) for m in manifests}


def test_no_shipped_model_is_left_out() -> None:
    assert {p.parent.name for p in MODELS.glob("*/model.toml")} == set(SHIPPED)


@pytest.mark.parametrize("precision", ["f32", *IN_FILES])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_file_is_built(plans, name: str, precision: str) -> None:
    plan, found = plans[name, precision]
    assert len(plan) > 0.5 * in_precision(read_manifest(name), precision).onnx.stat().st_size
    assert found == precision


def test_a_plan_comes_back_from_the_cache(plans, rtx, monkeypatch, tmp_path) -> None:
    from engines.trt.plans import load_plan, save_plan

    monkeypatch.setenv("PLAQUE_EDGE_PLANS", str(tmp_path / "plans"))
    key = {"engine": "rtx", "model": "wall", "version": rtx.version}
    save_plan(key, *plans["wall", "f32"])
    assert load_plan(key) == plans["wall", "f32"]


@pytest.mark.parametrize("weights", [b"", b"not a network"])
def test_what_is_no_network_is_refused_with_the_parsers_words(rtx, weights: bytes) -> None:
    from engines.trt.build import build_plan

    with pytest.raises(EngineError, match=r"PLAN_BUILD_FAILED: TensorRT-RTX 1\.") as caught:
        build_plan(rtx, read_manifest("wall"), weights)
    assert caught.value.next_step


def test_another_networks_file_is_refused(rtx) -> None:
    from engines.trt.build import build_plan

    with pytest.raises(EngineError, match="MODEL_MISMATCH"):
        build_plan(rtx, read_manifest("wall"), read_weights(read_manifest("tree")))


def test_nothing_is_printed(rtx, capfd) -> None:
    from engines.trt.build import build_plan

    manifest = read_manifest("heart")
    build_plan(rtx, manifest, read_weights(manifest))
    with pytest.raises(EngineError):
        build_plan(rtx, manifest, b"junk")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(has_driver(), reason="there is a driver here")
def test_without_a_driver_loading_a_plan_says_so_and_auto_goes_on(plans, rtx) -> None:
    from cuda.bindings import runtime

    from engines.cuda import Cuda
    from engines.trt.engine import TrtEngine

    with pytest.raises(EngineError, match=r"ENGINE_DRIVER_OLD|PLAN_REFUSED"):
        TrtEngine(read_manifest("wall"), rtx, *plans["wall", "f32"], "none", Cuda(runtime))
    with open_engine("heart", threads=1) as engine:
        assert engine.provider.startswith("OpenVINO")
        assert "rtx: This computer has no NVIDIA driver." in engine.notes
    assert library_version("rtx") == rtx.version
