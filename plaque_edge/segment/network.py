"""A network as the segment stop asks it: HU in, probabilities of our classes out.

``model.toml`` says what a network takes and gives, so that one a site brings (nnU-Net, MONAI) can
serve in the place of ours: see ``docs/models.md`` for the contract and a worked example.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engines import EngineError
from plaque_edge.types import WALL_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from engines import Engine, Manifest

CLASSES: dict[str, tuple[str, ...]] = {
    "heart": ("background", "heart", "aorta"),
    "tree": ("background", "aorta", "LM", "LAD", "LCX", "RCA", "vein"),
    "wall": WALL_CLASSES,
}
"""What the probabilities of each network stand for, in this order."""
GRID_MM = {"heart": (3.0, 3.0, 3.0), "tree": (0.8, 0.8, 0.8), "wall": (0.5, 0.25, 0.25)}
"""Voxels (z, y, x) that each network is given; the wall's are of the straightened vessel."""
MAY_LACK = frozenset({"LM", "vein", "other_vessel"})
"""Classes without which the line still works, with probability 0; the others are measured."""

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_RANGE = rf"{_NUMBER}\.\.{_NUMBER}"
_WINDOW = re.compile(rf"{_RANGE} HU")
_OF_BLOOD = re.compile(rf"HU / blood HU, {_RANGE}")
_NORMAL = re.compile(rf"\(HU - {_NUMBER}\) / {_NUMBER}, {_RANGE} HU")
_OF_WALL = re.compile(rf"\(patient's wall mm - {_NUMBER}\) / {_NUMBER}, {_RANGE}, 0 if unknown")


@dataclass(frozen=True, slots=True)
class Channel:
    """One input channel: HU, clipped to ``low..high``, minus ``shift``, times ``scale``.

    ``kind`` ``"blood"``: HU are divided by those of the aorta's blood first. ``"wall"``: the
    same everywhere, the patient's healthy wall in mm; 0 while that isn't known.
    """

    low: float
    high: float
    shift: float
    scale: float
    kind: str = "hu"

    def of(
        self, hu: NDArray[np.float32], blood_hu: float, wall_mm: float | None = None
    ) -> NDArray[np.float32]:
        """Return the channel of float32 HU ``(z, y, x)``, as float32 of the same shape."""
        if self.kind == "wall":
            if wall_mm is None:
                return np.zeros(hu.shape, np.float32)
            value = np.full(hu.shape, wall_mm, np.float32)
        else:
            value = hu / np.float32(blood_hu) if self.kind == "blood" else hu
        clipped = np.clip(value, np.float32(self.low), np.float32(self.high))
        return (clipped - np.float32(self.shift)) * np.float32(self.scale)


def channel_of(text: str) -> Channel:
    """Read one entry of ``[input] channels``.

    ``"-200..600 HU"`` is that range as 0..1; ``"(HU - 120) / 85, -300..700 HU"`` clips and then
    standardises, as nnU-Net does for CT; ``"HU / blood HU, -0.5..2"`` is relative to the aorta,
    times 0.4 plus 0.2; ``"(patient's wall mm - 0.48) / 0.1, 0.2..0.8, 0 if unknown"`` is the
    thickness of the patient's healthy wall, the same everywhere. Raises ``ValueError``.
    """
    if found := _WINDOW.fullmatch(text):
        low, high = map(float, found.groups())
        channel = Channel(low, high, low, 1 / (high - low) if high > low else 0.0)
    elif found := _OF_BLOOD.fullmatch(text):
        low, high = map(float, found.groups())
        channel = Channel(low, high, -0.5, 0.4, "blood")
    elif found := _NORMAL.fullmatch(text):
        mean, sd, low, high = map(float, found.groups())
        channel = Channel(low, high, mean, 1 / sd if sd > 0 else 0.0)
    elif found := _OF_WALL.fullmatch(text):
        mean, sd, low, high = map(float, found.groups())
        channel = Channel(low, high, mean, 1 / sd if sd > 0 else 0.0, "wall")
    else:
        raise ValueError(f"no channel is written {text!r}")
    if not (channel.high > channel.low and channel.scale > 0):
        raise ValueError(f"the channel {text!r} has no range")
    return channel


def input_of(
    channels: Sequence[Channel],
    hu: NDArray[Any],
    blood_hu: float = 1.0,
    wall_mm: float | None = None,
) -> NDArray[np.float32]:
    """Stack the channels of HU ``(z, y, x)``: float32 ``(c, z, y, x)``.

    ``blood_hu`` is the aorta's, ``wall_mm`` the patient's healthy wall where it is known.
    """
    return np.stack([c.of(hu.astype(np.float32), blood_hu, wall_mm) for c in channels])


class Network:
    """An opened engine in the role of ``heart``, ``tree`` or ``wall``.

    Raises
    ------
    EngineError
        MODEL_UNFIT when its ``model.toml`` doesn't fit the role.
    """

    def __init__(self, engine: Engine, role: str) -> None:
        self.engine = engine
        if engine.manifest.spacing_mm != GRID_MM[role]:
            raise _unfit(engine.manifest, f"its grid is not {GRID_MM[role]} mm")
        self.channels = _channels(engine.manifest)
        self._rows = _rows(engine.manifest, CLASSES[role])
        self._as_it_is = self._rows == tuple((i,) for i in range(len(CLASSES[role])))

    @property
    def any_size(self) -> bool:
        """Whether windows may have other sizes than :attr:`shape`."""
        return self.engine.any_size

    @property
    def shape(self) -> tuple[int, int, int]:
        """Window along (z, y, x)."""
        return self.engine.manifest.shape

    def run(
        self, hu: NDArray[Any], blood_hu: float = 1.0, wall_mm: float | None = None
    ) -> NDArray[np.float32]:
        """Probabilities ``(k, z, y, x)`` of the role's classes from HU ``(z, y, x)``."""
        return self.run_all([hu], blood_hu, wall_mm)[0]

    def run_all(
        self, windows: Sequence[NDArray[Any]], blood_hu: float, wall_mm: float | None = None
    ) -> list[NDArray[np.float32]]:
        """Do :meth:`run` for windows of one size, in one queue."""
        batch = np.stack([input_of(self.channels, hu, blood_hu, wall_mm) for hu in windows])
        return [self._ours(given) for given in self.engine.run(batch)]

    def _ours(self, given: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.engine.manifest.activation == "softmax":
            given = _softmax(given)
        if self._as_it_is:
            return given
        out = np.zeros((len(self._rows), *given.shape[1:]), np.float32)
        for k, rows in enumerate(self._rows):
            for row in rows:
                out[k] += given[row]
        return out


def _channels(manifest: Manifest) -> tuple[Channel, ...]:
    try:
        return tuple(channel_of(text) for text in manifest.channels)
    except ValueError as error:
        raise _unfit(manifest, f"{error}") from error


def _rows(manifest: Manifest, wanted: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    """Name the outputs to add up for each class: a network may split what is one class here."""
    unknown = sorted(set(manifest.classes) - set(wanted))
    lacking = [c for c in wanted if c not in manifest.classes and c not in MAY_LACK]
    if unknown or lacking:
        what = [*(f"{c!r} is unknown" for c in unknown), *(f"{c!r} is missing" for c in lacking)]
        raise _unfit(manifest, f"of its classes, {', '.join(what)}")
    return tuple(tuple(i for i, c in enumerate(manifest.classes) if c == name) for name in wanted)


def _unfit(manifest: Manifest, why: str) -> EngineError:
    return EngineError(
        "MODEL_UNFIT",
        f"The model {manifest.name!r} cannot serve here: {why}.",
        "Correct its model.toml as docs/models.md says.",
    )


def _softmax(x: NDArray[np.float32]) -> NDArray[np.float32]:
    soft = np.exp(x - x.max(0))
    return np.asarray(soft / soft.sum(0), np.float32)
