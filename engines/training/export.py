"""From a checkpoint to ``engines/models/<name>``: ONNX, model.toml, sha256."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from engines.training.any_size import free_sizes
from engines.training.net import CHANNELS, Probabilities, build
from plaque_edge.segment.network import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"heart": (64, 96, 96), "tree": (96, 96, 96), "wall": (64, 48, 48)}
SHAPES = {name: (1, len(CHANNELS[name]), *size) for name, size in SIZES.items()}
SPACING = {"heart": (3.0, 3.0, 3.0), "tree": (0.8, 0.8, 0.8), "wall": (0.5, 0.25, 0.25)}
DATA = (
    "synthetic CCTA of plaque_edge.phantom, training seeds only; "
    "never trained or tested on patients"
)


def export(name: str, checkpoint: Path, folder: Path, version: str, note: str) -> Path:
    """Write ``model.onnx`` and ``model.toml`` into ``folder``; weights are the averaged ones."""
    state = torch.load(checkpoint, weights_only=True)
    net = build(name)
    net.load_state_dict(state["ema"])
    model = Probabilities(net).eval()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    torch.onnx.export(
        model,
        (torch.zeros(SHAPES[name]),),
        str(path),
        input_names=["image"],
        output_names=["probability"],
        opset_version=17,
        dynamo=False,
    )
    free_sizes(path)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "model.toml").write_text(
        _toml(name, version, sha, note, int(state["step"])), encoding="utf-8"
    )
    return path


def _toml(name: str, version: str, sha: str, note: str, steps: int) -> str:
    def quoted(items: list[str]) -> str:
        return "[" + ", ".join(f'"{x}"' for x in items) + "]"

    shape, spacing = SHAPES[name][2:], SPACING[name]
    return f"""name = "{name}"
version = "{version}"
description = "{note}"
licence = "Apache-2.0"

[file]
onnx = "model.onnx"
sha256 = "{sha}"

[input]
channels = {quoted(CHANNELS[name])}
shape_zyx = {list(shape)}
spacing_zyx_mm = {list(spacing)}

[output]
classes = {quoted(list(CLASSES[name]))}

[trained]
steps = {steps}
data = "{DATA}"
"""
