"""The parity gate: what passes, what fails and why; OpenVINO really passes it."""

from __future__ import annotations

import numpy as np
import pytest
import small_model
from fake_trt import model

from engines import EngineError, open_engine, read_manifest
from engines.keys import key_of
from engines.parity import (
    LEAST_VOXELS,
    Verdict,
    compare,
    keep_verdict,
    outputs,
    read_verdict,
    require_parity,
)
from engines.parity_input import windows


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PLAQUE_EDGE_PLANS", str(tmp_path / "plans"))


@pytest.fixture
def small(tmp_path):
    return read_manifest(small_model.write(tmp_path / "m", shape="24, 20, 16"))


@pytest.fixture
def reference(small):
    return model(windows(small, 3), 3)


def test_the_same_passes(small, reference) -> None:
    verdict = compare(reference, reference.copy(), small)
    assert verdict.passed and verdict.agreement == 1.0 and set(verdict.dice.values()) == {1.0}


def test_rounding_like_half_precision_passes(small, reference) -> None:
    assert compare(reference, reference.astype(np.float16).astype(np.float32), small).passed


@pytest.mark.parametrize("change", ["swap", "shift", "grow", "shrink", "nan", "zero", "one_window"])
def test_what_is_not_the_same_fails(small, reference, change: str) -> None:
    tested = reference.copy()
    if change == "swap":
        tested = tested[:, ::-1].copy()
    elif change == "shift":
        tested = np.roll(tested, 1, -1)
    elif change in ("grow", "shrink"):
        tested[:, 1] *= {"grow": 1.02, "shrink": 0.98}[change]
    elif change == "nan":
        tested[0, 0, 0, 0, 0] = np.nan
    elif change == "zero":
        tested[:] = 0
    else:
        tested[2] = tested[1]
    verdict = compare(reference, tested, small)
    assert not verdict.passed and verdict.reason


def test_a_volume_may_be_off_by_one_percent_and_no_more(small, reference) -> None:
    volumes = reference.sum((0, 2, 3, 4))
    k = int(volumes.argmax())
    assert volumes[k] > LEAST_VOXELS
    for factor, good in ((1.008, True), (1.013, False), (0.987, False)):
        tested = reference.copy()
        tested[:, k] *= factor
        found = compare(reference, tested, small).volume_off[small.classes[k]]
        assert (abs(found) <= 0.01) is good


def test_verdicts_come_back_and_hold_for_their_key_only(small) -> None:
    key = key_of("openvino", small)
    assert read_verdict(key) is None
    verdict = Verdict(False, "Dice of one is 0.5", 0.9, {"one": 0.5}, {"one": 0.2})
    keep_verdict(key, verdict)
    assert read_verdict(key) == verdict
    assert read_verdict({**key, "version": "2"}) is None
    with pytest.raises(EngineError, match=r"ENGINE_PARITY.*Dice of one"):
        require_parity(key)


def test_no_verdict_is_enough_for_the_cpu_and_not_for_a_gpu(small) -> None:
    key = key_of("openvino", small)
    require_parity(key)
    with pytest.raises(EngineError, match="ENGINE_UNPROVEN"):
        require_parity({**key, "engine": "rtx"})


def test_a_failed_verdict_on_openvino_lets_the_reference_serve(monkeypatch) -> None:
    keep_verdict(key_of("openvino", read_manifest("heart")), Verdict(False, "off", 0.5))
    with open_engine("heart", threads=1) as engine:
        assert engine.provider == "ONNX Runtime CPU"
        assert any("reference's result: off" in note for note in engine.notes)


@pytest.mark.parametrize("name", ["heart", "tree", "wall"])
def test_the_fixed_input_is_the_same_everywhere_and_holds_several_classes(name: str) -> None:
    manifest = read_manifest(name)
    x = windows(manifest, 2)
    np.testing.assert_array_equal(x, windows(manifest, 2))
    assert x.shape == (2, len(manifest.channels), *manifest.shape) and x.dtype == np.float32
    with open_engine(name, "openvino", threads=1) as engine:
        found = np.bincount(engine.run(x).argmax(1).ravel(), minlength=len(manifest.classes))
    assert (found > LEAST_VOXELS).sum() >= 3


def test_openvino_reproduces_the_reference() -> None:
    manifest = read_manifest("wall")
    with (
        open_engine("wall", "cpu", threads=1) as a,
        open_engine("wall", "openvino", threads=1) as b,
    ):
        verdict = compare(outputs(a), outputs(b), manifest)
    assert verdict.passed and verdict.agreement > 0.9999
