"""What the estimators share: the score, and the way from a fit to an Estimate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from noholdout_shared.errors import ConvergenceError
from noholdout_shared.inference import interval

from noholdout_propensity.checks import run_checks
from noholdout_propensity.inference import (
    DEFAULT_REPLICATES,
    Inference,
    Replicate,
    Uncertainty,
    analytic,
    bootstrap,
)
from noholdout_propensity.kernels.balance import (
    balance,
    effective_size,
    is_binary,
    scales,
    sort_orders,
)
from noholdout_propensity.kernels.score import ScoreFit, fit_score
from noholdout_propensity.kernels.weighting import Estimand, unbounded
from noholdout_propensity.negative_controls import negative_control_effects
from noholdout_propensity.problem import Problem
from noholdout_propensity.result import PropensityEstimate, RowDetail
from noholdout_propensity.sensitivity import robustness, rosenbaum_table

Respecify = Callable[[np.ndarray], tuple[float, np.ndarray] | None]
Score = Literal["logit", "probit"]

ESTIMANDS: dict[str, str] = {
    "ate": "average effect over everyone (ATE)",
    "att": "average effect on those who opted in (ATT)",
    "atc": "average effect on those who didn't opt in (ATC)",
    "ato": "average effect where opting in and not were both likely (ATO)",
}


@dataclass(frozen=True)
class Fit:
    """A point estimate before inference and checks.

    Parameters
    ----------
    weights
        Each row's weight in its arm's mean, shape ``(n,)``.
    influence
        Shape ``(n,)``; ``None`` when ``std_error`` is given instead (matching).
    source
        Names the analytic standard error.
    replicate
        Recomputes the estimate under resampling counts; ``None`` where a bootstrap is invalid.
    respecify
        Takes a richer design; returns how far the estimate moves, and the difference of the two
        estimators' influence values; ``None`` when the richer model has no solution.
    separation
        Why there is no number, where no score exists.
    title
        The estimator's name for people.
    pairs
        Matched one to one without replacement: (target row, matched row), ``(pairs, 2)``.
    adjusts_outcome
        Whether an outcome model corrects the imbalance that is left.
    """

    estimator: str
    estimate: float
    weights: np.ndarray
    mean_treated: float = math.nan
    mean_control: float = math.nan
    score: np.ndarray | None = None
    kept: np.ndarray | None = None
    influence: np.ndarray | None = None
    std_error: float = math.nan
    source: str = ""
    replicate: Replicate | None = None
    adjusts_outcome: bool = False
    respecify: Respecify | None = None
    separation: str = ""
    title: str = ""
    pairs: np.ndarray | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def fitted_score(problem: Problem, link: Score) -> ScoreFit:
    """The score model on all rows; separation is left to the caller.

    Raises
    ------
    ConvergenceError
        Newton's method found no maximum, and not because the covariates separate the arms.
    """
    fit = fit_score(
        problem.score_design, problem.treated, weights=_unless_ones(problem.sampling), link=link
    )
    if not fit.converged and not fit.separated:
        raise ConvergenceError(
            f"The {link} score model did not converge in {fit.steps} Newton steps.",
            "Weights from unfinished coefficients would balance nothing.",
            "Look for a covariate with extreme values; take its logarithm or leave it out.",
        )
    return fit


def _unless_ones(weights: np.ndarray) -> np.ndarray | None:
    return None if bool((weights == 1).all()) else weights


def separation_text(problem: Problem, fit: ScoreFit) -> str:
    """Which rows and which covariate leave no choice between opting in and not."""
    sure = np.abs(problem.treated - fit.score) < 1e-6
    sizes = np.abs(fit.coefficients[1:])
    name = problem.names[int(sizes.argmax())]
    where = f", most of all along {name!r}."
    for column, label in zip(problem.balance_values.T, problem.balance_names, strict=True):
        inside = column == 1
        if not np.isin(column, (0.0, 1.0)).all() or not inside.any():
            continue
        share = float(problem.treated[inside].mean())
        if share in (0.0, 1.0):
            what = "opted in" if share == 1.0 else "stayed out"
            where = f". All {int(inside.sum()):,} rows with {label} {what}."
            break
    return (
        f"The covariates separate the arms: in {int(sure.sum()):,} of {problem.n:,} rows the "
        f"score runs to 0 or 1{where}"
    )


def separated_fit(estimator: str, problem: Problem, fit: ScoreFit, text: str = "") -> Fit:
    """A fit without a number: no score exists, so no comparison does."""
    return Fit(
        estimator=estimator,
        estimate=math.nan,
        weights=problem.sampling.copy(),
        score=fit.score,
        separation=text or separation_text(problem, fit),
    )


def no_chance(
    problem: Problem, score: np.ndarray, estimand: Estimand, kept: np.ndarray | None
) -> str:
    """A sentence when some rows' scores are 0 or 1 to the last digit; empty otherwise."""
    lost = unbounded(score, estimand)
    if kept is not None:
        lost = lost & kept
    if not lost.any():
        return ""
    return (
        f"In {int(lost.sum()):,} of {problem.n:,} rows the score is 0 or 1 to the last digit, so "
        "that the weight of a counterpart would have no end."
    )


def assemble(
    problem: Problem,
    fit: Fit,
    estimand: Estimand,
    *,
    inference: Inference = "analytic",
    replicates: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    margin: float | None = None,
    negative_controls: Sequence[str] = (),
    build: Callable[[Problem], Fit] | None = None,
) -> PropensityEstimate:
    """Inference, tables and checks around a point estimate.

    ``build`` fits the same estimator on another outcome, for negative controls.
    """
    uncertainty = _uncertainty(problem, fit, inference, replicates, seed, jobs)
    span = interval(fit.estimate, uncertainty.std_error, problem.options.conf_level, uncertainty.df)
    kept = np.ones(problem.n, dtype=bool) if fit.kept is None else fit.kept
    tables = balance_tables(problem, fit, estimand, kept)
    shown = np.full(problem.n, np.nan) if fit.score is None else fit.score
    detail = RowDetail(problem.treated, shown, fit.weights, kept)
    settings = {
        **problem.settings,
        "estimator": fit.estimator,
        **fit.settings,
        "clipped_scores": 0,
        "mean_treated": fit.mean_treated,
        "mean_control": fit.mean_control,
        "smd_denominator": "treated SD" if estimand == "att" else "pooled SD",
    }
    if uncertainty.failed_draws:
        settings["failed_draws"] = uncertainty.failed_draws
    score, trouble = diagnostic_score(problem, fit)
    if negative_controls and build is not None and not fit.separation:
        tables["negative_controls"] = negative_control_effects(problem, negative_controls, build)
    strength = None if fit.separation else robustness(problem, problem.options.conf_level)
    if strength is not None:
        tables["sensitivity"] = strength.bounds
        settings["regression_estimate"] = strength.effect.estimate
        settings["regression_error"] = strength.effect.std_error
        settings["regression_df"] = strength.effect.df
        settings["robustness_value"] = strength.to_zero
        settings["robustness_value_interval"] = strength.to_interval
    if fit.pairs is not None:
        gamma, tables["rosenbaum"] = rosenbaum_table(
            pair_differences(problem, fit.pairs), problem.options.conf_level
        )
        settings["rosenbaum_gamma"] = gamma
    checks = run_checks(
        problem, fit, estimand, span, kept, tables, score, trouble, strength, settings
    )
    return PropensityEstimate(
        method=f"Propensity scores: {fit.title or fit.estimator}",
        estimand=ESTIMANDS[estimand] + (", trimmed" if not kept.all() else ""),
        estimate=fit.estimate,
        std_error=span.std_error,
        conf_low=span.conf_low,
        conf_high=span.conf_high,
        conf_level=problem.options.conf_level,
        p_value=span.p_value,
        inference=uncertainty.name,
        outcome=problem.options.outcome,
        n_obs=int(kept.sum()),
        n_treated=int(problem.treated[kept].sum()),
        n_control=int((1 - problem.treated[kept]).sum()),
        n_clusters=problem.n_clusters,
        settings=settings,
        checks=checks,
        tables=tables,
        df=uncertainty.df,
        proportion=problem.proportion,
        margin=margin,
        rows=detail,
    )


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


def _uncertainty(
    problem: Problem,
    fit: Fit,
    inference: Inference,
    replicates: int | None,
    seed: int,
    jobs: int,
) -> Uncertainty:
    if fit.separation:
        return Uncertainty(
            math.nan, math.inf, "undefined: no score exists where arms are separated"
        )
    if inference == "bootstrap" and fit.replicate is not None:
        draws = DEFAULT_REPLICATES if replicates is None else replicates
        return bootstrap(problem, fit.replicate, draws, seed, jobs)
    if fit.influence is None:
        return Uncertainty(fit.std_error, math.inf, fit.source)
    return analytic(problem, fit.influence, fit.source)


def balance_tables(
    problem: Problem, fit: Fit, estimand: Estimand, kept: np.ndarray
) -> dict[str, pd.DataFrame]:
    """The tables ``balance``, ``weights`` and ``distributions``."""
    values, treated = problem.balance_values, problem.treated
    binary = is_binary(values)
    scale = scales(values, treated, problem.sampling, binary, estimand)
    orders = sort_orders(values, binary)
    before = balance(values, treated, problem.sampling, scale, binary, orders)
    after = balance(values, treated, fit.weights * kept, scale, binary, orders)
    table = pd.DataFrame(
        {
            "covariate": problem.balance_names,
            "smd_before": before.smd,
            "smd_after": after.smd,
            "variance_ratio_before": before.variance_ratio,
            "variance_ratio_after": after.variance_ratio,
        }
    )
    distributions = pd.DataFrame(
        {
            "covariate": problem.balance_names,
            "ks_before": before.ks,
            "ks_after": after.ks,
            "ecdf_before": before.ecdf,
            "ecdf_after": after.ecdf,
        }
    )
    arms = (("treated", treated == 1), ("control", treated == 0))
    weights = pd.DataFrame(
        {
            "group": [name for name, _ in arms],
            "n": [int((arm & kept).sum()) for _, arm in arms],
            "effective_n": [effective_size((fit.weights * kept)[arm]) for _, arm in arms],
        }
    )
    return {"balance": table, "weights": weights, "distributions": distributions}
