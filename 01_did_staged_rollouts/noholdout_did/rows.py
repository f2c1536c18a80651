"""Influences row by row: what fits on rows, and comparisons between fits, need."""

from __future__ import annotations

import numpy as np

from noholdout_did.effects import identified_cells, require_two_groups, rollout_moments
from noholdout_did.kernels.aggregate import aggregate
from noholdout_did.kernels.group_time import Linear, contrasts
from noholdout_did.kernels.moments import Moments, moments, with_cluster_influences
from noholdout_did.options import Options
from noholdout_did.rollout import Rollout


def prepare(rollout: Rollout) -> Moments:
    """Moments of a rollout that holds a comparison."""
    data = rollout_moments(rollout)
    require_two_groups(rollout, data)
    return data


def fixed_effects(rollout: Rollout, data: Moments) -> tuple[np.ndarray, str]:
    """Codes of the groups that get an effect, and what they are: units, clusters or waves.

    Cross-sections have no units; clusters that lie within waves take their place.
    """
    if rollout.unit is not None:
        return rollout.unit, "unit and period"
    if rollout.cluster is not None and data.nested:
        return rollout.cluster, "cluster and period"
    return data.cohort_of(rollout.launch), "wave and period"


def row_weights(rollout: Rollout) -> np.ndarray:
    if rollout.weights is not None:
        return rollout.weights
    return np.ones(len(rollout.y)) if rollout.copies is None else rollout.copies.astype(float)


def cluster_sums(rollout: Rollout, data: Moments, psi: np.ndarray) -> np.ndarray:
    """Rows' influences ``(n, K)`` summed within clusters; rows that are independent stay."""
    if rollout.cluster is None:
        return psi
    columns = [np.bincount(rollout.cluster, weights=c, minlength=data.n_clusters) for c in psi.T]
    return np.column_stack(columns)


def as_parameters(
    rollout: Rollout, data: Moments, value: np.ndarray, psi: np.ndarray
) -> tuple[Moments, Linear]:
    """Parameters from clusters' influences, as :func:`cluster_sums` gives them."""
    cohort = data.cohort_of(rollout.launch)
    if rollout.cluster is not None:
        by_cluster = np.zeros(data.n_clusters, dtype=np.int64)
        by_cluster[rollout.cluster] = cohort
        cohort = by_cluster
    dense = with_cluster_influences(data, psi, cohort)
    identity = np.broadcast_to(np.eye(len(value)), (len(data.launch), len(value), len(value)))
    return dense, Linear(value, identity.copy())


def row_parameters(
    rollout: Rollout, data: Moments, value: np.ndarray, psi: np.ndarray
) -> tuple[Moments, Linear]:
    """Parameters from rows' influences, shape ``(n, K)``, summed within clusters."""
    return as_parameters(rollout, data, value, cluster_sums(rollout, data, psi))


def group_time_rows(
    rollout: Rollout, data: Moments, y: np.ndarray, options: Options
) -> tuple[float, np.ndarray]:
    """The group-time average of any row variable, and its rows' influences, shape ``(n,)``."""
    mine = data
    if y is not rollout.y:
        mine = moments(
            y, rollout.period, rollout.launch, rollout.n_periods, rollout.cluster, rollout.weights
        )
    cells, _ = identified_cells(mine, options)
    att = contrasts(mine, cells)
    overall, _ = aggregate(mine, att, cells, options.aggregate, options.balance)
    cohort = mine.cohort_of(rollout.launch)
    maps = overall.linear.maps[:, :, 0]
    weight = row_weights(rollout)
    residual = weight * (y - mine.mean[cohort, rollout.period])
    psi = maps[cohort, rollout.period] * residual
    psi += maps[cohort, mine.n_periods + rollout.period] * weight
    return float(overall.linear.value[0]), psi
