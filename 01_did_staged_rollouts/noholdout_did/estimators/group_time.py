"""Group-time average treatment effects (Callaway and Sant'Anna 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError

from noholdout_did import checks as check
from noholdout_did.inference import Errors, all_leads_wald, joint_test
from noholdout_did.kernels.aggregate import Averages, aggregate, event_study
from noholdout_did.kernels.group_time import Cells, Linear, contrasts, grid, observed
from noholdout_did.kernels.leads import Leads, bin_weights, lead_cells
from noholdout_did.kernels.moments import Moments, moments
from noholdout_did.options import Options
from noholdout_did.result import (
    DidEstimate,
    band_columns,
    build,
    cohort_labels,
    errors_for,
    headline,
    interval_columns,
    period_label,
    raw_trends,
)
from noholdout_did.rollout import Rollout

WORDS = {
    "simple": "averaged over waves and periods after launch",
    "event": "averaged over periods since launch",
    "group": "averaged over waves",
    "calendar": "averaged over calendar periods",
}


@dataclass(frozen=True)
class Identified:
    """The cells that have controls, and what was left out."""

    cells: Cells
    settings: dict[str, int]


def identified_cells(data: Moments, options: Options) -> Identified:
    """Cells with controls, of cohorts with at least one effect; the rest is dropped and counted.

    Raises
    ------
    DesignError
        No effect has a comparison group.
    """
    cells = grid(
        data.launch,
        data.n_periods,
        options.control_group,
        options.base_period,
        options.anticipation,
    )
    if options.control_group == "never-treated" and not (data.launch >= data.n_periods).any():
        raise DesignError(
            "Nobody is never treated, so there are no never-treated controls.",
            "Every wave gets the launch within the data.",
            "Use --control-group not-yet-treated: later waves are compared until their launch.",
        )
    cells, has_control, has_own = observed(cells, data.weight)
    post = cells.period >= data.launch[cells.cohort]
    usable = has_control & has_own
    with_effect = np.zeros(len(data.launch), dtype=bool)
    with_effect[cells.cohort[usable & post]] = True
    if not with_effect.any():
        raise DesignError(
            f"None of the {int(post.sum())} (wave, period) effects has a comparison group.",
            "In every period after a launch everybody was treated already, or nobody was seen "
            "in the period before it.",
            "Add periods before the first launch, or units that were treated later or never.",
        )
    keep = usable & with_effect[cells.cohort]
    settings = {
        "cells_used": int(keep.sum()),
        "effects_without_controls_dropped": int((post & ~has_control).sum()),
        "effects_without_own_rows_dropped": int((post & has_control & ~has_own).sum()),
        "cells_of_waves_without_effect_dropped": int((usable & ~keep).sum()),
    }
    return Identified(cells.take(keep), settings)


def group_time(
    rollout: Rollout, options: Options, *, outcome: str, named_cluster: bool
) -> DidEstimate:
    """Effects by wave and period, and their average.

    Assumes parallel trends between each wave and its controls, and no anticipation beyond
    ``options.anticipation`` periods (Callaway and Sant'Anna 2021, assumptions 3 to 5).
    """
    data = moments(
        rollout.y,
        rollout.period,
        rollout.launch,
        rollout.n_periods,
        rollout.cluster,
        rollout.weights,
    )
    require_two_groups(rollout, data)
    errors = errors_for(rollout, data, named_cluster)
    found = identified_cells(data, options)
    att = contrasts(data, found.cells)
    overall, rows = aggregate(data, att, found.cells, options.aggregate, options.balance)
    head = headline(data, overall.linear, errors, rollout, options)
    post = found.cells.take(overall.weights[:, 0] > 0)
    leads = lead_cells(post, data.launch, data.shares)
    gaps = contrasts(data, leads.cells)
    context = check.Context(
        estimate=head.estimate,
        std_error=head.std_error,
        df=head.df,
        reach=float(overall.weights[:, 0] @ (found.cells.period - found.cells.base)),
        proportion=rollout.proportion,
    )
    what = rollout.cluster_name or "rows"
    names = [str(label) for label in rollout.periods]
    weights = overall.weights[overall.weights[:, 0] > 0, 0]
    all_checks = (
        *check.trend_checks(data, leads, gaps, errors, context),
        check.cluster_check(
            data,
            post,
            [str(x) for x in cohort_labels(rollout, data)],
            what,
            rollout.cluster is None,
        ),
        check.control_check(data, post, weights, names, what),
        check.untestable_trends(context, options.conf_level),
    )
    tables = {
        "group_time": group_time_table(rollout, data, att, found.cells, errors, options),
        "event_study": event_table(data, att, found.cells, errors, options),
        **_aggregate_table(rollout, data, rows, errors, options),
        "pre_tests": _pre_tests(data, att, found.cells, leads, gaps, errors),
        "trends": raw_trends(rollout, data),
    }
    return build(
        rollout,
        options,
        head,
        estimand=_estimand(rollout, options),
        outcome=outcome,
        checks=all_checks,
        tables=tables,
        settings={**options.settings(), **found.settings, "small_sample": errors.corrected},
        n_clusters=data.n_clusters,
    )


def require_two_groups(rollout: Rollout, data: Moments) -> None:
    """Raise a DesignError when there is one cluster, or one wave and nobody else."""
    if data.n_clusters < 2:
        raise DesignError(
            f"There is one group only: {rollout.cluster_name or 'the data'!r} has one value.",
            "An effect is a comparison of a treated group with one that isn't treated yet.",
            "Add units that were treated later or never.",
        )
    if len(data.launch) < 2:
        raise DesignError(
            f"Everybody was first treated in {rollout.periods[data.launch[0]]}, so no effect has a "
            "comparison group.",
            "What changed at the launch and what changed for everybody then can't be told apart.",
            "Add units that were treated later or never; for a launch to everyone see "
            "'noholdout synthetic-control'.",
        )


def _estimand(rollout: Rollout, options: Options) -> str:
    weight = "rows" if rollout.unit is None else "units"
    if rollout.weights is not None:
        weight = "sampling weights"
    return f"effect on the treated, {WORDS[options.aggregate]}, weighted by {weight}"


def group_time_table(
    rollout: Rollout, data: Moments, att: Linear, cells: Cells, errors: Errors, options: Options
) -> pd.DataFrame:
    names = cohort_labels(rollout, data)
    return pd.DataFrame(
        {
            "cohort": [names[g] for g in cells.cohort],
            "time": [period_label(rollout.periods, int(t)) for t in cells.period],
            **interval_columns(data, att, errors, options.conf_level),
        }
    )


def event_table(
    data: Moments, att: Linear, cells: Cells, errors: Errors, options: Options
) -> pd.DataFrame:
    rows = event_study(data, att, cells)
    table = pd.DataFrame(
        {
            "event_time": rows.label.astype(int),
            **interval_columns(data, rows.linear, errors, options.conf_level),
            **band_columns(data, rows.linear, errors, options),
        }
    )
    if options.base_period == "universal":
        reference: dict[str, Any] = {"event_time": -1 - options.anticipation, "estimate": 0.0}
        table = pd.concat([table, pd.DataFrame([reference])], ignore_index=True)
    return table.sort_values("event_time", ignore_index=True)


def _aggregate_table(
    rollout: Rollout, data: Moments, rows: Averages | None, errors: Errors, options: Options
) -> dict[str, pd.DataFrame]:
    """The rows of a group or calendar average, or of a balanced event study."""
    if rows is None:
        return {}
    column = {"group": "cohort", "calendar": "time", "event": "event_time"}[options.aggregate]
    if column == "cohort":
        labels: list[Any] = [cohort_labels(rollout, data)[int(g)] for g in rows.label]
    elif column == "time":
        labels = [period_label(rollout.periods, int(t)) for t in rows.label]
    else:
        labels = rows.label.astype(int).tolist()
    columns = interval_columns(data, rows.linear, errors, options.conf_level)
    return {"aggregate": pd.DataFrame({column: labels, **columns})}


def _pre_tests(
    data: Moments, att: Linear, cells: Cells, leads: Leads, gaps: Linear, errors: Errors
) -> pd.DataFrame:
    """The joint tests side by side; the all-leads Wald is there for parity with other tools."""
    rows = []
    if len(leads.lag):
        weights, _ = bin_weights(leads, data.n_clusters)
        test = joint_test(data, gaps.combine(weights), errors)
        rows.append(("bins, F", test.statistic, test.df_num, test.df_den, test.p_value))
    pre = cells.period < data.launch[cells.cohort]
    if pre.any() and pre.sum() < 500:
        wald = all_leads_wald(data, att.take(pre))
        rows.append(("all leads, Wald", wald.statistic, wald.df_num, wald.df_den, wald.p_value))
    return pd.DataFrame(rows, columns=["test", "statistic", "df_num", "df_den", "p_value"])
