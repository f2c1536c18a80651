"""Augmented inverse-probability weighting (AIPW), with cross-fitting.

Every estimand is the ratio ``sum(numerator) / sum(target)`` of one orthogonal moment, written for
a tilt ``h(e)``: ``h/e D (Y - m1) - h/(1-e) (1-D) (Y - m0) + target (m1 - m0)``. For ATE and ATT
it is the efficient score of Hahn (1998) and Robins, Rotnitzky and Zhao (1994); the tilted form
follows Hirano, Imbens and Ridder (2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np

from noholdout_propensity.kernels.outcome import LinearFit, solve_normal
from noholdout_propensity.kernels.score import (
    ScoreFit,
    chord_steps,
    fit_score,
    invert,
    logistic,
)
from noholdout_propensity.kernels.sums import Design, arm_sums, blocks, weighted_gram
from noholdout_propensity.kernels.weighting import Effect, Estimand, Tilting, tilting

FREE = 0.05  # the least that a row's leverage may leave: beyond, one row is the model


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

    Rows are put in the folds' order and sums formed fold by fold, once; leaving a fold out is a
    subtraction. ``None`` when a fold's score model has no solution.
    """
    n = outcome.size
    order = np.argsort(fold, kind="stable")
    edges = np.searchsorted(fold[order], np.arange(int(fold.max()) + 2))
    folds = [slice(a, b) for a, b in pairwise(edges.tolist())]
    x = score_design.T[:, order].T
    z = x if outcome_design is score_design else outcome_design.T[:, order].T
    y, d, w, v = outcome[order], treated[order], likelihood_weights[order], rows[order]
    near = full.score[order]
    residual, curvature = w * (d - near), w * near * (1 - near)
    gradients = [x[f].T @ residual[f] for f in folds]
    hessians = [weighted_gram(x[f], curvature[f]) for f in folds]
    sums = [arm_sums(z[f], y[f], d[f], v[f]) for f in folds]
    arms = [reduce(add, (s[a] for s in sums)) for a in (0, 1)]
    gradient, hessian = sum(gradients), sum(hessians)
    score, means = np.empty(n), np.empty((2, n))
    for f, rest in enumerate(folds):
        parts = [(x[p], d[p], w[p]) for p in (slice(0, rest.start), slice(rest.stop, n))]
        coefficients = chord_steps(
            parts, full.coefficients, gradient - gradients[f], invert(hessian - hessians[f])
        )
        if coefficients is None:
            kept = np.r_[0 : rest.start, rest.stop : n]
            fit = fit_score(x[kept], d[kept], weights=w[kept])
            if not fit.converged:
                return None
            coefficients = fit.coefficients
        score[order[rest]] = logistic(x[rest] @ coefficients)
        for a in (0, 1):
            left = arms[a] - sums[f][a]
            means[a, order[rest]] = z[rest] @ solve_normal(left.gram, left.cross).coefficients
    return Nuisance(score, score * (1 - score), means[0], means[1])


def linear_nuisance(
    outcome_design: Design, full: ScoreFit, fits: tuple[LinearFit, LinearFit]
) -> Nuisance:
    """Predictions of models fitted once on all rows (no cross-fitting)."""
    means = [outcome_design @ fit.coefficients for fit in fits]
    return Nuisance(full.score, full.slope, means[0], means[1])


def arm_fits(
    outcome: np.ndarray, treated: np.ndarray, design: Design, rows: np.ndarray
) -> tuple[LinearFit, LinearFit]:
    """The linear outcome models of the treated and the control arm."""
    inside, outside = arm_sums(design, outcome, treated, rows)
    return solve_normal(inside.gram, inside.cross), solve_normal(outside.gram, outside.cross)


def augmented_effect(
    outcome: np.ndarray,
    treated: np.ndarray,
    nuisance: Nuisance,
    estimand: Estimand,
    rows: np.ndarray,
    normalised: bool = False,
) -> Augmented:
    """The AIPW estimate and its influence values with the nuisance models taken as known.

    ``normalised`` divides each arm's weighted residuals by their own weights' sum in place of the
    target's mass (Robins, Sued, Lei-Gomez and Rotnitzky 2007, section 4).
    """
    tilt = tilting(nuisance.score, nuisance.slope, treated, estimand)
    m1, m0 = nuisance.mean_treated, nuisance.mean_control
    mass = float(rows @ tilt.target)
    arms = []
    for arm, weight, slope, mean in (
        (treated, tilt.treated_weight, tilt.treated_slope, m1),
        (1 - treated, tilt.control_weight, tilt.control_slope, m0),
    ):
        inside = rows * arm
        divisor = float(inside @ weight) if normalised else mass
        residual = outcome - mean
        shift = float(inside @ (weight * residual)) / divisor
        pulled = residual - shift if normalised else residual
        arms.append(
            _Arm(
                float(rows @ (tilt.target * mean)) / mass + shift,
                inside * weight * pulled / divisor,
                inside * slope * pulled / divisor,
                rows * tilt.target / mass - inside * weight / divisor,
            )
        )
    inside_arm, outside_arm = arms
    estimate = inside_arm.mean - outside_arm.mean
    # Normalised, the residuals' means stand outside the target's average.
    average = float(rows @ (tilt.target * (m1 - m0))) / mass if normalised else estimate
    gap = rows * (m1 - m0 - average) / mass
    influence = gap * tilt.target + inside_arm.pull - outside_arm.pull
    effect = Effect(estimate, outcome.size * influence, inside_arm.mean, outside_arm.mean)
    return Augmented(
        effect,
        tilt,
        inside_arm.slope - outside_arm.slope + gap * tilt.target_slope,
        (inside_arm.in_mean, -outside_arm.in_mean),
    )


@dataclass(frozen=True)
class _Arm:
    mean: float
    pull: np.ndarray
    slope: np.ndarray
    in_mean: np.ndarray


@dataclass(frozen=True)
class Augmented:
    """An AIPW estimate and its derivatives.

    Parameters
    ----------
    effect, tilt
        The estimate with its influence values, and the estimand's weights.
    in_index
        Derivative of the estimate through each row's score index, shape ``(n,)``.
    in_means
        Derivatives through each row's two predicted outcomes, shape ``(n,)`` each.
    """

    effect: Effect
    tilt: Tilting
    in_index: np.ndarray
    in_means: tuple[np.ndarray, np.ndarray]


def nuisance_influence(
    outcome: np.ndarray,
    treated: np.ndarray,
    score_design: Design,
    outcome_design: Design,
    full: ScoreFit,
    fits: tuple[LinearFit, LinearFit],
    found: Augmented,
    *,
    likelihood_weights: np.ndarray,
    rows: np.ndarray,
    leverage: bool = False,
) -> np.ndarray:
    """What estimating a linear score index and linear outcome models adds, shape ``(n,)``.

    The moment's derivative in each model's coefficients times the coefficients' influence. It
    vanishes when both models are right; keeping it makes the standard error right when only one
    of them is (Robins, Rotnitzky and Zhao 1994; Funk et al. 2011 use the same stacking).

    Parameters
    ----------
    fits
        The outcome models on all rows.
    leverage
        Divide each row's residual by ``sqrt(1 - leverage)`` in its model (the HC2 of MacKinnon
        and White 1985), and leave its own part out of the derivative: with few effective rows the
        plain influence values are too small.
    """
    added = model_influence(
        score_design,
        full.bread,
        full.residual * likelihood_weights,
        full.slope * likelihood_weights,
        found.in_index,
        leverage,
    )
    for fit, arm, in_mean in zip(fits, (treated, 1 - treated), found.in_means, strict=True):
        inside = rows * arm
        residual = inside * (outcome - outcome_design @ fit.coefficients)
        added += model_influence(outcome_design, fit.bread, residual, inside, in_mean, leverage)
    return outcome.size * added


def model_influence(
    design: Design,
    bread: np.ndarray,
    residual: np.ndarray,
    curvature: np.ndarray,
    derivative: np.ndarray,
    leverage: bool,
) -> np.ndarray:
    """A linear index's influence on a moment: derivative' bread x residual, shape ``(n,)``.

    Parameters
    ----------
    residual, curvature
        Weights included: row i adds ``residual[i] x[i]`` to the model's gradient and
        ``curvature[i] x[i] x[i]'`` to its hessian.
    derivative
        Row i's part ``derivative[i] x[i]`` of the moment's derivative in the coefficients.
    """
    along = design @ (bread @ (design.T @ derivative))
    if not leverage:
        return np.asarray(residual * along)
    out = np.empty(residual.size)
    for rows in blocks(residual.size):
        x = design[rows]
        distance = np.einsum("ij,ij->i", x @ bread, x)
        free = np.maximum(1 - curvature[rows] * distance, FREE)
        without = along[rows] - derivative[rows] * distance
        out[rows] = residual[rows] * without / np.sqrt(free)
    return out
