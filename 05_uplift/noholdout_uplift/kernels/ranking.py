"""What a ranking is worth: gain curve, Qini, AUUC, AUTOC, each with its influence values.

Notation (Yadlowsky, Fleming, Shah, Brunskill and Wager 2025, JASA 120(549)): ``gamma`` holds
scores whose mean over any group of rows is the group's treatment effect (AIPW); rows stand in
descending order of ``score``; ``TOC(u)`` is the effect in the top share ``u`` less the effect in
all rows. Tied rows are exchangeable: every metric is its expectation over random orders of the
tied rows, so it can't depend on the order in which rows come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.errors import DataError
from scipy.special import polygamma
from scipy.special import psi as digamma

LONGEST_TABLE = 20_000_000  # harmonic sums of whole weights beyond it come from digamma


@dataclass(frozen=True)
class Ranking:
    """Rows in descending order of score, with their groups of ties.

    Parameters
    ----------
    order
        Row numbers, best first, shape ``(n,)``.
    group
        Number of the tied group of each row along ``order``, from 0, shape ``(n,)``.
    weight
        Weights along ``order``, shape ``(n,)``.
    group_weight
        Total weight of each tied group, shape ``(g,)``.
    """

    order: np.ndarray
    group: np.ndarray
    weight: np.ndarray
    group_weight: np.ndarray


@dataclass(frozen=True)
class RankMetrics:
    """Metrics of one ranking.

    Parameters
    ----------
    ate
        Mean effect.
    autoc
        The plain mean of ``TOC(i / n)`` over ``i = 1..n`` (as R's grf; some packages weight it).
    qini
        The mean of ``(i / n) TOC(i / n)``: the area between the gain curve and the straight line
        of a random order. Not normalised, in the outcome's units per row.
    auuc
        The mean of ``gain(i / n)``, the area under the gain curve:
        ``qini + (n + 1) / (2 n) * ate``.
    psi
        Influence values of (ate, autoc, qini, auuc) in the rows' own order, shape ``(n, 4)``.
    """

    ate: float
    autoc: float
    qini: float
    auuc: float
    psi: np.ndarray


def rank(score: np.ndarray, weight: np.ndarray | None = None) -> Ranking:
    """Sort rows by score, highest first, and find the ties. ``weight`` defaults to ones."""
    if score.size == 0 or np.isnan(score).any():
        raise DataError(
            f"The score has {score.size:,} rows, {int(np.isnan(score).sum()):,} of them missing.",
            "Rows without a score have no place in a ranking.",
            "Leave them out.",
        )
    order = np.argsort(-score)
    ordered = score[order]
    differs = ordered[1:] != ordered[:-1]
    sorted_weight = np.ones(score.size) if weight is None else weight[order]
    if differs.all():
        return Ranking(order, np.arange(score.size), sorted_weight, sorted_weight)
    group = np.zeros(score.size, dtype=np.int64)
    np.cumsum(differs, out=group[1:])
    return Ranking(order, group, sorted_weight, np.bincount(group, weights=sorted_weight))


def rank_metrics(
    score: np.ndarray, gamma: np.ndarray, weight: np.ndarray | None = None
) -> RankMetrics:
    """ATE, AUTOC, Qini and AUUC of the ranking by ``score``, with influence values.

    Parameters
    ----------
    score, gamma
        Shape ``(n,)``: the ranking, made without these rows, and the AIPW scores.
    weight
        How many rows each row stands for, shape ``(n,)``. A weight of 2 equals two such rows.

    Returns
    -------
    RankMetrics
        The estimator's error is about ``sum(weight * psi) / sum(weight)``; ``psi`` holds the
        sampling of the ranks too (Yadlowsky et al. 2025, theorem 2, as an infinitesimal
        jackknife).
    """
    return metrics_of(rank(score, weight), gamma)


def metrics_of(ranking: Ranking, gamma: np.ndarray) -> RankMetrics:
    """:func:`rank_metrics` of rows that are ranked already.

    With row positions ``i = 1..N`` and cumulated scores ``S_i``, a tied group that fills the
    positions ``a+1..b`` has ``S_i = S_a + mean * (i - a)``, so sums over its positions need only
    the harmonic sums ``H = sum 1/i`` and ``H2 = sum 1/i^2``.
    """
    sorted_gamma = gamma[ranking.order]
    if ranking.group_weight.size == gamma.size and (ranking.weight == 1).all():
        return _untied(ranking.order, sorted_gamma)
    sums = _sums(ranking, sorted_gamma)
    ate, autoc, qini, auuc = _values(sums)
    width, total = sums.width, sums.end[-1]
    line = (total + 1) / (2 * total)
    level = (sums.before + sums.mean * (width + 1) / 2) / total
    slope = (total - sums.start - (width - 1) / 2) / total
    psi_ate = sorted_gamma - ate
    psi_autoc = _psi_autoc(sums, ate, autoc, ranking.group, sorted_gamma)
    psi_auuc = slope[ranking.group] * sorted_gamma + level[ranking.group] - 2 * auuc
    psi = np.empty((gamma.size, 4))
    psi[ranking.order] = np.column_stack([psi_ate, psi_autoc, psi_auuc - line * psi_ate, psi_auuc])
    return RankMetrics(ate, autoc, qini, auuc, psi)


def _untied(order: np.ndarray, gamma: np.ndarray) -> RankMetrics:
    """:func:`metrics_of` without ties or weights, where every sum is over single rows."""
    n = gamma.size
    inverse = 1.0 / np.arange(1, n + 1)
    cumulated = np.cumsum(gamma)
    mean = cumulated * inverse
    ate = float(mean[-1])
    autoc = float(mean.mean()) - ate
    auuc = float(cumulated.mean()) / n
    line = (n + 1) / (2 * n)
    tail = np.cumsum(inverse[::-1])[::-1]
    tail_means = np.cumsum((mean * inverse)[::-1])[::-1]
    psi = np.empty((4, n))
    psi_ate = gamma - ate
    psi_auuc = np.arange(n, 0, -1) / n * gamma + cumulated / n - 2 * auuc
    psi[0, order] = psi_ate
    psi[1, order] = mean - tail_means - autoc + gamma * (tail - 1)
    psi[2, order] = psi_auuc - line * psi_ate
    psi[3, order] = psi_auuc
    return RankMetrics(ate, autoc, auuc - line * ate, auuc, psi.T)


def metric_values(ranking: Ranking, sorted_gamma: np.ndarray) -> tuple[float, float, float, float]:
    """(ate, autoc, qini, auuc) of ``sorted_gamma``, which stands in the ranking's order."""
    return _values(_sums(ranking, sorted_gamma))


@dataclass(frozen=True)
class _Sums:
    """Per tied group: mean score, positions ``start+1..end``, sum before it, harmonic sums."""

    width: np.ndarray
    mean: np.ndarray
    start: np.ndarray
    end: np.ndarray
    before: np.ndarray
    h1: np.ndarray


def _sums(ranking: Ranking, sorted_gamma: np.ndarray) -> _Sums:
    width = ranking.group_weight
    mean = _group_mean(sorted_gamma, ranking)
    end = np.cumsum(width)
    cumulated = np.cumsum(mean * width)
    before = cumulated - mean * width
    start = end - width
    return _Sums(width, mean, start, end, before, harmonic_sums(start, end))


def _values(sums: _Sums) -> tuple[float, float, float, float]:
    total = sums.end[-1]
    width, mean = sums.width, sums.mean
    ate = float(width @ mean / total)
    excess = sums.before - mean * sums.start  # S_i / i = mean + excess / i inside a group
    autoc = float((mean * width + excess * sums.h1).sum() / total - ate)
    auuc = float((sums.before * width + mean * width * (width + 1) / 2).sum() / total**2)
    return ate, autoc, auuc - (total + 1) / (2 * total) * ate, auuc


def _group_mean(sorted_gamma: np.ndarray, ranking: Ranking) -> np.ndarray:
    width = ranking.group_weight
    sums = np.bincount(ranking.group, weights=sorted_gamma * ranking.weight)
    return np.divide(sums, width, out=np.zeros(width.size), where=width > 0)


def _psi_autoc(
    sums: _Sums, ate: float, autoc: float, group: np.ndarray, sorted_gamma: np.ndarray
) -> np.ndarray:
    width, mean, start, h1 = sums.width, sums.mean, sums.start, sums.h1
    h2 = harmonic_sums(start, sums.end, squared=True)
    excess = sums.before - mean * start
    safe = np.where(width > 0, width, 1.0)
    tail = _sum_after(h1) + 1 - start * h1 / safe
    inside = mean * (width - start * h1) + excess * (h1 - start * h2)
    tail_means = _sum_after(mean * h1 + excess * h2) + inside / safe
    toc = mean + excess * h1 / safe - ate
    level = toc - tail_means + ate - autoc
    return level[group] + sorted_gamma * (tail - 1)[group]


def harmonic_sums(start: np.ndarray, end: np.ndarray, squared: bool = False) -> np.ndarray:
    """Sums of ``1/i`` (or ``1/i^2``) over ``i = start+1..end``, continued to fractional weights."""
    power = 2 if squared else 1
    single = end - start == 1
    sums = np.divide(1.0, end**power, out=np.zeros(end.size), where=single)
    many = ~single & (end > start)
    if not many.any():
        return sums
    low, high = start[many], end[many]
    whole = (low == np.floor(low)).all() and (high == np.floor(high)).all()
    if whole and end[-1] <= LONGEST_TABLE:
        table = np.append(0.0, np.cumsum(1.0 / np.arange(1, int(end[-1]) + 1) ** power))
        sums[many] = table[high.astype(np.int64)] - table[low.astype(np.int64)]
    elif squared:
        sums[many] = polygamma(1, low + 1) - polygamma(1, high + 1)
    else:
        sums[many] = digamma(high + 1) - digamma(low + 1)
    return sums


def top_mean(ranking: Ranking, sorted_gamma: np.ndarray, fraction: float) -> float:
    """Mean of ``sorted_gamma`` (in the ranking's order) in the top ``fraction``."""
    end = np.cumsum(ranking.group_weight)
    sums = np.cumsum(np.bincount(ranking.group, weights=sorted_gamma * ranking.weight))
    room = fraction * end[-1]
    reached = np.interp(room, np.append(0.0, end), np.append(0.0, sums))
    return float(reached / room)


def _sum_after(values: np.ndarray) -> np.ndarray:
    """For each group the sum over all later groups."""
    return np.cumsum(values[::-1])[::-1] - values


def top_weights(score: np.ndarray, fraction: float, weight: np.ndarray | None = None) -> np.ndarray:
    """How much of each row belongs to the top ``fraction`` by score: 1, 0, or a share at the edge.

    Rows tied at the edge share equally what is left of the fraction, so the sum (with weights:
    the weighted sum) is exactly ``fraction`` of all rows. Shape ``(n,)``.
    """
    return tops_of(rank(score, weight), np.array([fraction]))[:, 0]


def tops_of(ranking: Ranking, fractions: np.ndarray) -> np.ndarray:
    """:func:`top_weights` at several fractions of rows that are ranked already, ``(n, m)``."""
    width = ranking.group_weight[:, None]
    room = fractions * width.sum() - (np.cumsum(width) - width[:, 0])[:, None]
    taken = np.divide(room, width, out=np.zeros(room.shape), where=width > 0).clip(0.0, 1.0)
    chosen = np.empty((ranking.order.size, fractions.size))
    chosen[ranking.order] = taken[ranking.group]
    return chosen
