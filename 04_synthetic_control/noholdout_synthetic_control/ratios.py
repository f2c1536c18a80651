"""Ratio metrics (cost per task): sums over sums, linearised so that every estimator can read them.

In a window of days ``W`` a workspace's ratio is ``R_W = sum(num) / sum(den)``, the number that a
bill shows, and not the mean of daily ratios. The delta method turns it into a mean over days::

    L_t = R_W + (num_t - R_W den_t) / mean_W(den),    mean_W(L) = R_W exactly

with ``W`` the block of the fit that the day lies in (before the launch) or all days from the
launch on. The spread of ``L_t`` is the ratio's sampling noise, numerator and denominator together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing, numeric

from noholdout_synthetic_control.panel import Panel, read_panel


@dataclass(frozen=True)
class Metric:
    """A column, or a ratio of two.

    Parameters
    ----------
    name
        As the user wrote it; ``numerator/denominator`` for a ratio.
    numerator, denominator
        Columns; ``denominator`` is ``None`` for a plain column.
    """

    name: str
    numerator: str
    denominator: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns to read."""
        return [self.numerator] + ([self.denominator] if self.denominator is not None else [])


def linearised(
    numerator: np.ndarray, denominator: np.ndarray, n_pre: int, block: int
) -> np.ndarray:
    """``L`` of the module's docstring, shape ``(N, T)``.

    The oldest ``n_pre % block`` periods are a window of their own. ``nan`` where a window's
    denominators sum to zero.
    """
    edges = [0, *range(n_pre % block or block, n_pre, block), n_pre, numerator.shape[1]]
    found = np.empty(numerator.shape)
    for start, stop in pairwise(edges):
        num, den = numerator[:, start:stop], denominator[:, start:stop]
        total = den.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = num.sum(axis=1, keepdims=True) / total
            found[:, start:stop] = ratio + (num - ratio * den) / (total / (stop - start))
    return found


def ratio_frame(
    frame: pd.DataFrame,
    metric: Metric,
    *,
    unit: str,
    time: str,
    treated: Sequence[Any],
    start: Any,
    block: int | None,
    weights: str | None,
    cluster: str | None,
    cell_mean: bool,
    missing: Missing,
) -> tuple[pd.DataFrame, dict[str, Any], str | None]:
    """A frame of one row a unit and period whose column ``metric.name`` is the linearised ratio.

    Returns
    -------
    The frame, what was settled on the way, and the column of counts behind each cell (only where
    the ratio is a share of its denominator: its noise is binomial then).

    Raises
    ------
    DataError
        A negative denominator, or one that sums to zero in a window.
    """
    assert metric.denominator is not None
    columns: dict[str, Any] = {
        "unit": unit, "time": time, "treated": treated, "start": start, "weights": weights,
        "cluster": cluster, "cell_mean": cell_mean, "missing": missing,
    }  # fmt: skip
    sizes = numeric(frame, metric.denominator, "Denominator")
    if (sizes < 0).any():
        raise DataError(
            f"Denominator column {metric.denominator!r} holds {int((sizes < 0).sum()):,} "
            f"negative values (for example {sizes[sizes < 0][0]:g}).",
            "A ratio is read as so much a task, a user or a minute.",
            "Use a column of zero or more.",
        )
    panel = read_panel(frame, outcome=metric.numerator, **columns)
    bottom = np.full(panel.outcomes.shape, sizes[0])
    if np.ptp(sizes) > 0:
        bottom = read_panel(frame, outcome=metric.denominator, **columns).outcomes
    length = panel.default_block() if block is None else block
    values = linearised(panel.outcomes, bottom, panel.n_pre, max(min(length, panel.n_pre), 1))
    if np.isnan(values).any():
        i, t = np.argwhere(np.isnan(values))[0]
        raise DataError(
            f"{metric.denominator!r} sums to zero for {panel.units[i]!s} around "
            f"{pd.Series(panel.times).astype(str)[t]}.",
            "A ratio over nothing is undefined.",
            "Use longer periods, or leave that unit out.",
        )
    top = numeric(frame, metric.numerator, "Numerator")
    whole = not (np.mod(top, 1).any() or np.mod(sizes, 1).any())
    share = bool(whole and top.min() >= 0 and (top <= sizes).all())
    counts = f"{metric.name}: counts" if share and not cell_mean and bottom.min() >= 1 else None
    table = cells(panel, unit, time, cluster) | {metric.name: values.ravel()}
    if counts is not None:
        table[counts] = bottom.ravel()
    settled = {
        **panel.settings,
        "ratio": f"sum of {metric.numerator} over sum of {metric.denominator}, a unit's in each "
        f"window of {length} period{'s' if length > 1 else ''} before the launch and over the "
        "time after it; single periods linearised around it (delta method)",
    }
    found = pd.DataFrame(table)
    # A cost of 0.01 a task isn't one point; a share's linearised days may leave [0, 1].
    found.attrs["proportion"] = share
    return found, settled, counts


def cells(panel: Panel, unit: str, time: str, cluster: str | None) -> dict[str, Any]:
    """Units, periods and clusters of a panel's cells, row by row."""
    count, periods = panel.outcomes.shape
    found = {unit: np.repeat(panel.units, periods), time: np.tile(panel.times, count)}
    if cluster is not None and panel.groups is not None and panel.group_labels is not None:
        found[cluster] = np.repeat(panel.group_labels[panel.groups], periods)
    return found


def named(name: str, denominator: str | None = None) -> Metric:
    """The metric that ``name`` spells: ``a/b`` is a ratio."""
    if denominator is not None:
        return Metric(f"{name}/{denominator}", name, denominator)
    parts = [part.strip() for part in name.split("/")]
    return Metric(name, *parts) if len(parts) == 2 and all(parts) else Metric(name, name)


def as_column(metric: Metric) -> Metric:
    """A column of that name wins over a ratio that is spelled like it."""
    return replace(metric, numerator=metric.name, denominator=None)
