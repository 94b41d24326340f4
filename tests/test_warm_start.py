"""A network restored from its ONNX file computes what the file computes, and can learn on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")
pytest.importorskip("onnx", reason="training needs onnx")

import onnxruntime as ort  # noqa: E402

from engines.training.net import StemUNet, build  # noqa: E402
from engines.training.warm import from_onnx  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

HEART = Path(__file__).parents[1] / "engines" / "models" / "heart" / "model.onnx"
WHOLE, SMALL = (64, 96, 96), (32, 48, 48)
"""What the file takes, and what is enough to learn from."""


def body(seed: int, shape: tuple[int, int, int] = SMALL) -> torch.Tensor:
    """Something like a chest: lungs round a soft ellipsoid with a bright one inside, and noise."""
    rng = np.random.default_rng(seed)
    z, y, x = (np.linspace(-1, 1, n) for n in shape)
    grid = np.stack(np.meshgrid(z, y, x, indexing="ij"), -1) - rng.uniform(-0.15, 0.15, 3)
    hu = np.full(shape, -850.0)
    hu[np.linalg.norm(grid / rng.uniform(0.4, 0.6, 3), axis=-1) < 1] = 60
    hu[np.linalg.norm((grid + 0.1) / rng.uniform(0.2, 0.3, 3), axis=-1) < 1] = 400
    hu[np.hypot(grid[..., 1], grid[..., 2]) > 0.85] = 30
    hu += rng.normal(0, 30, hu.shape)
    return torch.from_numpy(np.clip((hu[None, None] + 1024) / 2000, 0, 1).astype(np.float32))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small convolutions on busy cores: threads would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def batches() -> list[torch.Tensor]:
    return [body(0), body(1)]


@pytest.fixture(scope="module")
def net(batches: list[torch.Tensor]) -> StemUNet:
    return from_onnx("heart", HEART, batches)


@pytest.fixture(scope="module")
def session() -> ort.InferenceSession:
    return ort.InferenceSession(str(HEART), providers=["CPUExecutionProvider"])


def probability(net: StemUNet, image: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return torch.softmax(net(image), dim=1).numpy()


def norms(net: StemUNet) -> list[torch.nn.BatchNorm3d]:
    return [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm3d)]


@pytest.mark.parametrize("seed", [0, 7])
def test_the_network_computes_what_the_file_computes(
    net: StemUNet, session: ort.InferenceSession, seed: int
) -> None:
    image = body(seed, WHOLE)  # 0 was seen, if coarser, when statistics were taken
    (expected,) = session.run(None, {"image": image.numpy()})
    assert expected.min() < 0.01  # something to tell apart
    assert (expected.max((0, 2, 3, 4)) > 0.5).sum() >= 2
    net.eval()
    got = probability(net, image)
    net.train()
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < 1e-4


def test_normalisation_has_the_statistics_of_its_inputs(
    net: StemUNet, batches: list[torch.Tensor]
) -> None:
    seen: dict[torch.nn.BatchNorm3d, list[torch.Tensor]] = {n: [] for n in norms(net)}
    handles = [
        n.register_forward_pre_hook(lambda module, x: seen[module].append(x[0].detach()))
        for n in seen
    ]
    net.eval()
    for image in batches:
        probability(net, image)
    net.train()
    for handle in handles:
        handle.remove()
    assert len(seen) == 10
    for norm, inputs in seen.items():
        values = torch.cat(inputs).transpose(0, 1).flatten(1).double()
        assert torch.allclose(norm.running_mean.double(), values.mean(1), atol=1e-3, rtol=1e-3)
        assert torch.allclose(norm.running_var.double(), values.var(1), atol=1e-3, rtol=1e-2)
        assert norm.running_mean.abs().max() > 0.01
        assert (norm.running_var - 1).abs().max() > 0.01
        assert len(set(norm.running_var.tolist())) > 1
        assert torch.isfinite(norm.weight).all()


def test_training_starts_where_the_file_left_off(batches: list[torch.Tensor]) -> None:
    """With one batch its own statistics are the kept ones: training mode gives the same output."""
    net = from_onnx("heart", HEART, batches[:1])
    assert net.training
    before = probability(net.eval(), batches[0])
    logits = net.train()(batches[0])
    learning = torch.softmax(logits, dim=1).detach().numpy()
    assert np.abs(learning - before).max() < 0.02
    torch.nn.functional.cross_entropy(logits, logits.argmin(1)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_without_the_file_the_network_is_another(
    net: StemUNet, session: ort.InferenceSession
) -> None:
    torch.manual_seed(0)
    (expected,) = session.run(None, {"image": body(0, WHOLE).numpy()})
    fresh = probability(build("heart").eval(), body(0, WHOLE))
    assert np.abs(fresh - expected).max() > 0.1


def test_a_file_of_another_network_is_refused(batches: list[torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        from_onnx("tree", HEART, batches)
    import onnx

    model = onnx.load(str(HEART))
    last = max(i for i, n in enumerate(model.graph.node) if n.op_type == "Conv")
    del model.graph.node[last]
    onnx.save(model, str(tmp_path / "short.onnx"))
    with pytest.raises(ValueError, match="convolutions"):
        from_onnx("heart", tmp_path / "short.onnx", batches)
