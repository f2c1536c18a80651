"""Balancing weights of each estimand, and the normalised (Hajek) weighted difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from noholdout_propensity.kernels.designs import Design
from noholdout_propensity.kernels.score import ScoreFit

Estimand = Literal["ate", "att", "atc", "ato"]
ONE, ZERO = np.ones(()), np.zeros(())
SMALLEST = 1e-12  # a chance below this is no chance: its weight has no digits left


@dataclass(frozen=True)
class Tilting:
    """An estimand as a tilting of the population (Li, Morgan and Zaslavsky 2018, table 1).

    With tilt ``h(e)``, the weights are ``h / e`` for treated and ``h / (1 - e)`` for control
    rows. All shapes ``(n,)``, or ``()`` where every row has the same.

    Parameters
    ----------
    treated_weight, control_weight
        The weight that a row would have in each arm.
    treated_slope, control_slope
        Their derivatives in the score model's linear index.
    target, target_slope
        ``h + h'(D - e)``: 1 for ATE, D for ATT, 1 - D for ATC, (D - e)^2 for ATO. Averages over
        the target population use it, since its error in e is of second order.
    """

    treated_weight: np.ndarray
    control_weight: np.ndarray
    treated_slope: np.ndarray
    control_slope: np.ndarray
    target: np.ndarray
    target_slope: np.ndarray


@dataclass(frozen=True)
class Effect:
    """An estimate with its influence values, shape ``(n,)``, and each arm's weighted mean."""

    estimate: float
    influence: np.ndarray
    mean_treated: float
    mean_control: float


def tilting(
    score: np.ndarray, slope: np.ndarray, treated: np.ndarray, estimand: Estimand
) -> Tilting:
    """Weights and target of an estimand; nothing is clipped."""
    if estimand == "ato":
        gap = treated - score
        return Tilting(1 - score, score, -slope, slope, gap**2, -2 * gap * slope)
    rest = 1 - score
    if estimand == "ate":
        inside, outside = 1 / score, 1 / rest
        return Tilting(inside, outside, -slope * inside**2, slope * outside**2, ONE, ZERO)
    if estimand == "att":
        return Tilting(ONE, score / rest, ZERO, slope / rest**2, treated, ZERO)
    return Tilting(rest / score, ONE, -slope / score**2, ZERO, 1 - treated, ZERO)


def unbounded(score: np.ndarray, estimand: Estimand) -> np.ndarray:
    """Rows whose weight in one of the arms would be beyond 1 / SMALLEST, shape ``(n,)``."""
    low, high = score < SMALLEST, 1 - score < SMALLEST
    if estimand == "ate":
        return low | high
    if estimand == "att":
        return high
    return low if estimand == "atc" else np.zeros(score.size, dtype=bool)


def own_weights(tilt: Tilting, treated: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each row's balancing weight in its own arm, times its sampling weight. Shape ``(n,)``."""
    return rows * np.where(treated == 1, tilt.treated_weight, tilt.control_weight)


def weighted_difference(
    outcome: np.ndarray, treated: np.ndarray, weights: np.ndarray
) -> tuple[float, float, float]:
    """Hajek difference of means and both means."""
    arm1, arm0 = weights * treated, weights * (1 - treated)
    mean1 = float(arm1 @ outcome / arm1.sum())
    mean0 = float(arm0 @ outcome / arm0.sum())
    return mean1 - mean0, mean1, mean0


def hajek_effect(
    outcome: np.ndarray,
    treated: np.ndarray,
    design: Design,
    fit: ScoreFit,
    estimand: Estimand,
    *,
    likelihood_weights: np.ndarray,
    rows: np.ndarray,
    score_known: bool = False,
) -> Effect:
    """Normalised inverse-probability weighting with the influence of the estimated score.

    The estimator solves the stacked equations of the score model and of both weighted means
    (Lunceford and Davidian 2004, section 3; Stefanski and Boos 2002). Its influence value is that
    with a known score plus the derivative in the score's coefficients times their influence.

    Parameters
    ----------
    likelihood_weights, rows
        Row weights in the score's likelihood and in the means (zero for a trimmed row), shape
        ``(n,)``.
    score_known
        Leave the score's influence out (weights taken as fixed).
    """
    tilt = tilting(fit.score, fit.slope, treated, estimand)
    weights = own_weights(tilt, treated, rows)
    estimate, mean1, mean0 = weighted_difference(outcome, treated, weights)
    n = outcome.size
    sum1, sum0 = float(weights @ treated), float(weights @ (1 - treated))
    gap = treated / sum1 * (outcome - mean1) - (1 - treated) / sum0 * (outcome - mean0)
    influence = n * weights * gap
    if not score_known:
        slope = rows * np.where(treated == 1, tilt.treated_slope, tilt.control_slope)
        # In the index's direction first: a (k,) vector times the coefficients' influence.
        direction = design.T @ (slope * gap)
        influence = influence + n * fit.residual * likelihood_weights * (
            design @ (fit.bread @ direction)
        )
    return Effect(estimate, influence, mean1, mean0)
