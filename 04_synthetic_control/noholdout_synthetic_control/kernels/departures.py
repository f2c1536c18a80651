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

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

QUANTILES = np.array([0.5, 0.8, 0.9])
CHI2 = np.array([0.4549, 1.6424, 2.7055])  # those quantiles, one degree of freedom
PRIOR_UNITS = 10  # units that count as straying as learned, beside those seen
MULTIPLES = np.exp(np.linspace(-2.0, 4.0, 13))
SPREADS = (0.5, 1.0, 1.5, 2.0)  # of the log multiples over units
FIRST_DAY = 0.5  # prior weight of a change on the first day watched; the rest is spread by weeks
WEEK = 7
RHO_MAX = 0.98
HUNDRED = 100.0  # leads of the slope are counted in hundreds


@dataclass(frozen=True)
class Wander:
    """How forecast gaps stray without a departure: variances for one unit.

    Parameters
    ----------
    level
        Of a constant error of the forecast.
    slope
        Of a drift, in units per hundred periods.
    shock, rho
        Of a first-order autoregression, and its coefficient.
    noise
        Multiple of the units' own noise.
    """

    level: float
    slope: float
    shock: float
    rho: float
    noise: float

    def covariance(self, periods: int, loading: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Covariances of gaps over ``periods`` leads, shape ``(n, periods, periods)``.

        ``loading`` (sum of squared weights, the unit's own included) and ``noise`` (variance of
        one period's gap that is the units' own noise) have shape ``(n,)``.
        """
        lead = np.arange(1, periods + 1)
        apart = np.abs(lead[:, None] - lead[None, :])
        shared = self.level + self.slope * np.outer(lead, lead) / HUNDRED**2
        shared = shared + self.shock * self.rho**apart
        found = loading[:, None, None] * shared
        day = np.arange(periods)
        found[:, day, day] += self.noise * noise[:, None]
        return np.asarray(found)


def fit_wander(
    gaps: np.ndarray, loading: np.ndarray, noise: np.ndarray
) -> tuple[Wander, np.ndarray]:
    """How these forecast gaps, shape ``(n, periods)``, most likely wander, pooled over units.

    Returns
    -------
    The wander, and each unit's multiple of it, shape ``(n,)``: a unit that no mix of donors can
    follow strays further than others (empirical Bayes; all ones where units look alike).
    """
    pooled = most_likely(gaps, loading, noise)
    multiples = unit_multiples(gaps, pooled, loading, noise)
    if (multiples == 1).all():
        return pooled, multiples
    refined = most_likely(gaps, loading * multiples, noise)
    return refined, unit_multiples(gaps, refined, loading, noise)


def log_likelihood(
    gaps: np.ndarray, wander: Wander, loading: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Of each unit's gaps, up to a constant, shape ``(n,)``; ``-inf`` where undefined."""
    try:
        root = np.linalg.cholesky(wander.covariance(gaps.shape[1], loading, noise))
    except np.linalg.LinAlgError:
        return np.full(gaps.shape[0], -np.inf)
    scaled = np.linalg.solve(root, gaps[:, :, None])[:, :, 0]
    logs = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(-logs - (scaled**2).sum(axis=1) / 2)


def most_likely(gaps: np.ndarray, loading: np.ndarray, noise: np.ndarray) -> Wander:
    """Maximum likelihood, the units independent; the noise is a multiple of the one given."""
    from scipy.optimize import minimize

    own = float(np.mean(noise))
    size = max(float(np.mean(gaps**2 / loading[:, None])), 1e-300)
    noise = np.maximum(noise, 1e-9 * size)

    def wander(x: np.ndarray) -> Wander:
        level, slope, shock = (float(v) for v in size * np.exp(np.clip(x[:3], -12, 4)))
        rho = RHO_MAX / (1 + np.exp(-x[3]))
        return Wander(level, slope, shock, float(rho), float(np.exp(np.clip(x[4], -3, 3))))

    def objective(x: np.ndarray) -> float:
        # A weak pull towards noise as given keeps it apart from quick shocks.
        pull = gaps.shape[0] * x[4] ** 2 / 8
        return float(pull - log_likelihood(gaps, wander(x), loading, noise).sum())

    share = min(own / size, 0.5)
    start = np.array([np.log(0.3), np.log(0.3), np.log(max(0.6 - share, 0.1)), 1.5, 0.0])
    simplex = np.vstack([start, start + np.diag([1.0, 1.0, 1.0, 1.0, 0.3])])
    options = {"initial_simplex": simplex, "maxiter": 300, "xatol": 0.03, "fatol": 0.03}
    return wander(minimize(objective, start, method="Nelder-Mead", options=options).x)


def unit_multiples(
    gaps: np.ndarray, wander: Wander, loading: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Posterior mean of each unit's multiple of the wander, log-normal over units, shape ``(n,)``.

    The spread over units is the likeliest; ones where none makes the gaps likelier.
    """
    each = np.column_stack(
        [log_likelihood(gaps, wander, loading * multiple, noise) for multiple in MULTIPLES]
    )
    alike = log_likelihood(gaps, wander, loading, noise)
    best, found = 2.0, np.ones(gaps.shape[0])  # a spread has to earn two units of likelihood
    for spread in SPREADS:
        prior = np.exp(-(np.log(MULTIPLES) ** 2) / (2 * spread**2))
        weighed = np.exp(each - each.max(axis=1, keepdims=True)) * (prior / prior.sum())
        total = weighed.sum(axis=1)
        gain = float((np.log(total) + each.max(axis=1) - alike).sum())
        if gain > best:
            best, found = gain, weighed @ MULTIPLES / total
    return np.asarray(found)


@dataclass(frozen=True)
class Evidence:
    """What each day says of each unit, from the first day watched; ``n`` units, ``T`` days.

    Parameters
    ----------
    log_ratio
        Log likelihood ratio of "left by now" against "not", shape ``(n, T)``.
    change
        The likeliest day of the change as seen on each day, shape ``(n, T)``.
    size, size_std_error
        Of the shift from that day on, shape ``(n, T)``.
    half_width
        Of an interval of the size that holds for every day of change and of looking at once, at
        the error ``alpha`` asked, shape ``(n, T)``.
    """

    log_ratio: np.ndarray
    change: np.ndarray
    size: np.ndarray
    size_std_error: np.ndarray
    half_width: np.ndarray


def common_stray(squared: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """By how much units stray more than learned by each day, at least one, shape ``(T,)``.

    Squares that should average one: their quantiles over units up to 0.9, so that some who left
    don't matter, averaged over the days of change, of which one alone would be noise.

    Parameters
    ----------
    squared
        By unit, day and day of change, ``nan`` for a unit that no longer reports, ``(m, T, T)``.
    seen
        Days of change up to each day, boolean, shape ``(T, T)``.
    """
    if squared.shape[0] == 0:
        return np.ones(squared.shape[1])
    units = np.isfinite(squared[:, :, 0]).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a day on which nobody reports
        found = np.nan_to_num(np.nanquantile(squared, QUANTILES, axis=0)) / CHI2[:, None, None]
    ratio = (np.where(seen, found, 0.0).sum(axis=2) / seen.sum(axis=1)).max(axis=0)
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


def weigh_evidence(
    gaps: np.ndarray,
    alive: np.ndarray,
    covariance: np.ndarray,
    scale: np.ndarray,
    reference: np.ndarray,
    alpha: float,
) -> Evidence:
    """Evidence of a departure by every day, from that day's and earlier gaps only.

    Parameters
    ----------
    gaps, alive
        Gaps, and whether the unit still reports, shape ``(n, T)``; evidence stands still once it
        doesn't.
    covariance
        Under the null, shape ``(n, T, T)``.
    scale
        Standard deviation of the sizes mixed over, shape ``(n,)``.
    reference
        Units that show how far the null's model is off, boolean, shape ``(n,)``: where half of
        them stray further than it allows, every unit's variance is raised accordingly.
    alpha
        Error of the interval.
    """
    count, days = gaps.shape
    root = np.linalg.cholesky(covariance)
    steps = np.tri(days)  # column k: zero before day k, one from it on
    score = np.empty((count, days, days))
    information = np.empty((count, days, days))
    for i in range(count):
        white = solve_triangular(
            root[i],
            np.column_stack([np.where(alive[i], np.nan_to_num(gaps[i]), 0.0), steps]),
            lower=True,
        )
        score[i] = np.cumsum(white[:, 1:] * white[:, :1], axis=0)
        information[i] = np.cumsum(white[:, 1:] ** 2, axis=0)
    seen = steps > 0  # changes that could have happened by each day
    information = np.maximum(information, 1e-300)
    squared = np.where(seen, score**2 / information, 0.0)
    known = np.where(alive[:, :, None], squared, np.nan)[reference]
    stray = common_stray(known, seen)[:, None]
    information = information / stray
    score = score / stray
    gain = scale[:, None, None] ** 2 * information
    log_each = (score**2 / information * gain / (1 + gain) - np.log1p(gain)) / 2
    prior = change_prior(days)
    weighed = np.where(seen, np.log(prior) + log_each, -np.inf)
    peak = np.maximum(weighed.max(axis=2), 0.0)
    unseen = 1 - np.cumsum(prior)  # a change yet to come, whose likelihood ratio is still one
    total = np.exp(weighed - peak[:, :, None]).sum(axis=2) + np.exp(-peak) * unseen
    change = weighed.argmax(axis=2)
    picked = np.take_along_axis(information, change[:, :, None], 2)[:, :, 0]
    size = np.take_along_axis(score, change[:, :, None], 2)[:, :, 0] / picked
    spread = scale[:, None] ** 2 * picked
    reach = np.log1p(spread) - 2 * np.log(alpha * prior[change])
    half = np.sqrt((1 + 1 / spread) * reach / picked)
    ratio = np.where(alive, peak + np.log(total), -np.inf)
    return Evidence(ratio, change, size, 1 / np.sqrt(picked), half)
