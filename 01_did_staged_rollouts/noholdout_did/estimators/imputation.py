"""Imputation (Borusyak, Jaravel and Spiess 2024) and two-stage (Gardner 2022)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError

from noholdout_did.estimators.rowwise import finish
from noholdout_did.inference import Errors, joint_test
from noholdout_did.kernels.group_time import Linear
from noholdout_did.kernels.imputation import (
    Averages,
    Blocks,
    Imputed,
    Residuals,
    averages,
    averages_by_row,
    impute,
    pre_trend_leads,
)
from noholdout_did.kernels.moments import Moments, blocks
from noholdout_did.options import (
    Options,
    require_default,
    require_inference,
    require_no_covariates,
)
from noholdout_did.result import (
    DidEstimate,
    band_columns,
    errors_for,
    headline,
    interval_columns,
)
from noholdout_did.rollout import Rollout
from noholdout_did.rows import as_parameters, fixed_effects, prepare, row_weights

MOST_LEADS = 4


@dataclass(frozen=True)
class ImputedEffects:
    """Averages of imputed effects: the overall one first, then one an event time.

    Parameters
    ----------
    fit
        What the averages are made of.
    value, psi
        Shapes ``(K,)`` and ``(clusters, K)``, or ``(n, K)`` where rows are independent.
    event_times
        Shape ``(K - 1,)``.
    settings
        Rows used and left out.
    """

    fit: Imputed
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
        No treated row has both a group and a period seen untreated; or, with leave-out errors, a
        wave has one cluster.
    """
    built, names = _blocks(rollout, data)
    weight = row_weights(rollout)
    treated = rollout.period >= rollout.launch
    never = rollout.launch >= rollout.n_periods
    clean = never | (rollout.period < rollout.launch - options.anticipation)
    fit = impute(
        rollout.y,
        rollout.period,
        weight,
        clean,
        treated,
        built,
        len(data.launch),
        rollout.n_periods,
    )
    if not fit.used.any():
        raise DesignError(
            f"None of the {int(treated.sum()):,} treated rows can be predicted.",
            "A prediction needs untreated rows of the row's own group, and untreated rows in its "
            "period.",
            "Add periods before the first launch, or units that were treated later or never.",
        )
    since = np.arange(rollout.n_periods)[None, :] - data.launch[:, None]
    event_times = np.unique(since[fit.size > 0]) if events else np.zeros(0, dtype=np.int64)
    coefficient = np.stack(
        [
            _overall(data, options, fit.size, since),
            *(_share(fit.size, since == e) for e in event_times),
        ],
        axis=2,
    )
    kind: Residuals = "overall" if two_stage else "cell"
    if options.inference == "leave-out":
        kind = "leave-out"
    if rollout.cluster is None:
        found = averages_by_row(fit, coefficient, kind, rollout.period, weight, clean)
    else:
        found = averages(fit, coefficient, kind)
    if np.isnan(found.psi).any():
        raise DesignError(
            "Leave-out errors need two clusters or more in every wave and period.",
            "Without a cluster's own rows nothing is left there to compare it with.",
            "Use --inference analytic.",
        )
    settings: dict[str, int | str] = {
        "fixed_effects": names,
        "rows_fitted_untreated": rollout.count(clean),
        "rows_imputed": rollout.count(fit.used),
        "treated_rows_without_prediction_dropped": rollout.count(treated & ~fit.used),
    }
    return ImputedEffects(fit, found.value, _by_cluster(fit, found, data), event_times, settings)


def _blocks(rollout: Rollout, data: Moments) -> tuple[Blocks, str]:
    """Rows that share an effect, a cluster and a wave, and what the effects belong to."""
    group, names = fixed_effects(rollout, data)
    cohort = data.cohort_of(rollout.launch)
    of_group = np.zeros(int(group.max()) + 1, dtype=np.int64)
    of_group[group] = cohort
    if names == "wave and period" and rollout.cluster is not None:
        of_row, cluster, wave = blocks(rollout.cluster, cohort, data.n_clusters)
        return Blocks(of_row, wave, cluster, wave), names
    everyone = np.arange(len(of_group))
    cluster = everyone
    if rollout.cluster is not None and rollout.cluster is not group:
        cluster = np.zeros(len(of_group), dtype=np.int64)
        cluster[group] = rollout.cluster
    return Blocks(group, everyone, cluster, of_group), names


def _by_cluster(fit: Imputed, found: Averages, data: Moments) -> np.ndarray:
    """Blocks' influences summed within clusters."""
    cluster = fit.blocks.cluster
    if len(found.psi) != len(cluster) or (cluster == np.arange(len(cluster))).all():
        return found.psi
    columns = [np.bincount(cluster, weights=p, minlength=data.n_clusters) for p in found.psi.T]
    return np.column_stack(columns)


def _share(size: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Equal counting of the chosen (wave, period) cells' rows, shape ``(C, T)``."""
    return np.where(chosen, 1.0, 0.0) / size[chosen].sum()


def _overall(data: Moments, options: Options, size: np.ndarray, since: np.ndarray) -> np.ndarray:
    """How rows count in the aggregate asked for, by wave and period."""
    used = size > 0
    if options.aggregate == "simple":
        return _share(size, used)
    wave, period = (
        np.broadcast_to(x, size.shape) for x in np.ogrid[: size.shape[0], : size.shape[1]]
    )
    label = {"group": wave, "calendar": period, "event": since}[options.aggregate]
    values = np.unique(label[used])
    parts = np.stack([_share(size, used & (label == v)) for v in values])
    counts = np.ones(len(values))
    if options.aggregate == "group":
        counts = data.weight.sum(axis=1)[values]
    return np.einsum("k,kct->ct", counts / counts.sum(), parts)


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
    than group-time effects when that holds, and biased when it doesn't. Table ``pre_trend_leads``
    tests that among untreated rows alone. ``two_stage`` gives Gardner's standard error, whose
    residuals keep the differences between effects.
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
    require_inference(options, *(() if two_stage else ("leave-out",)))
    data = prepare(rollout)
    errors = errors_for(data, named_cluster)
    if options.inference == "leave-out":
        errors = replace(errors, leave_out=True)
    found = imputed_effects(rollout, data, options, two_stage=two_stage)
    dense, parameters = as_parameters(rollout, data, found.value, found.psi)
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
        tables={"event_study": study, **_lead_tables(rollout, options, data, found.fit, errors)},
        settings={**found.settings, "small_sample": errors.corrected},
    )


def _lead_tables(
    rollout: Rollout, options: Options, data: Moments, fit: Imputed, errors: Errors
) -> dict[str, pd.DataFrame]:
    """Gaps of the last untreated periods from those before, among untreated rows (prop. 9).

    At most four leads, and none in a wave's first period: the earlier periods are what they are
    compared with. The parameters of the effects aren't involved, so that passing the test doesn't
    bend their intervals.
    """
    if rollout.cluster is None:
        return {}
    since = np.arange(rollout.n_periods)[None, :] - (data.launch - options.anticipation)[:, None]
    never = (data.launch >= rollout.n_periods)[:, None]
    seen = fit.blocks.sums_by_wave(fit.clean_weight, len(data.launch)) > 0
    before = -since[~never & seen & (since < 0)]
    most = min(MOST_LEADS, int(before.max(initial=0)) - 1)
    shown = [k for k in range(1, most + 1) if (before == k).any()]
    if not shown:
        return {}
    leads = np.stack([np.where(~never & (since == -k), 1.0, 0.0) for k in shown], axis=2)
    found = pre_trend_leads(fit, leads)
    if found is None:
        return {}
    dense, gaps = as_parameters(rollout, data, found.value, _by_cluster(fit, found, data))
    plain = replace(errors, leave_out=False)
    test = joint_test(dense, gaps, plain)
    table = pd.DataFrame(
        {
            "event_time": [-k - options.anticipation for k in shown],
            **interval_columns(dense, gaps, plain, options.conf_level),
        }
    )
    row = ("leads, F", test.statistic, test.df_num, test.df_den, test.p_value)
    columns = ["test", "statistic", "df_num", "df_den", "p_value"]
    return {
        "pre_trend_leads": table.sort_values("event_time", ignore_index=True),
        "pre_tests": pd.DataFrame([row], columns=columns),
    }


def two_stage(
    rollout: Rollout, options: Options, *, outcome: str, named_cluster: bool
) -> DidEstimate:
    """Gardner's two-stage difference-in-differences: see :func:`imputation`."""
    return imputation(
        rollout, options, outcome=outcome, named_cluster=named_cluster, two_stage=True
    )
