"""Matching estimators with the Abadie-Imbens variance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.nearest import nearest_windows
from noholdout_propensity.kernels.neighbours import Matches
from noholdout_propensity.kernels.outcome import fit_linear
from noholdout_propensity.kernels.score import ScoreFit

VARIANCE_NEIGHBOURS = 2  # rows of one arm, the row itself included, behind a local variance


@dataclass(frozen=True)
class MatchedEffect:
    """A matching estimate.

    Parameters
    ----------
    std_error
        Abadie-Imbens.
    weights
        Each row's weight in its arm's mean, shape ``(n,)``; zero for an unused row.
    used
        Target rows with a match, shape ``(n,)``.
    unmatched
        Target rows without one.
    pairs
        Without replacement: (target row, matched row), shape ``(pairs, 2)``.
    """

    estimate: float
    std_error: float
    mean_treated: float
    mean_control: float
    weights: np.ndarray
    used: np.ndarray
    unmatched: int
    pairs: np.ndarray | None


Matcher = Callable[[np.ndarray, np.ndarray], Matches]


def matched_effect(
    outcome: np.ndarray,
    treated: np.ndarray,
    targets: tuple[bool, bool],
    matcher: Matcher,
    local_variance: np.ndarray,
    strata: np.ndarray | None = None,
) -> MatchedEffect:
    """The matching estimate and its Abadie-Imbens error with known distances.

    Parameters
    ----------
    targets
        Whether treated rows and whether control rows belong to the target population: (True,
        True) for ATE, (True, False) for ATT, (False, True) for ATC.
    matcher
        Takes the indices of target rows and of the other arm's rows, and matches them.
    local_variance
        Variance of the outcome near each row in its own arm, shape ``(n,)``.
    strata
        Codes within which matches must lie, shape ``(n,)``.

    Notes
    -----
    With ``k_i`` the sum of the shares that row i has in others' matches and ``k2_i`` the sum of
    their squares, the variance is ``sum of (own contrast - estimate)^2 over the targets`` plus
    ``sum of (k_i^2 + 2 k_i [i a target] - k2_i) * local variance``, over the squared number of
    targets (Abadie and Imbens 2006, theorem 7, written for unequal numbers of matches).
    """
    n = outcome.size
    codes = np.zeros(n, dtype=np.int64) if strata is None else strata
    used = np.zeros(n, dtype=bool)
    imputed = np.zeros(n)
    share, share_squared = np.zeros(n), np.zeros(n)
    pairs: list[np.ndarray] = []
    for value, wanted in ((1, targets[0]), (0, targets[1])):
        if not wanted:
            continue
        for code in range(int(codes.max()) + 1):
            own = np.flatnonzero((treated == value) & (codes == code))
            other = np.flatnonzero((treated != value) & (codes == code))
            if own.size == 0 or other.size == 0:
                continue
            matches = matcher(own, other)
            used[own] = matches.found
            imputed[own] = np.where(matches.found, matches.imputed, 0.0)
            share[other] += matches.share
            share_squared[other] += matches.share_squared
            if matches.partner is not None:
                rows, rounds = np.nonzero(matches.partner >= 0)
                pairs.append(np.column_stack([own[rows], other[matches.partner[rows, rounds]]]))
    total = int(used.sum())
    sign = np.where(treated == 1, 1.0, -1.0)
    contrast = np.where(used, sign * (outcome - imputed), 0.0)
    estimate = float(contrast.sum() / total) if total else np.nan
    factor = share**2 + 2 * share * used - share_squared
    spread = np.where(used, (contrast - estimate) ** 2, 0.0)
    variance = float(spread.sum() + factor @ local_variance) / max(total, 1) ** 2
    weights = used + share
    means = [
        float(outcome[arm] @ weights[arm] / weights[arm].sum()) if weights[arm].sum() else np.nan
        for arm in (treated == 1, treated == 0)
    ]
    wanted_rows = int(targets[0] * treated.sum() + targets[1] * (1 - treated).sum())
    return MatchedEffect(
        estimate=estimate,
        std_error=float(np.sqrt(max(variance, 0.0))),
        mean_treated=means[0],
        mean_control=means[1],
        weights=weights,
        used=used,
        unmatched=wanted_rows - total,
        pairs=np.concatenate(pairs) if pairs else None,
    )


def score_local_variance(
    outcome: np.ndarray,
    treated: np.ndarray,
    distance_score: np.ndarray,
    neighbours: int = VARIANCE_NEIGHBOURS,
) -> np.ndarray:
    """Variance of the outcome among each row's nearest rows of its own arm, shape ``(n,)``."""
    variance = np.zeros(outcome.size)
    for arm in (np.flatnonzero(treated == 1), np.flatnonzero(treated == 0)):
        windows = nearest_windows(distance_score[arm], distance_score[arm], neighbours)
        count = windows.count
        mean = windows.sums(outcome[arm]) / count
        square = windows.sums(outcome[arm] ** 2) / count
        variance[arm] = np.maximum(square - mean**2, 0) * count / np.maximum(count - 1, 1)
    return variance


def local_covariances(
    outcome: np.ndarray,
    design: np.ndarray,
    distance_score: np.ndarray,
    query: np.ndarray,
    pool: np.ndarray,
) -> np.ndarray:
    """Covariance of covariates and outcome among each query's nearest pool rows, ``(q, k)``."""
    windows = nearest_windows(distance_score[query], distance_score[pool], VARIANCE_NEIGHBOURS)
    count = windows.count[:, None]
    x, y = design[pool], outcome[pool]
    means = windows.sums(x) / count
    products = windows.sums(x * y[:, None]) / count
    centre = (windows.sums(y)[:, None]) / count
    return (products - means * centre) * count / np.maximum(count - 1, 1)


def score_adjustment(
    outcome: np.ndarray,
    treated: np.ndarray,
    distance_score: np.ndarray,
    targets: tuple[bool, bool],
    used: np.ndarray,
    estimate: float,
    fit: ScoreFit,
    design: np.ndarray,
) -> float:
    """What estimating the score adds to the variance (for ATE it never adds, it takes away).

    Abadie and Imbens (2016), theorem 1 for ATE, theorem 2 for ATT. For ATT and ATC the derivative
    of the target population needs the effect given all covariates; it is taken from a linear
    regression per arm, where the paper matches on all covariates.
    """
    n = outcome.size
    arms = (np.flatnonzero(treated == 1), np.flatnonzero(treated == 0))
    total = int(used.sum())
    covariance = [np.zeros((n, design.shape[1])), np.zeros((n, design.shape[1]))]
    everyone = np.arange(n)
    for a, pool in enumerate(arms):
        covariance[a] = local_covariances(outcome, design, distance_score, everyone, pool)
    e, slope = fit.score, fit.slope
    if targets == (True, True):
        c = (slope / e)[:, None] * covariance[0] + (slope / (1 - e))[:, None] * covariance[1]
        c = (c * used[:, None]).sum(axis=0) / total
        return float(-c @ fit.bread @ c)
    own, odds = (0, e / (1 - e)) if targets[0] else (1, (1 - e) / e)
    signed = estimate if targets[0] else -estimate
    other = 1 - own
    near = [
        nearest_windows(distance_score, distance_score[pool], VARIANCE_NEIGHBOURS) for pool in arms
    ]
    means = [w.sums(outcome[pool]) / w.count for w, pool in zip(near, arms, strict=True)]
    lines = [
        design @ fit_linear(design, outcome, arm).coefficients for arm in (treated, 1 - treated)
    ]
    along_score = (slope * (means[own] - means[other] - signed))[:, None] * design
    along_covariates = (slope * (lines[own] - lines[other] - signed))[:, None] * design
    within = slope[:, None] * (covariance[own] + odds[:, None] * covariance[other])
    c = (along_score + within).sum(axis=0) / total
    d = along_covariates.sum(axis=0) / total
    return float(-c @ fit.bread @ c + d @ fit.bread @ d)
