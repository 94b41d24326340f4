"""The console's window: polls the store, opens cases, announces results, never blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui import states
from gui.case import Guard, Key, Loader, OpenCase, key_of
from gui.result_page import ResultPage
from gui.widgets import Banner, Chip, Toast, label
from gui.worklist import Worklist
from plaque_edge import __version__
from plaque_edge.export import words

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent, QResizeEvent

    from gui.source import Source
    from plaque_edge.store import CaseRow

POLL_MS = 200
SILENT_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """How the window behaves; ``open_first`` opens the newest result found at the start."""

    open_first: bool = False
    out_dir: str = ""


class MainWindow(QMainWindow):
    """Worklist and result page over one store."""

    def __init__(
        self, source: Source, loader: Loader | None = None, options: WindowOptions | None = None
    ) -> None:
        super().__init__()
        self.setWindowTitle(f"plaque-edge · {words.RESEARCH_USE}")
        self._source = source
        self._options = options or WindowOptions()
        self.guard = Guard()
        self.loader = loader or Loader()
        self._rows: dict[Key, CaseRow] = {}
        self._finished: set[Key] = set()
        self._asked: set[Key] = set()
        self._version: int | None = None
        self._toast_key: Key | None = None
        self._build()
        self.loader.loaded.connect(self._loaded)
        self.loader.failed.connect(self._load_failed)
        self.loader.summary.connect(self.worklist.model.set_summary)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.poll)
        self._timer.start(POLL_MS)
        self.poll()

    def _build(self) -> None:
        self.setMinimumSize(1180, 680)
        ground = QWidget()
        ground.setObjectName("page")
        box = QVBoxLayout(ground)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        self.service_banner = Banner()
        self.worklist = Worklist()
        self.page = ResultPage(self.guard)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.worklist)
        self.pages.addWidget(self.page)
        box.addWidget(self._top())
        box.addWidget(self.service_banner)
        box.addWidget(self.pages, 1)
        box.addWidget(self._foot())
        self.setCentralWidget(ground)
        self.toast = Toast(ground)
        self.worklist.opened.connect(self.open_row)
        self.page.closed.connect(self.close_case)
        self.page.newer_wanted.connect(self._open_newest)
        self.toast.clicked.connect(self._open_toast)

    def _top(self) -> QFrame:
        bar = QFrame()
        bar.setObjectName("bar")
        bar.setFixedHeight(46)
        row = QHBoxLayout(bar)
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(12)
        row.addWidget(label("plaque-edge", "strong"))
        self.back = QPushButton("←  Worklist")
        self.back.setToolTip("Close this case (Esc)")
        self.back.clicked.connect(self.close_case)
        self.back.hide()
        row.addSpacing(8)
        row.addWidget(self.back)
        row.addStretch(1)
        self.service = Chip("clock", "Service unknown", "quiet")
        row.addWidget(self.service)
        row.addWidget(Chip("info", words.RESEARCH_USE, "quiet"))
        return bar

    def _foot(self) -> QFrame:
        bar = QFrame()
        bar.setObjectName("foot")
        bar.setFixedHeight(28)
        row = QHBoxLayout(bar)
        row.setContentsMargins(16, 0, 16, 0)
        row.addWidget(label(f"{words.RESEARCH_USE}. {words.TRAINING_NOTE}.", "small"))
        row.addStretch(1)
        row.addWidget(label(f"plaque-edge {__version__}", "small"))
        return bar

    def poll(self) -> None:
        """Look at the store once: cheap when nothing has changed."""
        self._show_service(self._source.heartbeat_age_s())
        version = self._source.data_version()
        if version == self._version:
            return
        first, self._version = self._version is None, version
        self._take(self._source.cases(), first=first)

    def _take(self, rows: tuple[CaseRow, ...], *, first: bool) -> None:
        before, self._rows = self._rows, {key_of(r): r for r in rows}
        self.worklist.set_rows(rows)
        for row in self.worklist.model.missing_summaries():
            if key_of(row) not in self._asked:
                self._asked.add(key_of(row))
                self.loader.request_summary(row)
        finished = {key_of(r) for r in rows if r.state in states.FINISHED}
        fresh = [r for r in rows if key_of(r) in finished - self._finished]
        self._finished = finished
        if self.guard.selected is not None:
            self._refresh_open(before)
        if fresh and (not first or self._options.open_first):
            self._announce(fresh[0])

    def _refresh_open(self, before: dict[Key, CaseRow]) -> None:
        """Load the open case again when its own row has changed; never another one."""
        key = self.guard.selected
        row = self._rows.get(key) if key is not None else None
        if row is not None and key is not None and row != before.get(key):
            self.loader.request(row)

    def _announce(self, row: CaseRow) -> None:
        if self.guard.selected == key_of(row):
            return
        if self.guard.selected is None:
            self.open_row(row)
            return
        self._toast_key = key_of(row)
        text = f"{words.person(row.info.patient_name)} · {states.describe(row).word}"
        self.toast.say("New result", text)

    def _show_service(self, age: float | None) -> None:
        if age is not None and age <= SILENT_AFTER_S:
            self.service.set("check", "Service running", "ok")
            self.service_banner.hide()
            return
        self.service.set("cross", "Service not running", "bad")
        since = "is not running" if age is None else f"has been silent for {age:.0f} s"
        where = self._options.out_dir or "DIR"
        self.service_banner.say(
            "bad",
            "Service not running",
            f"The analysis service {since}: new scans are not picked up. "
            f"Start it with:  plaque-edge watch FOLDER --out {where}",
        )

    def open_row(self, row: CaseRow) -> None:
        """Open the case of ``row``: blank first, then load, then show."""
        row = self._rows.get(key_of(row), row)
        self.guard.selected = key_of(row)
        self.page.blank(row)
        self.pages.setCurrentWidget(self.page)
        self.back.show()
        self.worklist.select(key_of(row))
        self.page.setFocus()
        self.loader.request(row)

    def close_case(self) -> None:
        """Go back to the worklist; nothing is open then."""
        row = self._rows.get(self.guard.selected) if self.guard.selected else None
        self.guard.selected = None
        if row is not None:
            self.page.blank(row)
        self.pages.setCurrentWidget(self.worklist)
        self.back.hide()
        self.worklist.table.setFocus()

    def _loaded(self, case: OpenCase) -> None:
        if case.key == self.guard.selected:
            self.page.show_case(case)

    def _load_failed(self, key: Key, text: str) -> None:
        row = self._rows.get(key)
        if key == self.guard.selected and row is not None:
            self.page.blank(row, text)

    def _open_newest(self) -> None:
        selected = self.guard.selected
        same = [r for k, r in self._rows.items() if selected is not None and k[1] == selected[1]]
        if same:
            self.open_row(max(same, key=lambda r: r.revision))

    def _open_toast(self) -> None:
        row = self._rows.get(self._toast_key) if self._toast_key is not None else None
        if row is not None:
            self.open_row(row)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the toast in its corner."""
        super().resizeEvent(event)
        self.toast.place()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop polling and let running loads end."""
        self._timer.stop()
        self.loader.wait()
        self.page.viewer.close_frames()
        super().closeEvent(event)
