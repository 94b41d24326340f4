"""Precisions and what is fastest here: what may be taken unasked, and what never."""

from __future__ import annotations

import hashlib

import pytest
import small_model

from engines import EngineError, open_engine, read_manifest
from engines.choice import Measured, keep_choice, order_of, read_choice
from engines.keys import key_of
from engines.manifest import SHIPPED, read_weights
from engines.parity import Verdict, keep_verdict
from engines.variants import default_precisions, in_precision, read_variants

PLAIN = [(name, "f32") for name in ("tensorrt", "rtx", "cuda", "openvino", "cpu")]
LIST = """
source_sha256 = "{source}"
[int8]
onnx = "model.int8.onnx"
sha256 = "{sha256}"
[int8.measured]
moved_percent = {moved}
phantoms = {phantoms}
"""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PLAQUE_EDGE_PLANS", str(tmp_path / "plans"))


def small(tmp_path, moved: float = 0.5, source: str | None = None, phantoms: int = 8):
    folder = small_model.write(tmp_path / "model")
    manifest = read_manifest(folder)
    (folder / "model.int8.onnx").write_bytes(b"eight")
    digest = hashlib.sha256(b"eight").hexdigest()
    source = source or manifest.sha256
    text = LIST.format(source=source, sha256=digest, moved=moved, phantoms=phantoms)
    (folder / "variants.toml").write_text(text)
    return manifest


def test_without_a_measurement_the_order_is_fixed_and_f32(tmp_path) -> None:
    assert order_of(small(tmp_path)) == PLAIN


def test_the_fastest_on_the_cpu_comes_first_and_f32_stays_behind_it(tmp_path) -> None:
    manifest = small(tmp_path)
    numbers = [("cpu", "f32", 9.0), ("openvino", "f32", 5.0), ("openvino", "int8", 2.0)]
    kept = keep_choice(manifest, [Measured(*n) for n in numbers])
    assert read_choice(manifest) == kept
    assert order_of(manifest)[3:] == [("openvino", "int8"), ("cpu", "f32"), ("openvino", "f32")]


def test_a_gpu_comes_before_the_cpu_whatever_the_numbers(tmp_path) -> None:
    manifest = small(tmp_path)
    keep_choice(manifest, [Measured("cpu", "f32", 1.0), Measured("rtx", "int8", 3.0)])
    assert order_of(manifest)[0] == ("rtx", "int8")


def test_a_choice_that_the_lists_no_longer_allow_is_left_out(tmp_path) -> None:
    manifest = small(tmp_path, phantoms=2)
    keep_choice(manifest, [Measured("openvino", "int8", 1.0)])
    assert order_of(manifest) == PLAIN


def test_other_weights_or_another_library_make_the_choice_void(tmp_path, monkeypatch) -> None:
    manifest = small(tmp_path)
    keep_choice(manifest, [Measured("cpu", "f32", 1.0)])
    monkeypatch.setattr("engines.choice.library_version", lambda _name: "99")
    assert read_choice(manifest) == []


@pytest.mark.parametrize(("moved", "taken"), [(0.99, True), (1.01, False)])
def test_a_precision_that_moves_volumes_is_not_taken_unasked(tmp_path, moved, taken) -> None:
    manifest = small(tmp_path, moved)
    assert ("int8" in default_precisions("openvino", manifest)) is taken
    assert default_precisions("cpu", manifest) == ("f32",)


@pytest.mark.parametrize(("phantoms", "taken"), [(6, True), (5, False), (2, False)])
def test_a_precision_measured_on_few_phantoms_is_not_taken_unasked(
    tmp_path, phantoms, taken
) -> None:
    manifest = small(tmp_path, 0.1, phantoms=phantoms)
    assert ("int8" in default_precisions("openvino", manifest)) is taken
    assert "int8" in read_variants(manifest)  # but may be asked for


def test_files_of_other_weights_are_never_used(tmp_path) -> None:
    manifest = small(tmp_path, source="0" * 64)
    assert read_variants(manifest) == {}
    with pytest.raises(EngineError, match=r"ENGINE_PRECISION: .* no int8 file"):
        in_precision(manifest, "int8")


def test_a_file_that_is_not_the_listed_one_is_refused(tmp_path) -> None:
    manifest = in_precision(small(tmp_path), "int8")
    assert read_weights(manifest) == b"eight"
    manifest.onnx.write_bytes(b"other")
    with pytest.raises(EngineError, match="MODEL_TAMPERED"):
        read_weights(manifest)


def test_a_list_that_cannot_be_read_is_told(tmp_path) -> None:
    manifest = small(tmp_path)
    (manifest.folder / "variants.toml").write_text("[int8")
    with pytest.raises(EngineError, match="MODEL_INVALID"):
        read_variants(manifest)


def test_another_precision_than_f32_needs_a_verdict_on_the_cpu_too() -> None:
    with pytest.raises(EngineError, match="ENGINE_UNPROVEN"):
        open_engine("heart", "openvino:f16", threads=1)
    manifest = in_precision(read_manifest("heart"), "f16")
    keep_verdict(key_of("openvino", manifest), Verdict(True, "", 1.0))
    with open_engine("heart", "openvino:f16", threads=1) as engine:
        assert engine.precision == "f16"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_network_ships_with_files_made_from_its_present_weights(name: str) -> None:
    manifest = read_manifest(name)
    assert {"f16", "int8"} <= read_variants(manifest).keys()
    for precision in ("f16", "int8"):
        assert read_weights(in_precision(manifest, precision))


def test_all_weights_together_are_under_40_mb() -> None:
    folders = (read_manifest(name).folder for name in SHIPPED)
    assert sum(p.stat().st_size for f in folders for p in f.glob("*.onnx")) < 40e6


@pytest.mark.parametrize("engine", ["openvino", "cpu"])
def test_a_corrupt_network_file_has_its_code(tmp_path, engine: str) -> None:
    with pytest.raises(EngineError, match="MODEL_INVALID") as caught:
        open_engine(small_model.write(tmp_path / "m", b"no network"), engine)
    assert caught.value.next_step
