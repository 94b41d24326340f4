"""About: intended use, versions, model cards, licences."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from PySide6.QtWidgets import QTabWidget, QTextBrowser, QWidget

import engines
import plaque_edge
from gui.i18n import mark, tr
from gui.widgets import label, page_card
from plaque_edge.export import words

USE = (
    mark("Intended use"),
    mark(
        "plaque-edge measures coronary plaque on CT angiograms and estimates a risk of events, "
        "for research. It is not a medical device. No diagnosis and no treatment may rest on it."
    ),
    mark(
        "The networks were trained on synthetic scans only and never validated on patients. "
        "Stents, bypass grafts and non-contrast scans are outside what it was made for."
    ),
    mark("Nothing leaves this computer but what a configured destination is sent."),
)
PARTS = ("numpy", "scipy", "numba", "pydicom", "onnxruntime", "openvino", "PySide6-Essentials",
         "reportlab", "highdicom", "pynetdicom", "watchdog")  # fmt: skip


class AboutPage(QWidget):
    """Four texts; read from disk when the page is first shown."""

    def __init__(self) -> None:
        super().__init__()
        card = page_card(self)
        card.box.addWidget(label(f"plaque-edge {plaque_edge.__version__}", "title"))
        card.box.addWidget(label(tr(words.RESEARCH_USE), "strong"))
        self.tabs = QTabWidget()
        card.box.addWidget(self.tabs, 1)
        self._filled = False

    def showEvent(self, event: object) -> None:
        """Fill the texts the first time."""
        super().showEvent(event)  # type: ignore[arg-type]
        if not self._filled:
            self._filled = True
            self._fill()

    def _fill(self) -> None:
        self._add(tr("Intended use"), "# " + "\n\n".join(tr(t) for t in USE))
        for folder in sorted((Path(engines.__file__).parent / "models").iterdir()):
            card = next((f for f in sorted(folder.glob("*.md"))), None)
            if card is not None:
                title = tr("Model card: {name}", name=folder.name)
                self._add(title, card.read_text(encoding="utf-8"))
        self._add(tr("Licences"), _licences())

    def _add(self, title: str, text: str) -> None:
        view = QTextBrowser()
        view.setMarkdown(text)
        view.setAccessibleName(title)
        self.tabs.addTab(view, title)


def _licences() -> str:
    lines = [f"| {tr('Part')} | {tr('Version')} | {tr('Licence')} |", "|---|---|---|",
             f"| plaque-edge | {plaque_edge.__version__} | Apache-2.0 |"]  # fmt: skip
    for name in PARTS:
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        said = about.get("License-Expression") or about.get("License") or ""
        licence = said.strip().splitlines()[0][:60] if said.strip() else tr("see its files")
        lines.append(f"| {about['Name']} | {about['Version']} | {licence} |")
    lines.append(f"| DejaVu Sans | | {tr('Bitstream Vera licence')} |")
    return "\n".join(lines)
