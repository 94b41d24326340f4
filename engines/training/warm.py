"""Start a training from a shipped ONNX file: checkpoints are too large to keep, models are kept.

The export folds each batch normalisation into its convolution. Here the fold is undone: the
normalisation gets the statistics that the folded convolution shows on real samples, and the
scale and shift that give them back, so that the network computes what the ONNX file computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from engines.training.net import Block, StemUNet, build

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def from_onnx(name: str, path: Path, batches: list[torch.Tensor]) -> StemUNet:
    """Build network ``name`` with the weights of ``path``; statistics come from ``batches``."""
    net = build(name)
    net.eval()
    weights = _weights(path)
    layers = _in_forward_order(net)
    if len(weights) != len(layers):
        raise ValueError(f"{path} holds {len(weights)} convolutions, the network {len(layers)}")
    shifts = {}
    with torch.no_grad():
        for (conv, norm), (weight, bias) in zip(layers, weights, strict=True):
            conv.weight.zero_()  # channels that the file doesn't know yet come last
            conv.weight[:, : weight.shape[1]].copy_(torch.from_numpy(weight))
            if norm is None:
                conv.bias.copy_(torch.from_numpy(bias))
            else:
                shifts[norm] = torch.from_numpy(bias)
                _set(
                    norm,
                    torch.zeros_like(shifts[norm]),
                    torch.ones_like(shifts[norm]),
                    shifts[norm],
                )
    for conv, norm in layers:
        if norm is not None:
            mean, variance = _statistics(net, conv, batches)
            with torch.no_grad():
                _set(norm, mean, variance, shifts[norm])
    net.train()
    return net


def _set(
    norm: nn.BatchNorm3d, mean: torch.Tensor, variance: torch.Tensor, shift: torch.Tensor
) -> None:
    """Normalise by (mean, variance) and undo it again, plus the shift of the folded layer."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.copy_(mean + shift)


def _statistics(
    net: StemUNet, conv: nn.Module, batches: list[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    seen: list[torch.Tensor] = []
    handle = conv.register_forward_hook(
        lambda _m, _i, out: seen.append(out.transpose(0, 1).flatten(1))
    )
    with torch.no_grad():
        for batch in batches:
            net(batch)
    handle.remove()
    values = torch.cat(seen, 1)
    return values.mean(1), values.var(1)


def _in_forward_order(net: StemUNet) -> list[tuple[Any, nn.BatchNorm3d | None]]:
    def pair(block: Block) -> list[tuple[Any, nn.BatchNorm3d | None]]:
        return [(block.a, block.na), (block.b, block.nb)]

    return [
        *pair(net.enter),
        (net.down1, None),
        *pair(net.mid),
        (net.down2, None),
        *pair(net.deep),
        (net.up2, None),
        *pair(net.mid_up),
        (net.up1, None),
        *pair(net.leave),
        (net.head, None),
    ]


def _weights(path: Path) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    graph = onnx.load(str(path)).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    return [
        (constants[n.input[1]].copy(), constants[n.input[2]].copy())
        for n in graph.node
        if n.op_type in ("Conv", "ConvTranspose")
    ]
