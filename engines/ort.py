"""ONNX Runtime: on the CPU, the reference every other engine is compared with; and on CUDA."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.base import Engine, check_shapes
from engines.errors import EngineError
from engines.manifest import read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from engines.manifest import Manifest

NAME = "ONNX Runtime CPU"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class OrtEngine(Engine):
    """One session, one window at a time."""

    def __init__(self, manifest: Manifest, threads: int) -> None:
        onnxruntime = load_ort()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_cpu_mem_arena = False  # costs some speed, saves 40 % of memory
        options.log_severity_level = 3
        weights = read_weights(manifest)
        try:
            session = onnxruntime.InferenceSession(weights, options, providers=[CPU])
        except Exception as error:  # its own classes, which differ from release to release
            raise EngineError(
                "MODEL_INVALID",
                f"The network file of {manifest.name!r} is no network.",
                "Install the model again.",
            ) from error
        got = session.get_providers()
        if got != [CPU]:
            raise EngineError(
                "ENGINE_UNAVAILABLE",
                f"ONNX Runtime took {got}, not the CPU it was asked for.",
                "Install onnxruntime again.",
            )
        super().__init__(manifest, NAME, manifest.precision)
        self._take(session)

    def _take(self, session: Any) -> None:
        inside, outside = session.get_inputs()[0], session.get_outputs()[0]
        shapes = (_sizes(inside.shape), _sizes(outside.shape))
        self.any_size = check_shapes(self.manifest, *shapes)
        self._session, self._input = session, inside.name

    def _run(self, x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        for i in range(len(x)):
            out[i] = self._session.run(None, {self._input: x[i : i + 1]})[0][0]

    def close(self) -> None:
        """Free the session."""
        super().close()
        self.__dict__.pop("_session", None)


def load_ort() -> Any:
    """Import ONNX Runtime.

    Its two wheels install the same files: where one was uninstalled over the other, what is left
    can be imported but holds nothing. Raises ENGINE_WHEELS_BOTH.
    """
    module = importlib.import_module("onnxruntime")
    if not hasattr(module, "InferenceSession"):
        raise in_part()
    return module


def in_part() -> EngineError:
    """Return what to say of a wheel that was uninstalled over the other."""
    return EngineError(
        "ENGINE_WHEELS_BOTH",
        "Only a part of onnxruntime is here: it and onnxruntime-gpu overwrite each other.",
        "Uninstall both, then install the one you want.",
    )


def _sizes(shape: Sequence[int | str | None]) -> tuple[int, ...]:
    return tuple(n if isinstance(n, int) else 0 for n in shape)


class OrtCudaEngine(OrtEngine):
    """The same on the GPU, or not at all: no node may fall back to the CPU."""

    def __init__(self, manifest: Manifest, gpu_name: str) -> None:
        """Open on the first GPU, which :func:`engines.gpu.probe` found.

        Raises
        ------
        EngineError
            ENGINE_UNAVAILABLE, ENGINE_OUT_OF_MEMORY, ENGINE_CUDA_FAILED, MODEL_*.
        """
        onnxruntime = load_ort()
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        # use_tf32 is on by default: what we show as f32 is f32.
        providers = [(CUDA, {"device_id": "0", "use_tf32": "0"})]
        weights = read_weights(manifest)
        try:
            session = onnxruntime.InferenceSession(
                weights, options, providers=providers, enable_fallback=0
            )
        except Exception as error:  # its own classes, and RuntimeError for CUDA
            raise cuda_error(error) from error
        got = session.get_providers()
        if not got or got[0] != CUDA:
            raise EngineError(
                "ENGINE_UNAVAILABLE",
                f"ONNX Runtime took {', '.join(got)}, not the GPU it was asked for.",
                "Run plaque-edge doctor.",
            )
        Engine.__init__(self, manifest, f"ONNX Runtime CUDA on {gpu_name}", manifest.precision)
        self._take(session)

    def _run(self, x: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        try:
            super()._run(x, out)
        except Exception as error:
            raise cuda_error(error) from error


def cuda_installed() -> bool:
    """Say whether the installed ONNX Runtime has its CUDA library, without importing it.

    Its own list of providers names CUDA even where there is no GPU, so it is not asked.
    """
    spec = find_spec("onnxruntime")
    name = "onnxruntime_providers_cuda.dll"
    name = name if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"
    folders = spec.submodule_search_locations if spec else None
    return any((Path(folder) / "capi" / name).is_file() for folder in folders or ())


def cuda_error(error: Exception) -> EngineError:
    """Return our error for what ONNX Runtime raised: memory, a lost GPU, or its first line."""
    text = str(error)
    if any(word in text for word in ("out of memory", "Failed to allocate", "CUDA failure 2:")):
        return EngineError(
            "ENGINE_OUT_OF_MEMORY",
            "The GPU has not enough free memory.",
            "Close other programs that use the GPU.",
        )
    if any(word in text for word in ("launch failure", "illegal memory", "device unavailable")):
        return EngineError(
            "ENGINE_DEVICE_LOST", "The GPU stopped answering.", "Start plaque-edge again."
        )
    line = (text.splitlines() or [type(error).__name__])[0][:300]
    return EngineError(
        "ENGINE_CUDA_FAILED", f"ONNX Runtime cannot use the GPU: {line}", "Run plaque-edge doctor."
    )
