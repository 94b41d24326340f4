"""A computer with a GPU and TensorRT, neither of which is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fake_trt
import small_model
from fake_cuda import FakeCuda
from fake_trt import FakeTrt

from engines import gpu, openers, read_manifest
from engines.base import Engine
from engines.trt import library
from engines.trt.library import Library, make_logger

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


class NumpyEngine(Engine):
    """The reference of the small model."""

    def _run(self, x: np.ndarray, out: np.ndarray) -> None:
        out[:] = fake_trt.model(x, out.shape[1])


class Site:
    """``rtx`` is installed and works; what else is installed is in ``here``."""

    def __init__(self, monkeypatch, folder: Path) -> None:
        self.model = small_model.write(folder / "model", shape="24, 20, 16")
        self.manifest = read_manifest(self.model)
        self.cuda = FakeCuda()
        self.trt = FakeTrt(self.cuda, self.manifest)
        self.here = {"rtx", "cpu"}
        self.plans = folder / "plans"
        monkeypatch.setenv("PLAQUE_EDGE_PLANS", str(self.plans))
        monkeypatch.setattr("engines.cuda.load_runtime", lambda: self.cuda)
        monkeypatch.setattr("engines.gpu._driver_version", lambda: "580.95")
        monkeypatch.setattr(library, "load", self._load)
        for module in ("engines", "engines.openers", "engines.prepare", "engines.status"):
            monkeypatch.setattr(f"{module}.installed", self.here.__contains__)
        monkeypatch.setattr(openers, "_open_on_cpu", self._open_on_cpu)
        gpu.forget()

    def _load(self, name: str) -> Library:
        return Library(name, self.trt, self.trt.__version__, make_logger(self.trt))

    def _open_on_cpu(self, name, manifest, threads, gate) -> Engine:
        return NumpyEngine(manifest, f"numpy {name}", manifest.precision)
