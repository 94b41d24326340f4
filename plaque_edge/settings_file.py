"""Writes the service's settings file: whole or not at all, and only what the service accepts."""

from __future__ import annotations

import json
import os
import tomllib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import Failed
from plaque_edge.settings import (
    TABLES,
    read_destinations,
    read_limits,
    read_receiver,
    read_risk_model,
    read_settings,
    read_signers,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HEAD = "# Settings of the plaque-edge service (docs/watch.md). Read when it starts.\n"


def load_file(path: Path) -> dict[str, Any]:
    """Return the file's tables, checked; empty where there is none.

    Raises ``Refused`` SETTINGS_UNREADABLE or SETTINGS_INVALID.
    """
    if not path.exists():
        return {}
    _check(path)
    return tomllib.loads(path.read_text(encoding="utf-8"))


def save_file(path: Path, data: Mapping[str, Any]) -> None:
    """Write ``data`` (tables as in the file) to ``path``; what was there is kept as ``.before``.

    Raises ``Refused`` SETTINGS_INVALID with the file unchanged, and ``Failed``
    SETTINGS_NOT_WRITTEN.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(HEAD + as_toml(data), encoding="utf-8")
        _check(part)
        if path.exists():
            path.with_name(f"{path.name}.before").write_bytes(path.read_bytes())
        part.replace(path)
    except OSError as error:
        text = f"The settings could not be written ({error.strerror})."
        step = "Check who may write there, and the free space."
        raise Failed("SETTINGS_NOT_WRITTEN", text, step) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _check(path: Path) -> None:
    """Read everything as the service does. Raises ``Refused``."""
    read_settings(path)
    read_limits(path)
    read_receiver(path)
    read_risk_model(path)
    read_signers(path)
    read_destinations(path)


def as_toml(data: Mapping[str, Any]) -> str:
    """Return settings as TOML: tables of texts, numbers, truth values and lists of them."""
    lines = []
    for name in TABLES:
        found = data.get(name)
        tables = found if isinstance(found, list) else [found] if found else []
        for table in tables:
            lines.append(f"\n[[{name}]]" if isinstance(found, list) else f"\n[{name}]")
            lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    # JSON writes these types as TOML reads them, but for a DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
