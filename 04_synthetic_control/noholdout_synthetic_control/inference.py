"""Intervals by design: placebo units, placebo regions, a jackknife, and the donor bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from noholdout_shared.inference import interval

from noholdout_synthetic_control.kernels.fits import Fit, Problem


@dataclass(frozen=True)
class Placebos:
    """Every donor (or every other region) treated as if it had got the launch.

    Parameters
    ----------
    targets
        What was treated as launched: weights over units, one row a placebo, shape ``(P, N)``.
    donors
        Indices of the donors of each placebo.
    fits
        The placebos' twins.
    """

    targets: np.ndarray
    donors: tuple[np.ndarray, ...]
    fits: tuple[Fit, ...]

    @property
    def effects(self) -> np.ndarray:
        """Placebo effects, shape ``(P,)``."""
        return np.array([fit.effect for fit in self.fits])

    @property
    def gaps(self) -> np.ndarray:
        """Placebo gaps, shape ``(P, T)``."""
        if not self.fits:
            return np.empty((0, 0))
        return np.array([fit.gap for fit in self.fits])

    def ratios(self, n_pre: int) -> np.ndarray:
        """RMSPE ratios, shape ``(P,)``."""
        return rmspe_ratio(self.gaps, n_pre) if self.fits else np.empty(0)


@dataclass(frozen=True)
class Uncertainty:
    """A standard error with its reference distribution.

    Parameters
    ----------
    std_error, df
        ``nan`` when undefined; ``label`` says why then.
    label
        Names the inference.
    path_std_error
        Of the gap in each period, shape ``(T,)``.
    conf_low, conf_high
        Only of an inference that isn't symmetric around the estimate, else ``None``.
    """

    std_error: float
    df: float
    label: str
    path_std_error: np.ndarray
    conf_low: float | None = None
    conf_high: float | None = None

    def bounds(self, estimate: float, conf_level: float) -> tuple[float, float, float]:
        """Interval and p-value of ``estimate``."""
        symmetric = interval(estimate, self.std_error, conf_level, self.df)
        if self.conf_low is None or self.conf_high is None:
            return symmetric.conf_low, symmetric.conf_high, symmetric.p_value
        return self.conf_low, self.conf_high, math.nan


def donor_placebos(problem: Problem, donors: np.ndarray) -> Placebos:
    """Each donor against all the others; enumerated, so nothing is random."""
    count = problem.outcomes.shape[0]
    targets = np.zeros((donors.size, count))
    targets[np.arange(donors.size), donors] = 1.0
    others = tuple(np.delete(donors, k) for k in range(donors.size))
    fits = tuple(problem.fit(t, o) for t, o in zip(targets, others, strict=True) if o.size)
    return Placebos(targets[: len(fits)], others[: len(fits)], fits)


def group_placebos(problem: Problem, donors: np.ndarray, groups: np.ndarray) -> Placebos:
    """Each region of the donors, its units averaged, against the donors of the other regions."""
    labels = np.unique(groups[donors])
    targets = np.zeros((labels.size, problem.outcomes.shape[0]))
    others = []
    for row, label in enumerate(labels):
        inside = donors[groups[donors] == label]
        targets[row, inside] = 1.0 / inside.size
        others.append(donors[groups[donors] != label])
    pairs = [(t, o) for t, o in zip(targets, others, strict=True) if o.size]
    fits = tuple(problem.fit(t, o) for t, o in pairs)
    return Placebos(targets[: len(fits)], tuple(o for _, o in pairs), fits)


def loading(target: np.ndarray, weights: np.ndarray) -> float:
    """Variance of a gap in units of one unit's variance: ``sum a_i^2 + sum w_j^2``."""
    return float(target @ target + weights @ weights)


def noise_variance(
    noise: np.ndarray, target: np.ndarray, donors: np.ndarray, fit: Fit, periods: int
) -> float:
    """Variance that the units' own noise gives to the mean gap over ``periods`` periods.

    The intercept adds its own noise: ``1 / periods + sum v_t^2``.
    """
    per_period = float(target**2 @ noise + fit.weights**2 @ noise[donors])
    return per_period * (1 / periods + float(fit.pre_weights @ fit.pre_weights))


def excess_variance(
    placebos: Placebos, effects: np.ndarray, noise: np.ndarray, periods: int
) -> float:
    """Variance of one unit's change beyond its own noise, by moments over the placebos.

    ``E g_p^2 = c (sum a^2 + sum w^2) + noise_p`` for placebo ``p``, solved for ``c``.
    """
    parts = zip(placebos.targets, placebos.donors, placebos.fits, strict=True)
    own, size = [], []
    for target, donors, fit in parts:
        own.append(noise_variance(noise, target, donors, fit, periods))
        size.append(loading(target, fit.weights))
    moments = effects**2 - np.array(own)
    return max(float(moments.sum() / np.sum(size)), 0.0)


def placebo_uncertainty(
    placebos: Placebos,
    fit: Fit,
    target: np.ndarray,
    donors: np.ndarray,
    noise: np.ndarray,
    df: float,
    label: str,
) -> Uncertainty:
    """Spread of the placebo effects, moved to the treated units' own noise and number.

    A placebo workspace with few tasks scatters more than the treated one with many: each
    placebo's own noise is taken off, and the treated unit's put in its place.
    """
    periods = fit.gap.size
    if len(placebos.fits) < 2:
        reason = "undefined: a placebo spread needs two donors with donors of their own"
        return Uncertainty(math.nan, math.nan, reason, np.full(periods, math.nan))
    n_post = periods - fit.pre_weights.size
    common = excess_variance(placebos, placebos.effects, noise, n_post)
    own = noise_variance(noise, target, donors, fit, n_post)
    variance = common * loading(target, fit.weights) + own
    sizes = np.array([loading(t, f.weights) for t, f in _pairs(placebos)])
    per_period = (placebos.gaps**2).sum(axis=0) / sizes.sum() * loading(target, fit.weights)
    std_error = math.sqrt(variance)
    if std_error == 0:
        return Uncertainty(
            math.nan, math.nan, "undefined: no placebo moves at all", np.sqrt(per_period)
        )
    return Uncertainty(std_error, df, label, np.sqrt(per_period))


def _pairs(placebos: Placebos) -> list[tuple[np.ndarray, Fit]]:
    return list(zip(placebos.targets, placebos.fits, strict=True))


def jackknife_uncertainty(
    outcomes: np.ndarray, fit: Fit, treated: np.ndarray, donors: np.ndarray
) -> Uncertainty:
    """Jackknife over units with the weights held fixed, treated and donors as two samples.

    Leaving out unit ``i`` and renormalising the weights moves the estimate by
    ``w_i (D_i - D) / (1 - w_i)``, with ``D_i`` the unit's change from the (weighted) pre-launch
    mean and ``D`` its side's weighted mean (Arkhangelsky et al. 2021, algorithm 3). Each squared
    move is divided by its expectation under exchangeable units, so that equal weights give
    Welch's variance exactly. Degrees of freedom are Welch and Satterthwaite's, with
    ``1 / sum w^2 - 1`` for the donors: few effective donors, wide intervals.
    """
    n_pre = fit.pre_weights.size
    # Without an intercept the weights match levels: how levels differ isn't uncertainty.
    pre_weights = fit.pre_weights if fit.pre_weights.any() else np.full(n_pre, 1 / n_pre)
    changes = outcomes - (outcomes[:, :n_pre] @ pre_weights)[:, None]
    equal = np.full(treated.size, 1.0 / treated.size)
    sides = []
    for members, weights in ((treated, equal), (donors, fit.weights)):
        sides.append(side_variance(changes[members], weights, n_pre))
    (var_t, path_t, n_t), (var_d, path_d, n_d) = sides
    total = var_t + var_d
    path = np.sqrt(path_t + path_d)
    if not (np.isfinite(total) and total > 0):
        reason = "undefined: a jackknife needs two treated units and two donors with weight"
        return Uncertainty(math.nan, math.nan, reason, path)
    df = total**2 / (var_t**2 / (n_t - 1) + var_d**2 / (n_d - 1))
    label = f"jackknife over {treated.size + donors.size} units, t({df:.1f})"
    return Uncertainty(math.sqrt(total), df, label, path)


def side_variance(
    changes: np.ndarray, weights: np.ndarray, n_pre: int
) -> tuple[float, np.ndarray, float]:
    """Variance of one side's weighted mean change, of each period's, and its effective size."""
    effective = 1.0 / float(weights @ weights)
    periods = changes.shape[1]
    if effective < 1.0 + 1e-9:
        return math.nan, np.full(periods, math.nan), effective
    post = changes[:, n_pre:].mean(axis=1)
    expectation = 1 - 2 * weights + 1 / effective
    scale = np.where(weights != 0, weights**2 / np.maximum(expectation, 1e-12), 0.0)
    variance = float(scale @ (post - weights @ post) ** 2)
    path = scale @ (changes - weights @ changes) ** 2
    return variance, path, effective


def bootstrap_uncertainty(
    problem: Problem,
    fit: Fit,
    target: np.ndarray,
    donors: np.ndarray,
    replicates: int,
    seed: int,
    conf_level: float,
) -> Uncertainty:
    """Cluster bootstrap: donors drawn with replacement, weights fitted anew, percentiles.

    The treated units stay as they are, which is why it covers too little: their own change is
    half of the uncertainty or more.
    """
    periods = fit.gap.size
    if donors.size < 2:
        reason = "undefined: one donor can't be resampled"
        return Uncertainty(math.nan, math.nan, reason, np.full(periods, math.nan))
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(donors.size, np.full(donors.size, 1.0 / donors.size), size=replicates)
    effects = np.empty(replicates)
    gaps = np.empty((replicates, periods))
    for row, copies in enumerate(draws):
        drawn = np.flatnonzero(copies)
        resampled = problem.fit(target, donors[drawn], copies[drawn])
        effects[row], gaps[row] = resampled.effect, resampled.gap
    tails = [(1 - conf_level) / 2, (1 + conf_level) / 2]
    low, high = np.quantile(effects, tails)
    label = f"cluster bootstrap over donors, {replicates} draws, percentiles (covers too little)"
    return Uncertainty(
        float(effects.std(ddof=1)), math.inf, label, gaps.std(axis=0, ddof=1), low, high
    )


def leave_one_out(problem: Problem, fit: Fit, target: np.ndarray, donors: np.ndarray) -> np.ndarray:
    """The estimate without each donor, shape ``(J,)``.

    Leaving out a donor without weight can't change the optimum, so it isn't fitted again.
    """
    estimates = np.full(donors.size, fit.effect)
    if donors.size < 2:
        return np.full(donors.size, math.nan)
    for k in np.flatnonzero(fit.weights):
        estimates[k] = problem.fit(target, np.delete(donors, k)).effect
    return estimates


def rmspe_ratio(gaps: np.ndarray, n_pre: int) -> np.ndarray:
    """Root mean squared gap after the launch over that before; ``nan`` after a perfect fit."""
    before = np.sqrt((gaps[..., :n_pre] ** 2).mean(axis=-1))
    after = np.sqrt((gaps[..., n_pre:] ** 2).mean(axis=-1))
    return np.divide(after, before, out=np.full(np.shape(after), math.nan), where=before > 0)


def rank_p(own: float, placebos: np.ndarray) -> float:
    """Share of the treated unit and the placebos that are at least as extreme as the treated."""
    known = placebos[~np.isnan(placebos)]
    if math.isnan(own) or known.size == 0:
        return math.nan
    return float((1 + (known >= own).sum()) / (1 + known.size))
