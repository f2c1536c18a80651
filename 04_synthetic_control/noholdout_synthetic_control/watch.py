"""Watch every unit against its twin, day by day, from no later day than the one looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.checks import holm
from noholdout_shared.errors import DataError, DesignError

from noholdout_synthetic_control.kernels.departures import (
    Clock,
    Evidence,
    change_prior,
    make_clock,
    watch_prior,
    weigh_evidence,
)
from noholdout_synthetic_control.kernels.fits import block_means, demeaned_problem, twin
from noholdout_synthetic_control.kernels.leading import leading_movements
from noholdout_synthetic_control.kernels.noise import own_noise
from noholdout_synthetic_control.kernels.spending import (
    Limits,
    drawn_scans,
    number_of_draws,
    spending_limits,
)
from noholdout_synthetic_control.kernels.wander import Wander, fit_wander
from noholdout_synthetic_control.watched import Watched

MIN_HISTORY = 20
MIN_DONORS = 3
LEAST_NAMED = 10  # of the drawn watches, that limits of a fixed watch rest on
SIZES = 2.0  # spread of the shifts looked for, in standard deviations of one day's gap
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Course:
    """What was known on each day watched; ``N`` units, ``T`` days.

    Parameters
    ----------
    gaps
        Observed minus synthetic, by the twin of that day, shape ``(N, T)``.
    adjusted_p
        Smallest p-value so far, Holm-adjusted over the units watched, shape ``(N, T)``; one for
        units that aren't.
    left_on
        Index of the day on which a unit was first said to have left, ``NEVER`` otherwise.
    evidence
        Change, size and its interval on each day.
    wander
        How gaps stray without a departure, from the history.
    """

    gaps: np.ndarray
    adjusted_p: np.ndarray
    left_on: np.ndarray
    evidence: Evidence
    wander: Wander


@dataclass(frozen=True)
class Twins:
    """Every unit's twin of the donors.

    Parameters
    ----------
    gaps
        After the history, shape ``(N, T)``.
    weights
        Of the donors in each unit's twin, row by row, shape ``(N, N)``.
    loading
        Sum of squared weights, the unit's own one included, shape ``(N,)``.
    variance
        Of one day's gap that is the units' own noise, shape ``(N,)``.
    """

    gaps: np.ndarray
    weights: np.ndarray
    loading: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class Learned:
    """What the history says of the days to come; ``N`` units, ``H`` days.

    Parameters
    ----------
    noise
        Variance of each unit's own noise in one period, shape ``(N,)``.
    wander, multiples
        How gaps stray, and each unit's multiple of it, shape ``(N,)``.
    twins
        By the donors of the history.
    clock
        Of the gaps' covariances over ``H`` days.
    scale
        Spread of the shifts looked for, shape ``(N,)``.
    """

    noise: np.ndarray
    wander: Wander
    multiples: np.ndarray
    twins: Twins
    clock: Clock
    scale: np.ndarray

    def limits(self, family: np.ndarray, alpha: float, seed: int) -> Limits:
        """Limits that spend ``alpha`` over the ``H`` days, ``family`` (boolean) being watched."""
        members = np.flatnonzero(family)
        draws = number_of_draws(members.size)
        if alpha * draws < LEAST_NAMED:
            raise DataError(
                f"conf_level {1 - alpha:g} was asked of limits from {draws:,} drawn watches.",
                f"Fewer than {LEAST_NAMED} of them may be named: too few to place a limit.",
                f"Use up to {1 - LEAST_NAMED / draws:g}, or --limits always-valid.",
            )
        parts = (self.noise, self.twins.weights, members, self.clock, self.scale)
        return spending_limits(drawn_scans(self.wander, self.multiples, *parts, seed), alpha)


def learn(panel: Watched, donors: np.ndarray, days: int) -> Learned:
    """Fit twins and wander to the history, for ``days`` days to come."""
    n_pre = panel.n_pre
    counts = None if panel.counts is None else panel.counts[:, :n_pre]
    noise = own_noise(panel.outcomes[:, :n_pre], n_pre, counts, panel.proportion and panel.draws)
    wander, multiples = learned_wander(panel, noise, donors)
    twins = twin_gaps(panel.outcomes, n_pre, noise, donors, panel.block)
    covariance = wander.covariance(days, twins.loading * multiples, twins.variance)
    scale = SIZES * np.sqrt(covariance[:, 0, 0])
    return Learned(noise, wander, multiples, twins, make_clock(covariance), scale)


@dataclass(frozen=True)
class Rule:
    """When a unit is said to have left.

    Parameters
    ----------
    alpha
        Chance of saying so of anybody, on any day, when nobody left.
    family
        Units watched, boolean, shape ``(N,)``.
    prior
        Weight of a change on each day, shape ``(T,)``.
    limits
        Of a watch of fixed length; ``None`` where limits are to hold forever.
    """

    alpha: float
    family: np.ndarray
    prior: np.ndarray
    limits: Limits | None

    @property
    def levels(self) -> np.ndarray:
        """Limit of one unit's log evidence on each day, shape ``(T,)``."""
        if self.limits is None:
            return np.full(self.prior.size, np.log(self.family.sum() / self.alpha))
        return self.limits.levels[: self.prior.size]

    def p_values(self, evidence: Evidence) -> np.ndarray:
        """Smallest so far, adjusted over the units watched, shape ``(N, T)``; one for others."""
        if self.limits is None:
            return running_p(evidence.log_ratio, self.family)
        found = np.ones(evidence.scan.shape)
        found[self.family] = self.limits.p_values(evidence.scan[self.family])
        return found


def watch(
    panel: Watched, treated: np.ndarray, alpha: float, horizon: int | None = None, seed: int = 0
) -> Course:
    """Run through the days.

    Twins, and how far forecasts stray, come from the history alone. A unit that has left serves
    as nobody's donor from the next day on.

    Parameters
    ----------
    treated
        Units to watch that are nobody's donor, boolean, shape ``(N,)``; with none, all are
        watched and each serves the others.
    alpha
        Chance of saying of anybody, on any day, that it left when nobody did.
    horizon
        Days of the whole watch, those to come included, over which the error is spent; ``None``
        for limits that hold forever. ``seed`` draws the former.
    """
    require_enough(panel, treated)
    n_pre, days = panel.n_pre, panel.times.size - panel.n_pre
    donors, family = ~treated, treated if treated.any() else ~treated
    learned = learn(panel, donors, horizon or days)
    rule = Rule(alpha, family, change_prior(days), None)
    if horizon is not None:
        limits = learned.limits(family, alpha, seed)
        rule = Rule(alpha, family, watch_prior(horizon)[:days], limits)
    known = np.isfinite(panel.outcomes[:, n_pre:])
    stops = np.where(known.all(axis=1), NEVER, known.argmin(axis=1))
    alive = np.arange(days) < stops[:, None]
    clock, gaps = learned.clock.first(days), learned.twins.gaps
    left_on = np.full(family.size, NEVER)
    said = np.ones(gaps.shape)
    serving, begin = donors & (stops > 0), 0
    while True:
        if begin > 0 or (stops == 0).any():
            newer = twin_gaps(panel.outcomes, n_pre, learned.noise, serving, panel.block).gaps
            gaps = np.concatenate([gaps[:, :begin], newer[:, begin:]], axis=1)
        evidence = weigh_evidence(
            gaps, alive, clock, learned.scale, donors, rule.levels, rule.prior
        )
        said[:, begin:] = rule.p_values(evidence)[:, begin:]
        gone = np.minimum.accumulate(said, axis=1) <= alpha
        left_on = np.where(gone.any(axis=1), gone.argmax(axis=1), NEVER)
        # The next day after which somebody can no longer be a donor.
        last = np.minimum(left_on, np.where(stops == NEVER, NEVER, stops - 1))
        ends = last[serving & (last < days - 1)]
        if ends.size == 0:
            break
        begin = int(ends.min()) + 1
        serving = donors & (last >= begin)
        if serving.sum() < 2:  # no twin can be made any more: nothing new is said
            said[:, begin:] = 1.0
            left_on = np.where(left_on < begin, left_on, NEVER)
            gaps[:, begin:] = np.nan
            break
    return Course(gaps, np.minimum.accumulate(said, axis=1), left_on, evidence, learned.wander)


def require_enough(panel: Watched, treated: np.ndarray) -> None:
    """Raise a DesignError where the history or the donors are too few to learn from."""
    if panel.n_pre < MIN_HISTORY:
        raise DesignError(
            f"{panel.n_pre} periods lie before the watch.",
            f"Twins and how far they stray are learned there; {MIN_HISTORY} are the least.",
            "Start later, or bring more history.",
        )
    if (~treated).sum() < MIN_DONORS + 1:
        raise DesignError(
            f"Only {int((~treated).sum())} of {treated.size} units can serve as donors.",
            f"How far a twin strays is learned from them; {MIN_DONORS + 1} are the least.",
            "Watch fewer units, or add others.",
        )


def learned_wander(
    panel: Watched, noise: np.ndarray, donors: np.ndarray
) -> tuple[Wander, np.ndarray]:
    """How far twins stray from forecasts: fitted to the first half of the history, seen in the
    second, so that the uncertainty of the weights is in it."""
    half = panel.n_pre // 2
    before = panel.outcomes[:, : panel.n_pre]
    block = panel.block if half // panel.block >= 2 else 1
    twins = twin_gaps(before, half, noise, donors, block)
    if np.abs(twins.gaps).max() <= 1e-9 * np.abs(before).max():
        raise DesignError(
            f"No unit strays from its twin in the {panel.n_pre} periods of history.",
            "How far is usual is learned there; where nothing moves, no limit can be set.",
            "Check that the outcome was logged then, or start the watch later.",
        )
    return fit_wander(twins.gaps, twins.loading, twins.variance)


def twin_gaps(
    outcomes: np.ndarray, n_pre: int, noise: np.ndarray, donors: np.ndarray, block: int
) -> Twins:
    """Each unit's twin of the donors, fitted to the time before ``n_pre``.

    The default estimator's weights, completed so that nothing of what units share most clearly is
    left in the gaps: it would turn in many at once.
    """
    problem = demeaned_problem(outcomes, n_pre, noise, block)
    blocks = block_means(outcomes, n_pre, block)
    features = blocks - blocks.mean(axis=1, keepdims=True)
    count = outcomes.shape[0]
    gaps = np.empty((count, outcomes.shape[1] - n_pre))
    weights = np.zeros((count, count))
    loading, variance = np.empty(count), np.empty(count)
    for i in range(count):
        target = np.zeros(count)
        target[i] = 1.0
        others = np.flatnonzero(donors & (target == 0))
        simplex = problem.fit(target, others).weights
        missed = features[i] - simplex @ features[others]
        own = leading_movements(features[others]).completed(simplex, missed)
        fit = twin(outcomes, n_pre, target, others, own, problem.pre_weights())
        gaps[i], weights[i, others] = fit.gap[n_pre:], own
        loading[i] = 1 + own @ own
        variance[i] = noise[i] + own**2 @ noise[others]
    return Twins(gaps, weights, loading, variance)


def running_p(log_ratio: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Smallest p-value so far of each unit, Holm-adjusted over the family, shape ``(N, T)``."""
    best = np.exp(-np.maximum(np.maximum.accumulate(log_ratio, axis=1), 0.0))
    adjusted = np.ones_like(best)
    for day in range(best.shape[1]):
        adjusted[family, day] = holm(best[family, day])
    return adjusted
