"""Randomization inference: for waves that were drawn at random, however few clusters there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from noholdout_shared.errors import DesignError

from noholdout_did.effects import Effects
from noholdout_did.kernels.randomization import ClusterSums, redraw
from noholdout_did.options import Options
from noholdout_did.result import Headline
from noholdout_did.rollout import Rollout
from noholdout_did.rows import row_weights


def randomized(
    head: Headline, rollout: Rollout, found: Effects, weights: np.ndarray, options: Options
) -> Headline:
    """The headline with p-value and interval from redrawn waves.

    Exact for the hypothesis of one and the same effect on all, if every way to deal the clusters
    out to the waves was equally likely. The cells' weights stay as they were.

    Raises
    ------
    DesignError
        Clusters lie in several waves, or covariates or rows without clusters are used.
    """
    data = found.data
    if rollout.cluster is None or not data.nested or rollout.covariates is not None:
        raise DesignError(
            "Randomization inference redraws whole clusters over the waves.",
            "It needs clusters (or units) that lie within one wave, and no covariates.",
            "Name the column by which the launch was switched on in --cluster.",
        )
    rng = np.random.default_rng(options.seed)
    draws = redraw(
        _sums(rollout, data.n_clusters, data.launch), found.cells, weights, options.draws, rng
    )
    if np.isnan(draws.outcome).any():
        raise DesignError(
            "Some redrawn wave has no rows in a period that the effect needs.",
            "The average under redrawn waves then doesn't exist.",
            "Use wider periods, in which every cluster has rows.",
        )
    alpha = 1 - options.conf_level
    step = head.std_error if head.std_error > 0 else float(np.std(draws.outcome))
    low, high = draws.bound(-step, alpha), draws.bound(step, alpha)
    text = f"randomization of {rollout.cluster_name} over waves, {options.draws:,} draws"
    if np.isnan(low) or np.isnan(high):
        text += "; interval undefined: too few ways to draw the waves for this level"
        low = high = np.nan
    return replace(head, conf_low=low, conf_high=high, p_value=draws.p_value(0.0), inference=text)


def _sums(rollout: Rollout, n_clusters: int, launches: np.ndarray) -> ClusterSums:
    assert rollout.cluster is not None
    n_periods = rollout.n_periods
    cell = rollout.cluster * n_periods + rollout.period
    w = row_weights(rollout)
    size = n_clusters * n_periods
    launch = np.zeros(n_clusters, dtype=np.int64)
    launch[rollout.cluster] = rollout.launch
    return ClusterSums(
        total=np.bincount(cell, weights=w * rollout.y, minlength=size).reshape(-1, n_periods),
        weight=np.bincount(cell, weights=w, minlength=size).reshape(-1, n_periods),
        cohort=np.searchsorted(launches, launch),
        treated=np.arange(n_periods)[None, :] >= launch[:, None],
    )
