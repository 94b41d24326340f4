"""From an ONNX file to a plan. Takes seconds to minutes: only ``prepare`` does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engines.base import check_shapes
from engines.errors import EngineError

if TYPE_CHECKING:
    from engines.manifest import Manifest
    from engines.trt.library import Library

WORKSPACE_BYTES = 1 << 30
"""Room for a layer's scratch memory: ample for these networks, and leaves the rest to others."""


def build_plan(library: Library, manifest: Manifest, weights: bytes) -> tuple[bytes, str]:
    """Return the plan and the precision of the network in it ("f32", "f16", "int8").

    Raises
    ------
    EngineError
        PLAN_BUILD_FAILED, MODEL_MISMATCH.
    """
    trt = library.trt
    library.logger.lines.clear()
    builder = trt.Builder(library.logger)
    network = builder.create_network()
    parser = trt.OnnxParser(network, library.logger)
    # All three stay in this frame: the parser writes into a network it does not keep alive.
    if not parser.parse(weights):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise _failed(library, manifest, " | ".join(errors)[:500] or library.said())
    if (network.num_inputs, network.num_outputs) != (1, 1):  # an empty file parses as well
        raise _failed(library, manifest, "it does not have one input and one output")
    check_shapes(manifest, tuple(network.get_input(0).shape), tuple(network.get_output(0).shape))
    precision = _precision(trt, network)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    # On by default, and would round f32 to 10 bits: what we show as f32 is f32.
    config.clear_flag(trt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _failed(library, manifest, library.said())
    return bytes(plan), precision


def _precision(trt: Any, network: Any) -> str:
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
