"""How well a measured coronary tree follows the true one.

The 1 mm tolerance and the limit of 0.75 mm radius (1.5 mm diameter, the clinically relevant
part) follow the Rotterdam evaluation (Schaap et al. 2009, doi:10.1016/j.media.2009.06.003).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plaque_edge.types import CoronaryTree

TOLERANCE_MM = 1.0
RELEVANT_RADIUS_MM = 0.75


@dataclass(frozen=True, slots=True)
class TreeAgreement:
    """Shares are 0..1 of centerline length; ``None`` where there is nothing to judge."""

    recall: float | None
    """Of the true centerline of radius >= 0.75 mm, the share with a measured one within 1 mm."""
    precision: float | None
    """Of the measured centerline, the share with a true one of any radius within 1 mm."""
    names: float | None
    """Of the true centerline found, the share that carries the right one of LM, LAD, LCX, RCA."""
    distance_mm: float | None
    """Mean distance of the true centerline found from the measured one."""

    def as_dict(self) -> dict[str, float | None]:
        """All fields by name."""
        return asdict(self)


def compare_trees(truth: CoronaryTree, measured: CoronaryTree) -> TreeAgreement:
    """Compare two trees whose points are 0.5 mm apart, in the same coordinates."""
    true_points, true_names, true_radius = _points(truth)
    points, names, _ = _points(measured)
    relevant = true_radius >= RELEVANT_RADIUS_MM
    if not relevant.any():
        return TreeAgreement(None, None, None, None)
    if len(points) == 0:
        return TreeAgreement(0.0, None, None, None)
    distance, nearest = cKDTree(points).query(true_points[relevant])
    found = distance <= TOLERANCE_MM
    back, _ = cKDTree(true_points).query(points)
    right = true_names[relevant][found] == names[nearest[found]]
    return TreeAgreement(
        float(found.mean()),
        float((back <= TOLERANCE_MM).mean()),
        float(right.mean()) if found.any() else None,
        float(distance[found].mean()) if found.any() else None,
    )


def _points(
    tree: CoronaryTree,
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.float64]]:
    if not tree.branches:
        return np.zeros((0, 3)), np.zeros(0, str), np.zeros(0)
    return (
        np.concatenate([b.points_mm for b in tree.branches]),
        np.concatenate([np.full(len(b.points_mm), b.vessel) for b in tree.branches]),
        np.concatenate([b.radius_mm for b in tree.branches]),
    )
