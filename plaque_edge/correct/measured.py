"""What was measured of a case, kept whole, so that it can be measured again exactly.

One file of a result folder, ``view/measured.npz``: the straightened branches with the network's
fractions (compressed) and HU, the summed volumes, and every rule that was used.
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from plaque_edge.quantify.measures import map_vessels
from plaque_edge.quantify.options import Calibration, GateOptions
from plaque_edge.types import (
    WALL_CLASSES,
    Agatston,
    Branch,
    CoronaryTree,
    Gap,
    HuRule,
    Reason,
    StraightBranch,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from plaque_edge.quantify.measures import Mapped

FILE: Final = "measured.npz"
VERSION: Final = 2
READABLE: Final = (1, 2)
"""The first knew no gaps."""
_FAST = 1
"""zlib's fastest level: most of the fractions are 0 or 255."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything beside the branches that decides the numbers."""

    gates: GateOptions
    calibration: Calibration
    hu: tuple[HuRule, ...]
    doubt: Reason | None = None
    agatston: Agatston | None = None
    gaps: tuple[Gap, ...] = ()
    """What the analysis itself left out."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The branches in the result's own order, the tree, the rules and the summed volumes.

    ``volume_mm3`` ``(N, columns)`` and ``spread_mm3`` ``(N, 6)`` are those of
    :class:`plaque_edge.quantify.measures.Mapped`, all branches end to end.
    """

    series_uid: str
    straight: tuple[StraightBranch, ...]
    tree: CoronaryTree
    rules: Rules
    volume_mm3: NDArray[np.float64]
    spread_mm3: NDArray[np.float64]


def map_with(straight: Sequence[StraightBranch], rules: Rules) -> Mapped:
    """Sum and judge some branches by the rules of a case."""
    return map_vessels(straight, rules.gates, rules.calibration, rules.hu, rules.gaps)


def of_mapped(series_uid: str, mapped: Mapped, tree: CoronaryTree, rules: Rules) -> Measured:
    """Keep what was just measured."""
    volume = [p.volume_mm3 for p in mapped.profiles]
    return Measured(
        series_uid,
        mapped.packed.branches,
        tree,
        rules,
        np.concatenate(volume) if volume else np.zeros((0, 0)),
        np.concatenate(mapped.spread_mm3) if mapped.spread_mm3 else np.zeros((0, 6)),
    )


def write(measured: Measured, path: Path) -> None:
    """Write everything into one file. Raises ``OSError``."""
    straight = measured.straight
    head = {
        "version": VERSION,
        "series_instance_uid": measured.series_uid,
        "branches": [_branch_head(s.branch) for s in straight],
        "steps": [len(s.centers_mm) for s in straight],
        "step_mm": [s.step_mm for s in straight],
        "pixel_mm": [s.pixel_mm for s in straight],
        "sizes": [list(s.fractions.shape[2:]) for s in straight],
        "tree": [_branch_head(b) for b in measured.tree.branches],
        "dominance": measured.tree.dominance,
        "missing": {v: asdict(r) for v, r in measured.tree.missing.items()},
        "warnings": [asdict(r) for r in measured.tree.warnings],
        "aorta_hu": measured.tree.aorta_hu,
        "rules": _rules_head(measured.rules),
    }
    packed = zlib.compress(b"".join(s.fractions.tobytes() for s in straight), _FAST)
    arrays: dict[str, Any] = {
        "head": np.frombuffer(json.dumps(head).encode(), np.uint8),
        "fractions": np.frombuffer(packed, np.uint8),
        "hu": np.concatenate([*(s.hu.ravel() for s in straight), np.zeros(0, np.float32)]),
        "frames": _joined([np.stack([s.centers_mm, s.u, s.v], axis=1) for s in straight], (3, 3)),
        "lines": _joined([_line(s.branch) for s in straight], (4,)),
        "tree_lines": _joined([_line(b) for b in measured.tree.branches], (4,)),
        "volume_mm3": measured.volume_mm3,
        "spread_mm3": measured.spread_mm3,
    }
    out = io.BytesIO()
    np.savez(out, **arrays)
    path.write_bytes(out.getbuffer())


def read(path: Path) -> Measured:
    """Read what :func:`write` wrote. Raises ``OSError``, ``ValueError`` or ``KeyError``."""
    with np.load(path, allow_pickle=False) as file:
        head = json.loads(file["head"].tobytes())
        if head["version"] not in READABLE:
            raise ValueError("written by another version")
        fractions = np.frombuffer(zlib.decompress(file["fractions"].tobytes()), np.uint8)
        hu, frames, lines = file["hu"], file["frames"], file["lines"]
        tree_lines, volume, spread = file["tree_lines"], file["volume_mm3"], file["spread_mm3"]
    branches = _branches(head["branches"], lines)
    straight, step, place = [], 0, 0
    for i, branch in enumerate(branches):
        n, (h, w) = head["steps"][i], head["sizes"][i]
        size = n * h * w
        centers, u, v = (np.ascontiguousarray(frames[step : step + n, k]) for k in range(3))
        straight.append(
            StraightBranch(
                branch,
                centers,
                u,
                v,
                head["step_mm"][i],
                head["pixel_mm"][i],
                fractions[7 * place : 7 * (place + size)].reshape(len(WALL_CLASSES), n, h, w),
                hu[place : place + size].reshape(n, h, w),
            )
        )
        step, place = step + n, place + size
    tree = CoronaryTree(
        _branches(head["tree"], tree_lines),
        head["dominance"],
        {v: Reason(**r) for v, r in head["missing"].items()},
        None if head["aorta_hu"] is None else cast("tuple[float, float]", tuple(head["aorta_hu"])),
        tuple(Reason(**r) for r in head["warnings"]),
    )
    return Measured(
        head["series_instance_uid"], tuple(straight), tree, _rules(head["rules"]), volume, spread
    )


def _branch_head(branch: Branch) -> dict[str, Any]:
    return {
        "vessel": branch.vessel,
        "name": branch.name,
        "parent": branch.parent,
        "points": len(branch.points_mm),
    }


def _line(branch: Branch) -> NDArray[np.float64]:
    return np.column_stack([branch.points_mm, branch.radius_mm])


def _branches(heads: Sequence[dict[str, Any]], lines: NDArray[np.float64]) -> tuple[Branch, ...]:
    ends = np.cumsum([h["points"] for h in heads])
    parts = np.split(lines, ends[:-1]) if heads else []
    return tuple(
        Branch(h["vessel"], h["name"], h["parent"], np.ascontiguousarray(p[:, :3]), p[:, 3].copy())
        for h, p in zip(heads, parts, strict=True)
    )


def _joined(parts: Sequence[NDArray[np.float64]], tail: tuple[int, ...]) -> NDArray[np.float64]:
    return np.concatenate([*parts, np.zeros((0, *tail))])


def _rules_head(rules: Rules) -> dict[str, Any]:
    return {
        "gates": asdict(rules.gates),
        "calibration": asdict(rules.calibration),
        "hu": [asdict(r) for r in rules.hu],
        "doubt": None if rules.doubt is None else asdict(rules.doubt),
        "agatston": None if rules.agatston is None else asdict(rules.agatston),
        "gaps": [asdict(g) for g in rules.gaps],
    }


def _rules(head: dict[str, Any]) -> Rules:
    kept = head["calibration"]
    return Rules(
        GateOptions(**head["gates"]),
        Calibration(kept["temperature"], tuple(kept["prior"])),
        tuple(HuRule(**r) for r in head["hu"]),
        None if head["doubt"] is None else Reason(**head["doubt"]),
        None if head["agatston"] is None else Agatston(**head["agatston"]),
        tuple(
            Gap(g["branch"], g["start"], g["end"], Reason(**g["reason"]))
            for g in head.get("gaps", [])
        ),
    )
