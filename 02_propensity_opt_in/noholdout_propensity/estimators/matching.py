"""Matching: on the score or on all covariates, with or without replacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.input import Missing, check_choice, codes

from noholdout_propensity.estimators.common import (
    ESTIMANDS,
    Fit,
    Score,
    assemble,
    fitted_score,
    no_chance,
    separated_fit,
)
from noholdout_propensity.estimators.ipw import moved_ipw
from noholdout_propensity.kernels.matching import (
    VARIANCE_NEIGHBOURS,
    MatchedEffect,
    Matcher,
    matched_effect,
    score_adjustment,
    score_local_variance,
)
from noholdout_propensity.kernels.neighbours import (
    Matches,
    in_space,
    local_variance,
    on_score,
    taken_in_space,
    taken_on_score,
)
from noholdout_propensity.kernels.score import ScoreFit
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.problem import Options, Problem, prepare
from noholdout_propensity.result import PropensityEstimate

Distance = Literal["score", "mahalanobis"]
TARGETS = {"ate": (True, True), "att": (True, False), "atc": (False, True)}


@dataclass(frozen=True)
class MatchOptions:
    """How matches are found; ``None`` is the default."""

    distance: Distance | None = None
    ratio: int | None = None
    caliper: float | None = None
    replace: bool | None = None
    exact: Sequence[str] | None = None


def matching(
    data: Any,
    *,
    outcome: str,
    treatment: str,
    covariates: Sequence[str],
    estimand: Estimand = "att",
    score: Score = "logit",
    distance: Distance = "score",
    ratio: int = 1,
    caliper: float | None = None,
    replace: bool = True,
    exact: Sequence[str] | None = None,
    missing: Missing = "refuse",
    conf_level: float = 0.95,
    margin: float | None = None,
) -> PropensityEstimate:
    """Compare each target user with those of the other arm who are nearest.

    Assumes no hidden confounder and overlap; on the score also a right score model. The standard
    error is Abadie and Imbens' (2006), on the score with replacement corrected for its estimation
    (2016). A bootstrap is invalid for matching (Abadie and Imbens 2008) and isn't offered.

    Parameters
    ----------
    distance
        ``score``, or ``mahalanobis`` on all covariates, whitened by their covariance within the
        arms. With several continuous covariates the latter is biased in small samples.
    ratio
        Matches a row. With replacement every row tied with the last match is used too.
    caliper
        Largest distance of a match: in standard deviations of the score, or in Mahalanobis
        units. Target rows without a match are left out, counted, and named in the estimand.
    replace
        Without replacement (ATT and ATC only) the highest score chooses first, the nearest free
        row; ties go to the earlier row of the data.
    exact
        Columns in which a match must be equal.
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
            extra_columns=tuple(exact or ()),
        )
    )
    how = MatchOptions(distance, ratio, caliper, replace, exact)
    fit = fit_matching(problem, fitted_score(problem, score), estimand, score, how)
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
    how: MatchOptions,
) -> Fit:
    """Point estimate and Abadie-Imbens standard error."""
    if estimand == "ato":
        raise DesignError(
            "Matching has no overlap population (ATO).", "", "Use estimator ipw or aipw for ATO."
        )
    distance = how.distance or "score"
    ratio = 1 if how.ratio is None else how.ratio
    replace = True if how.replace is None else how.replace
    _check(how, distance, ratio, replace, estimand)
    if score_fit.separated:
        return separated_fit("matching", problem, score_fit)
    endless = no_chance(problem, score_fit.score, estimand, None)
    if endless:
        return separated_fit("matching", problem, score_fit, endless)
    strata = None
    if how.exact:
        joined = [codes(problem.frame, column)[0] for column in how.exact]
        strata = np.unique(np.column_stack(joined), axis=0, return_inverse=True)[1].ravel()
    effect, known = _matched(problem, score_fit, estimand, distance, ratio, replace, how, strata)
    if not effect.used.any():
        raise DesignError(
            "No row has a match within the caliper and the exact strata.",
            "There is nobody to compare with.",
            "Widen the caliper or match exactly on fewer columns.",
        )

    def respecify(design: np.ndarray) -> tuple[float, np.ndarray] | None:
        return moved_ipw(problem, design, score_fit, estimand, link, problem.sampling)

    kept = None
    if effect.unmatched:
        targets = np.where(problem.treated == 1, *TARGETS[estimand]).astype(bool)
        kept = ~(targets & ~effect.used & (effect.weights == 0))
    return Fit(
        estimator="matching",
        title="matching on " + ("the score" if distance == "score" else "Mahalanobis distance"),
        estimate=effect.estimate,
        weights=effect.weights,
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=score_fit.score,
        kept=kept,
        std_error=effect.std_error,
        source="Abadie-Imbens, "
        + ("matches known" if known else "with the estimated score")
        + (", matches with replacement" if replace else ", without replacement"),
        respecify=respecify,
        pairs=effect.pairs if ratio == 1 else None,
        settings={
            "score": link,
            "distance": distance,
            "ratio": ratio,
            "caliper": how.caliper,
            "replace": replace,
            "exact": list(how.exact or ()),
            "matched": int(effect.used.sum()),
            "unmatched": effect.unmatched,
            "ties": "averaged" if replace else "to the earlier row",
        },
    )


def _check(how: MatchOptions, distance: str, ratio: int, replace: bool, estimand: str) -> None:
    check_choice("distance", distance, ("score", "mahalanobis"))
    if ratio < 1:
        raise DataError(f"ratio is {ratio}.", "", "Use 1 match or more for each row.")
    if how.caliper is not None and not how.caliper > 0:
        raise DataError(f"caliper is {how.caliper}.", "", "Use a positive number of SDs.")
    if not replace and estimand == "ate":
        raise DesignError(
            "Matching without replacement can't cover everyone (ATE).",
            "Each row serves once, so the larger arm can't be matched to the smaller.",
            "Use --estimand att or atc, or match with replacement.",
        )


def _matched(
    problem: Problem,
    score_fit: ScoreFit,
    estimand: Estimand,
    distance: Distance,
    ratio: int,
    replace: bool,
    how: MatchOptions,
    strata: np.ndarray | None,
) -> tuple[MatchedEffect, bool]:
    """The effect, and whether its error takes the distances as known."""
    treated, score = problem.treated, score_fit.score
    # Centred, so that sums of squares keep their digits.
    y = problem.outcome - problem.outcome.mean()
    if distance == "score":
        width = None if how.caliper is None else how.caliper * float(score.std(ddof=1))
        variance = score_local_variance(y, treated, score, VARIANCE_NEIGHBOURS)
        matcher = _score_matcher(score, y, ratio, width, replace)
    else:
        points = whitened(problem.score_design[:, 1:], treated)
        variance = np.zeros(problem.n)
        for arm in (treated == 1, treated == 0):
            variance[arm] = local_variance(points[arm], y[arm], VARIANCE_NEIGHBOURS)
        matcher = _space_matcher(points, score, y, ratio, how.caliper, replace)
    targets = TARGETS[estimand]
    effect = matched_effect(y, treated, targets, matcher, variance, strata)
    known = distance != "score" or not replace or strata is not None
    std_error = effect.std_error
    if not known and effect.used.any():
        added = score_adjustment(
            y,
            treated,
            score,
            targets,
            effect.used,
            effect.estimate,
            score_fit,
            problem.score_design,
        )
        std_error = float(np.sqrt(max(std_error**2 + added, 0.0)))
    centre = float(problem.outcome.mean())
    shifted = MatchedEffect(
        estimate=effect.estimate,
        std_error=std_error,
        mean_treated=effect.mean_treated + centre,
        mean_control=effect.mean_control + centre,
        weights=effect.weights,
        used=effect.used,
        unmatched=effect.unmatched,
        pairs=effect.pairs,
    )
    return shifted, known


def _score_matcher(
    score: np.ndarray, y: np.ndarray, ratio: int, width: float | None, replace: bool
) -> Matcher:
    match = on_score if replace else taken_on_score

    def matcher(own: np.ndarray, other: np.ndarray) -> Matches:
        return match(score[own], score[other], y[other], ratio, width)

    return matcher


def _space_matcher(
    points: np.ndarray,
    score: np.ndarray,
    y: np.ndarray,
    ratio: int,
    caliper: float | None,
    replace: bool,
) -> Matcher:
    def matcher(own: np.ndarray, other: np.ndarray) -> Matches:
        if replace:
            return in_space(points[own], points[other], y[other], ratio, caliper)
        return taken_in_space(
            points[own], points[other], y[other], ratio, caliper, priority=score[own]
        )

    return matcher


def whitened(values: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Columns rotated and scaled so that Euclidean distance is Mahalanobis distance.

    The covariance is that within the arms, pooled: the difference between the arms' means is what
    matching must remove, so it mustn't stretch the ruler.
    """
    centred = values.copy()
    for arm in (treated == 1, treated == 0):
        centred[arm] -= values[arm].mean(axis=0)
    covariance = centred.T @ centred / (values.shape[0] - 2)
    roots, vectors = np.linalg.eigh(covariance)
    scale = np.where(roots > 1e-10 * roots[-1], 1 / np.sqrt(np.maximum(roots, 1e-300)), 0.0)
    # Rounded, so that equal rows stay equal points after the rotation.
    return np.round(values @ (vectors * scale), 10)
