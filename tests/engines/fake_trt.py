"""A TensorRT whose network is a line of numpy; runs on the streams of :mod:`fake_cuda`."""

from __future__ import annotations

import json
from enum import Enum
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np


def model(x: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities ``(n, classes, z, y, x)``: a soft choice by distance to the mean channel."""
    mean = x.mean(1, dtype=np.float32)
    centers = np.linspace(0, 1, classes, dtype=np.float32)
    score = np.exp(-40 * (mean[:, None] - centers[None, :, None, None, None]) ** 2)
    return (score / score.sum(1, keepdims=True)).astype(np.float32)


def _port(port: Any, _index: int) -> Any:
    return port


class Severity(Enum):
    INTERNAL_ERROR, ERROR, WARNING = range(3)


class DataType(Enum):
    FLOAT, HALF, INT8 = range(3)


class TensorIOMode(Enum):
    INPUT, OUTPUT = range(2)


class ILogger:
    Severity = Severity


class IProgressMonitor:
    """What a build tells its phases to."""


class FakeTrt:
    """The module, for one network shape; ``spoil`` changes the answers it gives."""

    ILogger, DataType, TensorIOMode = ILogger, DataType, TensorIOMode
    IProgressMonitor = IProgressMonitor
    MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
    BuilderFlag = SimpleNamespace(TF32="tf32")

    def __init__(self, cuda: Any, manifest: Any, version: str = "1.7.1") -> None:
        self.cuda, self.__version__ = cuda, version
        self.inside = (1, len(manifest.channels), *manifest.shape)
        self.outside = (1, len(manifest.classes), *manifest.shape)
        self.refuse_plan = self.no_context = self.no_build = self.no_run = False
        self.broken_model = False
        self.spoil = lambda probability: probability
        self.builds = 0
        self.flags: list[str] = []
        self.timings: list[bytes] = []
        self.precision = DataType.FLOAT

    # ---- build

    def Builder(self, logger: Any) -> Any:
        return SimpleNamespace(
            create_network=self._network,
            create_builder_config=self._config,
            build_serialized_network=lambda network, config: self._build(logger, config),
        )

    def _network(self) -> Any:
        tensors = {"get_input": self.inside, "get_output": self.outside}
        ports = {name: SimpleNamespace(shape=shape) for name, shape in tensors.items()}
        made: dict[str, Any] = {name: partial(_port, port) for name, port in ports.items()}
        layer = SimpleNamespace(get_output_type=lambda _i: self.precision)
        return SimpleNamespace(
            **made, num_inputs=1, num_outputs=1, num_layers=1, get_layer=lambda _i: layer
        )

    def _config(self) -> Any:
        kept = SimpleNamespace(data=b"")

        def attach(cache: bytes, ignore_mismatch: bool) -> bool:
            assert not ignore_mismatch
            self.timings.append(cache)
            return True

        return SimpleNamespace(
            set_memory_pool_limit=lambda pool, size: None,
            clear_flag=self.flags.append,
            create_timing_cache=lambda data: data,
            set_timing_cache=attach,
            get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"measured " + kept.data),
            progress_monitor=None,
        )

    def _build(self, logger: Any, config: Any) -> bytes | None:
        self.builds += 1
        if config.progress_monitor is not None:
            config.progress_monitor.phase_start("Building", "", 4)
            for i in range(4):
                config.progress_monitor.phase_start("Tactics", "Building", 1)
                assert config.progress_monitor.step_complete("Tactics", 0)
                assert config.progress_monitor.step_complete("Building", i)
            config.progress_monitor.phase_finish("Building")
        if self.no_build:
            logger.log(Severity.ERROR, "no tactic fits")
            return None
        return json.dumps({"plan": self.inside}).encode()

    def OnnxParser(self, network: Any, logger: Any) -> Any:
        error = SimpleNamespace(desc=lambda: "op Foo is not known")
        good = not self.broken_model
        return SimpleNamespace(
            parse=lambda weights: good, num_errors=int(not good), get_error=lambda _i: error
        )

    # ---- run

    def Runtime(self, logger: Any) -> Any:
        def load(plan: bytes) -> Any:
            if self.refuse_plan or not plan.startswith(b'{"plan"'):
                logger.log(Severity.ERROR, "Serialization: the tag does not match")
                return None
            return self._plan()

        return SimpleNamespace(deserialize_cuda_engine=load)

    def _plan(self) -> Any:
        modes = {"image": TensorIOMode.INPUT, "probability": TensorIOMode.OUTPUT}
        shapes = {"image": self.inside, "probability": self.outside}
        return SimpleNamespace(
            num_io_tensors=2,
            get_tensor_name=lambda i: ("probability", "image")[i],  # order is not promised
            get_tensor_mode=modes.get,
            get_tensor_dtype=lambda _n: DataType.FLOAT,
            get_tensor_shape=shapes.get,
            create_execution_context=lambda: None if self.no_context else Context(self),
        )


class Context:
    def __init__(self, trt: FakeTrt) -> None:
        self._trt = trt
        self._bound: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._bound[name] = address
        return name in ("image", "probability") and address in self._trt.cuda.device

    def execute_async_v3(self, stream: int) -> bool:
        trt, (inside, outside) = self._trt, (self._bound["image"], self._bound["probability"])
        if trt.no_run or trt.cuda.lost:
            return False

        def work() -> None:
            x = np.frombuffer(trt.cuda.device[inside], np.float32).reshape(trt.inside)
            y = trt.spoil(model(x, trt.outside[1]))
            trt.cuda.device[outside][:] = y.astype(np.float32).tobytes()

        trt.cuda.queue(stream, "run", work)
        return True
