"""What a model folder says of itself: ``model.toml`` beside its ONNX file."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

MODELS = Path(__file__).parent / "models"
SHIPPED = ("heart", "tree", "wall")


@dataclass(frozen=True, slots=True)
class Manifest:
    """One network: identity, file, input grid, classes, calibration.

    ``onnx`` and ``sha256`` are of the file of this ``precision``; ``weights_sha256`` is of the
    f32 file that all precisions were made from, which is the network's identity.
    """

    name: str
    version: str
    description: str
    licence: str
    onnx: Path
    sha256: str
    channels: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    classes: tuple[str, ...]
    calibration: dict[str, float]
    trained: dict[str, Any]
    weights_sha256: str
    precision: str = "f32"
    activation: str = "none"
    """What is still to be done to the file's output: "none" for probabilities, or "softmax"."""

    @property
    def folder(self) -> Path:
        """The folder that the network's files lie in."""
        return self.onnx.parent


def read_manifest(model: str | Path) -> Manifest:
    """Read a shipped model by name, or any folder with a ``model.toml``.

    Raises
    ------
    EngineError
        MODEL_MISSING, MODEL_INVALID.
    """
    folder = MODELS / model if isinstance(model, str) else model
    path = folder / "model.toml"
    if not path.is_file():
        raise EngineError(
            "MODEL_MISSING", f"There is no model {folder.name!r}.", "Install plaque-edge again."
        )
    try:
        t = tomllib.loads(path.read_text(encoding="utf-8"))
        z, y, x = (int(n) for n in t["input"]["shape_zyx"])
        a, b, c = (float(s) for s in t["input"]["spacing_zyx_mm"])
        return Manifest(
            name=str(t["name"]),
            version=str(t["version"]),
            description=str(t["description"]),
            licence=str(t["licence"]),
            onnx=folder / str(t["file"]["onnx"]),
            sha256=str(t["file"]["sha256"]),
            channels=tuple(str(v) for v in t["input"]["channels"]),
            shape=(z, y, x),
            spacing_mm=(a, b, c),
            classes=tuple(str(v) for v in t["output"]["classes"]),
            calibration={str(k): float(v) for k, v in t.get("calibration", {}).items()},
            trained=dict(t.get("trained", {})),
            weights_sha256=str(t["file"]["sha256"]),
            activation=_activation(t["output"]),
        )
    except (tomllib.TOMLDecodeError, KeyError, ValueError, TypeError) as error:
        raise EngineError(
            "MODEL_INVALID",
            f"The model.toml of {folder.name!r} cannot be read: {error}.",
            "Install the model again.",
        ) from error


def _activation(output: dict[str, Any]) -> str:
    name = str(output.get("activation", "none"))
    if name not in ("none", "softmax"):
        raise ValueError(f"activation is none or softmax, not {name!r}")
    return name


def read_weights(manifest: Manifest) -> bytes:
    """Return the bytes of the ONNX file, verified.

    Raises
    ------
    EngineError
        MODEL_MISSING, MODEL_TAMPERED.
    """
    if not manifest.onnx.is_file():
        raise EngineError(
            "MODEL_MISSING",
            f"The network file of {manifest.name!r} is missing.",
            "Install plaque-edge again.",
        )
    data = manifest.onnx.read_bytes()
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise EngineError(
            "MODEL_TAMPERED",
            f"The network file of {manifest.name!r} is not the one its model.toml names.",
            "Install the model again; do not use it.",
        )
    return data


def models_sha256(manifests: Sequence[Manifest]) -> str:
    """One hash over all networks of a result, in the given order, whatever their precision."""
    return hashlib.sha256("".join(m.weights_sha256 for m in manifests).encode()).hexdigest()
