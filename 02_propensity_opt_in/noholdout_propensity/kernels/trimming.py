"""Trimming rules on the score: which rows keep a counterpart."""

from __future__ import annotations

import numpy as np

DEFAULT_PERCENTILE = 0.05


def crump_bounds(score: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The cut-off that minimises the ATE's variance bound (Crump et al. 2009, theorem 1).

    Keep ``a <= e <= 1 - a`` with the smallest a for which ``1 / (a (1 - a))`` is at most twice
    the mean of ``1 / (e (1 - e))`` among the rows kept; all rows when that holds for them.
    """
    cost = 1 / (score * (1 - score))
    order = np.argsort(cost, kind="stable")
    ordered, mass = cost[order], weights[order]
    mean = np.cumsum(ordered * mass) / np.cumsum(mass)
    holds = np.flatnonzero(ordered <= 2 * mean)
    last = float(ordered[holds[-1]])
    if holds[-1] == score.size - 1:
        return 0.0, 1.0
    low = 0.5 - np.sqrt(0.25 - 1 / last)
    return float(low), float(1 - low)


def percentile_bounds(
    score: np.ndarray, treated: np.ndarray, weights: np.ndarray, share: float
) -> tuple[float, float]:
    """Between the adopters' lower and the others' upper percentile (Stürmer et al. 2010)."""
    low = weighted_quantile(score[treated == 1], weights[treated == 1], share)
    high = weighted_quantile(score[treated == 0], weights[treated == 0], 1 - share)
    return low, high


def weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The smallest value with at least that share of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    place = int(np.searchsorted(reached, share - 1e-12))
    return float(values[order][min(place, values.size - 1)])
