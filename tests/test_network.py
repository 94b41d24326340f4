"""A network in its role: channels as model.toml writes them, classes in our order, strangers."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines import EngineError, open_engine
from engines.manifest import MODELS
from plaque_edge.segment.network import CLASSES, GRID_MM, Network, channel_of, input_of
from plaque_edge.segment.run import Engines

HU = np.linspace(-1200, 2000, 7 * 6 * 5).reshape(7, 6, 5).astype(np.int16)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-200..600 HU", lambda hu: np.clip((hu + 200) / 800, 0, 1)),
        ("250..1500 HU", lambda hu: np.clip((hu - 250) / 1250, 0, 1)),
        ("HU / blood HU, -0.5..2", lambda hu: np.clip(hu / 400, -0.5, 2) * 0.4 + 0.2),
        ("(HU - 120.5) / 85.2, -300..700 HU", lambda hu: (np.clip(hu, -300, 700) - 120.5) / 85.2),
    ],
)
def test_a_channel_is_what_its_text_says(text, expected):
    (got,) = input_of([channel_of(text)], HU, 400.0)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected(HU.astype(float)), atol=2e-6)


@pytest.mark.parametrize(
    ("wall_mm", "value"), [(None, 0.0), (0.48, 0.0), (0.58, 1.0), (0.2, -1.8), (2.0, 3.2)]
)
def test_the_channel_of_the_patients_wall_is_one_number(wall_mm, value):
    text = "(patient's wall mm - 0.48) / 0.1, 0.3..0.8, 0 if unknown"
    (got,) = input_of([channel_of(text)], HU, 400.0, wall_mm)
    assert got.shape == HU.shape and got.dtype == np.float32
    np.testing.assert_allclose(got, value, atol=1e-5)


@pytest.mark.parametrize(
    "text", ["HU", "600..-200 HU", "(HU - 1) / 0, 0..1 HU", "-200..600 HU; import os", "1..1 HU"]
)
def test_what_is_no_channel_is_refused(text):
    with pytest.raises(ValueError, match="channel"):
        channel_of(text)


class Fake:
    """An engine that gives back what it was told to, as ``(n, k, z, y, x)``."""

    any_size = False

    def __init__(self, given, classes, activation="none", spacing=GRID_MM["tree"]):
        self.given = np.asarray(given, np.float32)
        self.manifest = SimpleNamespace(
            name="fake",
            channels=("-200..600 HU",),
            classes=classes,
            activation=activation,
            spacing_mm=spacing,
            shape=(1, 1, 1),
        )

    def run(self, x):
        return np.broadcast_to(
            self.given[None, :, None, None, None], (len(x), len(self.given), 1, 1, 1)
        )


def test_classes_come_in_our_order_split_ones_are_added_and_missing_ones_are_nothing():
    names = ("RCA", "LAD", "background", "LCX", "aorta", "background")
    network = Network(Fake([0.05, 0.2, 0.3, 0.1, 0.25, 0.1], names), "tree")
    got = network.run(np.zeros((1, 1, 1)), 400)[:, 0, 0, 0]
    np.testing.assert_allclose(got, [0.4, 0.25, 0, 0.2, 0.1, 0.05, 0], atol=1e-7)


def test_logits_become_probabilities():
    logits = np.array([3.0, -1, 0.5, 100, 0, 2, 1])
    got = Network(Fake(logits, CLASSES["tree"], "softmax"), "tree").run(np.zeros((1, 1, 1)), 400)
    assert got.sum() == pytest.approx(1)
    assert got[3, 0, 0, 0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("fake", "why"),
    [
        (Fake([1, 0], ("background", "artery")), "'artery' is unknown"),
        (Fake([1, 0], ("background", "aorta")), "'LAD' is missing"),
        (Fake([1] * 7, CLASSES["tree"], spacing=(1.0, 1.0, 1.0)), "grid"),
    ],
)
def test_a_network_that_does_not_fit_its_role_is_refused_with_the_reason(fake, why):
    with pytest.raises(EngineError, match=why) as refused:
        Network(fake, "tree")
    assert refused.value.code == "MODEL_UNFIT"
    assert "docs/models.md" in refused.value.next_step


def test_low_attenuation_may_not_be_missing_since_it_would_read_as_zero():
    names = tuple(c for c in CLASSES["wall"] if c != "low_attenuation")
    with pytest.raises(EngineError, match="low_attenuation"):
        Network(Fake([1] * 6, names, spacing=GRID_MM["wall"]), "wall")


ORDER = (5, 3, 1, 6, 4, 0, 0, 2)
"""Which of our classes each output of the stranger is: background twice, with half each."""
STRANGER = """
name = "stranger"
version = "3"
description = "our tree network in another's clothes"
licence = "Apache-2.0"
[file]
onnx = "tree.onnx"
sha256 = "{sha256}"
[input]
channels = ["(HU - 150) / 85.2, -200..600 HU", "HU / blood HU, -0.5..2"]
shape_zyx = [96, 96, 96]
spacing_zyx_mm = [0.8, 0.8, 0.8]
[output]
classes = {classes}
activation = "softmax"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of a site's models: our tree with other input, order, and logits; background split."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "tree").mkdir()
    model = onnx.load(MODELS / "tree" / "model.onnx")
    graph = model.graph
    consts = {
        # Back from the standardised channel to 0..1; the second channel stays.
        "scale": np.array([85.2 / 800, 1], np.float32).reshape(1, 2, 1, 1, 1),
        "shift": np.array([350 / 800, 0], np.float32).reshape(1, 2, 1, 1, 1),
        "tiny": np.array(1e-12, np.float32),
        "half": np.array([1, 1, 1, 1, 1, 0.5, 0.5, 1], np.float32).reshape(1, 8, 1, 1, 1),
        "order": np.array(ORDER, np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in consts.items())
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == "image":
                node.input[i] = "ours"
    graph.node.insert(0, helper.make_node("Add", ["scaled", "shift"], ["ours"]))
    graph.node.insert(0, helper.make_node("Mul", ["image", "scale"], ["scaled"]))
    for op, inside, outside in (
        ("Gather", ["probability", "order"], "gathered"),
        ("Mul", ["gathered", "half"], "halved"),
        ("Add", ["halved", "tiny"], "above"),
        ("Log", ["above"], "logits"),
    ):
        graph.node.append(
            helper.make_node(op, inside, [outside], **({"axis": 1} if op == "Gather" else {}))
        )
    sizes = [d.dim_param or d.dim_value for d in graph.output[0].type.tensor_type.shape.dim]
    sizes[1] = 8
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, sizes))
    onnx.checker.check_model(model)
    path = folder / "tree" / "tree.onnx"
    onnx.save(model, path)
    names = [CLASSES["tree"][i] for i in consts["order"]]
    text = STRANGER.format(
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        classes=str(names).replace("'", '"'),
    )
    (folder / "tree" / "model.toml").write_text(text)
    return folder


def test_our_network_in_a_strangers_clothes_gives_the_same_maps(site):
    rng = np.random.default_rng(5)
    hu = rng.normal(200, 250, (48, 40, 32)).astype(np.int16)
    with (
        open_engine("tree", "cpu", threads=1) as mine,
        open_engine(site / "tree", "cpu", threads=1) as theirs,
    ):
        expected, got = (Network(e, "tree").run(hu, 420.0) for e in (mine, theirs))
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_a_result_names_the_sites_network_and_has_another_hash(site):
    with Engines("cpu") as ours, Engines("cpu", models=site) as theirs:
        assert ours.info().name == "PlaqueSegNet-edge"
        assert theirs.info().name == "PlaqueSegNet-edge (tree: stranger 3)"
        assert theirs.info().sha256 != ours.info().sha256


def test_a_folder_without_networks_is_refused(tmp_path):
    with pytest.raises(EngineError, match="no heart, tree or wall") as refused:
        Engines("cpu", models=tmp_path)
    assert refused.value.code == "MODELS_EMPTY"
