"""The two models behind AIPW: fitted on all rows, or out of fold (cross-fitting)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from noholdout_propensity.kernels.chords import chord_steps
from noholdout_propensity.kernels.designs import Design, blocks
from noholdout_propensity.kernels.outcome import LinearFit, solve_normal
from noholdout_propensity.kernels.score import ScoreFit, fit_score, invert, logistic
from noholdout_propensity.kernels.sums import ArmSums, arm_sums, design_sums, weighted_gram
from noholdout_propensity.kernels.weighting import clipped

SORTED_ROWS = 65_536  # enough that each fold and arm has a long slice


@dataclass(frozen=True)
class Sample:
    """What both models are fitted to.

    Parameters
    ----------
    outcome, treated
        Shape ``(n,)``.
    score_design, outcome_design
        Shape ``(n, k)``, one and the same where both models share it.
    likelihood_weights
        Of the score's likelihood, ``(n,)``; ``None`` for ones.
    rows
        Row weights of the outcome models and the moment, zero for a trimmed row, ``(n,)``.
    """

    outcome: np.ndarray
    treated: np.ndarray
    score_design: Design
    outcome_design: Design
    likelihood_weights: np.ndarray | None
    rows: np.ndarray

    @property
    def shared(self) -> bool:
        """Whether both models have the same design."""
        return self.outcome_design is self.score_design


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


def clipped_nuisance(nuisance: Nuisance, clip: float | None) -> Nuisance:
    """With scores clipped; a clipped score doesn't move with the score's coefficients."""
    if clip is None:
        return nuisance
    score = clipped(nuisance.score, clip)
    return replace(nuisance, score=score, slope=nuisance.slope * (score == nuisance.score))


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


def cross_fit_linear(sample: Sample, full: ScoreFit, fold: np.ndarray) -> Nuisance | None:
    """Logit score and linear outcome models, each row predicted from the other folds.

    Sums are formed fold by fold, once; leaving a fold out is a subtraction. ``None`` when a fold's
    score model has no solution.
    """
    weights = sample.likelihood_weights
    sums = _fold_sums(sample, full, fold)
    gradients, hessians = (
        np.array([getattr(part, name) for part in sums]) for name in ("gradient", "hessian")
    )
    found = chord_steps(
        sample.score_design,
        sample.treated,
        weights,
        fold,
        full.coefficients,
        gradients.sum(axis=0) - gradients,
        np.array([invert(hessian) for hessian in hessians.sum(axis=0) - hessians]),
    )
    for f, coefficients in enumerate(found):
        if coefficients is None:
            rest = (fold != f) * (1.0 if weights is None else weights)
            fit = fit_score(sample.score_design, sample.treated, weights=rest)
            if not fit.converged:
                return None
            found[f] = fit.coefficients
    lines = []
    for a in (0, 1):
        whole = reduce(add, (part.arms[a] for part in sums))
        left = [whole - part.arms[a] for part in sums]
        lines.append([solve_normal(part.gram, part.cross).coefficients for part in left])
    if sample.shared:
        index, *means = _own_fold(sample.score_design, np.array([found, *lines]), fold)
    else:
        (index,) = _own_fold(sample.score_design, np.array([found]), fold)
        means = list(_own_fold(sample.outcome_design, np.array(lines), fold))
    score = logistic(index)
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


def _fold_sums(sample: Sample, full: ScoreFit, fold: np.ndarray) -> list[_FoldSums]:
    """The sums of each fold, the score's at the solution on all rows."""
    count = int(fold.max()) + 1
    found: list[_FoldSums | None] = [None] * count
    for block in blocks(fold.size, SORTED_ROWS):
        # Rows of one fold and arm side by side: then each is a slice, and so is a fold.
        narrow = np.int16 if count < 16_000 else np.int32  # the shorter are sorted by counting
        cell = 2 * fold[block].astype(narrow) + (sample.treated[block] < 0.5).astype(narrow)
        order = np.argsort(cell, kind="stable")
        edges = np.searchsorted(cell[order], np.arange(2 * count + 1)).tolist()
        x = sample.score_design[block].T.take(order, axis=1).T
        z = x if sample.shared else sample.outcome_design[block].T.take(order, axis=1).T
        y, d, v, e = (
            values[block].take(order)
            for values in (sample.outcome, sample.treated, sample.rows, full.score)
        )
        residual, curvature = d - e, e * (1 - e)
        if sample.likelihood_weights is not None:
            likelihood = sample.likelihood_weights[block].take(order)
            residual, curvature = residual * likelihood, curvature * likelihood
        for f in range(count):
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
    """Each row's indices under its own fold's coefficients ``(m, f, k)``, shape ``(m, n)``."""
    models, folds, k = coefficients.shape
    out = np.empty((models, fold.size))
    for rows in blocks(fold.size):
        each = coefficients.reshape(-1, k) @ design[rows].T
        size = each.shape[1]
        own = fold[rows].astype(np.intp)
        own *= size
        own += np.arange(size)
        out[:, rows] = each.reshape(models, folds * size).take(own, axis=1)
    return out


def linear_nuisance(
    outcome_design: Design, full: ScoreFit, fits: tuple[LinearFit, LinearFit]
) -> Nuisance:
    """Predictions of models fitted once on all rows (no cross-fitting)."""
    means = [outcome_design @ fit.coefficients for fit in fits]
    return Nuisance(full.score, full.slopes(), means[0], means[1])


def arm_fits(
    outcome: np.ndarray,
    treated: np.ndarray,
    design: Design,
    rows: np.ndarray,
    gram: np.ndarray | None = None,
) -> tuple[LinearFit, LinearFit]:
    """The linear outcome models of the treated and the control arm; ``gram`` as in `arm_sums`."""
    inside, outside = arm_sums(design, outcome, treated, rows, gram)
    return solve_normal(inside.gram, inside.cross), solve_normal(outside.gram, outside.cross)
