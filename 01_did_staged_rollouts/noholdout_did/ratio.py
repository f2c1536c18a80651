"""Ratio metrics: a sum over a sum, such as tasks completed over tasks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.input import is_proportion, numeric


def ratio(
    frame: pd.DataFrame, outcome: str, denominator: str, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Each row's own ratio, and weights under which a mean of them is the ratio of sums.

    With weights ``w d`` the mean of ``y / d`` is ``sum w y / sum w d``, and a row's influence on it
    is ``w (y - R d) / sum w d``: the delta method's linearisation. So whatever is built from means
    by wave and period holds for ratios as it stands.

    Parameters
    ----------
    weights
        Sampling weights, shape ``(n,)``, or ``None``.

    Returns
    -------
    Values and weights, shape ``(n,)`` each, rows with a denominator of 0 having weight 0; and
    whether the ratio is a share: a count of no more than another count.

    Raises
    ------
    DataError
        A negative denominator, none above 0, or an outcome without one.
    """
    if outcome == denominator:
        raise DataError(
            f"Outcome and denominator are both {outcome!r}.",
            "Their ratio is 1 everywhere.",
            "Name the column to divide by.",
        )
    top = numeric(frame, outcome, "Outcome")
    below = numeric(frame, denominator, "Denominator")
    if (below < 0).any() or not (below > 0).any():
        raise DataError(
            f"Denominator column {denominator!r} holds {int((below < 0).sum()):,} negative values "
            f"and {int((below > 0).sum()):,} above 0.",
            "A ratio of sums needs something to divide by.",
            "Name a count, such as tasks or sessions.",
        )
    idle = below == 0
    if (top[idle] != 0).any():
        row = int(np.flatnonzero(idle & (top != 0))[0])
        raise DataError(
            f"{int((top[idle] != 0).sum()):,} rows have an outcome but a denominator of 0 (the "
            f"first is row {row + 1}).",
            "What they counted isn't among what is divided by.",
            "Fix these rows, or name another denominator.",
        )
    own = np.divide(top, below, out=np.zeros_like(top), where=~idle)
    if np.ptp(own[~idle]) == 0:
        raise DataError(
            f"{outcome!r} over {denominator!r} is {own[~idle][0]:g} in all rows.",
            "A ratio that never varies holds no information about an effect.",
            "Check that the right columns were named.",
        )
    counts = bool((top % 1 == 0).all() and (below % 1 == 0).all())
    weighted = below if weights is None else weights * below
    return own, weighted, counts and is_proportion(own)
