"""The gain curve and the TOC at chosen shares, with the covariance of their points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.inference import cluster_sums

from noholdout_uplift.kernels.ranking import Ranking
from noholdout_uplift.scored import Drawn

INDEPENDENT = Drawn()


@dataclass(frozen=True)
class Curve:
    """Values of a curve at ``m`` shares, and their covariance, of shape ``(m, m)``."""

    value: np.ndarray
    covariance: np.ndarray


@dataclass(frozen=True)
class Common:
    """What every point of a curve stands on besides its rows: estimated numbers.

    ``errors`` holds their influence values in the rows' own order, shape ``(n, k)``, weights left
    out; ``slopes`` how much each point falls with them, shape ``(m, k)``.
    """

    errors: np.ndarray
    slopes: np.ndarray


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
    drawn: Drawn = INDEPENDENT,
    common: Common | None = None,
) -> Curve:
    """The gain (Qini) curve ``u * mean(gamma in the top share u)`` at ``fractions``.

    Tied rows contribute in proportion. The errors are those of the mean of ``gamma`` in the rows
    selected, ``psi = 1(top) (gamma - mean)``; ``drawn`` (in the rows' own order) says how their
    squares add up.
    """
    sums = _cumulate(ranking, gamma, fractions)
    inside = (np.ones(fractions.size), sums.average - sums.mean)
    outside = (np.zeros(fractions.size), np.zeros(fractions.size))
    return Curve(
        sums.gain, _covariance(ranking, gamma, fractions, drawn, inside, outside, sums, common)
    )


def toc_curve(
    ranking: Ranking,
    gamma: np.ndarray,
    fractions: np.ndarray,
    drawn: Drawn = INDEPENDENT,
    common: Common | None = None,
) -> Curve:
    """The TOC ``mean(gamma in the top share u) - mean(gamma)`` at ``fractions > 0``.

    ``psi = 1(top) (gamma - mean) / u - (gamma - average)``.
    """
    sums = _cumulate(ranking, gamma, fractions)
    ones = np.ones(fractions.size)
    inside = (1 / fractions - 1, (sums.average - sums.mean) / fractions)
    outside = (-ones, 0 * ones)
    return Curve(
        sums.mean - sums.average,
        _covariance(ranking, gamma, fractions, drawn, inside, outside, sums, common),
    )


def _cumulate(ranking: Ranking, gamma: np.ndarray, fractions: np.ndarray) -> _Cumulated:
    weighted = ranking.weight * gamma[ranking.order]
    position = np.append(0.0, np.cumsum(ranking.group_weight))
    sums = np.append(0.0, np.cumsum(np.bincount(ranking.group, weights=weighted)))
    total = float(position[-1])
    gain = np.interp(fractions * total, position, sums) / total
    mean = np.divide(gain, fractions, out=np.zeros(fractions.size), where=fractions > 0)
    return _Cumulated(gain, mean, float(sums[-1] / total), total)


def _covariance(
    ranking: Ranking,
    gamma: np.ndarray,
    fractions: np.ndarray,
    drawn: Drawn,
    inside: tuple[np.ndarray, np.ndarray],
    outside: tuple[np.ndarray, np.ndarray],
    sums: _Cumulated,
    common: Common | None,
) -> np.ndarray:
    """Products of ``slope * (gamma - average) + level``, one pair inside each top, one outside it.

    Between two neighbouring shares each point's influence values are one straight line in
    ``gamma``, so sums over these bins are enough. A tied group counts where its middle is.
    """
    width, total = ranking.group_weight, sums.total
    middle = (np.cumsum(width) - width / 2) / total
    bins = np.searchsorted(fractions, middle, side="left")[ranking.group]
    w, effect = ranking.weight, gamma[ranking.order] - sums.average
    m = fractions.size
    top = np.arange(m + 1)[None, :] <= np.arange(m)[:, None]
    slope, level = (
        np.where(top, one[:, None], other[:, None])
        for one, other in zip(inside, outside, strict=True)
    )
    if drawn.clusters is None:
        each = w**2 if drawn.copies is None else w**2 / drawn.copies[ranking.order]
        squares, products, ones = (
            np.bincount(bins, weights=each * v, minlength=m + 1)
            for v in (effect**2, effect, np.ones(w.size))
        )
        mixed = (slope * products) @ level.T
        own = (slope * squares) @ slope.T + mixed + mixed.T + (level * ones) @ level.T
        if common is None:
            return own / total**2
        errors = common.errors[ranking.order]
        shared = [
            slope @ np.bincount(bins, weights=each * effect * error, minlength=m + 1)
            + level @ np.bincount(bins, weights=each * error, minlength=m + 1)
            for error in errors.T
        ]
        cross = np.column_stack(shared) @ common.slopes.T
        return (
            own - cross - cross.T + common.slopes @ (errors.T * each) @ errors @ common.slopes.T
        ) / total**2
    codes = drawn.clusters[ranking.order]
    count = int(codes.max()) + 1
    cell = codes * (m + 1) + bins
    effects, mass = (
        np.bincount(cell, weights=v, minlength=count * (m + 1)).reshape(count, m + 1)
        for v in (w * effect, w)
    )
    psi = effects @ slope.T + mass @ level.T
    if common is not None:
        errors = w[:, None] * common.errors[ranking.order]
        psi -= cluster_sums(errors, codes) @ common.slopes.T
    return count / max(count - 1, 1) * (psi.T @ psi) / total**2
