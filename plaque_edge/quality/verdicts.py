"""What all lines come to: diagnostic, limited or not, and which of them limit.

A warning limits a scan where a person has to look or to decide. Where all that follows is
known and told beside the numbers, it does not, until :data:`MINOR_LIMIT` causes meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from plaque_edge.quality.limits import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plaque_edge.types import QcCheck

Verdict = Literal["diagnostic", "limited", "non_diagnostic"]

MINOR: Final[Mapping[str, str]] = {
    "QC_PHASE": "phase",
    "QC_KVP": "voltage",
    "QC_FIELD": "field",
    "QC_CONTRAST": "contrast",
    "QC_KERNEL_UNKNOWN": "kernel",
    "QC_SPACING": "slices",
    "QC_THICKNESS": "slices",
    "QC_PIXEL": "pixels",
}
"""Warnings that don't limit a scan alone, and the cause that each is a sign of."""
MINOR_LIMIT = 3
UNCOUNTED = frozenset({"QC_GRAFT_UNKNOWN"})
"""What is not known of the patient's history says nothing of the image."""


def verdict(checks: Sequence[QcCheck]) -> Verdict:
    """Return the worst of all checks; a few minor warnings still make a diagnostic scan."""
    if any(c.level == "refuse" for c in checks):
        return "non_diagnostic"
    return "limited" if limiting(checks) else "diagnostic"


def limiting(checks: Sequence[QcCheck]) -> tuple[QcCheck, ...]:
    """Return the warnings that make a scan limited; none where it is diagnostic."""
    warned = [c for c in checks if c.level == "warn" and c.code not in UNCOUNTED]
    grave = tuple(c for c in warned if c.code not in MINOR)
    causes = {MINOR[c.code] for c in warned if c.code in MINOR}
    if _bright_by_voltage(warned):
        causes.discard("contrast")
    return tuple(warned) if len(causes) >= MINOR_LIMIT else grave


def _bright_by_voltage(warned: Sequence[QcCheck]) -> bool:
    """Say whether bright blood is what the low tube voltage does.

    At 80 kV iodine is 1.6 times as bright as at 120 kV (its K edge lies at 33 keV), so that the
    two warnings are one. Dark blood at a low voltage is another matter.
    """
    value = {c.code: c.value for c in warned}
    kv, blood = value.get("QC_KVP"), value.get("QC_CONTRAST")
    if not isinstance(kv, float) or not isinstance(blood, float):
        return False
    return kv < DEFAULT.kvp_pass[0] and blood > DEFAULT.aorta_pass_hu[1]
