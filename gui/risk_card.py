"""The risk: interval, endpoint, horizon, curve; limits one click away; asks for what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QPushButton, QScrollArea, QStackedWidget

from gui import i18n, say
from gui.curve import RiskCurve
from gui.i18n import mark, tr
from gui.widgets import Card, label

if TYPE_CHECKING:
    from gui.case import Guard, OpenCase

PAGES = (mark("Risk"), mark("Event-free"), mark("Limits"))
ASKED = {
    "RISK_AGE_MISSING": mark("age"),
    "RISK_SEX_MISSING": mark("sex"),
    "RISK_DIABETES_UNKNOWN": mark("diabetes"),
    "RISK_HYPERTENSION_UNKNOWN": mark("hypertension"),
}


class Risk(Card):
    """Never a bare number: 95 % interval, endpoint and horizon stand beside it."""

    complete_wanted = Signal()

    def __init__(self, guard: Guard) -> None:
        super().__init__(tr("Risk with 95 % interval"))
        self.box.setSpacing(4)
        self.swap = QButtonGroup(self)
        for at, name in enumerate(PAGES):
            button = QPushButton(tr(name))
            button.setObjectName("flat")
            button.setCheckable(True)
            self.swap.addButton(button, at)
            self.head.addWidget(button)
        self.swap.idClicked.connect(self.turn_to)
        self.number = label("", "strong", wrap=True)
        self.endpoint = label("", "small", wrap=True)
        self.missing = QPushButton()
        self.missing.setObjectName("ask")
        self.missing.clicked.connect(self.complete_wanted)
        self.curve = RiskCurve(guard)
        self.limits = label("", "small", wrap=True)
        self.limits.setAlignment(Qt.AlignmentFlag.AlignTop)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(self.limits)
        scroll.viewport().setAutoFillBackground(False)
        self.limits.setAutoFillBackground(False)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.curve)
        self.pages.addWidget(scroll)
        for item in (self.number, self.endpoint, self.missing):
            self.box.addWidget(item)
        self.box.addWidget(self.pages, 1)

    def turn_to(self, page: int) -> None:
        """Show the risk (0), the survival free of events (1) or the limits (2)."""
        self.swap.button(page).setChecked(True)
        self.curve.set_survival(page == 1)
        self.pages.setCurrentIndex(1 if page == 2 else 0)

    def show_case(self, case: OpenCase) -> None:
        """Show the risk of ``case``, or why there is none."""
        assert case.result is not None
        risk = case.result["risk"]
        self.turn_to(0)
        for button in self.swap.buttons():
            button.setVisible(risk is not None)
        self.curve.setVisible(risk is not None)
        self.curve.show_case(case)
        self._ask(case)
        if risk is None:
            self.number.setText(tr("Not estimated"))
            about = [r for r in case.result["reasons"] if r["code"].startswith("RISK")]
            lines = [" ".join(say.reason(r)).strip() for r in about]
            self.endpoint.setText("\n".join(lines) or tr("See the reasons of this case."))
            return
        self.number.setText(
            tr(
                "{risk} ({low} to {high} %) in {years} years",
                risk=say.probability(risk["probability"][-1]),
                low=i18n.number(100 * risk["lower"][-1], 1),
                high=i18n.number(100 * risk["upper"][-1], 1),
                years=f"{risk['horizons_years'][-1]:g}",
            )
        )
        ratio = tr(
            "{ratio} × same age and sex without plaque.",
            ratio=i18n.number(risk["relative_to_no_plaque"], 1),
        )
        endpoint = tr("Research model. Endpoint: {what}.", what=tr(risk["endpoint"]))
        self.endpoint.setText(f"{ratio} {endpoint}")
        texts = [*map(tr, risk.get("limits", [])), *map(_warning, risk.get("warnings", []))]
        self.limits.setText("\n".join(f"• {t}" for t in texts) or tr("No limits were written."))

    def _ask(self, case: OpenCase) -> None:
        """Offer to complete what is missing or unknown; nothing is ever filled in."""
        assert case.result is not None
        risk = case.result["risk"]
        said = [*case.result["reasons"], *((risk or {}).get("warnings") or [])]
        codes = [r["code"] for r in said if isinstance(r, dict)]
        names = [tr(name) for code, name in ASKED.items() if code in codes]
        self.missing.setVisible(bool(names))
        self.missing.setText(tr("Give {what} …", what=", ".join(names)))


def _warning(item: Any) -> str:
    return say.reason(item)[0] if isinstance(item, dict) else str(item)
