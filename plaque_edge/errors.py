"""Every refusal and failure, as one tree.

::

    PlaqueEdgeError            a code, a sentence, a next step
    ├── Refused                the input cannot be analysed           (exit 2, not_analysable)
    └── Failed                 the software could not finish          (exit 1, failed)

Codes are stable: SERIES_SLICE_MISSING stays SERIES_SLICE_MISSING. ``docs/codes.md`` lists them all.
"""

from __future__ import annotations

from plaque_edge.types import Reason


class PlaqueEdgeError(Exception):
    """An error a person can act on: ``CODE: sentence. Next step``."""

    def __init__(self, code: str, text: str, next_step: str = "") -> None:
        super().__init__(f"{code}: {text} {next_step}".strip())
        self.reason = Reason(code, text, next_step)


class Refused(PlaqueEdgeError):
    """The input cannot be measured; trying again with the same input will not help."""


class Failed(PlaqueEdgeError):
    """The software could not finish; trying again may help."""
