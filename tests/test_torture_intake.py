"""The tortures of intake in their short form; docs/torture.md has the long ones."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from plaque_edge.torture import fuzz, load, real
from plaque_edge.torture.mutate import ACTS, elements, mutate
from plaque_edge.torture.sources import phantom_files

if TYPE_CHECKING:
    from pathlib import Path


def quiet(_text: str) -> None:
    pass


def test_every_damage_damages_something_and_repeats() -> None:
    sources = dict(phantom_files())
    everything = list(sources.values())
    done = set()
    for seed in range(300):
        data = everything[seed % len(everything)]
        name, damaged = mutate(data, everything, random.Random(seed))
        assert damaged != data
        assert (name, damaged) == mutate(data, everything, random.Random(seed))
        done |= set(name.split("+"))
    assert done == {name for name, _ in ACTS}


@pytest.mark.parametrize("data", [b"x", b"xy"])
def test_hardly_any_bytes_can_be_damaged_too(data: bytes) -> None:
    everything = list(dict(phantom_files()).values())
    for seed in range(100):
        assert mutate(data, everything, random.Random(seed))[0], "it comes to an end"


def test_elements_are_those_of_the_file() -> None:
    found = elements(dict(phantom_files())["phantom-explicit"])
    assert [e.tag for e in found][:2] == [0x00020000, 0x00020001]
    assert found[-1].tag == 0x7FE00010
    assert found[-1].end - found[-1].value == 48 * 40 * 2


def test_a_few_damaged_files(tmp_path: Path) -> None:
    made = fuzz._make(60, 7, tmp_path / "damaged", ())
    assert sum(made["damage"].values()) >= 60
    eater = fuzz._Eater(tmp_path / "sound")
    fates = [eater.eat(path) for path in sorted((tmp_path / "damaged").iterdir())]
    eater.close()
    assert [f for f in fates if f.fault] == []
    assert (eater.crashed, eater.hung, eater.heavy) == ([], [], [])
    assert all(f.bucket or f.code for f in fates)
    assert any(f.code == "DECODED" for f in fates)


def test_a_few_studies_interleaved() -> None:
    found = load.run(4, 3, quiet, slices=20)
    assert found["passed"], found


def test_real_files_of_pydicom() -> None:
    found = real.run(0, 0, quiet)
    assert found["passed"], found["verdicts"]
    assert found["verdicts"]["equal"] >= 10


@pytest.mark.parametrize("fault", ["lost", "mixed"])
def test_the_load_torture_sees_a_fault(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real_wrong = load._wrong

    def spoiled(infos: list, found: tuple, slices: int) -> list[str]:  # type: ignore[type-arg]
        kept = found[1:] if fault == "lost" else (found[0], *found[:-1])
        return real_wrong(infos, kept, slices)

    monkeypatch.setattr(load, "_wrong", spoiled)
    assert not load.run(2, 4, quiet, slices=5)["passed"]
