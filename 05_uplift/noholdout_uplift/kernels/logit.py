"""An unpenalised logit with an offset, by Newton's method, and the score test of its slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, expit, logit

from noholdout_uplift.scored import Drawn

MAX_STEPS = 50
TOLERANCE = 1e-10


@dataclass(frozen=True)
class LogitFit:
    """A fitted logit: coefficients of the standardised features, and how to standardise.

    ``converged`` is false under separation, when a feature predicts the treatment perfectly.
    """

    beta: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    converged: bool

    def predict(self, x: np.ndarray, base: np.ndarray | None = None) -> np.ndarray:
        """Probabilities for features of shape ``(n, k)``, shape ``(n,)``."""
        offset = 0.0 if base is None else logit(base)
        return expit(offset + _matrix(x, self.centre, self.spread) @ self.beta)


def fit_logit(
    x: np.ndarray,
    treatment: np.ndarray,
    base: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> LogitFit:
    """Logit of ``treatment`` on a constant and ``x`` (shape ``(n, k)``), offset ``logit(base)``."""
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread == 0] = 1.0
    matrix = _matrix(x, centre, spread)
    offset = np.zeros(len(x)) if base is None else logit(base)
    mass = np.ones(len(x)) if weight is None else weight
    beta = np.zeros(matrix.shape[1])
    for _ in range(MAX_STEPS):
        fitted = expit(offset + matrix @ beta)
        curvature = matrix.T @ (matrix * (mass * fitted * (1 - fitted))[:, None])
        try:
            step = np.linalg.solve(curvature, matrix.T @ (mass * (treatment - fitted)))
        except np.linalg.LinAlgError:
            break
        beta = beta + step
        if np.abs(beta).max() > 30:  # per SD of a feature: a perfect prediction
            break
        if np.abs(step).max() < TOLERANCE:
            return LogitFit(beta, centre, spread, True)
    return LogitFit(beta, centre, spread, False)


def _matrix(x: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(x)), (x - centre) / spread])


def score_test(
    x: np.ndarray, residual: np.ndarray, drawn: Drawn, constant: bool
) -> tuple[float, float, int]:
    """Robust score test of "``x`` doesn't predict ``residual``": chi-squared, p-value, df.

    Parameters
    ----------
    x
        Features, shape ``(n, k)``.
    residual
        Treatment less its assumed probability, shape ``(n,)``; summed over the rows behind each.
    drawn
        Clusters, and how many rows stand behind each entry.
    constant
        Whether the level itself is tested too (a propensity given from outside).
    """
    spread = x.std(axis=0)
    spread[spread == 0] = 1.0
    matrix = _matrix(x, np.average(x, axis=0, weights=drawn.copies), spread)
    if not constant:
        matrix = matrix[:, 1:]
    moments = matrix * residual[:, None]
    total = moments.sum(axis=0)
    moments = drawn.independent(moments)
    meat = moments.T @ moments
    rank = int(np.linalg.matrix_rank(meat))
    statistic = float(total @ np.linalg.pinv(meat) @ total)
    return statistic, float(chdtrc(rank, statistic)), rank
