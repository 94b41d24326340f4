"""What crosses from the service to the process that writes a corrected result: plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plaque_edge.types import Covariates

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.types import SeriesInfo


@dataclass(frozen=True, slots=True)
class By:
    """Who corrected, when (ISO 8601 in UTC), and of which result: the hash of its file."""

    person: str
    at: str
    result_sha256: str
    request: int | None = None


@dataclass(frozen=True, slots=True)
class CorrectionJob:
    """What is to be corrected: the result's folder, its series, the edits, who and when."""

    folder: Path
    info: SeriesInfo
    document: dict[str, Any]
    by: By
    covariates: Covariates = field(default_factory=Covariates)
    risk_model: Path | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A whole draft beside its place, the hash of its ``result.json``, and what was corrected."""

    draft: Path
    name: str
    sha256: str
    summary: dict[str, int]
