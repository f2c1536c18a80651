"""Regression adjustment: a linear model per arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from noholdout_shared.errors import DesignError
from noholdout_shared.input import Missing, check_choice, resolve_replicates

from noholdout_propensity.estimators.common import ESTIMANDS, Fit, assemble
from noholdout_propensity.inference import DEFAULT_REPLICATES, Inference
from noholdout_propensity.kernels.outcome import fit_linear, regression_effect
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.problem import Options, Problem, prepare
from noholdout_propensity.result import PropensityEstimate


def regression(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "ate",
    cluster: str | None = None,
    weights: str | None = None,
    inference: Inference = "analytic",
    replicates: int | None = None,
    missing: Missing = "refuse",
    conf_level: float = 0.95,
    seed: int = 0,
    jobs: int = 1,
    margin: float | None = None,
) -> PropensityEstimate:
    """Predict both outcomes of every target row from a linear model per arm; average the gap.

    Assumes no hidden confounder and linear outcome models; where the arms don't overlap it
    extrapolates, which its implied weights (in the tables) show. Standard errors by stacked
    estimating equations (Wooldridge 2010, section 21.3.3).

    Parameters and errors are those of :func:`ipw`; there is no score, hence no ``ato``.
    """
    check_choice("estimand", estimand, tuple(ESTIMANDS))
    check_choice("inference", inference, ("analytic", "bootstrap"))
    draws = resolve_replicates(replicates, inference, ("bootstrap",), DEFAULT_REPLICATES)
    problem = prepare(
        Options(
            data=data,
            outcome=outcome,
            treatment=treatment,
            covariates=covariates,
            cluster=cluster,
            weights=weights,
            missing=missing,
            conf_level=conf_level,
        )
    )
    return assemble(
        problem,
        fit_regression(problem, estimand),
        estimand,
        inference=inference,
        replicates=draws,
        seed=seed,
        jobs=jobs,
        margin=margin,
    )


def target_rows(treated: np.ndarray, estimand: Estimand) -> np.ndarray:
    """Whom the answer covers, as 0/1 floats; refuses the overlap population."""
    if estimand == "ato":
        raise DesignError(
            "The overlap population (ATO) is defined by the score, and this estimator fits none.",
            "",
            "Use estimator ipw or aipw for ATO, or another estimand.",
        )
    if estimand == "ate":
        return np.ones_like(treated)
    return treated if estimand == "att" else 1 - treated


def fit_regression(problem: Problem, estimand: Estimand) -> Fit:
    """Point estimate, influence values and implied weights."""
    target = target_rows(problem.treated, estimand)
    rows = problem.sampling
    design, y, treated = problem.outcome_design, problem.outcome, problem.treated
    effect = regression_effect(y, treated, design, target, rows)
    if effect.rank < design.shape[1]:
        raise DesignError(
            f"Within one arm the covariates span only {effect.rank} of {design.shape[1]} "
            "dimensions.",
            "That arm can't say how the outcome moves with the others, so its predictions for the "
            "other arm would be made up.",
            "Leave out covariates that don't vary in both arms.",
        )

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

    def respecify(rich: np.ndarray) -> tuple[float, np.ndarray] | None:
        moved = regression_effect(y, treated, rich, target, rows)
        if moved.rank < rich.shape[1]:
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
            "negative_weights": int((effect.weights < -1e-12).sum()),
        },
    )
