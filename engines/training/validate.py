"""Validation of the wall network on windows of the validation seeds: volumes per window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from engines.training.net import CHANNELS, build, half_precision
from plaque_edge.segment.network import channel_of, input_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VOXEL_MM3 = 0.5 * 0.25 * 0.25


def window_volumes(
    checkpoint: Path, data: Path, most: int = 8
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Soft predicted and true mm3 ``(windows, 7)`` of the averaged weights."""
    net = build("wall")
    net.load_state_dict(torch.load(checkpoint, weights_only=True)["ema"])
    net.eval().to(memory_format=torch.channels_last_3d)
    channels = [channel_of(text) for text in CHANNELS["wall"]]
    got, true = [], []
    for path in sorted(data.glob("*.npz"))[:most]:
        with np.load(path) as f:
            hu, target, blood = f["wall_hu"], f["wall_target"], float(f["blood_hu"])
        for h, t in zip(hu, target, strict=True):
            x = torch.from_numpy(input_of(channels, h, blood))[None]
            with torch.no_grad(), half_precision():
                p = torch.softmax(net(x).float(), 1)[0].numpy()
            got.append(p.sum((1, 2, 3)) * VOXEL_MM3)
            true.append(t.reshape(7, -1).sum(1) / 255 * VOXEL_MM3)
    return np.array(got), np.array(true)


def report(checkpoint: Path, data: Path) -> dict[str, dict[str, float]]:
    """Slope, intercept, correlation and totals per class and for all plaque."""
    got, true = window_volumes(checkpoint, data)
    groups = {
        "lumen": [2],
        "wall": [3],
        "plaque": [4, 5, 6],
        "noncalcified": [4],
        "low": [5],
        "calcified": [6],
    }
    out = {}
    for name, channels in groups.items():
        a, b = got[:, channels].sum(1), true[:, channels].sum(1)
        slope, intercept = np.polyfit(b, a, 1)
        out[name] = {
            "slope": float(slope),
            "intercept_mm3": float(intercept),
            "r": float(np.corrcoef(a, b)[0, 1]),
            "measured_mm3": float(a.sum()),
            "true_mm3": float(b.sum()),
        }
    return out
