"""An interrupted time series: a step at the launch, with first-order autocorrelated errors.

Generalised least squares with the autocorrelation by restricted maximum likelihood (Prais and
Winsten 1954 for the transform; Cheang and Reinsel 2000, JASA 95(452), for why the restricted
likelihood: the plain one takes the errors for less persistent than they are, and its intervals are
too narrow).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from noholdout_shared.errors import DesignError

GRID = np.concatenate([np.linspace(-0.6, 0.9, 51), np.linspace(0.905, 0.99, 18)])


@dataclass(frozen=True)
class StepFit:
    """A regression with autocorrelated errors.

    Parameters
    ----------
    coefficients, covariance
        Shapes ``(k,)`` and ``(k, k)``.
    autocorrelation
        Of the errors, at one period's distance.
    error_variance
        Of one error, marginally.
    df
        Periods less coefficients.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    autocorrelation: float
    error_variance: float
    df: int


def fit_step(outcome: np.ndarray, design: np.ndarray) -> StepFit:
    """Fit ``outcome`` (shape ``(T,)``) on ``design`` (shape ``(T, k)``)."""
    periods, columns = design.shape
    if np.linalg.matrix_rank(design) < columns or periods <= columns + 2:
        raise DesignError(
            f"{periods} periods can't tell {columns} coefficients apart.",
            "A step, a trend and the control series need more data, or move as one.",
            "Add periods, or leave control series out.",
        )
    scores = [_restricted(outcome, design, float(rho)) for rho in GRID]
    rho = float(GRID[int(np.argmax(scores))])
    y, x = _whiten(outcome, rho), _whiten(design, rho)
    inverse = np.linalg.inv(x.T @ x)
    coefficients = inverse @ (x.T @ y)
    residual = y - x @ coefficients
    df = periods - columns
    innovation = float(residual @ residual) / df
    return StepFit(coefficients, innovation * inverse, rho, innovation / (1 - rho**2), df)


def _whiten(values: np.ndarray, rho: float) -> np.ndarray:
    moved = values.astype(float).copy()
    moved[1:] -= rho * values[:-1]
    moved[0] *= math.sqrt(1 - rho**2)
    return moved


def _restricted(outcome: np.ndarray, design: np.ndarray, rho: float) -> float:
    """Restricted log-likelihood, the error variance profiled out."""
    y, x = _whiten(outcome, rho), _whiten(design, rho)
    coefficients, *_ = np.linalg.lstsq(x, y, rcond=None)
    residual = y - x @ coefficients
    df = y.size - x.shape[1]
    _, information = np.linalg.slogdet(x.T @ x)
    left = max(float(residual @ residual), 1e-300)
    return 0.5 * math.log(1 - rho**2) - 0.5 * float(information) - 0.5 * df * math.log(left)
