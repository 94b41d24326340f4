"""What the tests on whole synthetic scans share: one patient, one study, one run of the command."""

from __future__ import annotations

import json

import pytest
from pypdf import PdfReader
from whole_scan import BURDEN_MM3, SEED, Analysed, hashes, run

from plaque_edge.phantom.calcium_scan import CalciumScan, calcium_scan
from plaque_edge.phantom.dicom import write_series
from plaque_edge.phantom.scene import Phantom, make_phantom


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """A small scan with contrast and its truth."""
    return make_phantom(SEED, "small", BURDEN_MM3)


@pytest.fixture(scope="session")
def scan(phantom: Phantom) -> CalciumScan:
    """The calcium scan of the same patient."""
    return calcium_scan(phantom, SEED)


@pytest.fixture(scope="session")
def analysed(
    phantom: Phantom, scan: CalciumScan, tmp_path_factory: pytest.TempPathFactory
) -> Analysed:
    """The shipped networks on a study of two series, contrast and calcium scan."""
    study, out = tmp_path_factory.mktemp("study"), tmp_path_factory.mktemp("out")
    write_series(phantom.volume, phantom.info, study / "a")
    write_series(scan.volume, scan.info, study / "b")
    before = hashes(study)
    done = run("analyze", study, "--json", out / "result.json", "--pdf", out / "report.pdf")
    assert done.returncode == 0, done.stderr
    assert hashes(study) == before
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    text = "\n".join(page.extract_text() for page in PdfReader(out / "report.pdf").pages)
    return Analysed(json.loads((out / "result.json").read_text(encoding="utf-8")), text, done)
