"""An unpenalised logit with an offset, by Newton's method, and the score test of its slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.inference import cluster_sums
from scipy.special import chdtrc, expit, logit

MAX_STEPS = 50
TOLERANCE = 1e-10


@dataclass(frozen=True)
class LogitFit:
    """Fitted probabilities, shape ``(n,)``; ``converged`` is false under separation."""

    fitted: np.ndarray
    converged: bool


def fit_logit(x: np.ndarray, treatment: np.ndarray, base: np.ndarray) -> LogitFit:
    """Logit of ``treatment`` on a constant and ``x`` (shape ``(n, k)``), offset ``logit(base)``."""
    matrix = _standardised(x)
    offset = logit(base)
    beta = np.zeros(matrix.shape[1])
    for _ in range(MAX_STEPS):
        fitted = expit(offset + matrix @ beta)
        curvature = matrix.T @ (matrix * (fitted * (1 - fitted))[:, None])
        try:
            step = np.linalg.solve(curvature, matrix.T @ (treatment - fitted))
        except np.linalg.LinAlgError:
            return LogitFit(fitted, False)
        beta = beta + step
        if np.abs(beta).max() > 30:  # in units of a feature's SD: a perfect prediction
            return LogitFit(fitted, False)
        if np.abs(step).max() < TOLERANCE:
            return LogitFit(expit(offset + matrix @ beta), True)
    return LogitFit(fitted, False)


def score_test(
    x: np.ndarray, residual: np.ndarray, clusters: np.ndarray | None, constant: bool
) -> tuple[float, float, int]:
    """Robust score test of "``x`` doesn't predict ``residual``": chi-squared, p-value, df.

    Parameters
    ----------
    x
        Features, shape ``(n, k)``.
    residual
        Treatment less its assumed probability, shape ``(n,)``.
    clusters
        Codes 0 to G-1; rows count as independent when ``None``.
    constant
        Whether the level itself is tested too (a propensity given from outside).
    """
    matrix = _standardised(x)
    if not constant:
        matrix = matrix[:, 1:]
    moments = matrix * residual[:, None]
    if clusters is not None:
        moments = cluster_sums(moments, clusters)
    total = moments.sum(axis=0)
    meat = moments.T @ moments
    rank = int(np.linalg.matrix_rank(meat))
    statistic = float(total @ np.linalg.pinv(meat) @ total)
    return statistic, float(chdtrc(rank, statistic)), rank


def _standardised(x: np.ndarray) -> np.ndarray:
    spread = x.std(axis=0)
    spread[spread == 0] = 1.0
    return np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / spread])
