"""A CUDA runtime without a GPU: keeps every rule of streams and memory, and is as mean as allowed.

What is queued runs as late as possible and in any order that the events permit, by a seed; so a
wait that is missing shows as a wrong result. Memory freed twice, never, or while something is
queued is an AssertionError.
"""

from __future__ import annotations

import ctypes
import random
from collections import deque
from types import SimpleNamespace
from typing import Any


class Code:
    def __init__(self, name: str = "cudaSuccess") -> None:
        self.name = name


OK = Code()


class Event:
    def __init__(self) -> None:
        self.recorded = self.done = 0


class FakeCuda:
    """The functions of ``cuda.bindings.runtime`` that the engines call."""

    cudaStreamNonBlocking, cudaEventBlockingSync, cudaEventDisableTiming = 1, 1, 2
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="in", cudaMemcpyDeviceToHost="out")

    def __init__(self, seed: int = 0, total_bytes: int = 1 << 40) -> None:
        self.random = random.Random(seed)
        self.total_bytes = total_bytes
        self.device: dict[int, bytearray] = {}
        self.pinned: dict[int, Any] = {}
        self.streams: dict[int, deque[tuple[Any, ...]]] = {}
        self.events: dict[int, Event] = {}
        self.calls: list[str] = []
        self.order: list[str] = []
        self.failures: dict[str, list[str]] = {}
        self.lost: str | None = None
        self._next = 0x1000

    def fail(self, name: str, error: str, after: int = 0) -> None:
        """Let the call after ``after`` good ones return ``error``."""
        self.failures[name] = ["cudaSuccess"] * after + [error]

    def alive(self) -> int:
        return sum(map(len, (self.device, self.pinned, self.streams, self.events)))

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if not (name.startswith("cuda") and callable(found)):
            return found

        def called(*arguments: Any) -> tuple[Any, ...]:
            self.calls.append(name)
            planned = self.failures.get(name)
            error = planned.pop(0) if planned else "cudaSuccess"
            if error != "cudaSuccess":
                return (Code(error), None)
            if self.lost and not any(w in name for w in ("Free", "Destroy", "Set", "LastError")):
                return (Code(self.lost), None)
            result = found(*arguments)
            return (OK,) if result is None else (OK, result)

        return called

    # ---- what there is

    def cudaGetDeviceCount(self) -> int:
        return 1

    def cudaSetDevice(self, _device: int) -> None: ...

    def cudaGetLastError(self) -> None: ...

    def cudaDriverGetVersion(self) -> int:
        return 13050

    def cudaGetDeviceProperties(self, _device: int) -> Any:
        return SimpleNamespace(name=b"Fake RTX\0\0", major=8, minor=9, totalGlobalMem=8 << 30)

    def cudaMemGetInfo(self) -> tuple[int, int]:
        used = sum(map(len, self.device.values()))
        return self.total_bytes - used, self.total_bytes

    # ---- memory

    def _address(self, size: int) -> int:
        self._next += size + 0x100
        return self._next - size

    def cudaMalloc(self, size: int) -> int:
        address = self._address(size)
        self.device[address] = bytearray(size)
        return address

    def cudaMallocHost(self, size: int) -> int:
        buffer = (ctypes.c_char * size)()
        self.pinned[ctypes.addressof(buffer)] = buffer
        return ctypes.addressof(buffer)

    def cudaFree(self, address: int) -> None:
        self._idle()
        del self.device[address]

    def cudaFreeHost(self, address: int) -> None:
        self._idle()
        del self.pinned[address]

    def _idle(self) -> None:
        assert self.lost or not any(self.streams.values()), "freed while something is queued"

    # ---- streams and events

    def cudaStreamCreateWithFlags(self, _flags: int) -> int:
        self._next += 1
        self.streams[self._next] = deque()
        return self._next

    def cudaStreamDestroy(self, stream: int) -> None:
        assert self.lost or not self.streams[stream]
        del self.streams[stream]

    def cudaEventCreateWithFlags(self, _flags: int) -> int:
        self._next += 1
        self.events[self._next] = Event()
        return self._next

    def cudaEventDestroy(self, event: int) -> None:
        del self.events[event]

    def cudaMemcpyAsync(self, to: int, source: int, size: int, kind: str, stream: int) -> None:
        def copy() -> None:
            if kind == "in":
                assert source in self.pinned and len(self.device[to]) == size
                self.device[to][:] = ctypes.string_at(source, size)
            else:
                assert to in self.pinned
                ctypes.memmove(to, bytes(self.device[source]), size)

        self.queue(stream, kind, copy)

    def cudaEventRecord(self, event: int, stream: int) -> None:
        found = self.events[event]
        found.recorded += 1
        self.streams[stream].append(("record", found, found.recorded))

    def cudaStreamWaitEvent(self, stream: int, event: int, _flags: int) -> None:
        found = self.events[event]
        self.streams[stream].append(("wait", found, found.recorded))

    def cudaEventSynchronize(self, event: int) -> None:
        found = self.events[event]
        while found.done < found.recorded:
            self.step()

    def cudaStreamSynchronize(self, stream: int) -> None:
        while self.streams[stream]:
            self.step()

    # ---- the scheduler

    def queue(self, stream: int, label: str, work: Any) -> None:
        self.streams[stream].append(("work", label, work))

    def step(self) -> None:
        """Run one thing that may run now, from any stream."""
        ready = [q for q in self.streams.values() if q and self._may_run(q[0])]
        assert ready, "streams wait for each other"
        kind, a, b = self.random.choice(ready).popleft()
        if kind == "record":
            a.done = max(a.done, b)
        elif kind == "work":
            self.order.append(a)
            b()

    @staticmethod
    def _may_run(entry: tuple[Any, ...]) -> bool:
        kind, a, b = entry
        return kind != "wait" or a.done >= b
