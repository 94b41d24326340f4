"""The NVIDIA GPU of this computer, asked once per process. The driver says so, no package list."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

from engines.cuda import Cuda
from engines.errors import EngineError


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a plan depends on, and what a person wants to know."""

    name: str
    compute_capability: str
    memory_bytes: int
    driver: str
    cuda: str


_asked: list[Gpu | EngineError] = []


def probe() -> Gpu:
    """Return the first GPU; the answer is kept, good or bad.

    Raises
    ------
    EngineError
        ENGINE_GPU_MISSING, ENGINE_DRIVER_OLD, ENGINE_UNAVAILABLE, ENGINE_DEVICE_LOST.
    """
    if not _asked:
        try:
            _asked.append(_ask(Cuda()))
        except EngineError as error:
            _asked.append(error)
    answer = _asked[0]
    if isinstance(answer, EngineError):
        # A new one: the same exception raised twice would grow its traceback for ever.
        raise EngineError(answer.code, answer.text, answer.next_step)
    return answer


def forget() -> None:
    """Ask again next time."""
    _asked.clear()


def _ask(cuda: Cuda) -> Gpu:
    if cuda.call("cudaGetDeviceCount") < 1:
        text = "The driver finds no NVIDIA GPU."
        raise EngineError("ENGINE_GPU_MISSING", text, "Check that it is plugged in.")
    card = cuda.call("cudaGetDeviceProperties", 0)
    number = int(cuda.call("cudaDriverGetVersion"))
    name = card.name.decode() if isinstance(card.name, bytes) else str(card.name)
    return Gpu(
        name.rstrip("\0"),
        f"{card.major}.{card.minor}",
        int(card.totalGlobalMem),
        _driver_version(),
        f"{number // 1000}.{number % 1000 // 10}",
    )


def _driver_version() -> str:
    """Return the driver's own number ("580.95.05"), from its management library."""
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        text = ctypes.create_string_buffer(96)
        if nvml.nvmlInit_v2() or nvml.nvmlSystemGetDriverVersion(text, 96):
            return "unknown"
        nvml.nvmlShutdown()
        return text.value.decode()
    except (OSError, AttributeError):
        return "unknown"
