"""Let a network take images of any size: the reshapes of its stem and head follow the input's.

torch writes the sizes it saw into the file. The convolutions do not care, so a whole heart can
go through at once where memory allows, in place of overlapping tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "grid/"


def free_sizes(path: Path) -> None:
    """Rewrite the file so that (z, y, x) are open; a file that is already so stays as it is."""
    model = onnx.load(str(path))
    graph = model.graph
    if graph.input[0].type.tensor_type.shape.dim[2].dim_param:
        return
    known = {
        n.output[0]: numpy_helper.to_array(n.attribute[0].t)
        for n in graph.node
        if n.op_type == "Constant"
    }
    reshapes = [n for n in graph.node if n.op_type == "Reshape"]
    into, _, out, _ = ([int(v) for v in known[n.input[1]]] for n in reshapes)
    nodes = [n for n in graph.node if n.op_type != "Constant"]
    added = _sizes(graph, channels=into[1], stem=into[3::2], classes=out[1])
    for i, reshape in enumerate(reshapes):
        reshape.input[1] = f"{PREFIX}shape{i}"
    del graph.node[:]
    graph.node.extend([*added, *nodes])
    for value in (graph.input[0], graph.output[0]):
        for dim, name in zip(value.type.tensor_type.shape.dim[2:], "zyx", strict=True):
            dim.dim_param = name
    del graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _sizes(graph: Any, channels: int, stem: list[int], classes: int) -> list[Any]:
    """Return the nodes that work out the four shapes from that of ``image``."""

    def constant(name: str, values: list[int]) -> str:
        array = np.array(values, np.int64)
        graph.initializer.append(numpy_helper.from_array(array, PREFIX + name))
        return PREFIX + name

    each = [constant(f"stem_{a}", [n]) for a, n in zip("zyx", stem, strict=True)]
    whole, cells, axes = f"{PREFIX}whole", f"{PREFIX}cells", [PREFIX + a for a in "zyx"]
    shapes = (
        [
            constant("in", [1, channels]),
            *(v for pair in zip(axes, each, strict=True) for v in pair),
        ],
        [constant("cell_in", [1, channels * int(np.prod(stem))]), cells],
        [constant("cell_out", [1, classes, *stem]), *axes],
        [constant("out", [1, classes]), whole],
    )
    return [
        helper.make_node("Shape", ["image"], [whole], start=2, end=5),
        helper.make_node("Div", [whole, constant("stem", stem)], [cells]),
        helper.make_node("Split", [cells, constant("ones", [1, 1, 1])], axes, axis=0),
        *(
            helper.make_node("Concat", parts, [f"{PREFIX}shape{i}"], axis=0)
            for i, parts in enumerate(shapes)
        ),
    ]
