"""Covariate balance between the arms, before and after weighting or matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.weighting import Estimand

BINS = 32


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


@dataclass(frozen=True)
class Bins:
    """Covariates in at most 32 bins.

    Parameters
    ----------
    codes
        Shape ``(k, n)``: how many edges lie below the value.
    edges
        Of each covariate, shape ``(b,)``; a value equal to an edge lies below it.
    """

    codes: np.ndarray
    edges: tuple[np.ndarray, ...]


def balance(
    values: Sequence[np.ndarray],
    treated: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    estimand: Estimand,
) -> tuple[Balance, Balance, Bins]:
    """Balance under the row weights before and after, and the covariates in bins.

    The SMDs' denominators are the treated SD for ATT and otherwise the pooled SD of both arms,
    always before balancing, so that a difference can't shrink through its denominator. Each
    column is sorted once, for both distribution functions and the bins.

    Parameters
    ----------
    values
        One covariate each, shape ``(n,)``.
    before, after
        Sampling weights, and the balancing weights times them, shape ``(n,)``.
    """
    k = len(values)
    signed = [_signed(treated, weights) for weights in (before, after)]
    found = [np.empty((4, k)) for _ in signed]
    codes = np.empty((k, treated.size), dtype=np.uint8)
    edges = []
    for j, column in enumerate(values):
        binary = is_binary(column)
        moments = [
            [_moments(column, weights * arm, binary) for arm in (treated, 1 - treated)]
            for weights in (before, after)
        ]
        (_, variance1), (_, variance0) = moments[0]
        scale = np.sqrt(variance1 if estimand == "att" else (variance1 + variance0) / 2)
        gaps, codes[j], cuts = _scan(column, signed, binary)
        edges.append(cuts)
        for out, (treated_side, control_side), gap in zip(found, moments, gaps, strict=True):
            out[:, j] = (*_compared(treated_side, control_side, scale, binary), *gap)
    return Balance(*found[0]), Balance(*found[1]), Bins(codes, tuple(edges))


def is_binary(column: np.ndarray) -> bool:
    """Whether a column holds only 0 and 1."""
    return bool(((column == 0) | (column == 1)).all())


def _compared(
    treated: tuple[float, float], control: tuple[float, float], scale: float, binary: bool
) -> tuple[float, float]:
    gap = treated[0] - control[0]
    if scale > 0:
        smd = gap / scale
    else:
        smd = 0.0 if abs(gap) < 1e-12 else np.inf * gap
    undefined = binary or not control[1] > 0
    return smd, np.nan if undefined else treated[1] / control[1]


def _moments(column: np.ndarray, weights: np.ndarray, binary: bool) -> tuple[float, float]:
    """Weighted mean and variance.

    A 0/1 column's variance is ``p (1 - p)``; another's has the unbiased factor
    ``S^2 / (S^2 - sum w^2)`` with S the sum of weights (n / (n - 1) for equal weights).
    """
    total = float(weights.sum())
    mean = float(weights @ column) / total
    if binary:
        return mean, mean * (1 - mean)
    square = float(weights @ weights)
    factor = total**2 / (total**2 - square) if total**2 > square else np.nan
    return mean, float(weights @ (column - mean) ** 2) / total * factor


def _signed(treated: np.ndarray, weights: np.ndarray) -> np.ndarray:
    inside, outside = float(weights @ treated), float(weights @ (1 - treated))
    return np.where(treated == 1, weights / inside, -weights / outside)


def _scan(
    column: np.ndarray, signed: list[np.ndarray], binary: bool
) -> tuple[list[tuple[float, float]], np.ndarray, np.ndarray]:
    """Gaps of the distribution functions, bin codes and edges of one column."""
    if binary:
        gaps = [abs(float(weights @ column)) for weights in signed]
        above = column > 0
        cut = np.zeros(1) if above.any() and not above.all() else np.empty(0)
        return [(gap, gap) for gap in gaps], above.astype(np.uint8), cut
    order = np.argsort(column)
    ordered = column[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    found = [distribution_gap(weights[order], last) for weights in signed]
    edges = _edges(ordered, last)
    places = np.concatenate([[0], np.searchsorted(ordered, edges, side="right"), [column.size]])
    codes = np.empty(column.size, dtype=np.uint8)
    codes[order] = np.repeat(np.arange(edges.size + 1, dtype=np.uint8), np.diff(places))
    return found, codes, edges


def distribution_gap(signed: np.ndarray, last: np.ndarray) -> tuple[float, float]:
    """Largest and mean gap between the arms' weighted distribution functions.

    Parameters
    ----------
    signed
        Each row's share of its arm's weight, negative for controls, in the column's order.
    last
        Whether a row is the last one with its value.
    """
    gaps = np.abs(np.cumsum(signed)[last])
    return float(gaps.max()), float(gaps.mean())


def _edges(ordered: np.ndarray, last: np.ndarray) -> np.ndarray:
    if int(last.sum()) <= BINS:
        return ordered[last][:-1]
    # Quantiles, interpolated between the two nearest rows.
    place = (ordered.size - 1) * np.arange(1, BINS) / BINS
    low = np.floor(place).astype(np.int64)
    step = ordered[np.minimum(low + 1, ordered.size - 1)] - ordered[low]
    return np.unique(ordered[low] + (place - low) * step)


def effective_size(weights: np.ndarray) -> float:
    """Kish's effective sample size ``(sum w)^2 / sum w^2``."""
    square = float(weights @ weights)
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0
