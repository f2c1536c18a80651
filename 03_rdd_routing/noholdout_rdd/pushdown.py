"""What an engine may sum before rows reach the estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from noholdout_shared.engine import SummedRows, read_cells
from noholdout_shared.input import Missing, read_rows


def read_scores(
    data: Any,
    columns: Sequence[str | None],
    running: str,
    outcome: str,
    missing: Missing,
    may_sum: bool,
) -> SummedRows:
    """One entry a score where rows, mean and sum of squares by score are sufficient; else rows.

    With no column but score and outcome, every fit weighs rows of one score alike, and their
    residuals add up from these sums, nearest neighbours' too. A treatment, a cluster, weights,
    covariates or prices need the rows.
    """
    others = [column for column in columns if column not in (None, running, outcome)]
    if may_sum and not others:
        found = read_cells(data, keys=[running], values=[outcome], missing=missing)
        scores = found.frame[running]
        numbers = scores.dtype.kind in "iuf" and bool(np.isfinite(scores).all())
        if found.cells is None or numbers:
            return found  # otherwise the rows are read, for the message to count them
    rows = read_rows(data, columns, missing=missing)
    return SummedRows(rows.frame, rows.settings)
