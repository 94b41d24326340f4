"""The few calls of the CUDA runtime we make, through cuda-bindings; every error gets its code."""

from __future__ import annotations

import ctypes
import importlib
import logging
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from engines.errors import EngineError

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

NOT_THERE = {"cudaErrorNoDevice", "cudaErrorInvalidDevice"}
DRIVER = {
    "cudaErrorInsufficientDriver",
    "cudaErrorSystemDriverMismatch",
    "cudaErrorCompatNotSupportedOnDevice",
    "cudaErrorUnsupportedPtxVersion",
}
LOST = {
    "cudaErrorDevicesUnavailable",
    "cudaErrorECCUncorrectable",
    "cudaErrorNvlinkUncorrectable",
    "cudaErrorSystemNotReady",
    "cudaErrorIllegalAddress",
    "cudaErrorLaunchTimeout",
    "cudaErrorContextIsDestroyed",
    "cudaErrorHardwareStackError",
    "cudaErrorIllegalInstruction",
    "cudaErrorMisalignedAddress",
    "cudaErrorLaunchFailure",
    "cudaErrorExternalDevice",
    "cudaErrorUnknown",
}
"""After these nothing works until the process, or the computer, is started again."""


def has_driver() -> bool:
    """Say whether the loader finds NVIDIA's driver; takes microseconds where there is none."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def load_runtime() -> Any:
    """Import the CUDA runtime. Raises ENGINE_GPU_MISSING, ENGINE_UNAVAILABLE."""
    if not has_driver():
        raise EngineError(
            "ENGINE_GPU_MISSING",
            "This computer has no NVIDIA driver.",
            "Nothing to do, unless it has an NVIDIA GPU: then install its driver.",
        )
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise EngineError(
            "ENGINE_UNAVAILABLE",
            f"cuda-bindings cannot be loaded ({error}).",
            "Install cuda-bindings, see docs/engines.md.",
        ) from error


def error_of(name: str, doing: str) -> EngineError:
    """Return the error for a CUDA result such as ``cudaErrorMemoryAllocation``."""
    if name == "cudaErrorMemoryAllocation":
        return EngineError(
            "ENGINE_OUT_OF_MEMORY",
            f"The GPU has not enough free memory ({doing}).",
            "Close other programs that use the GPU.",
        )
    if name in DRIVER:
        return EngineError(
            "ENGINE_DRIVER_OLD",
            f"The NVIDIA driver does not fit the installed CUDA libraries ({name}).",
            "Install a newer driver.",
        )
    if name in NOT_THERE:
        return EngineError(
            "ENGINE_GPU_MISSING", "The driver finds no NVIDIA GPU.", "Check that it is plugged in."
        )
    if name in LOST:
        return EngineError(
            "ENGINE_DEVICE_LOST",
            f"The GPU stopped answering ({doing}: {name}).",
            "Start plaque-edge again; if it happens again, restart the computer.",
        )
    return EngineError(
        "ENGINE_CUDA_FAILED", f"CUDA refused {doing}: {name}.", "Run plaque-edge doctor."
    )


class Cuda:
    """One GPU. Handles are what cuda-bindings returns; addresses are integers."""

    def __init__(self, runtime: Any = None) -> None:
        self._rt = load_runtime() if runtime is None else runtime

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the runtime; return its one result, or None. Raises EngineError."""
        code, *results = getattr(self._rt, name)(*arguments)
        if code.name != "cudaSuccess":
            raise error_of(code.name, name)
        return results[0] if len(results) == 1 else tuple(results) or None

    def release(self, name: str, handle: Any) -> None:
        """Free or destroy. A GPU that is gone says no to that as well: noted, never raised."""
        try:
            self.call(name, handle)
        except EngineError as error:
            log.debug("%s: %s", name, error)

    def use(self, device: int = 0) -> None:
        """Make ``device`` this thread's GPU."""
        self.call("cudaSetDevice", device)

    def malloc(self, size_bytes: int) -> int:
        """Return the address of new device memory."""
        return int(self.call("cudaMalloc", size_bytes))

    def malloc_pinned(self, size_bytes: int) -> int:
        """Return the address of new page-locked host memory, which copies may read any time."""
        return int(self.call("cudaMallocHost", size_bytes))

    def new_stream(self) -> Any:
        """Return a stream that does not wait for the default one."""
        return self.call("cudaStreamCreateWithFlags", self._rt.cudaStreamNonBlocking)

    def new_event(self) -> Any:
        """Return an event; waiting for it sleeps, since the CPU has other work."""
        flags = self._rt.cudaEventBlockingSync | self._rt.cudaEventDisableTiming
        return self.call("cudaEventCreateWithFlags", flags)

    def copy_in(self, device: int, host: int, size_bytes: int, stream: Any) -> None:
        """Queue a copy from pinned host memory to the device."""
        kind = self._rt.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", device, host, size_bytes, kind, stream)

    def copy_out(self, host: int, device: int, size_bytes: int, stream: Any) -> None:
        """Queue a copy from the device to pinned host memory."""
        kind = self._rt.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", host, device, size_bytes, kind, stream)

    def record(self, event: Any, stream: Any) -> None:
        """Let ``event`` happen when all that is queued so far is done."""
        self.call("cudaEventRecord", event, stream)

    def wait_for(self, event: Any, stream: Any) -> None:
        """Let what is queued next wait for ``event``."""
        self.call("cudaStreamWaitEvent", stream, event, 0)

    def wait(self, event: Any) -> None:
        """Block this thread until ``event``; errors of what was queued before come out here."""
        self.call("cudaEventSynchronize", event)

    def last_error(self) -> EngineError | None:
        """Return and clear what the runtime noted last."""
        (code,) = self._rt.cudaGetLastError()
        return None if code.name == "cudaSuccess" else error_of(code.name, "running the network")

    def memory_bytes(self) -> tuple[int, int]:
        """Return free and total device memory."""
        free, total = self.call("cudaMemGetInfo")
        return int(free), int(total)


def as_array(address: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return pinned memory as a float32 array of ``shape``; it dies with the memory."""
    raw = (ctypes.c_float * math.prod(shape)).from_address(address)
    return np.ctypeslib.as_array(raw).reshape(shape)
