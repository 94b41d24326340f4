"""The time now, as the store writes it into rows and into names of files."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Return ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def file_stamp() -> str:
    """Return the same for the name of a file, to the microsecond."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
