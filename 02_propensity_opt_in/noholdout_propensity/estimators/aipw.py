"""Doubly robust estimation: augmented inverse-probability weighting, cross-fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError
from noholdout_shared.input import Missing, check_choice, resolve_replicates

from noholdout_propensity.estimators.common import (
    ESTIMANDS,
    Fit,
    Score,
    assemble,
    fitted_score,
    no_chance,
    separated_fit,
)
from noholdout_propensity.estimators.ipw import refit
from noholdout_propensity.estimators.models import check_models, cross_fit_models
from noholdout_propensity.inference import DEFAULT_REPLICATES, Inference
from noholdout_propensity.kernels.doubly_robust import (
    Nuisance,
    assign_folds,
    augmented_effect,
    cross_fit_linear,
    full_sample_nuisance,
    nuisance_influence,
)
from noholdout_propensity.kernels.score import ScoreFit, fit_score, link_terms
from noholdout_propensity.kernels.weighting import Estimand, own_weights, tilting, unbounded
from noholdout_propensity.problem import Options, Problem, prepare
from noholdout_propensity.result import PropensityEstimate

DEFAULT_FOLDS = 5


def aipw(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    outcome_covariates: Sequence[str] | None = None,
    estimand: Estimand = "ate",
    score: Any = "logit",
    outcome_model: Any = None,
    folds: int | None = None,
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
    """Weighting and regression together: right when either the score or the outcome model is.

    Assumes no hidden confounder and overlap. The moment is Robins, Rotnitzky and Zhao's (1994),
    cross-fitted as in Chernozhukov et al. (2018, definition 3.2, DML2). The standard error adds
    what estimating both models contributes, so that it holds with one model wrong.

    Parameters
    ----------
    outcome_covariates
        Covariates of the outcome models when they differ from the score's.
    score
        ``logit``, ``probit``, or any scikit-learn classifier with ``predict_proba``.
    outcome_model
        Linear per arm, or any scikit-learn regressor (a classifier for a 0/1 outcome). With a
        model of either kind the standard error is that of known models, which cross-fitting
        allows when both learn fast enough (Chernozhukov et al. 2018, theorem 5.1).
    folds
        Each row is predicted by models of the other folds; 5 by default, 1 for none.
    data, outcome, treatment, covariates, estimand, cluster, weights, inference
        As in :func:`ipw`. With clusters, whole clusters share a fold.

    Raises
    ------
    DataError, DesignError, ConvergenceError
        As :func:`ipw`.
    """
    check_choice("estimand", estimand, tuple(ESTIMANDS))
    check_models(score, outcome_model)
    own = isinstance(score, str) and outcome_model is None
    if isinstance(score, str):
        check_choice("score", score, ("logit", "probit") if own else ("logit",))
    check_choice("inference", inference, ("analytic", "bootstrap") if own else ("analytic",))
    draws = resolve_replicates(replicates, inference, ("bootstrap",), DEFAULT_REPLICATES)
    problem = prepare(
        Options(
            data=data,
            outcome=outcome,
            treatment=treatment,
            covariates=covariates,
            outcome_covariates=outcome_covariates,
            cluster=cluster,
            weights=weights,
            missing=missing,
            conf_level=conf_level,
        )
    )
    count = resolve_folds(folds)
    if own:
        fit = fit_aipw(problem, fitted_score(problem, score), estimand, score, count, seed)
    else:
        fit = fit_aipw_models(problem, score, outcome_model, estimand, count, seed)
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


def resolve_folds(folds: int | None) -> int:
    """The number of folds; 1 means no cross-fitting."""
    if folds is None:
        return DEFAULT_FOLDS
    if folds < 1:
        raise DataError(f"folds is {folds}.", "", "Use 2 or more, or 1 for no cross-fitting.")
    return folds


def fit_aipw(
    problem: Problem,
    score_fit: ScoreFit,
    estimand: Estimand,
    link: Score,
    folds: int,
    seed: int,
    kept: np.ndarray | None = None,
    said: Mapping[str, Any] | None = None,
) -> Fit:
    """Point estimate, influence values and bootstrap replicate."""
    if score_fit.separated:
        return separated_fit("aipw", problem, score_fit)
    endless = no_chance(problem, score_fit.score, estimand, kept)
    if endless:
        return separated_fit("aipw", problem, score_fit, endless)
    y, treated, sampling = problem.outcome, problem.treated, problem.sampling
    rows = sampling if kept is None else sampling * kept
    fold = None if folds == 1 else _folds(problem, folds, seed)
    if fold is not None and link == "probit":
        raise DataError(
            "Cross-fitting is written for the logit score.",
            "",
            "Use score='logit', or folds=1 with the probit.",
        )
    nuisance = predict(problem, score_fit, fold, sampling, rows)
    if nuisance is None:
        text = f"Without one of the {folds} folds the covariates separate the arms."
        return separated_fit("aipw", problem, score_fit, text)
    endless = no_chance(problem, nuisance.score, estimand, kept)
    if endless:
        return separated_fit("aipw", problem, score_fit, endless)
    effect, tilt = augmented_effect(y, treated, nuisance, estimand, rows)
    added = nuisance_influence(
        y,
        treated,
        problem.score_design,
        problem.outcome_design,
        score_fit,
        nuisance,
        tilt,
        effect.estimate,
        likelihood_weights=sampling,
        rows=rows,
    )

    def replicate(counts: np.ndarray) -> float | None:
        likelihood = counts * sampling
        coefficients = refit(problem, score_fit, likelihood, link)
        if coefficients is None:
            return None
        near = refreshed(score_fit, problem, coefficients, link)
        redrawn = predict(problem, near, fold, likelihood, counts * rows)
        if redrawn is None or unbounded(redrawn.score, estimand).any():
            return None
        return augmented_effect(y, treated, redrawn, estimand, counts * rows)[0].estimate

    def respecify(design: np.ndarray) -> tuple[float, np.ndarray] | None:
        return moved_aipw(problem, design, score_fit, estimand, link, rows)

    # Balance and overlap are shown by the score of all rows: out of fold they'd carry the folds'
    # noise, which the outcome model has already taken out of the estimate.
    shown = tilting(score_fit.score, score_fit.slope, treated, estimand)
    fitted = "no cross-fitting" if fold is None else f"{folds} folds"
    return Fit(
        estimator="aipw",
        title="AIPW" if fold is None else "cross-fitted AIPW",
        estimate=effect.estimate,
        weights=own_weights(shown, treated, rows),
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=score_fit.score,
        kept=kept,
        influence=effect.influence + added,
        source=f"influence values with both estimated models, {fitted}",
        replicate=replicate,
        respecify=respecify,
        adjusts_outcome=True,
        settings={"score": link, "outcome_model": "linear per arm", "folds": folds, **(said or {})},
    )


def fit_aipw_models(
    problem: Problem, score: Any, outcome_model: Any, estimand: Estimand, folds: int, seed: int
) -> Fit:
    """AIPW on the user's own models: cross-fitted, with the influence values of known models."""
    if folds == 1:
        raise DataError(
            "folds=1 was asked with a model of your own.",
            "A flexible model that predicts its own training rows makes intervals too narrow.",
            "Use 2 folds or more.",
        )
    nuisance = cross_fit_models(problem, score, outcome_model, _folds(problem, folds, seed))
    shown = fitted_score(problem, "logit")
    if nuisance is None:
        text = f"Without one of the {folds} folds the covariates separate the arms."
        return separated_fit("aipw", problem, shown, text)
    endless = no_chance(problem, nuisance.score, estimand, None)
    if endless:
        return separated_fit("aipw", problem, shown, endless)
    effect, tilt = augmented_effect(
        problem.outcome, problem.treated, nuisance, estimand, problem.sampling
    )
    names = [
        item if isinstance(item, str) else type(item).__name__
        for item in (score, outcome_model or "linear per arm")
    ]
    return Fit(
        estimator="aipw",
        title="cross-fitted AIPW",
        estimate=effect.estimate,
        weights=own_weights(tilt, problem.treated, problem.sampling),
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=nuisance.score,
        influence=effect.influence,
        source=f"influence values of known models, {folds} folds",
        adjusts_outcome=True,
        settings={"score": names[0], "outcome_model": names[1], "folds": folds},
    )


def _folds(problem: Problem, folds: int, seed: int) -> np.ndarray:
    units = problem.n_clusters if problem.n_clusters is not None else None
    if units is not None and units < folds:
        raise DataError(
            f"{folds} folds were asked of {units} clusters.",
            "Clusters stay whole, so there can't be more folds than clusters.",
            f"Use folds={units} or fewer.",
        )
    smallest = int(min(problem.treated.sum(), (1 - problem.treated).sum()))
    if units is None and smallest < folds:
        raise DataError(
            f"{folds} folds were asked, but one arm has only {smallest} rows.",
            "Each fold needs rows of both arms.",
            "Use fewer folds, or folds=1.",
        )
    return assign_folds(problem.treated, folds, seed, problem.cluster_codes)


def predict(
    problem: Problem,
    score_fit: ScoreFit,
    fold: np.ndarray | None,
    likelihood_weights: np.ndarray,
    rows: np.ndarray,
) -> Nuisance | None:
    """Both models' predictions, out of fold when there are folds."""
    if fold is None:
        return full_sample_nuisance(
            problem.outcome, problem.treated, problem.outcome_design, score_fit, rows
        )
    return cross_fit_linear(
        problem.outcome,
        problem.treated,
        problem.score_design,
        problem.outcome_design,
        score_fit,
        fold,
        likelihood_weights=likelihood_weights,
        rows=rows,
    )


def refreshed(
    score_fit: ScoreFit, problem: Problem, coefficients: np.ndarray, link: Score
) -> ScoreFit:
    """A score fit moved to other coefficients, for warm starts within a resample."""
    index = problem.score_design @ coefficients
    score, slope, residual, _ = link_terms(index, problem.treated, link)
    return ScoreFit(coefficients, score, slope, residual, score_fit.bread, True, False, 0)


def moved_aipw(
    problem: Problem,
    design: np.ndarray,
    base: ScoreFit,
    estimand: Estimand,
    link: Score,
    rows: np.ndarray,
) -> tuple[float, np.ndarray] | None:
    """How far AIPW moves when both models get a richer design, with influence values.

    Both without cross-fitting, so that the folds' noise isn't taken for a difference.
    """
    start = np.zeros(design.shape[1])
    start[: base.coefficients.size] = base.coefficients
    rich = fit_score(design, problem.treated, weights=problem.sampling, link=link, start=start)
    if not rich.converged or unbounded(rich.score, estimand).any():
        return None
    y, treated = problem.outcome, problem.treated
    parts = []
    for x, z, fit in (
        (problem.score_design, problem.outcome_design, base),
        (design, design, rich),
    ):
        nuisance = full_sample_nuisance(y, treated, z, fit, rows)
        effect, tilt = augmented_effect(y, treated, nuisance, estimand, rows)
        added = nuisance_influence(
            y,
            treated,
            x,
            z,
            fit,
            nuisance,
            tilt,
            effect.estimate,
            likelihood_weights=problem.sampling,
            rows=rows,
        )
        parts.append((effect.estimate, effect.influence + added))
    return parts[1][0] - parts[0][0], parts[1][1] - parts[0][1]
