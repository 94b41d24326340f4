"""The one network shape of plaque-edge: a small 3-D U-Net behind a space-to-depth stem.

The image holds no detail finer than about 0.5 mm, so the convolutions run at half the
resolution of input and output: 2x2x2 neighbours become channels on the way in, and a pixel
shuffle puts the classes back on the full grid. On CPUs with matrix units this is several
times faster than convolving at full resolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # the name the field uses

CHANNELS = {
    "heart": ["-1024..976 HU"],
    "tree": ["-200..600 HU", "HU / blood HU, -0.5..2"],
    "wall": [
        "-200..600 HU",
        "250..1500 HU",
        "HU / blood HU, -0.5..2",
        "(patient's wall mm - 0.48) / 0.1, 0.3..0.8, 0 if unknown",
    ],
}
"""Input of each network, as ``plaque_edge.segment.network`` reads it."""


def half_precision() -> torch.autocast:
    """Return bf16 autocast where the processor multiplies bf16, else one that changes nothing.

    Emulated with AVX2 alone bf16 took 115 s for a step that takes 2 s in f32.
    """
    able = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=able)


class Block(nn.Module):
    """Two 3x3x3 convolutions with batch normalisation."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.a = nn.Conv3d(inside, outside, 3, padding=1, bias=False)
        self.na = nn.BatchNorm3d(outside)
        self.b = nn.Conv3d(outside, outside, 3, padding=1, bias=False)
        self.nb = nn.BatchNorm3d(outside)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both."""
        x = F.relu(self.na(self.a(x)))
        return F.relu(self.nb(self.b(x)))


class StemUNet(nn.Module):
    """Logits at full resolution from ``(n, channels, z, y, x)``.

    Sizes are divisible by ``stem * 4``.
    """

    def __init__(
        self, channels: int, classes: int, widths: tuple[int, int, int], stem: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.stem = stem
        self.classes = classes
        cells = stem[0] * stem[1] * stem[2]
        a, b, c = widths
        self.enter = Block(channels * cells, a)
        self.down1 = nn.Conv3d(a, b, 2, stride=2)
        self.mid = Block(b, b)
        self.down2 = nn.Conv3d(b, c, 2, stride=2)
        self.deep = Block(c, c)
        self.up2 = nn.ConvTranspose3d(c, b, 2, stride=2)
        self.mid_up = Block(2 * b, b)
        self.up1 = nn.ConvTranspose3d(b, a, 2, stride=2)
        self.leave = Block(2 * a, a)
        self.head = nn.Conv3d(a, classes * cells, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, classes, z, y, x)``."""
        n, c, z, y, w = x.shape
        sz, sy, sx = self.stem
        x = x.reshape(n, c, z // sz, sz, y // sy, sy, w // sx, sx)
        x = x.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(
            n, c * sz * sy * sx, z // sz, y // sy, w // sx
        )
        a = self.enter(x)
        b = self.mid(F.relu(self.down1(a)))
        d = self.deep(F.relu(self.down2(b)))
        b = self.mid_up(torch.cat([F.relu(self.up2(d)), b], 1))
        a = self.leave(torch.cat([F.relu(self.up1(b)), a], 1))
        out = self.head(a)
        out = out.reshape(n, self.classes, sz, sy, sx, z // sz, y // sy, w // sx)
        return out.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, self.classes, z, y, w)


class Probabilities(nn.Module):
    """A trained network with its softmax: what is exported."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Class probabilities."""
        return torch.softmax(self.net(x), dim=1)


def build(name: str) -> StemUNet:
    """Make ``heart`` (3 mm), ``tree`` (0.8 mm, network A) or ``wall`` (network B), untrained."""
    if name == "heart":
        return StemUNet(1, 3, (24, 32, 48), (2, 2, 2))
    if name == "tree":
        return StemUNet(2, 7, (32, 64, 96), (2, 2, 2))
    if name == "wall":
        return StemUNet(len(CHANNELS[name]), 7, (32, 64, 96), (1, 2, 2))
    raise ValueError(f"no network called {name}")
