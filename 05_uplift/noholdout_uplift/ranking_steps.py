"""The steps before any table: scores of every row, what judges them, headline and metrics."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    effects_of,
    group_effects,
    rank_metrics_of,
    std_errors,
)
from noholdout_uplift.kernels.aipw import AipwScores, aipw_scores
from noholdout_uplift.options import Options
from noholdout_uplift.preparation import Prepared
from noholdout_uplift.ratio import anchored
from noholdout_uplift.scored import Scored

NO_NOISE = 1e-10  # spread of the scores over the outcome's, below which it is rounding


@dataclass(frozen=True)
class Judges:
    """What judges any ranking of these rows: folds, propensity, outcome models, AIPW scores.

    ``below``: those of a ratio metric's denominator.
    """

    fold: np.ndarray
    propensity: np.ndarray
    means: CrossFitted
    aipw: AipwScores
    below: AipwScores | None


@dataclass(frozen=True)
class Ranked:
    """All rows with their scores, and the evaluated ones with their membership of the top group.

    ``used``, ``score`` and ``everyone`` stand for all rows, ``rows`` and ``top`` for the evaluated
    ones; ``learners[k]`` scored fold ``k`` (none for a score that the user brought).
    """

    judges: Judges
    used: np.ndarray
    score: np.ndarray
    everyone: Scored
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
        fold = assign_folds(
            ready.treatment,
            ready.drawn.clusters,
            options.folds,
            rng,
            fewest=2 if ready.own is None else 1,
        )
    require_arms(ready.treatment, fold, options.folds, ready.copies)
    propensity = ready.propensity
    if ready.assignment == "estimated":
        propensity = cross_fitted_propensity(ready.matrix, ready.treatment, fold, ready.weight)
    model = make_learner("t", ready.model, options.seed)
    means, aipw = judged_by(ready, ready.outcome, fold, propensity, model)
    if aipw.effect.std() <= NO_NOISE * ready.outcome.std():
        raise DesignError(
            f"The treatment explains {options.outcome!r} exactly: the effect comes out as "
            f"{aipw.effect.mean():.6g} for every row, without any noise.",
            "An outcome that the treatment fixes is usually a copy of it, and no interval "
            "can be made.",
            "Check how the outcome's column was made.",
        )
    below = None
    if ready.ratio is not None:
        below = judged_by(ready, ready.ratio.below, fold, propensity, model)[1]
    return Judges(fold, propensity, means, aipw, below)


def judged_by(
    ready: Prepared, values: np.ndarray, fold: np.ndarray, propensity: np.ndarray, model: Any
) -> tuple[CrossFitted, AipwScores]:
    """Cross-fitted means of ``values``, shape ``(n,)``, and their AIPW scores."""
    means = cross_fitted_means(ready.matrix, values, ready.treatment, fold, model, ready.weight)
    return means, aipw_scores(values, ready.treatment, propensity, means.control, means.treated)


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
    rows = _scored(ready, judges, score, apart, used, options)
    everyone = _scored(ready, judges, score, apart, np.ones_like(used), options)
    edges = np.array([0.0, options.fraction])
    top = by_fold_membership(rows.score, rows.fold, edges, rows.weight)[:, 0]
    return Ranked(judges, used, score, replace(everyone, df=rows.df), rows, top, learners)


def _scored(
    ready: Prepared,
    judges: Judges,
    score: np.ndarray,
    fold: np.ndarray,
    part: np.ndarray,
    options: Options,
) -> Scored:
    weight = np.ones(part.size) if ready.weight is None else ready.weight
    aipw, below, drawn = judges.aipw.part(part), judges.below, ready.drawn.part(part)
    if ready.ratio is not None and below is not None:
        aipw, below = anchored(aipw, below.part(part), ready.ratio.ratio, weight[part])
    return Scored(
        score=score[part],
        gamma=aipw.effect,
        gamma_control=aipw.control,
        fold=fold[part],
        weight=weight[part],
        drawn=drawn,
        cost=None if ready.cost is None else ready.cost[part],
        conf_level=options.conf_level,
        df=degrees_of_freedom(drawn.clusters, fold[part]),
        below=below,
    )


def judge_ranking(ranked: Ranked, options: Options, draws: int | None) -> Judged:
    """The effect in the top group and the metrics, by influence functions or the bootstrap."""
    rows = ranked.rows
    chosen = (ranked.top * rows.weight)[:, None]
    headline = effects_of(rows, lambda gamma: group_effects(gamma, chosen))
    metrics = rank_metrics_of(rows)
    if draws is None:
        errors = np.append(std_errors(headline, rows.drawn), std_errors(metrics, rows.drawn))
    else:
        errors = bootstrap_std_errors(
            rows,
            options.fraction,
            replicates=draws,
            seed=options.seed,
            jobs=options.jobs,
        )
    shown = interval(float(headline.values[0]), float(errors[0]), options.conf_level, rows.df)
    return Judged(headline, metrics, shown, errors[1:])
