"""A plan on the GPU: loaded once, run often, freed in reverse order."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from engines.base import Engine, check_shapes
from engines.cuda import Cuda
from engines.errors import EngineError
from engines.private import PREPARE
from engines.trt.slots import Slots

if TYPE_CHECKING:
    import numpy as np
    import tensorrt
    from numpy.typing import NDArray

    from engines.manifest import Manifest
    from engines.trt.library import Library, Trt
    from engines.trt.slots import Slot


class TrtEngine(Engine):
    """One execution context with static shapes; all its memory is taken at the opening."""

    def __init__(
        self,
        manifest: Manifest,
        library: Library,
        plan_bytes: bytes,
        precision: str,
        gpu_name: str,
        cuda: Cuda | None = None,
    ) -> None:
        """Load a plan whose hash was checked.

        Raises
        ------
        EngineError
            PLAN_REFUSED, ENGINE_OUT_OF_MEMORY and the other codes of CUDA.
        """
        super().__init__(manifest, f"{library.title} on {gpu_name}", precision)
        self._library, self._cuda = library, cuda or Cuda()
        with ExitStack() as stack:
            self._open(stack, plan_bytes)
            self._stack = stack.pop_all()

    def _open(self, stack: ExitStack, plan_bytes: bytes) -> None:
        trt, library = self._library.trt, self._library
        library.logger.lines.clear()
        self._cuda.use()
        stack.callback(self._drop)
        # ``engine_host_code_allowed`` stays unset: a plan may not bring code for the host.
        runtime: tensorrt.Runtime = trt.Runtime(library.logger)
        plan: tensorrt.ICudaEngine | None = runtime.deserialize_cuda_engine(plan_bytes)
        self._runtime, self._plan = runtime, plan
        if plan is None:
            raise self._why("PLAN_REFUSED", "does not take its plan")
        names = [plan.get_tensor_name(i) for i in range(plan.num_io_tensors)]
        inputs = [n for n in names if plan.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        outputs = [n for n in names if n not in inputs]
        self._check(trt, plan, inputs, outputs)
        self._input, self._output = inputs[0], outputs[0]
        inside, outside = (tuple(plan.get_tensor_shape(n)) for n in (self._input, self._output))
        self._context = plan.create_execution_context()
        if self._context is None:
            raise self._why("ENGINE_OUT_OF_MEMORY", "has no memory for the network")
        self._slots = Slots(self._cuda, stack, inside, outside)

    def _check(
        self, trt: Trt, plan: tensorrt.ICudaEngine, inputs: list[str], outputs: list[str]
    ) -> None:
        kinds = {plan.get_tensor_dtype(n) for n in inputs + outputs}
        good = (len(inputs), len(outputs), kinds) == (1, 1, {trt.DataType.FLOAT})
        with suppress(EngineError):  # not MODEL_MISMATCH: the model is good, its plan is not
            if good:
                check_shapes(
                    self.manifest, *(tuple(plan.get_tensor_shape(n)) for n in inputs + outputs)
                )
                return
        raise EngineError(
            "PLAN_REFUSED", f"The plan of {self.manifest.name!r} is of another network.", PREPARE
        )

    def _run(self, x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        try:
            self._cuda.use()  # this may be another thread than the one that opened
            self._slots.run(x, out, self._launch)
        except EngineError:
            self._slots.drain()  # nothing may still be on its way into a buffer
            raise

    def _launch(self, slot: Slot) -> None:
        context: tensorrt.IExecutionContext = self._context
        bound = context.set_tensor_address(self._input, slot.device_in)
        bound = context.set_tensor_address(self._output, slot.device_out) and bound
        if not (bound and context.execute_async_v3(int(self._slots.compute))):
            raise self._why("ENGINE_RUN_FAILED", "cannot run the network")

    def _why(self, code: str, what: str) -> EngineError:
        """Return CUDA's own error if it has one, else TensorRT's words."""
        noted = self._cuda.last_error()
        if noted is not None and noted.code != "ENGINE_CUDA_FAILED":
            return noted
        text = f"{self._library.title} {what} ({self.manifest.name!r}: {self._library.said()})."
        return EngineError(code, text, PREPARE)

    def _drop(self) -> None:
        for name in ("_context", "_plan", "_runtime"):
            self.__dict__.pop(name, None)

    def close(self) -> None:
        """Free streams, events, pinned and device memory, then context, plan and runtime."""
        super().close()
        self.__dict__.pop("_slots", None)
        self._stack.close()
