"""The assumptions behind an adjusted comparison, looked at one by one."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, structural, untestable
from noholdout_shared.inference import Interval
from scipy import special

from noholdout_propensity.kernels.balance import effective_size
from noholdout_propensity.kernels.outcome import fit_linear
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.problem import Problem

REACH = 0.25  # standard deviations of the score's logit
OUTSIDE_CAUTION, OUTSIDE_FAIL = 0.02, 0.10  # share of the target without a counterpart's score
EFFECTIVE_CAUTION, EFFECTIVE_FAIL = 0.10, 0.02  # effective over actual rows of an arm
EFFECTIVE_ROWS_FAIL = 10.0
LARGEST_CAUTION, LARGEST_FAIL = 0.05, 0.25  # one row's share of its arm's weight
SMD_CAUTION, SMD_FAIL = 0.10, 0.25
BIAS_FAIL = 2.0  # standard errors, as in the shared verdict rule

OVERLAP = "Every kind of user had a real chance of opting in, and of not."
BALANCE = "After adjustment, both arms look alike in every covariate."
SEPARATION = "No covariate decides the opt-in alone."
HIDDEN = "Nothing that isn't among the covariates drives both the opt-in and the outcome."
TIMING = "Every covariate was settled before the opt-in."


def run_checks(
    problem: Problem,
    *,
    estimand: Estimand,
    estimate: float,
    span: Interval,
    means: tuple[float, float],
    score: np.ndarray | None,
    weights: np.ndarray,
    kept: np.ndarray,
    strength: np.ndarray,
    table: pd.DataFrame,
    adjusts_outcome: bool,
    separation: str,
) -> tuple[Check, ...]:
    """Every check of one estimate, in the order in which a reader should meet them."""
    checks = [separation_check(separation)]
    if separation:
        checks.append(
            structural(
                "overlap",
                OVERLAP,
                "fail",
                0.0,
                "There is no usable overlap: the separated rows have no counterpart in the other "
                "arm, so any number for them would be made up.",
            )
        )
        return (*checks, timing_check(problem))
    checks.append(overlap_check(problem, estimand, score, weights, kept))
    bias = prognostic_gap(problem, weights * kept)
    checks.append(balance_check(table, strength, bias, span.std_error, adjusts_outcome))
    checks.append(timing_check(problem))
    checks.append(hidden_check(problem, estimate, span, means))
    return tuple(checks)


def separation_check(separation: str) -> Check:
    """Whether the score model has a solution at all."""
    if not separation:
        return structural(
            "separation", SEPARATION, "pass", 0.0, "The score model has a finite solution."
        )
    return structural(
        "separation",
        SEPARATION,
        "fail",
        1.0,
        f"{separation} For these rows nobody can say what the other choice would have brought. "
        "Leave them out (and say so), or compare within the rest.",
    )


def overlap_check(
    problem: Problem,
    estimand: Estimand,
    score: np.ndarray | None,
    weights: np.ndarray,
    kept: np.ndarray,
) -> Check:
    """Score ranges, the target's mass outside the other arm's range, effective sample sizes."""
    treated = problem.treated == 1
    used = weights * kept
    arms = (treated & kept, ~treated & kept)
    effective = [effective_size(np.abs(used[arm])) for arm in arms]
    counts = [int(arm.sum()) for arm in arms]
    least = min(e / c for e, c in zip(effective, counts, strict=True))
    largest = max(float(np.abs(used[arm]).max() / np.abs(used[arm]).sum()) for arm in arms)
    outside, ranges = 0.0, ""
    if score is not None:
        outside, ranges = outside_support(score, problem.sampling, arms, estimand)
    few = min(effective) < EFFECTIVE_ROWS_FAIL
    if outside > OUTSIDE_FAIL or least < EFFECTIVE_FAIL or largest > LARGEST_FAIL or few:
        status = "fail"
    elif outside > OUTSIDE_CAUTION or least < EFFECTIVE_CAUTION or largest > LARGEST_CAUTION:
        status = "caution"
    else:
        status = "pass"
    found = (
        f"{ranges}{counts[0]:,} treated rows count as {effective[0]:,.0f} after weighting, "
        f"{counts[1]:,} control rows as {effective[1]:,.0f}; the heaviest row carries "
        f"{100 * largest:.2g}% of its arm."
    )
    if status == "fail":
        found = (
            f"No usable overlap. {found} Where one arm has nobody, the answer rests on the "
            "models alone. Ask for the overlap population (ATO), or trim and say whom it covers."
        )
    elif status == "caution":
        found += " A few rows carry much of the answer: compare with ATO or a trimmed sample."
    return structural("overlap", OVERLAP, status, least, found)  # type: ignore[arg-type]


def outside_support(
    score: np.ndarray,
    sampling: np.ndarray,
    arms: tuple[np.ndarray, np.ndarray],
    estimand: Estimand,
) -> tuple[float, str]:
    """Share of the target that has no counterpart in the other arm; and the score ranges.

    A row has none when its score's logit lies beyond the other arm's range by more than a quarter
    of a standard deviation: the bare range depends on a single row at each end.
    """
    index = special.logit(np.clip(score, 1e-15, 1 - 1e-15))
    reach = REACH * float(index[arms[0] | arms[1]].std())
    spans = [(float(index[arm].min()), float(index[arm].max())) for arm in arms]
    lost = [
        arm & ((index < low - reach) | (index > high + reach))
        for arm, (low, high) in zip(arms, spans[::-1], strict=True)
    ]
    wanted = {"att": (True, False), "atc": (False, True)}.get(estimand, (True, True))
    mass = sampling * (score * (1 - score) if estimand == "ato" else 1.0)
    target = sum(float(mass[arm].sum()) for arm, use in zip(arms, wanted, strict=True) if use)
    gone = sum(float(mass[rows].sum()) for rows, use in zip(lost, wanted, strict=True) if use)
    share = gone / target
    (low1, high1), (low0, high0) = [
        (float(score[arm].min()), float(score[arm].max())) for arm in arms
    ]
    ranges = (
        f"Scores run from {low1:.3f} to {high1:.3f} (treated) and {low0:.3f} to {high0:.3f} "
        f"(control); {100 * share:.2g}% of the target lies beyond the other arm's reach. "
    )
    return share, ranges


def prognostic_gap(problem: Problem, weights: np.ndarray) -> float:
    """What the covariate gaps that are left imply for the outcome, by a model of the controls."""
    treated = problem.treated
    line = fit_linear(
        problem.outcome_design, problem.outcome, problem.sampling * (1 - treated)
    ).coefficients
    predicted = problem.outcome_design @ line
    arm1, arm0 = weights * treated, weights * (1 - treated)
    return float(arm1 @ predicted / arm1.sum() - arm0 @ predicted / arm0.sum())


def balance_check(
    table: pd.DataFrame, after: np.ndarray, bias: float, std_error: float, adjusts_outcome: bool
) -> Check:
    """The largest standardised difference left, judged by its size."""
    sizes = np.abs(after)
    worst = int(sizes.argmax())
    largest = float(sizes[worst])
    name = str(table["covariate"].iloc[worst])
    implied = abs(bias) / std_error if std_error > 0 else math.nan
    status = "pass"
    if largest > SMD_CAUTION:
        status = "caution"
    if largest > SMD_FAIL and not adjusts_outcome and implied > BIAS_FAIL:
        status = "fail"
    before = float(np.abs(table["smd_before"]).max())
    message = (
        f"The largest standardised difference is {largest:.3f} ({name!r}), down from {before:.3f} "
        "before adjustment."
    )
    if status != "pass":
        message += (
            f" Above {SMD_CAUTION:g} the arms still differ in kind; what is left would move the "
            f"answer by about {implied:.1f} standard errors"
            + (" if the outcome model didn't correct it." if adjusts_outcome else ".")
            + " Add squares or interactions of that covariate, or use entropy balancing."
        )
    return Check("balance", BALANCE, status, largest, math.nan, message, implied)  # type: ignore[arg-type]


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
