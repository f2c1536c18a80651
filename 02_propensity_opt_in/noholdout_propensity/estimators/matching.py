"""Nearest-neighbour matching on the score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import Missing, check_choice

from noholdout_propensity.estimators.common import (
    ESTIMANDS,
    Fit,
    Score,
    assemble,
    fitted_score,
    separated_fit,
)
from noholdout_propensity.estimators.ipw import moved_ipw
from noholdout_propensity.kernels.matching import match_on_score
from noholdout_propensity.kernels.score import ScoreFit
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.problem import Options, Problem, prepare
from noholdout_propensity.result import PropensityEstimate

TARGETS = {"ate": (True, True), "att": (True, False), "atc": (False, True)}


def matching(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "att",
    score: Score = "logit",
    ratio: int | None = None,
    caliper: float | None = None,
    missing: Missing = "refuse",
    conf_level: float = 0.95,
    seed: int = 0,
    margin: float | None = None,
) -> PropensityEstimate:
    """Compare each target user with those of the other arm whose score is nearest.

    Matches are drawn with replacement, ties averaged. Assumes no hidden confounder, overlap, and
    a right score model. The standard error is Abadie and Imbens' (2006), with the correction for
    the estimated score of Abadie and Imbens (2016). A bootstrap is invalid for matching (Abadie
    and Imbens 2008) and isn't offered.

    Parameters
    ----------
    ratio
        Matches a row; 1 by default. Every row tied with the last match is used too.
    caliper
        Largest distance of a match, in standard deviations of the score; target rows without a
        match are left out, counted, and named in the estimand.
    data, outcome, treatment, covariates, estimand, score
        As in :func:`ipw`, without ``ato``.
    """
    check_choice("estimand", estimand, tuple(ESTIMANDS))
    check_choice("score", score, ("logit", "probit"))
    problem = prepare(
        Options(
            data=data,
            outcome=outcome,
            treatment=treatment,
            covariates=covariates,
            missing=missing,
            conf_level=conf_level,
        )
    )
    fit = fit_matching(problem, fitted_score(problem, score), estimand, score, ratio, caliper)
    return assemble(problem, fit, estimand, margin=margin)


def refuse_unmatched_options(cluster: str | None, weights: str | None, inference: str) -> None:
    """Raise for what has no valid inference with matching."""
    if inference == "bootstrap":
        raise DesignError(
            "The bootstrap is invalid for nearest-neighbour matching.",
            "Resampling doesn't reproduce how often a row is used as a match, so its standard "
            "error is wrong even in large samples (Abadie and Imbens 2008).",
            "Use --inference analytic: the Abadie-Imbens standard error.",
        )
    if cluster is not None:
        raise DesignError(
            "The Abadie-Imbens standard error takes rows as independent; a cluster was named.",
            "Rows of one cluster move together, so it would be too small.",
            "Use estimator aipw or ipw with --cluster.",
        )
    if weights is not None:
        raise DesignError(
            "Matching doesn't take sampling weights.",
            "A match stands for one row, not for the rows that it represents.",
            "Use estimator aipw or ipw with --weights.",
        )


def fit_matching(
    problem: Problem,
    score_fit: ScoreFit,
    estimand: Estimand,
    link: Score,
    ratio: int | None = None,
    caliper: float | None = None,
) -> Fit:
    """Point estimate and Abadie-Imbens standard error."""
    if estimand == "ato":
        raise DesignError(
            "Matching has no overlap population (ATO).", "", "Use estimator ipw or aipw for ATO."
        )
    if score_fit.separated:
        return separated_fit("matching", problem, score_fit)
    neighbours = 1 if ratio is None else ratio
    if neighbours < 1:
        raise DataError(f"ratio is {ratio}.", "", "Use 1 match or more for each row.")
    width = None
    if caliper is not None:
        if not caliper > 0:
            raise DataError(f"caliper is {caliper}.", "", "Use a positive number of SDs.")
        width = caliper * float(score_fit.score.std(ddof=1))
    effect = match_on_score(
        problem.outcome,
        problem.treated,
        score_fit.score,
        TARGETS[estimand],
        neighbours,
        width,
        fit=score_fit,
        design=problem.score_design,
    )
    if effect.matched == 0:
        raise DesignError(
            f"No row has a match within the caliper of {caliper:g} SDs.",
            "There is nobody to compare with.",
            "Widen the caliper; if that doesn't help, the arms don't overlap.",
        )

    def respecify(design: np.ndarray) -> tuple[float, np.ndarray] | None:
        return moved_ipw(problem, design, score_fit, estimand, link, problem.sampling)

    return Fit(
        estimator="matching",
        title="nearest-neighbour matching",
        estimate=effect.estimate,
        weights=effect.weights,
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=score_fit.score,
        std_error=effect.std_error,
        source="Abadie-Imbens with the estimated score, matches with replacement",
        respecify=respecify,
        settings={
            "score": link,
            "ratio": neighbours,
            "caliper": caliper,
            "matched": effect.matched,
            "unmatched": effect.unmatched,
            "ties": "averaged",
        },
    )
