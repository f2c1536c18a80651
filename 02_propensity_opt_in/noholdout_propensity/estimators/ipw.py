"""Normalised inverse-probability weighting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from noholdout_shared.input import Missing, check_choice, resolve_replicates
from scipy import special

from noholdout_propensity.estimators.common import (
    ESTIMANDS,
    Fit,
    Score,
    assemble,
    fitted_score,
    no_chance,
    separated_fit,
)
from noholdout_propensity.inference import DEFAULT_REPLICATES, Inference
from noholdout_propensity.kernels.score import ScoreFit, fit_score, refit_logit
from noholdout_propensity.kernels.weighting import (
    Estimand,
    hajek_effect,
    own_weights,
    tilting,
    unbounded,
    weighted_difference,
)
from noholdout_propensity.problem import Options, Problem, prepare
from noholdout_propensity.result import PropensityEstimate


def ipw(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "ate",
    score: Score = "logit",
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
    """Reweight adopters and the others until both look like the target population.

    Assumes no hidden confounder, overlap, and a right score model. Weights are normalised to one
    in each arm (Hajek), so that a few extreme scores can't blow up the scale; nothing is clipped.
    The standard error accounts for the estimated score (Lunceford and Davidian 2004, section 3).

    Parameters
    ----------
    data
        Frame, table or path, one row a user.
    outcome, treatment, covariates
        Columns; the treatment is 0/1.
    estimand
        ``ate``, ``att``, ``atc``, or ``ato``: the overlap weights of Li, Morgan and Zaslavsky
        (2018), bounded and exact in mean balance with a logit.
    score
        ``logit`` (unpenalised) or ``probit``.
    cluster, weights
        Columns of the groups whose rows move together, and of sampling weights.
    inference
        ``analytic`` (influence values) or ``bootstrap`` (rows or clusters resampled).

    Raises
    ------
    DataError, DesignError, ConvergenceError
        Unreadable data; an empty arm or no varying covariate; a score without solution.
    """
    check_choice("estimand", estimand, tuple(ESTIMANDS))
    check_choice("score", score, ("logit", "probit"))
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
    fit = fit_ipw(problem, fitted_score(problem, score), estimand, score)
    return assemble(
        problem,
        fit,
        estimand,
        inference=inference,
        replicates=draws,
        seed=seed,
        jobs=jobs,
        margin=margin,
    )


def fit_ipw(
    problem: Problem,
    score_fit: ScoreFit,
    estimand: Estimand,
    link: Score,
    kept: np.ndarray | None = None,
    said: Mapping[str, Any] | None = None,
) -> Fit:
    """Point estimate, influence values and bootstrap replicate of the weighted difference."""
    if score_fit.separated:
        return separated_fit("ipw", problem, score_fit)
    endless = no_chance(problem, score_fit.score, estimand, kept)
    if endless:
        return separated_fit("ipw", problem, score_fit, endless)
    sampling, treated, y = problem.sampling, problem.treated, problem.outcome
    rows = sampling if kept is None else sampling * kept
    effect = hajek_effect(
        y,
        treated,
        problem.score_design,
        score_fit,
        estimand,
        likelihood_weights=sampling,
        rows=rows,
    )
    tilt = tilting(score_fit.score, score_fit.slope, treated, estimand)

    def replicate(counts: np.ndarray) -> float | None:
        likelihood = counts * sampling
        if not (likelihood @ treated > 0 and likelihood @ (1 - treated) > 0):
            return None
        coefficients = refit(problem, score_fit, likelihood, link)
        if coefficients is None:
            return None
        index = problem.score_design @ coefficients
        resampled = special.expit(index) if link == "logit" else special.ndtr(index)
        if unbounded(resampled, estimand).any():
            return None
        tilted = tilting(resampled, np.zeros_like(resampled), treated, estimand)
        return weighted_difference(y, treated, own_weights(tilted, treated, counts * rows))[0]

    def respecify(design: np.ndarray) -> tuple[float, np.ndarray] | None:
        return moved_ipw(problem, design, score_fit, estimand, link, rows)

    return Fit(
        estimator="ipw",
        title="normalised IPW",
        estimate=effect.estimate,
        weights=own_weights(tilt, treated, rows),
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=score_fit.score,
        kept=kept,
        influence=effect.influence,
        source=f"influence values with the estimated {link} score",
        replicate=replicate,
        respecify=respecify,
        settings={
            "score": link,
            "newton_steps": score_fit.steps,
            "weights_normalised": True,
            **(said or {}),
        },
    )


def refit(problem: Problem, near: ScoreFit, weights: np.ndarray, link: Score) -> np.ndarray | None:
    """The score's coefficients on resampled rows, warm-started from the full sample's."""
    if link == "logit":
        return refit_logit(
            problem.score_design, problem.treated, weights, near.coefficients, near.score
        )
    fit = fit_score(
        problem.score_design, problem.treated, weights=weights, link=link, start=near.coefficients
    )
    return fit.coefficients if fit.converged else None


def moved_ipw(
    problem: Problem,
    design: np.ndarray,
    base: ScoreFit,
    estimand: Estimand,
    link: Score,
    rows: np.ndarray,
) -> tuple[float, np.ndarray] | None:
    """How far the weighted difference moves under a richer score, with influence values."""
    start = np.zeros(design.shape[1])
    start[: base.coefficients.size] = base.coefficients
    rich = fit_score(design, problem.treated, weights=problem.sampling, link=link, start=start)
    if not rich.converged or unbounded(rich.score, estimand).any():
        return None
    effects = [
        hajek_effect(
            problem.outcome,
            problem.treated,
            x,
            fit,
            estimand,
            likelihood_weights=problem.sampling,
            rows=rows,
        )
        for x, fit in ((problem.score_design, base), (design, rich))
    ]
    return effects[1].estimate - effects[0].estimate, effects[1].influence - effects[0].influence
