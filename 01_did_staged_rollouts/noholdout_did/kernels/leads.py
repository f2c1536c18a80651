"""Before the launch: the gaps between each cohort and the very controls that its effect uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_did.kernels.group_time import Cells, observed
from noholdout_did.kernels.moments import Moments

MAX_BINS = 4


@dataclass(frozen=True)
class Leads:
    """Pre-launch gaps, each relative to the cohort's last clean period.

    Parameters
    ----------
    cells
        One cell a cohort and earlier period.
    lag
        Periods between it and the base period, 1 or more, shape ``(K,)``.
    share
        The cohort's weight, shape ``(K,)``.
    """

    cells: Cells
    lag: np.ndarray
    share: np.ndarray


def lead_cells(post: Cells, data: Moments) -> Leads:
    """The leads of every cohort with an effect, against the controls of its first effect.

    Comparing with every cohort not treated at that time would set two later-treated cohorts
    against each other, and the drift of one would cancel that of the other. Periods in which the
    cohort, or all its controls, weren't seen have no lead.
    """
    cohort, period, base, control, lag = [], [], [], [], []
    for g in np.unique(post.cohort):
        mine = np.flatnonzero(post.cohort == g)
        first = mine[np.argmin(post.period[mine])]
        b = int(post.base[first])
        for t in range(b):
            cohort.append(g)
            period.append(t)
            base.append(b)
            control.append(post.control[first])
            lag.append(b - t)
    cells = Cells(
        np.array(cohort, dtype=np.int64),
        np.array(period, dtype=np.int64),
        np.array(base, dtype=np.int64),
        np.array(control, dtype=bool).reshape(-1, len(data.launch)),
    )
    cells, has_control, has_own = observed(cells, data.weight)
    seen = has_control & has_own
    cells = cells.take(seen)
    return Leads(cells, np.array(lag, dtype=np.int64)[seen], data.shares[cells.cohort])


def slope_weights(leads: Leads) -> np.ndarray:
    """Weights ``(K, 1)`` that turn leads into one common slope a period (pooled least squares).

    The base period is a lead of its own, at lag 0 with gap 0.
    """
    top = np.zeros(len(leads.lag))
    bottom = 0.0
    for g in np.unique(leads.cells.cohort):
        mine = leads.cells.cohort == g
        time = -leads.lag[mine].astype(float)
        mean = time.sum() / (len(time) + 1)
        share = leads.share[mine][0]
        top[mine] = share * (time - mean)
        bottom += share * (((time - mean) ** 2).sum() + mean**2)
    return (top / bottom)[:, None]


def mean_weights(leads: Leads, chosen: np.ndarray) -> np.ndarray:
    """Weights ``(K,)`` of the mean of the chosen leads: over cohorts by share, then over lags."""
    weights = np.zeros(len(leads.lag))
    lags = np.unique(leads.lag[chosen])
    for lag in lags:
        here = chosen & (leads.lag == lag)
        weights[here] = leads.share[here] / leads.share[here].sum() / len(lags)
    return weights


def bin_weights(leads: Leads, n_clusters: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Weights ``(K, bins)`` of at most four bins of neighbouring lags, and each bin's lags.

    Few clusters can't carry many restrictions, so there is at most one bin for three clusters.
    """
    lags = np.unique(leads.lag)
    count = min(MAX_BINS, len(lags), max(1, (n_clusters - 2) // 3))
    groups = np.array_split(lags, count)
    columns = [mean_weights(leads, np.isin(leads.lag, group)) for group in groups]
    return np.column_stack(columns), [(int(g[0]), int(g[-1])) for g in groups]


def placebo_weights(leads: Leads) -> tuple[np.ndarray, int] | None:
    """Weights ``(K, 1)`` of a launch pretended halfway through the pre-period, and its lag.

    The mean gap of the later half minus that of the earlier half, the base period counting to
    the later; ``None`` below four pre-periods.
    """
    longest = int(leads.lag.max(initial=0))
    if longest < 3:
        return None
    half = (longest + 1) // 2
    later, earlier = leads.lag < half, leads.lag >= half
    if not earlier.any():
        return None
    # The base period has gap 0, so it only thins the later half's mean.
    weights = mean_weights(leads, later) * (half - 1) / half - mean_weights(leads, earlier)
    return weights[:, None], half


def anticipation_weights(leads: Leads, periods: int = 3) -> np.ndarray | None:
    """Weights ``(K, 1)`` of the last clean period against the mean of up to three before it."""
    if int(leads.lag.max(initial=0)) < 3:
        return None
    return -mean_weights(leads, leads.lag <= periods)[:, None]
