"""The classic synthetic control: the simplex on every pre-launch outcome, no intercept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np

from noholdout_synthetic_control.estimators.common import (
    Build,
    Launch,
    Options,
    assemble,
    equal_weights,
    make_study,
    read_launch,
)
from noholdout_synthetic_control.kernels.fits import Problem, Solver, classic_problem
from noholdout_synthetic_control.result import SyntheticControlEstimate


def classic(
    data: Any,
    *,
    outcome: str,
    unit: str,
    time: str,
    treated: Sequence[Any],
    start: Any,
    **options: Unpack[Options],
) -> SyntheticControlEstimate:
    """What did the launch change, against the mix of donors that matched path and level?

    Minimises the squared distance of every pre-launch outcome over weights on the simplex, without
    an intercept and without predictors: Abadie, Diamond and Hainmueller (2010, JASA 105(490),
    section 2.3) with all pre-launch outcomes as predictors and equal importance. A treated side
    outside the donors' range is out of its reach, and on noisy data a difference in level draws
    the weights to donors with lucky noise.

    Parameters
    ----------
    data, outcome, unit, time, treated, start, options
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    launch = Launch(outcome, unit, time, treated, start)
    panel = read_launch(data, launch, options)
    return assemble(
        make_study(panel, options),
        launch,
        options,
        "classic",
        classic_build(options.get("solver", "exact")),
        {"block": 1},
        {"did": equal_weights},
    )


def _build(outcomes: np.ndarray, n_pre: int, noise: np.ndarray, *, solver: Solver) -> Problem:
    return classic_problem(outcomes, n_pre, solver)


def classic_build(solver: Solver) -> Build:
    """The estimator as a function of a panel's arrays."""
    return partial(_build, solver=solver)
