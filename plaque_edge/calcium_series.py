"""The calcium score of the same study, where its non-contrast series came along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.errors import Refused
from plaque_edge.quantify.calcium import THRESHOLD_HU, agatston
from plaque_edge.volume import load_volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.types import (
        Agatston,
        CoronaryTree,
        RejectedSeries,
        SeriesFiles,
        Volume,
    )

SLICE_MM = (2.0, 3.5)
"""Calcium scoring is done at 2.5 or 3 mm."""


def calcium_series(
    candidates: Sequence[SeriesFiles], rejected: Sequence[RejectedSeries], chosen: SeriesFiles
) -> SeriesFiles | None:
    """Return the study's calcium series: named so, of usual slices, in the CTA's place."""
    named = {
        r.info.series_instance_uid
        for r in rejected
        if "CALCIUM_SCORE" in (r.reason.code, *(a.code for a in r.also))
    }
    for series in candidates:
        info = series.info
        if (
            info.series_instance_uid in named
            and info.study_instance_uid == chosen.info.study_instance_uid
            and info.frame_of_reference_uid == chosen.info.frame_of_reference_uid != ""
            and SLICE_MM[0] <= series.spacing_zyx_mm[0] <= SLICE_MM[1]
        ):
            return series
    return None


def score_calcium(series: SeriesFiles, tree: CoronaryTree) -> Agatston | None:
    """Score a series near the traced arteries; ``None`` where it can't be read or has contrast."""
    try:
        volume = load_volume(series)
    except Refused:
        return None
    if not tree.branches or _blood_hu(volume, tree) >= THRESHOLD_HU:
        return None
    return agatston(volume, tree, series.info.series_instance_uid)


def _blood_hu(volume: Volume, tree: CoronaryTree) -> float:
    """Median HU along the arteries: 30 to 60 without contrast."""
    points = np.concatenate([b.points_mm for b in tree.branches])
    index = np.round(volume.to_index(points)).astype(int)
    inside = ((index >= 0) & (index < volume.shape_zyx)).all(axis=1)
    if inside.mean() < 0.5:
        return float("inf")
    z, y, x = index[inside].T
    return float(np.median(volume.hu[z, y, x]))
