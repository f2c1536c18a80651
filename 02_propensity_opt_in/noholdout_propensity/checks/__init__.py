"""The assumptions behind an adjusted comparison, looked at one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
from noholdout_propensity.negative_controls import negative_control_check
from noholdout_propensity.problem import Problem
from noholdout_propensity.sensitivity import Robustness

if TYPE_CHECKING:
    from noholdout_propensity.estimators.common import Fit

__all__ = ["e_value", "run_checks"]


def run_checks(
    problem: Problem,
    fit: Fit,
    estimand: Estimand,
    span: Interval,
    kept: np.ndarray,
    tables: Mapping[str, pd.DataFrame],
    score: np.ndarray | None,
    trouble: str,
    strength: Robustness | None,
    settings: Mapping[str, Any],
) -> tuple[Check, ...]:
    """Every check of one estimate, in the order in which a reader should meet them.

    Parameters
    ----------
    tables
        At least ``balance``; ``negative_controls`` where they were asked for.
    score, trouble
        The score, fitted for the checks where the estimator has none, and what separates the arms.
    """
    checks: list[Check] = [separation_check(trouble)]
    if fit.separation:
        gone = (
            "There is no usable overlap: the separated rows have no counterpart in the other arm, "
            "so any number for them would be made up."
        )
        return (*checks, structural("overlap", OVERLAP, "fail", 0.0, gone), timing_check(problem))
    checks.append(overlap_check(problem, estimand, score, fit.weights, kept))
    if score is not None:
        checks.append(regions_check(problem, estimand, score, kept))
    bias = prognostic_gap(problem, fit.weights * kept)
    checks.append(balance_check(tables["balance"], bias, span.std_error, fit.adjusts_outcome))
    tests: list[HypothesisCheck] = []
    found: list[HypothesisCheck | Check] = [specification_check(problem, fit)]
    if "negative_controls" in tables:
        spread = float(problem.outcome.std(ddof=1))
        found.append(negative_control_check(tables["negative_controls"], spread))
    for item in found:
        if isinstance(item, Check):
            checks.append(item)
        else:
            tests.append(item)
    checks.extend(judge(tests, span.std_error))
    checks.append(timing_check(problem))
    means = (fit.mean_treated, fit.mean_control)
    checks.append(hidden_check(problem, fit.estimate, span, means, strength, settings))
    return tuple(checks)
