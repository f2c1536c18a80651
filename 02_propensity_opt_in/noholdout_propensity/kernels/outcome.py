"""Outcome models: one weighted linear regression per arm, and regression adjustment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.designs import Design
from noholdout_propensity.kernels.sums import design_sums


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


def fit_linear(design: Design, outcome: np.ndarray, weights: np.ndarray) -> LinearFit:
    """Least squares with row weights (zero leaves a row out)."""
    sums = design_sums(design, outcome, weights)
    return solve_normal(sums.gram, sums.cross)


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
    design: Design,
    target: np.ndarray,
    rows: np.ndarray,
) -> RegressionEffect:
    """Average difference of two regressions' predictions over the target rows.

    Parameters
    ----------
    target
        Whom the answer covers: 1 for everyone, D for the treated, 1 - D for the others.
    rows
        Row weights; zero for a trimmed row.

    Notes
    -----
    Influence: the target average's own spread plus the coefficients' influence at the target's
    covariate mean (stacked equations; Wooldridge 2010, section 21.3.3).
    """
    n = outcome.size
    mass = rows * target
    share = float(mass.sum())
    centre = design.T @ mass / share
    means, ranks = [], []
    implied = np.zeros(n)
    influence = np.zeros(n)
    for arm, sign in ((treated, 1.0), (1 - treated, -1.0)):
        inside = rows * arm
        fit = fit_linear(design, outcome, inside)
        predicted = design @ fit.coefficients
        leverage = design @ (fit.bread @ centre)
        means.append(float(centre @ fit.coefficients))
        ranks.append(fit.rank)
        influence += sign * (
            mass * (predicted - means[-1]) / share + inside * (outcome - predicted) * leverage
        )
        implied += inside * leverage
    return RegressionEffect(
        means[0] - means[1], n * influence, means[0], means[1], implied, min(ranks)
    )
