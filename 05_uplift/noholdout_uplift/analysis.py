"""From ranked and judged users to the estimate: checks, tables, decision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from noholdout_uplift import calibration, policy, shipped, tables
from noholdout_uplift.bootstrap import RATIO_COLUMNS
from noholdout_uplift.checks import all_checks
from noholdout_uplift.contest import Contest, side_by_side
from noholdout_uplift.decision import Decision, decide, optimism_table, with_guardrails
from noholdout_uplift.estimators.choices import LEARNER_NAMES, make_learner
from noholdout_uplift.optimism import in_sample_top
from noholdout_uplift.options import DEFAULT_LEARNER, Options, check_options
from noholdout_uplift.preparation import Prepared, prepare
from noholdout_uplift.ranking_steps import (
    Judged,
    Ranked,
    judge_ranking,
    judged_by,
    make_judges,
    rank_users,
)
from noholdout_uplift.result import UpliftEstimate

OWN = "own score"


def analyse(data: Any, options: Options) -> UpliftEstimate:
    """Validate, rank, judge, decide, check, assemble."""
    draws = check_options(options)
    ready = prepare(data, options)
    judges = make_judges(ready, options)
    ranked = rank_users(ready, judges, options.headline, options)
    judged = judge_ranking(ranked, options, draws)
    if ready.own is None:
        naive = in_sample_top(ready, judges.propensity, options.headline, options)
    else:
        naive = ready.own.in_sample
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
        proportion=ready.proportion,
    )
    described = {
        **_describing_tables(ready, ranked, judged, options),
        **_deciding_tables(ready, ranked, judged, rules, compared, decision, naive, options),
    }
    if "guardrails" in described:
        decision = with_guardrails(decision, described["guardrails"], options.conf_level)
    contest = None
    if options.learner == "all":
        contest = side_by_side(ready, ranked, options)
        described |= {"estimators": contest.estimators, "comparisons": contest.comparisons}
    return _assemble(ready, ranked, judged, decision, contest, described, naive, options, draws)


def _metric(judged: Judged, name: str) -> tuple[float, float]:
    place = tables.METRICS.index(name)
    return float(judged.metrics.values[place]), float(judged.metric_errors[place])


def _describing_tables(
    ready: Prepared, ranked: Ranked, judged: Judged, options: Options
) -> dict[str, pd.DataFrame]:
    rows = ranked.rows
    found = {
        "metrics": tables.metrics_table(judged.metrics.values, judged.metric_errors, rows),
        "deciles": tables.deciles_table(rows),
        "qini": tables.qini_table(rows, options.seed),
        "toc": tables.toc_table(rows, options.seed),
        "calibration": calibration.calibration_table(rows),
        "sorted_groups": calibration.sorted_groups_table(rows),
    }
    if options.features:
        found["segments"] = tables.segments_table(
            ready.frame, list(options.features), ranked.everyone
        )
        fold = np.zeros_like(ranked.judges.fold) if ready.own else ranked.judges.fold
        found["profile"] = tables.profile_table(
            ready.matrix[:, : ready.profiled],
            ready.names[: ready.profiled],
            ranked.score,
            fold,
            ranked.everyone.weight,
        )
    return found


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
            rows,
            rules,
            ranked.judges.fold[ranked.used],
            naive,
            float(judged.headline.values[0]),
            _metric(judged, "ate")[0],
        ),
    }
    costs = policy.cost_table(rows, options.seed)
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
    model, judges = make_learner("t", ready.model, options.seed), ranked.judges
    scores = judged_by(ready, values, judges.fold, judges.propensity, model)[1]
    return scores.effect[ranked.used]


def _assemble(
    ready: Prepared,
    ranked: Ranked,
    judged: Judged,
    decision: Decision,
    contest: Contest | None,
    described: dict[str, pd.DataFrame],
    naive: float,
    options: Options,
    draws: int | None,
) -> UpliftEstimate:
    shown, clusters = judged.shown, ready.drawn.clusters
    ranked_by = "predicted effect" if options.scores is None else options.scores
    below = "" if options.denominator is None else f", outcome / {options.denominator}"
    return UpliftEstimate(
        method=f"Uplift: {OWN if ready.own else LEARNER_NAMES[options.headline]}",
        estimand=f"effect among the top {100 * options.fraction:g}% of users by {ranked_by}{below}",
        estimate=float(judged.headline.values[0]),
        std_error=shown.std_error,
        conf_low=shown.conf_low,
        conf_high=shown.conf_high,
        conf_level=options.conf_level,
        p_value=shown.p_value,
        inference=_inference_text(options, draws, ranked.rows.df),
        outcome=options.outcome,
        n_obs=int(ready.each.sum()),
        n_treated=int(ready.each @ ready.treatment),
        n_control=int(ready.each @ (1 - ready.treatment)),
        n_clusters=None if clusters is None else int(clusters.max()) + 1,
        settings=_settings(ready, ranked, naive, options, draws),
        checks=all_checks(ready, ranked, judged, naive, options),
        tables=described,
        df=ranked.rows.df,
        proportion=ready.proportion,
        margin=options.margin,
        decision=decision.answer,
        decision_reason=decision.reason,
        why_learners_differ=None if contest is None else contest.why,
        scores=_scores(ready, ranked, list(options.features)),
        learners=ranked.learners,
    )


def _scores(ready: Prepared, ranked: Ranked, features: list[str]) -> pd.DataFrame:
    scores = pd.DataFrame(
        {
            "fold": ranked.judges.fold + 1,
            "evaluated": ranked.used,
            "score": ranked.score,
            "aipw": ranked.everyone.gamma,
            "top": ranked.top_everywhere,
        }
    )
    for rows, part in ((ranked.everyone, np.ones_like(ranked.used)), (ranked.rows, ranked.used)):
        if rows.below is not None:  # a ratio metric's scores follow the rows that they are about
            values = (rows.gamma, rows.gamma_control, rows.below.control, rows.below.treated)
            scores.loc[part, ["aipw", *RATIO_COLUMNS]] = np.column_stack(values)
    if ready.weight is not None and ready.copies is None:
        scores["weight"] = ready.weight
    if ready.drawn.clusters is not None:
        scores["cluster"] = ready.drawn.clusters
    if ready.copies is None:
        return scores
    who = pd.MultiIndex.from_frame(ready.frame[features])
    return scores.assign(copies=ready.copies).set_index(who)


def _inference_text(options: Options, draws: int | None, df: float) -> str:
    how = "influence function" if draws is None else f"bootstrap, {draws:,} draws"
    folds = "cross-fitted" if options.scores is not None else "on sequential folds"
    text = f"AIPW scores {folds}, {how}"
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
    own = ready.own
    brought = {
        "scores": options.scores,
        "trained_on": options.trained_on,
        "rows_left_out_that_trained": own.n_left_out if own else None,
    }
    return {
        **ready.settings,
        **({"learner": options.learner or DEFAULT_LEARNER} if own is None else brought),
        "model": options.model if isinstance(options.model, str) else repr(options.model),
        "features": list(options.features),
        "propensity": propensity[ready.assignment],
        "weights": options.weights,
        "cost": options.cost,
        "budget": options.budget,
        "current": options.current,
        "fraction": options.fraction,
        "folds": options.folds,
        "rows_evaluated": int(ready.each @ ranked.used),
        "in_sample_top_effect": None if np.isnan(naive) else naive,
        "replicates": draws,
        "seed": options.seed,
    }
