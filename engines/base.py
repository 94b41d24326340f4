"""What every engine is: a context manager that owns its memory and runs one network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from engines.errors import EngineError

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from engines.manifest import Manifest


class Engine(ABC):
    """One network, ready to run. Not thread-safe: one thread calls :meth:`run` at a time.

    ``provider`` and ``precision`` are read back from the library after the network was
    compiled; ``notes`` says why another engine was not taken.
    """

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
        wanted = (len(self.manifest.channels), *self.manifest.shape)
        if x.ndim != 5 or x.shape[1:] != wanted or x.dtype != np.float32:
            raise EngineError(
                "ENGINE_SHAPE",
                f"{self.manifest.name!r} takes float32 (n, {', '.join(map(str, wanted))}), "
                f"not {x.dtype} {x.shape}.",
            )
        out = np.empty((len(x), len(self.manifest.classes), *self.manifest.shape), np.float32)
        self._run(np.ascontiguousarray(x), out)
        return out

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


def check_shapes(manifest: Manifest, inside: tuple[int, ...], outside: tuple[int, ...]) -> None:
    """Compare the network's own shapes with its model.toml. Raises MODEL_MISMATCH."""
    wanted = (
        (1, len(manifest.channels), *manifest.shape),
        (1, len(manifest.classes), *manifest.shape),
    )
    if (inside, outside) != wanted:
        raise EngineError(
            "MODEL_MISMATCH",
            f"{manifest.name!r} has shapes {inside} -> {outside}, "
            f"its model.toml says {wanted[0]} -> {wanted[1]}.",
            "Install the model again.",
        )
