"""From influence values, or from resampled rows, to intervals of everything that is reported."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from noholdout_shared.inference import influence_std_error, interval

from noholdout_uplift.kernels.ranking import metrics_of, rank, tops_of

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


def std_errors(estimates: Estimates, clusters: np.ndarray | None) -> np.ndarray:
    """Standard error of each estimate, shape ``(m,)``."""
    return np.array([influence_std_error(column, clusters) for column in estimates.psi.T])


def degrees_of_freedom(clusters: np.ndarray | None) -> float:
    """One less than the number of clusters, infinite for independent rows."""
    return math.inf if clusters is None else float(np.unique(clusters).size - 1)


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
