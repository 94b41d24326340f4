"""A print job on its way to the process that prints: JSON, of the few types that it holds.

Nothing but what is listed here is ever made from what comes in: no code can ride along.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from gui.print_job import PrintJob, Study
from gui.review import Review
from plaque_edge.cases import CaseRow
from plaque_edge.store.action_table import Action, NewAction
from plaque_edge.types import Reason, SeriesInfo

KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (PrintJob, Study, CaseRow, Reason, SeriesInfo, Review, Action, NewAction)
}
KIND = "_kind"


def to_bytes(job: PrintJob) -> bytes:
    """Return the job as UTF-8 JSON. Raises ``TypeError`` for what can't go."""
    return json.dumps(_plain(job)).encode()


def from_bytes(data: bytes) -> PrintJob:
    """Make the job again, equal to what was sent. Raises ``ValueError`` for anything else."""
    try:
        job = _made(json.loads(data))
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"no print job: {error}") from error
    if not isinstance(job, PrintJob):
        raise ValueError("no print job")
    return job


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Path):
        return {KIND: "path", "of": str(value)}
    if isinstance(value, (tuple, list)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {KIND: kind, "of": [_plain(v) for v in value]}
    if isinstance(value, dict):
        return {KIND: "dict", "of": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if is_dataclass(value) and KINDS.get(type(value).__name__) is type(value):
        held = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        return {KIND: type(value).__name__, "of": held}
    raise TypeError(f"a print job can't hold {type(value).__name__}")


def _made(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kind, held = value[KIND], value["of"]
    if kind == "path":
        return Path(held)
    if kind in ("tuple", "list"):
        made = [_made(v) for v in held]
        return tuple(made) if kind == "tuple" else made
    if kind == "dict":
        return {_made(k): _made(v) for k, v in held}
    return KINDS[kind](**{name: _made(v) for name, v in held.items()})
