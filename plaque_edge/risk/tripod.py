"""TRIPOD+AI's items (Collins et al. 2024, doi:10.1136/bmj-2023-078378), answered where we can."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import plaque_edge

if TYPE_CHECKING:
    from plaque_edge.risk.evaluate import Evaluation
    from plaque_edge.risk.report import Told


class Item(NamedTuple):
    """One item; an empty answer is left to the authors."""

    number: str
    topic: str
    answer: str


TOPICS = {
    "1": "Title",
    "2": "Abstract",
    "3a": "Background: healthcare context",
    "3b": "Background: target population and use",
    "3c": "Background: known health inequalities",
    "4": "Objectives",
    "5a": "Data: sources",
    "5b": "Data: dates",
    "6a": "Participants: setting",
    "6b": "Participants: eligibility",
    "6c": "Participants: treatments",
    "7": "Data preparation",
    "8a": "Outcome: definition and time horizon",
    "8b": "Outcome: who assessed it",
    "8c": "Outcome: blinding",
    "9a": "Predictors: choice",
    "9b": "Predictors: definition and measurement",
    "9c": "Predictors: who assessed them",
    "10": "Sample size",
    "11": "Missing data",
    "12a": "Analytical methods: how the data were used",
    "12b": "Analytical methods: handling of predictors",
    "12c": "Analytical methods: model type and building",
    "12d": "Analytical methods: heterogeneity between clusters",
    "12e": "Analytical methods: performance measures",
    "12f": "Analytical methods: model updating",
    "12g": "Analytical methods: how predictions were calculated",
    "13": "Class imbalance",
    "14": "Fairness",
    "15": "Model output",
    "16": "Training versus evaluation",
    "17": "Ethical approval",
    "18a": "Open science: funding",
    "18b": "Open science: conflicts of interest",
    "18c": "Open science: protocol",
    "18d": "Open science: registration",
    "18e": "Open science: data sharing",
    "18f": "Open science: code sharing",
    "19": "Patient and public involvement",
    "20a": "Participants: flow",
    "20b": "Participants: characteristics",
    "20c": "Participants: comparison with development data",
    "21": "Model development: numbers in each analysis",
    "22": "Model specification",
    "23a": "Model performance: estimates with intervals, subgroups",
    "23b": "Model performance: heterogeneity between clusters",
    "24": "Model updating: results",
    "25": "Interpretation",
    "26": "Limitations",
    "27a": "Usability: poor or missing input",
    "27b": "Usability: users and expertise",
    "27c": "Usability: next steps",
}


def answer_items(found: Evaluation, told: Told) -> list[Item]:
    """Return every item with what this evaluation can say of it."""
    horizons = ", ".join(f"{h.years:g}" for h in found.horizons)
    grouped = ", ".join(s.name for s in found.subgroups)
    known = {
        "1": told.title,
        "4": f"To judge {found.name} on {told.population or 'the table given'}.",
        "5a": told.source,
        "8a": f"{told.endpoint}; horizons of {horizons} years.",
        "9b": "Columns of the table by the model's input names; see The model.",
        "10": f"{found.patients} patients, {found.events} events."
        + (" Fewer than 100 events: intervals are wide." if found.events < 100 else ""),
        "11": f"Complete cases; {told.left_out} left out"
        + (f" ({', '.join(f'{k} {v}' for k, v in told.missing.items())})." if told.missing else ".")
        + " Inputs with a stated average enter at it where they are missing, as for a patient.",
        "12a": "Development data: figures are apparent ones."
        if told.development
        else "All patients were used to evaluate; nothing was fitted.",
        "12b": "As the model's JSON says, clamped to its ranges.",
        "12e": "Harrell's and Uno's C, AUC over time weighted for censoring, O/E by Kaplan-Meier, "
        "calibration slope and spline curve, Brier score, IPA, net benefit. Intervals: bootstrap "
        "of patients; O/E and slope from their own errors.",
        "12g": "risk = 1 - exp(-H0(t) exp(linear predictor)).",
        "13": "Nothing was resampled or reweighted for class balance.",
        "14": f"Subgroups shown: {grouped or 'none in the table'}.",
        "15": "Probability of the endpoint by each horizon, with a 95 % band; no classes.",
        "16": "Same data as development." if told.development else "",
        "18f": f"plaque-edge {plaque_edge.__version__}, Apache-2.0.",
        "20a": f"{found.patients + told.left_out} in the table, {found.patients} analysed.",
        "22": "See The model; the JSON file holds every number." if told.model_lines else "",
        "23a": "See the tables and plots above.",
        "26": "See the model's limits." if told.model_lines else "",
        "27a": "Missing or impossible inputs are refused or entered at a stated average, with a "
        "code; values out of range are clamped with a warning.",
    }
    return [Item(number, topic, known.get(number, "")) for number, topic in TOPICS.items()]
