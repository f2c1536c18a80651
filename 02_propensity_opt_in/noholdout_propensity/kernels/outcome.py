"""Outcome models: one weighted linear regression per arm, and regression adjustment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LinearFit:
    """A weighted linear regression.

    Parameters
    ----------
    coefficients
        Shape ``(k,)``.
    bread
        Pseudo-inverse of ``Z' W Z``, shape ``(k, k)``: a column that is collinear within the arm
        gets the minimum-norm solution, which leaves the predictions in the arm unchanged.
    rank
        Rank of ``Z' W Z``; below ``k`` predictions for the other arm extrapolate.
    """

    coefficients: np.ndarray
    bread: np.ndarray
    rank: int


def fit_linear(design: np.ndarray, outcome: np.ndarray, weights: np.ndarray) -> LinearFit:
    """Least squares with row weights (zero leaves a row out)."""
    weighted = design * weights[:, None]
    return solve_normal(weighted.T @ design, weighted.T @ outcome)


def solve_normal(gram: np.ndarray, cross: np.ndarray) -> LinearFit:
    """The regression from its sums ``Z' W Z`` (k, k) and ``Z' W y`` (k,)."""
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-10 * max(float(values[-1]), 1e-300)
    inverse = np.where(keep, 1 / np.where(keep, values, 1.0), 0.0)
    bread = (vectors * inverse) @ vectors.T
    return LinearFit(bread @ cross, bread, int(keep.sum()))


@dataclass(frozen=True)
class RegressionEffect:
    """Regression adjustment: estimate, influence ``(n,)`` and the implied row weights ``(n,)``.

    ``weights``: the estimate equals the difference of the arms' means under these weights, which
    reproduce the target's covariate means exactly and can be negative where a model extrapolates.
    """

    estimate: float
    influence: np.ndarray
    mean_treated: float
    mean_control: float
    weights: np.ndarray
    rank: int


def regression_effect(
    outcome: np.ndarray,
    treated: np.ndarray,
    design: np.ndarray,
    target: np.ndarray,
    rows: np.ndarray,
    *,
    fit_weights: np.ndarray | None = None,
    fit_shift: tuple[np.ndarray, np.ndarray] | None = None,
) -> RegressionEffect:
    """Average difference of two regressions' predictions over the target rows.

    Parameters
    ----------
    target
        Whom the answer covers: 1 for everyone, D for the treated, 1 - D for the others.
    rows
        Row weights; zero for a trimmed row.
    fit_weights
        Additional weights in the regressions (inverse-probability weighted regression).
    fit_shift
        Influence of the estimated weights on both regressions' coefficients, ``(n, k)`` each.

    Notes
    -----
    Influence: the target average's own spread plus the coefficients' influence at the target's
    covariate mean (stacked equations; Wooldridge 2010, section 21.3.3).
    """
    n = outcome.size
    extra = np.ones(n) if fit_weights is None else fit_weights
    mass = rows * target
    share = float(mass.sum())
    centre = mass @ design / share
    fits, shifts = [], []
    implied = np.zeros(n)
    for arm in (treated, 1 - treated):
        arm_weights = rows * extra * arm
        fit = fit_linear(design, outcome, arm_weights)
        residual = outcome - design @ fit.coefficients
        leverage = design @ (fit.bread @ centre)
        shifts.append(n * arm_weights * residual * leverage)
        implied += arm_weights * leverage
        fits.append(fit)
    if fit_shift is not None:
        shifts = [
            own + extra_shift @ centre for own, extra_shift in zip(shifts, fit_shift, strict=True)
        ]
    means = [float(centre @ fit.coefficients) for fit in fits]
    estimate = means[0] - means[1]
    gap = design @ (fits[0].coefficients - fits[1].coefficients)
    influence = n * mass * (gap - estimate) / share + shifts[0] - shifts[1]
    rank = min(fit.rank for fit in fits)
    return RegressionEffect(estimate, influence, means[0], means[1], implied, rank)
