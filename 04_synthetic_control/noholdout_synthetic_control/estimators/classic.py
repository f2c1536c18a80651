"""The classic synthetic control: the simplex on every pre-launch outcome, no intercept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError

from noholdout_synthetic_control.estimators.common import (
    Asked,
    Build,
    Launch,
    assemble,
    read_launch,
)
from noholdout_synthetic_control.kernels.fits import Problem, Solver, classic_problem
from noholdout_synthetic_control.kernels.predictors import Importance, PredictorProblem
from noholdout_synthetic_control.predictor_columns import (
    Predictors,
    parse_importance,
    read_predictors,
)
from noholdout_synthetic_control.result import SyntheticControlEstimate


def classic(
    data: Any,
    *,
    predictors: Sequence[str] | None = None,
    importance: str | Sequence[float] | None = None,
    **asked: Unpack[Asked],
) -> SyntheticControlEstimate:
    """What did the launch change, against the mix of donors that matched path and level?

    Minimises the squared distance of every pre-launch outcome over weights on the simplex, without
    an intercept: Abadie, Diamond and Hainmueller (2010, JASA 105(490), section 2.3) with all
    pre-launch outcomes as predictors and equal importance. With ``predictors`` it matches those
    instead, as they do. A treated side outside the donors' range is out of its reach, and on noisy
    data a difference in level draws the weights to donors with lucky noise.

    Parameters
    ----------
    predictors
        ``column`` (its mean before the launch), ``column@1975`` or ``column@1980..1988``; the
        outcome itself may be one.
    importance
        Of the predictors: ``search`` (default: the best fit of the outcome before the launch, for
        every placebo anew), ``regression``, or one number each. The bootstrap and leave-one-out
        hold the treated side's importances.
    data, asked
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    launch = read_launch(data, asked)
    if predictors:
        found = read_predictors(data, launch.panel, predictors, asked["unit"], asked["time"])
        return _with_predictors(launch, found, predictors, importance or "search")
    if importance is not None:
        raise DataError(
            f"importance={importance!r} was asked without predictors.",
            "An option that changes nothing would mislead.",
            "Name predictors, or leave it out.",
        )
    build = classic_build(launch.solver)
    return assemble(launch, "classic", build, {"block": 1}, unique=False)


def _with_predictors(
    launch: Launch,
    found: Predictors,
    predictors: Sequence[str],
    importance: str | Sequence[float],
) -> SyntheticControlEstimate:
    panel = launch.panel
    chosen = parse_importance(importance, predictors)
    build = partial(
        _build_predictors, predictors=found.values, importance=chosen, solver=launch.solver
    )
    estimate = assemble(
        launch,
        "classic",
        build,
        {"block": 1, "predictors": list(found.names), "importance": importance, **found.settings},
        refused=["conformal", "jackknife-plus"],
        backdates=False,
    )
    problem = build(panel.outcomes, panel.n_pre, np.empty(0))
    used = problem.importance_for(panel.target, panel.donors)
    weights = estimate.tables["weights"]["weight"].to_numpy()
    others = found.values[panel.donors]
    table = pd.DataFrame(
        {
            "predictor": found.names,
            "importance": used,
            "treated": panel.target @ found.values,
            "synthetic": weights @ others,
            "donors": others.mean(axis=0),
        }
    )
    return replace(estimate, tables={**estimate.tables, "predictors": table})


def _build_predictors(
    outcomes: np.ndarray,
    n_pre: int,
    noise: np.ndarray,
    *,
    predictors: np.ndarray,
    importance: Importance,
    solver: Solver,
) -> PredictorProblem:
    return PredictorProblem(outcomes, n_pre, predictors, importance, solver)


def _build(outcomes: np.ndarray, n_pre: int, noise: np.ndarray, *, solver: Solver) -> Problem:
    return classic_problem(outcomes, n_pre, solver)


def classic_build(solver: Solver) -> Build:
    """The estimator as a function of a panel's arrays."""
    return partial(_build, solver=solver)
