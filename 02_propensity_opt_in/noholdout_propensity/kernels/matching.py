"""Matching estimators with the Abadie-Imbens variance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.designs import Design, design_columns
from noholdout_propensity.kernels.nearest import Windows, nearest_windows
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
    factor = share * (share + 2 * used) - share_squared
    apart = contrast[used] - estimate
    variance = float(apart @ apart + factor @ local_variance) / max(total, 1) ** 2
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


@dataclass(frozen=True)
class LocalOutcomes:
    """Means and (co)variances of the outcome among each row's nearest rows of both arms.

    Parameters
    ----------
    windows
        Of every row in the treated and the control arm's rows.
    pools
        Indices of the two arms.
    """

    outcome: np.ndarray
    windows: tuple[Windows, Windows]
    pools: tuple[np.ndarray, np.ndarray]

    def mean(self, arm: int) -> np.ndarray:
        """Mean outcome near each row in an arm (0 is treated, 1 control), shape ``(n,)``."""
        near = self.windows[arm]
        return np.asarray(near.sums(self.outcome[self.pools[arm]]) / near.count)

    def own_variance(self) -> np.ndarray:
        """Variance near each row in its own arm, shape ``(n,)``."""
        variance = np.zeros(self.outcome.size)
        for near, pool in zip(self.windows, self.pools, strict=True):
            own = Windows(near.order, near.low[pool], near.high[pool])
            y = self.outcome[pool]
            mean, square = own.sums(y) / own.count, own.sums(y**2) / own.count
            variance[pool] = np.maximum(square - mean**2, 0) * unbiased(own.count)
        return variance

    def weighted_covariance(
        self, arm: int, columns: Iterable[np.ndarray], weights: np.ndarray
    ) -> np.ndarray:
        """Sum over rows of a weight times cov(column, outcome) nearby, for each column."""
        near, pool = self.windows[arm], self.pools[arm]
        factor = weights * unbiased(near.count) / near.count
        y = self.outcome[pool]
        centre = near.sums(y) / near.count
        found = []
        for column in columns:
            x = column[pool]
            found.append(factor @ near.sums(x * y) - factor @ (near.sums(x) * centre))
        return np.array(found)


def unbiased(count: np.ndarray) -> np.ndarray:
    """The factor ``n / (n - 1)``, 1 for one row."""
    return np.asarray(count / np.maximum(count - 1, 1))


def local_outcomes(
    outcome: np.ndarray,
    treated: np.ndarray,
    distance_score: np.ndarray,
    neighbours: int = VARIANCE_NEIGHBOURS,
) -> LocalOutcomes:
    """Each row's nearest rows on the score in both arms; fast when rows are sorted by it."""
    pools = (np.flatnonzero(treated == 1), np.flatnonzero(treated == 0))
    inside, outside = (
        nearest_windows(distance_score, distance_score[pool], neighbours) for pool in pools
    )
    return LocalOutcomes(outcome, (inside, outside), pools)


def score_derivatives(
    near: LocalOutcomes,
    treated: np.ndarray,
    targets: tuple[bool, bool],
    used: np.ndarray,
    estimate: float,
    fit: ScoreFit,
    design: Design,
    order: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """What the score's estimation does to the variance: it becomes ``V - c'Bc + d'Bd``.

    ``B`` is the inverse information. Abadie and Imbens (2016), theorem 1 for ATE (``d`` is zero),
    theorem 2 for ATT, where ``d`` is the derivative of the target itself. That needs the effect
    given all covariates; it is taken from a linear regression per arm, where the paper matches on
    all covariates.

    Parameters
    ----------
    fit, design, order
        The score and its design, and the order of their rows in which everything else stands.
    """
    total = int(used.sum())
    e, slope = fit.score[order], fit.slope[order]

    def columns() -> Iterator[np.ndarray]:
        # One at a time: a reordered copy of the design would be the largest thing in memory.
        return (column[order] for column in design_columns(design))

    if targets == (True, True):
        c = near.weighted_covariance(0, columns(), used * slope / e)
        c += near.weighted_covariance(1, columns(), used * slope / (1 - e))
        return c / total, np.zeros(design.shape[1])
    own, odds = (0, e / (1 - e)) if targets[0] else (1, (1 - e) / e)
    other = 1 - own
    signed = estimate if targets[0] else -estimate
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    y, d = near.outcome[back], treated[back]
    lines = [fit_linear(design, y, arm).coefficients for arm in (d, 1 - d)]
    gap = design @ (lines[own] - lines[other])
    c = design.T @ (slope * (near.mean(own) - near.mean(other) - signed))[back]
    c = c + near.weighted_covariance(own, columns(), slope)
    c = c + near.weighted_covariance(other, columns(), slope * odds)
    return c / total, design.T @ (slope[back] * (gap - signed)) / total


def matching_influence(
    outcome: np.ndarray,
    treated: np.ndarray,
    effect: MatchedEffect,
    means: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """A row's part in the matching estimate's error, shape ``(n,)``, for sums within clusters.

    Abadie and Imbens (2006), the two terms after their theorem 1: the target rows' own effects
    around the estimate, and each row's outcome around its arm's local mean times the number of
    rows that it stands for.

    Parameters
    ----------
    means
        The outcome's local mean near each row in the treated and the control arm.
    """
    sign = np.where(treated == 1, 1.0, -1.0)
    residual = outcome - np.where(treated == 1, *means)
    own = effect.used * (means[0] - means[1] - effect.estimate)
    total = float(effect.used.sum())
    return np.asarray(outcome.size * (own + sign * effect.weights * residual) / total)
