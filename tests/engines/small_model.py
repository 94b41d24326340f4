"""A model folder of a few kilobytes, for tests that need a manifest and not a network."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
name = "small"
version = "1"
description = "for tests"
licence = "none"
[file]
onnx = "model.onnx"
sha256 = "{sha256}"
[input]
channels = ["-200..600 HU", "HU / blood HU, -0.5..2"]
shape_zyx = [{shape}]
spacing_zyx_mm = [0.5, 0.5, 0.5]
[output]
classes = ["background", "one", "two"]
"""


def write(folder: Path, weights: bytes = b"weights", shape: str = "6, 5, 4") -> Path:
    """Write ``model.toml`` and the file it names; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(weights)
    sha256 = hashlib.sha256(weights).hexdigest()
    (folder / "model.toml").write_text(TEXT.format(sha256=sha256, shape=shape))
    return folder
