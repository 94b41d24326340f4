"""The console's window: takes snapshots of the store, opens cases, announces results."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from gui import acts, i18n, print_acts, say, settings, sounds, states
from gui.about_page import AboutPage
from gui.background import END_S
from gui.case import Guard, Key, Loader, OpenCase, key_of, load_case
from gui.desk import Desk
from gui.i18n import tr
from gui.print_job import Printing
from gui.prior import priors_of
from gui.result_page import ResultPage
from gui.selftest_page import SelfTestPage
from gui.serial_page import SerialPage
from gui.settings import Settings
from gui.settings_page import SettingsPage
from gui.shortcuts import WORKLIST_KEYS, Sheet
from gui.source import Poller, Snapshot
from gui.top_bar import RESULT, WORKLIST, TopBar
from gui.widgets import Banner, Toast, label
from gui.worklist import Worklist
from plaque_edge import __version__
from plaque_edge.export import words
from plaque_edge.settings import FILE_NAME
from plaque_edge.show.warm import warm_up

if TYPE_CHECKING:
    from PySide6.QtGui import QCloseEvent, QResizeEvent

    from gui.print_job import PrintJob
    from gui.service_process import ServiceProcess
    from gui.source import Source
    from plaque_edge.store import CaseRow, NewRequest

SILENT_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """How the window behaves; ``open_first`` opens the newest result found at the start."""

    open_first: bool = False
    out_dir: str = ""
    settings: Settings = field(default_factory=Settings)
    settings_file: Path | None = None
    service: ServiceProcess | None = None
    site_file: Path | None = None


class MainWindow(QMainWindow):
    """Worklist, result and the pages about the console itself, over one store."""

    def __init__(
        self, source: Source, loader: Loader | None = None, options: WindowOptions | None = None
    ) -> None:
        super().__init__()
        self.setWindowTitle(f"plaque-edge · {tr(words.RESEARCH_USE)}")
        self.options = options or WindowOptions()
        self.settings = self.options.settings
        self.guard = Guard()
        self.loader = loader or Loader(load_case, source.review)
        self.loader.setParent(self)
        self.poller, self.desk = Poller(source, self), Desk(source, self)
        self.printing = Printing(self)
        self.to_print: dict[int, tuple[NewRequest, PrintJob]] = {}
        self._rows: dict[Key, CaseRow] = {}
        self._finished: set[Key] = set()
        self._first = True
        self._alive: bool | None = None
        self._toast_key: Key | None = None
        self._build()
        self._connect()
        self.page.viewer.frames.ask(self, None, warm_up)
        self.poller.start()

    def _build(self) -> None:
        self.setMinimumSize(640, 340)
        ground = QWidget()
        ground.setObjectName("page")
        box = QVBoxLayout(ground)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        self.top = TopBar()
        self.service_banner, self.condition_banner = Banner(), Banner()
        self.worklist, self.page = Worklist(), ResultPage(self.guard)
        site = self.options.site_file or Path(self.options.out_dir or ".") / FILE_NAME
        self.settings_page = SettingsPage(self.settings, self.options.out_dir, site)
        self.serial = SerialPage(self.guard, self.page.viewer.frames)
        self.selftest, self.about = SelfTestPage(), AboutPage()
        self.pages = QStackedWidget()
        for page in (
            self.worklist, self.page, self.serial, self.settings_page, self.selftest, self.about,
        ):  # fmt: skip
            self.pages.addWidget(page)
        for item in (self.top, self.service_banner, self.condition_banner):
            box.addWidget(item)
        box.addWidget(self.pages, 1)
        box.addWidget(self._foot())
        self.setCentralWidget(ground)
        self.toast = Toast(ground)

    def _connect(self) -> None:
        self.loader.loaded.connect(self._loaded)
        self.loader.failed.connect(self._load_failed)
        self.loader.summary.connect(self._summary)
        self.worklist.model.summary_wanted.connect(self.loader.request_summary)
        self.worklist.opened.connect(self.open_row)
        self.worklist.asked.connect(self.ask)
        self.page.closed.connect(self.close_case)
        self.page.newer_wanted.connect(self._open_newest)
        self.page.asked.connect(self._ask_of_page)
        self.page.serial_wanted.connect(self.open_serial)
        for page in (self.page, self.serial):
            page.print_wanted.connect(lambda: print_acts.ask_print(self))
        self.printing.done.connect(lambda job, why: print_acts.tell_printed(self, job, why))
        QShortcut(QKeySequence.StandardKey.Print, self, lambda: print_acts.ask_print(self))
        self.serial.closed.connect(self.go_back)
        self.serial.wanted.connect(self.loader.request)
        self.top.back.clicked.connect(self.go_back)
        self.top.wanted.connect(self.show_page)
        self.toast.clicked.connect(self._open_toast)
        self.desk.kept.connect(self._put_down)
        self.desk.answered.connect(self._answered)
        self.poller.snapshot.connect(self._take)
        self.settings_page.changed.connect(self._settings_changed)
        self.settings_page.site.kept.connect(self._site_kept)
        self.settings_page.site.restart_wanted.connect(self._restart_service)
        self.service_banner.clicked.connect(self._start_service)
        for key, name in (("F1", "keys"), ("F2", "settings"), ("F3", "selftest"), ("F4", "about")):
            QShortcut(QKeySequence(key), self, lambda n=name: self.show_page(n))
        for key, kind in WORKLIST_KEYS.items():
            shortcut = QShortcut(QKeySequence(key), self.worklist)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda k=kind: self.worklist.act(k))

    def _foot(self) -> QFrame:
        bar = QFrame()
        bar.setObjectName("foot")
        bar.setMinimumHeight(26)
        row = QHBoxLayout(bar)
        row.setContentsMargins(12, 2, 12, 2)
        note = tr(
            "{first}. {second}.", first=tr(words.RESEARCH_USE), second=tr(words.TRAINING_NOTE)
        )
        row.addWidget(label(note, "small", wrap=True), 1)
        self.version = label(f"plaque-edge {__version__}", "small")
        row.addWidget(self.version)
        return bar

    # ---- the store -----------------------------------------------------------------------

    def poll(self) -> None:
        """Look at the store at once instead of waiting for the background thread."""
        self._take(self.poller.look())

    def _take(self, snapshot: Snapshot) -> None:
        self._show_service(snapshot.heartbeat_age_s)
        self._show_conditions(snapshot)
        if snapshot.rows is None:
            self.worklist.model.repaint_running()
            return
        before, self._rows = self._rows, {key_of(r): r for r in snapshot.rows}
        self.worklist.model.acknowledged = snapshot.acknowledged
        self.worklist.set_rows(snapshot.rows)
        finished = {key_of(r) for r in snapshot.rows if r.state in states.FINISHED}
        fresh = [r for r in snapshot.rows if key_of(r) in finished - self._finished]
        self._finished = finished
        self._refresh_open(before)
        if fresh and (not self._first or self.options.open_first):
            self._announce(fresh[0])
        if self._first:
            for row in [r for r in snapshot.rows if r.state in states.MEASURED][:12]:
                self.worklist.model.want_summary(row)
        self._first = False

    def _refresh_open(self, before: dict[Key, CaseRow]) -> None:
        """Load the open case again: its row, or what people did to it, may have changed."""
        key = self.guard.selected
        row = self._rows.get(key) if key is not None else None
        if row is not None and key is not None and (row != before.get(key) or self.page.case):
            self.loader.request(row)

    def _announce(self, row: CaseRow) -> None:
        if self.guard.selected == key_of(row):
            return
        sounds.announce(self.settings.sound)
        idle = self.guard.selected is None and self.pages.currentWidget() is self.worklist
        if idle and (self.settings.open_new or self.options.open_first):
            self.open_row(row)
            return
        self._toast_key = key_of(row)
        if self.settings.toast:
            text = f"{say.person(row.info.patient_name)} · {states.describe(row).word}"
            self.toast.say(tr("New result"), text, tr("Open"))

    def _show_service(self, age: float | None) -> None:
        alive = age is not None and age <= SILENT_AFTER_S
        self.top.show_service(alive)
        if alive:
            self.service_banner.hide()
            if self._alive is False:
                self._toast_key = None
                self.toast.say(tr("Service running again"), tr("New scans are picked up again."))
            self._alive = True
            return
        self._alive = False if self._alive is not None or age is not None else None
        own = self.options.service
        since = (
            tr("The analysis service is not running: new scans are not picked up.")
            if age is None
            else tr(
                "The analysis service has been silent for {seconds} s: new scans are not "
                "picked up.", seconds=f"{age:.0f}",
            )
        )  # fmt: skip
        if own is None:  # another computer's results: nothing can be started here
            where = self.options.out_dir or "DIR"
            command = f"plaque-edge watch FOLDER --out {where}"
            since = f"{since} {tr('Start it with:  {command}', command=command)}"
        button = ""
        if own is not None and own.ended():
            button = tr("Start again") if own.started else tr("Start the service")
            since = f"{since} {own.why_ended()}".strip()
        self.service_banner.say("bad", tr("Service not running"), since, button)

    def _show_conditions(self, snapshot: Snapshot) -> None:
        self.top.show_surroundings(snapshot)
        said = [c for c in snapshot.conditions if c.code]
        if not said:
            self.condition_banner.hide()
            return
        text = "  ·  ".join(
            f"{i18n.reason(c.code, c.text)} {i18n.next_step(c.code, c.next_step)}" for c in said
        )
        self.condition_banner.say("warn", tr("Attention"), text)

    def _start_service(self) -> None:
        """Start the service, or ask for a folder first where none is known."""
        own = self.options.service
        if own is None:
            return
        if own.can_start():
            own.start()
            return
        self.show_page("settings")
        self.settings_page.turn_to(1)
        self.toast.say(tr("No folder is watched yet"), tr("Add one, save, then start the service."))

    def _site_kept(self, changed: list[str]) -> None:
        """Note in the audit log who changed the service's settings; offer to use them now."""
        self.desk.note("settings", self.settings.person or tr("console"), changed=changed)
        own = self.options.service
        button = self.settings_page.site.restart
        button.setVisible(own is not None)
        if own is not None:
            button.setText(tr("Start the service") if own.ended() else tr("Restart the service"))

    def _restart_service(self) -> None:
        own = self.options.service
        if own is not None:
            own.restart()
            self.settings_page.site.restart.hide()
            self.go_back()

    def _summary(self, key: Key, result: dict[str, object]) -> None:
        self.worklist.model.set_summary(key, result)
        self.top.show_provider(result)

    # ---- asking --------------------------------------------------------------------------

    def ask(self, kind: str, row: CaseRow) -> None:
        """Ask the service for something; asks the person first where that is needed."""
        acts.ask(self, kind, row)

    def _ask_of_page(self, kind: str) -> None:
        if self.page.case is not None:
            self.ask(kind, self.page.case.row)

    def _put_down(self, new: object) -> None:
        print_acts.noted(self, new)

    def _answered(self, answer: object) -> None:
        acts.tell(self, answer)

    # ---- pages ---------------------------------------------------------------------------

    def show_page(self, name: str) -> None:
        """Show a page about the console itself, or the sheet of keys."""
        if name == "keys":
            sheet = Sheet(self)
            sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            sheet.open()
            return
        page = {"settings": self.settings_page, "selftest": self.selftest, "about": self.about}
        self.pages.setCurrentWidget(page[name])
        self._show_back()

    def _show_back(self) -> None:
        opened = self.guard.selected is not None and self.pages.currentWidget() is not self.page
        self.top.show_back(True, RESULT if opened else WORKLIST)

    def go_back(self) -> None:
        """Leave the present page: to the open case, else to the worklist."""
        if self.guard.selected is not None and self.pages.currentWidget() is not self.page:
            self.pages.setCurrentWidget(self.page)
            self._show_back()
            self.page.setFocus()
        else:
            self.close_case()

    def _settings_changed(self, new: Settings) -> None:
        self.settings = new
        problem = settings.save(new, self.options.settings_file)
        self.settings_page.tell(problem)
        acts.apply_look(self)

    # ---- cases ---------------------------------------------------------------------------

    def open_row(self, row: CaseRow) -> None:
        """Open the case of ``row``: blank first, then load, then show."""
        row = self._rows.get(key_of(row), row)
        self.serial.blank()
        self.guard.selected = key_of(row)
        self.page.blank(row)
        self.pages.setCurrentWidget(self.page)
        self._show_back()
        self.worklist.select(key_of(row))
        self.page.setFocus()
        self.loader.request(row)

    def close_case(self) -> None:
        """Go back to the worklist; nothing is open then."""
        row = self._rows.get(self.guard.selected) if self.guard.selected else None
        self.serial.blank()
        self.guard.selected = None
        if row is not None:
            self.page.blank(row)
        self.pages.setCurrentWidget(self.worklist)
        self.top.show_back(False)
        self.worklist.table.setFocus()

    def _prior_dates(self, row: CaseRow) -> list[str]:
        return [prior.info.study_date for prior in priors_of(row, self._rows.values())]

    def open_serial(self) -> None:
        """Lay the newest prior study beside the open result."""
        case = self.page.case
        if case is None or case.result is None:
            return
        self.pages.setCurrentWidget(self.serial)
        self._show_back()
        self.serial.show_case(case, self._rows.values())
        self.serial.setFocus()

    def _loaded(self, case: OpenCase) -> None:
        case = replace(case, row=self._rows.get(case.key, case.row))
        known = self.worklist.model.result_of(case.key)
        if known is not None and known["sha256"] != case.sha256:
            self.loader.request_summary(case.row)  # a person corrected it since
        if case.key == self.guard.selected:
            self.page.show_case(case)
            self.top.show_provider(case.result or {})
            self.page.headline.show_prior(next(iter(self._prior_dates(case.row)), None))
            self.serial.refresh(case)
        else:
            self.serial.take(case)

    def _load_failed(self, key: Key, text: str) -> None:
        row = self._rows.get(key)
        if key == self.guard.selected and row is not None:
            self.serial.blank()
            self.page.blank(row, text)
        else:
            self.serial.failed(key, text)

    def _open_newest(self) -> None:
        selected = self.guard.selected
        same = [r for k, r in self._rows.items() if selected is not None and k[1] == selected[1]]
        if same:
            self.open_row(max(same, key=lambda r: r.revision))

    def offer_settings(self, title: str, text: str) -> None:
        """Say what is missing, with a button that opens the settings."""
        self._toast_key = None
        self.toast.say(title, text, tr("Settings"))

    def _open_toast(self) -> None:
        if self._toast_key is None:
            self.settings_page.turn_to(0)
            self.show_page("settings")
            return
        row = self._rows.get(self._toast_key) if self._toast_key is not None else None
        if row is not None:
            self.open_row(row)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the toast in its corner; the warning at the foot goes before the version."""
        super().resizeEvent(event)
        self.version.setVisible(self.width() >= 800)
        self.toast.place()

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the threads, in seconds; a service that the console started ends with it.

        What is read or drawn has :data:`END_S` in all; what a person asked for is put down first.
        """
        self.hide()
        trial = self.settings_page.site.destinations.trial
        for part in (self.loader, self.page.viewer.frames, trial):
            part.stop()
        for kept in (self.desk, self.settings_page.site.file):
            kept.close()
        deadline = time.monotonic() + END_S
        self.poller.stop(deadline)
        self.loader.close(deadline)
        trial.close(deadline)
        self.page.viewer.close_frames(deadline)
        self.selftest.stop()
        self.serial.comparison.stop()
        self.printing.stop()
        if self.options.service is not None:
            self.options.service.stop()
        super().closeEvent(event)
