"""What an engine may sum before rows reach the estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from noholdout_shared.engine import SummedRows, read_cells
from noholdout_shared.input import Missing, read_rows


def read_summed(
    data: Any,
    columns: Sequence[str | None],
    *,
    outcome: str,
    cluster: str | None,
    weights: str | None,
    rowwise: bool,
    averages: bool,
    missing: Missing,
    may_be_empty: Sequence[str],
) -> SummedRows:
    """Cells of cluster, launch and period where these are sufficient, rows otherwise.

    Without covariates every estimate, and every cluster's influence on it, is linear in the sums
    within (cluster, launch, period). Rows that count as independent add one sum of squares a cell,
    which only averages can use.

    Parameters
    ----------
    columns
        All columns that the analysis uses.
    rowwise
        Units, covariates or a log are used: rows are needed.
    averages
        Whether the estimator is built from cell means alone, so that it can use the squares.
    """
    if rowwise or (cluster is None and (weights is not None or not averages)):
        rows = read_rows(data, columns, missing=missing, may_be_empty=may_be_empty)
        return SummedRows(rows.frame, rows.settings)
    keys = [column for column in columns if column not in (outcome, weights)]
    return read_cells(
        data,
        keys=keys,
        values=[outcome],
        weights=weights,
        missing=missing,
        may_be_empty=may_be_empty,
    )
