"""How undecided the network is: a slow twin of the kernel, and what it must be on drawn vessels."""

import numpy as np
import pytest
from quantify_bodies import PIXEL, STEP, WINDOW, layered, straighten

from plaque_edge.quantify import softness
from plaque_edge.quantify.measures import map_vessels, measure
from plaque_edge.quantify.options import Calibration
from plaque_edge.quantify.pack import pack
from plaque_edge.types import VESSELS, CoronaryTree

CALIBRATION = Calibration(prior=(1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 2.0))


def twin(packed):
    """``softness.undecided`` with whole arrays, one branch and step at a time."""
    rows = []
    for n, item in enumerate(packed.branches):
        weights = np.array(CALIBRATION.prior)[:, None, None, None]
        p = item.fractions / 255.0 * weights
        total = p.sum(0)
        p = np.divide(p, total, out=np.zeros_like(p), where=total > 0)
        size = item.fractions.shape[-1]
        at = (np.arange(size) - (size - 1) / 2) * item.pixel_mm
        a, b = np.meshgrid(at, at, indexing="ij")
        angles = packed.tree.reach.shape[1]
        index = np.floor(np.arctan2(b, a) / (2 * np.pi) * angles + 0.5).astype(int) % angles
        for i in range(len(item.centers_mm)):
            reach = packed.tree.reach[packed.steps(n)][i][index]
            q = p[:, i][:, (np.hypot(a, b) <= reach) & (p[1, i] <= 0.5) & (total[i] > 0)]
            plaque, soft = q[4:].sum(0), q[4:6].sum(0)
            parts = [plaque, q[6], soft, q[5], q[2], q[2:].sum(0)]
            rows.append([(x * (1 - x)).sum() * item.pixel_mm**2 for x in parts])
    return np.array(rows)


@pytest.fixture(scope="module")
def noisy():
    rng = np.random.default_rng(4)

    def body(p):
        shape = p.shape[:-1]
        return rng.dirichlet(np.full(7, 0.4), shape).transpose(-1, *range(len(shape)))

    lad = straighten(body, [[0, 0, 0], [12, 0, 0]])
    return lad, straighten(body, [[0, 20, 0], [8, 26, 0]], vessel="RCA")


def tree_of(*items):
    return CoronaryTree(tuple(s.branch for s in items))


def test_kernel_is_the_slow_twin(noisy):
    packed = pack(noisy, CALIBRATION)
    found = softness.undecided(packed.tree)
    assert found.shape == (sum(len(s.centers_mm) for s in noisy), 6)
    assert found == pytest.approx(twin(packed), abs=1e-9)
    assert found.min() > 0


def test_patient_is_the_sum_of_its_vessels_and_all_is_told(noisy):
    result = measure(noisy, tree_of(*noisy))
    assert result.vessels["LM"].softness is None
    known = [result.vessels[v].softness for v in VESSELS if result.vessels[v].softness]
    assert len(known) == 2
    for key, value in result.patient.softness.items():
        assert value == pytest.approx(sum(s[key] for s in known)), key
    assert set(result.patient.softness) == {f"{p}_inside_mm3" for p in softness.PARTS} | {
        f"{p}_{place}_mm3" for p in softness.GATED for place in ("outside", "left_out")
    }


def test_analytic_half_sure_disc():
    """A lumen that is 0.8 sure within its radius: 0.16 of its volume is undecided."""
    radius, length = 2.0, 20.0

    def body(p):
        inside = (np.hypot(p[..., 1], p[..., 2]) < radius).astype(float)
        out = np.zeros((7, *p.shape[:-1]))
        out[2], out[3], out[0] = 0.8 * inside, 0.2 * inside, 1 - inside
        return out

    s = straighten(body, [[0, 0, 0], [length, 0, 0]])
    found = measure([s], tree_of(s)).patient.softness
    at = (np.arange(WINDOW) - (WINDOW - 1) / 2) * PIXEL
    disc_mm2 = (np.hypot(at[:, None], at) < radius).sum() * PIXEL**2
    assert disc_mm2 == pytest.approx(np.pi * radius**2, rel=0.05)
    expected = 0.8 * 0.2 * disc_mm2 * STEP * (length / STEP + 1)
    assert found["lumen_inside_mm3"] == pytest.approx(expected)
    assert found["vessel_inside_mm3"] == 0.0
    assert found["plaque_inside_mm3"] == found["plaque_outside_mm3"] == 0.0


def test_what_lies_outside_lesions_is_told_apart():
    """0.3 sure plaque never wins, so nothing is gated: all of it is left out and outside."""

    def body(p):
        near = ((p[..., 0] > 8) & (p[..., 0] < 12)).astype(float)
        d = np.hypot(p[..., 1], p[..., 2])
        return layered(d - 1.5, d - 2.5, 0.3 * near)

    s = straighten(body, [[0, 0, 0], [20, 0, 0]])
    mapped = map_vessels([s])
    found = measure([s], tree_of(s)).patient.softness
    assert not np.concatenate(mapped.gated).any()
    assert found["plaque_inside_mm3"] == 0.0
    left = mapped.profiles[0].volume_mm3[:, 2:5].sum()
    assert found["plaque_left_out_mm3"] == pytest.approx(left)
    ring_mm3 = np.pi * (2.5**2 - 1.5**2) * 7 * STEP  # seven cross-sections
    assert left == pytest.approx(0.3 * ring_mm3, rel=0.02)
    assert found["plaque_outside_mm3"] == pytest.approx(0.3 * 0.7 * ring_mm3, rel=0.05)
