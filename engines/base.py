"""What every engine is: a context manager that owns its memory and runs one network."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from engines.errors import EngineError

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from engines.manifest import Manifest


STEP = 8
"""Sizes that these networks halve three times."""


class Engine(ABC):
    """One network, ready to run. Not thread-safe: one thread calls :meth:`run` at a time.

    ``provider`` and ``precision`` are read back from the library after the network was
    compiled; ``notes`` says why another engine was not taken. ``any_size`` says that windows
    may have other sizes along (z, y, x) than the manifest's, as far as ``STEP`` divides them.
    ``busy_s`` counts the seconds spent in :meth:`run`.
    """

    any_size = False
    busy_s = 0.0

    def __init__(
        self, manifest: Manifest, provider: str, precision: str, notes: tuple[str, ...] = ()
    ) -> None:
        self.manifest, self.provider, self.precision, self.notes = (
            manifest,
            provider,
            precision,
            notes,
        )
        self._closed = False

    def run(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities ``(n, k, z, y, x)`` of float32 input ``(n, c, z, y, x)``.

        Raises
        ------
        EngineError
            ENGINE_CLOSED, ENGINE_SHAPE.
        """
        if self._closed:
            raise EngineError(
                "ENGINE_CLOSED",
                f"The engine of {self.manifest.name!r} was closed.",
                "Open it again.",
            )
        self._check_input(x)
        out = np.empty((len(x), len(self.manifest.classes), *x.shape[2:]), np.float32)
        start = time.perf_counter()
        self._run(np.ascontiguousarray(x), out)
        self.busy_s += time.perf_counter() - start
        return out

    def _check_input(self, x: NDArray[np.float32]) -> None:
        channels, shape = len(self.manifest.channels), self.manifest.shape
        good = x.ndim == 5 and x.shape[1] == channels and x.dtype == np.float32
        fits = x.shape[2:] == shape or (self.any_size and not any(n % STEP for n in x.shape[2:]))
        if not (good and fits):
            raise EngineError(
                "ENGINE_SHAPE",
                f"{self.manifest.name!r} takes float32 (n, {channels}, "
                f"{', '.join(map(str, shape))}), not {x.dtype} {x.shape}.",
                "Correct the model's model.toml as docs/models.md says.",
            )

    @abstractmethod
    def _run(self, x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Fill ``out``, batch by batch."""

    def close(self) -> None:
        """Free the network's memory; may be called twice."""
        self._closed = True

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_shapes(manifest: Manifest, inside: tuple[int, ...], outside: tuple[int, ...]) -> bool:
    """Compare the network's own shapes with its model.toml; say whether it takes any size.

    A size that the file leaves open is 0, along all of (z, y, x) or none. Raises MODEL_MISMATCH.
    """
    channels, classes = (1, len(manifest.channels)), (1, len(manifest.classes))
    if (inside, outside) == ((*channels, 0, 0, 0), (*classes, 0, 0, 0)):
        return True
    wanted = ((*channels, *manifest.shape), (*classes, *manifest.shape))
    if (inside, outside) != wanted:
        raise EngineError(
            "MODEL_MISMATCH",
            f"{manifest.name!r} has shapes {inside} -> {outside}, "
            f"its model.toml says {wanted[0]} -> {wanted[1]}.",
            "Install the model again.",
        )
    return False
