"""Did every kind of user have a real chance of both choices?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from noholdout_shared.checks import Check, structural

from noholdout_propensity.kernels.balance import Bins, effective_size, is_binary
from noholdout_propensity.kernels.regions import Region, empty_regions
from noholdout_propensity.kernels.weighting import Estimand
from noholdout_propensity.problem import Problem

if TYPE_CHECKING:
    from noholdout_propensity.estimators.common import Fit

REACH = 0.25  # standard deviations of the score's logit
OUTSIDE_CAUTION, OUTSIDE_FAIL = 0.02, 0.10  # share of the target without a counterpart's score
EFFECTIVE_CAUTION, EFFECTIVE_FAIL = 0.10, 0.02  # effective over actual rows of an arm
EFFECTIVE_ROWS_FAIL = 10.0
LARGEST_CAUTION, LARGEST_FAIL = 0.05, 0.25  # one row's share of its arm's weight
ONE_ROW_CAUTION, ONE_ROW_FAIL = 0.25, 0.75  # one row's share of the squared influence
FAR_OUT = 10.0  # standard deviations from the mean
EMPTY_FAIL = 0.01  # share of the target in a box where the other arm has nobody

OVERLAP = "Every kind of user had a real chance of opting in, and of not."
SEPARATION = "No covariate decides the opt-in alone."
REGIONS = "No combination of covariates decides the opt-in."


def separation_check(separation: str) -> Check:
    """Whether the score model has a solution at all."""
    if not separation:
        return structural(
            "separation", SEPARATION, "pass", 0.0, "The score model has a finite solution."
        )
    return structural(
        "separation",
        SEPARATION,
        "fail",
        1.0,
        separation,
    )


def overlap_check(
    problem: Problem, fit: Fit, score: np.ndarray | None, arms: tuple[np.ndarray, np.ndarray]
) -> Check:
    """Score ranges, the target's mass outside the other arm's range, effective sample sizes.

    ``arms`` are the places of the kept rows of both.
    """
    used = [np.abs(fit.weights[arm]) for arm in arms]
    each = [problem.each(arm) for arm in arms]
    effective = [effective_size(part, rows) for part, rows in zip(used, each, strict=True)]
    counts = [problem.count(arm) for arm in arms]
    least = min(e / c for e, c in zip(effective, counts, strict=True))
    largest = max(
        float((part / rows).max() / part.sum()) for part, rows in zip(used, each, strict=True)
    )
    outside, ranges = 0.0, ""
    if score is not None:
        outside, ranges = outside_support(
            score, problem.sampling, arms, problem.estimand, problem.copies
        )
    moved = fit.settings.get("clipped_scores", 0)
    few = min(effective) < EFFECTIVE_ROWS_FAIL
    one = 0.0
    if fit.influence is not None and problem.copies is None:
        row = int(np.abs(fit.influence).argmax())
        total = float(fit.influence @ fit.influence)
        share = float(fit.influence[row] ** 2) / total if total > 0 else 0.0
        # Of ordinary rows it would pick out the runs with a large standard error, and leave as
        # sound those whose error is too small.
        one = share if share > ONE_ROW_CAUTION and stands_out(problem, row) else 0.0
    # No mean of the outcome lies outside its range, but for rounding; a model's prediction can.
    reach = (1 + 1e-9) * float(np.ptp(problem.outcome))
    beyond = problem.denominator is None and abs(fit.estimate) > reach
    strained = outside > OUTSIDE_CAUTION or least < EFFECTIVE_CAUTION or largest > LARGEST_CAUTION
    if (
        outside > OUTSIDE_FAIL
        or least < EFFECTIVE_FAIL
        or largest > LARGEST_FAIL
        or one > ONE_ROW_FAIL
        or few
        or beyond
    ):
        status = "fail"
    else:
        status = "caution" if strained or moved or one > ONE_ROW_CAUTION else "pass"
    found = (
        f"{ranges}{counts[0]:,} treated rows count as {effective[0]:,.0f} after weighting, "
        f"{counts[1]:,} control rows as {effective[1]:,.0f}; the heaviest row carries "
        f"{100 * largest:.2g}% of its arm."
    )
    if status == "fail":
        found = (
            f"No usable overlap. {found} Where one arm has nobody, the answer rests on the "
            "models alone. Ask for the overlap population (ATO), or trim and say whom it covers."
        )
    elif strained:
        found += " A few rows carry much of the answer: compare with ATO or a trimmed sample."
    if moved:
        clip = fit.settings["clip"]
        found += (
            f" {moved:,} scores beyond {clip:g} and {1 - clip:g} were moved there: such rows weigh "
            "less than their counterparts need, which is a bias that the interval doesn't know"
            + (" wherever the outcome model is wrong." if fit.adjusts_outcome else ".")
        )
    if one > ONE_ROW_CAUTION:
        found += (
            f" One row alone makes {100 * one:.0f}% of the squared error: an interval covers less "
            "often than it says then. Look at that row: an extreme outcome or covariate wants a "
            "logarithm, ranks or a cap."
        )
    if beyond:
        found += (
            " The effect is larger than the outcome's whole range: the models run beyond the data."
        )
    return structural("overlap", OVERLAP, status, least, found)  # type: ignore[arg-type]


def stands_out(problem: Problem, row: int) -> bool:
    """Whether a row lies far from the mean of the outcome or of some covariate."""
    for column in (problem.outcome, *problem.balance_values):
        apart = abs(float(column[row]) - float(column.mean()))
        if apart > FAR_OUT * float(column.std()) and not is_binary(column):
            return True
    return False


def outside_support(
    score: np.ndarray,
    sampling: np.ndarray,
    arms: tuple[np.ndarray, np.ndarray],
    estimand: Estimand,
    copies: np.ndarray | None = None,
) -> tuple[float, str]:
    """Share of the target that has no counterpart in the other arm; and the score ranges.

    A row has none when its score's logit lies beyond the other arm's range by more than a quarter
    of a standard deviation: the bare range depends on a single row at each end. ``arms`` are the
    places of both arms' rows.
    """
    scores = [score[arm] for arm in arms]
    indices = [_logit(part) for part in scores]
    both = np.concatenate(indices)
    if copies is None:
        reach = REACH * float(both.std())
    else:
        each = np.concatenate([copies[arm] for arm in arms])
        reach = REACH * float(np.sqrt(np.cov(both, aweights=each, ddof=0)))
    spans = [(float(index.min()), float(index.max())) for index in indices]
    wanted = {"att": (True, False), "atc": (False, True)}.get(estimand, (True, True))
    target = gone = 0.0
    for arm, part, index, (low, high), use in zip(
        arms, scores, indices, spans[::-1], wanted, strict=True
    ):
        if use:
            mass = sampling[arm] * (part * (1 - part) if estimand == "ato" else 1.0)
            target += float(mass.sum())
            gone += float(mass @ ((index < low - reach) | (index > high + reach)))
    share = gone / target
    (low1, high1), (low0, high0) = [(float(part.min()), float(part.max())) for part in scores]
    ranges = (
        f"Scores run from {low1:.3f} to {high1:.3f} (treated) and {low0:.3f} to {high0:.3f} "
        f"(control); {100 * share:.2g}% of the target lies beyond the other arm's reach. "
    )
    return share, ranges


def _logit(score: np.ndarray) -> np.ndarray:
    odds = np.clip(score, 1e-15, 1 - 1e-15)
    odds /= 1 - odds
    return np.log(odds, out=odds)


def regions_check(problem: Problem, bins: Bins, score: np.ndarray, kept: np.ndarray) -> Check:
    """Whether some box of the covariates holds target rows and nobody of the other arm."""
    estimand = problem.estimand
    regions = [
        region
        for region in empty_regions(bins, problem.treated, score, problem.copies)
        if estimand in ("ate", "ato") or region.everybody_in == (estimand == "att")
    ]
    target = {"att": problem.treated, "atc": 1 - problem.treated}.get(estimand, np.ones(problem.n))
    mass = problem.sampling * target * kept
    lost = np.zeros(problem.n, dtype=bool)
    for region in regions:
        lost |= region.members
    share = float(mass[lost].sum() / mass.sum())
    if not regions or share == 0:
        return structural(
            "empty_regions",
            REGIONS,
            "pass",
            0.0,
            "No box of covariates was found in which all rows made the same choice.",
        )
    first = regions[0]
    what = "opted in" if first.everybody_in else "stayed out"
    more = f", and {len(regions) - 1} more such boxes" if len(regions) > 1 else ""
    return structural(
        "empty_regions",
        REGIONS,
        "fail" if share > EMPTY_FAIL else "caution",
        share,
        f"All {problem.count(first.members):,} rows with {region_text(problem, first)} {what} (the "
        f"score expected {first.expected:,.0f} who didn't){more}: {100 * share:.2g}% of the "
        "target. For them the answer is made up by the model. Leave them out and say so.",
    )


def region_text(problem: Problem, region: Region) -> str:
    """A box in words: ``engagement_tier=heavy and query_confidence above 0.7``."""
    words = []
    for column, low, high in region.bounds:
        name = problem.balance_names[column]
        values = problem.balance_values[column]
        if np.isin(values, (0.0, 1.0)).all():
            words.append(name if low >= 0 else f"not {name}")
            continue
        parts = []
        if np.isfinite(low):
            parts.append(f"above {low:.3g}")
        if np.isfinite(high):
            parts.append(f"up to {high:.3g}")
        words.append(f"{name} {' and '.join(parts)}")
    return " and ".join(words)
