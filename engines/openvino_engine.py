"""OpenVINO on the CPU: two to ten times faster than ONNX Runtime on the same cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engines.base import Engine, check_shapes
from engines.errors import EngineError
from engines.manifest import read_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engines.manifest import Manifest


class OpenVinoEngine(Engine):
    """One request, one window at a time.

    Precision is asked for by name, because OpenVINO's own default is bf16 where the CPU has
    it, and read back from what was compiled.
    """

    def __init__(self, manifest: Manifest, threads: int) -> None:
        import openvino

        core = openvino.Core()
        try:
            model = core.read_model(model=read_weights(manifest))
        except RuntimeError as error:
            raise EngineError(
                "MODEL_INVALID",
                f"The network file of {manifest.name!r} is no network.",
                "Install the model again.",
            ) from error
        inside, outside = (_sizes(port.partial_shape) for port in (model.input(0), model.output(0)))
        any_size = check_shapes(manifest, inside, outside)
        if manifest.precision == "bf16" and "BF16" not in _capabilities(core):
            # It would silently compute in f32, or end the process.
            raise EngineError("ENGINE_PRECISION", "This processor has no bf16.", "Use f32.")
        hints: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if manifest.precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        try:
            compiled = core.compile_model(model, "CPU", hints)
        except RuntimeError as error:
            raise EngineError(
                "ENGINE_PRECISION",
                f"OpenVINO cannot run {manifest.name!r} in {manifest.precision} on this processor.",
                "Use f32.",
            ) from error
        devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
        super().__init__(manifest, f"OpenVINO {devices}", _precision_of(compiled, manifest))
        self.any_size = any_size
        self._compiled: Any = compiled
        self._request: Any = compiled.create_infer_request()

    def _run(self, x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        for i in range(len(x)):
            self._request.infer({0: x[i : i + 1]}, share_inputs=True, share_outputs=True)
            out[i] = self._request.get_output_tensor(0).data[0]

    def close(self) -> None:
        """Free request, network and core."""
        super().close()
        self.__dict__.pop("_request", None)
        self.__dict__.pop("_compiled", None)


def _capabilities(core: Any) -> list[str]:
    """Kinds of numbers that this processor computes with, such as FP32, BF16, INT8."""
    return list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def _sizes(shape: Any) -> tuple[int, ...]:
    return tuple(d.get_length() if d.is_static else 0 for d in shape)


def _precision_of(compiled: Any, manifest: Manifest) -> str:
    """Read back what the convolutions are computed in."""
    kinds = {
        str(node.get_rt_info()["runtimePrecision"].astype(str))
        for node in compiled.get_runtime_model().get_ordered_ops()
        if node.get_rt_info()["layerType"].astype(str) == "Convolution"
    }
    if kinds & {"i8", "u8"}:
        return "int8"
    if kinds == {"bf16"}:
        return "bf16"
    # A f16 file is computed in f32 on the CPU: its weights are what is rounded.
    return "f16" if manifest.precision == "f16" else "f32"
