"""From ``prepare`` to the first patient, on a GPU that is not there: who serves, what is said."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import numpy as np
import pytest
from fake_trt import model

from engines import EngineError, gpu, open_engine
from engines.keys import file_stem, key_of
from engines.ort import in_part
from engines.prepare import prepare_engines
from engines.status import engine_states


def prepare(site, **how):
    said: list[str] = []
    rows = prepare_engines(models=(site.model,), say=said.append, **how)
    return rows, said


def served(site) -> tuple[str, tuple[str, ...]]:
    with open_engine(site.model) as engine:
        return engine.provider, engine.notes


def test_before_prepare_the_next_provider_serves_with_a_note(site) -> None:
    provider, notes = served(site)
    assert provider.startswith("numpy ")
    assert notes == ("rtx: There is no plan of 'small' for this GPU yet.",)
    assert site.trt.builds == 0  # never while a patient waits


def test_after_prepare_the_gpu_serves(site) -> None:
    (row,), said = prepare(site)
    assert row.good and row.plan == "built" and row.verdict.agreement == 1.0
    assert "Building it" in said[0]
    assert served(site) == ("TensorRT-RTX 1.7.1 on Fake RTX", ())
    x = np.random.default_rng(3).random((2, *site.trt.inside[1:]), dtype=np.float32)
    with open_engine(site.model, "rtx") as engine:
        np.testing.assert_array_equal(engine.run(x), model(x, 3))
    assert site.cuda.alive() == 0
    assert site.trt.flags == ["tf32"]


def test_a_second_prepare_builds_and_compares_nothing(site) -> None:
    prepare(site)
    rows, said = prepare(site)
    assert (site.trt.builds, rows[0].plan, rows[0].good, said) == (1, "kept", True, [])
    prepare(site, fresh=True)
    assert site.trt.builds == 1


@pytest.mark.parametrize("change", ["library", "gpu", "driver"])
def test_an_update_makes_plans_stale_until_prepared(site, monkeypatch, change: str) -> None:
    prepare(site)
    if change == "library":
        site.trt.__version__ = "1.8.0"
    elif change == "gpu":
        card = gpu.probe()
        other = replace(card, name="Other RTX", compute_capability="12.0")
        monkeypatch.setattr("engines.gpu._ask", lambda _cuda: other)
        gpu.forget()
    else:
        monkeypatch.setattr("engines.gpu._driver_version", lambda: "590.01")
        gpu.forget()
    provider, notes = served(site)
    assert provider.startswith("numpy ") and "was built for another" in notes[0]
    (row,), said = prepare(site)
    assert row.good and "was built for another" in said[0]
    assert served(site)[1] == ()


@pytest.mark.parametrize("damage", ["truncate", "tamper", "open"])
def test_a_damaged_plan_is_not_used_and_built_again(site, damage: str) -> None:
    prepare(site)
    plan = site.plans / f"{file_stem(key_of('rtx', site.manifest))}.plan"
    if damage == "open":
        if os.name == "nt":
            pytest.skip("modes are those of POSIX")
        plan.chmod(0o666)
    else:
        plan.write_bytes(plan.read_bytes()[:-3] + (b"xyz" if damage == "tamper" else b""))
    provider, notes = served(site)
    assert provider.startswith("numpy ") and len(notes) == 1
    assert prepare(site)[0][0].plan == "built"
    assert served(site)[1] == ()


def test_a_plan_tensorrt_does_not_take_is_built_again(site) -> None:
    prepare(site)
    site.trt.refuse_plan = True
    provider, notes = served(site)
    assert provider.startswith("numpy ") and "does not take its plan" in notes[0]
    assert prepare(site)[0][0].error.startswith("PLAN_REFUSED")
    site.trt.refuse_plan = False
    assert prepare(site)[0][0].good


def test_no_space_for_plans(site, monkeypatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (row,), _ = prepare(site)
    assert row.error.startswith("PLAN_DISK_FULL: ") and not row.good
    assert served(site)[0].startswith("numpy ")


@pytest.mark.parametrize(("flag", "code"), [("no_build", "no tactic"), ("broken_model", "op Foo")])
def test_what_cannot_be_built_says_why(site, flag: str, code: str) -> None:
    setattr(site.trt, flag, True)
    (row,), _ = prepare(site)
    assert row.error.startswith("PLAN_BUILD_FAILED: ") and code in row.error
    assert served(site)[0].startswith("numpy ")


def test_wrong_results_are_never_used(site) -> None:
    site.trt.spoil = lambda p: p[:, ::-1]
    (row,), said = prepare(site)
    assert not row.good and any("voxels agree" in text for text in said)
    provider, notes = served(site)
    assert provider.startswith("numpy ") and "reference's result" in notes[0]
    with pytest.raises(EngineError, match="ENGINE_PARITY"):
        open_engine(site.model, "rtx")
    state = next(s for s in engine_states((site.model,)) if s.engine == "rtx")
    assert (state.usable, state.code) == (False, "ENGINE_PARITY")
    site.trt.spoil = lambda p: p
    assert prepare(site, fresh=True)[0][0].good


def test_a_plan_without_verdict_is_not_used(site) -> None:
    prepare(site)
    for path in site.plans.glob("*.verdict.json"):
        path.unlink()
    provider, notes = served(site)
    assert provider.startswith("numpy ") and "not yet compared" in notes[0]
    with pytest.raises(EngineError, match="ENGINE_UNPROVEN"):
        open_engine(site.model, "rtx")


def test_a_new_plan_needs_a_new_verdict(site) -> None:
    prepare(site)
    next(site.plans.glob("*.plan")).unlink()
    site.trt.spoil = lambda p: p[:, ::-1]
    assert not prepare(site)[0][0].good


@pytest.mark.parametrize(
    ("call", "error", "code"),
    [
        ("cudaMalloc", "cudaErrorMemoryAllocation", "ENGINE_OUT_OF_MEMORY"),
        ("cudaSetDevice", "cudaErrorDevicesUnavailable", "ENGINE_DEVICE_LOST"),
    ],
)
def test_a_gpu_that_fails_at_the_opening(site, call: str, error: str, code: str) -> None:
    prepare(site)
    site.cuda.fail(call, error)
    provider, notes = served(site)
    assert provider.startswith("numpy ") and len(notes) == 1
    site.cuda.fail(call, error)
    with pytest.raises(EngineError, match=code):
        open_engine(site.model, "rtx")
    assert site.cuda.alive() == 0


def test_with_a_driver_that_is_too_old_the_next_provider_serves(site) -> None:
    prepare(site)
    gpu.forget()
    site.cuda.fail("cudaGetDeviceCount", "cudaErrorInsufficientDriver")
    provider, notes = served(site)
    assert provider.startswith("numpy ") and "driver does not fit" in notes[0]
    with pytest.raises(EngineError, match="ENGINE_DRIVER_OLD") as caught:
        open_engine(site.model, "rtx")
    assert caught.value.next_step == "Install a newer driver."


def test_prepare_without_a_reference_says_so_and_ends(site, monkeypatch) -> None:
    prepare(site)

    def broken(*_: object) -> None:
        raise in_part()

    monkeypatch.setattr("engines.openers._open_on_cpu", broken)
    for path in site.plans.glob("*.json"):
        path.unlink()
    (row,), said = prepare(site)
    assert row.error.startswith("ENGINE_WHEELS_BOTH: ") and "Uninstall both" in row.error
    assert any("ENGINE_WHEELS_BOTH" in text for text in said)


def test_an_unexpected_exception_of_a_library_is_a_note(site, monkeypatch) -> None:
    prepare(site)
    monkeypatch.setattr(type(site.trt), "Runtime", lambda *_: 1 / 0)
    provider, notes = served(site)
    assert provider.startswith("numpy ") and "unexpected ZeroDivisionError" in notes[0]
    with pytest.raises(EngineError, match="ENGINE_FAILED"):
        open_engine(site.model, "rtx")


def test_a_gpu_lost_during_prepare_is_told(site) -> None:
    site.cuda.fail("cudaEventSynchronize", "cudaErrorLaunchFailure")
    (row,), _ = prepare(site)
    assert row.error.startswith("ENGINE_DEVICE_LOST: ")
    assert site.cuda.alive() == 0
    with pytest.raises(EngineError, match="ENGINE_UNPROVEN"):
        open_engine(site.model, "rtx")


def test_a_tampered_model_stops_everything(site) -> None:
    prepare(site)
    site.manifest.onnx.write_bytes(b"other")
    with pytest.raises(EngineError, match="MODEL_TAMPERED"):
        open_engine(site.model)


def test_a_gpu_that_is_not_there_is_told_to_who_asked_for_it(site) -> None:
    for how, told in (({}, 0), ({"prefer": "rtx"}, 1)):
        gpu.forget()
        site.cuda.fail("cudaGetDeviceCount", "cudaErrorNoDevice")
        (row,), said = prepare(site, **how)
        assert row.error.startswith("ENGINE_GPU_MISSING: ")
        assert sum("ENGINE_GPU_MISSING" in text for text in said) == told


def test_the_timing_cache_is_kept_for_the_next_build_and_only_if_it_is_good(site) -> None:
    site.here.add("tensorrt")
    prepare(site, prefer="tensorrt")
    assert site.trt.timings == [b""]
    (kept,) = site.plans.glob("*.timing")
    assert kept.read_bytes() == b"measured "
    for path in site.plans.glob("*.plan"):
        path.unlink()
    prepare(site, prefer="tensorrt")
    assert site.trt.timings[-1] == b"measured "
    kept.write_bytes(b"of somebody else")
    for path in site.plans.glob("*.plan"):
        path.unlink()
    prepare(site, prefer="tensorrt")
    assert site.trt.timings[-1] == b""


def test_rtx_is_built_without_a_timing_cache_which_would_ask_for_a_gpu(site) -> None:
    prepare(site)
    assert site.trt.timings == [] and not list(site.plans.glob("*.timing"))
