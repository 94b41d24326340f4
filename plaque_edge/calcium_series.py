"""The calcium score of the same study, where its non-contrast series came along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.errors import Refused
from plaque_edge.kernels import classify
from plaque_edge.quantify.calcium import REFERENCE_SLICE_MM, THRESHOLD_HU, agatston
from plaque_edge.types import Agatston, CoronaryTree, Reason, SeriesFiles, Volume
from plaque_edge.volume import load_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.types import RejectedSeries

SLICE_MM = (2.0, 3.5)
"""Calcium scoring is done at 2.5 or 3 mm."""
KVP = 120.0
"""The rule's 130 HU are those of calcium at 120 kVp."""


def calcium_series(
    candidates: Sequence[SeriesFiles], rejected: Sequence[RejectedSeries], chosen: SeriesFiles
) -> tuple[SeriesFiles, ...]:
    """Return the series of the study that are named as calcium score, the likeliest first."""
    named = {
        r.info.series_instance_uid
        for r in rejected
        if "CALCIUM_SCORE" in (r.reason.code, *(a.code for a in r.also))
    }
    found = [
        s
        for s in candidates
        if s.info.series_instance_uid in named
        and s.info.study_instance_uid == chosen.info.study_instance_uid
    ]
    return tuple(sorted(found, key=lambda s: (len(_causes(s, chosen)), *_rank(s))))


def score_study(
    named: Sequence[SeriesFiles], chosen: SeriesFiles, tree: CoronaryTree, *, treated: bool
) -> Agatston | Reason | None:
    """Score the best of the study's calcium series near the traced arteries of ``chosen``.

    Says why there is no score where a series came along, ``None`` where none did. ``treated``:
    signs of a stent or an operation were seen, whose metal would count as calcium.
    """
    if not named:
        return None
    series = named[0]
    causes = _causes(series, chosen)
    if treated:
        causes.append("metal of a stent or an operation would count as calcium")
    if causes:
        return _not_scored("; ".join(causes))
    try:
        volume = load_volume(series)
    except Refused as error:
        return _not_scored(error.reason.text.rstrip("."))
    if _blood_hu(volume, tree) >= THRESHOLD_HU:
        return _not_scored("it does not show the traced arteries without contrast")
    return agatston(volume, tree, series.info.series_instance_uid)


def _not_scored(why: str) -> Reason:
    return Reason(
        "CALCIUM_NOT_SCORED",
        f"The study's calcium scan was not scored: {why}.",
        "Take the score from the scanner's own software.",
    )


def _rank(series: SeriesFiles) -> tuple[float, int, str]:
    info = series.info
    off = abs(series.spacing_zyx_mm[0] - REFERENCE_SLICE_MM)
    return off, info.series_number or 0, info.series_instance_uid


def _causes(series: SeriesFiles, chosen: SeriesFiles) -> list[str]:
    """Say what keeps a series from being scored by Agatston's rule."""
    info, dz = series.info, series.spacing_zyx_mm[0]
    causes = []
    if not info.frame_of_reference_uid == chosen.info.frame_of_reference_uid != "":
        causes.append("it was not taken in the same patient coordinates as the contrast scan")
    if not SLICE_MM[0] <= dz <= SLICE_MM[1]:
        causes.append(f"its slices are {dz:.2f} mm apart, not {SLICE_MM[0]:g} to {SLICE_MM[1]:g}")
    if info.kvp is None or abs(info.kvp - KVP) > 1.0:
        taken = "an unknown voltage" if info.kvp is None else f"{info.kvp:g} kVp"
        causes.append(f"it was taken at {taken}, and the rule holds at {KVP:g} kVp")
    if classify(info.kernel) in ("sharp", "lung_bone"):
        causes.append(f"its kernel {info.kernel} is a sharp one")
    return causes


def _blood_hu(volume: Volume, tree: CoronaryTree) -> float:
    """Median HU along the arteries: 30 to 60 without contrast. Infinite where they don't lie in."""
    if not tree.branches:
        return float("inf")
    points = np.concatenate([b.points_mm for b in tree.branches])
    index = np.round(volume.to_index(points)).astype(int)
    inside = ((index >= 0) & (index < volume.shape_zyx)).all(axis=1)
    if inside.mean() < 0.5:
        return float("inf")
    z, y, x = index[inside].T
    return float(np.median(volume.hu[z, y, x]))
