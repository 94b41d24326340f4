"""The names the engines use exist in every TensorRT they say they know, and in CUDA's runtime."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from pathlib import Path

import api_names
import api_snapshot
import pytest

from engines import EngineError
from engines.cuda import Cuda, has_driver

SNAPSHOTS = {p.stem: json.loads(p.read_text()) for p in api_snapshot.FOLDER.glob("*.json")}
WHEELS = sorted(Path(os.environ.get("TENSORRT_WHEELS", "/nonexistent")).glob("*.whl"))
here = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="requirements/test.txt has TensorRT-RTX and CUDA for Linux on x86-64 only",
)


def test_the_calls_are_found_in_the_source() -> None:
    used = api_names.used_names()
    assert {
        "Builder.build_serialized_network",
        "OnnxParser.parse",
        "ParserError.desc",
        "BuilderFlag.TF32",
        "Runtime.deserialize_cuda_engine",
        "ICudaEngine.get_tensor_mode",
        "IExecutionContext.execute_async_v3",
        "ILogger.Severity.ERROR",
    } <= used
    assert len(used) > 35


def test_host_code_in_plans_is_never_allowed() -> None:
    for source in api_names.SOURCES:
        text = source.read_text(encoding="utf-8")
        assert "engine_host_code_allowed =" not in text
        assert "VERSION_COMPATIBLE" not in text


def test_precision_is_never_a_builder_flag() -> None:
    flags = {n for n in api_names.used_names() if n.startswith("BuilderFlag.")}
    assert flags == {"BuilderFlag.TF32"}


@pytest.mark.parametrize("major", ["10.16", "11.4"])
def test_every_name_is_in_tensorrt(major: str) -> None:
    (names,) = (n for version, n in SNAPSHOTS.items() if version.startswith(f"{major}."))
    assert api_names.missing(names) == []


def test_the_snapshots_differ_where_the_releases_do() -> None:
    ten, eleven = (next(n for v, n in SNAPSHOTS.items() if v.startswith(m)) for m in ("10", "11"))
    assert "FP16" in ten["BuilderFlag"] and "FP16" not in eleven["BuilderFlag"]
    assert "int8_calibrator" in ten["IBuilderConfig"]
    assert "int8_calibrator" not in eleven["IBuilderConfig"]


def test_a_call_that_is_gone_is_found(monkeypatch) -> None:
    monkeypatch.setattr(api_names, "used_names", lambda: {"BuilderFlag.FP16", "Builder.nothing"})
    eleven = next(n for v, n in SNAPSHOTS.items() if v.startswith("11"))
    assert api_names.missing(eleven) == ["Builder.nothing", "BuilderFlag.FP16"]


@here
def test_every_name_is_in_tensorrt_rtx() -> None:
    import tensorrt_rtx_bindings

    assert api_names.missing(api_names.all_names(tensorrt_rtx_bindings)) == []


@here
def test_every_name_is_in_the_cuda_runtime() -> None:
    from cuda.bindings import runtime

    used = api_names.used_of_cuda()
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


@pytest.mark.skipif(not WHEELS, reason="TENSORRT_WHEELS names no folder with bindings")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc makes the stand-in libraries")
@pytest.mark.parametrize("wheel", WHEELS, ids=str)
def test_the_snapshots_are_those_of_the_real_bindings(wheel: Path) -> None:
    assert api_snapshot.snapshot(wheel) == SNAPSHOTS[api_snapshot.version_of(wheel)]
