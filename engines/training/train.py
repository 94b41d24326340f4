"""Training of one network on samples on disk: seeded, resumable, bf16 where the CPU has it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation
from torch.nn import functional as F

from engines.training.net import CHANNELS, build, half_precision
from plaque_edge.segment.network import channel_of, input_of
from plaque_edge.segment.tree_maps import LM

if TYPE_CHECKING:
    from numpy.typing import NDArray

TREE_TILE = (96, 96, 96)
CLASS_WEIGHTS = {
    "heart": [1.0, 1, 1],
    "tree": [1.0, 1, 6, 6, 6, 6, 3],
    "wall": [1.0, 1, 1, 1.5, 4, 8, 4],
}
"""Cross-entropy weights: rare tissues would hardly be learned otherwise."""
KNOWN = 0.75
"""Share of the wall's windows that come with the patient's healthy wall."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One training run."""

    name: str
    steps: int
    batch: int = 2
    rate: float = 3e-3
    seed: int = 1
    minutes: float = 1e9
    threads: int = 2
    late_from: float = 0.5
    """Share of the run from which the late loss holds; 0 for a run that goes on from another."""
    start: str = ""
    """ONNX file whose weights the run starts from; empty: from nothing."""


class Samples:
    """Draws augmented batches from the ``.npz`` files of a folder; new files are picked up."""

    def __init__(self, name: str, folder: Path, seed: int) -> None:
        self.name, self.folder = name, folder
        self.rng = np.random.default_rng(seed)
        self.cache: list[dict[str, NDArray[Any]]] = []
        self.drawn = 0

    def batch(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """``n`` inputs (float32) and targets: class fractions (n, k, z, y, x)."""
        pairs = [self._one() for _ in range(n)]
        return (
            torch.from_numpy(np.stack([p[0] for p in pairs])),
            torch.from_numpy(np.stack([p[1] for p in pairs])),
        )

    def _one(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # A few phantoms stay in memory and each serves several draws: reading is the slow part.
        if len(self.cache) < 6 or self.drawn % {"wall": 10, "tree": 3, "heart": 1}[self.name] == 0:
            files = sorted(p for p in self.folder.glob("*.npz") if ".tmp" not in p.name)
            path = files[int(self.rng.integers(len(files)))]
            with np.load(path) as f:
                self.cache.append(
                    {k: f[k] for k in f.files if k.startswith(self.name) or k == "blood_hu"}
                )
            if self.name == "wall" and (seen := path.with_suffix(".wall.json")).exists():
                wall = json.loads(seen.read_text())["wall_mm"]
                self.cache[-1]["seen_mm"] = np.array(np.nan if wall is None else wall)
            self.cache = self.cache[-6:]
        self.drawn += 1
        sample = self.cache[int(self.rng.integers(len(self.cache)))]
        return {"wall": self._wall, "tree": self._tree, "heart": self._heart}[self.name](sample)

    def _wall(self, s: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rng = self.rng
        i = int(rng.integers(len(s["wall_hu"])))
        hu, target = s["wall_hu"][i].astype(np.float32), s["wall_target"][i]
        turns, mirror, back = int(rng.integers(4)), rng.random() < 0.5, rng.random() < 0.2
        hu, target = np.rot90(hu, turns, (1, 2)), np.rot90(target, turns, (2, 3))
        if mirror:
            hu, target = hu[:, ::-1], target[:, :, ::-1]
        if back:
            hu, target = hu[::-1], target[:, ::-1]
        if rng.random() < 0.4:
            hu = hu + _grain(hu.shape, rng) * np.float32(rng.uniform(0, 25))
        blood = float(s["blood_hu"]) * rng.uniform(0.95, 1.05)
        hu = hu + np.float32(rng.normal(0, 8))
        fractions = np.ascontiguousarray(target).astype(np.float32) / np.float32(255)
        # The first look, which measures the wall, is taken without knowing it.
        known = np.isfinite(s.get("seen_mm", np.nan)) and rng.random() < KNOWN
        wall_mm = float(s["seen_mm"]) + rng.normal(0, 0.01) if known else None
        return _input("wall", np.ascontiguousarray(hu), blood, wall_mm), fractions

    def _tree(self, s: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rng = self.rng
        hu, labels = s["tree_hu"], s["tree_labels"]
        if rng.random() < 0.7:
            half = np.minimum(np.array(TREE_TILE), hu.shape) / 2 - 4
            middle = rng.uniform(half, np.array(hu.shape) - half)
            # A third of the time near the left main, where names are hardest.
            left_main = np.argwhere(labels == LM) if rng.random() < 0.35 else ()
            if len(left_main):
                middle = left_main[int(rng.integers(len(left_main)))] + rng.normal(0, 18, 3)
            hu, labels = turned(hu, labels, middle, TREE_TILE, rng)
        need = [max(t, n) for t, n in zip(TREE_TILE, hu.shape, strict=True)]
        pad = [(0, n - k) for n, k in zip(need, hu.shape, strict=True)]
        hu, labels = np.pad(hu, pad, constant_values=-1024), np.pad(labels, pad)
        start = [int(rng.integers(n - t + 1)) for n, t in zip(hu.shape, TREE_TILE, strict=True)]
        where = tuple(slice(a, a + t) for a, t in zip(start, TREE_TILE, strict=True))
        tile = hu[where].astype(np.float32) + np.float32(rng.normal(0, 10))
        if rng.random() < 0.4:
            tile = tile + _grain(tile.shape, rng) * np.float32(rng.uniform(0, 25))
        x = _input("tree", tile, float(s["blood_hu"]) * rng.uniform(0.92, 1.08))
        target = (np.arange(7)[:, None, None, None] == labels[where][None]).astype(np.float32)
        return x, target

    def _heart(self, s: dict[str, NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rng = self.rng
        hu, labels = s["heart_hu"].astype(np.float32), s["heart_labels"]
        if rng.random() < 0.8:
            hu, labels = turned(hu, labels, (np.array(hu.shape) - 1) / 2, hu.shape, rng)
        shift = [int(rng.integers(-6, 7)) for _ in range(3)]
        hu, labels = np.roll(hu, shift, (0, 1, 2)), np.roll(labels, shift, (0, 1, 2))
        hu = (
            hu
            + np.float32(rng.normal(0, 12))
            + rng.normal(0, rng.uniform(0, 20), hu.shape).astype(np.float32)
        )
        return _input("heart", hu), (np.arange(3)[:, None, None, None] == labels[None]).astype(
            np.float32
        )


def _input(
    name: str, hu: NDArray[Any], blood_hu: float = 1.0, wall_mm: float | None = None
) -> NDArray[np.float32]:
    return input_of([channel_of(text) for text in CHANNELS[name]], hu, blood_hu, wall_mm)


def turned(
    hu: NDArray[Any],
    labels: NDArray[np.uint8],
    middle: NDArray[np.float64],
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Cut a block of ``shape`` about ``middle`` (voxels), turned and stretched at random.

    Up to 25 degrees about each axis and 0.8 to 1.25 times as large along each: real hearts lie
    and are built more variously than ours.
    """
    turn = Rotation.from_euler("zyx", rng.normal(0, 10, 3).clip(-25, 25), degrees=True).as_matrix()
    matrix = turn / np.exp(rng.normal(0, 0.09, 3).clip(-0.22, 0.22))
    offset = middle - matrix @ ((np.array(shape) - 1) / 2)
    block = affine_transform(
        hu, matrix, offset, output_shape=shape, output=np.float32, order=1, cval=-1024
    )
    return block, affine_transform(labels, matrix, offset, output_shape=shape, order=0, cval=0)


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Cheap correlated noise of SD about 1."""
    noise = rng.normal(size=shape).astype(np.float32)
    for axis in range(3):
        noise = (noise + np.roll(noise, 1, axis)) * np.float32(0.7071)
    return noise


def loss_of(name: str, logits: torch.Tensor, target: torch.Tensor, late: bool) -> torch.Tensor:
    """Weighted soft cross-entropy; soft Dice beside it, for the wall only in the first half.

    Fractions of the wall network are summed to volumes, so its probabilities have to be right,
    not just their order. Its logits get log(weight) added before the weighted cross-entropy: the
    minimum of that lies where softmax(logits) is the true fraction, while rare tissues pull as
    hard as their weight says. Dice rewards deciding where only a fraction is known: good to start
    with, wrong to end with.
    """
    weight = torch.tensor(CLASS_WEIGHTS[name]).view(1, -1, 1, 1, 1)
    logits = logits.float()
    log_p = F.log_softmax(logits + weight.log() if name == "wall" else logits, dim=1)
    ce = -(target * log_p * weight).sum(1)
    if name == "wall":
        ce = (ce * _near_axis(target.shape[3])).mean()
        return 4 * ce if late else 4 * ce + 0.25 * _dice(F.softmax(logits, dim=1), target)
    return 4 * ce.mean() + 0.5 * _dice(log_p.exp(), target)


def _dice(p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 - soft Dice, mean over the classes but background."""
    axes = (0, 2, 3, 4)
    dice = 1 - (2 * (p * target).sum(axes) + 20) / (p.sum(axes) + target.sum(axes) + 20)
    return dice[1:].mean()


def _near_axis(width: int) -> torch.Tensor:
    """Weight of every pixel of a cross-section: what lies beyond 4.5 mm matters little."""
    axis = (torch.arange(width) - (width - 1) / 2) * 0.25
    return torch.where(torch.hypot(axis[:, None], axis[None, :]) < 4.5, 1.6, 0.3)


def train(plan: Plan, data: Path, out: Path) -> Path:
    """Train until ``plan.steps`` or ``plan.minutes``; resumes from ``out/last.pt``."""
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    out.mkdir(parents=True, exist_ok=True)
    samples = Samples(plan.name, data, plan.seed)
    last = out / "last.pt"
    net = _first_weights(plan, samples, fresh=not last.exists()).to(
        memory_format=torch.channels_last_3d
    )
    slow = build(plan.name)
    slow.load_state_dict(net.state_dict())
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=1e-4)
    step, spent, curve = 0, 0.0, []
    if last.exists():
        state = torch.load(last, weights_only=True)
        net.load_state_dict(state["net"])
        slow.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent, curve = state["step"], state["spent"], state["curve"]
    samples.rng = np.random.default_rng(plan.seed + step)
    began, running = time.time(), 0.0
    while step < plan.steps and spent + time.time() - began < 60 * plan.minutes:
        progress = max(step / plan.steps, (spent + time.time() - began) / (60 * plan.minutes))
        rate = (
            plan.rate
            * min(1, (step + 1) / 100)
            * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, progress))))
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        x, target = samples.batch(plan.batch)
        with half_precision():
            logits = net(x.contiguous(memory_format=torch.channels_last_3d))
        loss = loss_of(plan.name, logits, target, progress > plan.late_from)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimizer.step()
        _average(slow, net, min(0.997, (step + 1) / (step + 20)))
        running = 0.98 * running + 0.02 * loss.item() if step else loss.item()
        step += 1
        if step % 50 == 0:
            curve.append([step, running, spent + time.time() - began])
            print(
                f"{plan.name} step {step} loss {running:.4f} rate {rate:.5f} {curve[-1][2]:.0f} s",
                flush=True,
            )
        if step % 200 == 0:
            _save(last, net, slow, optimizer, step, spent + time.time() - began, curve)
    _save(last, net, slow, optimizer, step, spent + time.time() - began, curve)
    (out / "curve.json").write_text(json.dumps({"plan": asdict(plan), "curve": curve}))
    return last


def _first_weights(plan: Plan, samples: Samples, fresh: bool) -> torch.nn.Module:
    if not (plan.start and fresh):
        return build(plan.name)
    from engines.training.warm import from_onnx

    return from_onnx(plan.name, Path(plan.start), [samples.batch(1)[0] for _ in range(6)])


def _average(slow: torch.nn.Module, net: torch.nn.Module, keep: float) -> None:
    with torch.no_grad():
        for a, b in zip(slow.state_dict().values(), net.state_dict().values(), strict=True):
            if a.dtype.is_floating_point:
                a.mul_(keep).add_(b, alpha=1 - keep)
            else:
                a.copy_(b)


def _save(
    path: Path, net: Any, slow: Any, optimizer: Any, step: int, spent: float, curve: list[Any]
) -> None:
    partial = path.with_suffix(".tmp")
    torch.save(
        {
            "net": net.state_dict(),
            "ema": slow.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
            "spent": spent,
            "curve": curve,
        },
        partial,
    )
    partial.replace(path)
