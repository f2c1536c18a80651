"""From a question to an Estimate: read, fit, infer, check."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from noholdout_shared.errors import DataError
from noholdout_shared.inference import interval

from noholdout_propensity.checks import Evidence, run_checks
from noholdout_propensity.checks.hidden import deviation
from noholdout_propensity.estimators.common import Build, Fit, fitted_score, separation_text
from noholdout_propensity.inference import Uncertainty, bootstrap, spread_of
from noholdout_propensity.kernels.balance import Bins, balance, effective_size
from noholdout_propensity.negative_controls import negative_control_effects
from noholdout_propensity.options import ESTIMANDS, Options
from noholdout_propensity.problem import Problem, prepare
from noholdout_propensity.ratio import settled
from noholdout_propensity.result import PropensityEstimate, RowDetail
from noholdout_propensity.sensitivity import robustness, rosenbaum_table

EXACT = 1e-11  # of the outcome's spread: a smaller standard error is rounding


def answered(options: Options, build: Build) -> PropensityEstimate:
    """Read the data and answer with one estimator."""
    return assemble(prepare(options), build)


def assemble(asked: Problem, build: Build) -> PropensityEstimate:
    """The estimate with its inference, tables and checks; ``build`` fits the estimator."""
    problem, fit = settled(asked, build)
    options = problem.options
    uncertainty = _uncertainty(problem, fit)
    span = interval(fit.estimate, uncertainty.std_error, options.conf_level, uncertainty.df)
    kept = np.ones(problem.n, dtype=bool) if fit.kept is None else fit.kept
    inside, outside = problem.places
    places = (inside[kept[inside]], outside[kept[outside]])
    tables, bins = balance_tables(problem, fit, kept, places)
    settings = _settings(problem, fit, uncertainty)
    score, trouble = diagnostic_score(problem, fit)
    strength = None
    if not fit.separation:
        if options.negative_controls:
            tables["negative_controls"] = negative_control_effects(problem, build)
        strength = robustness(problem, options.conf_level)
        tables["sensitivity"] = strength.bounds
        settings |= strength.settings()
    if fit.pairs is not None:
        settings["rosenbaum_gamma"], tables["rosenbaum"] = rosenbaum_table(
            pair_differences(problem, fit.pairs), options.conf_level
        )
    evidence = Evidence(
        problem=problem,
        fit=fit,
        span=span,
        kept=kept,
        places=places,
        tables=tables,
        bins=bins,
        score=score,
        trouble=trouble,
        strength=strength,
        settings=settings,
        build=build,
    )
    below = "" if options.denominator is None else f", outcome / {options.denominator}"
    return PropensityEstimate(
        method=f"Propensity scores: {fit.title or fit.estimator}",
        estimand=ESTIMANDS[problem.estimand] + below + (", trimmed" if not kept.all() else ""),
        estimate=fit.estimate,
        std_error=span.std_error,
        conf_low=span.conf_low,
        conf_high=span.conf_high,
        conf_level=options.conf_level,
        p_value=span.p_value,
        inference=uncertainty.name + (", delta method" if below and not fit.separation else ""),
        outcome=options.outcome,
        n_obs=problem.count(kept),
        n_treated=problem.count(places[0]),
        n_control=problem.count(places[1]),
        n_clusters=problem.n_clusters,
        settings=settings,
        checks=run_checks(evidence),
        tables=tables,
        df=uncertainty.df,
        proportion=problem.proportion,
        margin=options.margin,
        rows=_row_detail(problem, fit, kept, score),
    )


def _settings(problem: Problem, fit: Fit, uncertainty: Uncertainty) -> dict[str, Any]:
    """Every choice made so far, and both arms' means."""
    settings = {
        **problem.settings,
        "estimator": fit.estimator,
        "clipped_scores": 0,
        **fit.settings,
        "mean_treated": fit.mean_treated,
        "mean_control": fit.mean_control,
        "smd_denominator": "treated SD" if problem.estimand == "att" else "pooled SD",
    }
    if problem.options.denominator is not None:
        settings["denominator"] = problem.options.denominator
    if uncertainty.failed_draws:
        settings["failed_draws"] = uncertainty.failed_draws
    return settings


def _row_detail(
    problem: Problem, fit: Fit, kept: np.ndarray, score: np.ndarray | None
) -> RowDetail:
    shown = np.full(problem.n, np.nan) if score is None else score
    return RowDetail(problem.treated, shown, fit.weights, kept, problem.copies)


def diagnostic_score(problem: Problem, fit: Fit) -> tuple[np.ndarray | None, str]:
    """The estimator's score, or one fitted for the checks alone; and its separation in words."""
    if fit.score is not None or fit.separation:
        return fit.score, fit.separation
    score_fit = fitted_score(problem, "logit")
    if score_fit.separated:
        return None, separation_text(problem, score_fit) + " This estimator extrapolates there."
    return score_fit.score, ""


def pair_differences(problem: Problem, pairs: np.ndarray) -> np.ndarray:
    """Treated minus control outcome of each matched pair, shape ``(pairs,)``."""
    first, second = problem.outcome[pairs[:, 0]], problem.outcome[pairs[:, 1]]
    return np.where(problem.treated[pairs[:, 0]] == 1, first - second, second - first)


def _uncertainty(problem: Problem, fit: Fit) -> Uncertainty:
    if fit.separation:
        return Uncertainty(
            math.nan, math.inf, "undefined: no score exists where arms are separated"
        )
    if spread_of(problem, fit).std_error <= EXACT * deviation(problem):
        return Uncertainty(
            math.nan, math.inf, "undefined: the covariates explain the outcome but for rounding"
        )
    draws = problem.options.replicates
    if draws is not None:
        if fit.replicate is None:
            raise DataError(
                "A bootstrap was asked of an estimator that isn't refitted in replicates.",
                "Its standard error stacks the equations of the score and of the outcome models.",
                "Use --inference analytic, or leave --outcome-fit out.",
            )
        return bootstrap(problem, fit.replicate, draws, problem.options.seed, problem.options.jobs)
    return spread_of(problem, fit)


def balance_tables(
    problem: Problem, fit: Fit, kept: np.ndarray, places: tuple[np.ndarray, np.ndarray]
) -> tuple[dict[str, pd.DataFrame], Bins]:
    """The tables ``balance``, ``weights`` and ``distributions``, and the covariates in bins."""
    treated, used = problem.treated, fit.weights
    before, after, bins = balance(
        problem.balance_values, treated, problem.sampling, used, problem.estimand, problem.copies
    )
    parts: dict[str, dict[str, Any]] = {
        "balance": {
            "smd_before": before.smd,
            "smd_after": after.smd,
            "variance_ratio_before": before.variance_ratio,
            "variance_ratio_after": after.variance_ratio,
        },
        "distributions": {
            "ks_before": before.ks,
            "ks_after": after.ks,
            "ecdf_before": before.ecdf,
            "ecdf_after": after.ecdf,
        },
    }
    tables = {
        name: pd.DataFrame({"covariate": problem.balance_names, **columns})
        for name, columns in parts.items()
    }
    tables["weights"] = pd.DataFrame(
        {
            "group": ["treated", "control"],
            "n": [problem.count(rows) for rows in places],
            "effective_n": [effective_size(used[rows], problem.each(rows)) for rows in places],
        }
    )
    return tables, bins
