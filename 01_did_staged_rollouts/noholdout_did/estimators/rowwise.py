"""What the estimators that fit group and period effects to rows have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from noholdout_did import checks as check
from noholdout_did.effects import identified_cells, leads_of, require_two_groups, rollout_moments
from noholdout_did.inference import Errors
from noholdout_did.kernels.group_time import Linear, contrasts
from noholdout_did.kernels.moments import Moments, with_cluster_influences
from noholdout_did.options import Options
from noholdout_did.result import DidEstimate, Headline, build, cohort_labels, raw_trends
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
    return np.searchsorted(data.launch, rollout.launch), "wave and period"


def row_weights(rollout: Rollout) -> np.ndarray:
    return np.ones(len(rollout.y)) if rollout.weights is None else rollout.weights


def row_parameters(
    rollout: Rollout, data: Moments, value: np.ndarray, psi: np.ndarray
) -> tuple[Moments, Linear]:
    """Parameters from rows' influences, shape ``(n, K)``, summed within clusters."""
    cohort = np.searchsorted(data.launch, rollout.launch)
    if rollout.cluster is None:
        summed, by_cluster = psi, cohort
    else:
        cluster = rollout.cluster
        columns = [np.bincount(cluster, weights=c, minlength=data.n_clusters) for c in psi.T]
        summed = np.column_stack(columns)
        by_cluster = np.zeros(data.n_clusters, dtype=np.int64)
        by_cluster[cluster] = cohort
    dense = with_cluster_influences(data, summed, by_cluster)
    identity = np.broadcast_to(np.eye(len(value)), (len(data.launch), len(value), len(value)))
    return dense, Linear(value, identity.copy())


def finish(
    rollout: Rollout,
    options: Options,
    data: Moments,
    errors: Errors,
    head: Headline,
    *,
    outcome: str,
    estimand: str,
    tables: Mapping[str, pd.DataFrame],
    settings: Mapping[str, Any],
    more: tuple[check.HypothesisCheck, ...] = (),
) -> DidEstimate:
    """Checks against the same controls as the group-time effects, then the result."""
    cells, _ = identified_cells(data, options)
    post = cells.take(cells.period >= data.launch[cells.cohort])
    leads = leads_of(data, cells)
    context = check.Context(
        estimate=head.estimate,
        std_error=head.std_error,
        df=head.df,
        reach=float((post.period - post.base).mean()),
        proportion=rollout.proportion,
    )
    what = rollout.cluster_name or "rows"
    labels = [str(label) for label in cohort_labels(rollout, data)]
    periods = [str(label) for label in rollout.periods]
    gaps = contrasts(data, leads.cells)
    checks = (
        *check.trend_checks(data, leads, gaps, errors, context, more),
        check.cluster_check(data, post, labels, what, rollout.cluster is None),
        check.control_check(data, post, np.ones(len(post)), periods, what),
        check.untestable_trends(context, options.conf_level),
    )
    return build(
        rollout,
        options,
        head,
        estimand=estimand,
        outcome=outcome,
        checks=checks,
        tables={**tables, "trends": raw_trends(rollout, data)},
        settings={**options.settings(), **settings},
        n_clusters=data.n_clusters,
    )
