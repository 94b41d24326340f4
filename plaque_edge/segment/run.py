"""Segment: from HU to the coronary tree (network A) and its wall and plaque (network B).

heart box (3 mm) -> class maps (0.8 mm) -> ostia, paths, names -> straightened vessels -> wall
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from engines import EngineError, open_engine
from engines.manifest import MODELS, models_sha256
from plaque_edge.segment.heart import HeartBox, find_heart
from plaque_edge.segment.naming import dominance_of
from plaque_edge.segment.network import Network
from plaque_edge.segment.tree import extract_tree
from plaque_edge.segment.tree_maps import (
    TREE_SPACING_MM,
    TreeMaps,
    resample_volume,
    tree_probability,
)
from plaque_edge.segment.wall import read_walls
from plaque_edge.types import ModelInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from engines import Engine, Manifest
    from plaque_edge.types import CoronaryTree, StraightBranch, Volume

MODEL_NAME = "PlaqueSegNet-edge"
ROLES = ("heart", "tree", "wall")


def place_of(role: str, models: Path | None) -> str | Path:
    """Return the site's folder of a network, ``models/role``, where there is one; else ours.

    Raises ``EngineError`` MODELS_EMPTY when the site's folder holds none of the three.
    """
    if models is None:
        return role
    if not any((models / name / "model.toml").is_file() for name in ROLES):
        raise EngineError(
            "MODELS_EMPTY",
            "The folder of the site's models has no heart, tree or wall with a model.toml.",
            "Correct --models, or leave it out to use the shipped networks.",
        )
    return models / role if (models / role / "model.toml").is_file() else role


class Engines:
    """The three networks, opened together: heart finder, tree (A), wall (B).

    ``models`` is a folder with networks of the site's own (``docs/models.md``).
    """

    def __init__(
        self, prefer: str = "auto", precision: str | None = None, models: Path | None = None
    ) -> None:
        self._stack = ExitStack()
        try:
            self.heart, self.tree, self.wall = (
                self._stack.enter_context(open_engine(place_of(name, models), prefer, precision))
                for name in ROLES
            )
            self.networks = {
                name: Network(engine, name)
                for name, engine in zip(ROLES, (self.heart, self.tree, self.wall), strict=True)
            }
        except BaseException:
            self._stack.close()
            raise

    def info(self) -> ModelInfo:
        """Identity of the networks and what they really run on."""
        all_three: tuple[Engine, ...] = (self.heart, self.tree, self.wall)
        return ModelInfo(
            _name([e.manifest for e in all_three]),
            self.wall.manifest.version,
            models_sha256([e.manifest for e in all_three]),
            " + ".join(dict.fromkeys(e.provider for e in all_three)),
            " + ".join(dict.fromkeys(e.precision for e in all_three)),
            tuple(sorted(self.wall.manifest.calibration.items())),
            self.wall.manifest.folder,
        )

    @property
    def busy_s(self) -> float:
        """Seconds that the networks ran since they were opened."""
        return sum(engine.busy_s for engine in (self.heart, self.tree, self.wall))

    def close(self) -> None:
        """Free the networks' memory; may be called twice."""
        self._stack.close()

    def __enter__(self) -> Engines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _name(manifests: Sequence[Manifest]) -> str:
    """Our name, and in brackets every network that isn't ours."""
    foreign = [m for m in manifests if m.folder.parent != MODELS]
    told = ", ".join(f"{m.folder.name}: {m.name} {m.version}" for m in foreign)
    return f"{MODEL_NAME} ({told})" if told else MODEL_NAME


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What segment hands to quantify."""

    heart: HeartBox
    tree: CoronaryTree
    straight: tuple[StraightBranch, ...]
    model: ModelInfo
    healthy_wall_mm: float | None = None


def segment(
    volume: Volume, engines: Engines, progress: Callable[[float], None] | None = None
) -> Segmentation:
    """Find the heart, trace and name the coronaries, read their walls.

    Raises
    ------
    Refused
        HEART_NOT_FOUND, AORTA_NOT_FOUND, NO_CORONARY_TREE.
    """
    report = progress or (lambda _share: None)
    heart = find_heart(volume, engines.networks["heart"])
    report(0.05)
    blood_hu = max(heart.aorta_hu[0], 100.0)
    low = np.array(heart.low_mm)
    size = np.ceil((np.array(heart.high_mm) - low) / TREE_SPACING_MM).astype(int)
    hu = resample_volume(volume, low, TREE_SPACING_MM, (int(size[0]), int(size[1]), int(size[2])))
    probability = tree_probability(
        hu, engines.networks["tree"], blood_hu, lambda share: report(0.05 + 0.35 * share)
    )
    maps = TreeMaps(probability, TREE_SPACING_MM, heart.low_mm, hu, blood_hu)
    tree = extract_tree(maps, volume)
    report(0.55)
    straight, wall_mm = read_walls(
        volume, tree, engines.networks["wall"], blood_hu, lambda share: report(0.55 + 0.45 * share)
    )
    branches = [s.branch for s in straight]
    seen = replace(tree, branches=tuple(branches), dominance=dominance_of(branches))
    return Segmentation(heart, seen, straight, engines.info(), wall_mm)
