"""Intervals, p-values and cluster sums that every method uses. Arrays in, numbers out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from noholdout_shared.errors import DesignError

POWER = 0.80


@dataclass(frozen=True)
class Interval:
    """A symmetric interval from an estimate, its standard error and a reference distribution."""

    std_error: float
    conf_low: float
    conf_high: float
    p_value: float


def critical_value(conf_level: float, df: float = math.inf) -> float:
    """The two-sided critical value of t with ``df`` degrees of freedom (normal for ``inf``)."""
    tail = 0.5 + conf_level / 2
    return float(special.ndtri(tail) if math.isinf(df) else special.stdtrit(df, tail))


def interval(
    estimate: float, std_error: float, conf_level: float, df: float = math.inf
) -> Interval:
    """Interval and two-sided p-value against zero; all ``nan`` without a positive ``std_error``."""
    if not (std_error > 0 and df > 0):
        return Interval(math.nan, math.nan, math.nan, math.nan)
    half = critical_value(conf_level, df) * std_error
    p_value = two_sided_p(estimate / std_error, df)
    return Interval(float(std_error), float(estimate - half), float(estimate + half), p_value)


def two_sided_p(statistic: float, df: float = math.inf) -> float:
    """Two-sided p-value of a t (or, for ``df = inf``, normal) statistic."""
    if math.isnan(statistic):
        return math.nan
    lower = -abs(statistic)
    return float(2 * (special.ndtr(lower) if math.isinf(df) else special.stdtr(df, lower)))


def smallest_effect(std_error: float, conf_level: float, df: float = math.inf) -> float:
    """The smallest true effect that a two-sided test would find with 80% probability.

    ``(t_{1-a/2, df} + t_{0.80, df}) * std_error`` (Bloom 1995, Evaluation Review 19(5)).
    """
    if not (std_error > 0 and df > 0):
        return math.nan
    reach = special.ndtri(POWER) if math.isinf(df) else special.stdtrit(df, POWER)
    return float((critical_value(conf_level, df) + reach) * std_error)


def not_worse_p(estimate: float, std_error: float, margin: float, df: float = math.inf) -> float:
    """One-sided p-value of "the effect is -margin or worse"; small says: not worse."""
    if not (std_error > 0 and df > 0):
        return math.nan
    # scipy.special, since importing scipy.stats alone takes half a second.
    lower = -(estimate + margin) / std_error
    return float(special.ndtr(lower) if math.isinf(df) else special.stdtr(df, lower))


def cluster_sums(values: np.ndarray, cluster_codes: np.ndarray) -> np.ndarray:
    """Sums of ``values`` (shape ``(n,)`` or ``(n, k)``) within clusters coded 0 to G-1."""
    count = int(cluster_codes.max()) + 1
    if values.ndim == 1:
        return np.bincount(cluster_codes, weights=values, minlength=count)
    return np.column_stack(
        [np.bincount(cluster_codes, weights=column, minlength=count) for column in values.T]
    )


def influence_std_error(psi: np.ndarray, cluster_codes: np.ndarray | None = None) -> float:
    """Standard error of an estimator from its influence values.

    Parameters
    ----------
    psi
        Shape ``(n,)``, scaled so that the estimator's error is about ``psi.mean()``.
    cluster_codes
        Clusters coded 0 to G-1, shape ``(n,)``; independent rows when ``None``.

    Returns
    -------
    ``sqrt(sum psi^2) / n``; with G clusters the sums within clusters take the rows' place and the
    variance is multiplied by ``G / (G - 1)``.
    """
    n = psi.size
    if cluster_codes is None:
        return float(np.sqrt(psi @ psi) / n)
    sums = cluster_sums(psi, cluster_codes)
    if sums.size < 2:
        return math.nan
    return float(np.sqrt(sums.size / (sums.size - 1) * (sums @ sums)) / n)


def require_clusters(count: int, column: str, minimum: int = 2) -> None:
    """Raise a DesignError below the number of clusters that any standard error needs."""
    if count < minimum:
        raise DesignError(
            f"Cluster column {column!r} holds {count} cluster{'s' if count != 1 else ''}.",
            "Rows of one cluster move together, so a standard error needs several clusters.",
            "Name a column with more groups, or leave --cluster out if rows are independent.",
        )
