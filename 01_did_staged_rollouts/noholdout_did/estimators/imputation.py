"""Imputation (Borusyak, Jaravel and Spiess 2024) and two-stage (Gardner 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError

from noholdout_did.estimators.rowwise import finish
from noholdout_did.kernels.group_time import Linear
from noholdout_did.kernels.imputation import ImputationFit, residuals
from noholdout_did.kernels.moments import Moments
from noholdout_did.options import (
    Options,
    require_default,
    require_no_covariates,
    require_sampling_inference,
)
from noholdout_did.result import (
    DidEstimate,
    band_columns,
    errors_for,
    headline,
    interval_columns,
)
from noholdout_did.rollout import Rollout
from noholdout_did.rows import fixed_effects, prepare, row_parameters, row_weights


@dataclass(frozen=True)
class ImputedEffects:
    """Averages of imputed effects: the overall one first, then one an event time.

    Parameters
    ----------
    value, psi
        Shapes ``(K,)`` and ``(n, K)``.
    event_times
        Shape ``(K - 1,)``.
    settings
        Rows used and left out.
    """

    value: np.ndarray
    psi: np.ndarray
    event_times: np.ndarray
    settings: dict[str, int | str]


def imputed_effects(
    rollout: Rollout, data: Moments, options: Options, *, two_stage: bool, events: bool = True
) -> ImputedEffects:
    """Fit untreated rows by group and period, and average what treated rows add.

    Raises
    ------
    DesignError
        No treated row has both a group and a period seen untreated.
    """
    group, names = fixed_effects(rollout, data)
    weight = row_weights(rollout)
    treated = rollout.period >= rollout.launch
    never = rollout.launch >= rollout.n_periods
    clean = never | (rollout.period < rollout.launch - options.anticipation)
    fit = ImputationFit(rollout.y, group, rollout.period, weight, clean)
    used = treated & fit.predicted & (weight > 0)
    if not used.any():
        raise DesignError(
            f"None of the {int(treated.sum()):,} treated rows can be predicted.",
            "A prediction needs untreated rows of the row's own group, and untreated rows in its "
            "period.",
            "Add periods before the first launch, or units that were treated later or never.",
        )
    since = rollout.period - rollout.launch
    event_times = np.unique(since[used]) if events else np.zeros(0, dtype=np.int64)
    shares = [_overall(rollout, options, weight, used)]
    shares += [_share(weight, used & (since == e)) for e in event_times]
    cell = None if two_stage else rollout.launch * rollout.n_periods + rollout.period
    values, columns = [], []
    overall_residual: np.ndarray | None = None
    for share in shares:
        average = fit.average(share)
        if two_stage:
            left = residuals(fit, None, used, average.value)
        else:
            if overall_residual is None:
                overall_residual = residuals(fit, cell, used, average.value)
            left = overall_residual
        values.append(average.value)
        columns.append(average.row_weight * left)
    settings: dict[str, int | str] = {
        "fixed_effects": names,
        "rows_fitted_untreated": rollout.count(clean),
        "rows_imputed": rollout.count(used),
        "treated_rows_without_prediction_dropped": rollout.count(treated & ~used),
    }
    return ImputedEffects(np.array(values), np.column_stack(columns), event_times, settings)


def _share(weight: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    share = np.where(chosen, weight, 0.0)
    return share / share.sum()


def _overall(
    rollout: Rollout, options: Options, weight: np.ndarray, used: np.ndarray
) -> np.ndarray:
    """Row weights of the aggregate asked for."""
    if options.aggregate == "simple":
        return _share(weight, used)
    if options.aggregate == "group":
        label = rollout.launch
    elif options.aggregate == "calendar":
        label = rollout.period
    else:
        label = rollout.period - rollout.launch
    parts = [_share(weight, used & (label == v)) for v in np.unique(label[used])]
    sizes = np.ones(len(parts))
    if options.aggregate == "group":
        sizes = np.array([weight[rollout.launch == v].sum() for v in np.unique(label[used])])
    return np.einsum("k,kn->n", sizes / sizes.sum(), np.array(parts))


def imputation(
    rollout: Rollout,
    options: Options,
    *,
    outcome: str,
    named_cluster: bool,
    two_stage: bool = False,
) -> DidEstimate:
    """Effects against what untreated rows, in all their periods, predict for treated ones.

    Assumes parallel trends in every period before the launch, not only the last: more precise
    than group-time effects when that holds, and biased when it doesn't. ``two_stage`` gives
    Gardner's standard error, whose residuals keep the differences between effects.
    """
    require_default(
        options,
        sensitivity=False,
        control_group="not-yet-treated",
        base_period="varying",
        balance=None,
        adjust="dr",
    )
    require_no_covariates(rollout, options)
    require_sampling_inference(options)
    data = prepare(rollout)
    errors = errors_for(data, named_cluster)
    found = imputed_effects(rollout, data, options, two_stage=two_stage)
    dense, parameters = row_parameters(rollout, data, found.value, found.psi)
    head = headline(dense, parameters.take(np.array([0])), errors, rollout, options)
    events: Linear = parameters.take(np.arange(1, len(found.value)))
    study = pd.DataFrame(
        {
            "event_time": found.event_times.astype(int),
            **interval_columns(dense, events, errors, options.conf_level),
            **band_columns(dense, events, errors, options),
        }
    )
    return finish(
        rollout,
        options,
        data,
        errors,
        head,
        outcome=outcome,
        estimand="effect on the treated rows that untreated ones predict",
        tables={"event_study": study},
        settings={**found.settings, "small_sample": errors.corrected},
    )


def two_stage(
    rollout: Rollout, options: Options, *, outcome: str, named_cluster: bool
) -> DidEstimate:
    """Gardner's two-stage difference-in-differences: see :func:`imputation`."""
    return imputation(
        rollout, options, outcome=outcome, named_cluster=named_cluster, two_stage=True
    )
