"""The patient's background: exact cases on tubes of one grey."""

import numpy as np
import pytest

from plaque_edge.quantify.background import LEAST, MOST, background_of, for_patient
from plaque_edge.quantify.measures import map_vessels, measure
from plaque_edge.quantify.options import Calibration, GateOptions, of_model
from plaque_edge.types import Branch, CoronaryTree, StraightBranch


def tube(n: int, soft: float, thick: slice = slice(0), name: str = "LAD") -> StraightBranch:
    """A lumen of 4 x 4 mm in a wall that is ``soft`` plaque; surely plaque in ``thick``."""
    centers = np.zeros((n, 3))
    centers[:, 0] = 0.5 * np.arange(n) + (0 if name == "LAD" else 500)
    u, v = np.zeros((n, 3)), np.zeros((n, 3))
    u[:, 1], v[:, 2] = 1, 1
    f = np.zeros((7, n, 48, 48), np.float64)
    f[3, :, 10:38, 10:38] = 1 - soft
    f[4, :, 10:38, 10:38] = soft
    f[3, thick, 10:38, 10:38], f[4, thick, 10:38, 10:38] = 0, 1
    f[:, :, 16:32, 16:32] = 0
    f[2, :, 16:32, 16:32] = 1
    f[0] = 1 - f[1:].sum(0)
    branch = Branch(name, name, None, centers, np.full(n, 2.0))
    hu = np.zeros((n, 48, 48), np.float32)
    return StraightBranch(branch, centers, u, v, 0.5, 0.25, np.round(f * 255).astype(np.uint8), hu)


RING_MM2 = (28 * 28 - 16 * 16) * 0.25**2


def test_area_is_the_median_cross_section_of_all_branches():
    found = background_of([tube(60, 0.2), tube(40, 0.8, name="RCA")], 1.0)
    assert found is not None
    assert found.area_mm2 == pytest.approx(0.2 * RING_MM2, rel=0.01)
    assert found.factor == pytest.approx(1.0 / (0.2 * RING_MM2), rel=0.01)


@pytest.mark.parametrize(("soft", "factor"), [(0.0, MOST), (1.0, LEAST)])
def test_the_factor_has_bounds(soft, factor):
    found = background_of([tube(20, soft)], 0.1)
    assert found is not None
    assert found.factor == factor


def test_only_soft_plaque_is_scaled_and_only_once():
    plain = Calibration(prior=(1, 1, 1, 1, 2, 2, 3), background_mm2=1.0)
    mine, found = for_patient(plain, [tube(20, 0.5)])
    assert found is not None
    assert mine.prior == pytest.approx((1, 1, 1, 1, 2 * found.factor, 2 * found.factor, 3))
    assert for_patient(mine, [tube(20, 0.5)]) == (mine, None)


def test_nothing_is_scaled_unless_the_model_asks_or_there_is_nothing_to_see():
    assert for_patient(Calibration(), [tube(20, 0.5)]) == (Calibration(), None)
    asked = Calibration(background_mm2=0.1)
    assert for_patient(asked, []) == (asked, None)


def test_a_wall_that_looks_like_faint_plaque_everywhere_is_none_and_a_thick_place_stays():
    """Without the factor the gate opens all along; with it the 10 mm of sure plaque are left."""
    branch = tube(120, 0.2, thick=slice(50, 70))
    tree = CoronaryTree((branch.branch,))
    gate, plain = GateOptions(1.0, 2.0, 0.0), Calibration(prior=(1, 1, 1, 1, 6, 6, 6))
    asked = of_model({"plaque_prior": 6.0, "background_mm2": 0.1})[1]
    before = measure([branch], tree, gate, plain).patient.plaque_mm3
    after = measure([branch], tree, gate, asked)
    assert before is not None
    clean = tube(120, 0.0, thick=slice(50, 70))
    alone = measure([clean], tree, gate, Calibration()).patient.plaque_mm3
    assert before > 2 * alone
    assert after.patient.plaque_mm3 == pytest.approx(alone, rel=0.15)
    assert after.background is not None
    assert after.background.area_mm2 == pytest.approx(0.2 * RING_MM2, rel=0.01)


def test_what_was_mapped_says_by_what_it_was_corrected():
    mapped = map_vessels([tube(20, 0.5)], calibration=Calibration(background_mm2=0.1))
    assert mapped.background is not None
    assert mapped.calibration.prior[4] == pytest.approx(mapped.background.factor)
    assert mapped.calibration.background_mm2 == 0
