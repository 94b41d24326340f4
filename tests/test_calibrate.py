"""Choosing the calibration: the setting that is right for both generators, written to its table."""

import tomllib
from types import SimpleNamespace

import pytest

from engines.training import calibrate
from engines.training.calibrate import Read, Setting, run, validation_scans, write_table
from engines.training.cli import main  # noqa: F401  the command must import
from plaque_edge.phantom.scene import VALIDATION_SEEDS


@pytest.fixture
def measured(monkeypatch):
    """Stand-in for measuring: what each setting makes of a patient is said by ``rule``."""

    def use(rule):
        def fake(straight, tree, gate, calibration):
            plaque, calcium = calibration.prior[4], calibration.prior[6] / calibration.prior[4]
            return SimpleNamespace(patient=rule(straight, plaque, gate.area_mm2, calcium))

        monkeypatch.setattr(calibrate, "measure", fake)

    return use


def reads():
    """Twelve patients whose 'straight' is their true plaque and generator."""
    out = []
    for i, scan in enumerate(validation_scans(0, 6, 6)):
        true = 100.0 * (i % 6 + 1)
        found = SimpleNamespace(straight=(true, scan.generator), tree=None)
        out.append(Read(scan, found, true, true / 5))
    return out


def test_the_setting_that_errs_least_on_both_generators_wins(measured):
    def rule(patient, prior, area, calcium):
        true, generator = patient
        factor = 1.5
        if (prior, area) == (1.5, 1.0):
            factor = 1.05
        elif (prior, area) == (2.0, 0.6):  # right on one's own generator, wrong on the other
            factor = 1.0 if generator == "first" else 2.0
        return SimpleNamespace(plaque_mm3=true * factor, calcified_mm3=true / 5 * calcium / 1.75)

    measured(rule)
    result = run(reads())
    assert result["chosen"] == Setting(1.5, 1.0, calcium_prior=1.75).as_dict()
    row = next(
        r for r in result["plaque"] if r["plaque_prior"] == 1.5 and r["gate_area_mm2"] == 1.0
    )
    assert row["generators"]["second"]["slope"] == pytest.approx(1.05)


def test_a_patient_who_was_not_measured_counts_nowhere(measured):
    def rule(patient, *_):
        lost = patient[0] == 100.0
        value = None if lost else patient[0]
        return SimpleNamespace(plaque_mm3=value, calcified_mm3=value)

    measured(rule)
    assert run(reads())["plaque"][0]["generators"]["first"]["patients"] == 5


def test_only_validation_seeds_choose():
    assert all(s.seed in VALIDATION_SEEDS for s in validation_scans(100, 20, 10))


def test_the_table_is_replaced_and_the_rest_stays(tmp_path):
    file = tmp_path / "model.toml"
    file.write_text('name = "wall"\n[file]\nonnx = "m"\n\n[calibration]\n# old\nplaque_prior = 9\n')
    write_table(file, Setting(1.25, 0.6).as_dict(), "why")
    data = tomllib.loads(file.read_text())
    assert data["name"] == "wall"
    assert data["calibration"] == Setting(1.25, 0.6).as_dict()
