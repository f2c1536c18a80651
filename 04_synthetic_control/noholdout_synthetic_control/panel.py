"""From a long table to a balanced panel of units by periods, or a refusal that says why not."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.engine import read_cells
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import Missing, codes, positive_weights

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
    groups
        Codes of each unit's cluster, shape ``(N,)``, or ``None``; ``group_labels`` names them.
    rows
        Rows read and used.
    proportion
        Whether the outcome is a share.
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

    @property
    def donors(self) -> np.ndarray:
        """Indices of the units that the launch didn't reach."""
        return np.flatnonzero(~self.treated)

    @property
    def target(self) -> np.ndarray:
        """Weights that average the treated units, shape ``(N,)``."""
        return self.treated / self.treated.sum()

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
    rows = read_cells(
        data, keys=[unit, time, cluster], values=[outcome], weights=weights, missing=missing
    )
    frame = rows.frame
    values, proportion = rows.outcome(outcome)
    sizes = positive_weights(frame, weights)
    unit_codes, units = codes(frame, unit)
    frame[time] = ordered_times(frame[time], time)
    time_codes, times = codes(frame, time)
    is_treated = match_treated(units, treated, unit)
    first = launch_index(times, start, time)
    if is_treated.all() and donors_needed:
        raise no_donor_left(units.size, unit)
    require_design(is_treated, times, first, time, start)

    shape = (units.size, times.size)
    cells = unit_codes * times.size + time_codes
    per_cell = rows.counted(cells, units.size * times.size).reshape(shape)
    refuse_duplicates(per_cell, units, times, unit, time, cell_mean)
    mass = rows.each if sizes is None else sizes
    total = np.bincount(cells, weights=mass, minlength=per_cell.size).reshape(shape)
    summed = np.bincount(cells, weights=mass * values, minlength=per_cell.size).reshape(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = summed / total

    keep_units, keep_times, dropped = settle_cells(
        total > 0, is_treated, units, times, first, unit, time, missing
    )
    settings = {**rows.settings, **dropped, "launch": times[first]}
    if cell_mean:
        settings["cell_mean"] = f"{rows.n_rows:,} rows averaged into {int((per_cell > 0).sum()):,}"
    groups, group_labels = unit_groups(frame, cluster, unit_codes, units, unit)
    index = np.ix_(keep_units, keep_times)
    known = sizes is not None or cell_mean
    panel = Panel(
        outcomes=matrix[index],
        counts=total[index] if known else None,
        units=units[keep_units],
        times=times[keep_times],
        treated=is_treated[keep_units],
        n_pre=int(keep_times[:first].sum()),
        groups=None if groups is None else groups[keep_units],
        group_labels=group_labels,
        rows=int(per_cell[index].sum()),
        proportion=getattr(data, "attrs", {}).get("proportion", proportion),
        daily=is_daily(times),
        settings=settings,
    )
    require_design(panel.treated, panel.times, panel.n_pre, time, start)
    if panel.treated.all() and donors_needed:
        raise DesignError(
            "No donor is left: every one lacks a period.",
            "A synthetic control is built from complete paths.",
            "Use longer periods (weeks instead of days), or fill the gaps.",
        )
    return panel


def ordered_times(values: pd.Series, column: str) -> pd.Series:
    """Times that have an order: numbers and dates as they are, texts read as dates."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return values
    parsed = pd.to_datetime(values, errors="coerce", format="ISO8601")
    wrong = parsed.isna()
    if wrong.any():
        raise DataError(
            f"Time column {column!r} holds {int(wrong.sum()):,} values that are neither numbers "
            f"nor dates (for example {str(values[wrong].iloc[0])!r}).",
            "Before and after the launch need an order.",
            "Write dates as 2025-03-31, or number the periods.",
        )
    return parsed


def is_daily(times: np.ndarray) -> bool | None:
    """Whether dates are one day apart; ``None`` when the times are plain numbers."""
    if not np.issubdtype(times.dtype, np.datetime64):
        return None
    steps = np.diff(times.astype("datetime64[s]").astype("int64"))
    return bool(steps.size and np.median(steps) == 86_400)


def match_treated(units: np.ndarray, treated: Sequence[Any], column: str) -> np.ndarray:
    """Which units are treated; values are compared in the column's own type, then as text."""
    if isinstance(treated, (str, bytes)) or not isinstance(treated, (list, tuple, np.ndarray)):
        treated = [treated]
    if len(treated) == 0:
        raise DesignError(
            "No treated unit was named.", "An effect is somebody's.", "Name it with --treated."
        )
    as_text = {str(label): index for index, label in enumerate(units)}
    found = np.zeros(units.size, dtype=bool)
    for value in treated:
        index = as_text.get(str(value))
        if index is None:
            index = as_text.get(_plain_number(value))
        if index is None:
            near = difflib.get_close_matches(str(value), list(as_text), n=3, cutoff=0.5)
            raise DataError(
                f"Unit column {column!r} holds no {value!r}.",
                f"Did you mean {' or '.join(map(repr, near))}?" if near else "",
                f"It holds {units.size:,} units, for example {str(units[0])!r}.",
            )
        found[index] = True
    return found


def _plain_number(value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return ""
    return str(int(number)) if number.is_integer() else str(number)


def launch_index(times: np.ndarray, start: Any, column: str) -> int:
    """Position of the first period at or after ``start``, read in the time column's type."""
    problem = f"start is {start!r}, but time column {column!r} holds "
    try:
        if np.issubdtype(times.dtype, np.datetime64):
            # A bare number would be read as nanoseconds since 1970.
            if isinstance(start, (int, float, np.number)):
                raise ValueError
            value: Any = np.datetime64(pd.Timestamp(start))
            problem += "dates"
        else:
            value = float(start)
    except (TypeError, ValueError) as error:
        kind = "dates" if np.issubdtype(times.dtype, np.datetime64) else "numbers"
        raise DataError(
            f"start is {start!r}, but time column {column!r} holds {kind} "
            f"(from {_shown(times[0])} to {_shown(times[-1])}).",
            "The launch can't be placed among them.",
            "Give the first treated period as it stands in the column.",
        ) from error
    return int(np.searchsorted(times, value))


def _shown(time: Any) -> str:
    return str(pd.Timestamp(time).date()) if isinstance(time, np.datetime64) else str(time)


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
            f"No period lies {side}: start is {start} and {time!r} runs from {_shown(times[0])} "
            f"to {_shown(times[-1])}.",
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


def refuse_duplicates(
    per_cell: np.ndarray,
    units: np.ndarray,
    times: np.ndarray,
    unit: str,
    time: str,
    cell_mean: bool,
) -> None:
    """Raise a DataError when several rows share a unit and a time and no mean was asked."""
    if cell_mean or per_cell.max() <= 1:
        return
    i, t = np.argwhere(per_cell > 1)[0]
    raise DataError(
        f"{int((per_cell > 1).sum()):,} pairs of {unit!r} and {time!r} have several rows (for "
        f"example {units[i]!s} at {_shown(times[t])}: {per_cell[i, t]:,}).",
        "A synthetic control needs one value a unit and period.",
        "Average them with --cell-mean (cell_mean=True), or remove the duplicates.",
    )


def settle_cells(
    present: np.ndarray,
    treated: np.ndarray,
    units: np.ndarray,
    times: np.ndarray,
    first: int,
    unit: str,
    time: str,
    missing: Missing,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Which units and periods to keep, so that the panel is complete.

    Under ``drop``: periods in which a treated unit has no value are left out for everyone, then
    donors that lack any remaining period are left out.
    """
    absent = int((~present).sum())
    everything = np.ones(present.shape[0], bool), np.ones(present.shape[1], bool)
    if absent == 0:
        return *everything, {}
    i, t = np.argwhere(~present)[0]
    if missing == "refuse":
        raise DataError(
            f"{absent:,} of {present.size:,} cells of {unit!r} and {time!r} have no row (the "
            f"first is {units[i]!s} at {_shown(times[t])}).",
            "Weights are fitted to complete paths, and which path to leave out changes the answer.",
            "Fill them, use longer periods, or use --missing drop (missing='drop'): periods "
            "missing for a treated unit go, then donors with gaps, both counted.",
        )
    keep_times = present[treated].all(axis=0)
    keep_units = treated | present[:, keep_times].all(axis=1)
    left = [str(label) for label in units[~keep_units]]
    return (
        keep_units,
        keep_times,
        {
            "cells_missing": absent,
            "periods_dropped": int((~keep_times).sum()),
            "donors_dropped": left,
        },
    )


def unit_groups(
    frame: pd.DataFrame,
    cluster: str | None,
    unit_codes: np.ndarray,
    units: np.ndarray,
    unit: str,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Each unit's cluster; a unit in two clusters is refused."""
    if cluster is None:
        return None, None
    group_codes, labels = codes(frame, cluster)
    low = np.full(units.size, labels.size)
    high = np.full(units.size, -1)
    np.minimum.at(low, unit_codes, group_codes)
    np.maximum.at(high, unit_codes, group_codes)
    mixed = np.flatnonzero(low != high)
    if mixed.size:
        i = mixed[0]
        raise DataError(
            f"{mixed.size:,} units lie in several {cluster!r} (for example {units[i]!s} in "
            f"{labels[low[i]]!s} and {labels[high[i]]!s}).",
            "A placebo region needs each unit in one.",
            "Give each unit of " + repr(unit) + " one value.",
        )
    return low, labels
