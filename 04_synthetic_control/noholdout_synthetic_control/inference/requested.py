"""Inferences that are given on request: conformal, jackknife+ over time, bootstrap over users."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from noholdout_shared.inference import critical_value

from noholdout_synthetic_control.inference.uncertainty import Uncertainty
from noholdout_synthetic_control.kernels.fits import Build, Fit

HALVINGS = 14
DOUBLINGS = 12


@dataclass(frozen=True)
class Refit:
    """An estimator that can be fitted again on other outcomes or other periods.

    Parameters
    ----------
    build
        Makes the estimator's problem of outcomes, the periods before the launch, and the noise.
    outcomes, n_pre, noise
        Of the estimate: shapes ``(N, T)``, a number, ``(N,)``.
    target, donors
        Weights that average the treated units, shape ``(N,)``; indices of the donors.
    """

    build: Build
    outcomes: np.ndarray
    n_pre: int
    noise: np.ndarray
    target: np.ndarray
    donors: np.ndarray

    def fit(self, outcomes: np.ndarray, n_pre: int) -> Fit:
        """The twin on these outcomes."""
        return self.build(outcomes, n_pre, self.noise).fit(self.target, self.donors)


def undefined(reason: str, periods: int) -> Uncertainty:
    """No interval, and why."""
    return Uncertainty(math.nan, math.nan, f"undefined: {reason}", np.full(periods, math.nan))


def between(
    low: float, high: float, conf_level: float, label: str, periods: int, p_value: float = math.nan
) -> Uncertainty:
    """An interval without a standard error of its own: half its width stands for one."""
    std_error = (high - low) / 2 / critical_value(conf_level)
    band = np.full(periods, math.nan)
    return Uncertainty(std_error, math.inf, label, band, low, high, p_value=p_value)


def conformal_p(effect: float, refit: Refit) -> float:
    """How unusual the time after the launch is, were the effect this in every period of it.

    The effect is taken off, the twin fitted to all ``T`` periods, and the mean residual after the
    launch ranked among those of all ``T`` windows of that length, the ends of the series joined
    (Chernozhukov, Wüthrich and Zhu 2021, JASA 116(536), section 2.2: moving block permutations).
    """
    periods, n_pre = refit.outcomes.shape[1], refit.n_pre
    n_post = periods - n_pre
    null = refit.outcomes.copy()
    null[np.flatnonzero(refit.target), n_pre:] -= effect
    # The last period again, since a problem needs one after the fit; it isn't looked at.
    null = np.column_stack([null, null[:, -1:]])
    residual = refit.fit(null, periods).gap[:periods]
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([residual, residual[: n_post - 1]]))])
    windows = np.abs(sums[n_post:] - sums[:-n_post])
    return float((windows >= windows[n_pre] * (1 - 1e-9)).mean())


def conformal_uncertainty(refit: Refit, conf_level: float) -> Uncertainty:
    """All effects that :func:`conformal_p` doesn't reject: each end by doubling and halving.

    Exact for residuals that are stationary over all periods, under the null that every period
    after the launch has the same effect.
    """
    periods, level = refit.outcomes.shape[1], 1 - conf_level
    if 1 / periods > level:
        return undefined(f"{periods} shifts can't give a p-value of {level:.2g}", periods)

    def kept(value: float) -> bool:
        return conformal_p(value, refit) > level

    found = refit.fit(refit.outcomes, refit.n_pre)
    effect, before = found.effect, found.gap[: refit.n_pre]
    size = float(np.abs(refit.outcomes).max())
    unit = max(float(np.sqrt((before**2).mean())), 1e-9 * size, 1e-300)
    ends = []
    for sign in (-1.0, 1.0):
        inside, step = effect, unit
        for _ in range(DOUBLINGS):
            if not kept(effect + sign * step):
                break
            inside, step = effect + sign * step, 2 * step
        else:
            return undefined("no effect, however large, is rejected", periods)
        outside = effect + sign * step
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if kept(middle) else (inside, middle)
        ends.append(outside)
    zero = conformal_p(0.0, refit)
    label = f"conformal, {periods} block shifts, by inversion"
    return between(ends[0], ends[1], conf_level, label, periods, zero)


def jackknife_plus_uncertainty(refit: Refit, block: int, conf_level: float) -> Uncertainty:
    """The fit without each block before the launch, and how far it misses the block's periods.

    Barber, Candès, Ramdas and Tibshirani (2021, Annals of Statistics 49(1)), in folds: the
    interval's ends are quantiles of ``effect without b - |miss|`` and ``+ |miss|`` over all periods
    left out. It takes the mean after the launch to miss like one period does.
    """
    outcomes, n_pre = refit.outcomes, refit.n_pre
    periods, count = outcomes.shape[1], n_pre // block
    lows, highs = [], []
    if count < 3:
        return undefined("jackknife+ needs three blocks before the launch", periods)
    raw, others = refit.target @ outcomes, outcomes[refit.donors]
    for k in range(count):
        left_out = np.arange(n_pre - (k + 1) * block, n_pre - k * block)
        fit = refit.fit(np.delete(outcomes, left_out, axis=1), n_pre - block)
        miss = raw[left_out] - fit.weights @ others[:, left_out] - fit.intercept
        lows.append(fit.effect - np.abs(miss))
        highs.append(fit.effect + np.abs(miss))
    low, high = np.sort(np.concatenate(lows)), np.sort(np.concatenate(highs))
    size = low.size
    rank = math.floor((1 - conf_level) * (size + 1) + 1e-9)
    if rank < 1:
        return undefined(f"{size} left-out periods can't reach that level", periods)
    label = f"jackknife+ over {size} periods in {count} blocks"
    return between(float(low[rank - 1]), float(high[size - rank]), conf_level, label, periods)


def user_bootstrap_uncertainty(
    refit: Refit, cell_variance: np.ndarray, replicates: int, seed: int, conf_level: float
) -> Uncertainty:
    """Users redrawn within their cells, everything fitted anew, percentiles.

    A mean of users drawn with replacement is near normal around the cell's mean, with the variance
    that users have within the cell over their number (``cell_variance``, shape ``(N, T)``), so the
    means are drawn, not the users. Units' own movements aren't resampled at all, which is why it
    covers far too little.
    """
    outcomes, periods = refit.outcomes, refit.outcomes.shape[1]
    rng = np.random.default_rng(seed)
    spread = np.sqrt(cell_variance)
    effects, gaps = np.empty(replicates), np.empty((replicates, periods))
    for row in range(replicates):
        drawn = outcomes + spread * rng.standard_normal(outcomes.shape)
        fit = refit.fit(drawn, refit.n_pre)
        effects[row], gaps[row] = fit.effect, fit.gap
    low, high = np.quantile(effects, [(1 - conf_level) / 2, (1 + conf_level) / 2])
    label = f"bootstrap over users, {replicates} draws, percentiles (covers too little)"
    return Uncertainty(
        float(effects.std(ddof=1)), math.inf, label, gaps.std(axis=0, ddof=1), low, high
    )
