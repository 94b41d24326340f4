"""From an ONNX file to a plan. Takes seconds to minutes: only ``prepare`` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engines.base import check_shapes
from engines.errors import EngineError

if TYPE_CHECKING:
    import tensorrt

    from engines.manifest import Manifest
    from engines.progress import Progress
    from engines.trt.library import Library, Trt
    from engines.trt.timing import Timings

WORKSPACE_BYTES = 1 << 30
"""Room for a layer's scratch memory: ample for these networks, and leaves the rest to others."""


def build_plan(
    library: Library,
    manifest: Manifest,
    weights: bytes,
    timings: Timings | None = None,
    progress: Progress | None = None,
) -> tuple[bytes, str]:
    """Return the plan and the precision of the network in it ("f32", "f16", "int8").

    ``timings`` is used and kept up to date; ``progress`` hears of the build's phases.

    Raises
    ------
    EngineError
        PLAN_BUILD_FAILED, MODEL_MISMATCH.
    """
    trt = library.trt
    library.logger.lines.clear()
    builder: tensorrt.Builder = trt.Builder(library.logger)
    network: tensorrt.INetworkDefinition = builder.create_network()
    parser: tensorrt.OnnxParser = trt.OnnxParser(network, library.logger)
    # All three stay in this frame: the parser writes into a network it does not keep alive.
    if not parser.parse(weights):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise _failed(library, manifest, " | ".join(errors)[:500] or library.said())
    if (network.num_inputs, network.num_outputs) != (1, 1):  # an empty file parses as well
        raise _failed(library, manifest, "it does not have one input and one output")
    # What the file leaves open is fixed: a plan of one size is the fastest.
    inside = tuple(network.get_input(0).shape)
    if -1 in inside:
        network.get_input(0).shape = (*inside[:2], *manifest.shape)
    check_shapes(manifest, tuple(network.get_input(0).shape), tuple(network.get_output(0).shape))
    precision = _precision(trt, network)
    config: tensorrt.IBuilderConfig = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    # On by default, and would round f32 to 10 bits: what we show as f32 is f32.
    config.clear_flag(trt.BuilderFlag.TF32)
    if progress is not None:
        config.progress_monitor = make_monitor(trt, progress, f"building {manifest.name}")
    if timings is not None:
        # One that does not fit this GPU is refused here and made anew by the build.
        config.set_timing_cache(config.create_timing_cache(timings.read()), False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _failed(library, manifest, library.said())
    if timings is not None and (measured := config.get_timing_cache()) is not None:
        timings.keep(bytes(measured.serialize()))
    return bytes(plan), precision


def make_monitor(trt: Trt, progress: Progress, text: str) -> Any:
    """Return what TensorRT tells its phases to; the outermost one counts."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc, name-defined]  # known at run time
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)  # pybind wants it called by name
            self.outer, self.steps = "", 1

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                self.outer, self.steps = phase_name, max(1, int(num_steps))

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name == self.outer:
                progress.part((int(step) + 1) / self.steps, text)
            return True  # go on

        def phase_finish(self, phase_name: str) -> None:
            """Nothing more to tell."""

    return Monitor()


def _precision(trt: Trt, network: tensorrt.INetworkDefinition) -> str:
    kinds = {network.get_layer(i).get_output_type(0) for i in range(network.num_layers)}
    if trt.DataType.INT8 in kinds:
        return "int8"
    if trt.DataType.HALF in kinds:
        return "f16"
    return "f32"


def _failed(library: Library, manifest: Manifest, why: str) -> EngineError:
    return EngineError(
        "PLAN_BUILD_FAILED",
        f"{library.title} cannot build {manifest.name!r}: {why.rstrip('.')}.",
        "Other engines go on; send this line to the maintainers.",
    )
