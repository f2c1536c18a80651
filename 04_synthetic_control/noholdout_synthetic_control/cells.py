"""A long table as cells of units by periods: read, averaged, and completed or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.engine import read_cells
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing, codes, positive_weights

from noholdout_synthetic_control.timing import ordered_times, shown


@dataclass(frozen=True)
class Cells:
    """Every unit by every period, complete or not.

    Parameters
    ----------
    outcomes
        Means, ``nan`` where there is no row, shape ``(N, T)``.
    total
        Weight in each cell (rows, without weights), shape ``(N, T)``.
    rows
        Rows in each cell, shape ``(N, T)``.
    units, times
        Labels in order.
    frame, unit_codes
        The rows as read, and each row's unit.
    variance
        Of each cell's mean over its rows, shape ``(N, T)``; ``None`` unless rows were averaged.
    sized
        Whether ``total`` says how much stands behind each cell.
    proportion
        Whether the outcome is a share.
    draws
        Whether ``total`` counts draws of 0 or 1 wherever the outcome is a share.
    settings
        What was read and averaged.
    """

    outcomes: np.ndarray
    total: np.ndarray
    rows: np.ndarray
    units: np.ndarray
    times: np.ndarray
    frame: pd.DataFrame
    unit_codes: np.ndarray
    variance: np.ndarray | None
    sized: bool
    proportion: bool
    draws: bool
    settings: dict[str, Any]


def read_table(
    data: Any,
    outcome: str,
    unit: str,
    time: str,
    *,
    weights: str | None = None,
    more: Sequence[str | None] = (),
    may_be_empty: Sequence[str] = (),
    cell_mean: bool = False,
    missing: Missing = "refuse",
) -> Cells:
    """Read the columns and average the rows of each cell; ``more`` are further label columns."""
    rows = read_cells(
        data, keys=[unit, time, *more], values=[outcome], weights=weights, missing=missing,
        may_be_empty=may_be_empty,
    )  # fmt: skip
    frame = rows.frame
    values, proportion = rows.outcome(outcome)
    sizes = positive_weights(frame, weights)
    unit_codes, units = codes(frame, unit)
    frame[time] = ordered_times(frame[time], time)
    time_codes, times = codes(frame, time)
    shape = (units.size, times.size)
    cells = unit_codes * times.size + time_codes
    per_cell = rows.counted(cells, units.size * times.size).reshape(shape)
    refuse_duplicates(per_cell, units, times, unit, time, cell_mean)
    mass = rows.each if sizes is None else sizes
    total = np.bincount(cells, weights=mass, minlength=per_cell.size).reshape(shape)
    summed = np.bincount(cells, weights=mass * values, minlength=per_cell.size).reshape(shape)
    settings = dict(rows.settings)
    if cell_mean:
        settings["cell_mean"] = f"{rows.n_rows:,} rows averaged into {int((per_cell > 0).sum()):,}"
    with np.errstate(invalid="ignore", divide="ignore"):
        outcomes = summed / total
        variance, draws = None, True
        if cell_mean:
            squares = np.bincount(cells, weights=mass * values**2, minlength=per_cell.size)
            within = squares.reshape(shape)
            if rows.cells is not None:
                spread = rows.cells.spread[outcome] * mass / rows.each
                within += np.bincount(cells, spread, per_cell.size).reshape(shape)
            variance = np.maximum(within / total - outcomes**2, 0.0) / per_cell
            # A square is what it's the square of in rows of 0 and 1 alone.
            draws = sizes is not None or bool(np.allclose(within, summed, rtol=1e-9, atol=1e-9))
    return Cells(
        outcomes,
        total,
        per_cell,
        units,
        times,
        frame,
        unit_codes,
        variance,
        sizes is not None or cell_mean,
        getattr(data, "attrs", {}).get("proportion", proportion),
        draws,
        settings,
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
        f"example {units[i]!s} at {shown(times[t])}: {per_cell[i, t]:,}).",
        "A synthetic control needs one value a unit and period.",
        "Average them with --cell-mean (cell_mean=True), or remove the duplicates.",
    )


def settle_cells(
    present: np.ndarray,
    treated: np.ndarray,
    units: np.ndarray,
    times: np.ndarray,
    unit: str,
    time: str,
    missing: Missing,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Which units and periods to keep, so that the panel is complete.

    Under ``drop`` periods in which a treated unit has no value are left out for everyone; then,
    until no gap is left, the donor or the period with the largest share of gaps (of equal ones
    the period). Nothing is filled in.
    """
    absent = ~present
    count = int(absent.sum())
    keep_units, keep_times = np.ones(units.size, bool), np.ones(times.size, bool)
    if count == 0:
        return keep_units, keep_times, {}
    i, t = np.argwhere(absent)[0]
    if missing == "refuse":
        raise DataError(
            f"{count:,} of {present.size:,} cells of {unit!r} and {time!r} have no row (the "
            f"first is {units[i]!s} at {shown(times[t])}).",
            "Weights are fitted to complete paths, and which path to leave out changes the answer.",
            "Fill them, use longer periods, or use --missing drop (missing='drop'): periods "
            "missing for a treated unit go, then the donors or periods with most gaps, counted.",
        )
    keep_times = present[treated].all(axis=0)
    gaps = absent & ~treated[:, None] & keep_times
    while gaps.any():
        by_unit = gaps.sum(axis=1) / max(int(keep_times.sum()), 1)
        by_time = gaps.sum(axis=0) / max(int((keep_units & ~treated).sum()), 1)
        if by_time.max() >= by_unit.max():
            worst = int(np.argmax(by_time))
            keep_times[worst] = False
            gaps[:, worst] = False
        else:
            worst = int(np.argmax(by_unit))
            keep_units[worst] = False
            gaps[worst] = False
    dropped = {
        "cells_missing": count,
        "periods_dropped": int((~keep_times).sum()),
        "donors_dropped": [str(label) for label in units[~keep_units]],
        "share_dropped": 1 - float(keep_units.mean() * keep_times.mean()),
    }
    return keep_units, keep_times, dropped


def unit_groups(
    table: Cells, cluster: str | None, unit: str
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Each unit's cluster; a unit in two clusters is refused."""
    if cluster is None:
        return None, None
    group_codes, labels = codes(table.frame, cluster)
    low = np.full(table.units.size, labels.size)
    high = np.full(table.units.size, -1)
    np.minimum.at(low, table.unit_codes, group_codes)
    np.maximum.at(high, table.unit_codes, group_codes)
    mixed = np.flatnonzero(low != high)
    if mixed.size:
        i = mixed[0]
        raise DataError(
            f"{mixed.size:,} units lie in several {cluster!r} (for example {table.units[i]!s} in "
            f"{labels[low[i]]!s} and {labels[high[i]]!s}).",
            "A placebo region needs each unit in one.",
            "Give each unit of " + repr(unit) + " one value.",
        )
    return low, labels
