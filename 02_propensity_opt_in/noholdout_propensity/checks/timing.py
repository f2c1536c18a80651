"""Were the covariates settled before the opt-in? A timestamp or an earlier value can show it."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, HypothesisCheck, structural, untestable
from noholdout_shared.errors import DataError
from noholdout_shared.inference import influence_std_error, two_sided_p

from noholdout_propensity.kernels.sensitivity import residual_sum
from noholdout_propensity.options import paired
from noholdout_propensity.problem import Problem, prepare
from noholdout_propensity.sensitivity import outcome_strengths

if TYPE_CHECKING:
    from noholdout_propensity.estimators.common import Build, Fit

NAME = "covariate_timing"
TIMING = "Every covariate was settled before the opt-in."
LEAK = 0.99  # of the outcome's variance within the arms: see `leaking_covariates`
WHY = "A covariate that the opt-in already changed hides part of the effect."


def timing_check(problem: Problem, fit: Fit, build: Build) -> Check | HypothesisCheck:
    """What timestamps and earlier values say of the covariates.

    A covariate measured after its user's opt-in is a ``caution``. With earlier values the answer
    is computed with them in the covariates' place: how far it moves is the bias that the later
    values would bring, judged with the other hypothesis tests. Covariates that explain nearly all
    of the outcome are a ``caution`` too.
    """
    late = late_covariates(problem)
    changed = [] if fit.separation else changed_covariates(problem)
    silent = [str(c) for c in problem.settings["covariates"] if c not in shown_early(problem)]
    leak = "" if fit.separation else leaking_covariates(problem)
    if leak:
        text = " ".join([*(f"{sentence}." for sentence in [*late, *changed]), leak])
        return structural(NAME, TIMING, "caution", 1.0, text)
    if changed:
        found = "; ".join([*late, *changed])
        moved = moved_by_pre_values(problem, fit, build)
        if moved is None:
            text = f"{found}. With the values from before the opt-in there is no estimate. {WHY}"
            return structural(NAME, TIMING, "caution", float(len(changed)), text)
        open_ = f" When {', '.join(map(str, silent))} were measured isn't known." if silent else ""
        return hypothesis(problem, f"{found}.", moved, open_)
    if late:
        text = f"{'; '.join(late)}. {WHY} Use its value from before."
        return structural(NAME, TIMING, "caution", float(len(late)), text)
    if silent:
        return untestable(
            NAME,
            TIMING,
            f"These data don't say when {', '.join(map(str, silent))} were measured. {WHY} Name "
            "its time (--covariate-times, --treatment-time) or an earlier value (--pre-values), or "
            "keep only what was known before.",
        )
    text = "Every covariate was settled before its user's opt-in."
    return structural(NAME, TIMING, "pass", 0.0, text)


def hypothesis(
    problem: Problem, found: str, moved: tuple[float, np.ndarray], more: str
) -> HypothesisCheck:
    """The move of the answer, for the family of tests."""
    shift, influence = moved
    error = influence_std_error(influence, problem.cluster_codes)
    df = math.inf if problem.n_clusters is None else problem.n_clusters - 1
    size, unit = (100 * shift, " points") if problem.proportion else (shift, "")
    return HypothesisCheck(
        name=NAME,
        assumption=TIMING,
        statistic=shift / error if error > 0 else 0.0,
        p_value=two_sided_p(shift / error, df) if error > 0 else 1.0,
        bias=shift,
        found=f"{found} With the values from before the opt-in the estimate moves by "
        f"{size:+.3g}{unit}.{more}",
        todo=f"{WHY} Use the values from before it.",
    )


def leaking_covariates(problem: Problem) -> str:
    """A sentence when the covariates explain more of the outcome than a past could.

    The share is of the variance within the arms, with the degrees of freedom of both regressions.
    What a user did before leaves the chance of the next period unexplained: a correlation of 0.95
    with a past value, rare in practice, is a share of 0.90. At 0.99 the correlation is 0.995,
    which a copy, a part or a total of the outcome has. Covariates that are shown to be earlier
    are let pass.
    """
    rest = total = 0.0
    free, columns = -2, 0
    for arm, places in zip(problem.arms, problem.places, strict=True):
        left, rank = residual_sum(arm.gram, arm.cross, arm.square)
        rest += left
        total += arm.square - float(arm.cross[0]) ** 2 / float(arm.gram[0, 0])
        free += problem.count(places)
        columns += rank - 1
    if not total > 0 or free - columns < 1:
        return ""
    share = 1 - rest / (free - columns) / (total / free)
    if share <= LEAK:
        return ""
    strengths = outcome_strengths(problem)
    strongest = max(strengths, key=lambda name: strengths[name])
    if strongest in shown_early(problem):
        return ""
    return (
        f"Within the arms the covariates explain {100 * share:.4g}% of the outcome's variance, "
        f"most of all {strongest!r}: more than a past could. It may hold the outcome itself, or "
        "have been measured after the opt-in, and would then take the effect away with it. Leave "
        "it out, or show with its time (--covariate-times) that it came first."
    )


def shown_early(problem: Problem) -> set[str]:
    """Covariates of which a timestamp or an earlier value is given."""
    options = problem.options
    return {*paired(options.covariate_times), *paired(options.pre_values)}


def late_covariates(problem: Problem) -> list[str]:
    """A sentence for each covariate that was measured after its user's opt-in."""
    options = problem.options
    if not options.covariate_times:
        return []
    rows = problem.treated == 1
    chosen = moments(problem.frame, str(options.treatment_time))
    known = rows & ~np.isnan(chosen)
    if not known.any():
        raise DataError(
            f"Column {options.treatment_time!r} holds no time for any row that opted in.",
            "Then nothing can be said about what came first.",
            "Name the column with each user's time of opting in.",
        )
    sentences = []
    for covariate, column in paired(options.covariate_times).items():
        measured = moments(problem.frame, column)
        late = np.flatnonzero(known & (measured > chosen))
        if late.size:
            first = int(late[0])
            sentences.append(
                f"{covariate!r} was measured after the opt-in in {late.size:,} of "
                f"{int(known.sum()):,} rows that opted in (for example {column} "
                f"{problem.frame[column].iloc[first]} against {options.treatment_time} "
                f"{problem.frame[options.treatment_time].iloc[first]})"
            )
    return sentences


def moments(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column of times as floats (dates and text dates in seconds), ``nan`` where empty."""
    values = frame[column]
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values.to_numpy(dtype=float)
    parsed = pd.to_datetime(values, errors="coerce", format="mixed", utc=True)
    wrong = parsed.isna() & values.notna()
    if wrong.any():
        raise DataError(
            f"Column {column!r} holds {int(wrong.sum()):,} values that aren't times (for example "
            f"{values[wrong].iloc[0]!r}).",
            "It must say when something happened.",
            "Write dates as 2025-03-31, or times as numbers.",
        )
    seconds = parsed.astype("datetime64[ns, UTC]").astype("int64").to_numpy(dtype=float) / 1e9
    return np.where(parsed.isna(), np.nan, seconds)


def changed_covariates(problem: Problem) -> list[str]:
    """A sentence for each covariate whose value isn't the one from before the opt-in."""
    sentences = []
    for covariate, earlier in paired(problem.options.pre_values).items():
        now, before = problem.frame[covariate], problem.frame[earlier]
        differ = np.flatnonzero((now != before).to_numpy())
        if differ.size:
            first = int(differ[0])
            sentences.append(
                f"{covariate!r} isn't {earlier!r} in {differ.size:,} of {problem.n:,} rows (for "
                f"example {now.iloc[first]} against {before.iloc[first]})"
            )
    return sentences


def moved_by_pre_values(
    problem: Problem, fit: Fit, build: Build
) -> tuple[float, np.ndarray] | None:
    """How far the answer moves with the earlier values, and the difference of influences.

    Where the estimator has no influence values (matching), weighting stands in for it.
    """
    options = problem.options
    earlier = paired(options.pre_values)
    swapped = prepare(
        dataclasses.replace(
            options,
            covariates=[earlier.get(name, name) for name in options.covariates],
            outcome_covariates=[earlier.get(name, name) for name in options.outcome_covariates]
            if options.outcome_covariates
            else None,
            covariate_times=None,
            treatment_time=None,
            pre_values=None,
            # The same columns as before, so that the same rows are dropped for missing values.
            extra_columns=(
                *options.extra_columns,
                *options.covariates,
                *paired(options.covariate_times).values(),
                *earlier.values(),
            ),
        )
    )
    if fit.influence is None:
        from noholdout_propensity.estimators.ipw import fit_ipw

        fit, build = fit_ipw(problem), fit_ipw
    # The outcome of a ratio metric is the linearised one.
    other = build(swapped.on(problem.outcome))
    if other.influence is None or fit.influence is None:
        return None
    return other.estimate - fit.estimate, other.influence - fit.influence
