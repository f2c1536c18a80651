"""How far a twin strays from a forecast when nothing happened, learned from the history.

A gap that was forecast is a Gaussian process with mean zero: it starts off by some level, drifts,
wanders and carries daily noise. Their sizes are fitted by maximum likelihood, pooled over units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MULTIPLES = np.exp(np.linspace(-2.0, 4.0, 13))
SPREADS = (0.5, 1.0, 1.5, 2.0)  # of the log multiples over units
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

    def moves(self, periods: int) -> np.ndarray:
        """Covariance of one unit's movements over ``periods`` leads, without its daily noise."""
        lead = np.arange(1, periods + 1)
        apart = np.abs(lead[:, None] - lead[None, :])
        found = self.level + self.slope * np.outer(lead, lead) / HUNDRED**2
        return np.asarray(found + self.shock * self.rho**apart)

    def covariance(self, periods: int, loading: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Covariances of gaps over ``periods`` leads, shape ``(n, periods, periods)``.

        ``loading`` (sum of squared weights, the unit's own included) and ``noise`` (variance of
        one period's gap that is the units' own noise) have shape ``(n,)``.
        """
        found = loading[:, None, None] * self.moves(periods)
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
    """Of each unit's gaps, up to a constant, shape ``(n,)``; ``-inf`` where undefined.

    All covariances are a multiple of the same matrix plus a multiple of the identity: one set of
    eigenvectors serves every unit.
    """
    values, vectors = np.linalg.eigh(wander.moves(gaps.shape[1]))
    spread = loading[:, None] * np.maximum(values, 0.0) + wander.noise * noise[:, None]
    if not (spread > 0).all():
        return np.full(gaps.shape[0], -np.inf)
    return np.asarray(-(np.log(spread) + (gaps @ vectors) ** 2 / spread).sum(axis=1) / 2)


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
