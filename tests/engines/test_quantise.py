"""int8 files: what rounding does to a layer, and that a layer it would ruin stays f32."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import small_model
from onnx import TensorProto, helper, numpy_helper

from engines import read_manifest
from engines.training import quantise as q

SHAPE = (24, 20, 16)
LOUD = 1000.0


def kernels(loud: float) -> list[np.ndarray]:
    """1x1x1 convolutions: spread, the good one, the bad one, three logits.

    The good one makes its third channel ``loud``, and the bad one takes that back: in f32 nothing
    happens, in int8 the bad one's other inputs are lost.
    """
    spread = np.array([[1, 0], [0, 1], [0.5, 0.5], [1, 0]], float)
    good, bad = np.eye(4), np.eye(4)
    good[2, 2], bad[2, 2] = loud, 1 / loud
    logits = 4 * np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], float)
    return [w.astype(np.float32)[..., None, None, None] for w in (spread, good, bad, logits)]


def write(folder, loud: float = LOUD):
    names, nodes, x = ("spread", "good", "bad", "logits"), [], "image"
    for name in names:
        inputs = [x, f"{name}.w", *(["bias"] if name == "logits" else [])]
        nodes.append(helper.make_node("Conv", inputs, [name], name, strides=[1, 1, 1]))
        x = name
        if name != "logits":
            nodes.append(helper.make_node("Relu", [name], [f"{name}.relu"]))
            x = f"{name}.relu"
    nodes.append(helper.make_node("Softmax", ["logits"], ["probability"], axis=1))
    weights = zip(names, kernels(loud), strict=True)
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 2, *SHAPE])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 3, *SHAPE])],
        [
            *(numpy_helper.from_array(w, f"{name}.w") for name, w in weights),
            numpy_helper.from_array(np.array([0, -2, -2.4], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    shape = ", ".join(map(str, SHAPE))
    return read_manifest(small_model.write(folder / "m", model.SerializeToString(), shape))


@pytest.fixture
def windows() -> np.ndarray:
    """Voxels that are clearly of one class."""
    rng = np.random.default_rng(3)
    values = rng.choice([0.2, 0.8], (5, 2, *SHAPE)) + rng.normal(0, 0.02, (5, 2, *SHAPE))
    return values.astype(np.float32)


def in_int8(model) -> set[str]:
    made = {o for n in model.graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    convs = (n for n in model.graph.node if n.op_type == "Conv")
    return {n.name for n in convs if {n.input[0], n.input[1]} <= made}


def test_only_the_inner_layers_may_be_rounded_and_are_measured(tmp_path, windows) -> None:
    layers = q.measured(onnx.load(str(write(tmp_path).onnx)), windows)
    assert [layer.name for layer in layers] == ["good", "bad"]
    assert layers[0].most == pytest.approx(windows.max(), rel=1e-6)
    assert layers[1].most == pytest.approx(LOUD * windows.mean(1).max(), rel=1e-6)
    assert {layer.work for layer in layers} == {4 * 4 * np.prod(SHAPE)}


def test_what_is_rounded_lies_within_half_a_step(tmp_path, windows) -> None:
    source = onnx.load(str(write(tmp_path).onnx))
    layers = q.measured(source, windows)
    model = q.rounded(source, layers[:1])
    assert in_int8(model) == {"good"}
    found = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    kernel, scale = kernels(LOUD)[1], found["good.w.scale"]
    assert found["good.w.int8"].dtype == np.int8 and "good.w" not in found
    back = found["good.w.int8"] * scale.reshape(-1, 1, 1, 1, 1)
    assert (np.abs(back - kernel) <= scale.reshape(-1, 1, 1, 1, 1) / 2).all()
    assert scale == pytest.approx(np.abs(kernel).max((1, 2, 3, 4)) / q.MOST_WEIGHT)
    most = int(np.abs(found["good.w.int8"].astype(int)).max())
    assert 2 * 255 * most <= np.iinfo(np.int16).max  # what AVX2 adds in 16 bits isn't cut
    step = found["spread.relu.scale"]
    assert step == pytest.approx(q.HEADROOM * layers[0].most / 127)
    zeros = [v for name, v in found.items() if name.endswith(".zero")]
    assert zeros and all(v.dtype == np.int8 and not v.any() for v in zeros)  # for TensorRT
    assert (found["bad.w"] == kernels(LOUD)[2]).all()


def test_a_layer_that_rounding_ruins_stays_f32(tmp_path, windows) -> None:
    manifest = write(tmp_path)
    judge = q.Judge(manifest, windows)
    source = onnx.load(str(manifest.onnx))
    good, bad = q.measured(source, windows)
    assert (
        judge.used(q.rounded(source, [good]))
        < q.MARGIN
        < 1
        < judge.used(q.rounded(source, [good, bad]))
    )
    told: list[str] = []
    assert in_int8(q.quantise(manifest, windows, told.append)) == {"good"}
    assert [line.split(" layers")[0] for line in told] == ["small: 2 of 2", "small: 1 of 2"]


def test_where_nothing_is_ruined_all_inner_layers_are_int8(tmp_path, windows) -> None:
    model = q.quantise(write(tmp_path, loud=1.0), windows)
    assert in_int8(model) == {"good", "bad"}


@pytest.mark.parametrize("part", ["agreement", "dice", "volume_off"])
def test_the_worst_share_of_a_limit_counts(part: str) -> None:
    limits = q.LIMITS["int8"]
    values = {"agreement": 1.0, "dice": {"a": 1.0}, "volume_off": {"a": 0.0}}
    half = {
        "agreement": 1 - (1 - limits.agreement) / 2,
        "dice": {"a": 1.0, "b": 1 - (1 - limits.dice) / 2},
        "volume_off": {"a": 0.0, "b": -limits.volume_off / 2},
    }
    verdict = q.Verdict(True, "", **values | {part: half[part]})
    assert q.used_of(verdict) == pytest.approx(0.5)
