"""Regression adjustment: a linear model per arm, plain or weighted by inverse probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack

import numpy as np
from noholdout_shared.arguments import check_choice
from noholdout_shared.errors import DesignError

from noholdout_propensity.assemble import answered
from noholdout_propensity.estimators.common import Fit, Score, fitted_score, without_answer
from noholdout_propensity.kernels.outcome import fit_linear, regression_effect
from noholdout_propensity.kernels.richer import Richer
from noholdout_propensity.kernels.weighted_outcome import weighted_regression_effect
from noholdout_propensity.kernels.weighting import Estimand, own_weights
from noholdout_propensity.options import Common, Options
from noholdout_propensity.problem import Problem
from noholdout_propensity.result import PropensityEstimate

OutcomeFit = Literal["plain", "weighted"]


def regression(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "ate",
    outcome_covariates: Sequence[str] | None = None,
    outcome_fit: OutcomeFit = "plain",
    score: Score | None = None,
    **common: Unpack[Common],
) -> PropensityEstimate:
    """Predict both outcomes of every target row from a linear model per arm; average the gap.

    Assumes no hidden confounder and linear outcome models; where the arms don't overlap it
    extrapolates, which its implied weights (in the tables) show. Standard errors by stacked
    estimating equations (Wooldridge 2010, section 21.3.3).

    Parameters
    ----------
    outcome_covariates
        Covariates of the outcome models when they differ from the score's.
    outcome_fit
        ``weighted`` fits each arm's regression by inverse-probability weights (IPWRA, Wooldridge
        2007): right when either the score or the outcome models are.
    score
        Of the weights: ``logit`` or ``probit``.
    data, outcome, treatment, covariates, estimand, common
        As in :func:`ipw`, without ``ato``.
    """
    check_choice("outcome_fit", outcome_fit, ("plain", "weighted"))
    options = Options(data, outcome, treatment, covariates, estimand, outcome_covariates, **common)
    return answered(options, lambda problem: fit_regression(problem, outcome_fit, score or "logit"))


def target_rows(problem: Problem) -> np.ndarray:
    """Whom the answer covers, as 0/1 floats; refuses the overlap population."""
    if problem.estimand == "ato":
        raise DesignError(
            "The overlap population (ATO) is defined by the score, and this estimator averages "
            "over rows.",
            "",
            "Use estimator ipw or aipw for ATO, or another estimand.",
        )
    if problem.estimand == "ate":
        return np.ones_like(problem.treated)
    return problem.treated if problem.estimand == "att" else 1 - problem.treated


def fit_regression(
    problem: Problem, outcome_fit: OutcomeFit = "plain", link: Score = "logit"
) -> Fit:
    """Point estimate, influence values and implied weights."""
    if outcome_fit == "weighted":
        return fit_weighted_regression(problem, link)
    target = target_rows(problem)
    rows = problem.sampling
    design, y, treated = problem.outcome_design, problem.outcome, problem.treated
    effect = regression_effect(y, treated, design, target, rows)
    require_full_rank(effect.rank, design.shape[1])

    def replicate(counts: np.ndarray) -> float | None:
        weights = counts * rows
        mass = weights * target
        if not mass.sum() > 0:
            return None
        fits = [fit_linear(design, y, weights * arm) for arm in (treated, 1 - treated)]
        if min(fit.rank for fit in fits) < design.shape[1]:
            return None
        centre = mass @ design / mass.sum()
        return float(centre @ (fits[0].coefficients - fits[1].coefficients))

    def respecify(richer: Richer) -> tuple[float, np.ndarray] | None:
        moved = regression_effect(y, treated, richer.design, target, rows)
        if moved.rank < richer.design.shape[1]:
            return None
        return moved.estimate - effect.estimate, moved.influence - effect.influence

    return Fit(
        estimator="regression",
        title="regression adjustment",
        estimate=effect.estimate,
        weights=effect.weights,
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        influence=effect.influence,
        source="stacked estimating equations",
        replicate=replicate,
        respecify=respecify,
        adjusts_outcome=True,
        settings={
            "outcome_model": "linear per arm",
            "negative_weights": problem.count(effect.weights < -1e-12),
        },
    )


def fit_weighted_regression(problem: Problem, link: Score) -> Fit:
    """Inverse-probability-weighted regression adjustment (IPWRA)."""
    target = target_rows(problem)
    score_fit = fitted_score(problem, link)
    silent = without_answer("regression", problem, score_fit)
    if silent is not None:
        return silent
    effect = weighted_regression_effect(
        problem.outcome,
        problem.treated,
        problem.score_design,
        problem.outcome_design,
        score_fit,
        problem.estimand,
        target,
        problem.sampling,
    )
    require_full_rank(effect.rank, problem.outcome_design.shape[1])
    return Fit(
        estimator="regression",
        title="inverse-probability-weighted regression adjustment (IPWRA)",
        estimate=effect.estimate,
        weights=own_weights(score_fit.score, problem.treated, problem.estimand, problem.sampling),
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=score_fit.score,
        influence=effect.influence,
        source=f"stacked estimating equations with the estimated {link} score",
        adjusts_outcome=True,
        settings={"score": link, "outcome_model": "linear per arm, inverse-probability weighted"},
    )


def require_full_rank(rank: int, columns: int) -> None:
    """Raise a DesignError when an arm can't identify its own outcome model."""
    if rank < columns:
        raise DesignError(
            f"Within one arm the covariates span only {rank} of {columns} dimensions.",
            "That arm can't say how the outcome moves with the others, so its predictions for the "
            "other arm would be made up.",
            "Leave out covariates that don't vary in both arms.",
        )
