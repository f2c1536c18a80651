"""Entropy balancing (Hainmueller 2012): weights that match the target's covariate means exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BALANCED = 1e-11  # largest gap of means left, in standard deviations
MAX_STEPS = 200


@dataclass(frozen=True)
class EntropyWeights:
    """Weights of one arm.

    Parameters
    ----------
    weights
        Shape ``(n,)``, sum 1, zero outside the arm.
    dual
        The multipliers of the mean constraints, shape ``(k,)``.
    feasible
        False when no positive weights reach the target's means.
    """

    weights: np.ndarray
    dual: np.ndarray
    feasible: bool


def entropy_weights(
    covariates: np.ndarray,
    base: np.ndarray,
    target_mean: np.ndarray,
    start: np.ndarray | None = None,
) -> EntropyWeights:
    """Weights nearest to ``base`` in Kullback-Leibler distance with the target's means.

    Newton's method on the convex dual ``log sum b exp(l'(x - target))``, with halved steps.

    Parameters
    ----------
    covariates
        Shape ``(n, k)``, without a constant, linearly independent within the arm.
    base
        Base weights, zero outside the arm, shape ``(n,)``.
    """
    inside = np.flatnonzero(base > 0)
    x = covariates[inside] - target_mean
    log_base = np.log(base[inside])
    dual = np.zeros(x.shape[1]) if start is None else start.copy()
    value, weights = _dual(x, log_base, dual)
    feasible = False
    for _ in range(MAX_STEPS):
        gradient = weights @ x
        if np.abs(gradient).max() < BALANCED:
            feasible = True
            break
        hessian = x.T @ (x * weights[:, None]) - np.outer(gradient, gradient)
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        if not np.isfinite(step).all() or np.abs(dual).max() > 1e3:
            break
        scale = 1.0
        for _ in range(40):
            trial, candidate = _dual(x, log_base, dual - scale * step)
            if trial <= value + 1e-13 * (1 + abs(value)):
                break
            scale /= 2
        else:
            break
        dual, value, weights = dual - scale * step, trial, candidate
    full = np.zeros(base.size)
    full[inside] = weights
    return EntropyWeights(full, dual, feasible)


def _dual(x: np.ndarray, log_base: np.ndarray, dual: np.ndarray) -> tuple[float, np.ndarray]:
    exponent = log_base + x @ dual
    top = float(exponent.max())
    raw = np.exp(exponent - top)
    total = float(raw.sum())
    return top + np.log(total), raw / total


def balanced_mean(
    outcome: np.ndarray,
    covariates: np.ndarray,
    weights: np.ndarray,
    target: np.ndarray,
    target_mean: np.ndarray,
) -> tuple[float, np.ndarray]:
    """The weighted mean and its influence values, shape ``(n,)``.

    ``n w (y - m - b'(x - t)) + n q b'(x - t)`` with b the weighted regression slope, t the
    target's mean and q each row's share of the target: the stacked equations of the weights, of
    the target's mean and of the weighted mean (Zhao and Percival 2017 give the same form).
    """
    n = outcome.size
    centred = covariates - target_mean
    mean = float(weights @ outcome)
    weighted = centred * weights[:, None]
    slope = np.linalg.lstsq(weighted.T @ centred, weighted.T @ (outcome - mean), rcond=None)[0]
    line = centred @ slope
    return mean, n * weights * (outcome - mean - line) + n * target * line
