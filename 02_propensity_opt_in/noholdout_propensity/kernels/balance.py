"""Covariate balance between the arms, before and after weighting or matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.weighting import Estimand


@dataclass(frozen=True)
class Balance:
    """Balance of each covariate, every array of shape ``(k,)``.

    Parameters
    ----------
    smd
        Standardised mean difference: treated minus control, over ``scale``.
    variance_ratio
        Treated over control variance; ``nan`` for a 0/1 covariate, whose mean says it all.
    ks
        Largest gap between the two (weighted) distribution functions.
    ecdf
        Mean gap between them over the covariate's distinct values.
    """

    smd: np.ndarray
    variance_ratio: np.ndarray
    ks: np.ndarray
    ecdf: np.ndarray


def is_binary(values: np.ndarray) -> np.ndarray:
    """Which columns hold only 0 and 1, shape ``(k,)``."""
    return np.array([bool(np.isin(column, (0.0, 1.0)).all()) for column in values.T], dtype=bool)


def scales(
    values: np.ndarray,
    treated: np.ndarray,
    rows: np.ndarray,
    binary: np.ndarray,
    estimand: Estimand,
) -> np.ndarray:
    """The SMDs' denominators: the treated SD for ATT, otherwise the pooled SD of both arms.

    Always of the data before any balancing, so that a difference can't shrink through its
    denominator. Shape ``(k,)``.
    """
    variances = [weighted_moments(values, rows * arm, binary)[1] for arm in (treated, 1 - treated)]
    if estimand == "att":
        return np.sqrt(variances[0])
    return np.sqrt((variances[0] + variances[1]) / 2)


def weighted_moments(
    values: np.ndarray, weights: np.ndarray, binary: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means and variances, shape ``(k,)``.

    A 0/1 column's variance is ``p (1 - p)``; another's has the unbiased factor
    ``S^2 / (S^2 - sum w^2)`` with S the sum of weights (n / (n - 1) for equal weights).
    """
    total = weights.sum()
    mean = weights @ values / total
    second = weights @ (values - mean) ** 2 / total
    square = float(weights @ weights)
    factor = total**2 / (total**2 - square) if total**2 > square else np.nan
    return mean, np.where(binary, mean * (1 - mean), second * factor)


def balance(
    values: np.ndarray,
    treated: np.ndarray,
    weights: np.ndarray,
    scale: np.ndarray,
    binary: np.ndarray,
    orders: Sequence[np.ndarray],
) -> Balance:
    """Balance under row weights (sampling weights before, balancing weights after)."""
    mean1, variance1 = weighted_moments(values, weights * treated, binary)
    mean0, variance0 = weighted_moments(values, weights * (1 - treated), binary)
    gap = mean1 - mean0
    with np.errstate(divide="ignore", invalid="ignore"):
        smd = np.where(scale > 0, gap / scale, np.where(np.abs(gap) < 1e-12, 0.0, np.inf * gap))
        ratio = np.where(binary, np.nan, variance1 / variance0)
    distances = [
        (abs(float(g)), abs(float(g))) if b else distribution_gap(column, treated, weights, order)
        for column, b, g, order in zip(values.T, binary, gap, orders, strict=True)
    ]
    ks, ecdf = np.array(distances).reshape(-1, 2).T
    return Balance(smd, ratio, ks, ecdf)


def sort_orders(values: np.ndarray, binary: np.ndarray) -> list[np.ndarray]:
    """The order of each column's values; empty for a 0/1 column, which needs none."""
    return [
        np.empty(0, dtype=np.int64) if b else np.argsort(column)
        for column, b in zip(values.T, binary, strict=True)
    ]


def distribution_gap(
    column: np.ndarray, treated: np.ndarray, weights: np.ndarray, order: np.ndarray
) -> tuple[float, float]:
    """Largest and mean gap between the arms' weighted distribution functions."""
    signed = np.where(
        treated == 1,
        weights / (weights @ treated),
        -weights / (weights @ (1 - treated)),
    )
    ordered = column[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    gaps = np.abs(np.cumsum(signed[order])[last])
    return float(gaps.max()), float(gaps.mean())


def effective_size(weights: np.ndarray) -> float:
    """Kish's effective sample size ``(sum w)^2 / sum w^2``."""
    square = float(weights @ weights)
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0
