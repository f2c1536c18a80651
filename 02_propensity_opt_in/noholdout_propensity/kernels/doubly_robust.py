"""Augmented inverse-probability weighting (AIPW), with cross-fitting.

Every estimand is the ratio ``sum(numerator) / sum(target)`` of one orthogonal moment, written for
a tilt ``h(e)``: ``h/e D (Y - m1) - h/(1-e) (1-D) (Y - m0) + target (m1 - m0)``. For ATE and ATT
it is the efficient score of Hahn (1998) and Robins, Rotnitzky and Zhao (1994); the tilted form
follows Hirano, Imbens and Ridder (2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
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
from noholdout_propensity.kernels.sums import ArmSums, arm_sums, design_sums, weighted_gram
from noholdout_propensity.kernels.weighting import (
    Effect,
    Estimand,
    own_slopes,
    own_weights,
    target_of,
)

CACHED_ROWS = 8_192  # whose dozen terms stay in the processor's cache
SORTED_ROWS = 65_536  # enough that each fold and arm has a long slice
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
    likelihood_weights: np.ndarray | None,
    rows: np.ndarray,
) -> Nuisance | None:
    """Logit score and linear outcome models, each row predicted from the other folds.

    Sums are formed fold by fold, once; leaving a fold out is a subtraction. ``None`` when a fold's
    score model has no solution. ``likelihood_weights`` of ``None`` are ones.
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
            rest = (fold != f) * (1.0 if likelihood_weights is None else likelihood_weights)
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
    likelihood_weights: np.ndarray | None,
    rows: np.ndarray,
) -> list[_FoldSums]:
    """The sums of each fold, the score's at the solution on all rows."""
    found: list[_FoldSums | None] = [None] * (int(fold.max()) + 1)
    for block in blocks(outcome.size, SORTED_ROWS):
        # Rows of one fold and arm side by side: then each is a slice, and so is a fold.
        cell = 2 * fold[block] + (treated[block] < 0.5)
        order = np.argsort(cell, kind="stable")
        edges = np.searchsorted(cell[order], np.arange(2 * len(found) + 1)).tolist()
        x = score_design[block].T.take(order, axis=1).T
        same = outcome_design is score_design
        z = x if same else outcome_design[block].T.take(order, axis=1).T
        y, d, v, e = (values[block].take(order) for values in (outcome, treated, rows, full.score))
        residual, curvature = d - e, e * (1 - e)
        if likelihood_weights is not None:
            likelihood = likelihood_weights[block].take(order)
            residual, curvature = residual * likelihood, curvature * likelihood
        for f in range(len(found)):
            start, middle, stop = edges[2 * f : 2 * f + 3]
            own = slice(start, stop)
            arms = slice(start, middle), slice(middle, stop)
            inside, outside = (design_sums(z[arm], y[arm], v[arm]) for arm in arms)
            part = _FoldSums(
                x[own].T @ residual[own],
                weighted_gram(x[own], curvature[own]),
                (inside, outside),
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
    n = outcome.size
    m1, m0 = nuisance.mean_treated, nuisance.mean_control
    influence, in_index, in_means = np.empty(n), np.empty(n), np.empty((2, n))
    # Of each arm: its weights' sum, their products with the residuals, the target's predictions.
    sums, mass = np.zeros((2, 3)), 0.0
    for block in blocks(n, CACHED_ROWS):
        d, score = treated[block], nuisance.score[block]
        target = target_of(score, d, estimand, rows[block])
        mass += float(target.sum())
        # A row is in one arm only: its weight there and its residual wait in the outputs.
        heavy, residual = in_means[0, block], influence[block]
        heavy[:] = own_weights(score, d, estimand, rows[block])
        np.subtract(m1[block], m0[block], out=residual)
        residual *= d
        residual += m0[block]
        np.subtract(outcome[block], residual, out=residual)
        missed = heavy * residual
        inside = heavy @ d, missed @ d
        sums[0] += (*inside, target @ m1[block])
        sums[1] += (heavy.sum() - inside[0], missed.sum() - inside[1], target @ m0[block])
    divisors = sums[:, 0] if normalised else np.full(2, mass)
    shifts = sums[:, 1] / divisors
    means = sums[:, 2] / mass + shifts
    estimate = float(means[0] - means[1])
    # Normalised, the residuals' means stand outside the target's average.
    average = float(sums[0, 2] - sums[1, 2]) / mass if normalised else estimate
    for block in blocks(n, CACHED_ROWS):
        d, score, slope = treated[block], nuisance.score[block], nuisance.slope[block]
        heavy, residual = in_means[0, block], influence[block]
        other = 1 - d
        if normalised:
            residual -= shifts[0] * d + shifts[1] * other
        signed = d / divisors[0] - other / divisors[1]
        steep = own_slopes(score, slope, d, estimand)
        steep *= rows[block]
        steep *= signed
        steep *= residual
        heavy *= signed
        residual *= heavy
        share = target_of(score, d, estimand, rows[block] / mass)
        gap = m1[block] - m0[block]
        gap -= average
        if estimand == "ato":
            steep -= 2 * gap * (rows[block] / mass) * (d - score) * slope
        in_index[block] = steep
        gap *= share
        residual += gap
        # Signed weights: a control's is negative, as is the derivative through its mean.
        outside = in_means[1, block]
        np.multiply(heavy, other, out=outside)
        heavy -= outside
        np.subtract(share, heavy, out=heavy)
        outside += share
        np.negative(outside, out=outside)
    influence *= n
    effect = Effect(estimate, influence, float(means[0]), float(means[1]))
    return Augmented(effect, in_index, (in_means[0], in_means[1]))


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
    models = [(score_design, full.bread, found.in_index)]
    models += [
        (outcome_design, fit.bread, in_mean)
        for fit, in_mean in zip(fits, found.in_means, strict=True)
    ]
    pulls = [bread @ (design.T @ derivative) for design, bread, derivative in models]
    added = np.empty(outcome.size)
    for block in blocks(outcome.size, CACHED_ROWS):
        y, d, own, likelihood = (
            values[block] for values in (outcome, treated, rows, likelihood_weights)
        )
        x = score_design[block]
        z = x if outcome_design is score_design else outcome_design[block]
        arms = own * d, own * (1 - d)
        terms = [(full.residuals(block) * likelihood, full.slopes(block) * likelihood)]
        terms += [
            (inside * (y - z @ fit.coefficients), inside)
            for inside, fit in zip(arms, fits, strict=True)
        ]
        each = None if copies is None else copies[block]
        added[block] = sum(
            _model_influence(
                part, bread, pull, residual, curvature, derivative[block], leverage, each
            )
            for part, (_, bread, derivative), pull, (residual, curvature) in zip(
                (x, z, z), models, pulls, terms, strict=True
            )
        )
    added *= outcome.size
    return added


def _model_influence(
    design: np.ndarray,
    bread: np.ndarray,
    pull: np.ndarray,
    residual: np.ndarray,
    curvature: np.ndarray,
    derivative: np.ndarray,
    leverage: bool,
    copies: np.ndarray | None,
) -> np.ndarray:
    """Some rows' influence on a moment through a linear index, ``pull' x residual``, ``(n,)``.

    Parameters
    ----------
    residual, curvature
        Weights included: row i adds ``residual[i] x[i]`` to the model's gradient and
        ``curvature[i] x[i] x[i]'`` to its hessian.
    derivative
        Row i's part ``derivative[i] x[i]`` of the moment's derivative in the coefficients.
    """
    along = design @ pull
    if leverage:
        parts = bread @ design.T
        parts *= design.T
        distance = parts.sum(axis=0)
        if copies is not None:  # a row's own part is a share of its entry's
            distance /= copies
        free = np.maximum(1 - curvature * distance, FREE)
        along -= derivative * distance
        along /= np.sqrt(free)
    along *= residual
    return along
