"""Placebos: donors, or whole regions, treated as if they had got the launch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noholdout_synthetic_control.inference.uncertainty import Uncertainty
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
