"""The steps of an uplift analysis: rank users, judge the ranking, assemble the estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, judge
from noholdout_shared.errors import DataError
from noholdout_shared.inference import Interval, influence_std_error, interval, smallest_effect
from noholdout_shared.input import (
    Missing,
    check_choice,
    check_level,
    is_proportion,
    resolve_replicates,
)

from noholdout_uplift import checks as look
from noholdout_uplift import tables
from noholdout_uplift.bootstrap import bootstrap_std_errors
from noholdout_uplift.estimators.choices import make_learner
from noholdout_uplift.folds import assign_folds, cross_fitted_means, sequential_scores
from noholdout_uplift.inference import (
    Estimates,
    by_fold_membership,
    degrees_of_freedom,
    group_effects,
    metrics_by_fold,
    std_errors,
)
from noholdout_uplift.kernels.aipw import AipwScores, aipw_scores
from noholdout_uplift.optimism import in_sample_top
from noholdout_uplift.preparation import Prepared, prepare
from noholdout_uplift.result import UpliftEstimate

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
    """All rows with their scores, and the evaluated ones (``used``) with their membership.

    ``fold``, ``used``, ``score`` and ``means`` are arrays over all rows, ``top`` over the
    evaluated ones.
    """

    fold: np.ndarray
    used: np.ndarray
    score: np.ndarray
    means: tuple[np.ndarray, np.ndarray]
    aipw: AipwScores
    rows: tables.Scored
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


def analyse(data: Any, options: Options) -> UpliftEstimate:
    """Validate, rank, judge, check, assemble."""
    draws = _check_options(options)
    ready = prepare(
        data,
        outcome_column=options.outcome,
        treatment=options.treatment,
        features=options.features,
        propensity=options.propensity,
        cluster=options.cluster,
        missing=options.missing,
    )
    ranked = rank_users(ready, options)
    judged = judge_ranking(ranked, options, draws)
    naive = in_sample_top(
        ready.matrix,
        ready.outcome,
        ready.treatment,
        ready.propensity,
        make_learner(options.learner, options.model, options.seed),
        options.fraction,
    )
    return _assemble(ready, ranked, judged, naive, options, draws)


def _check_options(options: Options) -> int | None:
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
    arms = (ready.matrix, ready.outcome, ready.treatment)
    means = cross_fitted_means(*arms, fold, make_learner("t", options.model, options.seed))
    learner = make_learner(options.learner, options.model, options.seed)
    score = sequential_scores(*arms, ready.propensity, fold, learner)
    aipw = aipw_scores(ready.outcome, ready.treatment, ready.propensity, *means)
    used = fold > 0
    clusters = None
    if ready.clusters is not None:
        clusters = np.unique(ready.clusters[used], return_inverse=True)[1]
    rows = tables.Scored(
        score=score[used],
        gamma=aipw.effect[used],
        gamma_control=aipw.control[used],
        fold=fold[used],
        clusters=clusters,
        conf_level=options.conf_level,
        df=degrees_of_freedom(clusters),
    )
    top = by_fold_membership(rows.score, rows.fold, np.array([0.0, options.fraction]))[:, 0]
    return Ranked(fold, used, score, means, aipw, rows, top)


def judge_ranking(ranked: Ranked, options: Options, draws: int | None) -> Judged:
    """The effect in the top group and the metrics, by influence functions or the bootstrap."""
    rows = ranked.rows
    headline = group_effects(rows.gamma, ranked.top[:, None])
    metrics = metrics_by_fold(rows.score, rows.gamma, rows.fold)
    if draws is None:
        errors = np.append(std_errors(headline, rows.clusters), std_errors(metrics, rows.clusters))
    else:
        errors = bootstrap_std_errors(
            rows.score,
            rows.gamma,
            rows.fold,
            rows.clusters,
            options.fraction,
            replicates=draws,
            seed=options.seed,
            jobs=options.jobs,
        )
    shown = interval(float(headline.values[0]), float(errors[0]), options.conf_level, rows.df)
    return Judged(headline, metrics, shown, errors[1:])


def _checks(
    ready: Prepared, ranked: Ranked, judged: Judged, naive: float, options: Options
) -> tuple[Check, ...]:
    rows, top = ranked.rows, ranked.top
    proportion = is_proportion(ready.outcome)
    effect = float(judged.headline.values[0])
    assignment = look.randomised_assignment(
        ready.matrix,
        ready.outcome,
        ready.treatment,
        ready.propensity,
        ready.propensity_given,
        ready.clusters,
        ranked.means,
        ranked.top_everywhere,
    )
    gap_error = influence_std_error(
        judged.headline.psi[:, 0] - judged.metrics.psi[:, 0], rows.clusters
    )
    return (
        *judge([assignment], judged.shown.std_error),
        look.overlap(ready.propensity),
        look.held_out_scores(effect, naive, proportion, options.fraction),
        look.enough_data(
            top,
            ready.treatment[ranked.used],
            options.fraction,
            float(rows.score @ top / top.sum() - rows.score.mean()),
            smallest_effect(gap_error, options.conf_level, rows.df),
            proportion,
        ),
        look.no_interference(effect, proportion, options.treatment),
    )


def _assemble(
    ready: Prepared,
    ranked: Ranked,
    judged: Judged,
    naive: float,
    options: Options,
    draws: int | None,
) -> UpliftEstimate:
    rows, shown = ranked.rows, judged.shown
    return UpliftEstimate(
        method=f"Uplift: {options.learner.upper()}-learner, judged on held-out users",
        estimand=f"effect among the top {100 * options.fraction:g}% of users by predicted effect",
        estimate=float(judged.headline.values[0]),
        std_error=shown.std_error,
        conf_low=shown.conf_low,
        conf_high=shown.conf_high,
        conf_level=options.conf_level,
        p_value=shown.p_value,
        inference=_inference_text(options, draws, rows.df),
        outcome=options.outcome,
        n_obs=ready.outcome.size,
        n_treated=int(ready.treatment.sum()),
        n_control=int((1 - ready.treatment).sum()),
        n_clusters=None if ready.clusters is None else int(ready.clusters.max()) + 1,
        settings=_settings(ready, ranked, naive, options, draws),
        checks=_checks(ready, ranked, judged, naive, options),
        tables={
            "metrics": tables.metrics_table(judged.metrics.values, judged.metric_errors, rows),
            "deciles": tables.deciles_table(rows),
            "qini": tables.qini_table(rows),
            "policy": tables.policy_table(rows, options.fraction),
            "segments": tables.segments_table(
                ready.frame,
                list(options.features),
                ranked.aipw.effect,
                ranked.score,
                rows,
                ready.clusters,
            ),
            "profile": tables.profile_table(ready.matrix, ready.names, ranked.score, ranked.fold),
        },
        df=rows.df,
        proportion=is_proportion(ready.outcome),
        margin=options.margin,
        scores=_scores(ready, ranked),
    )


def _scores(ready: Prepared, ranked: Ranked) -> pd.DataFrame:
    scores = pd.DataFrame(
        {
            "fold": ranked.fold + 1,
            "evaluated": ranked.used,
            "score": ranked.score,
            "aipw": ranked.aipw.effect,
            "top": ranked.top_everywhere,
        }
    )
    return scores if ready.clusters is None else scores.assign(cluster=ready.clusters)


def _inference_text(options: Options, draws: int | None, df: float) -> str:
    how = "influence function" if draws is None else f"bootstrap, {draws:,} draws"
    text = f"AIPW scores on sequential folds, {how}"
    if options.cluster is not None:
        text += f", clustered by {options.cluster}, t({df:.0f})"
    return text


def _settings(
    ready: Prepared, ranked: Ranked, naive: float, options: Options, draws: int | None
) -> dict[str, Any]:
    given = options.propensity
    return {
        **ready.settings,
        "learner": options.learner,
        "model": options.model if isinstance(options.model, str) else repr(options.model),
        "features": list(options.features),
        "propensity": (f"share treated, {ready.propensity[0]:.6g}" if given is None else given),
        "fraction": options.fraction,
        "folds": options.folds,
        "rows_evaluated": int(ranked.used.sum()),
        "in_sample_top_effect": naive,
        "replicates": draws,
        "seed": options.seed,
    }
