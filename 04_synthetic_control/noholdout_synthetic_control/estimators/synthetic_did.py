"""Synthetic difference-in-differences: weights over donors and over the time before the launch."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import numpy as np

from noholdout_synthetic_control.estimators.common import Asked, Build, assemble, read_launch
from noholdout_synthetic_control.kernels.fits import Problem, Solver
from noholdout_synthetic_control.kernels.sdid import double_problem
from noholdout_synthetic_control.result import SyntheticControlEstimate


def synthetic_did(data: Any, **asked: Unpack[Asked]) -> SyntheticControlEstimate:
    """What did the launch change, by difference-in-differences on weighted donors and periods?

    Arkhangelsky et al. (2021, AER 111(12), algorithm 1): donor weights on the simplex with an
    intercept and a ridge at ``(N_tr T_post)^(1/2)`` times the variance of a period's change;
    weights on the periods before the launch that predict the donors' mean after it. Both are
    solved exactly, so that numbers differ from Frank-Wolfe implementations in the fourth digit.
    On noisy daily data the time weights overfit; consider longer periods. The interval comes from
    placebos in every design without regions: a jackknife would be far too narrow.

    Parameters
    ----------
    data, asked
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    launch = read_launch(data, asked)
    return assemble(
        launch,
        "synthetic-did",
        double_build(launch.solver),
        {"block": 1},
        # Time weights fitted to the donors leave their changes no spread for a jackknife.
        jackknife=False,
        refused=["conformal"],
    )


def _build(outcomes: np.ndarray, n_pre: int, noise: np.ndarray, *, solver: Solver) -> Problem:
    return double_problem(outcomes, n_pre, solver)


def double_build(solver: Solver) -> Build:
    """The estimator as a function of a panel's arrays."""
    return partial(_build, solver=solver)
