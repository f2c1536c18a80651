"""What the estimators share: a fit before inference, the score, and why there may be none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from noholdout_shared.errors import ConvergenceError

from noholdout_propensity.inference import Replicate
from noholdout_propensity.kernels.balance import is_binary
from noholdout_propensity.kernels.richer import Richer
from noholdout_propensity.kernels.score import ScoreFit, fit_score, nested_score
from noholdout_propensity.kernels.weighting import Estimand, clipped, unbounded
from noholdout_propensity.problem import Problem

# What the richer model's steps may leave: the check asks whether the estimate moves by half a
# standard error.
ROUGH_STEP = 1e-7
FAR = 10.0  # standard deviations: beyond, a row stands for the form of the model alone
NOBODY = (
    "For these rows nobody can say what the other choice would have brought. Leave them out (and "
    "say so), or compare within the rest."
)

Respecify = Callable[[Richer], tuple[float, np.ndarray] | None]
Score = Literal["logit", "probit"]


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
    df: float = math.inf
    source: str = ""
    replicate: Replicate | None = None
    adjusts_outcome: bool = False
    respecify: Respecify | None = None
    separation: str = ""
    title: str = ""
    pairs: np.ndarray | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


Build = Callable[[Problem], Fit]


def fitted_score(problem: Problem, link: Score) -> ScoreFit:
    """The score model on all rows, fitted once a problem; separation is left to the caller.

    Raises
    ------
    ConvergenceError
        Newton's method found no maximum, and not because the covariates separate the arms.
    """
    fit = problem.once(
        ("score", link),
        lambda: fit_score(
            problem.score_design,
            problem.treated,
            weights=problem.likelihood_weights,
            link=link,
        ),
    )
    if not fit.converged and not fit.separated:
        raise ConvergenceError(
            f"The {link} score model did not converge in {fit.steps} Newton steps.",
            "Weights from unfinished coefficients would balance nothing.",
            "Look for a covariate with extreme values; take its logarithm or leave it out.",
        )
    return fit


def found_score(fit: ScoreFit) -> np.ndarray | None:
    """Each row's score; ``None`` where the covariates separate the arms."""
    return None if fit.separated else fit.score


def richer_score(problem: Problem, richer: Richer, base: ScoreFit, link: Score) -> ScoreFit | None:
    """The score with a richer design, from the solution at hand; ``None`` without a solution."""
    rich = nested_score(
        richer.design, problem.treated, problem.likelihood_weights, link, base, ROUGH_STEP
    )
    return rich if rich.converged and not unbounded(rich.score, problem.estimand).any() else None


def without_answer(
    estimator: str,
    problem: Problem,
    fit: ScoreFit,
    kept: np.ndarray | None = None,
    clip: float | None = None,
) -> Fit | None:
    """A fit that says why the score allows no number; ``None`` when it allows one."""
    if fit.separated:
        return separated_fit(estimator, problem, fit, separation_text(problem, fit))
    endless = no_chance(problem, clipped(fit.score, clip), problem.estimand, kept)
    return separated_fit(estimator, problem, fit, endless) if endless else None


def separated_fit(estimator: str, problem: Problem, fit: ScoreFit, text: str) -> Fit:
    """A fit without a number: no score exists, so no comparison does."""
    return Fit(
        estimator=estimator,
        estimate=math.nan,
        weights=problem.sampling.copy(),
        score=fit.score,
        separation=text,
    )


def separation_text(problem: Problem, fit: ScoreFit) -> str:
    """Which rows and which covariate leave no choice between opting in and not."""
    sure = np.abs(problem.treated - fit.score) < 1e-6
    sizes = np.abs(fit.coefficients[1:])
    name = problem.names[int(sizes.argmax())]
    where = f", most of all along {name!r}."
    for column, label in zip(problem.balance_values, problem.balance_names, strict=True):
        inside = column == 1
        if not np.isin(column, (0.0, 1.0)).all() or not inside.any():
            continue
        share = float(problem.treated[inside].mean())
        if share in (0.0, 1.0):
            what = "opted in" if share == 1.0 else "stayed out"
            where = f". All {problem.count(inside):,} rows with {label} {what}."
            break
    return (
        f"The covariates separate the arms: in {problem.count(sure):,} of "
        f"{problem.count(problem.treated >= 0):,} rows the "
        f"score runs to 0 or 1{where} {long_tail(problem, sure) or NOBODY}"
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
        f"In {problem.count(lost):,} of {problem.count(problem.treated >= 0):,} rows the score is "
        "0 or 1 to the last digit, so that the weight of a counterpart would have no end. "
        f"{long_tail(problem, lost) or NOBODY}"
    )


def without_fold(problem: Problem, folds: int) -> str:
    """A sentence for a score that has no solution in some fold's absence."""
    why = long_tail(problem, np.ones(problem.n, dtype=bool), every=False)
    where = f"Without one of the {folds} folds"
    if why:
        return f"{where} the score model has no solution. {why}"
    return f"{where} the covariates separate the arms. {NOBODY}"


def long_tail(problem: Problem, rows: np.ndarray, every: bool = True) -> str:
    """A sentence when some, or every one, of these rows lies far out in a covariate; or empty."""
    places = np.flatnonzero(rows)
    far = np.zeros(places.size, dtype=bool)
    farthest, name, value = FAR, "", 0.0
    for column, label in zip(problem.balance_values, problem.balance_names, strict=True):
        spread = float(column.std())
        if not spread > 0 or is_binary(column):
            continue
        apart = np.abs(column[places] - float(column.mean())) / spread
        far |= apart > FAR
        if apart.size and apart.max() > farthest:
            farthest, name = float(apart.max()), label
            value = float(column[places][apart.argmax()])
    if not name or (every and not far.all()):
        return ""
    return (
        f"One of them lies {farthest:,.0f} standard deviations from the mean of {name!r} (at "
        f"{value:.3g}): on so long a tail the score's straight line decides alone, and that is no "
        "sign that such users had no choice. Put the column's logarithm or ranks in its place, or "
        "cap it and say so."
    )
