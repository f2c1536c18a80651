"""Watch every unit against its twin, day by day, from no later day than the one looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.checks import holm
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import Missing, is_proportion

from noholdout_synthetic_control.cells import read_table
from noholdout_synthetic_control.kernels.departures import Evidence, make_clock, weigh_evidence
from noholdout_synthetic_control.kernels.fits import demeaned_problem
from noholdout_synthetic_control.kernels.noise import own_noise
from noholdout_synthetic_control.kernels.wander import Wander, fit_wander
from noholdout_synthetic_control.panel import WEEK, WEEKS_FOR_BLOCKS
from noholdout_synthetic_control.ratios import Metric
from noholdout_synthetic_control.timing import is_daily, shown

MIN_HISTORY = 20
MIN_DONORS = 3
SIZES = 2.0  # spread of the shifts looked for, in standard deviations of one day's gap
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Watched:
    """A panel with a history before the watch; ``nan`` where a unit no longer reports.

    Parameters
    ----------
    outcomes, counts
        Shape ``(N, T)``; ``counts`` may be ``None``.
    units, times
        Labels, shapes ``(N,)`` and ``(T,)``.
    n_pre
        Periods of history.
    settings
        Who was left out, and why.
    """

    outcomes: np.ndarray
    counts: np.ndarray | None
    units: np.ndarray
    times: np.ndarray
    n_pre: int
    proportion: bool
    settings: dict[str, Any]

    @property
    def block(self) -> int:
        """Periods a block in the fit, by the history alone."""
        daily = is_daily(self.times[: self.n_pre]) is not False
        return WEEK if daily and self.n_pre >= WEEKS_FOR_BLOCKS * WEEK else 1


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


def read_watched(
    data: Any,
    metric: Metric,
    *,
    unit: str,
    time: str,
    first: Callable[[np.ndarray], int],
    weights: str | None = None,
    cell_mean: bool = False,
    missing: Missing = "refuse",
) -> Watched:
    """The matrix of units by periods; ``first`` finds the first day watched among the times.

    A ratio is each period's sum over sum: a window of several would look ahead.

    Raises
    ------
    DataError
        Cells without a value under ``refuse``.
    """
    asked: dict[str, Any] = {"weights": weights, "cell_mean": cell_mean, "missing": missing}
    table = read_table(data, metric.numerator, unit, time, **asked)
    outcomes, counts = table.outcomes, table.total if table.sized else None
    if metric.denominator is not None:
        below = read_table(data, metric.denominator, unit, time, **asked).outcomes
        outcomes = np.divide(outcomes, below, out=np.full_like(outcomes, np.nan), where=below > 0)
        counts = None
    n_pre = first(table.times)
    known = np.isfinite(outcomes)
    absent = int((~known).sum())
    if absent and missing == "refuse":
        i, t = np.argwhere(~known)[0]
        raise DataError(
            f"{absent:,} of {known.size:,} cells of {unit!r} and {time!r} have no value (the first "
            f"is {table.units[i]!s} at {shown(table.times[t])}).",
            "A unit can't be compared with its twin on a day without data.",
            "Fill them, or use --missing drop (missing='drop'): units with gaps in the history "
            "aren't watched, units that stop reporting are watched until then.",
        )
    complete = known[:, :n_pre].all(axis=1)
    stopped = complete & ~known.all(axis=1)
    settings = {
        **table.settings,
        "not_watched": [str(label) for label in table.units[~complete]],
        "stopped_reporting": [str(label) for label in table.units[stopped]],
    }
    history = outcomes[complete, :n_pre]
    return Watched(
        outcomes=outcomes[complete],
        counts=None if counts is None else counts[complete],
        units=table.units[complete],
        times=table.times,
        n_pre=n_pre,
        proportion=metric.denominator is None and history.size > 0 and is_proportion(history),
        settings=settings,
    )


def watch(panel: Watched, treated: np.ndarray, alpha: float) -> Course:
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
    """
    if panel.n_pre < MIN_HISTORY:
        raise DesignError(
            f"{panel.n_pre} periods lie before the watch.",
            f"Twins and how far they stray are learned there; {MIN_HISTORY} are the least.",
            "Start later, or bring more history.",
        )
    if (~treated).sum() < MIN_DONORS + 1:
        raise DesignError(
            f"{int((~treated).sum())} units can serve as donors.",
            f"How far a twin strays is learned from them; {MIN_DONORS + 1} are the least.",
            "Watch fewer units, or add others.",
        )
    n_pre, days = panel.n_pre, panel.times.size - panel.n_pre
    counts = None if panel.counts is None else panel.counts[:, :n_pre]
    noise = own_noise(panel.outcomes[:, :n_pre], n_pre, counts, panel.proportion)
    donors = ~treated
    wander, multiples = learned_wander(panel, noise, donors)
    known = np.isfinite(panel.outcomes[:, n_pre:])
    stops = np.where(known.all(axis=1), NEVER, known.argmin(axis=1))
    alive = np.arange(days) < stops[:, None]
    gaps, loading, variance = twin_gaps(panel.outcomes, n_pre, noise, donors, panel.block)
    covariance = wander.covariance(days, loading * multiples, variance)
    clock, scale = make_clock(covariance), SIZES * np.sqrt(covariance[:, 0, 0])
    family = treated if treated.any() else ~treated
    left_on = np.full(family.size, NEVER)
    said = np.ones(gaps.shape)
    serving, begin = donors & (stops > 0), 0
    while True:
        if begin > 0 or (stops == 0).any():
            newer, _, _ = twin_gaps(panel.outcomes, n_pre, noise, serving, panel.block)
            gaps = np.concatenate([gaps[:, :begin], newer[:, begin:]], axis=1)
        each = alpha / int(family.sum())
        evidence = weigh_evidence(gaps, alive, clock, scale, donors, each)
        said[:, begin:] = running_p(evidence.log_ratio, family)[:, begin:]
        gone = np.minimum.accumulate(said, axis=1) <= alpha
        left_on = np.where(gone.any(axis=1), gone.argmax(axis=1), NEVER)
        # The next day after which somebody can no longer be a donor.
        last = np.minimum(left_on, np.where(stops == NEVER, NEVER, stops - 1))
        ends = last[serving & (last < days - 1)]
        if ends.size == 0:
            return Course(gaps, np.minimum.accumulate(said, axis=1), left_on, evidence, wander)
        begin = int(ends.min()) + 1
        serving = donors & (last >= begin)
        if serving.sum() < 2:  # no twin can be made any more: nothing new is said
            said[:, begin:] = 1.0
            left_on = np.where(left_on < begin, left_on, NEVER)
            gaps[:, begin:] = np.nan
            return Course(gaps, np.minimum.accumulate(said, axis=1), left_on, evidence, wander)


def learned_wander(
    panel: Watched, noise: np.ndarray, donors: np.ndarray
) -> tuple[Wander, np.ndarray]:
    """How far twins stray from forecasts: fitted to the first half of the history, seen in the
    second, so that the uncertainty of the weights is in it."""
    half = panel.n_pre // 2
    before = panel.outcomes[:, : panel.n_pre]
    block = panel.block if half // panel.block >= 2 else 1
    gaps, loading, variance = twin_gaps(before, half, noise, donors, block)
    if np.abs(gaps).max() <= 1e-9 * np.abs(before).max():
        raise DesignError(
            f"No unit strays from its twin in the {panel.n_pre} periods of history.",
            "How far is usual is learned there; where nothing moves, no limit can be set.",
            "Check that the outcome was logged then, or start the watch later.",
        )
    return fit_wander(gaps, loading, variance)


def twin_gaps(
    outcomes: np.ndarray, n_pre: int, noise: np.ndarray, donors: np.ndarray, block: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each unit's gap after ``n_pre`` from a twin of the donors, its loading and noise variance."""
    problem = demeaned_problem(outcomes, n_pre, noise, block)
    count = outcomes.shape[0]
    gaps = np.empty((count, outcomes.shape[1] - n_pre))
    loading, variance = np.empty(count), np.empty(count)
    for i in range(count):
        target = np.zeros(count)
        target[i] = 1.0
        others = np.flatnonzero(donors & (target == 0))
        fit = problem.fit(target, others)
        gaps[i] = fit.gap[n_pre:]
        loading[i] = 1 + fit.weights @ fit.weights
        variance[i] = noise[i] + fit.weights**2 @ noise[others]
    return gaps, loading, variance


def running_p(log_ratio: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Smallest p-value so far of each unit, Holm-adjusted over the family, shape ``(N, T)``."""
    best = np.exp(-np.maximum(np.maximum.accumulate(log_ratio, axis=1), 0.0))
    adjusted = np.ones_like(best)
    for day in range(best.shape[1]):
        adjusted[family, day] = holm(best[family, day])
    return adjusted
