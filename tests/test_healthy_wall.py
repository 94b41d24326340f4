"""The patient's healthy wall: rings of known thickness."""

import numpy as np
import pytest

from plaque_edge.segment.healthy_wall import healthy_wall_mm
from plaque_edge.segment.straighten import PIXEL_MM, WIDTH

RADIUS_MM = np.hypot(*np.meshgrid(*[(np.arange(WIDTH) - (WIDTH - 1) / 2) * PIXEL_MM] * 2))


def soft(radius_mm):
    """Share of every pixel within a radius, by distance to its edge."""
    return np.clip((radius_mm - RADIUS_MM) / PIXEL_MM + 0.5, 0, 1)


def ring(lumen_mm, wall_mm, plaque_mm=0.0, n=40, beside=False):
    out = np.zeros((7, n, WIDTH, WIDTH))
    inner, middle = soft(lumen_mm), soft(lumen_mm + plaque_mm)
    out[2], out[4], out[3] = inner, middle - inner, soft(lumen_mm + plaque_mm + wall_mm) - middle
    out[1, :, 8:16, 16:32] = beside  # 8 mm2
    return np.round(out * 255).astype(np.uint8)


@pytest.mark.parametrize("wall_mm", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("lumen_mm", [0.8, 1.5, 2.2])
def test_a_ring_has_its_thickness(lumen_mm, wall_mm):
    got = healthy_wall_mm([ring(lumen_mm, wall_mm, n=120)])
    assert got == pytest.approx(wall_mm, abs=0.02)


def test_plaque_in_six_cross_sections_of_ten_changes_nothing():
    parts = [ring(1.5, 0.5, n=80), ring(1.2, 0.5, plaque_mm=1.0, n=120)]
    assert healthy_wall_mm(parts) == pytest.approx(0.5, abs=0.03)


def test_only_clear_cross_sections_count():
    hidden = [ring(1.5, 0.2, n=300, beside=True), ring(0.3, 0.2, n=300)]
    assert healthy_wall_mm([*hidden, ring(1.5, 0.6, n=120)]) == pytest.approx(0.6, abs=0.02)


def test_too_little_says_nothing():
    assert healthy_wall_mm([]) is None
    assert healthy_wall_mm([ring(1.5, 0.5, n=90)]) is None
