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

from noholdout_propensity.kernels.designs import Design, blocks
from noholdout_propensity.kernels.outcome import LinearFit, solve_normal
from noholdout_propensity.kernels.score import (
    ScoreFit,
    chord_steps,
    fit_score,
    invert,
    logistic,
)
from noholdout_propensity.kernels.sums import ArmSums, arm_sums, weighted_gram
from noholdout_propensity.kernels.weighting import Effect, Estimand, tilting

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
        return (rng.permutation(count) % folds).astype(np.int16)[cluster_codes]
    fold = np.empty(treated.size, dtype=np.int16)
    for arm in (1, 0):
        members = np.flatnonzero(treated == arm)
        fold[members] = rng.permutation(members.size) % folds
    return fold


def cross_fit_linear(
    outcome: np.ndarray,
    treated: np.ndarray,
    score_design: Design,
    outcome_design: Design,
    full: ScoreFit,
    fold: np.ndarray,
    *,
    likelihood_weights: np.ndarray,
    rows: np.ndarray,
) -> Nuisance | None:
    """Logit score and linear outcome models, each row predicted from the other folds.

    Sums are formed fold by fold, once; leaving a fold out is a subtraction. ``None`` when a fold's
    score model has no solution.
    """
    sums = _fold_sums(
        outcome, treated, score_design, outcome_design, full, fold, likelihood_weights, rows
    )
    gradients, hessians = (
        np.array([getattr(part, name) for part in sums]) for name in ("gradient", "hessian")
    )
    found = chord_steps(
        score_design,
        treated,
        likelihood_weights,
        fold,
        full.coefficients,
        gradients.sum(axis=0) - gradients,
        np.array([invert(hessian) for hessian in hessians.sum(axis=0) - hessians]),
    )
    for f, coefficients in enumerate(found):
        if coefficients is None:
            rest = likelihood_weights * (fold != f)
            fit = fit_score(score_design, treated, weights=rest)
            if not fit.converged:
                return None
            found[f] = fit.coefficients
    score = logistic(_own_fold(score_design, np.array(found), fold))
    means = []
    for a in (0, 1):
        whole = reduce(add, (part.arms[a] for part in sums))
        left = [whole - part.arms[a] for part in sums]
        lines = [solve_normal(part.gram, part.cross).coefficients for part in left]
        means.append(_own_fold(outcome_design, np.array(lines), fold))
    return Nuisance(score, score * (1 - score), means[0], means[1])


@dataclass(frozen=True)
class _FoldSums:
    """One fold's gradient and hessian of the score, and both arms' sums for the outcome."""

    gradient: np.ndarray
    hessian: np.ndarray
    arms: tuple[ArmSums, ArmSums]

    def __add__(self, other: _FoldSums) -> _FoldSums:
        return _FoldSums(
            self.gradient + other.gradient,
            self.hessian + other.hessian,
            (self.arms[0] + other.arms[0], self.arms[1] + other.arms[1]),
        )


def _fold_sums(
    outcome: np.ndarray,
    treated: np.ndarray,
    score_design: Design,
    outcome_design: Design,
    full: ScoreFit,
    fold: np.ndarray,
    likelihood_weights: np.ndarray,
    rows: np.ndarray,
) -> list[_FoldSums]:
    """The sums of each fold, the score's at the solution on all rows."""
    found: list[_FoldSums | None] = [None] * (int(fold.max()) + 1)
    for block in blocks(outcome.size):
        # Rows of one fold side by side: then a fold is a slice.
        order = np.argsort(fold[block], kind="stable")
        edges = np.searchsorted(fold[block][order], np.arange(len(found) + 1))
        x = score_design[block].T.take(order, axis=1).T
        same = outcome_design is score_design
        z = x if same else outcome_design[block].T.take(order, axis=1).T
        y, d, w, v, e = (
            values[block][order]
            for values in (outcome, treated, likelihood_weights, rows, full.score)
        )
        residual, curvature = w * (d - e), w * e * (1 - e)
        for f, (start, stop) in enumerate(pairwise(edges.tolist())):
            own = slice(start, stop)
            part = _FoldSums(
                x[own].T @ residual[own],
                weighted_gram(x[own], curvature[own]),
                arm_sums(z[own], y[own], d[own], v[own]),
            )
            before = found[f]
            found[f] = part if before is None else before + part
    return [part for part in found if part is not None]


def _own_fold(design: Design, coefficients: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Each row's index under its own fold's coefficients ``(f, k)``, shape ``(n,)``."""
    out = np.empty(fold.size)
    for rows in blocks(fold.size):
        each = coefficients @ design[rows].T
        out[rows] = each[fold[rows], np.arange(each.shape[1])]
    return out


def linear_nuisance(
    outcome_design: Design, full: ScoreFit, fits: tuple[LinearFit, LinearFit]
) -> Nuisance:
    """Predictions of models fitted once on all rows (no cross-fitting)."""
    means = [outcome_design @ fit.coefficients for fit in fits]
    return Nuisance(full.score, full.slopes(), means[0], means[1])


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
    target = rows * tilt.target
    mass = float(target.sum())
    share = target / mass
    arms = []
    for arm, weight, slope, mean in (
        (treated, tilt.treated_weight, tilt.treated_slope, m1),
        (1 - treated, tilt.control_weight, tilt.control_slope, m0),
    ):
        inside = rows * arm
        heavy = inside * weight
        divisor = float(heavy.sum()) if normalised else mass
        # Over the divisor once, so that each row's weight and pull are products of it.
        heavy /= divisor
        residual = outcome - mean
        shift = float(heavy @ residual)
        if normalised:
            residual -= shift
        steep = inside * slope
        steep *= residual
        steep /= divisor
        arms.append(_Arm(float(share @ mean) + shift, heavy * residual, steep, share - heavy))
    inside_arm, outside_arm = arms
    estimate = inside_arm.mean - outside_arm.mean
    # Normalised, the residuals' means stand outside the target's average.
    average = float(share @ (m1 - m0)) if normalised else estimate
    gap = rows / mass * (m1 - m0 - average)
    influence = gap * tilt.target + inside_arm.pull - outside_arm.pull
    effect = Effect(estimate, outcome.size * influence, inside_arm.mean, outside_arm.mean)
    return Augmented(
        effect,
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
    effect
        The estimate with its influence values.
    in_index
        Derivative of the estimate through each row's score index, shape ``(n,)``.
    in_means
        Derivatives through each row's two predicted outcomes, shape ``(n,)`` each.
    """

    effect: Effect
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
    copies: np.ndarray | None = None,
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
    copies
        Rows that each entry stands for, shape ``(n,)``; ``None`` when entries are rows.
    """
    added = model_influence(
        score_design,
        full.bread,
        full.residuals() * likelihood_weights,
        full.slopes() * likelihood_weights,
        found.in_index,
        leverage,
        copies,
    )
    for fit, arm, in_mean in zip(fits, (treated, 1 - treated), found.in_means, strict=True):
        inside = rows * arm
        residual = inside * (outcome - outcome_design @ fit.coefficients)
        added += model_influence(
            outcome_design, fit.bread, residual, inside, in_mean, leverage, copies
        )
    return outcome.size * added


def model_influence(
    design: Design,
    bread: np.ndarray,
    residual: np.ndarray,
    curvature: np.ndarray,
    derivative: np.ndarray,
    leverage: bool,
    copies: np.ndarray | None = None,
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
        x = design[rows].T
        parts = bread @ x
        parts *= x
        distance = parts.sum(axis=0)
        if copies is not None:  # a row's own part is a share of its entry's
            distance /= copies[rows]
        free = np.maximum(1 - curvature[rows] * distance, FREE)
        without = along[rows] - derivative[rows] * distance
        out[rows] = residual[rows] * without / np.sqrt(free)
    return out
