"""ONNX Runtime on the CPU: the reference every other engine is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.base import Engine, check_shapes
from engines.errors import EngineError
from engines.manifest import read_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engines.manifest import Manifest

NAME = "ONNX Runtime CPU"


class OrtEngine(Engine):
    """One session, one window at a time."""

    def __init__(self, manifest: Manifest, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_cpu_mem_arena = False  # costs some speed, saves 40 % of memory
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            read_weights(manifest), options, providers=["CPUExecutionProvider"]
        )
        got = session.get_providers()
        if got != ["CPUExecutionProvider"]:
            raise EngineError(
                "ENGINE_UNAVAILABLE", f"ONNX Runtime took {got}, not the CPU it was asked for."
            )
        check_shapes(
            manifest, tuple(session.get_inputs()[0].shape), tuple(session.get_outputs()[0].shape)
        )
        super().__init__(manifest, NAME, "f32")
        self._session = session
        self._input = session.get_inputs()[0].name

    def _run(self, x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        for i in range(len(x)):
            out[i] = self._session.run(None, {self._input: x[i : i + 1]})[0][0]

    def close(self) -> None:
        """Free the session."""
        super().close()
        self.__dict__.pop("_session", None)
