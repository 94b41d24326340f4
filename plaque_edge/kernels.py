"""What the name of a reconstruction kernel says of the image's sharpness."""

from __future__ import annotations

import re
from typing import Literal

KernelClass = Literal["vascular", "sharp", "lung_bone", "unknown"]

_SHARP_FROM = 50
"""Siemens numbers kernels by sharpness: 36 to 49 vascular, 50 to 63 sharp, above lung or bone."""
_LUNG_FROM = 64
_NUMBERED = re.compile(r"^[BHIJQDUT][A-Z]{0,2}(\d{2})", re.IGNORECASE)
_TOSHIBA = re.compile(r"^FC(\d{2})", re.IGNORECASE)
_NAMES: dict[KernelClass, tuple[str, ...]] = {
    "lung_bone": ("LUNG", "BONE", "EDGE", "YB", "YC", "YD", "YE"),
    "sharp": ("DETAIL", "SHARP", "STENT", "XCD", "XCE", "HD", "CD", "C", "D", "E"),
    "vascular": ("STANDARD", "STD", "SOFT", "SMOOTH", "CARDIAC", "TRUEFIDELITY", "XCA", "XCB",
                 "XCC", "CA", "CB", "CC", "A", "B"),
}  # fmt: skip


def classify(kernel: str) -> KernelClass:
    r"""Return the class of a kernel name as scanners write it (such as ``Bv40d\\3`` or ``FC03``).

    GE STANDARD, DETAIL, LUNG, BONE, EDGE; Siemens letters with two digits; Canon FC with
    two digits; Philips letters. Anything else is "unknown", never guessed.
    """
    name = re.split(r"[\\/\s]", kernel.strip().upper())[0].rstrip("+-")
    if not name:
        return "unknown"
    if match := _TOSHIBA.match(name):
        return _canon(int(match.group(1)))
    if name.startswith("BL") and name[2:4].isdigit():
        return "lung_bone"
    if match := _NUMBERED.match(name):
        return _numbered(int(match.group(1)))
    for kind, words in _NAMES.items():
        if name in words or any(len(w) > 3 and w in kernel.upper() for w in words):
            return kind
    return "unknown"


def _numbered(sharpness: int) -> KernelClass:
    if sharpness >= _LUNG_FROM:
        return "lung_bone"
    return "sharp" if sharpness >= _SHARP_FROM else "vascular"


def _canon(number: int) -> KernelClass:
    """Canon: FC01 to 21 body, FC30 to 39 bone, FC40 to 49 vessel, FC50 to 59 and 80 up lung."""
    if 30 <= number < 40 or 50 <= number < 60 or number >= 80:
        return "lung_bone"
    return "vascular"
