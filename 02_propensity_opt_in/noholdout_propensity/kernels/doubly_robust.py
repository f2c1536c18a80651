"""Augmented inverse-probability weighting (AIPW), with cross-fitting.

Every estimand is the ratio ``sum(numerator) / sum(target)`` of one orthogonal moment, written for
a tilt ``h(e)``: ``h/e D (Y - m1) - h/(1-e) (1-D) (Y - m0) + target (m1 - m0)``. For ATE and ATT
it is the efficient score of Hahn (1998) and Robins, Rotnitzky and Zhao (1994); the tilted form
follows Hirano, Imbens and Ridder (2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.outcome import fit_linear, solve_normal
from noholdout_propensity.kernels.score import ScoreFit, refit_logit
from noholdout_propensity.kernels.weighting import Effect, Estimand, Tilting, tilting


@dataclass(frozen=True)
class Nuisance:
    """Out-of-fold predictions, each of shape ``(n,)``.

    Parameters
    ----------
    score, slope
        The score and its derivative in the linear index (zeros for a model that isn't linear).
    mean_treated, mean_control
        The outcome that each row is predicted to have in each arm.
    """

    score: np.ndarray
    slope: np.ndarray
    mean_treated: np.ndarray
    mean_control: np.ndarray


def assign_folds(
    treated: np.ndarray, folds: int, seed: int, cluster_codes: np.ndarray | None = None
) -> np.ndarray:
    """Fold of each row, 0 to folds-1: balanced within each arm, or whole clusters together."""
    rng = np.random.default_rng(seed)
    if cluster_codes is not None:
        count = int(cluster_codes.max()) + 1
        return (rng.permutation(count) % folds)[cluster_codes]
    fold = np.empty(treated.size, dtype=np.int64)
    for arm in (1, 0):
        members = np.flatnonzero(treated == arm)
        fold[members] = rng.permutation(members.size) % folds
    return fold


def cross_fit_linear(
    outcome: np.ndarray,
    treated: np.ndarray,
    score_design: np.ndarray,
    outcome_design: np.ndarray,
    full: ScoreFit,
    fold: np.ndarray,
    *,
    likelihood_weights: np.ndarray,
    rows: np.ndarray,
) -> Nuisance | None:
    """Logit score and linear outcome models, each row predicted from the other folds.

    Sums over folds are formed once; leaving a fold out is a subtraction. ``None`` when a fold's
    score model has no solution.
    """
    n = outcome.size
    score = np.empty(n)
    means = np.empty((2, n))
    members = [np.flatnonzero(fold == f) for f in range(int(fold.max()) + 1)]
    sums = []
    for index in members:
        z, y = outcome_design[index], outcome[index]
        arms = []
        for arm in (treated[index], 1 - treated[index]):
            weighted = z * (rows[index] * arm)[:, None]
            arms.append((weighted.T @ z, weighted.T @ y))
        sums.append(arms)
    for f, index in enumerate(members):
        kept = fold != f
        coefficients = refit_logit(
            score_design[kept],
            treated[kept],
            likelihood_weights[kept],
            full.coefficients,
            full.score[kept],
        )
        if coefficients is None:
            return None
        score[index] = 1 / (1 + np.exp(-(score_design[index] @ coefficients)))
        for a in (0, 1):
            gram = sum(sums[g][a][0] for g in range(len(members)) if g != f)
            cross = sum(sums[g][a][1] for g in range(len(members)) if g != f)
            fit = solve_normal(np.asarray(gram), np.asarray(cross))
            means[a, index] = outcome_design[index] @ fit.coefficients
    return Nuisance(score, score * (1 - score), means[0], means[1])


def full_sample_nuisance(
    outcome: np.ndarray,
    treated: np.ndarray,
    outcome_design: np.ndarray,
    full: ScoreFit,
    rows: np.ndarray,
) -> Nuisance:
    """Predictions of models fitted once on all rows (no cross-fitting)."""
    means = [
        outcome_design @ fit_linear(outcome_design, outcome, rows * arm).coefficients
        for arm in (treated, 1 - treated)
    ]
    return Nuisance(full.score, full.slope, means[0], means[1])


def augmented_effect(
    outcome: np.ndarray,
    treated: np.ndarray,
    nuisance: Nuisance,
    estimand: Estimand,
    rows: np.ndarray,
) -> tuple[Effect, Tilting]:
    """The AIPW estimate and its influence values with the nuisance models taken as known."""
    tilt = tilting(nuisance.score, nuisance.slope, treated, estimand)
    m1, m0 = nuisance.mean_treated, nuisance.mean_control
    part1 = tilt.treated_weight * treated * (outcome - m1) + tilt.target * m1
    part0 = tilt.control_weight * (1 - treated) * (outcome - m0) + tilt.target * m0
    mass = float(rows @ tilt.target)
    mean1, mean0 = float(rows @ part1 / mass), float(rows @ part0 / mass)
    estimate = mean1 - mean0
    influence = outcome.size * rows * (part1 - part0 - estimate * tilt.target) / mass
    return Effect(estimate, influence, mean1, mean0), tilt


def nuisance_influence(
    outcome: np.ndarray,
    treated: np.ndarray,
    score_design: np.ndarray,
    outcome_design: np.ndarray,
    full: ScoreFit,
    nuisance: Nuisance,
    tilt: Tilting,
    estimate: float,
    *,
    likelihood_weights: np.ndarray,
    rows: np.ndarray,
) -> np.ndarray:
    """What estimating a linear score index and linear outcome models adds, shape ``(n,)``.

    The moment's derivative in each model's coefficients times the coefficients' influence. It
    vanishes when both models are right; keeping it makes the standard error right when only one
    of them is (Robins, Rotnitzky and Zhao 1994; Funk et al. 2011 use the same stacking).
    """
    n = outcome.size
    m1, m0 = nuisance.mean_treated, nuisance.mean_control
    mass = float(rows @ tilt.target)
    in_index = (
        tilt.treated_slope * treated * (outcome - m1)
        - tilt.control_slope * (1 - treated) * (outcome - m0)
        + tilt.target_slope * (m1 - m0 - estimate)
    )
    direction = score_design.T @ (rows * in_index) / mass
    added = n * full.residual * likelihood_weights * (score_design @ (full.bread @ direction))
    for arm, weight, sign in (
        (treated, tilt.treated_weight, 1.0),
        (1 - treated, tilt.control_weight, -1.0),
    ):
        fit = fit_linear(outcome_design, outcome, rows * arm)
        residual = outcome - outcome_design @ fit.coefficients
        direction = outcome_design.T @ (sign * rows * (tilt.target - weight * arm)) / mass
        added = added + n * rows * arm * residual * (outcome_design @ (fit.bread @ direction))
    return added
