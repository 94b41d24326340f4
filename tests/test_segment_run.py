"""What a result says of the networks behind it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from engines.manifest import MODELS
from plaque_edge.segment.run import Engines


def opened(**providers: tuple[str, str]) -> Engines:
    """Engines that were opened on the given providers at the given precisions."""
    return cast(
        "Engines",
        SimpleNamespace(
            **{
                name: SimpleNamespace(
                    provider=provider,
                    precision=precision,
                    manifest=SimpleNamespace(
                        sha256=name,
                        weights_sha256=name,
                        version="1",
                        calibration={},
                        folder=MODELS / name,
                    ),
                )
                for name, (provider, precision) in providers.items()
            }
        ),
    )


@pytest.mark.parametrize(
    ("providers", "named", "precision"),
    [
        ({"heart": ("A", "f32"), "tree": ("A", "f32"), "wall": ("A", "f32")}, "A", "f32"),
        ({"heart": ("B", "f32"), "tree": ("A", "f16"), "wall": ("A", "f16")}, "B + A", "f32 + f16"),
    ],
)
def test_every_provider_of_a_result_is_named(
    providers: dict[str, Any], named: str, precision: str
) -> None:
    info = Engines.info(opened(**providers))
    assert (info.provider, info.precision) == (named, precision)
