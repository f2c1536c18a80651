"""When does a path leave its twin? Evidence that may be looked at every day.

A gap that was forecast from the time before the watch is, as long as nothing happened, a Gaussian
process with mean zero: it starts off by some level, drifts, wanders and carries daily noise. A
departure on day ``k`` adds a constant from then on. For a known covariance the likelihood ratio of
"a shift of unknown size on an unknown day" against "none" is a martingale under the null however
long one looks, so that by Ville's inequality it exceeds ``1 / a`` with probability ``a`` at most:
Robbins's (1970, Annals of Mathematical Statistics 41(5)) normal mixture, as in Howard, Ramdas,
McAuliffe and Sekhon (2021, Annals of Statistics 49(2), proposition 5), with the information of
generalised least squares as its clock, which is what allows for autocorrelation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

QUANTILES = np.array([0.5, 0.8, 0.9])
CHI2 = np.array([0.4549, 1.6424, 2.7055])  # those quantiles, one degree of freedom
PRIOR_UNITS = 10  # units that count as straying as learned, beside those seen
FIRST_DAY = 0.5  # prior weight of a change on the first day watched; the rest is spread by weeks
FIRST_OF_WATCH = 0.1  # the same where the length is fixed: it takes about half of the error
WEEK = 7


@dataclass(frozen=True)
class Evidence:
    """What each day says of each unit, from the first day watched; ``n`` units, ``T`` days.

    Parameters
    ----------
    log_ratio
        Log likelihood ratio of "left by now" against "not", shape ``(n, T)``.
    scan
        The largest log likelihood ratio of a shift on one day so far, each day's weighted by its
        prior, shape ``(n, T)``.
    change
        The likeliest day of the change as seen on each day, shape ``(n, T)``.
    size, size_std_error
        Of the shift from that day on, shape ``(n, T)``.
    half_width
        Of an interval of the size that holds for every day of change and of looking at once: the
        shifts that, taken off, leave the unit within the limits, shape ``(n, T)``.
    """

    log_ratio: np.ndarray
    scan: np.ndarray
    change: np.ndarray
    size: np.ndarray
    size_std_error: np.ndarray
    half_width: np.ndarray


@dataclass(frozen=True)
class Clock:
    """What the covariance alone says of every day of change; ``n`` units, ``T`` days.

    Parameters
    ----------
    root
        Cholesky factors of the covariances, shape ``(n, T, T)``.
    steps
        Whitened steps, column ``k`` from day ``k`` on, shape ``(n, T, T)``.
    information
        About a shift from day ``k`` on that days up to ``t`` hold, at ``[:, t, k]``.
    """

    root: np.ndarray
    steps: np.ndarray
    information: np.ndarray

    def first(self, days: int) -> Clock:
        """The clock of the first days alone."""
        part = np.s_[:, :days, :days]
        return Clock(self.root[part], self.steps[part], self.information[part])


def make_clock(covariance: np.ndarray) -> Clock:
    """The clock of units whose gaps have these covariances without a change, ``(n, T, T)``."""
    root = np.linalg.cholesky(covariance)
    plain = np.tri(covariance.shape[1])  # column k: zero before day k, one from it on
    steps = np.array([solve_triangular(each, plain, lower=True) for each in root])
    return Clock(root, steps, np.maximum(np.cumsum(steps**2, axis=1), 1e-300))


def common_stray(squared: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """By how much units stray more than learned by each day, at least one, shape ``(T,)``.

    Squares that should average one: their quantiles over units up to 0.9, so that some who left
    don't matter, averaged over the days of change, of which one alone would be noise.

    Parameters
    ----------
    squared
        By unit, day and day of change up to it, shape ``(m, T, T)``.
    alive
        Whether the unit still reports, shape ``(m, T)``.
    """
    count, days = alive.shape
    units = alive.sum(axis=0)
    if count == 0:
        return np.ones(days)
    day, change = np.nonzero(np.tri(days))
    known = np.where(alive[:, day], squared[:, day, change], np.inf).T
    ordered = np.sort(known, axis=1)
    place = QUANTILES[:, None] * np.maximum(units[day] - 1, 0)
    low = place.astype(int)
    column = np.arange(day.size)
    below = ordered[column, low]
    above = ordered[column, np.minimum(low + 1, np.maximum(units[day] - 1, 0))]
    with np.errstate(invalid="ignore"):  # a day on which nobody reports
        found = np.where(units[day] > 0, below + (place - low) * (above - below), 0.0)
    found = found / CHI2[:, None]
    ratio = np.max([np.bincount(day, weights=each, minlength=days) for each in found], axis=0)
    ratio = ratio / np.arange(1, days + 1)
    return np.asarray(np.maximum((PRIOR_UNITS + units * ratio) / (PRIOR_UNITS + units), 1.0))


def change_prior(days: int) -> np.ndarray:
    """Prior weight of a change on each day, shape ``(days,)``.

    Half on the first; week ``k`` shares ``1 / (2 k (k + 1))`` among its days, so that all weeks to
    come sum to the other half and a longer file changes no day's weight.
    """
    week = np.arange(days) // WEEK + 1
    prior = (1 - FIRST_DAY) / (week * (week + 1.0)) / WEEK
    prior[0] += FIRST_DAY
    return np.asarray(prior)


def watch_prior(horizon: int) -> np.ndarray:
    """The same for a watch of fixed length: a tenth on the first day, the rest even."""
    prior = np.full(horizon, (1 - FIRST_OF_WATCH) / max(horizon - 1, 1))
    prior[0] = FIRST_OF_WATCH
    return prior


def weigh_evidence(
    gaps: np.ndarray,
    alive: np.ndarray,
    clock: Clock,
    scale: np.ndarray,
    reference: np.ndarray,
    levels: np.ndarray,
    prior: np.ndarray,
) -> Evidence:
    """Evidence of a departure by every day, from that day's and earlier gaps only.

    Parameters
    ----------
    gaps, alive
        Gaps, and whether the unit still reports, shape ``(n, T)``; evidence stands still once it
        doesn't.
    clock
        Of the covariances under the null.
    scale
        Standard deviation of the sizes mixed over, shape ``(n,)``.
    reference
        Units that show how far the null's model is off, boolean, shape ``(n,)``: where half of
        them stray further than it allows, every unit's variance is raised accordingly.
    levels
        Limit of the log likelihood ratio on each day, for the interval, shape ``(T,)``.
    prior
        Weight of a change on each day, shape ``(T,)``, at most one in total.
    """
    days = gaps.shape[1]
    plain = np.where(alive, np.nan_to_num(gaps), 0.0)
    white = np.array(
        [
            solve_triangular(root, gap, lower=True)
            for root, gap in zip(clock.root, plain, strict=True)
        ]
    )
    seen = np.tri(days, dtype=bool)  # changes that could have happened by each day
    score = np.cumsum(clock.steps * white[:, :, None], axis=1)
    stray = common_stray((score**2 / clock.information)[reference], alive[reference])[:, None]
    information = clock.information / stray
    score = score / stray
    gain = scale[:, None, None] ** 2 * information
    log_each = (score**2 / information * gain / (1 + gain) - np.log1p(gain)) / 2
    weighed = np.where(seen, np.log(prior) + log_each, -np.inf)
    peak = np.maximum(weighed.max(axis=2), 0.0)
    # A change yet to come, whose likelihood ratio is still one.
    unseen = np.maximum(1 - np.cumsum(prior), 0.0)
    total = np.exp(weighed - peak[:, :, None]).sum(axis=2) + np.exp(-peak) * unseen
    change = weighed.argmax(axis=2)
    picked = np.take_along_axis(information, change[:, :, None], 2)[:, :, 0]
    size = np.take_along_axis(score, change[:, :, None], 2)[:, :, 0] / picked
    spread = scale[:, None] ** 2 * picked
    reach = np.log1p(spread) + 2 * (levels - np.log(prior[change]))
    half = np.sqrt((1 + 1 / spread) * reach / picked)
    ratio = np.where(alive, peak + np.log(total), -np.inf)
    scan = np.where(alive, weighed.max(axis=2), -np.inf)
    return Evidence(ratio, scan, change, size, 1 / np.sqrt(picked), half)
