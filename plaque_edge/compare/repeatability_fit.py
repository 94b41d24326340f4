"""From hearts measured twice to the table of repeatability, with how often it holds for others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from scipy.special import stdtrit

import plaque_edge
from plaque_edge.compare.repeatability import (
    FACTOR,
    FEWEST,
    FORMAT,
    LEVELS,
    fit_sd,
    limit_mm3,
)
from plaque_edge.compare.study import COMPONENTS
from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Pairs = list[tuple[float, float]]

FOLDS = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """One heart: per level the changes of ``compare`` (component: before and after in mm³)."""

    seed: int
    levels: Mapping[str, Sequence[Mapping[str, Any]]]

    def pairs(self, level: str, component: str) -> Pairs:
        """Volumes (first scan, second scan) of one component at one level."""
        changes = (one[component] for one in self.levels[level])
        return [(c["before_mm3"], c["after_mm3"]) for c in changes]


def table_of(
    measured: Sequence[Measured], model: Mapping[str, Any], source: str, lost: Mapping[str, int]
) -> dict[str, Any]:
    """Fit every level and component. Raises ``Refused`` REPEATABILITY_FEW."""
    if len(measured) < FEWEST:
        text = f"{len(measured)} hearts could be compared between two scans: too few."
        raise Refused("REPEATABILITY_FEW", text, f"Evaluate {FEWEST} pairs or more.")
    levels = {
        level: {c: found for c in COMPONENTS if (found := _part(measured, level, c)) is not None}
        for level in LEVELS
    }
    return {
        "format": FORMAT,
        "source": source,
        "date": date.today().isoformat(),
        "version": plaque_edge.__version__,
        "model_sha256": model["sha256"],
        "calibration": dict(model["calibration"]),
        "hearts": len(measured),
        "not_compared": dict(lost),
        "levels": levels,
    }


def widening(hearts: int) -> float:
    """Return how much wider limits must be that were fitted to so few hearts.

    Student's quantile for the normal one, and the square root's share of two fitted numbers: a
    new difference over an estimated SD is not normal.
    """
    free = hearts - 2
    return float(stdtrit(free, 0.975)) / 1.96 * math.sqrt(hearts / free)


def fitted_to(
    measured: Sequence[Measured], level: str, component: str
) -> tuple[float, float] | None:
    """Floor and share for a new heart; ``None`` where too few hearts have something there.

    Places of one heart are not independent, so hearts count and not pairs.
    """
    own = [m.pairs(level, component) for m in measured]
    own = [pairs for pairs in own if any(a > 0 or b > 0 for a, b in pairs)]
    found = fit_sd([p for pairs in own for p in pairs]) if len(own) >= FEWEST else None
    if found is None:
        return None
    wide = widening(len(own))
    return found[0] * wide, found[1] * wide


def _part(measured: Sequence[Measured], level: str, component: str) -> dict[str, Any] | None:
    pairs = [p for m in measured for p in m.pairs(level, component)]
    fitted = fitted_to(measured, level, component)
    if fitted is None:
        return None
    seen = [p for p in pairs if p[0] > 0 or p[1] > 0]
    held = _held_out(measured, level, component)
    return {
        "sd_mm3": fitted[0],
        "cv": fitted[1],
        "pairs": len(seen),
        "empty_pairs": len(pairs) - len(seen),
        "mean_mm3": sum(a + b for a, b in seen) / (2 * len(seen)),
        "held_out_within": sum(held) / len(held) if held else None,
    }


def _held_out(measured: Sequence[Measured], level: str, component: str) -> list[bool]:
    """Whether each pair lies within the limit that other hearts give (cross-validation)."""
    hits = []
    for fold in range(min(FOLDS, len(measured))):
        others = [m for i, m in enumerate(measured) if i % FOLDS != fold]
        fitted = fitted_to(others, level, component)
        pairs = (p for m in measured[fold::FOLDS] for p in m.pairs(level, component))
        if fitted is not None:
            hits += [
                abs(b - a) <= limit_mm3(fitted, 0.5 * (a + b)) for a, b in pairs if a > 0 or b > 0
            ]
    return hits


def markdown(table: Mapping[str, Any]) -> str:
    """Return the table for readers: what a volume must change by to be told from a second scan."""
    lines = [
        "# Repeatability: measurable change",
        "Research use only, not a medical device.",
        "",
        f"{table['source']}. {table['date']}, plaque-edge {table['version']}, networks and their "
        f"settings {table['model_sha256'][:12]}. Not compared: {_lost(table['not_compared'])}.",
        "",
        "Repeatability coefficient of a volume V: the root of (floor² + (share x V)²). A smaller "
        "change is no measurable change. Both are widened for the few hearts they rest on. Held "
        "out: of hearts that the limit was not made from, "
        "the share of pairs within it (95 % are wanted).",
        "",
        "| of | volume | floor mm³ | share % | pairs | mean mm³ | at the mean mm³ | held out % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for level, parts in table["levels"].items():
        for name, x in parts.items():
            floor, share = FACTOR * x["sd_mm3"], 100 * FACTOR * x["cv"]
            held = x["held_out_within"]
            lines.append(
                f"| {level} | {name.removesuffix('_mm3').replace('_', ' ')} | {floor:.1f} | "
                f"{share:.0f} | {x['pairs']} | {x['mean_mm3']:.1f} | "
                f"{limit_mm3((x['sd_mm3'], x['cv']), x['mean_mm3']):.1f} | "
                f"{'-' if held is None else f'{100 * held:.0f}'} |"
            )
    return "\n".join(lines) + "\n"


def _lost(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {code}" for code, n in counts.items()) or "none"
