"""Ridge-augmented synthetic control on demeaned block means."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import numpy as np

from noholdout_synthetic_control.estimators.common import Asked, Build, assemble, read_launch
from noholdout_synthetic_control.estimators.demeaned import resolve_block
from noholdout_synthetic_control.kernels.augmented import augmented_problem
from noholdout_synthetic_control.kernels.fits import Problem, Solver
from noholdout_synthetic_control.result import SyntheticControlEstimate


def augmented(
    data: Any, *, block: int | None = None, **asked: Unpack[Asked]
) -> SyntheticControlEstimate:
    """What did the launch change, when the simplex's remaining misfit is corrected by a ridge?

    Ben-Michael, Feller and Rothstein (2021, JASA 116(536), equation 11, with fixed effects): the
    demeaned simplex, then a ridge regression of its pre-launch misfit on the donors, with the
    penalty chosen by leaving out one block at a time (the largest within a standard error of the
    best). Weights may be negative: it extrapolates where the simplex can't reach.

    Parameters
    ----------
    block
        As in :func:`noholdout_synthetic_control.demeaned`; three blocks at least.
    data, asked
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    launch = read_launch(data, asked)
    length = resolve_block(launch.panel, block, minimum=3)
    return assemble(launch, "augmented", augmented_build(length, launch.solver), {"block": length})


def _build(
    outcomes: np.ndarray, n_pre: int, noise: np.ndarray, *, block: int, solver: Solver
) -> Problem:
    return augmented_problem(outcomes, n_pre, noise, block, solver)


def augmented_build(block: int, solver: Solver) -> Build:
    """The estimator as a function of a panel's arrays."""
    return partial(_build, block=block, solver=solver)
