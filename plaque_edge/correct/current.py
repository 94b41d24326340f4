"""Which result of a case counts now: the analysis's own, or the newest correction of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from plaque_edge.store import Action


@dataclass(frozen=True, slots=True)
class Current:
    """Where the result that counts lies and the hash of its file; ``act`` corrected it last."""

    folder: Path | None
    sha256: str | None
    act: Action | None


def correction(acts: Iterable[Action]) -> Action | None:
    """Return the act that corrected a result, ``None`` where none did or it was taken back."""
    last = None
    for act in acts:
        if act.done.kind == "correct":
            last = act if act.done.arguments.get("folder") else None
    return last


def current(acts: Iterable[Action], result_dir: Path | None, sha256: str | None) -> Current:
    """Return the result that every output has to show."""
    act = correction(acts)
    if act is None or result_dir is None:
        return Current(result_dir, sha256, None)
    done = act.done.arguments
    return Current(result_dir / str(done["folder"]), str(done["sha256"]), act)
