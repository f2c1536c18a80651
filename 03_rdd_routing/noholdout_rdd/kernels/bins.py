"""Binned means and fitted curves for the picture of a regression discontinuity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_rdd.kernels.local import LocalFit
from noholdout_rdd.kernels.side import Side

MOST_BINS = 60


@dataclass(frozen=True)
class Bins:
    """Means of the outcome in evenly spaced bins of one side.

    Parameters
    ----------
    middle, mean, std_error, rows
        Shape ``(k,)``; empty bins are left out; the error of a single row is ``nan``.
    count
        How many bins were laid, empty ones included.
    """

    middle: np.ndarray
    mean: np.ndarray
    std_error: np.ndarray
    rows: np.ndarray
    count: int


def optimal_bins(side: Side, reach: float) -> int:
    """The number of evenly spaced bins that minimises the integrated MSE within ``reach``.

    Calonico, Cattaneo and Titiunik (2015, JASA 110:1753, theorem 2): balances the bins' variance
    (from neighbouring rows) with the squared slope of the curve (from a global quartic).
    """
    side = side.by_score
    k = side.within(reach, "uniform")
    n = side.rows_in(k)
    if n < 10:
        return max(n, 1)
    distance, y, each = side.distance[:k], side.values[0, :k], side.each(k)
    own = side.scatter(k) / each
    # The expected squared difference of a row from one of the next score.
    spread = np.diff(y) ** 2 + own[1:] + own[:-1]
    noise = float((np.diff(distance) * spread).sum()) / 2  # integral of the variance over scores
    u = distance / reach
    degree = min(4, max(1, k - 1))
    curve = np.polynomial.polynomial.polyfit(u, y, degree, w=np.sqrt(each))
    slope = np.polynomial.polynomial.polyval(u, np.polynomial.polynomial.polyder(curve)) / reach
    bend = float(slope**2 @ each / n)
    variance = noise / reach  # mean variance per unit of score
    bias = reach**2 * bend / 12
    if not (variance > 0 and bias > 0):
        return min(MOST_BINS, 20)
    count = int(np.ceil((2 * bias * n / variance) ** (1 / 3)))
    return int(np.clip(count, 4, min(MOST_BINS, n)))


def binned_means(side: Side, reach: float, count: int) -> Bins:
    """Means in ``count`` bins between the cutoff and ``reach``."""
    n = side.within(reach, "uniform")
    distance, y = side.distance[:n], side.values[0, :n]
    each = side.each(n)
    weights = each if side.weights is None else side.weights[:n]
    place = np.minimum((distance / reach * count).astype(int), count - 1)
    rows = np.bincount(place, weights=each, minlength=count).astype(np.int64)
    total = np.bincount(place, weights=weights, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(place, weights=weights * y, minlength=count) / total
        middle = np.bincount(place, weights=weights * distance, minlength=count) / total
        around = weights**2 / each * (y - mean[place]) ** 2 + side.scatter(n)
        square = np.bincount(place, weights=around, minlength=count)
        std_error = np.where(rows > 1, np.sqrt(square * rows / (rows - 1)) / total, np.nan)
    used = total > 0
    return Bins(middle[used], mean[used], std_error[used], rows[used], count)


@dataclass(frozen=True)
class Curve:
    """A fitted polynomial and its pointwise standard error along distances from the cutoff."""

    distance: np.ndarray
    fit: np.ndarray
    std_error: np.ndarray


def fitted_curve(side: Side, fit: LocalFit, noise: np.ndarray, points: int = 41) -> Curve:
    """The polynomial of ``fit`` for ``values[0]``, drawn from the cutoff to its bandwidth."""
    distance = np.linspace(0.0, min(fit.bandwidth, float(side.distance[fit.n - 1])), points)
    basis = np.vander(distance / fit.bandwidth, fit.degree + 1, increasing=True)
    curve = basis @ fit.coefficients(side.values[:1])[:, 0]
    scores = fit.basis * fit.kernel_weights * noise
    covariance = fit.inverse @ (scores @ scores.T) @ fit.inverse
    variance = np.einsum("ij,jk,ik->i", basis, covariance, basis)
    return Curve(distance, curve, np.sqrt(np.maximum(variance, 0.0)))
