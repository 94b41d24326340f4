"""Families of test patients: what is different about their scans, and how many of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plaque_edge.phantom.scene import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FAMILIES: dict[str, tuple[str, ...]] = {
    "standard": ("test",),
    "noisy": ("noisy",),
    "soft": ("soft",),
    "photon": ("photon",),
    "rescan": ("test", "rescan"),
}
"""Presets of ``phantom/presets.py`` that each patient of a family is scanned with."""
FULL = {"standard": 24, "noisy": 10, "soft": 10, "photon": 10, "rescan": 10}
"""What the published figures are measured on: 64 patients, 74 scans."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan to be made and analysed; ``generator`` is "first" or "second"."""

    family: str
    seed: int
    preset: str
    generator: str = "first"

    @property
    def key(self) -> str:
        """Name of the scan, unique within an evaluation."""
        return f"{self.family}-{self.seed}-{self.preset}"


def scans(counts: Mapping[str, int], first: int, split: str = "test") -> Iterator[Scan]:
    """Every scan of the families, each patient with a seed of their own from ``first`` on."""
    seeds = iter(SPLITS[split][first:])
    for family, count in counts.items():
        for _ in range(count):
            seed = next(seeds)
            for preset in FAMILIES[family]:
                yield Scan(family, seed, preset)
