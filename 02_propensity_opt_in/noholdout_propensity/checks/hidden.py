"""What no table can show: how strong a hidden confounder must be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from noholdout_shared.checks import Check, untestable
from noholdout_shared.inference import Interval
from noholdout_shared.render import effect_text

from noholdout_propensity.problem import Problem
from noholdout_propensity.sensitivity import Robustness

LARGEST_LOG_RATIO = 20.0  # an effect of 22 standard deviations: no risk ratio says anything then

HIDDEN = "Nothing that isn't among the covariates drives both the opt-in and the outcome."


def hidden_check(
    problem: Problem,
    estimate: float,
    span: Interval,
    means: tuple[float, float],
    strength: Robustness | None,
    settings: Mapping[str, Any],
) -> Check:
    """How strong a hidden confounder would have to be, three ways.

    VanderWeele and Ding's (2017) E-value; Cinelli and Hazlett's (2020) robustness value, with the
    strongest covariate as a yardstick; Rosenbaum's (2002) bound for matched pairs.
    """
    parts = ["No data can rule out a hidden confounder."]
    ratio, limit = risk_ratios(problem, estimate, span, means)
    value = math.nan
    if not math.isnan(ratio):
        value, at_limit = e_value(ratio), e_value(limit)
        if at_limit <= 1:
            parts.append("The interval holds zero already, so none is needed.")
        else:
            parts.append(
                f"One that makes both the opt-in and the outcome {value:.2f} times as likely would "
                f"explain the effect away; {at_limit:.2f} times would move the interval to zero."
            )
    if strength is not None and not strength.bounds.empty:
        parts.append(yardstick_text(problem, strength))
    gamma = settings.get("rosenbaum_gamma")
    if gamma is not None:
        parts.append(f"Matched pairs withstand a hidden bias of Gamma {gamma:.2f}.")
    return untestable("hidden_confounder", HIDDEN, " ".join(parts), statistic=value)


def yardstick_text(problem: Problem, strength: Robustness) -> str:
    """What a confounder as strong as the strongest covariate would leave of the effect."""
    times, left = (strength.bounds[name].to_numpy() for name in ("times", "estimate"))
    rows = np.flatnonzero(times == 1.0) if (times == 1.0).any() else np.arange(times.size)
    effect = strength.effect.estimate
    row = int(rows[np.argmin(left[rows] * math.copysign(1.0, effect))])
    covariate = strength.bounds["covariate"].to_numpy()[row]
    proportion = problem.proportion
    was = effect_text(effect, proportion).removesuffix(" points")
    now = effect_text(float(left[row]), proportion)
    return f"One as strong as {covariate} would move the regression's {was} to {now}."


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
    spread = deviation(problem)
    size, limit = 0.91 * estimate / spread, 0.0 if crossed else 0.91 * end / spread
    if max(abs(size), abs(limit)) > LARGEST_LOG_RATIO:
        return math.nan, math.nan
    return math.exp(size), math.exp(limit)


def deviation(problem: Problem) -> float:
    """The outcome's standard deviation over rows."""
    if problem.copies is None:
        return float(problem.outcome.std(ddof=1))
    rows = float(problem.copies.sum())
    apart = problem.outcome - float(problem.copies @ problem.outcome) / rows
    return math.sqrt(float(problem.copies @ apart**2) / (rows - 1))


def e_value(ratio: float) -> float:
    """``RR + sqrt(RR (RR - 1))`` on the side above 1 (VanderWeele and Ding 2017)."""
    above = ratio if ratio >= 1 else 1 / ratio
    return above + math.sqrt(above * (above - 1))
