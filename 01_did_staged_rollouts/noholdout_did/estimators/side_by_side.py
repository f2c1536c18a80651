"""Every estimator on the same rollout, and why they differ when they do."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pandas as pd
from noholdout_shared.checks import HypothesisCheck
from noholdout_shared.errors import DesignError
from noholdout_shared.inference import two_sided_p
from noholdout_shared.render import effect_text, p_text

from noholdout_did.effects import effects
from noholdout_did.estimators.group_time import from_effects
from noholdout_did.estimators.imputation import imputed_effects
from noholdout_did.inference import std_errors
from noholdout_did.kernels.moments import Moments
from noholdout_did.options import (
    Estimator,
    Options,
    require_default,
    require_inference,
    require_no_covariates,
)
from noholdout_did.result import DidEstimate, errors_for
from noholdout_did.rollout import Rollout
from noholdout_did.rows import as_parameters, cluster_sums, group_time_rows

OTHERS: tuple[tuple[Estimator, str], ...] = (
    ("two-by-two", "two_by_two"),
    ("twfe", "twfe"),
    ("imputation", "imputation"),
    ("two-stage", "imputation"),
    ("sun-abraham", "sun_abraham"),
)


def side_by_side(
    rollout: Rollout, options: Options, *, outcome: str, named_cluster: bool
) -> DidEstimate:
    """The group-time estimate, with the others in table ``estimators``.

    Check ``estimators_agree`` is a Hausman test of imputation, which leans on every period before
    the launch, against group-time, which leans on the last.
    """
    require_default(
        options,
        control_group="not-yet-treated",
        base_period="varying",
        aggregate="simple",
        anticipation=0,
        balance=None,
        adjust="dr",
    )
    require_no_covariates(rollout, options)
    require_inference(options)
    found = effects(rollout, options)
    main = replace(options, estimator="group-time")
    results: dict[str, DidEstimate | str] = {
        "group-time": from_effects(
            rollout, main, found, outcome=outcome, named_cluster=named_cluster
        )
    }
    for name, module in OTHERS:
        run = getattr(
            importlib.import_module(f"noholdout_did.estimators.{module}"), name.replace("-", "_")
        )
        try:
            results[name] = run(
                rollout,
                replace(options, estimator=name),
                outcome=outcome,
                named_cluster=named_cluster,
            )
        except DesignError as error:
            results[name] = error.problem
    test = _agreement(rollout, found.data, options, results, named_cluster)
    return from_effects(
        rollout,
        main,
        found,
        outcome=outcome,
        named_cluster=named_cluster,
        more=() if test is None else (test,),
        more_tables={"estimators": _table(results)},
    )


def _table(results: dict[str, DidEstimate | str]) -> pd.DataFrame:
    rows = []
    for name, found in results.items():
        row: dict[str, object] = {"estimator": name}
        if isinstance(found, str):
            row |= dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), np.nan)
            row["estimand"] = found
        else:
            for column in ("estimate", "std_error", "conf_low", "conf_high", "estimand"):
                row[column] = getattr(found, column)
        rows.append(row)
    return pd.DataFrame(rows)


def _agreement(
    rollout: Rollout,
    data: Moments,
    options: Options,
    results: dict[str, DidEstimate | str],
    named_cluster: bool,
) -> HypothesisCheck | None:
    group_time, imputed = results["group-time"], results["imputation"]
    if isinstance(group_time, str) or isinstance(imputed, str):
        return None
    rows = imputed_effects(rollout, data, options, two_stage=False, events=False)
    other = group_time_rows(rollout, data, rollout.y, options)[1][:, None]
    psi = rows.psi[:, :1] - cluster_sums(rollout, data, other)
    dense, parameter = as_parameters(rollout, data, np.zeros(1), psi)
    se, df = (float(x[0]) for x in std_errors(dense, parameter, errors_for(data, named_cluster)))
    difference = imputed.estimate - group_time.estimate
    if not se > 1e-10:
        return None
    p_value = two_sided_p(difference / se, df)
    proportion = rollout.proportion
    fixed = results["twfe"]
    two_way = ""
    if not isinstance(fixed, str):
        two_way = (
            f" Two-way fixed effects give {effect_text(fixed.estimate, proportion)}: they weigh "
            "waves and times differently, some perhaps negatively."
        )
    return HypothesisCheck(
        name="estimators_agree",
        assumption="Trends were parallel in every period before the launch, not only the last.",
        statistic=difference / se,
        p_value=p_value,
        bias=difference,
        found=(
            f"Imputation, which leans on all periods before the launch, gives "
            f"{effect_text(imputed.estimate, proportion)}, group-time, which leans on the last, "
            f"{effect_text(group_time.estimate, proportion)} ({p_text(p_value)} for the "
            f"difference).{two_way}"
        ),
        todo="Early gaps unlike the last one pull them apart: look at the leads for a drift.",
    )
