"""The panel that the monitor reads: complete in its history, perhaps ending early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing, is_proportion

from noholdout_synthetic_control.cells import read_table
from noholdout_synthetic_control.panel import WEEK, WEEKS_FOR_BLOCKS
from noholdout_synthetic_control.ratios import Metric
from noholdout_synthetic_control.timing import is_daily, shown


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
    draws
        Whether ``counts`` are draws of 0 or 1 wherever the outcome is a share.
    """

    outcomes: np.ndarray
    counts: np.ndarray | None
    units: np.ndarray
    times: np.ndarray
    n_pre: int
    proportion: bool
    settings: dict[str, Any]
    draws: bool = True

    @property
    def block(self) -> int:
        """Periods a block in the fit, by the history alone."""
        daily = is_daily(self.times[: self.n_pre]) is not False
        return WEEK if daily and self.n_pre >= WEEKS_FOR_BLOCKS * WEEK else 1

    def until(self, horizon: int | None) -> Watched:
        """Without the periods after a watch of that length."""
        if horizon is None:
            return self
        last = self.n_pre + horizon
        counts = None if self.counts is None else self.counts[:, :last]
        settings = {**self.settings, "periods_after_watch": max(self.times.size - last, 0)}
        return replace(
            self,
            outcomes=self.outcomes[:, :last],
            counts=counts,
            times=self.times[:last],
            settings=settings,
        )


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
        draws=table.draws,
    )
