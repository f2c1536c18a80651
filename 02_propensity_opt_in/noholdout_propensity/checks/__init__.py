"""The assumptions behind an adjusted comparison, looked at one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from noholdout_propensity.checks.clusters import cluster_check
from noholdout_propensity.checks.hidden import e_value, hidden_check
from noholdout_propensity.checks.overlap import (
    OVERLAP,
    overlap_check,
    regions_check,
    separation_check,
)
from noholdout_propensity.checks.ratio import ratio_check
from noholdout_propensity.checks.timing import timing_check
from noholdout_propensity.kernels.balance import Bins
from noholdout_propensity.negative_controls import negative_control_check
from noholdout_propensity.problem import Problem
from noholdout_propensity.sensitivity import Robustness

if TYPE_CHECKING:
    from noholdout_propensity.estimators.common import Build, Fit

__all__ = ["Evidence", "e_value", "run_checks"]


@dataclass(frozen=True)
class Evidence:
    """What the checks of one estimate look at.

    Parameters
    ----------
    span
        The estimate's interval.
    kept, places
        False for a trimmed row, shape ``(n,)``; places of the treated and the control rows kept.
    tables
        At least ``balance``; ``negative_controls`` where they were asked for.
    bins
        The covariates in bins.
    score, trouble
        The score, fitted for the checks where the estimator has none, and what separates the arms.
    strength
        The robustness values; ``None`` where there is no number.
    build
        Fits the same estimator to another problem.
    """

    problem: Problem
    fit: Fit
    span: Interval
    kept: np.ndarray
    places: tuple[np.ndarray, np.ndarray]
    tables: Mapping[str, pd.DataFrame]
    bins: Bins
    score: np.ndarray | None
    trouble: str
    strength: Robustness | None
    settings: Mapping[str, Any]
    build: Build


def run_checks(seen: Evidence) -> tuple[Check, ...]:
    """Every check of one estimate, in the order in which a reader should meet them."""
    problem, fit, span = seen.problem, seen.fit, seen.span
    checks: list[Check] = [separation_check(seen.trouble)]
    timing = timing_check(problem, fit, seen.build)
    if fit.separation:
        gone = (
            "There is no usable overlap: the separated rows have no counterpart in the other arm, "
            "so any number for them would be made up."
        )
        checks.append(structural("overlap", OVERLAP, "fail", 0.0, gone))
        return (*checks, timing) if isinstance(timing, Check) else tuple(checks)
    weights = fit.weights * seen.kept
    if problem.clustered:
        checks.append(cluster_check(problem, weights != 0))
    if problem.denominator is not None:
        checks.append(ratio_check(problem, weights))
    checks.append(overlap_check(problem, fit, seen.score, seen.places))
    if seen.score is not None:
        checks.append(regions_check(problem, seen.bins, seen.score, seen.kept))
    bias = prognostic_gap(problem, weights)
    effective = seen.tables["weights"]["effective_n"].to_numpy()
    checks.append(
        balance_check(seen.tables["balance"], effective, bias, span.std_error, fit.adjusts_outcome)
    )
    found: list[HypothesisCheck | Check] = [specification_check(problem, fit)]
    if "negative_controls" in seen.tables:
        spread = float(problem.outcome.std(ddof=1))
        found.append(negative_control_check(seen.tables["negative_controls"], spread))
    found.append(timing)
    tests = [item for item in found if isinstance(item, HypothesisCheck)]
    judged = {check.name: check for check in judge(tests, span.std_error)}
    checks.extend(item if isinstance(item, Check) else judged[item.name] for item in found)
    means = (fit.mean_treated, fit.mean_control)
    checks.append(hidden_check(problem, fit.estimate, span, means, seen.strength, seen.settings))
    return tuple(checks)
