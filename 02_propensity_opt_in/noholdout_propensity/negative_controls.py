"""Outcomes that the feature can't have touched: an effect on one is a sign of hidden causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, HypothesisCheck, structural
from noholdout_shared.errors import DataError
from noholdout_shared.inference import interval
from noholdout_shared.input import outcome as outcome_column

from noholdout_propensity.inference import spread_of
from noholdout_propensity.options import Options
from noholdout_propensity.problem import Problem

if TYPE_CHECKING:
    from noholdout_propensity.estimators.common import Build

ASSUMPTION = "Adopters and the others don't differ in what the feature can't have changed."


def refuse_reused(options: Options) -> None:
    """Raise when a negative control already plays another part."""
    used = [
        options.outcome,
        options.treatment,
        *options.covariates,
        *(options.outcome_covariates or ()),
    ]
    for column in options.negative_controls:
        if column in used:
            raise DataError(
                f"Negative control {column!r} is also the outcome, the treatment or a covariate.",
                "Adjusting for a column makes its own difference vanish, whatever is hidden.",
                "Name a column that stands nowhere else, such as activity before the launch.",
            )


def negative_control_effects(problem: Problem, build: Build) -> pd.DataFrame:
    """The same estimator on each control outcome, with the outcome's SD as a scale."""
    records = []
    for column in problem.options.negative_controls:
        values = outcome_column(problem.frame, column)
        fit = build(problem.on(values))
        spread = spread_of(problem, fit)
        span = interval(fit.estimate, spread.std_error, problem.options.conf_level, spread.df)
        records.append(
            {
                "outcome": column,
                "estimate": fit.estimate,
                "std_error": span.std_error,
                "conf_low": span.conf_low,
                "conf_high": span.conf_high,
                "p_value": span.p_value,
                "sd": float(values.std(ddof=1)),
            }
        )
    return pd.DataFrame(records)


def negative_control_check(table: pd.DataFrame, outcome_sd: float) -> HypothesisCheck | Check:
    """The most telling control, its p-value multiplied by their number (Bonferroni).

    The bias it implies is its effect in standard deviations, moved to the outcome's scale: a
    hidden cause that moves a similar outcome by that much would move this one so.
    """
    if table["p_value"].isna().any():
        return structural(
            "negative_controls", ASSUMPTION, "caution", np.nan, "A control has no standard error."
        )
    worst = int(table["p_value"].to_numpy().argmin())
    row = table.iloc[worst]
    in_sd = float(row["estimate"] / row["sd"])
    return HypothesisCheck(
        name="negative_controls",
        assumption=ASSUMPTION,
        statistic=float(row["estimate"] / row["std_error"]),
        p_value=min(1.0, float(row["p_value"]) * len(table)),
        bias=in_sd * outcome_sd,
        found=f"On {len(table)} outcome{'s' if len(table) > 1 else ''} that the feature can't have "
        f"changed, the largest sign of an effect is {in_sd:+.3f} SD on {row['outcome']!r}.",
        todo="Something that isn't among the covariates sets the arms apart. Find it and add it; "
        "until then the estimate carries it too.",
    )
