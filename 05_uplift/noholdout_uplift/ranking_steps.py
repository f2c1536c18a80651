"""The steps before any table: scores of every row, what judges them, headline and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.errors import DesignError
from noholdout_shared.inference import Interval, interval

from noholdout_uplift.bootstrap import bootstrap_std_errors
from noholdout_uplift.estimators.choices import make_learner
from noholdout_uplift.folds import (
    CrossFitted,
    assign_folds,
    cross_fitted_means,
    cross_fitted_propensity,
    require_arms,
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
from noholdout_uplift.options import Options
from noholdout_uplift.preparation import Prepared
from noholdout_uplift.scored import Scored

NO_NOISE = 1e-10  # spread of the scores over the outcome's, below which it is rounding


@dataclass(frozen=True)
class Judges:
    """What judges any ranking of these rows: folds, propensity, outcome models, AIPW scores."""

    fold: np.ndarray
    propensity: np.ndarray
    means: CrossFitted
    aipw: AipwScores


@dataclass(frozen=True)
class Ranked:
    """All rows with their scores, and the evaluated ones with their membership of the top group.

    ``used`` and ``score`` stand for all rows, ``top`` for the evaluated ones; ``learners[k]``
    scored fold ``k`` (none for a score that the user brought).
    """

    judges: Judges
    used: np.ndarray
    score: np.ndarray
    rows: Scored
    top: np.ndarray
    learners: tuple[Any, ...]

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


def make_judges(ready: Prepared, options: Options) -> Judges:
    """Folds, and AIPW scores by models of the other folds."""
    rng = np.random.default_rng(options.seed)
    fold = ready.fold
    if fold is None:
        fold = assign_folds(ready.treatment, ready.drawn.clusters, options.folds, rng)
    require_arms(ready.treatment, fold, options.folds, ready.copies)
    propensity = ready.propensity
    if ready.assignment == "estimated":
        propensity = cross_fitted_propensity(ready.matrix, ready.treatment, fold, ready.weight)
    outcome_model = make_learner("t", ready.model, options.seed)
    means = cross_fitted_means(*ready.arms, fold, outcome_model, ready.weight)
    aipw = aipw_scores(ready.outcome, ready.treatment, propensity, means.control, means.treated)
    if aipw.effect.std() <= NO_NOISE * ready.outcome.std():
        raise DesignError(
            f"The treatment explains {options.outcome!r} exactly: the effect comes out as "
            f"{aipw.effect.mean():.6g} for every row, without any noise.",
            "An outcome that the treatment fixes is usually a copy of it, and no interval "
            "can be made.",
            "Check how the outcome's column was made.",
        )
    return Judges(fold, propensity, means, aipw)


def rank_users(ready: Prepared, judges: Judges, learner: str, options: Options) -> Ranked:
    """Scores by models of earlier folds, or the user's own; the top group of each ranking.

    A learner's folds are ranked apart, each by its own model, and the first one only trains. A
    score that the user brought is one ranking of all rows.
    """
    own = ready.own
    learners: tuple[Any, ...] = ()
    if own is not None:
        score, used = own.values, np.ones(own.values.size, dtype=bool)
        apart = np.zeros_like(judges.fold)
    else:
        unfitted = make_learner(learner, ready.model, options.seed)
        score, learners = sequential_scores(
            *ready.arms,
            judges.propensity,
            judges.fold,
            unfitted,
            ready.weight,
            judges.means.models,
            ready.half,
        )
        used, apart = judges.fold > 0, judges.fold
    drawn = ready.drawn.part(used)
    weight = np.ones(used.size) if ready.weight is None else ready.weight
    rows = Scored(
        score=score[used],
        gamma=judges.aipw.effect[used],
        gamma_control=judges.aipw.control[used],
        fold=apart[used],
        weight=weight[used],
        drawn=drawn,
        cost=None if ready.cost is None else ready.cost[used],
        conf_level=options.conf_level,
        df=degrees_of_freedom(drawn.clusters),
    )
    edges = np.array([0.0, options.fraction])
    top = by_fold_membership(rows.score, rows.fold, edges, rows.weight)[:, 0]
    return Ranked(judges, used, score, rows, top, learners)


def judge_ranking(ranked: Ranked, options: Options, draws: int | None) -> Judged:
    """The effect in the top group and the metrics, by influence functions or the bootstrap."""
    rows = ranked.rows
    headline = group_effects(rows.gamma, (ranked.top * rows.weight)[:, None])
    metrics = metrics_by_fold(rows.score, rows.gamma, rows.fold, rows.weight)
    if draws is None:
        errors = np.append(std_errors(headline, rows.drawn), std_errors(metrics, rows.drawn))
    else:
        errors = bootstrap_std_errors(
            rows.score,
            rows.gamma,
            rows.fold,
            rows.weight,
            rows.drawn,
            options.fraction,
            replicates=draws,
            seed=options.seed,
            jobs=options.jobs,
        )
    shown = interval(float(headline.values[0]), float(errors[0]), options.conf_level, rows.df)
    return Judged(headline, metrics, shown, errors[1:])
