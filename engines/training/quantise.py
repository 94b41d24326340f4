"""An int8 file of a network: which convolutions may be rounded is found by measuring.

Activations are quantised by their largest value, with room above it: plaque is rare and bright,
and a percentile clips just that (docs/adr/0010). Layers are taken back to f32, most harm for
least work first, until the network passes the parity gate with a margin, on its own input and
on windows of phantoms. Symmetric int8, weights channel by channel, f32 biases: what both
TensorRT's parser and OpenVINO take.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.openers import default_threads
from engines.openvino_engine import OpenVinoEngine
from engines.ort import OrtEngine
from engines.parity import LIMITS, WINDOWS, Verdict, compare
from engines.parity_input import windows as gate_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from engines.manifest import Manifest

    Windows = NDArray[np.float32]

HEADROOM = 1.25
"""A patient may be brighter than any phantom that was looked at."""
MARGIN = 0.9
"""Part of the gate's limits that may be used up."""
MOST_WEIGHT = 63
"""Processors with AVX2 but no VNNI add two products in 16 bits and cut what is beyond: two of 255
times 63 fit, two of 255 times 127 don't (Intel, VPMADDUBSW)."""
JUDGED = 4
"""Windows of phantoms that candidates are judged on, beside those of the gate."""


class Layer(NamedTuple):
    """A convolution that may be rounded: largest input value, multiplications in a window."""

    name: str
    most: float
    work: float


def quantise(
    manifest: Manifest, windows: Windows, say: Callable[[str], None] = lambda _text: None
) -> onnx.ModelProto:
    """Return the int8 network of an f32 one; ``windows`` ``(n, c, z, y, x)`` are of phantoms.

    Where not even one layer can be rounded, that one is, and the gate will refuse the file.
    """
    source = onnx.load(str(manifest.onnx))
    layers = {layer.name: layer for layer in measured(source, windows)}
    judge = Judge(manifest, windows)

    def harm(names: Collection[str]) -> float:
        return judge.used(rounded(source, [layers[name] for name in names]))

    alone = {name: harm([name]) / layers[name].work for name in layers}
    chosen = sorted(layers, key=alone.__getitem__)
    while True:
        used = harm(chosen)
        say(f"{manifest.name}: {len(chosen)} of {len(layers)} layers in int8 use {used:.2f}")
        if used <= MARGIN or len(chosen) == 1:
            return rounded(source, [layers[name] for name in chosen])
        chosen.pop()


# ---- what is measured ----------------------------------------------------------------------


def measured(source: onnx.ModelProto, windows: Windows) -> list[Layer]:
    """Return the convolutions but the first and the last, with what they are fed."""
    import onnxruntime

    weights = {i.name: numpy_helper.to_array(i) for i in source.graph.initializer}
    inner = [n for n in source.graph.node if n.op_type == "Conv"][1:-1]
    probe = onnx.ModelProto()
    probe.CopyFrom(source)
    fed = sorted({node.input[0] for node in inner})
    for i, name in enumerate(fed):
        for op, kind in (("ReduceMax", TensorProto.FLOAT), ("Size", TensorProto.INT64)):
            keep = {"keepdims": 0} if op == "ReduceMax" else {}
            probe.graph.node.append(helper.make_node(op, [name], [f"{op}{i}"], **keep))
            probe.graph.output.append(helper.make_tensor_value_info(f"{op}{i}", kind, []))
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    asked = [f"{op}{i}" for op in ("ReduceMax", "Size") for i in range(len(fed))]
    found = np.array([session.run(asked, {"image": w[None]}) for w in windows], float).max(0)
    most, size = (dict(zip(fed, half, strict=True)) for half in np.split(found, 2))

    def work(node: Any) -> float:
        kernel = weights[node.input[1]]
        stride = next((a.ints for a in node.attribute if a.name == "strides"), [1])
        return float(size[node.input[0]] / kernel.shape[1] * kernel.size / np.prod(stride))

    return [Layer(n.name, most[n.input[0]], work(n)) for n in inner]


class Judge:
    """Says how much of the gate's limits a candidate uses up, run by OpenVINO as the product."""

    def __init__(self, manifest: Manifest, windows: Windows) -> None:
        self._manifest = replace(manifest, precision="int8")
        at = np.linspace(0, len(windows) - 1, min(JUDGED, len(windows))).astype(int)
        self._inputs = (gate_windows(manifest, WINDOWS), windows[at])
        with OrtEngine(manifest, default_threads()) as engine:
            self._expected = [engine.run(x) for x in self._inputs]

    def used(self, model: onnx.ModelProto) -> float:
        """Return the worst share of any limit; 1 is just passed."""
        data = model.SerializeToString()
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "model.onnx"
            path.write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            candidate = replace(self._manifest, onnx=path, sha256=digest)
            with OpenVinoEngine(candidate, default_threads()) as engine:
                got = [engine.run(x) for x in self._inputs]
        pairs = zip(self._expected, got, strict=True)
        return max(used_of(compare(a, b, self._manifest)) for a, b in pairs)


def used_of(verdict: Verdict) -> float:
    """Return the worst share of int8's limits that a verdict uses up."""
    limits = LIMITS["int8"]
    shares = [(1 - verdict.agreement) / (1 - limits.agreement)]
    shares += [(1 - dice) / (1 - limits.dice) for dice in verdict.dice.values()]
    shares += [abs(off) / limits.volume_off for off in verdict.volume_off.values()]
    return max(shares)


# ---- the file ------------------------------------------------------------------------------


def rounded(source: onnx.ModelProto, layers: Sequence[Layer]) -> onnx.ModelProto:
    """Return a copy with Q/DQ before these layers and int8 weights in them."""
    model = onnx.ModelProto()
    model.CopyFrom(source)
    graph = model.graph
    most = {layer.name: layer.most for layer in layers}
    weights = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    nodes: list[Any] = []
    fed: set[str] = set()
    for node in graph.node:
        if node.name in most:
            inside, kernel = node.input[0], node.input[1]
            if inside not in fed:
                fed.add(inside)
                scale = np.array(most[node.name] * HEADROOM / 127, np.float32)
                _keep(graph, inside, {"scale": scale, "zero": np.array(0, np.int8)})
                scales = [f"{inside}.scale", f"{inside}.zero"]
                made = f"{inside}.int8"
                nodes.append(helper.make_node("QuantizeLinear", [inside, *scales], [made]))
                nodes.append(helper.make_node("DequantizeLinear", [made, *scales], [f"{made}.f32"]))
            parts = _int8(weights[kernel])
            _keep(graph, kernel, parts)
            names = [f"{kernel}.{part}" for part in parts]
            nodes.append(helper.make_node("DequantizeLinear", names, [f"{kernel}.f32"], axis=0))
            node.input[0], node.input[1] = f"{inside}.int8.f32", f"{kernel}.f32"
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    _drop_unused(graph)
    onnx.checker.check_model(model)
    return model


def _int8(kernel: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Return values, scales and zero points of a kernel, one scale for each output channel."""
    axes = tuple(range(1, kernel.ndim))
    scale = np.maximum(np.abs(kernel).max(axes), 1e-12) / MOST_WEIGHT
    values = np.round(kernel / scale.reshape(-1, *(1 for _ in axes)))
    return {
        "int8": values.clip(-MOST_WEIGHT, MOST_WEIGHT).astype(np.int8),
        "scale": scale.astype(np.float32),
        "zero": np.zeros(len(scale), np.int8),
    }


def _keep(graph: Any, name: str, parts: Mapping[str, NDArray[Any]]) -> None:
    for part, value in parts.items():
        graph.initializer.append(numpy_helper.from_array(value, f"{name}.{part}"))


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [i for i in graph.initializer if i.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
