"""Which TensorRT is taken, and what is said of one that can't be."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from engines import EngineError
from engines.trt import library

GOOD = """
__version__ = {version!r}
class ILogger:
    class Severity:
        INTERNAL_ERROR, ERROR, WARNING = 0, 1, 2
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Write modules into an empty world; forget them afterwards."""
    known = {name for names in library.MODULES.values() for name in names}
    for name in known & sys.modules.keys():
        monkeypatch.delitem(sys.modules, name)
    real = library.find_spec
    monkeypatch.setattr(
        library, "find_spec", lambda n: real(n) if (tmp_path / n).exists() else None
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    library.load.cache_clear()

    def write(name: str, text: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)

    yield write
    library.load.cache_clear()
    for name in known:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("module", "version", "engine"),
    [
        ("tensorrt", "10.16.1", "tensorrt"),
        ("tensorrt_bindings", "11.4.0", "tensorrt"),
        ("tensorrt_rtx", "1.7.1", "rtx"),
        ("tensorrt_rtx_bindings", "1.9.0", "rtx"),
    ],
)
def test_either_module_name_is_found(make, module: str, version: str, engine: str) -> None:
    make(module, GOOD.format(version=version))
    assert library.installed(engine) == module
    assert library.load(engine).version == version
    assert library.installed({"rtx": "tensorrt", "tensorrt": "rtx"}[engine]) is None


@pytest.mark.parametrize("version", ["8.6.1", "12.0.0", "dev"])
def test_a_release_that_is_not_known_is_refused(make, version: str) -> None:
    make("tensorrt", GOOD.format(version=version))
    with pytest.raises(EngineError, match="ENGINE_UNAVAILABLE"):
        library.load("tensorrt")


@pytest.mark.parametrize(
    "line", ["import not_there_at_all", "raise OSError('libnvinfer.so.11')", ""]
)
def test_a_module_that_does_not_load_is_told(make, line: str) -> None:
    make("tensorrt", line)
    with pytest.raises(EngineError, match="ENGINE_UNAVAILABLE: tensorrt cannot be loaded"):
        library.load("tensorrt")


def test_an_empty_folder_of_that_name_is_no_library(make, tmp_path) -> None:
    (tmp_path / "tensorrt").mkdir()
    assert library.installed("tensorrt") is None


def test_the_logger_keeps_errors_and_prints_nothing(capfd) -> None:
    class Base:
        Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2)

    logger = library.make_logger(SimpleNamespace(ILogger=Base))
    for level in range(3):
        logger.log(level, f"line {level}")
    made = library.Library("rtx", None, "1", logger)
    assert made.said() == "line 0 | line 1"
    assert made.said() == "it gave no reason"
    assert capfd.readouterr() == ("", "")
