"""Do both arms look alike after adjustment, and does the answer lean on the models' form?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, HypothesisCheck, untestable
from noholdout_shared.inference import two_sided_p

from noholdout_propensity.kernels.outcome import solve_normal
from noholdout_propensity.kernels.richer import richer_design
from noholdout_propensity.problem import Problem

if TYPE_CHECKING:
    from noholdout_propensity.estimators.common import Fit

SMD_CAUTION, SMD_FAIL = 0.10, 0.25
COIN_FLIPS = 2.0  # what a coin flip leaves, times this, isn't a difference in kind
BIAS_FAIL = 2.0  # standard errors, as in the shared verdict rule

BALANCE = "After adjustment, both arms look alike in every covariate."
FORM = "The models are rich enough: squares and products of covariates add nothing."


def prognostic_gap(problem: Problem, weights: np.ndarray) -> float:
    """What the covariate gaps that are left imply for the outcome, by a model of the controls."""
    control = problem.arms[1]
    line = solve_normal(control.gram, control.cross).coefficients
    arm1, arm0 = weights * problem.treated, weights * (1 - problem.treated)
    gap = problem.score_design.T @ (arm1 / arm1.sum() - arm0 / arm0.sum())
    return float(gap @ line)


def balance_check(
    table: pd.DataFrame,
    effective: np.ndarray,
    bias: float,
    std_error: float,
    adjusts_outcome: bool,
) -> Check:
    """The largest standardised difference left, judged by its size.

    Parameters
    ----------
    effective
        Effective rows of both arms, shape ``(2,)``: a coin flip between groups of that size
        leaves standardised differences of ``sqrt(1 / n1 + 1 / n0)``.
    bias
        What is left implies for the outcome.
    """
    sizes = np.abs(table["smd_after"].to_numpy())
    worst = int(sizes.argmax())
    largest = float(sizes[worst])
    name = str(table["covariate"].iloc[worst])
    implied = abs(bias) / std_error if std_error > 0 else math.nan
    coin_flip = float(np.sqrt((1 / effective).sum()))
    status = "pass"
    if largest > max(SMD_CAUTION, COIN_FLIPS * coin_flip):
        status = "caution"
    if largest > SMD_FAIL and not adjusts_outcome and implied > BIAS_FAIL:
        status = "fail"
    before = float(np.abs(table["smd_before"]).max())
    message = (
        f"The largest standardised difference is {largest:.3f} ({name!r}), down from {before:.3f} "
        "before adjustment."
    )
    if status == "pass" and largest > SMD_CAUTION:
        message += (
            f" A coin flip between groups of {effective.min():,.0f} effective rows would leave "
            f"about {coin_flip:.3f}."
        )
    if status != "pass":
        message += (
            f" Above {SMD_CAUTION:g} the arms still differ in kind; what is left would move the "
            f"answer by about {implied:.1f} standard errors"
            + (" if the outcome model didn't correct it." if adjusts_outcome else ".")
            + " Add squares or interactions of that covariate, or use entropy balancing."
        )
    return Check("balance", BALANCE, status, largest, math.nan, message, implied)  # type: ignore[arg-type]


def specification_check(problem: Problem, fit: Fit) -> HypothesisCheck | Check:
    """Refit with squares and products of the covariates; does the answer move?

    A test of the difference of two estimators on the same rows (Hausman 1978), its standard error
    from the difference of their influence values.
    """
    arm = min(problem.count(places) for places in problem.places)
    richer = richer_design(problem.score_design, arm)
    moved = None if richer is None or fit.respecify is None else fit.respecify(richer)
    if richer is None or moved is None:
        why = "there are too few rows for more terms" if richer is None else "it has no solution"
        if fit.respecify is None:
            why = "the models are your own"
        return untestable(
            "specification", FORM, f"A model with squares and products wasn't tried: {why}."
        )
    shift, influence = moved
    error = problem.std_error(influence)
    added = richer.design.shape[1] - problem.score_design.shape[1]
    df = math.inf if problem.n_clusters is None else problem.n_clusters - 1
    statistic = shift / error if error > 0 else 0.0
    unit = " points" if problem.proportion else ""
    size = 100 * shift if problem.proportion else shift
    return HypothesisCheck(
        name="specification",
        assumption=FORM,
        statistic=statistic,
        p_value=two_sided_p(statistic, df) if error > 0 else 1.0,
        bias=shift,
        found=f"With {added} squares and products added, the estimate moves by {size:+.3g}{unit}.",
        todo="The answer leans on straight lines that the data don't follow. Add squares or "
        "products of the covariates as columns, or use flexible models in Python.",
    )
