"""An interrupted time series: what is left when nobody was spared the launch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.arguments import check_level
from noholdout_shared.checks import Check, structural, untestable
from noholdout_shared.inference import critical_value, interval
from noholdout_shared.input import Missing
from noholdout_shared.render import effect_text

from noholdout_synthetic_control.kernels.interrupted import StepFit, fit_step
from noholdout_synthetic_control.panel import WEEK, Panel, read_panel
from noholdout_synthetic_control.result import SyntheticControlEstimate

HIGH_PERSISTENCE = 0.9


def interrupted(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    treated: Sequence[Any],
    start: Any,
    covariates: Sequence[str] | None = None,
    weights: str | None = None,
    cell_mean: bool = False,
    missing: Missing = "refuse",
    conf_level: float = 0.95,
    margin: float | None = None,
) -> SyntheticControlEstimate:
    """Did the treated units' own path step up at the launch, beyond its trend and control series?

    ``y_t = a + b t + weekday + c'x_t + effect [t >= start] + e_t`` on the treated units' mean, with
    first-order autocorrelated errors. There is no counterfactual from elsewhere: whatever else
    happened at the launch is in the effect, and the trend is assumed to have gone on. The verdict
    can therefore never be better than ``caution``.

    Parameters
    ----------
    covariates
        Control series: columns that move with the outcome and that the launch can't have changed.
    data, outcome, unit, time, treated, start, weights, cell_mean, missing, conf_level, margin
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    check_level(conf_level)
    panel, controls = _read(
        data, outcome, unit, time, treated, start, covariates or [], weights, cell_mean, missing
    )
    path = panel.target @ panel.outcomes
    design, names = _design(panel, controls, covariates or [])
    fit = fit_step(path, design)
    effect, std_error = float(fit.coefficients[-1]), float(np.sqrt(fit.covariance[-1, -1]))
    found = interval(effect, std_error, conf_level, fit.df)
    periods = panel.times.size - panel.n_pre
    members = int(panel.treated.sum())
    return SyntheticControlEstimate(
        method="Synthetic control: interrupted time series",
        estimand=f"step of {members} treated unit{'s' if members > 1 else ''} over {periods} "
        "periods after launch",
        estimate=effect,
        std_error=found.std_error,
        conf_low=found.conf_low,
        conf_high=found.conf_high,
        conf_level=conf_level,
        p_value=found.p_value,
        inference=f"GLS, autocorrelation {fit.autocorrelation:.2f} by REML, t({fit.df})",
        outcome=outcome,
        n_obs=members * panel.times.size,
        n_treated=members * periods,
        n_control=members * panel.n_pre,
        settings={
            **panel.settings,
            "estimator": "interrupted-time-series",
            "treated_units": members,
            "pre_periods": panel.n_pre,
            "post_periods": periods,
            "autocorrelation": fit.autocorrelation,
            "coefficients": names,
            "block": 1,
        },
        checks=_checks(panel, fit, effect, found.conf_low, found.conf_high),
        tables={
            "path": _path(panel, path, design, fit, conf_level),
            "coefficients": pd.DataFrame(
                {
                    "name": names,
                    "estimate": fit.coefficients,
                    "std_error": np.sqrt(np.diagonal(fit.covariance)),
                }
            ),
        },
        df=float(fit.df),
        proportion=panel.proportion,
        margin=margin,
    )


def _read(
    data: Any,
    outcome: str,
    unit: str,
    time: str,
    treated: Sequence[Any],
    start: Any,
    covariates: Sequence[str],
    weights: str | None,
    cell_mean: bool,
    missing: Missing,
) -> tuple[Panel, np.ndarray]:
    """The panel, and each control series averaged over the treated units, shape ``(T, K)``."""
    panels = [
        read_panel(
            data,
            outcome=column,
            unit=unit,
            time=time,
            treated=treated,
            start=start,
            weights=weights,
            cell_mean=cell_mean,
            missing=missing,
            donors_needed=False,
        )
        for column in (outcome, *covariates)
    ]
    first = panels[0]
    keep = np.ones(first.times.size, dtype=bool)
    for other in panels[1:]:
        keep &= np.isin(first.times, other.times)
    series = [p.target @ p.outcomes for p in panels[1:]]
    aligned = [
        s[np.searchsorted(p.times, first.times)] for s, p in zip(series, panels[1:], strict=True)
    ]
    return first, np.column_stack(aligned) if aligned else np.empty((first.times.size, 0))


def _design(
    panel: Panel, controls: np.ndarray, covariates: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Constant, trend, weekdays of daily dates, control series, and the step last."""
    periods = panel.times.size
    position = np.arange(periods)
    columns = [np.ones(periods), position / periods - panel.n_pre / periods]
    names = ["constant", "trend"]
    if panel.daily and panel.n_pre >= 2 * WEEK:
        days = pd.DatetimeIndex(panel.times)
        for day in sorted(days.day_of_week.unique())[1:]:
            columns.append((days.day_of_week == day).astype(float))
            names.append(f"weekday {day}")
    for name, series in zip(covariates, controls.T, strict=True):
        spread = series.std()
        columns.append((series - series.mean()) / (spread if spread > 0 else 1.0))
        names.append(name)
    columns.append((position >= panel.n_pre).astype(float))
    return np.column_stack(columns), [*names, "step"]


def _path(
    panel: Panel, path: np.ndarray, design: np.ndarray, fit: StepFit, conf_level: float
) -> pd.DataFrame:
    """Observed against the path without the step, with a prediction interval of the gap."""
    without = design.copy()
    without[:, -1] = 0.0
    expected = without @ fit.coefficients
    variance = np.einsum("tk,kl,tl->t", without, fit.covariance, without) + fit.error_variance
    reach = critical_value(conf_level, fit.df) * np.sqrt(variance)
    gap = path - expected
    return pd.DataFrame(
        {
            "time": panel.times,
            "observed": path,
            "synthetic": expected,
            "gap": gap,
            "conf_low": gap - reach,
            "conf_high": gap + reach,
        }
    )


def _checks(
    panel: Panel, fit: StepFit, effect: float, low: float, high: float
) -> tuple[Check, ...]:
    left = int((~panel.treated).sum())
    message = (
        "No unit was spared the launch: nothing shows what else happened then. Treat the step as "
        "a description; pinned tenants or another region would make it an effect."
    )
    if left:
        message = (
            f"{left} units that the launch didn't reach are in the data and aren't used here: the "
            "default estimator compares with them."
        )
    persistence = structural(
        "persistence",
        "Errors die out within the history, so that a step differs from drift.",
        "caution" if fit.autocorrelation > HIGH_PERSISTENCE else "pass",
        fit.autocorrelation,
        f"What trend and control series leave has autocorrelation {fit.autocorrelation:.2f} from "
        "one period to the next"
        + (
            ": it wanders, and a wander at the launch looks like a step."
            if fit.autocorrelation > HIGH_PERSISTENCE
            else "."
        ),
    )
    clear = max(low, -high, 0.0)
    shock = untestable(
        "treated_only_shock",
        "Nothing else happened at the launch, and the trend went on.",
        "Anything else at the launch is in the step; something of "
        f"{effect_text(clear, panel.proportion, signed=False)} would bring zero into the interval."
        if clear > 0
        else "Anything else at the launch is in the step; the interval holds zero already.",
        clear,
    )
    return (
        structural("no_donors", "Somebody was left out of the launch.", "caution", left, message),
        persistence,
        shock,
    )
