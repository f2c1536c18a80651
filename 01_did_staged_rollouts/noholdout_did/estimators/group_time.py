"""Group-time average treatment effects (Callaway and Sant'Anna 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.checks import HypothesisCheck
from noholdout_shared.inference import smallest_effect
from noholdout_shared.render import effect_text

from noholdout_did import checks as check
from noholdout_did.assignment import randomized
from noholdout_did.composition import composition_check
from noholdout_did.effects import Effects, effects, rollout_moments
from noholdout_did.inference import Errors, all_leads_wald, joint_test, std_errors
from noholdout_did.kernels.aggregate import Averages, aggregate, event_study
from noholdout_did.kernels.group_time import Cells, Linear
from noholdout_did.kernels.leads import bin_weights
from noholdout_did.kernels.moments import Moments
from noholdout_did.kernels.wave_imputation import wave_imputation
from noholdout_did.options import Options, require_inference
from noholdout_did.pre_trends import PreTrends, pre_trends
from noholdout_did.result import (
    DidEstimate,
    Headline,
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
from noholdout_did.sensitivity import Moves, moves_before, sensitivity, sensitivity_check

WORTH_SAYING = 0.8  # another estimator's standard error over this one's
WORDS = {
    "simple": "averaged over waves and periods after launch",
    "event": "averaged over periods since launch",
    "group": "averaged over waves",
    "calendar": "averaged over calendar periods",
}


def group_time(
    rollout: Rollout, options: Options, *, outcome: str, named_cluster: bool
) -> DidEstimate:
    """Effects by wave and period, and their average.

    Assumes parallel trends between each wave and its controls, and no anticipation beyond
    ``options.anticipation`` periods (Callaway and Sant'Anna 2021, assumptions 3 to 5).
    """
    require_inference(options, "randomization")
    found = effects(rollout, options)
    return from_effects(rollout, options, found, outcome=outcome, named_cluster=named_cluster)


def from_effects(
    rollout: Rollout,
    options: Options,
    found: Effects,
    *,
    outcome: str,
    named_cluster: bool,
    more: Sequence[HypothesisCheck] = (),
    more_tables: Mapping[str, pd.DataFrame] | None = None,
) -> DidEstimate:
    """Average the effects, check them (with ``more`` in the family of tests), and tabulate."""
    data, cells, att = found.data, found.cells, found.att
    errors = errors_for(data, named_cluster)
    overall, rows = aggregate(data, att, cells, options.aggregate, options.balance)
    head = headline(data, overall.linear, errors, rollout, options)
    weights = overall.weights[:, 0]
    if options.inference == "randomization":
        head = randomized(head, rollout, found, weights, options)
    tables = {
        "group_time": group_time_table(rollout, data, att, cells, errors, options),
        "event_study": event_table(data, att, cells, errors, options),
        **_aggregate_table(rollout, data, rows, errors, options),
        "pre_tests": _pre_tests(found, errors),
        "trends": raw_trends(rollout, data),
        **(more_tables or {}),
    }
    moves = moves_before(
        data,
        found.leads,
        found.gaps,
        errors,
        float(weights @ (cells.period - cells.base)),
        options.conf_level,
        options.seed,
    )
    exact = None
    if options.sensitivity:
        robust = sensitivity(
            data,
            found.leads,
            found.gaps,
            overall.linear,
            weights,
            cells.period - cells.base,
            errors,
            head.df,
            options.conf_level,
            options.seed,
        )
        tables["sensitivity"], exact = robust.table, robust.breakdown
    checked = _checks(
        rollout, options, found, overall.linear, weights, errors, head, moves, exact, more
    )
    made = build(
        rollout,
        options,
        head,
        estimand=_estimand(rollout, options),
        outcome=outcome,
        checks=checked.checks,
        tables={**tables, **checked.tables},
        settings={**options.settings(), **found.settings, "small_sample": errors.corrected},
        n_clusters=data.n_clusters,
    )
    hint = _hint(rollout, options, data, cells, weights, errors, made)
    return replace(made, hint=hint, settings={**made.settings, "hint": hint}) if hint else made


def _hint(
    rollout: Rollout,
    options: Options,
    data: Moments,
    cells: Cells,
    weights: np.ndarray,
    errors: Errors,
    made: DidEstimate,
) -> str:
    """Whether leaning on every period before the launch would find much smaller effects."""
    plain = rollout.covariates is None and options.estimator == "group-time"
    if not plain or not made.std_error > 0:
        return ""
    pooled = wave_imputation(data, cells, weights, options.anticipation)
    if pooled is None:
        return ""
    se, df = (float(x[0]) for x in std_errors(data, pooled, errors))
    if not se < WORTH_SAYING * made.std_error:
        return ""
    size = effect_text(
        smallest_effect(se, options.conf_level, df), rollout.proportion, signed=False
    )
    return (
        f"--estimator imputation could find {size}: it compares with all periods before the "
        "launch, not with the last alone, and needs parallel trends in all of them (the checks "
        "test that)"
    )


def _checks(
    rollout: Rollout,
    options: Options,
    found: Effects,
    target: Linear,
    weights: np.ndarray,
    errors: Errors,
    head: Headline,
    moves: Moves | None,
    exact: float | None,
    more: Sequence[HypothesisCheck],
) -> PreTrends:
    """All checks, and the tables that belong to them.

    Parameters
    ----------
    target, weights
        The reported average, and the cells' weights in it, shape ``(K,)``.
    """
    data = found.data
    context = check.Context(
        estimate=head.estimate,
        std_error=head.std_error,
        df=head.df,
        reach=float(weights @ (found.cells.period - found.cells.base)),
        proportion=rollout.proportion,
    )
    watched = None
    if rollout.composition is not None:
        watched = composition_check(rollout, rollout_moments(rollout), options, errors)
    family = [*more, *([] if watched is None else [watched])]
    before = pre_trends(
        data,
        found.leads,
        found.gaps,
        errors,
        context,
        seed=options.seed,
        target=target,
        more=family,
    )
    used = found.cells.take(weights > 0)
    what = rollout.cluster_name or "rows"
    labels = [str(label) for label in cohort_labels(rollout, data)]
    periods = [str(label) for label in rollout.periods]
    checks = [
        *before.checks,
        check.cluster_check(
            data, used, labels, what, rollout.cluster is None, options.inference == "randomization"
        ),
        check.control_check(data, used, weights[weights > 0], periods, what),
    ]
    if found.effective_controls is not None:
        checks.append(check.overlap_check(found, weights, what))
    checks += [
        check.untestable_trends(context, options.conf_level),
        sensitivity_check(
            moves,
            head.estimate,
            head.std_error,
            head.df,
            options.conf_level,
            rollout.proportion,
            exact,
        ),
    ]
    return PreTrends(tuple(checks), before.tables)


def _estimand(rollout: Rollout, options: Options) -> str:
    weight = "rows" if rollout.unit is None else "units"
    if rollout.weights is not None:
        weight = rollout.settings.get("denominator", "sampling weights")
    at = "" if rollout.covariates is None else ", at equal covariates"
    return f"effect on the treated{at}, {WORDS[options.aggregate]}, weighted by {weight}"


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


def _pre_tests(found: Effects, errors: Errors) -> pd.DataFrame:
    """The joint tests side by side; the all-leads Wald is there for parity with other tools."""
    rows = []
    data = found.data
    if len(found.leads.lag):
        weights, _ = bin_weights(found.leads, data.n_clusters)
        test = joint_test(data, found.gaps.combine(weights), errors)
        rows.append(("bins, F", test.statistic, test.df_num, test.df_den, test.p_value))
    pre = found.cells.period < data.launch[found.cells.cohort]
    if pre.any() and pre.sum() < 500:
        wald = all_leads_wald(data, found.att.take(pre))
        rows.append(("all leads, Wald", wald.statistic, wald.df_num, wald.df_den, wald.p_value))
    return pd.DataFrame(rows, columns=["test", "statistic", "df_num", "df_den", "p_value"])
