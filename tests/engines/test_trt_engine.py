"""The whole life of a TensorRT engine, on a GPU that is not there."""

from __future__ import annotations

import numpy as np
import pytest
import small_model
from fake_cuda import FakeCuda
from fake_trt import FakeTrt, model

from engines import EngineError, read_manifest
from engines.cuda import Cuda
from engines.trt.engine import TrtEngine
from engines.trt.library import Library, make_logger

PLAN = b'{"plan": 1}'


class Rig:
    def __init__(self, folder, seed: int = 0) -> None:
        self.cuda = FakeCuda(seed)
        self.manifest = read_manifest(small_model.write(folder))
        self.trt = FakeTrt(self.cuda, self.manifest)
        self.library = Library("rtx", self.trt, "1.7.1", make_logger(self.trt))

    def open(self, plan: bytes = PLAN) -> TrtEngine:
        cuda = Cuda(self.cuda)
        return TrtEngine(self.manifest, self.library, plan, "f32", "Fake RTX", cuda)

    def windows(self, count: int) -> np.ndarray:
        shape = (count, *self.trt.inside[1:])
        return np.random.default_rng(count).random(shape, dtype=np.float32)


@pytest.fixture
def rig(tmp_path) -> Rig:
    return Rig(tmp_path)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(8))
def test_results_are_those_of_the_network_in_whatever_order_the_gpu_works(
    tmp_path, seed: int, count: int
) -> None:
    rig = Rig(tmp_path, seed)
    x = rig.windows(count)
    with rig.open() as engine:
        for _ in range(2):
            np.testing.assert_array_equal(engine.run(x), model(x, 3))
        assert engine.provider == "TensorRT-RTX 1.7.1 on Fake RTX"
    assert rig.cuda.alive() == 0
    assert rig.cuda.order.count("run") == 2 * count


@pytest.mark.parametrize("call", ["wait_for", "wait"])
def test_the_fake_notices_a_missing_wait(tmp_path, monkeypatch, call: str) -> None:
    monkeypatch.setattr(Cuda, call, lambda *_: None)
    wrong = 0
    for seed in range(10):
        rig = Rig(tmp_path, seed)
        x = rig.windows(5)
        with rig.open() as engine:
            wrong += not np.array_equal(engine.run(x), model(x, 3))
    assert wrong


def test_a_window_is_copied_while_another_is_computed(tmp_path) -> None:
    orders = set()
    for seed in range(20):
        rig = Rig(tmp_path, seed)
        with rig.open() as engine:
            engine.run(rig.windows(4))
        orders.add(" ".join(rig.cuda.order))
    assert any("in in" in order for order in orders)  # the second is in before the first ran
    assert any("run run" in order for order in orders)  # the second ran before the first was out


def test_nothing_is_allocated_per_call(rig) -> None:
    with rig.open() as engine:
        before = [c for c in rig.cuda.calls if "Malloc" in c or "Create" in c]
        for count in (1, 5):
            engine.run(rig.windows(count))
        assert [c for c in rig.cuda.calls if "Malloc" in c or "Create" in c] == before


def test_close_frees_in_reverse_and_may_be_called_twice(rig) -> None:
    engine = rig.open()
    made = [c for c in rig.cuda.calls if "Malloc" in c or "Create" in c]
    rig.cuda.calls.clear()
    engine.close()
    engine.close()
    freed = [c for c in rig.cuda.calls if "Free" in c or "Destroy" in c]
    undo = {
        "cudaMalloc": "cudaFree",
        "cudaMallocHost": "cudaFreeHost",
        "cudaStreamCreateWithFlags": "cudaStreamDestroy",
        "cudaEventCreateWithFlags": "cudaEventDestroy",
    }
    assert freed == [undo[name] for name in reversed(made)]
    with pytest.raises(EngineError, match="ENGINE_CLOSED"):
        engine.run(rig.windows(1))


STEPS = (("cudaMalloc", 4), ("cudaMallocHost", 4), ("cudaStreamCreateWithFlags", 2))
STEPS += (("cudaEventCreateWithFlags", 6),)


@pytest.mark.parametrize(("name", "after"), [(n, i) for n, most in STEPS for i in range(most)])
def test_no_memory_at_the_opening_frees_what_was_taken(rig, name: str, after: int) -> None:
    rig.cuda.fail(name, "cudaErrorMemoryAllocation", after)
    with pytest.raises(EngineError, match="ENGINE_OUT_OF_MEMORY"):
        rig.open()
    assert rig.cuda.alive() == 0


def test_no_context_is_no_memory(rig) -> None:
    rig.trt.no_context = True
    with pytest.raises(EngineError, match="ENGINE_OUT_OF_MEMORY"):
        rig.open()
    assert rig.cuda.alive() == 0


@pytest.mark.parametrize("name", ["cudaMemcpyAsync", "cudaEventSynchronize", "cudaEventRecord"])
@pytest.mark.parametrize("after", range(4))
def test_an_error_during_a_run_leaves_an_engine_that_runs(rig, name: str, after: int) -> None:
    with rig.open() as engine:
        rig.cuda.fail(name, "cudaErrorInvalidValue", after)
        with pytest.raises(EngineError, match="ENGINE_CUDA_FAILED"):
            engine.run(rig.windows(5))
        assert not any(rig.cuda.streams.values())
        np.testing.assert_array_equal(engine.run(rig.windows(3)), model(rig.windows(3), 3))
    assert rig.cuda.alive() == 0


def test_a_lost_gpu_is_said_and_close_does_not_raise(rig) -> None:
    engine = rig.open()
    rig.cuda.fail("cudaEventSynchronize", "cudaErrorLaunchFailure", 1)
    with pytest.raises(EngineError, match="ENGINE_DEVICE_LOST") as caught:
        engine.run(rig.windows(4))
    assert "restart" in caught.value.next_step
    rig.cuda.lost = "cudaErrorLaunchFailure"
    with pytest.raises(EngineError, match="ENGINE_DEVICE_LOST"):
        engine.run(rig.windows(1))
    engine.close()
    assert rig.cuda.alive() == 0


def test_tensorrt_refusing_to_run_gives_its_words(rig) -> None:
    with rig.open() as engine:
        rig.trt.no_run = True
        with pytest.raises(EngineError, match=r"ENGINE_RUN_FAILED: .*small"):
            engine.run(rig.windows(2))


def test_a_plan_it_does_not_take_is_refused_with_the_reason(rig) -> None:
    with pytest.raises(EngineError, match=r"PLAN_REFUSED: .*tag does not match"):
        rig.open(b"half a pl")
    assert rig.cuda.alive() == 0


def test_a_plan_of_other_shapes_is_refused(rig) -> None:
    rig.trt.outside = (1, 4, 6, 5, 4)
    with pytest.raises(EngineError, match="PLAN_REFUSED"):
        rig.open()
    assert rig.cuda.alive() == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("cudaErrorMemoryAllocation", "ENGINE_OUT_OF_MEMORY"),
        ("cudaErrorInsufficientDriver", "ENGINE_DRIVER_OLD"),
        ("cudaErrorNoDevice", "ENGINE_GPU_MISSING"),
        ("cudaErrorECCUncorrectable", "ENGINE_DEVICE_LOST"),
        ("cudaErrorInvalidValue", "ENGINE_CUDA_FAILED"),
    ],
)
def test_every_cuda_error_has_code_sentence_and_next_step(rig, error: str, code: str) -> None:
    rig.cuda.fail("cudaMalloc", error)
    with pytest.raises(EngineError) as caught:
        Cuda(rig.cuda).malloc(8)
    assert caught.value.code == code
    assert caught.value.text.endswith(".")
    assert caught.value.next_step.endswith(".")
