"""Outcome models fitted by inverse-probability weights: IPWRA, and AIPW on weighted models."""

from __future__ import annotations

import numpy as np

from noholdout_propensity.kernels.designs import Design
from noholdout_propensity.kernels.outcome import LinearFit, RegressionEffect, fit_linear
from noholdout_propensity.kernels.score import ScoreFit
from noholdout_propensity.kernels.weighting import Effect, Estimand, tilting


def weighted_regression_effect(
    outcome: np.ndarray,
    treated: np.ndarray,
    score_design: Design,
    outcome_design: Design,
    full: ScoreFit,
    estimand: Estimand,
    target: np.ndarray,
    rows: np.ndarray,
) -> RegressionEffect:
    """IPWRA: each arm's regression weighted by the estimand's weights (Wooldridge 2007).

    Influence: the target average's, the regressions' at the target's covariate mean, and the
    score's through the weights (stacked equations). Shapes as in ``regression_effect``.
    """
    n = outcome.size
    tilt = tilting(full.score, full.slopes(), treated, estimand)
    mass = rows * target
    share = float(mass.sum())
    centre = outcome_design.T @ mass / share
    influence, implied, in_index = np.zeros(n), np.zeros(n), np.zeros(n)
    means, ranks = [], []
    for arm, weight, slope, sign in (
        (treated, tilt.treated_weight, tilt.treated_slope, 1.0),
        (1 - treated, tilt.control_weight, tilt.control_slope, -1.0),
    ):
        inside = rows * arm
        fit = fit_linear(outcome_design, outcome, inside * weight)
        predicted = outcome_design @ fit.coefficients
        leverage = outcome_design @ (fit.bread @ centre)
        pull = inside * (outcome - predicted) * leverage
        means.append(float(centre @ fit.coefficients))
        ranks.append(fit.rank)
        influence += sign * (mass * (predicted - means[-1]) / share + weight * pull)
        in_index += sign * slope * pull
        implied += inside * weight * leverage
    influence += through_score(full, score_design, in_index, rows)
    return RegressionEffect(
        means[0] - means[1], n * influence, means[0], means[1], implied, min(ranks)
    )


def through_score(
    full: ScoreFit, design: Design, in_index: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """What the score's estimation adds, given the estimate's derivative in each row's index."""
    influence: np.ndarray = full.residuals() * rows
    influence *= design @ (full.bread @ (design.T @ in_index))
    return influence


def weighted_augmented_effect(
    outcome: np.ndarray,
    treated: np.ndarray,
    score_design: Design,
    outcome_design: Design,
    full: ScoreFit,
    rows: np.ndarray,
) -> tuple[Effect, int]:
    """AIPW for the ATE on outcome models weighted by ``(1 - e) / e^2``, and the models' rank.

    The weights minimise the estimator's variance when the outcome models are wrong (Cao, Tsiatis
    and Davidian 2009, section 3). Influence values by stacked equations.
    """
    n = outcome.size
    total = float(rows.sum())
    influence, in_index = np.zeros(n), np.zeros(n)
    means, ranks = [], []
    for arm, chance, sign in ((treated, full.score, 1.0), (1 - treated, 1 - full.score, -1.0)):
        slope = sign * full.slopes()  # of the arm's own chance
        weight = (1 - chance) / chance**2
        weight_slope = -slope * (2 / chance**3 - 1 / chance**2)
        inside = rows * arm
        fit: LinearFit = fit_linear(outcome_design, outcome, inside * weight)
        predicted = outcome_design @ fit.coefficients
        residual = outcome - predicted
        mean = float((rows @ predicted + (inside / chance) @ residual) / total)
        direction = outcome_design.T @ (rows - inside / chance)
        leverage = outcome_design @ (fit.bread @ direction)
        influence += (sign / total) * (
            rows * (predicted - mean)
            + inside / chance * residual
            + inside * weight * residual * leverage
        )
        in_index += (
            (sign / total) * inside * residual * (weight_slope * leverage - slope / chance**2)
        )
        means.append(mean)
        ranks.append(fit.rank)
    influence += through_score(full, score_design, in_index, rows)
    return Effect(means[0] - means[1], n * influence, means[0], means[1]), min(ranks)
