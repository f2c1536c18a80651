"""Matching estimators with the Abadie-Imbens variance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.designs import Design, blocks
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
    used = np.zeros(n, dtype=bool)
    shares: list[tuple[np.ndarray, np.ndarray]] = []
    contrasts: list[np.ndarray] = []
    shared_variance = 0.0
    pairs: list[np.ndarray] = []
    for value, wanted in ((1, targets[0]), (0, targets[1])):
        if not wanted:
            continue
        for own, other in _within_strata(treated == value, strata):
            matches = matcher(own, other)
            used[own] = matches.found
            gaps = outcome[own] - matches.imputed
            contrasts.append((gaps if value else -gaps)[matches.found])
            shares.append((other, matches.share))
            shared_variance += float(matches.share_squared @ local_variance[other])
            if matches.partner is not None:
                rows, rounds = np.nonzero(matches.partner >= 0)
                pairs.append(np.column_stack([own[rows], other[matches.partner[rows, rounds]]]))
    total = int(used.sum())
    apart = np.concatenate(contrasts) if contrasts else np.empty(0)
    estimate = float(apart.sum() / total) if total else np.nan
    apart -= estimate
    weights = used.astype(float)
    for other, share in shares:
        weights[other] += share
    # share (share + 2 used): the square of the weights, less that of the rows' own part.
    spread = float((weights**2 - used) @ local_variance) - shared_variance
    variance = (float(apart @ apart) + spread) / max(total, 1) ** 2
    means = []
    for arm in (treated, 1 - treated):
        mass = float(arm @ weights)
        means.append(float((arm * weights) @ outcome) / mass if mass else np.nan)
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


def places(chosen: np.ndarray) -> np.ndarray:
    """Where the values are true, in half the memory where that is enough."""
    return np.flatnonzero(chosen).astype(np.int32 if chosen.size < 2**31 else np.int64)


def _within_strata(
    own: np.ndarray, strata: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of an arm's rows and of the other's, stratum by stratum where both have some."""
    for code in range(1 if strata is None else int(strata.max()) + 1):
        here = True if strata is None else strata == code
        inside, outside = places(own & here), places(~own & here)
        if inside.size and outside.size:
            yield inside, outside


def own_variance(outcome: np.ndarray, treated: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Variance of the outcome among each row's nearest rows of its own arm, shape ``(n,)``."""
    variance = np.empty(outcome.size)
    for arm in (1, 0):
        pool = np.flatnonzero(treated == arm)
        own = nearest_windows(score[pool], score[pool], VARIANCE_NEIGHBOURS)
        y = outcome[pool]
        mean, square = own.sums(y) / own.count, own.sums(y**2) / own.count
        variance[pool] = np.maximum(square - mean**2, 0) * unbiased(own.count)
    return variance


def unbiased(count: np.ndarray) -> np.ndarray:
    """The factor ``n / (n - 1)``, 1 for one row."""
    return np.asarray(count / np.maximum(count - 1, 1))


def local_means(
    outcome: np.ndarray, treated: np.ndarray, score: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean outcome among each row's nearest treated, and nearest control rows; ``(n,)`` each."""
    found = []
    for arm in (1, 0):
        pool = places(treated == arm)
        near = nearest_windows(score, score[pool], neighbours)
        found.append(near.sums(outcome[pool]) / near.count)
    return found[0], found[1]


def score_derivatives(
    outcome: np.ndarray,
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
        The score and its design, and the order of their rows in which the arrays stand.
    """
    total = int(used.sum())
    everyone = targets == (True, True)
    own = 0 if targets[0] else 1
    signed = estimate if targets[0] else -estimate
    rows = np.zeros(order.size)

    def parts(arm: int, block: slice) -> tuple[np.ndarray, np.ndarray | float]:
        """Of the covariances near a row in an arm and of the mean there: their factors."""
        here = order[block]
        e, slope = fit.score[here], fit.slopes(here)
        if everyone:
            return used[block] * slope / (e if arm == 0 else 1 - e), 0.0
        if arm == own:
            return slope, slope
        return slope * (e / (1 - e) if targets[0] else (1 - e) / e), -slope

    for arm in (0, 1):
        add_near(rows, arm, parts, outcome, treated, fit.score, order)
    c = design.T @ restored(rows, order)
    if everyone:
        return c / total, np.zeros(design.shape[1])
    del rows
    y, d = restored(outcome, order), fit.treated
    lines = [fit_linear(design, y, arm).coefficients for arm in (d, 1 - d)]
    del y
    slope = fit.slopes()
    c -= signed * (design.T @ slope)
    slope *= design @ (lines[own] - lines[1 - own]) - signed
    return c / total, design.T @ slope / total


def add_near(
    rows: np.ndarray,
    arm: int,
    parts: Callable[[int, slice], tuple[np.ndarray, np.ndarray | float]],
    outcome: np.ndarray,
    treated: np.ndarray,
    score: np.ndarray,
    order: np.ndarray,
) -> None:
    """Add to ``rows`` what turns columns into sums of local means and covariances in one arm.

    For any column x, the sum over all rows of a factor times cov(x, outcome) among the arm's
    nearest rows is the sum over the arm's rows of x times a value; the local mean of the outcome
    times its factor counts at the row itself.
    """
    pool = np.flatnonzero(treated == (1 - arm))
    ordered = score[order]
    near = nearest_windows(ordered, ordered[pool], VARIANCE_NEIGHBOURS)
    del ordered
    pool = pool[near.order]
    total = np.zeros(pool.size + 1)
    np.cumsum(outcome[pool], out=total[1:])
    changes = np.zeros((2, pool.size + 1))
    for block in blocks(rows.size):
        low, high = near.low[block], near.high[block]
        factor, lift = parts(arm, block)
        mean = (total[high] - total[low]) / (high - low)
        rows[block] += lift * mean
        # count / (count - 1), the unbiased factor, over the count; 1 for one row.
        factor = factor / np.maximum(high - low - 1, 1)
        for line, values in zip(changes, (factor, factor * mean), strict=True):
            line += np.bincount(low, weights=values, minlength=line.size)
            line -= np.bincount(high, weights=values, minlength=line.size)
    np.cumsum(changes, axis=1, out=changes)
    rows[pool] += outcome[pool] * changes[0, :-1] - changes[1, :-1]


def restored(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Values in the rows' own order again."""
    out = np.empty_like(values)
    out[order] = values
    return out


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
