"""Where results may go: folders and DICOM programs of the site, ``[[destination]]``, and a test.

They are kept and tested; nothing is sent yet.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from plaque_edge.errors import Failed

if TYPE_CHECKING:
    from pathlib import Path

OWN_AET: Final = "PLAQUE"
_PROBE: Final = b"plaque-edge writes here to see whether it may\n"


@dataclass(frozen=True, slots=True)
class Destination:
    """A folder (``path``) or a DICOM program (``host``, ``port``, ``aet``), by its ``name``.

    ``own_aet`` is how this program calls itself there.
    """

    name: str
    kind: Literal["folder", "dicom"]
    path: str = ""
    host: str = ""
    port: int = 0
    aet: str = ""
    own_aet: str = OWN_AET


def of_table(entry: Any) -> Destination:
    """Return a ``[[destination]]`` of the settings. Raises ``ValueError``, saying what is wrong."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ValueError("a [[destination]] has no name")
    name = entry["name"].strip()
    if not name:
        raise ValueError("a [[destination]] has no name")
    if "path" in entry:
        _known(entry, {"name", "path"}, name)
        if not isinstance(entry["path"], str) or not entry["path"].strip():
            raise ValueError(f"path of {name} is no folder")
        return Destination(name, "folder", path=entry["path"].strip())
    _known(entry, {"name", "host", "port", "aet", "own_aet"}, name)
    host, port = entry.get("host"), entry.get("port")
    if not isinstance(host, str) or not host.strip():
        raise ValueError(f"{name} has neither a path nor a host")
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise ValueError(f"port of {name} is not a number from 1 to 65535")
    titles = [entry.get("aet", ""), entry.get("own_aet", OWN_AET)]
    for title in titles:
        if not isinstance(title, str) or not is_aet(title):
            raise ValueError(f"{title!r} of {name} is no AE title of 1 to 16 letters")
    return Destination(name, "dicom", "", host.strip(), port, titles[0].strip(), titles[1].strip())


def is_aet(title: str) -> bool:
    """Whether a text of the settings is an AE title: DICOM PS3.5 6.2, spaces round it or not."""
    return 1 <= len(title.strip()) <= 16 and title.isascii() and "\\" not in title


def _known(entry: dict[str, Any], allowed: set[str], name: str) -> None:
    odd = sorted(set(entry) - allowed)
    if odd:
        raise ValueError(f"{name} has {odd[0]}, which means nothing here")


def attempt(there: Destination, home: Path) -> None:
    """Write and delete a small file there, or C-ECHO it; takes seconds at most, if anybody answers.

    Folders are relative to ``home``. Raises ``Failed`` DESTINATION_*, saying what is wrong.
    """
    if there.kind == "folder":
        _write(home / there.path)
        return
    from plaque_edge.receive.echo import echo

    echo(there.host, there.port, there.aet, there.own_aet)


def _write(folder: Path) -> None:
    if not folder.is_dir():
        text = f"The folder {folder} is not there."
        step = "Create it, or connect the share, then test again."
        raise Failed("DESTINATION_MISSING", text, step)
    probe = folder / f".plaque-edge-test.{os.getpid()}"
    try:
        try:
            with probe.open("xb") as file:
                file.write(_PROBE)
                file.flush()
                os.fsync(file.fileno())
            whole = probe.read_bytes() == _PROBE
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        text = f"Nothing can be written into {folder} ({error.strerror})."
        step = "Give the service's account the right to write there, or free some space."
        raise Failed("DESTINATION_NOT_WRITABLE", text, step) from error
    if not whole:
        text = f"What was written into {folder} could not be read back."
        raise Failed("DESTINATION_NOT_WRITABLE", text, "Check the disk or the share.")
