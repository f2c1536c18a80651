"""From a long table to a balanced panel of units by periods, or a refusal that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from noholdout_shared.errors import DesignError
from noholdout_shared.input import Missing

from noholdout_synthetic_control.cells import Cells, read_table, settle_cells, unit_groups
from noholdout_synthetic_control.timing import (
    adoptions,
    is_daily,
    launch_index,
    match_treated,
    shown,
)

WEEK = 7
WEEKS_FOR_BLOCKS = 6


@dataclass(frozen=True)
class Panel:
    """A balanced panel with a launch in it.

    Parameters
    ----------
    outcomes
        Shape ``(N, T)``.
    counts
        Observations behind each cell (the sum of ``weights``), shape ``(N, T)``, or ``None``.
    units, times
        Labels in order, shapes ``(N,)`` and ``(T,)``.
    treated
        Boolean, shape ``(N,)``.
    n_pre
        Periods before the launch.
    cell_variance
        Of each cell's mean over its rows, shape ``(N, T)``; ``None`` without several rows a cell.
    groups
        Codes of each unit's cluster, shape ``(N,)``, or ``None``; ``group_labels`` names them.
    rows
        Rows read and used.
    proportion
        Whether the outcome is a share.
    draws
        Whether ``counts`` are draws of 0 or 1 wherever the outcome is a share.
    daily
        Whether the times are days (dates one day apart).
    settings
        What was averaged, dropped or chosen on the way.
    """

    outcomes: np.ndarray
    counts: np.ndarray | None
    units: np.ndarray
    times: np.ndarray
    treated: np.ndarray
    n_pre: int
    groups: np.ndarray | None
    group_labels: np.ndarray | None
    rows: int
    proportion: bool
    daily: bool | None
    settings: dict[str, Any]
    cell_variance: np.ndarray | None = None
    draws: bool = True

    @property
    def binomial(self) -> bool:
        """Whether the noise of each cell follows from its share and its count."""
        return self.proportion and self.draws

    @property
    def donors(self) -> np.ndarray:
        """Indices of the units that the launch didn't reach."""
        return np.flatnonzero(~self.treated)

    @property
    def target(self) -> np.ndarray:
        """Weights that average the treated units, shape ``(N,)``."""
        return self.treated / self.treated.sum()

    def backdated(self, n_pre: int, horizon: int) -> Panel:
        """The panel with a fake launch after ``n_pre`` periods, cut ``horizon`` after that."""
        kept = slice(0, n_pre + horizon)
        return replace(
            self,
            outcomes=self.outcomes[:, kept],
            counts=None if self.counts is None else self.counts[:, kept],
            cell_variance=None if self.cell_variance is None else self.cell_variance[:, kept],
            times=self.times[kept],
            n_pre=n_pre,
        )

    def default_block(self) -> int:
        """Periods a block in the fit: weeks of days, single periods otherwise.

        Integer times count as days when six weeks of them stand before the launch.
        """
        enough = self.n_pre >= WEEKS_FOR_BLOCKS * WEEK
        if self.daily is False or not enough:
            return 1
        return WEEK


def read_panel(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    treated: Sequence[Any],
    start: Any,
    weights: str | None = None,
    cluster: str | None = None,
    cell_mean: bool = False,
    missing: Missing = "refuse",
    donors_needed: bool = True,
) -> Panel:
    """Read the columns, average cells where asked, and place the launch.

    Raises
    ------
    DataError
        Unknown columns or values, duplicate cells without ``cell_mean``, missing cells under
        ``refuse``, times that can't be put in order.
    DesignError
        No donor, no period before or after the launch, one unit.
    """
    table = read_table(
        data, outcome, unit, time, weights=weights, more=[cluster], cell_mean=cell_mean,
        missing=missing,
    )  # fmt: skip
    is_treated = match_treated(table.units, treated, unit)
    first = launch_index(table.times, start, time)
    if is_treated.all() and donors_needed:
        raise no_donor_left(table.units.size, unit)
    require_design(is_treated, table.times, first, time, start)
    return balanced(table, is_treated, first, unit, time, start, cluster, missing, donors_needed)


def balanced(
    table: Cells,
    treated: np.ndarray,
    first: int,
    unit: str,
    time: str,
    start: Any,
    cluster: str | None,
    missing: Missing,
    donors_needed: bool,
) -> Panel:
    """The complete panel of the units of ``table`` with a launch at position ``first``."""
    keep_units, keep_times, dropped = settle_cells(
        table.total > 0, treated, table.units, table.times, unit, time, missing
    )
    groups, group_labels = unit_groups(table, cluster, unit)
    panel = cut_panel(table, keep_units, keep_times, treated, first, dropped)
    if groups is not None:
        panel = replace(panel, groups=groups[keep_units], group_labels=group_labels)
    require_design(panel.treated, panel.times, panel.n_pre, time, start)
    if panel.treated.all() and donors_needed:
        raise no_donor_complete()
    return panel


def cut_panel(
    table: Cells,
    units: np.ndarray,
    times: np.ndarray,
    treated: np.ndarray,
    first: int,
    dropped: dict[str, Any],
) -> Panel:
    """The panel of the units and times that are kept (boolean masks), without groups."""
    index = np.ix_(units, times)
    return Panel(
        outcomes=table.outcomes[index],
        counts=table.total[index] if table.sized else None,
        units=table.units[units],
        times=table.times[times],
        treated=treated[units],
        n_pre=int(times[:first].sum()),
        groups=None,
        group_labels=None,
        rows=int(table.rows[index].sum()),
        proportion=table.proportion,
        draws=table.draws,
        daily=is_daily(table.times),
        settings={**table.settings, **dropped, "launch": table.times[first]},
        cell_variance=None if table.variance is None else table.variance[index],
    )


def no_donor_complete() -> DesignError:
    """Every donor went for its gaps."""
    return DesignError(
        "No donor is left: every one lacks a period.",
        "A synthetic control is built from complete paths.",
        "Use longer periods (weeks instead of days), or fill the gaps.",
    )


def read_cohorts(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    first_treated: str,
    weights: str | None = None,
    cell_mean: bool = False,
    missing: Missing = "refuse",
) -> tuple[Panel, ...]:
    """One panel a cohort (the units that got the launch in the same period), in order of time.

    Each holds its cohort and the never-treated units, which are the donors of all; units of other
    cohorts are in neither. All panels have the same periods. Units treated in every period are
    left out and counted.

    Raises
    ------
    DataError
        As :func:`read_panel`; a unit with two launches.
    DesignError
        No unit was ever treated, or none never; a cohort with one period before its launch.
    """
    table = read_table(
        data, outcome, unit, time, weights=weights, more=[first_treated],
        may_be_empty=[first_treated], cell_mean=cell_mean, missing=missing,
    )  # fmt: skip
    rows, codes_ = table.frame[first_treated], table.unit_codes
    place, counted = adoptions(rows, codes_, table.units, table.times, first_treated)
    never, always = place == table.times.size, place == 0
    reached = ~never & ~always
    if not reached.any():
        raise DesignError(
            f"No unit of {unit!r} got the launch within the data.",
            "",
            f"Check {first_treated!r}: it holds each unit's first treated period.",
        )
    if not never.any():
        raise no_donor_left(table.units.size, unit)
    keep_units, keep_times, dropped = settle_cells(
        (table.total > 0) | always[:, None], reached, table.units, table.times, unit, time, missing
    )
    if not (keep_units & never).any():
        raise no_donor_complete()
    kinds = {"units_" + name: number for name, number in counted.items()}
    dropped |= kinds | {"units_left_out_always_treated": int(always.sum())}
    panels = []
    for first in np.unique(place[reached & keep_units]):
        members = keep_units & (never | (place == first))
        panel = cut_panel(table, members, keep_times, place == first, int(first), dropped)
        require_design(panel.treated, panel.times, panel.n_pre, time, shown(table.times[first]))
        panels.append(panel)
    return tuple(panels)


def require_design(
    treated: np.ndarray, times: np.ndarray, first: int, time: str, start: Any
) -> None:
    """Raise a DesignError when nothing is treated, or there is no before or no after."""
    if not treated.any():
        raise DesignError(
            "No treated unit is left after incomplete units were left out.",
            "",
            "Fill the treated units' missing cells.",
        )
    if first == 0 or first >= times.size:
        side = "before" if first == 0 else "from the launch on"
        raise DesignError(
            f"No period lies {side}: start is {start} and {time!r} runs from {shown(times[0])} "
            f"to {shown(times[-1])}.",
            "The effect is the change from before the launch to after it.",
            "Check start, or add periods.",
        )
    if first < 2:
        raise DesignError(
            "Only one period lies before the launch.",
            "Weights fitted to one period would match its noise.",
            "Add periods before the launch (30 or more days are a start).",
        )


def no_donor_left(count: int, unit: str) -> DesignError:
    """What can still be done when everyone was upgraded, and what it costs in certainty."""
    listed = f"All {count} units" if count > 1 else "The one unit"
    return DesignError(
        f"{listed} of {unit!r} got the launch: no donor is left.",
        "A synthetic control is built from units that the launch didn't reach; without any, what "
        "would have happened can't be read from this panel.",
        "What can still be done, from more to less certain: "
        "(1) pinned tenants: hold 8 to 12 on the old version (or roll them back) and compare "
        "with them; costs those tenants the upgrade, and intervals have about 9 degrees of "
        "freedom. "
        "(2) staged waves: if the launch came in steps, treat the late wave as donors until "
        "its turn (see noholdout did); costs the long-run effect. "
        "(3) other regions or products that kept the old version: add their rows; with six "
        "regions the smallest placebo p-value is 1/6. "
        "(4) an interrupted time series (--estimator interrupted-time-series): one path before "
        "and after; anything else that happened at launch is counted as effect, so its verdict "
        "is never better than caution.",
    )
