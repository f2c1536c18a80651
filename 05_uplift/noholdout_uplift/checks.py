"""Checks of an uplift estimate: assignment, overlap, held-out scores, enough data, interference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from noholdout_shared.checks import Check, HypothesisCheck, structural, untestable
from noholdout_shared.render import effect_text, p_text

from noholdout_uplift.inference import group_effects
from noholdout_uplift.kernels.aipw import aipw_scores
from noholdout_uplift.kernels.logit import fit_logit, score_test

if TYPE_CHECKING:
    from noholdout_uplift.ranking_steps import Options

THIN_OVERLAP = 0.05
NO_OVERLAP = 0.01
FEW_ROWS = 100
TOO_FEW_ROWS = 20


def randomised_assignment(
    matrix: np.ndarray,
    outcome: np.ndarray,
    treatment: np.ndarray,
    propensity: np.ndarray,
    propensity_given: bool,
    weight: np.ndarray | None,
    clusters: np.ndarray | None,
    means: tuple[np.ndarray, np.ndarray],
    top: np.ndarray,
) -> HypothesisCheck:
    """Do the features predict the treatment beyond its stated probability?

    A robust score test; the implied bias is what the headline would change by if the treatment's
    probability were the logit of the features instead.
    """
    mass = np.ones(treatment.size) if weight is None else weight
    residual = mass * (treatment - propensity)
    statistic, p_value, df = score_test(matrix, residual, clusters, propensity_given)
    fit = fit_logit(matrix, treatment, propensity, mass)
    bias = math.inf
    if fit.converged:
        stated = aipw_scores(outcome, treatment, propensity, *means).effect
        other = aipw_scores(outcome, treatment, fit.predict(matrix, propensity), *means).effect
        bias = float(group_effects(other - stated, (top * mass)[:, None]).values[0])
    return HypothesisCheck(
        name="randomised_assignment",
        assumption="Treatment was assigned at random, with the probability stated.",
        statistic=statistic,
        p_value=p_value,
        bias=bias,
        found=f"Features {'predict' if p_value < 0.05 else 'do not predict'} the treatment "
        f"(chi-squared({df}) = {statistic:.1f}, {p_text(p_value)}).",
        todo="Users who got it differ from those who did not, so their difference isn't the "
        "effect. Look for features recorded after the treatment, lost rows or a broken coin; if "
        "users chose, use --propensity estimate.",
    )


def unmeasured_confounding(
    effect: float, std_error: float, proportion: bool, options: Options
) -> Check:
    """With an estimated propensity, features that nobody recorded leave no trace."""
    nearest = max(abs(effect) - 1.96 * std_error, 0.0)
    return untestable(
        "unmeasured_confounding",
        "The features hold everything that drives both the treatment and the outcome.",
        f"The probability of treatment is estimated from {', '.join(options.features)}. An "
        f"unrecorded cause that makes the top group's treated differ by "
        f"{effect_text(nearest, proportion, signed=False)} from its untreated would bring the "
        "interval to zero.",
    )


def overlap(propensity: np.ndarray) -> Check:
    """Is there enough chance of each arm for everyone?"""
    least = np.minimum(propensity, 1 - propensity)
    thin, none = float((least < THIN_OVERLAP).mean()), float((least < NO_OVERLAP).mean())
    status = "fail" if none > 0.05 else "caution" if thin > 0.05 else "pass"
    low, high = propensity.min(), propensity.max()
    if low == high:
        message = f"Everyone's probability of treatment is {low:.3f}."
    else:
        message = (
            f"The probability of treatment lies between {low:.3f} and {high:.3f}; {thin:.1%} of "
            f"rows lie within {THIN_OVERLAP:g} of 0 or 1."
        )
    if status != "pass":
        message += " Few rows with large weights then decide; restrict to users who could get both."
    return structural(
        "overlap",
        "Every user could have been treated and could have been left out.",
        status,  # type: ignore[arg-type]
        float(least.min()),
        message,
    )


def held_out_scores(held_out: float, in_sample: float, proportion: bool, fraction: float) -> Check:
    """The ranking is judged on rows that didn't train it; how much that removes is said."""
    return structural(
        "held_out_scores",
        "The rows that judge the ranking took no part in making it.",
        "pass",
        in_sample - held_out,
        f"Each fold is ranked by a model of earlier folds. On the rows that trained the ranking "
        f"the top {fraction:.0%} would have shown {effect_text(in_sample, proportion)}; held out "
        f"it is {effect_text(held_out, proportion)}.",
    )


def enough_data(
    top: np.ndarray,
    treatment: np.ndarray,
    fraction: float,
    claimed_gap: float,
    findable_gap: float,
    proportion: bool,
) -> Check:
    """Are there enough users in both arms of the top group, and could the claimed gap be seen?"""
    counts = [float(top[treatment == arm].sum()) for arm in (0, 1)]
    smallest = min(counts)
    status = "fail" if smallest < TOO_FEW_ROWS else "caution" if smallest < FEW_ROWS else "pass"
    gap = effect_text(claimed_gap, proportion, signed=False)
    could = effect_text(findable_gap, proportion, signed=False)
    message = (
        f"The top {fraction:.0%} holds {counts[1]:,.0f} treated and {counts[0]:,.0f} untreated "
        f"evaluated rows. The learner claims that it gains {gap} more than the average user; "
        f"these data could find {could} or more with 80% power."
    )
    if status != "pass":
        message += " With so few rows the interval's normal approximation is rough: collect more."
    elif not claimed_gap > findable_gap:
        message += " So finding no difference would be no proof that there is none."
    return structural(
        "enough_data",
        "There are enough data for the heterogeneity that the learner claims.",
        status,  # type: ignore[arg-type]
        smallest,
        message,
    )


def no_interference(estimate: float, proportion: bool, treatment: str) -> Check:
    """Spill-over between users leaves no trace in one row a user."""
    return untestable(
        "no_interference",
        "One user's treatment doesn't change another user's outcome.",
        f"These data can't show whether users with {treatment} = 0 were affected by the others. "
        f"A spill-over of {effect_text(abs(estimate), proportion, signed=False)} on the untreated "
        "of the top group would account for all of the effect.",
    )
