"""The risk model and an estimate in plain words, for the command line and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plaque_edge.risk.cox import CoxModel
    from plaque_edge.types import RiskEstimate

NOTICE = "Research use only. Not a medical device."


def describe_model(model: CoxModel) -> tuple[str, ...]:
    """Lines that say what the model is, each coefficient with its source, and the limits."""
    lines = [
        NOTICE,
        f"Risk model {model.name} {model.version} ({model.kind}), sha256 {model.sha256}",
        f"Endpoint: {model.endpoint}",
        f"Population: {model.population}",
        f"Baseline: {model.baseline_text} (standard error of its logarithm "
        f"{model.se_log_hazard:.2f})",
    ]
    for years, hazard in zip(model.horizons_years, model.cumulative_hazard, strict=True):
        lines.append(f"  H0({years:g} y) = {hazard:.4f}")
    lines.append("Coefficients (log hazard):")
    for term in model.terms:
        lines.append(f"  {term.coefficient:+.2f} (SE {term.se:.2f})  {term.name}")
        lines.append(f"      range {term.low:g} to {term.high:g}. {term.provenance}")
    lines.append(f"Provenance: {model.provenance}")
    lines.append("Limits:")
    lines += [f"  {text}" for text in model.limits]
    return tuple(lines)


def describe_estimate(risk: RiskEstimate) -> tuple[str, ...]:
    """Lines with the risk at each horizon, its band, warnings and limits."""
    lines = [NOTICE, f"Endpoint: {risk.endpoint}"]
    rows = zip(risk.horizons_years, risk.probability, risk.lower, risk.upper, strict=True)
    for years, p, low, high in rows:
        lines.append(
            f"  {years:g} y: {100 * p:.1f} % (95 % band {100 * low:.1f} to {100 * high:.1f} %)"
        )
    if risk.relative_to_no_plaque is not None:
        ratio = f"{risk.relative_to_no_plaque:.2f}"
        lines.append(f"Hazard relative to the same patient without plaque: {ratio}")
    lines += [f"{w.code}: {w.text} {w.next_step}".strip() for w in risk.warnings]
    lines.append(f"Model {risk.model_name} {risk.model_version}. Limits:")
    lines += [f"  {text}" for text in risk.limits]
    return tuple(lines)
