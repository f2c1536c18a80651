"""Averages of ATT(g,t): simple, by event time, by cohort, by calendar period.

Callaway and Sant'Anna (2021), section 3. Weights are cohort shares, which are estimated too:
their influence is part of every aggregate's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from noholdout_shared.errors import DesignError

from noholdout_did.kernels.group_time import Cells, Linear, stack
from noholdout_did.kernels.moments import Moments

AggregateName = Literal["simple", "event", "group", "calendar"]


@dataclass(frozen=True)
class Averages:
    """M averages of K cells.

    Parameters
    ----------
    label
        What each average stands for (an event time, a cohort, a period), shape ``(M,)``.
    linear
        Values and influences.
    weights
        Shape ``(K, M)``: the cells' weights at the estimated shares.
    """

    label: np.ndarray
    linear: Linear
    weights: np.ndarray


def weighted_average(data: Moments, att: Linear, cohort: np.ndarray, keep: np.ndarray) -> Averages:
    """The average of the cells in ``keep`` with weights proportional to their cohorts' shares.

    Parameters
    ----------
    att, cohort
        K cells and their cohorts, shape ``(K,)``.
    keep
        Shape ``(K,)``, boolean, not all false.
    """
    share = data.shares
    weight = np.where(keep, share[cohort], 0.0)
    total = weight.sum()
    weights = (weight / total)[:, None]
    average = att.combine(weights)
    gap = np.where(keep, att.value - average.value[0], 0.0) / total
    slope = np.bincount(cohort, weights=gap, minlength=len(share))
    # d share_g = (1{in g} - share_g) * the cluster's weight / total weight
    centred = slope - slope @ share
    by_feature = data.share_features[None, :] * centred[:, None] / data.weight.sum()
    linear = Linear(average.value, average.maps + by_feature[:, :, None])
    return Averages(np.zeros(1), linear, weights)


def _by_label(
    data: Moments, att: Linear, cohort: np.ndarray, label: np.ndarray, keep: np.ndarray
) -> Averages:
    values = np.unique(label[keep])
    parts = [weighted_average(data, att, cohort, keep & (label == v)) for v in values]
    return Averages(values, stack([p.linear for p in parts]), np.hstack([p.weights for p in parts]))


def _mean(rows: Averages) -> Averages:
    count = len(rows.label)
    equal = np.full((count, 1), 1.0 / count)
    return Averages(np.zeros(1), rows.linear.combine(equal), rows.weights @ equal)


def event_study(
    data: Moments, att: Linear, cells: Cells, keep: np.ndarray | None = None
) -> Averages:
    """Share-weighted averages by periods since launch, before it too."""
    event_time = cells.period - data.launch[cells.cohort]
    keep = np.ones(len(cells), dtype=bool) if keep is None else keep
    return _by_label(data, att, cells.cohort, event_time, keep)


def balanced_cells(data: Moments, cells: Cells, balance: int) -> np.ndarray:
    """Cells of cohorts seen for at least ``balance`` periods after launch, up to that horizon."""
    event_time = cells.period - data.launch[cells.cohort]
    longest = np.full(len(data.launch), -1)
    np.maximum.at(longest, cells.cohort, event_time)
    return (longest[cells.cohort] >= balance) & (event_time <= balance)


def aggregate(
    data: Moments, att: Linear, cells: Cells, how: AggregateName, balance: int | None = None
) -> tuple[Averages, Averages | None]:
    """The overall average of the post-launch cells, and the rows that it is made of.

    ``event``: mean over event times of share-weighted means; ``group``: share-weighted mean over
    cohorts of plain means over periods; ``calendar``: mean over periods of share-weighted means.
    """
    post = cells.period >= data.launch[cells.cohort]
    if how == "simple":
        return weighted_average(data, att, cells.cohort, post), None
    if how == "event":
        if balance is not None:
            post = post & balanced_cells(data, cells, balance)
            if not post.any():
                raise DesignError(
                    f"No wave has an effect {balance} periods after its launch.",
                    "A balanced average is over waves that are seen so long.",
                    "Use a smaller --balance, or leave it out.",
                )
        rows = event_study(data, att, cells, post)
        return _mean(rows), rows
    if how == "calendar":
        rows = _by_label(data, att, cells.cohort, cells.period, post)
        return _mean(rows), rows
    cohorts = np.unique(cells.cohort[post])
    columns = [post & (cells.cohort == g) for g in cohorts]
    weights = np.column_stack([c / c.sum() for c in columns])
    rows = Averages(cohorts, att.combine(weights), weights)
    everyone = np.ones(len(cohorts), dtype=bool)
    overall = weighted_average(data, rows.linear, cohorts, everyone)
    return Averages(overall.label, overall.linear, weights @ overall.weights), rows
