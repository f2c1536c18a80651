"""Limits for a watch of a length fixed beforehand: the error allowed is spent week by week.

Lan and DeMets (1983, Biometrika 70(3)): how much error may have been spent by each moment is fixed
by a function of the share of the watch that has passed, and each limit is then the one that spends
what is due, given the joint distribution of the statistic over all looks. That distribution has no
closed form here (the largest of many units' evidence, each the largest over its days of change), so
it is drawn: whole watches of all units without a departure, movements and noise as learned from the
history, passed through the same twins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from noholdout_synthetic_control.kernels.departures import Clock, watch_prior
from noholdout_synthetic_control.kernels.wander import Wander

UNIT_DRAWS = 50_000  # watches of single units drawn in all
LEAST_DRAWS, MOST_DRAWS = 1000, 10_000
WEEK = 7  # looks that share a limit


@dataclass(frozen=True)
class Limits:
    """Limits of one watch.

    Parameters
    ----------
    levels
        Of the scan, one a day of the watch, shape ``(H,)``; ``inf`` where nothing may be spent yet.
    excess
        By how much anybody's scan exceeds its limit at most in each drawn watch, sorted, shape
        ``(D,)``.
    """

    levels: np.ndarray
    excess: np.ndarray

    def p_values(self, scan: np.ndarray) -> np.ndarray:
        """Smallest p-value so far by unit and day, adjusted for all units and days, ``(n, T)``.

        The share of drawn watches in which anybody comes as far beyond the limits, or further.
        """
        beyond = np.maximum.accumulate(scan - self.levels[: scan.shape[1]], axis=1)
        fewer = np.searchsorted(self.excess, beyond, side="left")
        return np.asarray((1 + self.excess.size - fewer) / (1 + self.excess.size))


def spent(share: np.ndarray, alpha: float) -> np.ndarray:
    """Error that may be spent by each share of the watch: Lan and DeMets's function of Pocock's
    type, close to even."""
    return np.asarray(alpha * np.log1p((np.e - 1) * share))


def spending_limits(scans: np.ndarray, alpha: float) -> Limits:
    """Limits from drawn watches without a departure.

    Parameters
    ----------
    scans
        Largest scan over the units on each day of each drawn watch, shape ``(D, H)``.
    alpha
        Error to be spent by the last day.
    """
    draws, days = scans.shape
    levels = np.empty(days)
    left = np.ones(draws, dtype=bool)
    for start in range(0, days, WEEK):
        week = slice(start, min(start + WEEK, days))
        highest = np.where(left, scans[:, week].max(axis=1), -np.inf)
        # One less than the share: p-values count the watch looked at among the drawn ones.
        allowed = int(spent(np.array(week.stop / days), alpha) * (draws + 1)) - 1
        due = allowed - int((~left).sum())
        ordered = np.sort(highest)[::-1]
        # Between the last draw that is named and the first that isn't.
        levels[week] = (ordered[due - 1] + ordered[due]) / 2 if due > 0 else np.inf
        left &= highest < levels[week.start]
    return Limits(levels, np.sort((scans - levels).max(axis=1)))


def number_of_draws(units: int) -> int:
    """Watches to draw when so many units are watched."""
    return min(max(UNIT_DRAWS // units, LEAST_DRAWS), MOST_DRAWS)


def drawn_scans(
    wander: Wander,
    multiples: np.ndarray,
    noise: np.ndarray,
    weights: np.ndarray,
    family: np.ndarray,
    clock: Clock,
    scale: np.ndarray,
    seed: int,
) -> np.ndarray:
    """The largest scan over the family on each day of drawn watches, shape ``(D, H)``.

    Parameters
    ----------
    wander, multiples
        As learned: each unit moves by ``wander``, its gap ``multiples`` times as much.
    noise
        Variance of each unit's own daily noise, shape ``(N,)``.
    weights
        Of the twins, row by row, shape ``(N, N)``.
    family
        Indices of the units watched.
    clock, scale
        Of all units, over the whole watch.
    """
    rng = np.random.default_rng(seed)
    days = clock.steps.shape[1]
    draws = number_of_draws(family.size)
    own = np.eye(noise.size)[family] - weights[family]
    used = np.flatnonzero((own != 0).any(axis=0))
    own = own[:, used]
    values, vectors = np.linalg.eigh(wander.moves(days))
    # The symmetric root doesn't depend on the signs of the eigenvectors.
    root = ((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T).astype(np.float32)
    daily = np.sqrt(wander.noise * noise[used])
    moving = np.sqrt(multiples[family])[:, None] * own
    top = np.full((days, draws), -np.inf, dtype=np.float32)
    # Gaps of all units in all draws: shape (family, days, draws).
    shape = (used.size, days * draws)
    moves = (root @ rng.standard_normal((used.size, days, draws), dtype=np.float32)).reshape(shape)
    jitter = rng.standard_normal(shape, dtype=np.float32)
    gaps = moving.astype(np.float32) @ moves + (own * daily).astype(np.float32) @ jitter
    for i, gap in zip(family, gaps.reshape(-1, days, draws), strict=True):
        white = solve_triangular(clock.root[i].astype(np.float32), gap, lower=True)
        scan_draws(white, clock, int(i), float(scale[i]), top)
    return top.T


def scan_draws(white: np.ndarray, clock: Clock, unit: int, scale: float, top: np.ndarray) -> None:
    """Raise ``top`` to the scan of one unit's whitened gaps where that is larger, both ``(H, D)``.

    The scan of :func:`weigh_evidence` with the prior of a watch of fixed length.
    """
    steps, information = clock.steps[unit], clock.information[unit]
    gain = scale**2 * information
    slope = (gain / (1 + gain) / information / 2).astype(np.float32)
    offset = (np.log(watch_prior(len(white))) - np.log1p(gain) / 2).astype(np.float32)
    plain = steps.astype(np.float32)
    score = np.zeros_like(white)
    held = np.empty_like(white)
    for t in range(white.shape[0]):
        now, work = score[: t + 1], held[: t + 1]
        np.multiply(plain[t, : t + 1, None], white[t], out=work)
        now += work
        np.multiply(now, now, out=work)
        work *= slope[t, : t + 1, None]
        work += offset[t, : t + 1, None]
        np.maximum(top[t], work.max(axis=0), out=top[t])
