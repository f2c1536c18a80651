"""The gain curve and the TOC at chosen shares, with the variance of each point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_uplift.kernels.ranking import Ranking


@dataclass(frozen=True)
class Curve:
    """Values of a curve and their variances, both of shape ``(m,)``."""

    value: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class _Cumulated:
    """Sums over the top of a ranking at each share, shape ``(m,)``."""

    gain: np.ndarray
    mean: np.ndarray
    average: float
    total: float


def gain_curve(
    ranking: Ranking,
    gamma: np.ndarray,
    fractions: np.ndarray,
    clusters: np.ndarray | None = None,
) -> Curve:
    """The gain (Qini) curve ``u * mean(gamma in the top share u)`` at ``fractions``.

    Tied rows contribute in proportion. The variance is that of the mean of ``gamma`` in the rows
    selected, ``psi = 1(top) (gamma - mean)``, with sums within ``clusters`` (codes in the rows'
    own order) where they are given.
    """
    sums = _cumulate(ranking, gamma, fractions)
    inside = (np.ones(fractions.size), -sums.mean)
    outside = (np.zeros(fractions.size), np.zeros(fractions.size))
    return Curve(
        sums.gain, _variance(ranking, gamma, fractions, clusters, inside, outside, sums.total)
    )


def toc_curve(
    ranking: Ranking,
    gamma: np.ndarray,
    fractions: np.ndarray,
    clusters: np.ndarray | None = None,
) -> Curve:
    """The TOC ``mean(gamma in the top share u) - mean(gamma)`` at ``fractions > 0``.

    ``psi = 1(top) (gamma - mean) / u - (gamma - average)``.
    """
    sums = _cumulate(ranking, gamma, fractions)
    ones = np.ones(fractions.size)
    inside = (1 / fractions - 1, sums.average - sums.mean / fractions)
    outside = (-ones, sums.average * ones)
    return Curve(
        sums.mean - sums.average,
        _variance(ranking, gamma, fractions, clusters, inside, outside, sums.total),
    )


def _cumulate(ranking: Ranking, gamma: np.ndarray, fractions: np.ndarray) -> _Cumulated:
    weighted = ranking.weight * gamma[ranking.order]
    position = np.append(0.0, np.cumsum(ranking.group_weight))
    sums = np.append(0.0, np.cumsum(np.bincount(ranking.group, weights=weighted)))
    total = float(position[-1])
    gain = np.interp(fractions * total, position, sums) / total
    mean = np.divide(gain, fractions, out=np.zeros(fractions.size), where=fractions > 0)
    return _Cumulated(gain, mean, float(sums[-1] / total), total)


def _variance(
    ranking: Ranking,
    gamma: np.ndarray,
    fractions: np.ndarray,
    clusters: np.ndarray | None,
    inside: tuple[np.ndarray, np.ndarray],
    outside: tuple[np.ndarray, np.ndarray],
    total: float,
) -> np.ndarray:
    """Sum of squares of ``slope * gamma + level``, with one pair inside the top, one outside.

    A tied group counts as inside when its middle is.
    """
    width = ranking.group_weight
    middle = (np.cumsum(width) - width / 2) / total
    bins = np.searchsorted(fractions, middle, side="left")[ranking.group]
    w, effect = ranking.weight, gamma[ranking.order]
    m = fractions.size

    def upto(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sums = np.cumsum(np.bincount(bins, weights=values, minlength=m + 1))
        return sums[:m], sums[-1] - sums[:m]

    if clusters is None:
        squares, products, ones = (upto(w**2 * v) for v in (effect**2, effect, np.ones(w.size)))
        parts = (
            slope**2 * squares[side] + 2 * slope * level * products[side] + level**2 * ones[side]
            for side, (slope, level) in enumerate((inside, outside))
        )
        return sum(parts, np.zeros(m)) / total**2
    codes = np.unique(clusters, return_inverse=True)[1][ranking.order]
    count = int(codes.max()) + 1
    cell = codes * (m + 1) + bins
    psi = np.zeros((count, m))
    for values, place in ((w * effect, 0), (w, 1)):
        table = np.bincount(cell, weights=values, minlength=count * (m + 1))
        sums = table.reshape(count, m + 1).cumsum(axis=1)
        psi += inside[place] * sums[:, :m] + outside[place] * (sums[:, -1:] - sums[:, :m])
    return count / max(count - 1, 1) * (psi**2).sum(axis=0) / total**2
