"""The assumptions behind an adjusted comparison, looked at one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, HypothesisCheck, judge, structural
from noholdout_shared.inference import Interval

from noholdout_propensity.checks.balance import (
    balance_check,
    prognostic_gap,
    specification_check,
)
from noholdout_propensity.checks.hidden import e_value, hidden_check, timing_check
from noholdout_propensity.checks.overlap import (
    OVERLAP,
    overlap_check,
    regions_check,
    separation_check,
)
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.problem import Problem

if TYPE_CHECKING:
    from noholdout_propensity.estimators.common import Fit

__all__ = ["e_value", "run_checks"]


def run_checks(
    problem: Problem,
    fit: Fit,
    estimand: Estimand,
    span: Interval,
    kept: np.ndarray,
    table: pd.DataFrame,
) -> tuple[Check, ...]:
    """Every check of one estimate, in the order in which a reader should meet them."""
    checks: list[Check] = [separation_check(fit.separation)]
    if fit.separation:
        gone = (
            "There is no usable overlap: the separated rows have no counterpart in the other arm, "
            "so any number for them would be made up."
        )
        return (*checks, structural("overlap", OVERLAP, "fail", 0.0, gone), timing_check(problem))
    checks.append(overlap_check(problem, estimand, fit.score, fit.weights, kept))
    if fit.score is not None:
        checks.append(regions_check(problem, estimand, fit.score, kept))
    bias = prognostic_gap(problem, fit.weights * kept)
    checks.append(balance_check(table, bias, span.std_error, fit.adjusts_outcome))
    tests: list[HypothesisCheck] = []
    form = specification_check(problem, fit)
    if isinstance(form, Check):
        checks.append(form)
    else:
        tests.append(form)
    checks.extend(judge(tests, span.std_error))
    checks.append(timing_check(problem))
    checks.append(hidden_check(problem, fit.estimate, span, (fit.mean_treated, fit.mean_control)))
    return tuple(checks)
