"""Matching estimators with the Abadie-Imbens variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.nearest import nearest_windows
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
    matched, unmatched
        Target rows with a match, and without one within the caliper.
    contrast
        Row-wise contributions whose mean is the estimate's error (for clusters), shape ``(n,)``.
    """

    estimate: float
    std_error: float
    mean_treated: float
    mean_control: float
    weights: np.ndarray
    matched: int
    unmatched: int
    contrast: np.ndarray


def match_on_score(
    outcome: np.ndarray,
    treated: np.ndarray,
    distance_score: np.ndarray,
    targets: tuple[bool, bool],
    ratio: int,
    caliper: float | None,
    *,
    fit: ScoreFit | None = None,
    design: np.ndarray | None = None,
) -> MatchedEffect:
    """Match with replacement on a one-dimensional score, ties averaged.

    Parameters
    ----------
    targets
        Whether treated rows and whether control rows belong to the target population: (True,
        True) for ATE, (True, False) for ATT, (False, True) for ATC.
    fit, design
        The estimated score model; with them the variance accounts for its estimation.

    Notes
    -----
    With ``k_i`` the sum of the shares that row i has in others' matches and ``k2_i`` the sum of
    their squares, the variance is ``sum of (own contrast - estimate)^2 over the targets`` plus
    ``sum of (k_i^2 + 2 k_i [i a target] - k2_i) * local variance``, over the squared number of
    targets (Abadie and Imbens 2006, theorem 7, written for unequal numbers of matches). The
    score's estimation is accounted for as in Abadie and Imbens (2016), theorem 1 for ATE, and
    theorem 2 for ATT.
    """
    n = outcome.size
    arms = (np.flatnonzero(treated == 1), np.flatnonzero(treated == 0))
    used = np.zeros(n, dtype=bool)
    imputed = np.full(n, np.nan)
    share, share_squared = np.zeros(n), np.zeros(n)
    centred = outcome - outcome.mean()
    for own, other, wanted in ((arms[0], arms[1], targets[0]), (arms[1], arms[0], targets[1])):
        if not wanted:
            continue
        windows = nearest_windows(distance_score[own], distance_score[other], ratio, caliper)
        count = windows.count
        found = count > 0
        used[own] = found
        size = np.maximum(count, 1)
        imputed[own] = np.where(found, windows.sums(centred[other]) / size, np.nan)
        share[other] += windows.spread(found / size)
        share_squared[other] += windows.spread(found / size**2)
    total = int(used.sum())
    sign = np.where(treated == 1, 1.0, -1.0)
    contrast = np.where(used, sign * (centred - np.where(used, imputed, 0.0)), 0.0)
    estimate = float(contrast.sum() / total) if total else np.nan
    variance_rows = local_moments(centred, treated, distance_score, arms)
    factor = share**2 + 2 * share * used - share_squared
    spread = np.where(used, (contrast - estimate) ** 2, 0.0)
    variance = float(spread.sum() + factor @ variance_rows) / total**2
    if fit is not None and design is not None:
        variance += score_adjustment(
            centred, treated, distance_score, arms, targets, used, estimate, fit, design
        )
    weights = used + share
    means = [
        float(outcome[arm] @ weights[arm] / weights[arm].sum()) if weights[arm].sum() else np.nan
        for arm in arms
    ]
    wanted_rows = sum(arm.size for arm, wanted in zip(arms, targets, strict=True) if wanted)
    return MatchedEffect(
        estimate=estimate,
        std_error=float(np.sqrt(max(variance, 0.0))),
        mean_treated=means[0],
        mean_control=means[1],
        weights=weights,
        matched=total,
        unmatched=wanted_rows - total,
        contrast=contrast,
    )


def local_moments(
    outcome: np.ndarray,
    treated: np.ndarray,
    distance_score: np.ndarray,
    arms: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Variance of the outcome among each row's nearest rows of its own arm, shape ``(n,)``."""
    variance = np.zeros(outcome.size)
    for arm in arms:
        windows = nearest_windows(distance_score[arm], distance_score[arm], VARIANCE_NEIGHBOURS)
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
    arms: tuple[np.ndarray, np.ndarray],
    targets: tuple[bool, bool],
    used: np.ndarray,
    estimate: float,
    fit: ScoreFit,
    design: np.ndarray,
) -> float:
    """What estimating the score adds to the variance (for ATE it never adds, it takes away).

    For ATT and ATC the derivative of the target population needs the effect given all covariates;
    it is taken from a linear regression per arm, where the paper matches on all covariates.
    """
    n = outcome.size
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
