"""What an engine may sum before rows reach the estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from noholdout_shared.engine import SummedRows, read_cells
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing, binary, read_rows
from noholdout_shared.missing_codes import CODES

from noholdout_rdd.kernels.side import Side

Pair = tuple[np.ndarray, np.ndarray]  # one column, left and right in the sides' order


def read_scores(
    data: Any,
    columns: Sequence[str | None],
    running: str,
    outcome: str,
    treatment: str | None,
    missing: Missing,
    may_sum: bool,
) -> SummedRows:
    """An entry a score (and treatment) where its rows' mean and squares are sufficient; else rows.

    With no column but score, treatment and outcome, every fit weighs rows of one score alike, and
    their residuals add up from these sums, nearest neighbours' too. A cluster, weights, covariates
    or prices need the rows.
    """
    others = [c for c in columns if c not in (None, running, outcome, treatment)]
    if may_sum and not others:
        found = read_cells(data, keys=[running, treatment], values=[outcome], missing=missing)
        if found.cells is None or _readable(found, running, treatment):
            return found  # otherwise the rows are read, for the message to count them
    rows = read_rows(data, columns, missing=missing)
    return SummedRows(rows.frame, rows.settings)


def _readable(found: SummedRows, running: str, treatment: str | None) -> bool:
    scores = found.frame[running]
    if scores.dtype.kind not in "iuf" or not np.isfinite(scores).all():
        return False
    # A code for missing is one entry here, however many rows hold it; those have to be counted.
    if {float(scores.min()), float(scores.max())} & CODES:
        return False
    try:
        if treatment is not None:
            binary(found.frame, treatment)
    except DataError:
        return False
    return True


def by_score(
    left: Side, right: Side, treatment: Pair | None
) -> tuple[Side, Side, Pair | None, Pair | None]:
    """Sides with one entry a distance, the shares treated there, and the joint deviations.

    Scores that differ in their last bit may be equally far, and each treatment has its own entry.
    """
    if treatment is None:
        return left.by_score, right.by_score, None, None
    sides, shares, joints = [], [], []
    for side, received in zip((left, right), treatment, strict=True):
        scores = side.by_score
        code = np.searchsorted(scores.distance, side.distance)
        treated = side.each(side.n) * received
        gap = side.values[0] - scores.values[0][code]
        sides.append(scores)
        shares.append(np.bincount(code, weights=treated) / scores.each(scores.n))
        joints.append(np.bincount(code, weights=treated * gap))
    return sides[0], sides[1], (shares[0], shares[1]), (joints[0], joints[1])
