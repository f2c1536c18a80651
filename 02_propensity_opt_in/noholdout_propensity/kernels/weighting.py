"""Balancing weights of each estimand, and the normalised (Hajek) weighted difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from noholdout_propensity.kernels.designs import Design, blocks
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


def target_of(
    score: np.ndarray, treated: np.ndarray, estimand: Estimand, rows: np.ndarray
) -> np.ndarray:
    """A :class:`Tilting`'s target times row weights, shape ``(n,)``."""
    if estimand == "ate":
        return rows
    if estimand == "ato":
        return np.asarray(rows * (treated - score) ** 2)
    return rows * treated if estimand == "att" else rows * (1 - treated)


def clipped(score: np.ndarray, clip: float | None) -> np.ndarray:
    """Scores moved to ``clip`` or ``1 - clip`` where they lie beyond; as they are without it."""
    return score if clip is None else np.clip(score, clip, 1 - clip)


def unbounded(score: np.ndarray, estimand: Estimand) -> np.ndarray:
    """Rows whose weight in one of the arms would be beyond 1 / SMALLEST, shape ``(n,)``."""
    low, high = score < SMALLEST, 1 - score < SMALLEST
    if estimand == "ate":
        return low | high
    if estimand == "att":
        return high
    return low if estimand == "atc" else np.zeros(score.size, dtype=bool)


def own_weights(
    score: np.ndarray, treated: np.ndarray, estimand: Estimand, rows: np.ndarray
) -> np.ndarray:
    """Each row's balancing weight in its own arm, times its sampling weight. Shape ``(n,)``."""
    weights = 1.0 / _own_chance(score, treated)
    if estimand in ("att", "ato"):
        weights *= score
    if estimand in ("atc", "ato"):
        weights *= 1 - score
    weights *= rows
    return weights


def own_slopes(
    score: np.ndarray, slope: np.ndarray, treated: np.ndarray, estimand: Estimand
) -> np.ndarray:
    """The derivative of each row's own weight in the score's linear index, shape ``(n,)``."""
    if estimand == "ato":
        return slope * (1 - 2 * treated)
    signs = {"ate": 1 - 2 * treated, "att": 1 - treated, "atc": -treated}
    steep: np.ndarray = signs[estimand] * slope / _own_chance(score, treated) ** 2
    return steep


def _own_chance(score: np.ndarray, treated: np.ndarray) -> np.ndarray:
    # A chance of zero stands in trimmed rows alone, whose weight of zero it mustn't make nan.
    return np.maximum(np.abs(1 - treated - score), 1e-100)


def weighted_difference(
    outcome: np.ndarray, treated: np.ndarray, weights: np.ndarray
) -> tuple[float, float, float]:
    """Hajek difference of means and both means."""
    arm = weights * treated
    mean1 = float(arm @ outcome / arm.sum())
    np.subtract(weights, arm, out=arm)
    mean0 = float(arm @ outcome / arm.sum())
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
    clip: float | None = None,
) -> tuple[Effect, np.ndarray]:
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
    clip
        Scores beyond it and its counterpart are moved there, and stay there as the score's
        coefficients move.

    Returns
    -------
    The effect, and each row's weight in its arm.
    """
    score = clipped(fit.score, clip)
    weights = own_weights(score, treated, estimand, rows)
    estimate, mean1, mean0 = weighted_difference(outcome, treated, weights)
    n = outcome.size
    sum1 = float(weights @ treated)
    sum0 = float(weights.sum()) - sum1
    influence = np.empty(n)
    direction = np.zeros(design.shape[1])
    for block in blocks(n):
        d, y = treated[block], outcome[block]
        gap = d / sum1 * (y - mean1) - (1 - d) / sum0 * (y - mean0)
        influence[block] = n * weights[block] * gap
        if not score_known:
            slope = fit.slopes(block)
            if clip is not None:
                slope = slope * (score[block] == fit.score[block])
            gap *= own_slopes(score[block], slope, d, estimand)
            gap *= rows[block]
            direction += design[block].T @ gap
    if not score_known:
        # In the index's direction first: a (k,) vector times the coefficients' influence.
        pull = n * (fit.bread @ direction)
        for block in blocks(n):
            along = design[block] @ pull
            along *= fit.residuals(block)
            along *= likelihood_weights[block]
            influence[block] += along
    return Effect(estimate, influence, mean1, mean0), weights
