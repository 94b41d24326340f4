"""What the engines call exists in CUDA's runtime; what they may never ask of TensorRT."""

from __future__ import annotations

import platform
import re
import sys

import cuda_names
import pytest

from engines import EngineError
from engines.cuda import Cuda, has_driver

here = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="requirements/test.txt has TensorRT-RTX and CUDA for Linux on x86-64 only",
)


def test_host_code_in_plans_is_never_allowed() -> None:
    for source in cuda_names.SOURCES:
        text = source.read_text(encoding="utf-8")
        assert "engine_host_code_allowed =" not in text
        assert "VERSION_COMPATIBLE" not in text


def test_precision_is_never_a_builder_flag() -> None:
    text = "".join(source.read_text(encoding="utf-8") for source in cuda_names.SOURCES)
    # Beside the type of the enum itself.
    assert set(re.findall(r"trt\.BuilderFlag\.(\w+)", text)) == {"TF32"}


@here
def test_every_name_is_in_the_cuda_runtime() -> None:
    from cuda.bindings import runtime

    used = cuda_names.used_of_cuda()
    assert {"cudaMemcpyAsync", "cudaErrorMemoryAllocation", "cudaEventDestroy"} <= used
    known = {*dir(runtime), *runtime.cudaError_t.__members__, *dir(runtime.cudaMemcpyKind)}
    assert used - known == set()


@here
def test_the_real_runtime_answers_as_our_fake_does() -> None:
    from cuda.bindings import runtime

    if has_driver():
        assert Cuda(runtime).call("cudaGetDeviceCount") >= 0
    else:
        with pytest.raises(EngineError, match="ENGINE_DRIVER_OLD"):
            Cuda(runtime).malloc(16)
    assert int(Cuda(runtime).call("cudaDriverGetVersion")) >= 0


@here
@pytest.mark.skipif(has_driver(), reason="made-up addresses are safe only without a driver")
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("use", (0,)),
        ("malloc", (8,)),
        ("malloc_pinned", (8,)),
        ("new_stream", ()),
        ("new_event", ()),
        ("copy_in", (8, 8, 8, "stream")),
        ("copy_out", (8, 8, 8, "stream")),
        ("record", ("event", "stream")),
        ("wait_for", ("event", "stream")),
        ("wait", ("event",)),
        ("memory_bytes", ()),
        ("call", ("cudaFree", 8)),
        ("call", ("cudaFreeHost", 8)),
        ("call", ("cudaStreamDestroy", "stream")),
        ("call", ("cudaEventDestroy", "event")),
        ("call", ("cudaStreamSynchronize", "stream")),
    ],
)
def test_the_real_runtime_takes_our_arguments(call: str, arguments: tuple[object, ...]) -> None:
    from cuda.bindings import runtime

    handles = {"stream": runtime.cudaStream_t(0), "event": runtime.cudaEvent_t(0)}
    given = [handles.get(a, a) for a in arguments]
    with pytest.raises(EngineError, match="ENGINE_DRIVER_OLD"):  # and no TypeError
        getattr(Cuda(runtime), call)(*given)
    assert int(handles["stream"]) == 0


@here
def test_the_real_context_takes_addresses_and_a_stream_as_integers() -> None:
    from tensorrt_rtx_bindings import IExecutionContext

    assert (
        "stream_handle: typing.SupportsInt) -> bool" in IExecutionContext.execute_async_v3.__doc__
    )
    words = "name: str, memory: typing.SupportsInt) -> bool"
    assert words in IExecutionContext.set_tensor_address.__doc__
