"""Did other people arrive with the launch? Columns that it can't have changed must not move."""

from __future__ import annotations

import numpy as np
from noholdout_shared.checks import HypothesisCheck
from noholdout_shared.render import effect_text, p_text

from noholdout_did.inference import Errors, joint_test, std_errors
from noholdout_did.kernels.moments import Moments
from noholdout_did.options import Options
from noholdout_did.rollout import Rollout
from noholdout_did.rows import group_time_rows, row_parameters, row_weights


def composition_check(
    rollout: Rollout, plain: Moments, options: Options, errors: Errors
) -> HypothesisCheck | None:
    """A group-time effect "on" each watched column, tested jointly; ``None`` without any.

    The implied bias is the shift of each column times how the outcome goes with it among
    untreated rows of the same wave and period.
    """
    watched = rollout.composition
    if watched is None or watched.shape[1] == 0:
        return None
    found = [group_time_rows(rollout, plain, column, options) for column in watched.T]
    value = np.array([v for v, _ in found])
    psi = np.column_stack([p for _, p in found])
    dense, shifts = row_parameters(rollout, plain, value, psi)
    name, assumption = "composition", "The launch didn't change who is in the data."
    todo = (
        "Other people are compared after the launch than before: adjust with --covariates, or "
        "keep to users who were there before."
    )
    se, _ = std_errors(dense, shifts, errors)
    moving = np.flatnonzero(~np.isnan(se))
    if moving.size == 0:  # such as columns that each unit of a complete panel keeps
        still = f"None of the {len(value)} watched columns moved at all."
        return HypothesisCheck(name, assumption, 0.0, 1.0, 0.0, still, todo)
    test = joint_test(dense, shifts.take(moving), errors)
    if np.isnan(test.p_value):
        return None
    bias = float(value @ _slopes(rollout, watched))
    worst = int(np.nanargmax(np.abs(value / se)))
    column = rollout.composition_names[worst]
    return HypothesisCheck(
        name=name,
        assumption=assumption,
        statistic=test.statistic,
        p_value=test.p_value,
        bias=bias,
        found=(
            f"With the launch, the mean of {column} moved by {value[worst]:+.3g} "
            f"({p_text(test.p_value)} for all {len(value)} watched columns); that shift alone "
            f"would bias the estimate by {effect_text(bias, rollout.proportion)}."
        ),
        todo=todo,
    )


def _slopes(rollout: Rollout, watched: np.ndarray) -> np.ndarray:
    """Least squares of the outcome on the columns, within waves and periods, untreated rows."""
    clean = rollout.period < rollout.launch
    w = row_weights(rollout)[clean]
    cell = (rollout.launch * rollout.n_periods + rollout.period)[clean]
    total = np.bincount(cell, weights=w)

    def within(values: np.ndarray) -> np.ndarray:
        mean = np.bincount(cell, weights=w * values) / np.maximum(total, 1e-300)
        return values - mean[cell]

    x = np.column_stack([within(column) for column in watched[clean].T])
    root = np.sqrt(w)
    y = within(rollout.y[clean]) * root
    return np.linalg.lstsq(x * root[:, None], y, rcond=None)[0]
