"""The cache of plans: what was built comes back, anything else is refused with its reason."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import pytest

from engines import EngineError, private
from engines.keys import file_stem
from engines.trt.plans import has_plan, load_plan, save_plan

if TYPE_CHECKING:
    from pathlib import Path

KEY = {
    "engine": "rtx",
    "model": "small",
    "model_sha256": "ab",
    "version": "1.7",
    "precision": "f32",
    "gpu": "Fake RTX",
    "compute_capability": "8.9",
    "driver": "580",
    "system": "Linux x86_64",
}
posix = pytest.mark.skipif(os.name == "nt", reason="modes and owners are those of POSIX")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PLAQUE_EDGE_PLANS", str(tmp_path / "plans"))
    return tmp_path / "plans"


def refusal(key=KEY) -> EngineError:
    with pytest.raises(EngineError) as caught:
        load_plan(key)
    assert caught.value.next_step == "Run plaque-edge prepare."
    return caught.value


def test_a_plan_comes_back() -> None:
    assert refusal().code == "PLAN_MISSING"
    save_plan(KEY, b"plan" * 1000, "f16")
    assert load_plan(KEY) == (b"plan" * 1000, "f16")
    assert has_plan(KEY)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("model_sha256", "network"),
        ("version", "library"),
        ("gpu", "GPU"),
        ("compute_capability", "GPU"),
        ("driver", "driver"),
        ("system", "operating system"),
    ],
)
def test_a_plan_of_another_key_is_stale_and_replaced(folder, field: str, words: str) -> None:
    save_plan({**KEY, field: "other"}, b"old", "f32")
    error = refusal()
    assert error.code == "PLAN_STALE"
    assert f"for another {words}" in error.text or f"version of the {words}" in error.text
    save_plan(KEY, b"new", "f32")
    assert sorted(p.name for p in folder.iterdir()) == [
        f"{file_stem(KEY)}.json", f"{file_stem(KEY)}.plan",
    ]  # fmt: skip


def test_plans_of_other_models_and_engines_stay() -> None:
    others = [{**KEY, "model": "heart"}, {**KEY, "engine": "tensorrt"}]
    for key in [*others, KEY]:
        save_plan(key, b"x", "f32")
    assert all(has_plan(key) for key in others)


@pytest.mark.parametrize("size", [0, 1, 399])
def test_half_written_is_refused(folder, size: int) -> None:
    save_plan(KEY, b"p" * 400, "f32")
    os.truncate(folder / f"{file_stem(KEY)}.plan", size)
    assert refusal().code == "PLAN_TAMPERED"


def test_one_bit_is_enough(folder) -> None:
    save_plan(KEY, b"p" * 400, "f32")
    (folder / f"{file_stem(KEY)}.plan").write_bytes(b"p" * 399 + b"q")
    assert refusal().code == "PLAN_TAMPERED"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": 1', "\xff"])
def test_a_broken_record_is_refused(folder, text: str) -> None:
    save_plan(KEY, b"p", "f32")
    (folder / f"{file_stem(KEY)}.json").write_text(text, encoding="latin-1")
    assert refusal().code == "PLAN_TAMPERED"


def test_a_record_of_another_key_under_this_name_is_refused(folder) -> None:
    save_plan(KEY, b"p", "f32")
    path = folder / f"{file_stem(KEY)}.json"
    record = json.loads(path.read_text())
    record["key"]["gpu"] = "another"
    path.write_text(json.dumps(record))
    assert refusal().code == "PLAN_TAMPERED"


@pytest.mark.parametrize("suffix", [".plan", ".json"])
def test_one_of_two_files_gone(folder, suffix: str) -> None:
    save_plan(KEY, b"p", "f32")
    (folder / f"{file_stem(KEY)}{suffix}").unlink()
    assert refusal().code == {".plan": "PLAN_TAMPERED", ".json": "PLAN_MISSING"}[suffix]


@posix
def test_only_the_owner_may_read_and_write(folder) -> None:
    save_plan(KEY, b"p", "f32")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o600}


@posix
@pytest.mark.parametrize("what", ["folder", "plan", "json"])
@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_what_others_may_write_is_not_used_until_prepared_again(folder, what, mode) -> None:
    save_plan(KEY, b"p", "f32")
    target = folder if what == "folder" else folder / f"{file_stem(KEY)}.{what}"
    target.chmod(mode)
    assert refusal().code == "PLAN_FOLDER_OPEN"
    save_plan(KEY, b"p", "f32")
    assert has_plan(KEY)


@posix
def test_what_another_user_owns_is_not_used(monkeypatch) -> None:
    save_plan(KEY, b"p", "f32")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert refusal().code == "PLAN_FOLDER_OPEN"


@posix
def test_a_link_is_not_followed(folder, tmp_path) -> None:
    save_plan(KEY, b"p", "f32")
    plan = folder / f"{file_stem(KEY)}.plan"
    plan.rename(tmp_path / "elsewhere")
    plan.symlink_to(tmp_path / "elsewhere")
    assert refusal().code == "PLAN_NOT_READ"


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "PLAN_DISK_FULL"), (errno.EACCES, "PLAN_NOT_WRITTEN")]
)
def test_no_space_leaves_nothing_behind(folder, monkeypatch, number: int, code: str) -> None:
    def full(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(private.os, "fsync", full)
    with pytest.raises(EngineError, match=code):
        save_plan(KEY, b"p" * 1000, "f32")
    assert list(folder.iterdir()) == []
    assert refusal().code == "PLAN_MISSING"


def test_a_cut_between_plan_and_record_is_no_plan(monkeypatch) -> None:
    save_plan(KEY, b"old", "f32")
    monkeypatch.setattr("engines.trt.plans.write_record", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_plan(KEY, b"new", "f32")
    assert not has_plan(KEY)


def test_a_file_where_the_folder_should_be(folder) -> None:
    folder.write_text("not a folder")
    assert refusal().code in ("PLAN_MISSING", "PLAN_FOLDER_OPEN")
    with pytest.raises(EngineError, match="PLAN_NOT_WRITTEN"):
        save_plan(KEY, b"p", "f32")
