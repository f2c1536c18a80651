"""Doubly robust estimation: augmented inverse-probability weighting, cross-fitted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Unpack

import numpy as np
from noholdout_shared.arguments import check_choice, check_whole
from noholdout_shared.errors import DataError, DesignError

from noholdout_propensity.assemble import answered
from noholdout_propensity.estimators.common import (
    Fit,
    Score,
    fitted_score,
    found_score,
    no_chance,
    separated_fit,
    without_answer,
    without_fold,
)
from noholdout_propensity.estimators.linear_models import LinearModels
from noholdout_propensity.estimators.models import check_models, cross_fit_models
from noholdout_propensity.estimators.regression import OutcomeFit
from noholdout_propensity.estimators.weighted_aipw import fit_weighted_aipw
from noholdout_propensity.kernels.doubly_robust import augmented_effect
from noholdout_propensity.kernels.nuisance import assign_folds, clipped_nuisance
from noholdout_propensity.kernels.weighting import Estimand, clipped, own_weights
from noholdout_propensity.options import Common, Options
from noholdout_propensity.problem import Problem
from noholdout_propensity.result import PropensityEstimate
from noholdout_propensity.trimming import Trim, clipping, trimmed

DEFAULT_FOLDS = 5
SURE_MODELS = (
    "A model that is sure of single rows, such as deep trees, may be the reason: ask it for larger "
    "leaves, calibrate it, or trim (trim='crump')."
)

Augmentation = Literal["plain", "normalised"]


def aipw(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "ate",
    outcome_covariates: Sequence[str] | None = None,
    outcome_fit: OutcomeFit = "plain",
    outcome_model: Any = None,
    augmentation: Augmentation = "plain",
    score: Any = "logit",
    folds: int | None = None,
    trim: Trim | None = None,
    trim_at: float | None = None,
    clip: float | None = None,
    **common: Unpack[Common],
) -> PropensityEstimate:
    """Weighting and regression together: right when either the score or the outcome model is.

    Assumes no hidden confounder and overlap. The moment is Robins, Rotnitzky and Zhao's (1994),
    cross-fitted as in Chernozhukov et al. (2018, definition 3.2, DML2). The standard error adds
    what estimating both models contributes, so that it holds with one model wrong; cross-fitted,
    residuals are scaled by their leverage, which keeps it right with few effective rows.

    Parameters
    ----------
    outcome_covariates
        Covariates of the outcome models when they differ from the score's.
    outcome_fit
        ``weighted`` fits the outcome models by the weights that suit them best when they are
        wrong (Cao, Tsiatis and Davidian 2009); for ``ate`` with ``folds=1``.
    outcome_model
        Linear per arm, or any scikit-learn regressor (a classifier for a 0/1 outcome). With a
        model of either kind the standard error is that of known models, which cross-fitting
        allows when both learn fast enough (Chernozhukov et al. 2018, theorem 5.1).
    augmentation
        ``normalised`` divides the weighted residuals by their weights' sum, so that a heavy row
        can't blow up the scale.
    score
        ``logit``, ``probit``, or any scikit-learn classifier with ``predict_proba``.
    folds
        Each row is predicted by models of the other folds; 5 by default, 1 for none.
    data, outcome, treatment, covariates, estimand, trim, trim_at, clip, common
        As in :func:`ipw`. With clusters, whole clusters share a fold.

    Raises
    ------
    DataError, DesignError, ConvergenceError
        As :func:`ipw`.
    """
    check_models(score, outcome_model)
    check_choice("outcome_fit", outcome_fit, ("plain", "weighted"))
    check_choice("augmentation", augmentation, ("plain", "normalised"))
    options = Options(data, outcome, treatment, covariates, estimand, outcome_covariates, **common)
    count = resolve_folds(folds)
    if isinstance(score, str) and outcome_model is None:
        check_choice("score", score, ("logit", "probit"))
        link: Score = "probit" if score == "probit" else "logit"
        return answered(
            options,
            lambda problem: fit_aipw(
                problem, link, count, trim, trim_at, outcome_fit, augmentation, clip
            ),
        )
    if isinstance(score, str):
        check_choice("score", score, ("logit",))
    refuse_with_models(options, count, outcome_fit, augmentation)
    return answered(
        options,
        lambda problem: fit_aipw_models(problem, score, outcome_model, count, trim, trim_at, clip),
    )


def refuse_with_models(
    options: Options,
    folds: int,
    outcome_fit: OutcomeFit,
    augmentation: Augmentation,
) -> None:
    """Raise for what isn't written for models of the user's own."""
    check_choice("inference", options.inference, ("analytic",))
    if folds == 1:
        raise DataError(
            "folds=1 was asked with a model of your own.",
            "A flexible model that predicts its own training rows makes intervals too narrow.",
            "Use 2 folds or more.",
        )
    for name, given in (
        ("denominator", options.denominator is not None),
        ("outcome_fit='weighted'", outcome_fit != "plain"),
        ("augmentation='normalised'", augmentation != "plain"),
    ):
        if given:
            raise DataError(
                f"{name} was given with a model of your own.",
                "It is written for the logit score and linear outcome models.",
                "Leave it out, or leave the models out.",
            )


def resolve_folds(folds: int | None) -> int:
    """The number of cross-fitting folds."""
    check_whole("folds", folds)
    if folds is None:
        return DEFAULT_FOLDS
    if folds < 1:
        raise DataError(f"folds is {folds}.", "", "Use 2 or more, or 1 for no cross-fitting.")
    return folds


def fit_aipw(
    problem: Problem,
    link: Score = "logit",
    folds: int = DEFAULT_FOLDS,
    trim: Trim | None = None,
    trim_at: float | None = None,
    outcome_fit: OutcomeFit = "plain",
    augmentation: Augmentation = "plain",
    clip: float | None = None,
) -> Fit:
    """Point estimate, influence values and bootstrap replicate of AIPW."""
    score_fit = fitted_score(problem, link)
    kept, said = trimmed(problem, found_score(score_fit), trim, trim_at)
    said |= clipping(problem, found_score(score_fit), clip, trim)
    silent = without_answer("aipw", problem, score_fit, kept, clip)
    if silent is not None:
        return silent
    if outcome_fit == "weighted":
        if augmentation != "plain":
            raise DesignError(
                "augmentation='normalised' was asked with outcome_fit='weighted'.",
                "The two aren't written for each other.",
                "Use one of them.",
            )
        if clip is not None:
            raise DesignError(
                f"clip={clip} was asked with outcome_fit='weighted'.",
                "Its equations are written for the scores as they are.",
                "Leave one of the two out.",
            )
        return fit_weighted_aipw(problem, score_fit, link, folds, trim)
    if problem.copies is not None and not problem.clustered and folds > 1:
        folds, said = 1, {**said, "cross_fitting": "none: the engine's sums can't be split by row"}
    fold = None if folds == 1 else _folds(problem, folds)
    if fold is not None and link == "probit":
        raise DataError(
            "Cross-fitting is written for the logit score.",
            "",
            "Use score='logit', or folds=1 with the probit.",
        )
    rows = problem.sampling if kept is None else problem.sampling * kept
    models = LinearModels(problem, link, fold, rows, augmentation == "normalised", score_fit, clip)
    nuisance = models.predictions()
    if nuisance is None:
        text = without_fold(problem, folds)
        return separated_fit("aipw", problem, score_fit, text)
    said |= clipping(problem, nuisance.score, clip, trim)  # out of fold: those that count
    endless = no_chance(problem, nuisance.score, problem.estimand, kept)
    if endless:
        return separated_fit("aipw", problem, score_fit, endless)
    effect = models.effect(nuisance)
    fitted = "no cross-fitting" if fold is None else f"{folds} folds"
    return Fit(
        estimator="aipw",
        title="AIPW" if fold is None else "cross-fitted AIPW",
        estimate=effect.estimate,
        # Balance and overlap are shown by the score of all rows: out of fold they'd carry the
        # folds' noise, which the outcome model has already taken out of the estimate.
        weights=own_weights(
            clipped(score_fit.score, clip), problem.treated, problem.estimand, rows
        ),
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=score_fit.score,
        kept=kept,
        influence=effect.influence,
        source=f"influence values with both estimated models, {fitted}",
        replicate=models.replicate,
        respecify=models.moved_by,
        adjusts_outcome=True,
        settings={
            "score": link,
            "outcome_model": "linear per arm",
            "folds": folds,
            "augmentation": augmentation,
            **said,
        },
    )


def fit_aipw_models(
    problem: Problem,
    score: Any,
    outcome_model: Any,
    folds: int,
    trim: Trim | None = None,
    trim_at: float | None = None,
    clip: float | None = None,
) -> Fit:
    """AIPW on the user's own models: cross-fitted, with the influence values of known models."""
    nuisance = cross_fit_models(problem, score, outcome_model, _folds(problem, folds))
    shown = fitted_score(problem, "logit")
    if nuisance is None:
        text = without_fold(problem, folds)
        return separated_fit("aipw", problem, shown, text)
    kept, said = trimmed(problem, nuisance.score, trim, trim_at)
    said |= clipping(problem, nuisance.score, clip, trim)
    unclipped, nuisance = nuisance.score, clipped_nuisance(nuisance, clip)
    endless = no_chance(problem, nuisance.score, problem.estimand, kept)
    if endless:
        return separated_fit("aipw", problem, shown, f"{endless} {SURE_MODELS}")
    rows = problem.sampling
    used = nuisance
    if kept is not None:
        rows = rows * kept
        # A trimmed row has no weight; its score must only not divide by zero.
        used = dataclasses.replace(nuisance, score=np.where(kept, nuisance.score, 0.5))
    found = augmented_effect(problem.outcome, problem.treated, used, problem.estimand, rows)
    effect = found.effect
    names = [
        item if isinstance(item, str) else type(item).__name__
        for item in (score, outcome_model or "linear per arm")
    ]
    return Fit(
        estimator="aipw",
        title="cross-fitted AIPW",
        estimate=effect.estimate,
        weights=own_weights(used.score, problem.treated, problem.estimand, rows),
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=unclipped,
        kept=kept,
        influence=effect.influence,
        source=f"influence values of known models, {folds} folds",
        adjusts_outcome=True,
        settings={"score": names[0], "outcome_model": names[1], "folds": folds, **said},
    )


def _folds(problem: Problem, folds: int) -> np.ndarray:
    units = problem.n_clusters
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
    return assign_folds(problem.treated, folds, problem.options.seed, problem.cluster_codes)
