"""From influence values, or from resampled rows, to intervals of everything that is reported."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from noholdout_shared.inference import critical_value, interval
from scipy.special import ndtr

from noholdout_uplift.kernels.ranking import metrics_of, rank, tops_of
from noholdout_uplift.scored import Drawn, Scored

BAND_FROM = 0.05
BAND_DRAWS = 5_000
METRICS = ("ate", "autoc", "qini", "auuc", "uplift_at_30")


@dataclass(frozen=True)
class Estimates:
    """Several estimates of the same rows.

    ``values`` has shape ``(m,)``, ``psi`` shape ``(n, m)``: the error of ``values`` is about
    ``psi.mean(axis=0)``.
    """

    values: np.ndarray
    psi: np.ndarray


def weighted_means(values: np.ndarray, weight: np.ndarray) -> Estimates:
    """Weighted means of columns of shape ``(n, m)`` over all rows."""
    share = weight * (weight.size / weight.sum())
    means = share @ values / share.size
    return Estimates(means, share[:, None] * (values - means))


def group_effects(gamma: np.ndarray, membership: np.ndarray) -> Estimates:
    """Mean effect in groups of rows.

    ``membership`` has shape ``(n, m)``: how much of each row belongs to each group (with sampling
    weights multiplied in). Groups count as given: the estimate is of the effect in these very
    rows' group.
    """
    size = membership.sum(axis=0)
    values = gamma @ membership / size
    psi = membership * (gamma[:, None] - values) * (gamma.size / size)
    return Estimates(values, psi)


def effects_of(rows: Scored, estimate: Callable[[np.ndarray], Estimates]) -> Estimates:
    """What ``estimate`` makes of the rows' effects, a ratio's own errors included.

    ``estimate`` must be linear in the scores. A ratio metric's are ``(dy - R dz) / M``, of which
    ``R`` and ``M`` are estimated: the derivative by ``R`` is less the estimate of ``dz / M``, the
    one by ``log M`` less the estimate itself.
    """
    found = estimate(rows.gamma)
    if rows.below is None:
        return found
    slopes = np.stack([estimate(rows.below.effect).values, found.values])
    return Estimates(found.values, found.psi - rows.share[:, None] * (rows.ratio_errors @ slopes))


def metrics_by_fold(
    score: np.ndarray, gamma: np.ndarray, fold: np.ndarray, weight: np.ndarray
) -> Estimates:
    """The five metrics of ``METRICS``, each the average of the folds' own by their weights.

    Scores of different folds come from different models, so rows are ranked within their fold.
    """
    total = weight.sum()
    values = np.zeros(len(METRICS))
    psi = np.empty((gamma.size, len(METRICS)))
    for k in np.unique(fold):
        rows = fold == k
        w = weight[rows]
        part = w.sum() / total
        ranking = rank(score[rows], w)
        one = metrics_of(ranking, gamma[rows])
        at_30 = group_effects(gamma[rows], tops_of(ranking, np.array([0.3])) * w[:, None])
        values += part * np.array([one.ate, one.autoc, one.qini, one.auuc, at_30.values[0]])
        scaled = one.psi * (w * gamma.size / total)[:, None]
        psi[rows] = np.column_stack([scaled, at_30.psi * (part * gamma.size / w.size)])
    return Estimates(values, psi)


def by_fold_membership(
    score: np.ndarray, fold: np.ndarray, edges: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Membership of the fold's groups between shares ``edges`` of the ranking.

    ``edges`` ascends from 0 to 1 with shape ``(m + 1,)``; the result has shape ``(n, m)``.
    """
    membership = np.zeros((score.size, edges.size - 1))
    for k in np.unique(fold):
        rows = fold == k
        upto = tops_of(rank(score[rows], weight[rows]), edges)
        membership[rows] = np.diff(upto, axis=1)
    return membership


def std_errors(estimates: Estimates, drawn: Drawn) -> np.ndarray:
    """Standard error of each estimate, shape ``(m,)``."""
    return np.array([drawn.std_error(column) for column in estimates.psi.T])


def simultaneous_value(
    covariance: np.ndarray,
    conf_level: float,
    df: float,
    seed: int,
    *,
    two_sided: bool,
    draws: int,
) -> float:
    """The critical value with which several studentised bounds (or intervals) hold together.

    The ``conf_level`` quantile of the largest (absolute) studentised deviation under a Gaussian
    multiplier bootstrap of the influence values. Given the data, that bootstrap's law is the
    normal with their covariance, shape ``(m, m)``, from which it is drawn directly (Chernozhukov,
    Chetverikov and Kato 2013, Annals of Statistics 41(6); Montiel Olea and Plagborg-Møller 2019,
    JAE 34(1)). With clusters it is carried over to t by its tail probability.
    """
    scale = np.sqrt(np.diag(covariance).clip(0.0))
    live = scale > 1e-6 * scale.max(initial=0.0)
    if not live.any():
        return single_value(conf_level, df, two_sided=two_sided)
    correlation = covariance[np.ix_(live, live)] / np.outer(scale[live], scale[live])
    roots, vectors = np.linalg.eigh(correlation)
    # The symmetric root is unique: the same draws whatever signs and bases the eigenvectors have.
    half = (vectors * np.sqrt(np.clip(roots, 0.0, None))) @ vectors.T
    normal = np.random.default_rng(seed).standard_normal((draws, half.shape[1])) @ half
    largest = np.max(np.abs(normal) if two_sided else normal, axis=1)
    bound = float(np.quantile(largest, conf_level))
    if math.isinf(df):
        return bound
    return critical_value(1 - 2 * float(ndtr(-bound)), df)


def single_value(conf_level: float, df: float, *, two_sided: bool) -> float:
    """The critical value of one interval, or of one bound."""
    if two_sided:
        return critical_value(conf_level, df)
    return critical_value(2 * conf_level - 1, df) if conf_level > 0.5 else 0.0


def degrees_of_freedom(clusters: np.ndarray | None, fold: np.ndarray) -> float:
    """Clusters less the folds that are ranked apart, infinite for independent rows."""
    return math.inf if clusters is None else float(np.unique(clusters).size - np.unique(fold).size)


def _fold_inflation(rows: Scored) -> np.ndarray:
    """What makes up for influence values that sum to zero within each fold, shape ``(n,)``.

    With ``G_k`` clusters in a fold, their squares sum to ``(G_k - 1) / G_k`` of the variance, where
    the standard error reckons with ``(G - 1) / G`` of all.
    """
    clusters = rows.drawn.clusters
    assert clusters is not None
    scale = np.empty(rows.fold.size)
    for k in np.unique(rows.fold):
        inside = rows.fold == k
        count = np.unique(clusters[inside]).size
        scale[inside] = count / (count - 1)
    count = int(clusters.max()) + 1
    return np.sqrt(scale * (count - 1) / count)


def rank_metrics_of(rows: Scored) -> Estimates:
    """:func:`metrics_by_fold` with the errors of clusters and ratios."""

    def metrics(gamma: np.ndarray) -> Estimates:
        found = metrics_by_fold(rows.score, gamma, rows.fold, rows.weight)
        if rows.drawn.clusters is None:
            return found
        return Estimates(found.values, found.psi * _fold_inflation(rows)[:, None])

    return effects_of(rows, metrics)


def interval_columns(
    values: np.ndarray, errors: np.ndarray, conf_level: float, df: float
) -> dict[str, np.ndarray]:
    """Columns estimate, std_error, conf_low and conf_high of a table."""
    intervals = [interval(v, e, conf_level, df) for v, e in zip(values, errors, strict=True)]
    return {
        "estimate": values,
        "std_error": np.array([i.std_error for i in intervals]),
        "conf_low": np.array([i.conf_low for i in intervals]),
        "conf_high": np.array([i.conf_high for i in intervals]),
    }


def curve_bands(
    value: np.ndarray,
    errors: np.ndarray,
    covariance: np.ndarray,
    reached: np.ndarray,
    rows: Scored,
    seed: int,
) -> dict[str, np.ndarray]:
    """Intervals for each point of a curve, and a band that holds for all of them together.

    The band stands from 5% of the users (``reached``) on: with fewer a normal limit says little.
    """
    half = critical_value(rows.conf_level, rows.df) * errors
    held = reached >= BAND_FROM
    together = simultaneous_value(
        covariance[np.ix_(held, held)],
        rows.conf_level,
        rows.df,
        seed,
        two_sided=True,
        draws=BAND_DRAWS,
    )
    wide = np.where(held, together * errors, np.nan)
    return {
        "conf_low": value - half,
        "conf_high": value + half,
        "band_low": value - wide,
        "band_high": value + wide,
    }
