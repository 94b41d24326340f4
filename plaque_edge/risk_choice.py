"""Which risk model an analysis or the service uses: checked before the first patient."""

from __future__ import annotations

from pathlib import Path

from engines import EngineError
from engines.manifest import MODELS, models_sha256, read_manifest
from plaque_edge.errors import Failed
from plaque_edge.risk.model import load_model, require_segmenter
from plaque_edge.segment.run import ROLES, place_of
from plaque_edge.settings import read_risk_model


def risk_model(
    named: Path | None, settings: Path | None, models: Path | None, *, stand_in: bool = False
) -> Path | None:
    """Return the site's risk model, ``None`` for the shipped one.

    ``named`` (the option) goes before ``[risk] model`` of the settings. With a ``stand_in`` for
    the networks only each analysis can tell what it was measured by. Raises ``Refused``
    RISK_MODEL_INVALID, RISK_SEGMENTER_MISMATCH or SETTINGS_INVALID, ``Failed`` with the code of
    an engine when the networks can't be read.
    """
    path = named or read_risk_model(settings)
    if path is None:
        return None
    model = load_model(path)
    if model.segmenter_sha256 is not None and not stand_in:
        require_segmenter(model, networks_sha256(models))
    return path


def networks_sha256(models: Path | None) -> str:
    """Return the hash that results of these networks carry, without opening them."""
    try:
        places = [place_of(role, models) for role in ROLES]
        folders = [p if isinstance(p, Path) else MODELS / p for p in places]
        return models_sha256([read_manifest(folder) for folder in folders])
    except EngineError as error:
        raise Failed(error.code, error.text, error.next_step) from error
