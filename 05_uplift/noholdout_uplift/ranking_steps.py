"""The steps before any table: options, scores of every row, headline and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.errors import DataError
from noholdout_shared.inference import Interval, interval
from noholdout_shared.input import Missing, check_choice, check_level, resolve_replicates

from noholdout_uplift.bootstrap import bootstrap_std_errors
from noholdout_uplift.estimators.choices import make_learner
from noholdout_uplift.folds import (
    assign_folds,
    cross_fitted_means,
    cross_fitted_propensity,
    sequential_scores,
)
from noholdout_uplift.inference import (
    Estimates,
    by_fold_membership,
    degrees_of_freedom,
    group_effects,
    metrics_by_fold,
    std_errors,
)
from noholdout_uplift.kernels.aipw import AipwScores, aipw_scores
from noholdout_uplift.preparation import Prepared
from noholdout_uplift.scored import Scored

DEFAULT_REPLICATES = 500


@dataclass(frozen=True, kw_only=True)
class Options:
    """The arguments of :func:`noholdout_uplift.estimate`, as they were given."""

    outcome: str
    treatment: str
    features: Sequence[str]
    learner: str
    model: Any
    propensity: float | str | None
    cluster: str | None
    weights: str | None
    cost: float | str | None
    budget: float | None
    current: str | None
    guardrails: Sequence[str]
    slices: Sequence[str]
    fraction: float
    folds: int
    inference: str
    replicates: int | None
    missing: Missing
    conf_level: float
    margin: float | None
    seed: int
    jobs: int


@dataclass(frozen=True)
class Ranked:
    """All rows with their scores, and the evaluated ones with their membership of the top group.

    ``fold``, ``used``, ``score``, ``propensity``, ``means`` and ``aipw`` stand for all rows,
    ``top`` for the evaluated ones.
    """

    fold: np.ndarray
    used: np.ndarray
    score: np.ndarray
    propensity: np.ndarray
    means: tuple[np.ndarray, np.ndarray]
    aipw: AipwScores
    rows: Scored
    top: np.ndarray

    @property
    def top_everywhere(self) -> np.ndarray:
        """Membership of the top group for all rows; 0 where a row wasn't evaluated."""
        membership = np.zeros(self.used.size)
        membership[self.used] = self.top
        return membership


@dataclass(frozen=True)
class Judged:
    """The headline and the metrics with their standard errors."""

    headline: Estimates
    metrics: Estimates
    shown: Interval
    metric_errors: np.ndarray


def check_options(options: Options) -> int | None:
    """Refuse what can't be asked; the number of bootstrap draws, if any."""
    check_choice("inference", options.inference, ("influence", "bootstrap"))
    check_level(options.conf_level)
    if not 0 < options.fraction < 1:
        raise DataError(
            f"fraction is {options.fraction:g}.",
            "It is the share of users, best first, that the answer is about.",
            "Use a number between 0 and 1, such as 0.2 for the top fifth.",
        )
    if options.folds < 2:
        raise DataError(
            f"folds is {options.folds}.",
            "One part of the rows must train a ranking that another part judges.",
            "Use 2 or more; 5 is the default.",
        )
    return resolve_replicates(
        options.replicates, options.inference, ["bootstrap"], DEFAULT_REPLICATES
    )


def rank_users(ready: Prepared, options: Options) -> Ranked:
    """Scores by models of earlier folds, and AIPW scores that judge them."""
    rng = np.random.default_rng(options.seed)
    fold = assign_folds(ready.treatment, ready.clusters, options.folds, rng)
    propensity = ready.propensity
    if ready.assignment == "estimated":
        propensity = cross_fitted_propensity(ready.matrix, ready.treatment, fold, ready.weight)
    outcome_model = make_learner("t", options.model, options.seed)
    means = cross_fitted_means(*ready.arms, fold, outcome_model, ready.weight)
    learner = make_learner(options.learner, options.model, options.seed)
    score = sequential_scores(*ready.arms, propensity, fold, learner, ready.weight)
    aipw = aipw_scores(ready.outcome, ready.treatment, propensity, *means)
    return _ranked(ready, options, fold, score, propensity, means, aipw)


def _ranked(
    ready: Prepared,
    options: Options,
    fold: np.ndarray,
    score: np.ndarray,
    propensity: np.ndarray,
    means: tuple[np.ndarray, np.ndarray],
    aipw: AipwScores,
) -> Ranked:
    used = fold > 0
    clusters = None
    if ready.clusters is not None:
        clusters = np.unique(ready.clusters[used], return_inverse=True)[1]
    weight = np.ones(fold.size) if ready.weight is None else ready.weight
    rows = Scored(
        score=score[used],
        gamma=aipw.effect[used],
        gamma_control=aipw.control[used],
        fold=fold[used],
        weight=weight[used],
        clusters=clusters,
        cost=None if ready.cost is None else ready.cost[used],
        conf_level=options.conf_level,
        df=degrees_of_freedom(clusters),
    )
    edges = np.array([0.0, options.fraction])
    top = by_fold_membership(rows.score, rows.fold, edges, rows.weight)[:, 0]
    return Ranked(fold, used, score, propensity, means, aipw, rows, top)


def judge_ranking(ranked: Ranked, options: Options, draws: int | None) -> Judged:
    """The effect in the top group and the metrics, by influence functions or the bootstrap."""
    rows = ranked.rows
    headline = group_effects(rows.gamma, (ranked.top * rows.weight)[:, None])
    metrics = metrics_by_fold(rows.score, rows.gamma, rows.fold, rows.weight)
    if draws is None:
        errors = np.append(std_errors(headline, rows.clusters), std_errors(metrics, rows.clusters))
    else:
        errors = bootstrap_std_errors(
            rows.score,
            rows.gamma,
            rows.fold,
            rows.weight,
            rows.clusters,
            options.fraction,
            replicates=draws,
            seed=options.seed,
            jobs=options.jobs,
        )
    shown = interval(float(headline.values[0]), float(errors[0]), options.conf_level, rows.df)
    return Judged(headline, metrics, shown, errors[1:])
