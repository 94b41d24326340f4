"""The settings file (TOML): watched folders, receiver, quality limits, who may sign.

:mod:`plaque_edge.settings_file` writes it.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from plaque_edge.config import SHARE_QUIET_S, FolderRule, ReceiveOptions
from plaque_edge.destinations import is_aet, of_table
from plaque_edge.errors import Refused
from plaque_edge.quality.limits import Limits, from_settings

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.destinations import Destination

_NEXT = "See docs/watch.md for an example."
_NUMBERS = ("quiet_s", "late_s", "max_age_h")
TABLES = ("folder", "receiver", "quality", "risk", "roles", "destination")
_FILES = ("tls_cert", "tls_key", "tls_ca")
_TEXTS = ("aet", "bind", *_FILES)
FILE_NAME = "settings.toml"
"""In the results folder; read by the service when no other file is named."""


def read_settings(path: Path) -> dict[Path, FolderRule]:
    """Read the folders of a settings file, each with its rule; paths are relative to the file.

    Raises ``Refused`` SETTINGS_UNREADABLE or SETTINGS_INVALID.
    """
    data = _read(path)
    folders = data.get("folder", [])
    if not isinstance(folders, list) or not any(data.get(name) for name in TABLES):
        raise _invalid("there is nothing in it")
    rules = dict(_folder(entry, path.parent) for entry in folders)
    if len(rules) < len(folders):
        raise _invalid("a folder is named twice")
    return rules


def read_limits(path: Path | None) -> Limits:
    """Read the quality gate's limits, ``[quality]``; without a file the shipped ones."""
    table = {} if path is None else _read(path).get("quality", {})
    if not isinstance(table, dict):
        raise _invalid("quality is no table")
    return from_settings(table)


def read_receiver(path: Path | None) -> ReceiveOptions | None:
    """Read ``[receiver]``; ``None`` without one. Raises ``Refused`` SETTINGS_INVALID."""
    table = {} if path is None else _read(path).get("receiver", {})
    if not isinstance(table, dict):
        raise _invalid("receiver is no table")
    if path is None or not table:
        return None
    _known(table, {"port", "allow", *_TEXTS}, "[receiver]")
    port, allow = table.get("port"), _names(table, "allow", "[receiver]")
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise _invalid("port of [receiver] is not a number from 0 to 65535")
    texts = {name: table.get(name, "") for name in _TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise _invalid(f"{name} of [receiver] is no text")
    for title in (texts["aet"], *allow):
        if not is_aet(title):
            raise _invalid(f"{title!r} in [receiver] is no AE title of 1 to 16 letters")
    if bool(texts["tls_cert"]) != bool(texts["tls_key"]):
        raise _invalid("[receiver] needs tls_cert and tls_key together")
    cert, key, ca = (path.parent / texts[f] if texts[f] else None for f in _FILES)
    return ReceiveOptions(port, texts["aet"], allow, texts["bind"], cert, key, ca)


def read_risk_model(path: Path | None) -> Path | None:
    """Read the site's risk model, ``[risk] model``, relative to the file; ``None`` without one.

    Raises ``Refused`` SETTINGS_UNREADABLE or SETTINGS_INVALID.
    """
    table = {} if path is None else _read(path).get("risk", {})
    if not isinstance(table, dict):
        raise _invalid("risk is no table")
    _known(table, {"model"}, "[risk]")
    name = table.get("model")
    if path is None or name is None:
        return None
    if not isinstance(name, str) or not name:
        raise _invalid("model of [risk] is not the name of a file")
    return path.parent / name


def read_signers(path: Path | None) -> tuple[str, ...]:
    """Read who may sign, ``[roles] sign``; nobody named: whoever says to be a physician.

    Raises ``Refused`` SETTINGS_INVALID.
    """
    table = {} if path is None else _read(path).get("roles", {})
    if not isinstance(table, dict):
        raise _invalid("roles is no table")
    _known(table, {"sign"}, "[roles]")
    return _names(table, "sign", "[roles]")


def read_destinations(path: Path | None) -> tuple[Destination, ...]:
    """Read where results may go, ``[[destination]]``. Raises ``Refused`` SETTINGS_INVALID."""
    entries = [] if path is None else _read(path).get("destination", [])
    if not isinstance(entries, list):
        raise _invalid("destination is no list of tables")
    try:
        found = tuple(of_table(entry) for entry in entries)
    except ValueError as error:
        raise _invalid(str(error)) from error
    if len({there.name for there in found}) < len(found):
        raise _invalid("two destinations have one name")
    return found


def _names(table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    names = table.get(key, [])
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        raise _invalid(f"{key} of {where} is not a list of names")
    return tuple(n.strip() for n in names)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        text = f"The settings {path} cannot be read ({error})."
        raise Refused("SETTINGS_UNREADABLE", text, _NEXT) from error
    _known(data, set(TABLES), "the file")
    return data


def _folder(entry: Any, home: Path) -> tuple[Path, FolderRule]:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or not entry["path"]:
        raise _invalid("a [[folder]] has no path")
    name = entry["path"]
    _known(entry, {"path", "share", *(f.name for f in fields(FolderRule))} - {"events"}, name)
    share = entry.get("share", False)
    if not isinstance(share, bool):
        raise _invalid(f"share of {name} is neither true nor false")
    given: dict[str, Any] = {"quiet_s": SHARE_QUIET_S} if share else {}
    for key in _NUMBERS:
        value = entry.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise _invalid(f"{key} of {name} is not a number above 0")
        given[key] = float(value)
    skip = entry.get("skip", [])
    if not isinstance(skip, list) or not all(isinstance(s, str) and s for s in skip):
        raise _invalid(f"skip of {name} is not a list of names")
    return home / name, FolderRule(events=not share, skip=tuple(skip), **given)


def _known(table: dict[str, Any], allowed: set[str], where: str) -> None:
    odd = sorted(set(table) - allowed)
    if odd:
        raise _invalid(f"{where} has {odd[0]}, which means nothing here")


def _invalid(what: str) -> Refused:
    return Refused("SETTINGS_INVALID", f"The settings cannot be used: {what}.", _NEXT)
