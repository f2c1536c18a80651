"""One row a unit and period: duplicates refused or averaged, and rows picked from a rollout."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError

if TYPE_CHECKING:
    from noholdout_did.rollout import Rollout


def one_row_a_cell(
    rollout: Rollout, frame: pd.DataFrame, unit: str, time: str, cell_mean: bool
) -> Rollout:
    assert rollout.unit is not None
    cell = rollout.unit * rollout.n_periods
    cell += rollout.period
    # One bit a cell says whether there are duplicates; they are counted only if so.
    seen = np.zeros((int(rollout.unit.max()) + 1) * rollout.n_periods, dtype=bool)
    seen[cell] = True
    filled = int(seen.sum())
    settings = dict(rollout.settings)
    if filled < len(cell):
        counts = np.bincount(cell, minlength=len(seen))
        if not cell_mean:
            row = int(np.flatnonzero(counts[cell] > 1)[0])
            raise DataError(
                f"{int((counts > 1).sum()):,} (unit, time) cells have more than one row (for "
                f"example {unit} {frame[unit].iloc[row]}, {time} {frame[time].iloc[row]}: "
                f"{int(counts[cell[row]])} rows).",
                "A panel has one row a unit and period; duplicates would count twice.",
                "Use --cell-mean to average them, or leave --unit out and name it in --cluster "
                "when the rows are different users.",
            )
        settings["rows_averaged_into_cells"] = [len(cell), filled]
        rollout = _average_cells(rollout, cell, counts)
    empty = len(seen) - filled
    settings["panel"] = "balanced" if empty == 0 else "unbalanced"
    if empty:
        settings["unit_periods_absent"] = empty
    return replace(rollout, settings=settings)


def _average_cells(rollout: Rollout, cell: np.ndarray, counts: np.ndarray) -> Rollout:
    size = counts.size
    w = np.ones(cell.size) if rollout.weights is None else rollout.weights
    total = np.bincount(cell, weights=w, minlength=size)
    kept = np.flatnonzero(total > 0)
    first = np.zeros(size, dtype=np.int64)
    first[cell[::-1]] = np.arange(cell.size)[::-1]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(cell, weights=w * values, minlength=size)[kept] / total[kept]

    pick = first[kept]

    def means(columns: np.ndarray | None) -> np.ndarray | None:
        return None if columns is None else np.column_stack([mean(c) for c in columns.T])

    return replace(
        rollout,
        y=mean(rollout.y),
        period=rollout.period[pick],
        launch=rollout.launch[pick],
        cluster=None if rollout.cluster is None else rollout.cluster[pick],
        unit=None if rollout.unit is None else rollout.unit[pick],
        log_unit=None if rollout.log_unit is None else rollout.log_unit[pick],
        weights=None if rollout.weights is None else total[kept],
        covariates=means(rollout.covariates),
        composition=means(rollout.composition),
    )


def take_rows(rollout: Rollout, keep: np.ndarray) -> Rollout:
    names = (
        *("y", "period", "launch", "cluster", "unit"),
        *("weights", "covariates", "composition", "log_unit", "copies", "spread"),
    )
    picked = {n: v[keep] for n in names if (v := getattr(rollout, n)) is not None}
    for name in ("cluster", "unit"):
        if name in picked:
            picked[name] = _dense(picked[name])
    return replace(rollout, **picked)


def _dense(values: np.ndarray) -> np.ndarray:
    """Codes renumbered 0 to G-1 after rows were left out."""
    present = np.bincount(values) > 0
    return (np.cumsum(present) - 1)[values]
