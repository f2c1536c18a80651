"""Normalised inverse-probability weighting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
from noholdout_shared.arguments import check_choice
from scipy import special

from noholdout_propensity.assemble import answered
from noholdout_propensity.estimators.common import (
    Fit,
    Score,
    fitted_score,
    found_score,
    richer_score,
    without_answer,
)
from noholdout_propensity.kernels.designs import Design
from noholdout_propensity.kernels.richer import Richer
from noholdout_propensity.kernels.score import ScoreFit, fit_score, logistic, refit_logit
from noholdout_propensity.kernels.weighting import (
    Effect,
    Estimand,
    clipped,
    hajek_effect,
    own_weights,
    unbounded,
    weighted_difference,
)
from noholdout_propensity.options import Common, Options
from noholdout_propensity.problem import Problem
from noholdout_propensity.result import PropensityEstimate
from noholdout_propensity.trimming import Trim, clipping, trimmed


def ipw(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "ate",
    score: Score = "logit",
    trim: Trim | None = None,
    trim_at: float | None = None,
    clip: float | None = None,
    **common: Unpack[Common],
) -> PropensityEstimate:
    """Reweight adopters and the others until both look like the target population.

    Assumes no hidden confounder, overlap, and a right score model. Weights are normalised to one
    in each arm (Hajek), so that a few extreme scores can't blow up the scale; nothing is clipped
    unless asked.
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
    trim, trim_at, clip
        As in :func:`estimate`.
    common
        ``denominator``, ``cluster``, ``weights``, ``inference``, ``replicates``, ``missing``,
        ``conf_level``, ``margin``, ``seed``, ``jobs``, as in :func:`estimate`.

    Raises
    ------
    DataError, DesignError, ConvergenceError
        Unreadable data; an empty arm or no varying covariate; a score without solution.
    """
    check_choice("score", score, ("logit", "probit"))
    options = Options(data, outcome, treatment, covariates, estimand, **common)
    return answered(options, lambda problem: fit_ipw(problem, score, trim, trim_at, clip))


def fit_ipw(
    problem: Problem,
    link: Score = "logit",
    trim: Trim | None = None,
    trim_at: float | None = None,
    clip: float | None = None,
) -> Fit:
    """Point estimate, influence values and bootstrap replicate of the weighted difference."""
    score_fit = fitted_score(problem, link)
    kept, said = trimmed(problem, found_score(score_fit), trim, trim_at)
    said |= clipping(problem, found_score(score_fit), clip, trim)
    silent = without_answer("ipw", problem, score_fit, kept, clip)
    if silent is not None:
        return silent
    sampling, treated, y = problem.sampling, problem.treated, problem.outcome
    rows = sampling if kept is None else sampling * kept
    effect, weights = weighted_effect(problem, problem.score_design, score_fit, rows, clip)

    def replicate(counts: np.ndarray) -> float | None:
        likelihood = counts * sampling
        if not (likelihood @ treated > 0 and likelihood @ (1 - treated) > 0):
            return None
        coefficients = refit(problem, score_fit, likelihood, link)
        if coefficients is None:
            return None
        index = problem.score_design @ coefficients
        resampled = clipped(logistic(index) if link == "logit" else special.ndtr(index), clip)
        if unbounded(resampled, problem.estimand).any():
            return None
        drawn = own_weights(resampled, treated, problem.estimand, counts * rows)
        return weighted_difference(y, treated, drawn)[0]

    def respecify(richer: Richer) -> tuple[float, np.ndarray] | None:
        return moved_ipw(problem, richer, score_fit, link, rows, effect, clip)

    return Fit(
        estimator="ipw",
        title="normalised IPW",
        estimate=effect.estimate,
        weights=weights,
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
            **said,
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


def weighted_effect(
    problem: Problem,
    design: Design,
    score_fit: ScoreFit,
    rows: np.ndarray,
    clip: float | None = None,
) -> tuple[Effect, np.ndarray]:
    """The weighted difference under a score model on this design, and the rows' weights."""
    return hajek_effect(
        problem.outcome,
        problem.treated,
        design,
        score_fit,
        problem.estimand,
        likelihood_weights=problem.sampling,
        rows=rows,
        clip=clip,
    )


def moved_ipw(
    problem: Problem,
    richer: Richer,
    base: ScoreFit,
    link: Score,
    rows: np.ndarray,
    effect: Effect | None = None,
    clip: float | None = None,
) -> tuple[float, np.ndarray] | None:
    """How far the weighted difference moves under a richer score, with influence values."""
    rich = richer_score(problem, richer, base, link)
    if rich is None:
        return None
    was = effect or weighted_effect(problem, problem.score_design, base, rows, clip)[0]
    now = weighted_effect(problem, richer.design, rich, rows, clip)[0]
    moved = now.influence
    moved -= was.influence
    return now.estimate - was.estimate, moved
