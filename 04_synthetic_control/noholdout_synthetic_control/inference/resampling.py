"""Jackknife over units with the weights held, the bootstrap over donors, leaving a donor out."""

from __future__ import annotations

import math

import numpy as np

from noholdout_synthetic_control.inference.uncertainty import Uncertainty
from noholdout_synthetic_control.kernels.fits import Fit, Problem, refit

LEAST_DF = 1.0
ONE_DONOR = (
    "undefined: one donor carries nearly all the weight ({:.1f} effective), so that how far "
    "donors stray can't be told"
)


def jackknife_uncertainty(
    outcomes: np.ndarray, fit: Fit, treated: np.ndarray, donors: np.ndarray
) -> Uncertainty:
    """Jackknife over units with the weights held fixed, treated and donors as two samples.

    Leaving out unit ``i`` and renormalising the weights moves the estimate by
    ``w_i (D_i - D) / (1 - w_i)``, with ``D_i`` the unit's change from the (weighted) pre-launch
    mean and ``D`` its side's weighted mean (Arkhangelsky et al. 2021, algorithm 3). Each squared
    move is divided by its expectation under exchangeable units, so that equal weights give
    Welch's variance exactly. Degrees of freedom are Welch and Satterthwaite's, with
    ``1 / sum w^2 - 1`` for the donors: few effective donors, wide intervals; below one degree of
    freedom, where a t quantile exceeds 12.7 and soon has no meaning, none.
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
    df = 1 / ((var_t / total) ** 2 / (n_t - 1) + (var_d / total) ** 2 / (n_d - 1))
    if df < LEAST_DF:
        return Uncertainty(math.nan, math.nan, ONE_DONOR.format(n_d), path)
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
    effects, gaps = refit(problem, fit, target, donors, draws)
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
    carrying = np.flatnonzero(fit.weights)
    kept = np.ones((carrying.size, donors.size), dtype=int)
    kept[np.arange(carrying.size), carrying] = 0
    estimates[carrying], _ = refit(problem, fit, target, donors, kept)
    return estimates
