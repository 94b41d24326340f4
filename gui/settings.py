"""What a person chose for this console, kept in one small file of that person."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QStandardPaths

from gui.i18n import mark

SCALES = (100, 125, 150, 175, 200)
ROLES = {"technologist": mark("Technologist"), "physician": mark("Physician")}


@dataclass(frozen=True, slots=True)
class Settings:
    """Every choice with its default; ``person`` is who acts, printed into the audit log."""

    language: str = "en"
    theme: str = "dark"
    scale: int = 100
    scheme: str = "okabe"
    person: str = ""
    role: str = "technologist"
    sound: bool = True
    toast: bool = True
    open_new: bool = True


def place() -> Path:
    """Return where the file lies on this system."""
    folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericConfigLocation)
    return Path(folder) / "plaque-edge" / "console.json"


def load(file: Path | None) -> Settings:
    """Read the choices; what is missing, unreadable or of another type keeps its default."""
    try:
        data: dict[str, Any] = json.loads((file or place()).read_text(encoding="utf-8"))
        known = {f.name: getattr(Settings(), f.name) for f in fields(Settings)}
        fit = {k: v for k, v in data.items() if k in known and type(v) is type(known[k])}
        return replace(Settings(), **fit)
    except (OSError, ValueError, AttributeError):
        return Settings()


def save(settings: Settings, file: Path | None) -> str:
    """Write the choices; return an empty text, or why it was not possible."""
    target = file or place()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")
        part.replace(target)
    except OSError as error:
        return str(error.strerror or type(error).__name__)
    return ""
