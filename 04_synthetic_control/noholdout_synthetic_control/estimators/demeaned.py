"""The demeaned simplex on block means with a ridge sized by the noise: the default."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import numpy as np
from noholdout_shared.errors import DataError

from noholdout_synthetic_control.estimators.common import Asked, Build, assemble, read_launch
from noholdout_synthetic_control.kernels.fits import Problem, Solver, demeaned_problem
from noholdout_synthetic_control.panel import Panel
from noholdout_synthetic_control.result import SyntheticControlEstimate


def demeaned(
    data: Any, *, block: int | None = None, **asked: Unpack[Asked]
) -> SyntheticControlEstimate:
    """What did the launch change, against a twin that may differ by a constant?

    Donor weights on the simplex match the treated side's movements, not its level: both are
    demeaned over the time before the launch, averaged over blocks of ``block`` periods (a week
    of days by default), and the squared weights are penalised at twice the variance of what donors
    do by themselves: their noise, and how far units wander apart from all that they share. A level
    difference then can't push the weights to donors with lucky noise, and where every unit wanders
    strongly the weights stay near equal ones.

    Source: Doudchenko and Imbens (2016, NBER 22791), equation for the intercept; Ferman and Pinto
    (2021, Quantitative Economics 12(4), section 5); Gavish and Donoho (2014, IEEE Transactions on
    Information Theory 60(8), equation 10) for the variance that low-rank movements leave. The
    blocks and the ridge are this project's.

    Parameters
    ----------
    block
        Periods a block of the fit; by default 7 for daily data with six weeks or more before the
        launch, else 1.
    data, asked
        As in :func:`noholdout_synthetic_control.estimate`.
    """
    launch = read_launch(data, asked)
    length = resolve_block(launch.panel, block)
    return assemble(launch, "demeaned", demeaned_build(length, launch.solver), {"block": length})


def resolve_block(panel: Panel, block: int | None, minimum: int = 2) -> int:
    """Periods a block, checked against the history."""
    if block is None:
        block = panel.default_block()
    if block < 1 or panel.n_pre // block < minimum:
        raise DataError(
            f"block is {block}, with {panel.n_pre} periods before the launch.",
            f"The fit needs {minimum} blocks or more.",
            f"Use a block between 1 and {panel.n_pre // minimum}."
            if panel.n_pre >= minimum
            else "Add periods before the launch.",
        )
    return block


def _build(
    outcomes: np.ndarray, n_pre: int, noise: np.ndarray, *, block: int, solver: Solver
) -> Problem:
    return demeaned_problem(outcomes, n_pre, noise, block, solver)


def demeaned_build(block: int, solver: Solver) -> Build:
    """The estimator as a function of a panel's arrays."""
    return partial(_build, block=block, solver=solver)
