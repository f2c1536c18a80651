"""What the estimators that fit group and period effects to rows have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.checks import HypothesisCheck

from noholdout_did import checks as check
from noholdout_did.effects import identified_cells, leads_of
from noholdout_did.inference import Errors
from noholdout_did.kernels.group_time import contrasts
from noholdout_did.kernels.moments import Moments
from noholdout_did.options import Options
from noholdout_did.pre_trends import pre_trends
from noholdout_did.result import DidEstimate, Headline, build, cohort_labels, raw_trends
from noholdout_did.rollout import Rollout


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
    more: tuple[HypothesisCheck, ...] = (),
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
    before = pre_trends(data, leads, gaps, errors, context, seed=options.seed, more=more)
    checks = (
        *before.checks,
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
        tables={**tables, **before.tables, "trends": raw_trends(rollout, data)},
        settings={**options.settings(), **settings},
        n_clusters=data.n_clusters,
    )
