"""What no table can show: hidden confounders, and when a covariate was measured."""

from __future__ import annotations

import math

from noholdout_shared.checks import Check, untestable
from noholdout_shared.inference import Interval

from noholdout_propensity.problem import Problem

HIDDEN = "Nothing that isn't among the covariates drives both the opt-in and the outcome."
TIMING = "Every covariate was settled before the opt-in."


def timing_check(problem: Problem) -> Check:
    """Whether covariates were measured before the opt-in: the table alone can't say."""
    names = ", ".join(problem.settings["covariates"])
    return untestable(
        "covariate_timing",
        TIMING,
        f"These data don't say when {names} were measured. A covariate that the opt-in already "
        "changed hides part of the effect: keep only what was known before.",
    )


def hidden_check(
    problem: Problem, estimate: float, span: Interval, means: tuple[float, float]
) -> Check:
    """How strong a hidden confounder would have to be: VanderWeele and Ding's (2017) E-value."""
    ratio, limit = risk_ratios(problem, estimate, span, means)
    if math.isnan(ratio):
        return untestable(
            "hidden_confounder",
            HIDDEN,
            "No data can rule out a hidden confounder, and a risk ratio isn't defined here.",
        )
    value, at_limit = e_value(ratio), e_value(limit)
    if at_limit <= 1:
        overturn = "The interval holds zero already, so no hidden confounder is needed."
    else:
        overturn = (
            f"One that raises both the chance of opting in and the outcome by a factor of "
            f"{value:.2f} each would explain the whole effect away; {at_limit:.2f} would move the "
            "interval to zero."
        )
    return untestable(
        "hidden_confounder",
        HIDDEN,
        f"No data can rule out a hidden confounder. {overturn} Ask whether such a cause is "
        "plausible, and test an outcome that the feature can't touch.",
        statistic=value,
    )


def risk_ratios(
    problem: Problem, estimate: float, span: Interval, means: tuple[float, float]
) -> tuple[float, float]:
    """Risk ratio of the estimate and of the interval's end nearest to no effect.

    For a share, the ratio of the two means. Otherwise ``exp(0.91 d)`` with d the effect over the
    outcome's standard deviation (VanderWeele and Ding 2017, table 2).
    """
    end = span.conf_low if estimate > 0 else span.conf_high
    crossed = math.isnan(end) or end * estimate <= 0
    if problem.proportion:
        base = means[1]
        if not base > 0 or not base + estimate > 0:
            return math.nan, math.nan
        limit = 1.0 if crossed or base + end <= 0 else (base + end) / base
        return (base + estimate) / base, limit
    spread = float(problem.outcome.std(ddof=1))
    return math.exp(0.91 * estimate / spread), 1.0 if crossed else math.exp(0.91 * end / spread)


def e_value(ratio: float) -> float:
    """``RR + sqrt(RR (RR - 1))`` on the side above 1 (VanderWeele and Ding 2017)."""
    above = ratio if ratio >= 1 else 1 / ratio
    return above + math.sqrt(above * (above - 1))
