"""From ranked and judged users to the estimate: checks, tables, decision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, judge
from noholdout_shared.inference import influence_std_error, smallest_effect
from noholdout_shared.input import is_proportion

from noholdout_uplift import calibration, policy, shipped, tables
from noholdout_uplift import checks as look
from noholdout_uplift.decision import Decision, decide, optimism_table, with_guardrails
from noholdout_uplift.estimators.choices import LEARNER_NAMES, make_learner
from noholdout_uplift.folds import cross_fitted_means
from noholdout_uplift.kernels.aipw import aipw_scores
from noholdout_uplift.optimism import in_sample_top
from noholdout_uplift.preparation import Prepared, prepare
from noholdout_uplift.ranking_steps import (
    Judged,
    Options,
    Ranked,
    check_options,
    judge_ranking,
    rank_users,
)
from noholdout_uplift.result import UpliftEstimate


def analyse(data: Any, options: Options) -> UpliftEstimate:
    """Validate, rank, judge, decide, check, assemble."""
    draws = check_options(options)
    ready = prepare(
        data,
        outcome_column=options.outcome,
        treatment=options.treatment,
        features=options.features,
        propensity=options.propensity,
        cluster=options.cluster,
        weights=options.weights,
        cost=options.cost,
        current=options.current,
        guardrails=options.guardrails,
        slices=options.slices,
        missing=options.missing,
    )
    ranked = rank_users(ready, options)
    judged = judge_ranking(ranked, options, draws)
    naive = in_sample_top(
        *ready.arms,
        ranked.propensity,
        make_learner(options.learner, options.model, options.seed),
        options.fraction,
        ready.weight,
    )
    current = None if ready.current is None else ready.current[ranked.used]
    rules = policy.make_rules(ranked.rows, options.fraction, options.budget, current)
    compared = policy.contrasts(ranked.rows, rules)
    decision = decide(
        ranked.rows,
        rules,
        compared,
        qini=_metric(judged, "qini"),
        ate=_metric(judged, "ate"),
        seed=options.seed,
        proportion=is_proportion(ready.outcome),
    )
    described = {
        **_describing_tables(ready, ranked, judged, options),
        **_deciding_tables(ready, ranked, judged, rules, compared, decision, naive, options),
    }
    if "guardrails" in described:
        decision = with_guardrails(decision, described["guardrails"], options.conf_level)
    return _assemble(ready, ranked, judged, decision, described, naive, options, draws)


def _metric(judged: Judged, name: str) -> tuple[float, float]:
    place = tables.METRICS.index(name)
    return float(judged.metrics.values[place]), float(judged.metric_errors[place])


def _describing_tables(
    ready: Prepared, ranked: Ranked, judged: Judged, options: Options
) -> dict[str, pd.DataFrame]:
    rows = ranked.rows
    weight = np.ones(ranked.fold.size) if ready.weight is None else ready.weight
    return {
        "metrics": tables.metrics_table(judged.metrics.values, judged.metric_errors, rows),
        "deciles": tables.deciles_table(rows),
        "qini": tables.qini_table(rows),
        "toc": tables.toc_table(rows),
        "calibration": calibration.calibration_table(rows),
        "sorted_groups": calibration.sorted_groups_table(rows),
        "segments": tables.segments_table(
            ready.frame,
            list(options.features),
            ranked.aipw.effect,
            ranked.score,
            weight,
            ready.clusters,
            rows,
        ),
        "profile": tables.profile_table(
            ready.matrix, ready.names, ranked.score, ranked.fold, weight
        ),
    }


def _deciding_tables(
    ready: Prepared,
    ranked: Ranked,
    judged: Judged,
    rules: policy.Rules,
    compared: policy.Contrasts,
    decision: Decision,
    naive: float,
    options: Options,
) -> dict[str, pd.DataFrame]:
    rows = ranked.rows
    found = {
        "policy": policy.policy_table(rows, rules),
        "contrasts": policy.contrasts_table(rows, compared, decision.lower),
        "optimism": optimism_table(
            rows, rules, naive, float(judged.headline.values[0]), _metric(judged, "ate")[0]
        ),
    }
    costs = policy.cost_table(rows)
    if costs is not None:
        found["costs"] = costs
    rule = decision.rule or f"top-{100 * options.fraction:g}%"
    if rule == "treat-none":
        rule = "treat-all"  # nobody is treated: what it would have done to all
    treat = rules.treat[rule]
    if ready.guardrails:
        effects = {
            name: _guardrail_scores(ready, ranked, values, options)
            for name, values in ready.guardrails.items()
        }
        found["guardrails"] = shipped.guardrails_table(
            rows, rule, treat, effects, options.margin or 0.0
        )
    if options.slices:
        frame = ready.frame.loc[ranked.used]
        found["slices"] = shipped.slices_table(rows, frame, options.slices, rule, treat)
    return found


def _guardrail_scores(
    ready: Prepared, ranked: Ranked, values: np.ndarray, options: Options
) -> np.ndarray:
    model = make_learner("t", options.model, options.seed)
    means = cross_fitted_means(
        ready.matrix, values, ready.treatment, ranked.fold, model, ready.weight
    )
    return aipw_scores(values, ready.treatment, ranked.propensity, *means).effect[ranked.used]


def _checks(
    ready: Prepared, ranked: Ranked, judged: Judged, naive: float, options: Options
) -> tuple[Check, ...]:
    rows, top = ranked.rows, ranked.top * ranked.rows.weight
    proportion = is_proportion(ready.outcome)
    effect = float(judged.headline.values[0])
    found: list[Check] = []
    if ready.assignment == "estimated":
        found.append(
            look.unmeasured_confounding(effect, judged.shown.std_error, proportion, options)
        )
    else:
        assignment = look.randomised_assignment(
            *ready.arms,
            ranked.propensity,
            ready.assignment == "given",
            ready.weight,
            ready.clusters,
            ranked.means,
            ranked.top_everywhere,
        )
        found.extend(judge([assignment], judged.shown.std_error))
    gap_error = influence_std_error(
        judged.headline.psi[:, 0] - judged.metrics.psi[:, 0], rows.clusters
    )
    average = float(rows.share @ rows.score) / rows.score.size
    found += [
        look.overlap(ranked.propensity),
        look.held_out_scores(effect, naive, proportion, options.fraction),
        look.enough_data(
            ranked.top,
            ready.treatment[ranked.used],
            options.fraction,
            float(rows.score @ top / top.sum()) - average,
            smallest_effect(gap_error, options.conf_level, rows.df),
            proportion,
        ),
        look.no_interference(effect, proportion, options.treatment),
    ]
    return tuple(found)


def _assemble(
    ready: Prepared,
    ranked: Ranked,
    judged: Judged,
    decision: Decision,
    described: dict[str, pd.DataFrame],
    naive: float,
    options: Options,
    draws: int | None,
) -> UpliftEstimate:
    shown = judged.shown
    return UpliftEstimate(
        method=f"Uplift: {LEARNER_NAMES[options.learner]}",
        estimand=f"effect among the top {100 * options.fraction:g}% of users by predicted effect",
        estimate=float(judged.headline.values[0]),
        std_error=shown.std_error,
        conf_low=shown.conf_low,
        conf_high=shown.conf_high,
        conf_level=options.conf_level,
        p_value=shown.p_value,
        inference=_inference_text(options, draws, ranked.rows.df),
        outcome=options.outcome,
        n_obs=ready.outcome.size,
        n_treated=int(ready.treatment.sum()),
        n_control=int((1 - ready.treatment).sum()),
        n_clusters=None if ready.clusters is None else int(ready.clusters.max()) + 1,
        settings=_settings(ready, ranked, naive, options, draws),
        checks=_checks(ready, ranked, judged, naive, options),
        tables=described,
        df=ranked.rows.df,
        proportion=is_proportion(ready.outcome),
        margin=options.margin,
        decision=decision.answer,
        decision_reason=decision.reason,
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
    if ready.weight is not None:
        scores["weight"] = ready.weight
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
    propensity = {
        "share": f"share treated, {ready.propensity[0]:.6g}",
        "given": options.propensity,
        "estimated": "logit of the features, cross-fitted",
    }
    return {
        **ready.settings,
        "learner": options.learner,
        "model": options.model if isinstance(options.model, str) else repr(options.model),
        "features": list(options.features),
        "propensity": propensity[ready.assignment],
        "weights": options.weights,
        "cost": options.cost,
        "budget": options.budget,
        "current": options.current,
        "fraction": options.fraction,
        "folds": options.folds,
        "rows_evaluated": int(ranked.used.sum()),
        "in_sample_top_effect": naive,
        "replicates": draws,
        "seed": options.seed,
    }
