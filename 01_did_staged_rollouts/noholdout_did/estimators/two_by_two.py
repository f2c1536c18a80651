"""The two-by-two: the first wave against those not treated in the window, before against after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError

from noholdout_did import checks as check
from noholdout_did.effects import require_two_groups, rollout_moments
from noholdout_did.estimators.group_time import event_table, group_time_table
from noholdout_did.inference import Errors
from noholdout_did.kernels.boxes import four_boxes
from noholdout_did.kernels.group_time import Cells, Linear, contrasts, observed
from noholdout_did.kernels.leads import lead_cells
from noholdout_did.kernels.moments import Moments
from noholdout_did.options import (
    Options,
    require_default,
    require_inference,
    require_no_covariates,
)
from noholdout_did.pre_trends import PreTrends, pre_trends
from noholdout_did.result import (
    DidEstimate,
    Headline,
    build,
    cohort_labels,
    errors_for,
    headline,
    period_label,
    raw_trends,
)
from noholdout_did.rollout import Rollout


@dataclass(frozen=True)
class Window:
    """Who is compared, and over which periods.

    Parameters
    ----------
    treated
        Code of the treated cohort.
    control
        Which cohorts are controls, shape ``(C,)``.
    before, after
        Which periods, shape ``(T,)``.
    """

    treated: int
    control: np.ndarray
    before: np.ndarray
    after: np.ndarray


def window(data: Moments, options: Options) -> Window:
    """The first wave that has a period before its launch, until the next launch.

    With ``never-treated`` controls the window runs to the last period.

    Raises
    ------
    DesignError
        No wave has both a period before its launch and a comparison group after it.
    """
    launch, n_periods = data.launch, data.n_periods
    never = launch >= n_periods
    periods = np.arange(n_periods)
    for g in np.flatnonzero(~never & (launch > options.anticipation)):
        later = launch[launch > launch[g]]
        end = n_periods
        control = never
        if options.control_group == "not-yet-treated":
            end = int(min(later.min(initial=n_periods) - options.anticipation, n_periods))
            control = launch > launch[g]
        after = (periods >= launch[g]) & (periods < end)
        if control.any() and after.any():
            before = periods < launch[g] - options.anticipation
            return Window(int(g), control, before, after)
    raise DesignError(
        "No wave has a period before its launch and somebody untreated to compare with after it.",
        "A two-by-two needs all four boxes.",
        "Add earlier periods, or units that were treated later or never.",
    )


def two_by_two(
    rollout: Rollout, options: Options, *, outcome: str, named_cluster: bool
) -> DidEstimate:
    """Difference of two before-after differences, with cluster-robust errors.

    Assumes parallel trends between the first wave and its controls over the whole window. Other
    waves count as controls until the next launch, and periods after that aren't used.
    """
    require_default(
        options, sensitivity=False, aggregate="simple", base_period="varying", adjust="dr"
    )
    require_no_covariates(rollout, options)
    require_inference(options)
    data = rollout_moments(rollout)
    require_two_groups(rollout, data)
    errors = errors_for(data, named_cluster)
    view = window(data, options)
    treated = np.arange(len(data.launch)) == view.treated
    effect, means = four_boxes(data, treated, view.control, view.before, view.after)
    if np.isnan(means[..., 0]).any():
        raise DesignError(
            "One of the four boxes (treated or not, before or after) has no rows.",
            "All four are needed.",
            "Check the time column, or use --estimator group-time.",
        )
    head = headline(data, effect, errors, rollout, options)
    cells = _window_cells(data, view)
    found = _checks(rollout, options, data, view, cells, effect, errors, head)
    att = contrasts(data, cells)
    tables = {
        "boxes": _box_table(means),
        "group_time": group_time_table(rollout, data, att, cells, errors, options),
        "event_study": event_table(data, att, cells, errors, options),
        **found.tables,
        "trends": raw_trends(rollout, data),
    }
    labels = cohort_labels(rollout, data)
    last = period_label(rollout.periods, int(np.flatnonzero(view.after)[-1]))
    return build(
        rollout,
        options,
        head,
        estimand=f"effect on the wave of {labels[view.treated]}, from its launch to {last}",
        outcome=outcome,
        checks=found.checks,
        tables=tables,
        settings={
            **options.settings(),
            "small_sample": errors.corrected,
            "periods_before": int(view.before.sum()),
            "periods_after": int(view.after.sum()),
            "periods_not_used": int((~view.before & ~view.after).sum()),
        },
        n_clusters=data.n_clusters,
    )


def _checks(
    rollout: Rollout,
    options: Options,
    data: Moments,
    view: Window,
    cells: Cells,
    effect: Linear,
    errors: Errors,
    head: Headline,
) -> PreTrends:
    """All checks, against the window's own controls, and the tables that belong to them."""
    post = cells.take(view.after[cells.period])
    leads = lead_cells(post, data)
    periods = np.arange(data.n_periods)
    context = check.Context(
        estimate=head.estimate,
        std_error=head.std_error,
        df=head.df,
        reach=float(periods[view.after].mean() - periods[view.before].mean()),
        proportion=rollout.proportion,
    )
    what = rollout.cluster_name or "rows"
    labels = [str(label) for label in cohort_labels(rollout, data)]
    names = [str(label) for label in rollout.periods]
    every = np.full(len(post), 1.0 / max(len(post), 1))
    gaps = contrasts(data, leads.cells)
    before = pre_trends(data, leads, gaps, errors, context, seed=options.seed, target=effect)
    checks = (
        *before.checks,
        check.cluster_check(data, post, labels, what, rollout.cluster is None),
        check.control_check(data, post, every, names, what),
        check.untestable_trends(context, options.conf_level),
    )
    return PreTrends(checks, before.tables)


def _window_cells(data: Moments, view: Window) -> Cells:
    """The window's comparison period by period, for the checks and the picture."""
    base = int(np.flatnonzero(view.before)[-1])
    periods = np.flatnonzero((view.before | view.after) & (np.arange(data.n_periods) != base))
    count = len(periods)
    cells = Cells(
        np.full(count, view.treated),
        periods,
        np.full(count, base),
        np.tile(view.control, (count, 1)),
    )
    cells, has_control, has_own = observed(cells, data.weight)
    return cells.take(has_control & has_own)


def _box_table(means: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "group": ["treated", "treated", "control", "control"],
            "when": ["before", "after", "before", "after"],
            "mean": means[..., 0].ravel(),
            "weight": means[..., 1].ravel(),
        }
    )
