"""Two sets of buffers, so that one window is copied while another is computed.

Two streams: one copies, one computes. Windows go through in order::

    copy      in 0 | in 1 | out 0 | in 2 | out 1 | ...
    compute          run 0 | run 1         | run 2 | ...
    host      fill 0, fill 1, take 0, fill 2, take 1, ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engines.cuda import as_array

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from engines.cuda import Cuda

Array = NDArray[np.float32]
COUNT = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """Buffers of one window: pinned arrays, device addresses, and what to wait for."""

    host_in: Array
    host_out: Array
    device_in: int
    device_out: int
    fed: Any
    run: Any
    back: Any


class Slots:
    """Both slots and both streams; freed, in reverse order, by the stack they were made on."""

    def __init__(
        self, cuda: Cuda, stack: ExitStack, inside: tuple[int, ...], outside: tuple[int, ...]
    ) -> None:
        self._cuda = cuda
        self.copy, self.compute = (
            self._keep(stack, "cudaStreamDestroy", cuda.new_stream()) for _ in range(2)
        )
        self._slots = [self._new(stack, inside, outside) for _ in range(COUNT)]
        # Freed last in, first out: nothing goes before all that is queued has ended.
        stack.callback(self.drain)

    def _new(self, stack: ExitStack, inside: tuple[int, ...], outside: tuple[int, ...]) -> Slot:
        host, device = [], []
        for shape in (inside, outside):
            size = 4 * int(np.prod(shape))
            address = self._cuda.malloc_pinned(size)
            stack.callback(self._cuda.release, "cudaFreeHost", address)
            host.append(as_array(address, shape))
            address = self._cuda.malloc(size)
            stack.callback(self._cuda.release, "cudaFree", address)
            device.append(address)
        events = [self._keep(stack, "cudaEventDestroy", self._cuda.new_event()) for _ in "abc"]
        return Slot(host[0], host[1], device[0], device[1], *events)

    def _keep(self, stack: ExitStack, destroy: str, handle: Any) -> Any:
        stack.callback(self._cuda.release, destroy, handle)
        return handle

    def drain(self) -> None:
        """Wait for all that is queued; errors were or will be told by who waits for a result."""
        for stream in (self.copy, self.compute):
            self._cuda.release("cudaStreamSynchronize", stream)

    def run(self, x: Array, out: Array, launch: Callable[[Slot], None]) -> None:
        """Pass every window of ``x`` through; ``launch`` queues one on the compute stream."""
        count = len(x)
        for i in range(count + COUNT):
            if i >= COUNT:
                self._take(self._slots[i % COUNT], out[i - COUNT])
            if i < count:
                self._feed(self._slots[i % COUNT], x[i], launch)
            # Behind the next window's way in, or that one would wait for this one's network.
            if 1 <= i <= count:
                self._fetch(self._slots[(i - 1) % COUNT])

    def _feed(self, slot: Slot, window: Array, launch: Callable[[Slot], None]) -> None:
        cuda = self._cuda
        np.copyto(slot.host_in[0], window)
        cuda.copy_in(slot.device_in, slot.host_in.ctypes.data, slot.host_in.nbytes, self.copy)
        cuda.record(slot.fed, self.copy)
        cuda.wait_for(slot.fed, self.compute)
        launch(slot)
        cuda.record(slot.run, self.compute)

    def _fetch(self, slot: Slot) -> None:
        cuda = self._cuda
        cuda.wait_for(slot.run, self.copy)
        cuda.copy_out(slot.host_out.ctypes.data, slot.device_out, slot.host_out.nbytes, self.copy)
        cuda.record(slot.back, self.copy)

    def _take(self, slot: Slot, out: Array) -> None:
        self._cuda.wait(slot.back)
        np.copyto(out, slot.host_out[0])
