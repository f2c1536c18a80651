"""Entropy balancing: the weighting that makes both arms' covariate means equal to the target's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from noholdout_propensity.assemble import answered
from noholdout_propensity.estimators.common import Fit
from noholdout_propensity.estimators.regression import target_rows
from noholdout_propensity.kernels.designs import Design
from noholdout_propensity.kernels.entropy import balanced_mean, entropy_weights
from noholdout_propensity.kernels.richer import Richer
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.options import Common, Options
from noholdout_propensity.problem import Problem
from noholdout_propensity.result import PropensityEstimate


def entropy_balancing(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "att",
    **common: Unpack[Common],
) -> PropensityEstimate:
    """Reweight until every covariate's mean equals the target's, as gently as possible.

    Assumes no hidden confounder, overlap, and that the outcome is linear in the covariates or the
    odds of opting in are log-linear: either is enough (Zhao and Percival 2017). Weights by
    Hainmueller (2012, eq. 8); the standard error accounts for their estimation.

    Parameters and errors are those of :func:`ipw`; there is no score, hence no ``ato``.
    """
    options = Options(data, outcome, treatment, covariates, estimand, **common)
    return answered(options, fit_entropy_balancing)


def fit_entropy_balancing(problem: Problem) -> Fit:
    """Point estimate, influence values and bootstrap replicate."""
    target = target_rows(problem)
    sampling = problem.sampling
    solved = balanced_means(problem, problem.score_design, target, sampling)
    if solved is None:
        return Fit(
            estimator="entropy-balancing",
            estimate=math.nan,
            weights=sampling.copy(),
            title="entropy balancing",
            separation="No positive weights give one arm the target's covariate means: the "
            "target lies outside what that arm holds.",
        )
    means, influences, weights, duals = solved

    def replicate(counts: np.ndarray) -> float | None:
        again = balanced_means(
            problem, problem.score_design, target, counts * sampling, starts=duals, influence=False
        )
        return None if again is None else again[0][0] - again[0][1]

    def respecify(richer: Richer) -> tuple[float, np.ndarray] | None:
        rich = balanced_means(problem, richer.design, target, sampling)
        if rich is None:
            return None
        moved = rich[0][0] - rich[0][1] - (means[0] - means[1])
        return moved, rich[1][0] - rich[1][1] - (influences[0] - influences[1])

    return Fit(
        estimator="entropy-balancing",
        title="entropy balancing",
        estimate=means[0] - means[1],
        weights=weights,
        mean_treated=means[0],
        mean_control=means[1],
        influence=influences[0] - influences[1],
        source="influence values with the estimated weights",
        replicate=replicate,
        respecify=respecify,
        settings={"balanced": "means of all covariates"},
    )


def balanced_means(
    problem: Problem,
    design: Design,
    target: np.ndarray,
    rows: np.ndarray,
    *,
    starts: list[np.ndarray] | None = None,
    influence: bool = True,
) -> tuple[list[float], list[np.ndarray], np.ndarray, list[np.ndarray]] | None:
    """Both arms' means (treated first), influence values, row weights and multipliers."""
    x, y = design[:][:, 1:], problem.outcome
    share = rows * target / float(rows @ target)
    centre = share @ x
    means: list[float] = []
    influences: list[np.ndarray] = []
    duals: list[np.ndarray] = []
    weights = np.zeros(problem.n)
    for a, arm in enumerate((problem.treated, 1 - problem.treated)):
        base = rows * arm
        if not base.sum() > 0:
            return None
        if np.array_equal(arm, target):
            # The target's own arm stays as it is.
            own = share
            duals.append(np.zeros(x.shape[1]))
        else:
            solved = entropy_weights(x, base, centre, None if starts is None else starts[a])
            if not solved.feasible:
                return None
            own = solved.weights
            duals.append(solved.dual)
        if influence:
            mean, values = balanced_mean(y, x, own, share, centre)
            influences.append(values)
        else:
            mean = float(own @ y)
        means.append(mean)
        weights += own
    return means, influences, weights, duals
