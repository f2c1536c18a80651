"""The result of a staged rollout: an Estimate that draws its trends and its event study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check
from noholdout_shared.estimate import Estimate
from noholdout_shared.inference import interval

from noholdout_did.inference import Errors, std_errors, studentised_draws
from noholdout_did.kernels.group_time import Linear
from noholdout_did.kernels.moments import Moments
from noholdout_did.options import Options
from noholdout_did.rollout import Rollout

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class DidEstimate(Estimate):
    """The effect of a staged rollout on those who got it.

    Parameters
    ----------
    hint
        What another estimator would find that this one can't, in one sentence; mostly empty.
    """

    hint: str = ""

    @property
    def further_rows(self) -> tuple[tuple[str, str], ...]:
        return (("hint", self.hint),) if self.hint else ()

    def plot(self, ax: Axes | None = None) -> Axes:
        """The raw trends by wave and the event study; with ``ax`` the latter only.

        Two-way fixed effects show their comparisons in its place, ``all`` every estimator.
        """
        from noholdout_shared.style import house_style

        from noholdout_did import plot

        with house_style():
            return plot.plot_rollout(self) if ax is None else plot.plot_answer(self, ax)

    def plot_sensitivity(self, ax: Axes | None = None) -> Axes:
        """Intervals under growing departures from parallel trends; needs table ``sensitivity``."""
        from noholdout_shared.style import house_style

        from noholdout_did.plot import plot_sensitivity

        with house_style():
            return plot_sensitivity(self, ax)


@dataclass(frozen=True)
class Headline:
    """The reported number, its error and its interval."""

    estimate: float
    std_error: float
    df: float
    conf_low: float
    conf_high: float
    p_value: float
    inference: str


def errors_for(data: Moments, named_cluster: bool) -> Errors:
    """The small-sample correction is made for a named cluster column, and for few units."""
    from noholdout_did.inference import CORRECT_BELOW

    return Errors(corrected=named_cluster or data.n_clusters < CORRECT_BELOW)


def headline(
    data: Moments, parameter: Linear, errors: Errors, rollout: Rollout, options: Options
) -> Headline:
    """Interval of one parameter: t with cluster degrees of freedom, or the bootstrap's own."""
    value = float(parameter.value[0])
    se, df = (float(x[0]) for x in std_errors(data, parameter, errors))
    by = f"cluster-robust by {rollout.cluster_name}" if rollout.cluster_name else "rows independent"
    if not se > 0:
        reason = f"{by}; undefined: neither side varies between clusters"
        return Headline(value, np.nan, np.nan, np.nan, np.nan, np.nan, reason)
    if options.inference == "leave-out":
        by += ", each cluster compared with the others of its wave"
    if options.inference == "bootstrap":
        return _bootstrap_headline(data, parameter, errors, options, value, se, df, by)
    found = interval(value, se, options.conf_level, df)
    return Headline(
        value, se, df, found.conf_low, found.conf_high, found.p_value, f"{by}, t({df:.0f})"
    )


def _bootstrap_headline(
    data: Moments,
    parameter: Linear,
    errors: Errors,
    options: Options,
    value: float,
    se: float,
    df: float,
    by: str,
) -> Headline:
    rng = np.random.default_rng(options.seed)
    draws = np.abs(studentised_draws(data, parameter, errors, options.draws, rng)[:, 0])
    critical = float(np.quantile(draws, options.conf_level, method="higher"))
    p_value = float((1 + (draws >= abs(value) / se).sum()) / (1 + len(draws)))
    text = f"studentised multiplier bootstrap, {by}, {options.draws:,} draws"
    if not np.isfinite(critical):
        text += "; undefined: too few clusters for this level"
        return Headline(value, se, df, np.nan, np.nan, np.nan, text)
    return Headline(value, se, df, value - critical * se, value + critical * se, p_value, text)


def interval_columns(
    data: Moments, parameters: Linear, errors: Errors, conf_level: float
) -> dict[str, np.ndarray]:
    """``estimate, std_error, conf_low, conf_high`` of K parameters, pointwise."""
    se, df = std_errors(data, parameters, errors)
    found = [
        interval(float(v), float(s), conf_level, float(d))
        for v, s, d in zip(parameters.value, se, df, strict=True)
    ]
    return {
        "estimate": parameters.value.copy(),
        "std_error": se,
        "conf_low": np.array([f.conf_low for f in found]),
        "conf_high": np.array([f.conf_high for f in found]),
    }


def band_columns(
    data: Moments, parameters: Linear, errors: Errors, options: Options
) -> dict[str, np.ndarray]:
    """``band_low, band_high``: they hold all K parameters at once."""
    from noholdout_did.inference import sup_t

    se, _ = std_errors(data, parameters, errors)
    shown = se > 0
    critical = np.nan
    if shown.any():
        rng = np.random.default_rng(options.seed)
        draws = studentised_draws(data, parameters.take(shown), errors, options.draws, rng)
        critical = sup_t(draws, options.conf_level)
    half = critical * se
    return {"band_low": parameters.value - half, "band_high": parameters.value + half}


def raw_trends(rollout: Rollout, data: Moments) -> pd.DataFrame:
    """Mean outcome by wave and period, as it stands in the data."""
    n_cohorts, n_periods = data.mean.shape
    names = cohort_labels(rollout, data)
    return pd.DataFrame(
        {
            "cohort": [names[c] for c in range(n_cohorts) for _ in range(n_periods)],
            "time": np.tile(rollout.periods, n_cohorts),
            "mean": data.mean.ravel(),
            "weight": data.weight.ravel(),
        }
    )


def cohort_labels(rollout: Rollout, data: Moments) -> list[Any]:
    """Each cohort's first treated period as the user wrote it; ``never`` for the untreated."""
    return [
        "never" if g >= rollout.n_periods else period_label(rollout.periods, int(g))
        for g in data.launch
    ]


def period_label(periods: np.ndarray, index: int) -> Any:
    """A period as the user wrote it: a plain number, a timestamp, or the text itself."""
    label = periods[index]
    return (
        label.item()
        if periods.dtype.kind in "iuf"
        else pd.Timestamp(label)
        if (periods.dtype.kind == "M")
        else label
    )


def build(
    rollout: Rollout,
    options: Options,
    head: Headline,
    *,
    estimand: str,
    outcome: str,
    checks: Sequence[Check],
    tables: Mapping[str, pd.DataFrame],
    settings: Mapping[str, Any],
    n_clusters: int,
) -> DidEstimate:
    """Put the result together."""
    treated = rollout.n_treated_rows
    n = rollout.n_rows
    return DidEstimate(
        method=f"Difference-in-differences: {options.estimator}",
        estimand=estimand,
        estimate=head.estimate,
        std_error=head.std_error,
        conf_low=head.conf_low,
        conf_high=head.conf_high,
        conf_level=options.conf_level,
        p_value=head.p_value,
        inference=head.inference,
        outcome=outcome,
        n_obs=n,
        n_treated=treated,
        n_control=n - treated,
        n_clusters=None if rollout.cluster is None else n_clusters,
        settings={**rollout.settings, **settings},
        checks=tuple(checks),
        tables=dict(tables),
        df=head.df,
        proportion=rollout.proportion,
        margin=options.margin,
    )
