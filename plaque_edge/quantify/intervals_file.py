"""The interval model as a JSON file beside the wall network's weights, bound to the networks."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

from plaque_edge.quantify.intervals import (
    COVERAGE,
    SHIFTED_BY,
    SPREAD_BY,
    WIDER_WITH,
    Feature,
    IntervalModel,
    PartModel,
    SizeClass,
)
from plaque_edge.quantify.softness import PARTS
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from plaque_edge.types import ModelInfo

FORMAT = "plaque-edge/intervals/1"
NAME = "intervals.json"
LEVELS = ("patient", "vessel")


def load_for(model: ModelInfo | None) -> IntervalModel | Reason:
    """Return the intervals beside ``model``, or why there are none; never those of another."""
    path = None if model is None or model.folder is None else model.folder / NAME
    if model is None or path is None or not path.is_file():
        return Reason(
            "INTERVALS_MISSING",
            "No intervals were made for these networks, so none is given.",
            "Make them: plaque-edge calibrate-intervals (docs/quantify.md).",
        )
    try:
        found = parse(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Reason(
            "INTERVALS_INVALID",
            f"The intervals' file cannot be read ({type(error).__name__}), so none is given.",
            "Install plaque-edge again, or make the intervals anew.",
        )
    return found.refusal(model) or found


def parse(content: bytes) -> IntervalModel:
    """Read the file's content. Raises ``ValueError``, ``KeyError`` or ``TypeError``."""
    data = json.loads(content)
    if data["format"] != FORMAT or data["coverage"] != COVERAGE:
        raise ValueError("not an interval file of this version")
    levels = {
        str(level): {str(part): _part(x) for part, x in parts.items()}
        for level, parts in data["levels"].items()
    }
    if not set(levels) <= set(LEVELS) or any(not set(p) <= set(PARTS) for p in levels.values()):
        raise ValueError("unknown level or part")
    return IntervalModel(
        models_sha256=str(data["models_sha256"]),
        calibration={str(k): float(v) for k, v in data["calibration"].items()},
        levels=levels,
        scans=int(data["scans"]),
        made_on=str(data["made_on"]),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def to_dict(model: IntervalModel) -> dict[str, Any]:
    """Return the model as the file holds it."""
    return {
        "format": FORMAT,
        "coverage": COVERAGE,
        "made_on": model.made_on,
        "scans": model.scans,
        "models_sha256": model.models_sha256,
        "calibration": model.calibration,
        "levels": {
            level: {part: _plain(x) for part, x in parts.items()}
            for level, parts in model.levels.items()
        },
    }


def _plain(model: PartModel) -> dict[str, Any]:
    return {
        "features": {
            name: [f.middle, f.width, f.low, f.high, f.unknown]
            for name, f in model.features.items()
        },
        "shift": model.shift,
        "log_spread": model.log_spread,
        "classes": [
            {
                "below_mm3": c.below_mm3 if math.isfinite(c.below_mm3) else None,
                "factor": c.factor,
                "rows": c.rows,
                "patients": c.patients,
                "held": c.held,
            }
            for c in model.classes
        ],
    }


def _part(x: dict[str, Any]) -> PartModel:
    """Read one part; what could give a wrong interval is an error, not a surprise."""
    features = {n: Feature(*(_finite(v) for v in f)) for n, f in x["features"].items()}
    shift = {n: _finite(v) for n, v in x["shift"].items()}
    spread = {n: _finite(v) for n, v in x["log_spread"].items()}
    classes = tuple(
        SizeClass(
            math.inf if c["below_mm3"] is None else _finite(c["below_mm3"]),
            _finite(c["factor"]),
            int(c["rows"]),
            int(c.get("patients", 0)),
            int(c.get("held", 0)),
        )
        for c in x["classes"]
    )
    below = [c.below_mm3 for c in classes]
    if set(shift) != {"one", *SHIFTED_BY} or set(spread) != {"one", *SPREAD_BY}:
        raise ValueError("weights missing")
    if not set(features) >= {*SHIFTED_BY, *SPREAD_BY} or any(
        f.width <= 0 or f.low > f.high for f in features.values()
    ):
        raise ValueError("features missing or impossible")
    if any(spread[n] < 0 for n in WIDER_WITH):
        raise ValueError("an interval would shrink where it must widen")
    if below != sorted(set(below)) or below[-1:] != [math.inf]:
        raise ValueError("size classes out of order")
    if any(c.factor < 0 for c in classes):
        raise ValueError("a negative factor")
    return PartModel(features, shift, spread, classes)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number
