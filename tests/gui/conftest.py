from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from factory import SampleSource
from helpers import delete

from gui import i18n, theme
from gui.settings import Settings
from gui.window import MainWindow, WindowOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PySide6.QtWidgets import QApplication


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def shared_source(folder: Path) -> SampleSource:
    return SampleSource(folder, spacing_mm=2.0)


@pytest.fixture
def source(shared_source: SampleSource) -> SampleSource:
    shared_source.reset()
    return shared_source


@pytest.fixture
def themed(qapp: QApplication) -> QApplication:
    i18n.use("en")
    theme.use_scheme("okabe")
    if theme.current() is not theme.DARK or not qapp.styleSheet():
        theme.apply(qapp, theme.DARK)
    return qapp


@pytest.fixture
def options(tmp_path: Path) -> WindowOptions:
    chosen = Settings(person="Dr. Li", role="physician")
    return WindowOptions(out_dir="results", settings=chosen, settings_file=tmp_path / "set.json")


@pytest.fixture
def window(
    themed: QApplication, source: SampleSource, options: WindowOptions
) -> Iterator[MainWindow]:
    out = MainWindow(source, options=options)
    out.poller.stop()  # tests look at the store by hand: poll()
    out.resize(1366, 768)
    out.show()
    out.poll()
    yield out
    out.close()
    delete(out)
