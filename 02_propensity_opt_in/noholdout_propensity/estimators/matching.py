"""Matching: on the score or on all covariates, with or without replacement."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np
from noholdout_shared.arguments import check_choice, check_whole
from noholdout_shared.errors import DataError, DesignError

from noholdout_propensity.assemble import answered
from noholdout_propensity.estimators.common import Fit, Score, fitted_score, without_answer
from noholdout_propensity.estimators.ipw import moved_ipw
from noholdout_propensity.kernels.matching import (
    VARIANCE_NEIGHBOURS,
    MatchedEffect,
    local_means,
    matched_effect,
    matching_influence,
    own_variance,
    score_derivatives,
)
from noholdout_propensity.kernels.neighbours import (
    Matches,
    in_space,
    local_mean,
    local_variance,
    on_score,
    taken_in_space,
    taken_on_score,
)
from noholdout_propensity.kernels.richer import Richer
from noholdout_propensity.kernels.score import ScoreFit
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.options import Common, Options
from noholdout_propensity.problem import Problem
from noholdout_propensity.result import PropensityEstimate

Distance = Literal["score", "mahalanobis"]
TARGETS = {"ate": (True, True), "att": (True, False), "atc": (False, True)}
EXACT = 1e-16  # of the outcome's variance
MOST_NEIGHBOURS = 20  # behind a local mean in several dimensions


@dataclass(frozen=True)
class MatchOptions:
    """How matches are found."""

    distance: Distance = "score"
    ratio: int = 1
    caliper: float | None = None
    replace: bool = True


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
    **common: Unpack[Common],
) -> PropensityEstimate:
    """Compare each target user with those of the other arm who are nearest.

    Assumes no hidden confounder and overlap; on the score also a right score model. The standard
    error is Abadie and Imbens' (2006), on the score with replacement corrected for its estimation
    (2016); with clusters, the parts of their decomposition summed within clusters. A bootstrap is
    invalid for matching (Abadie and Imbens 2008) and isn't offered.

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
    data, outcome, treatment, covariates, estimand, score, common
        As in :func:`ipw`, without ``ato``, sampling weights and bootstrap.
    """
    check_choice("score", score, ("logit", "probit"))
    options = Options(
        data, outcome, treatment, covariates, estimand, exact=tuple(exact or ()), **common
    )
    refuse_unmatched_options(options)
    how = MatchOptions(distance, ratio, caliper, replace)
    return answered(options, lambda problem: fit_matching(problem, score, how))


def refuse_unmatched_options(options: Options) -> None:
    """Raise for what has no valid inference with matching."""
    if options.inference == "bootstrap":
        raise DesignError(
            "The bootstrap is invalid for nearest-neighbour matching.",
            "Resampling doesn't reproduce how often a row is used as a match, so its standard "
            "error is wrong even in large samples (Abadie and Imbens 2008).",
            "Use --inference analytic: the Abadie-Imbens standard error.",
        )
    if options.weights is not None:
        raise DesignError(
            "Matching doesn't take sampling weights.",
            "A match stands for one row, not for the rows that it represents.",
            "Use estimator aipw or ipw with --weights.",
        )


def fit_matching(problem: Problem, link: Score, how: MatchOptions) -> Fit:
    """Point estimate and Abadie-Imbens standard error."""
    _check(how, problem.estimand)
    score_fit = fitted_score(problem, link)
    silent = without_answer("matching", problem, score_fit)
    if silent is not None:
        return silent
    matched = _on_score if how.distance == "score" else _in_space
    result = matched(problem, score_fit, how)
    effect = result.effect
    if not effect.used.any():
        raise DesignError(
            "No row has a match within the caliper and the exact strata.",
            "There is nobody to compare with.",
            "Widen the caliper or match exactly on fewer columns.",
        )

    def respecify(richer: Richer) -> tuple[float, np.ndarray] | None:
        return moved_ipw(problem, richer, score_fit, link, problem.sampling)

    kept, matched_rows = None, int(effect.used.sum())
    said: dict[str, Any] = {}
    if effect.unmatched:
        said["covers"] = (
            f"the {matched_rows:,} of {matched_rows + effect.unmatched:,} target rows with a match"
            f"; says nothing about the other {effect.unmatched:,}"
        )
        targets = np.where(problem.treated == 1, *TARGETS[problem.estimand]).astype(bool)
        kept = ~(targets & ~effect.used & (effect.weights == 0))
    return Fit(
        estimator="matching",
        title="matching on " + ("the score" if how.distance == "score" else "Mahalanobis distance"),
        estimate=effect.estimate,
        weights=effect.weights,
        mean_treated=effect.mean_treated,
        mean_control=effect.mean_control,
        score=score_fit.score,
        kept=kept,
        influence=result.influence,
        std_error=effect.std_error,
        source="Abadie-Imbens, "
        + ("matches known" if result.known else "with the estimated score")
        + (", matches with replacement" if how.replace else ", without replacement"),
        respecify=respecify,
        pairs=effect.pairs if how.ratio == 1 else None,
        settings={
            "score": link,
            "distance": how.distance,
            "ratio": how.ratio,
            "caliper": how.caliper,
            "replace": how.replace,
            "exact": list(problem.options.exact),
            "matched": matched_rows,
            "unmatched": effect.unmatched,
            "ties": "averaged" if how.replace else "to the earlier row",
            **said,
        },
    )


def _check(how: MatchOptions, estimand: str) -> None:
    check_choice("distance", how.distance, ("score", "mahalanobis"))
    if estimand == "ato":
        raise DesignError(
            "Matching has no overlap population (ATO).", "", "Use estimator ipw or aipw for ATO."
        )
    check_choice("replace", how.replace, (True, False))
    check_whole("ratio", how.ratio)
    if how.ratio < 1:
        raise DataError(f"ratio is {how.ratio}.", "", "Use 1 match or more for each row.")
    caliper = how.caliper
    if caliper is not None and not (isinstance(caliper, numbers.Real) and caliper > 0):
        raise DataError(f"caliper is {caliper!r}.", "", "Use a positive number of SDs.")
    if not how.replace and estimand == "ate":
        raise DesignError(
            "Matching without replacement can't cover everyone (ATE).",
            "Each row serves once, so the larger arm can't be matched to the smaller.",
            "Use --estimand att or atc, or match with replacement.",
        )


@dataclass(frozen=True)
class _Matched:
    """The effect, influence values where there are clusters, and whether distances are known."""

    effect: MatchedEffect
    influence: np.ndarray | None
    known: bool


def _on_score(problem: Problem, score_fit: ScoreFit, how: MatchOptions) -> _Matched:
    """Matches on the score, rows sorted by it: then every search runs along the memory.

    Without replacement rows keep their order, since ties go to the earlier one.
    """
    order = np.argsort(score_fit.score) if how.replace else np.arange(problem.n)
    order = order.astype(np.int32 if problem.n < 2**31 else np.int64)
    score, treated = score_fit.score[order], problem.treated[order].astype(np.int8)
    # Centred, so that sums of squares keep their digits.
    centre = float(problem.outcome.mean())
    y = problem.outcome[order] - centre
    strata = None if problem.strata is None else problem.strata[order]
    width = None if how.caliper is None else how.caliper * float(score.std(ddof=1))
    match = on_score if how.replace else taken_on_score

    def matcher(own: np.ndarray, other: np.ndarray) -> Matches:
        return match(score[own], score[other], y[other], how.ratio, width)

    targets = TARGETS[problem.estimand]
    variance = own_variance(y, treated, score)
    effect = matched_effect(y, treated, targets, matcher, variance, strata)
    del variance
    known = not how.replace or strata is not None
    influence = None
    if problem.clustered:
        means = local_means(y, treated, score, _neighbours(treated))
        influence = matching_influence(y, treated, effect, means)
    if not known and effect.used.any():
        design = problem.score_design
        bread = score_fit.bread
        c, d = score_derivatives(
            y, treated, targets, effect.used, effect.estimate, score_fit, design, order
        )
        added = float(d @ bread @ d - c @ bread @ c)
        squared = effect.std_error**2 + added
        # Below, it is the rounding of squares.
        error = math.sqrt(squared) if squared > EXACT * float(y.var()) else 0.0
        effect = dataclasses.replace(effect, std_error=error)
        if influence is not None:
            along = score_fit.residuals() * (design @ (bread @ (c - d)))
            influence -= y.size * along[order]
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    effect = dataclasses.replace(
        effect,
        weights=effect.weights[back],
        used=effect.used[back],
        pairs=None if effect.pairs is None else order[effect.pairs],
    )
    return _Matched(_shifted(effect, centre), None if influence is None else influence[back], known)


def _in_space(problem: Problem, score_fit: ScoreFit, how: MatchOptions) -> _Matched:
    """Matches on Mahalanobis distance, taken as known."""
    treated, score = problem.treated, score_fit.score
    points = whitened(problem.score_design[:][:, 1:], treated)
    centre = float(problem.outcome.mean())
    y = problem.outcome - centre
    arms = (np.flatnonzero(treated == 1), np.flatnonzero(treated == 0))
    variance = np.zeros(problem.n)
    for arm in arms:
        variance[arm] = local_variance(points[arm], y[arm], VARIANCE_NEIGHBOURS)

    def matcher(own: np.ndarray, other: np.ndarray) -> Matches:
        if how.replace:
            return in_space(points[own], points[other], y[other], how.ratio, how.caliper)
        return taken_in_space(
            points[own], points[other], y[other], how.ratio, how.caliper, priority=score[own]
        )

    effect = matched_effect(
        y, treated, TARGETS[problem.estimand], matcher, variance, problem.strata
    )
    influence = None
    if problem.clustered:
        count = min(_neighbours(treated), MOST_NEIGHBOURS)
        inside, outside = (local_mean(points, points[arm], y[arm], count) for arm in arms)
        influence = matching_influence(y, treated, effect, (inside, outside))
    return _Matched(_shifted(effect, centre), influence, True)


def _neighbours(treated: np.ndarray) -> int:
    """Rows behind a local mean: the square root of the smaller arm's."""
    return max(2, math.isqrt(int(min(treated.sum(), (1 - treated).sum()))))


def _shifted(effect: MatchedEffect, centre: float) -> MatchedEffect:
    return dataclasses.replace(
        effect,
        mean_treated=effect.mean_treated + centre,
        mean_control=effect.mean_control + centre,
    )


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
