"""Languages: English in the code, every other one complete in ``locale/<code>.json``.

``tr`` translates where a text is shown; ``mark`` only marks a text that is translated later.
A test reads every marked text out of the code and fails when a language lacks one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PySide6.QtCore import QDate, QDateTime, QLocale, Qt, QTime

from plaque_edge.export import words

LANGUAGES = {"en": "English", "zh": "中文"}
FOLDER = Path(__file__).parent / "locale"
_catalogue: dict[str, str] = {}
_language = "en"


def use(language: str) -> None:
    """Show every text from now on in ``language``, numbers and dates in its customs."""
    global _catalogue, _language
    _language = language if language in LANGUAGES else "en"
    _catalogue = read(_language)
    locale = QLocale("zh_CN") if _language == "zh" else QLocale.system()
    if _language == "en" and locale.language() != QLocale.Language.English:
        locale = QLocale("en_US")
    QLocale.setDefault(locale)


def read(language: str) -> dict[str, str]:
    """Return the catalogue of a language; English needs none."""
    if language == "en":
        return {}
    texts: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def language() -> str:
    """Return the code of the language in use."""
    return _language


def mark(text: str) -> str:
    """Return ``text`` unchanged: it is translated where it is shown."""
    return text


def tr(text: str, /, **values: Any) -> str:
    """Return ``text`` in the language in use, with its ``{fields}`` filled in."""
    shown = _catalogue.get(text, text)
    return shown.format(**values) if values else shown


def reason(code: str, text: str) -> str:
    """Return the sentence of a coded reason; where a language has none, the code's own."""
    return _catalogue.get(f"code {code}", text)


def next_step(code: str, text: str) -> str:
    """Return what to do about a coded reason; a translated sentence says it already."""
    return "" if f"code {code}" in _catalogue else text


def number(value: float, digits: int = 0) -> str:
    """Write a number as the locale does."""
    return QLocale().toString(float(value), "f", digits)


def date(dicom_date: str) -> str:
    """Write a DICOM date as the locale does; what is none stays as it is."""
    day = QDate.fromString(dicom_date.strip(), "yyyyMMdd")
    if not day.isValid():
        return tr(words.date(dicom_date))
    return QLocale().toString(day, tr("yyyy-MM-dd"))


def clock(utc: str) -> tuple[str, str]:
    """Return (time, day) of an ISO time in UTC, on this computer's clock."""
    moment = QDateTime.fromString(utc, Qt.DateFormat.ISODateWithMs)
    if not moment.isValid():
        return utc, ""
    local = moment.toLocalTime()
    time: QTime = local.time()
    day: QDate = local.date()
    return QLocale().toString(time, "HH:mm:ss"), QLocale().toString(day, tr("yyyy-MM-dd"))
