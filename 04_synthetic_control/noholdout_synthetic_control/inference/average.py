"""The error of an average over cohorts that share their donors.

Each cohort's effect is a contrast of its own gap; the donors are the same, so the cohorts' errors
move together. Placebos (the donors, each treated at every cohort's launch) give the covariance of
one unit's changes under any two of the contrasts; the jackknife leaves a donor out of all twins at
once. With one cohort both are what :mod:`placebos` and :mod:`resampling` compute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noholdout_synthetic_control.inference.placebos import Placebos
from noholdout_synthetic_control.inference.resampling import (
    LEAST_DF,
    ONE_DONOR,
    side_variance,
)
from noholdout_synthetic_control.inference.uncertainty import Uncertainty
from noholdout_synthetic_control.kernels.fits import Fit


@dataclass(frozen=True)
class Cohort:
    """One cohort's fit and placebos.

    Parameters
    ----------
    outcomes, noise
        Of the cohort's units and the donors, shapes ``(N, T)`` and ``(N,)``.
    treated, donors
        Their indices; the donors are the same units in the same order in every cohort.
    fit, placebos
        The cohort's twin, and each donor's.
    """

    outcomes: np.ndarray
    noise: np.ndarray
    treated: np.ndarray
    donors: np.ndarray
    fit: Fit
    placebos: Placebos

    @property
    def n_pre(self) -> int:
        """Periods before this cohort's launch."""
        return self.fit.pre_weights.size

    def contrast(self, chosen: np.ndarray, fit: Fit) -> np.ndarray:
        """Weights on the periods of a unit's path, from those on its gap: the intercept is in."""
        found = chosen.astype(float).copy()
        found[: self.n_pre] -= chosen.sum() * fit.pre_weights
        return found

    def placebo_weights(self) -> np.ndarray:
        """Weight of each donor in each donor's placebo twin, shape ``(J, J)``."""
        count = self.donors.size
        weights = np.zeros((count, count))
        for row, fit in enumerate(self.placebos.fits):
            weights[row, np.arange(count) != row] = fit.weights
        return weights


def averaged(cohorts: list[Cohort], chosen: list[np.ndarray], shares: np.ndarray) -> float:
    """The average effect: shares of the cohorts' gaps under ``chosen`` (weights on periods)."""
    effects = [float(c.fit.gap @ weight) for c, weight in zip(cohorts, chosen, strict=True)]
    return float(shares @ effects)


def average_placebo(
    cohorts: list[Cohort], chosen: list[np.ndarray], shares: np.ndarray
) -> Uncertainty:
    """From every donor's placebo at every cohort's launch; t with donors - 1.

    With ``g`` and ``h`` cohorts, ``E G_jg G_jh = k_gh (1 + W_jg'W_jh) + c_g'c_h (own noise)`` is
    solved for ``k`` by moments over the donors ``j`` (negative directions set to zero), and the
    variance of the average is ``sum s_g s_h k_gh ([g = h] / N_g + w_g'w_h)`` plus the noise of the
    units that are in it.
    """
    donors = cohorts[0].donors.size
    if donors < 3:
        reason = "undefined: a placebo spread needs two donors with donors of their own"
        return Uncertainty(math.nan, math.nan, reason, np.empty(0))
    gaps = np.array([c.placebos.gaps @ w for c, w in zip(cohorts, chosen, strict=True)])
    pairs = list(zip(cohorts, chosen, strict=True))
    contrasts = np.array([c.contrast(w, c.fit) for c, w in pairs])
    others = [np.array([c.contrast(w, f) for f in c.placebos.fits]) for c, w in pairs]
    own = cohorts[0].noise[cohorts[0].donors]
    twins = [c.placebo_weights() for c in cohorts]
    weights = np.array([c.fit.weights for c in cohorts])
    together = contrasts @ contrasts.T
    count = len(cohorts)
    spread, noise, reach = np.empty((3, count, count))
    for g in range(count):
        for h in range(count):
            both = twins[g] * twins[h]
            noisy = (others[g] * others[h]).sum(axis=1) * (own + both @ own)
            spread[g, h] = (gaps[g] @ gaps[h] - noisy.sum()) / (donors + both.sum())
            noise[g, h] = together[g, h] * float((weights[g] * weights[h]) @ own)
            reach[g, h] = weights[g] @ weights[h]
    for g, cohort in enumerate(cohorts):
        size = cohort.treated.size
        reach[g, g] += 1 / size
        noise[g, g] += together[g, g] * float(cohort.noise[cohort.treated].sum()) / size**2
    values, vectors = np.linalg.eigh(spread)
    spread = (vectors * np.maximum(values, 0.0)) @ vectors.T
    variance = float(shares @ (spread * reach + noise) @ shares)
    label = f"placebos of all {donors} donors at every launch, t({donors - 1})"
    return Uncertainty(math.sqrt(max(variance, 0.0)), donors - 1, label, np.empty(0))


def average_jackknife(
    cohorts: list[Cohort], chosen: list[np.ndarray], shares: np.ndarray
) -> Uncertainty:
    """Over units with the weights held: a donor leaves every cohort's twin at once.

    Welch's degrees of freedom, one term a cohort and one for the donors.
    """
    moves = np.zeros(cohorts[0].donors.size)
    weight = np.zeros(moves.size)
    parts: list[tuple[float, float]] = []
    for cohort, asked, share in zip(cohorts, chosen, shares, strict=True):
        contrast = cohort.contrast(asked, cohort.fit)
        if not cohort.fit.pre_weights.any():  # levels matched by weights aren't uncertainty
            contrast[: cohort.n_pre] -= asked.sum() / cohort.n_pre
        changes = cohort.outcomes @ contrast
        equal = np.full(cohort.treated.size, 1.0 / cohort.treated.size)
        variance, _, size = side_variance(changes[cohort.treated][:, None], equal, 0)
        parts.append((share**2 * variance, size - 1))
        own = changes[cohort.donors]
        moves += share * cohort.fit.weights * (own - cohort.fit.weights @ own)
        weight += share * cohort.fit.weights
    squared = float(weight @ weight)
    if 1 / squared > 1 + 1e-9:
        expected = np.maximum(1 - 2 * weight + squared, 1e-12)
        parts.append((float((moves**2 / expected).sum()), 1 / squared - 1))
    total = sum(variance for variance, _ in parts)
    if not (len(parts) > len(cohorts) and math.isfinite(total) and total > 0):
        reason = "undefined: a jackknife needs two units in every cohort and two donors"
        return Uncertainty(math.nan, math.nan, reason, np.empty(0))
    df = 1 / sum((variance / total) ** 2 / size for variance, size in parts)
    if df < LEAST_DF:
        return Uncertainty(math.nan, math.nan, ONE_DONOR.format(1 / squared), np.empty(0))
    count = sum(c.treated.size for c in cohorts) + moves.size
    return Uncertainty(
        math.sqrt(total), df, f"jackknife over {count} units, t({df:.1f})", np.empty(0)
    )
