"""Checks of an uplift estimate: assignment, overlap, held-out scores, enough data, interference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from noholdout_shared.checks import (
    Check,
    HypothesisCheck,
    denominator_check,
    judge,
    structural,
    untestable,
)
from noholdout_shared.inference import Interval, smallest_effect
from noholdout_shared.render import effect_text, p_text

from noholdout_uplift.inference import group_effects, std_errors, weighted_means
from noholdout_uplift.kernels.aipw import aipw_scores
from noholdout_uplift.kernels.logit import fit_logit, score_test
from noholdout_uplift.own_score import OwnScore, observed_top_effect

if TYPE_CHECKING:
    from noholdout_uplift.options import Options
    from noholdout_uplift.preparation import Prepared
    from noholdout_uplift.ranking_steps import Judged, Judges, Ranked
    from noholdout_uplift.scored import Scored

THIN_OVERLAP = 0.05
NO_OVERLAP = 0.01
FEW_ROWS = 50  # with 39 a side intervals cover 94% of 500 simulations, with 19 of them 92%
TOO_FEW_ROWS = 20


def all_checks(
    ready: Prepared, ranked: Ranked, judged: Judged, naive: float, options: Options
) -> tuple[Check, ...]:
    """Every check of an estimate, the hypothesis tests as one family."""
    rows, top = ranked.rows, ranked.top * ranked.rows.weight
    proportion = ready.proportion
    effect, error = float(judged.headline.values[0]), judged.shown.std_error
    found: list[Check] = []
    if ready.assignment == "estimated":
        found.append(unmeasured_confounding(judged.shown, proportion, ready.names))
    else:
        assignment = randomised_assignment(ready, ranked.judges, ranked.top_everywhere, effect)
        found.extend(judge([assignment], error))
    gap_error = rows.drawn.std_error(judged.headline.psi[:, 0] - judged.metrics.psi[:, 0])
    average = float(rows.share @ rows.score) / rows.score.size
    held_out = (
        held_out_scores(effect, naive, proportion, options.fraction)
        if ready.own is None
        else own_held_out_scores(ready.own, effect, proportion, options)
    )
    return (
        *found,
        overlap(ranked.judges.propensity, ready.copies),
        held_out,
        enough_data(
            ranked.top if rows.drawn.copies is None else ranked.top * rows.drawn.copies,
            ready.treatment[ranked.used],
            options.fraction,
            float(rows.score @ top / top.sum()) - average,
            smallest_effect(gap_error, options.conf_level, rows.df),
            proportion,
            "The learner claims" if ready.own is None else "Read as an effect, the score claims",
        ),
        *_ratio_checks(ready, rows),
        no_interference(effect, proportion, options.treatment),
    )


def _ratio_checks(ready: Prepared, rows: Scored) -> tuple[Check, ...]:
    if ready.ratio is None or rows.below is None:
        return ()
    arms = np.column_stack([rows.below.control, rows.below.treated])
    means = weighted_means(arms, rows.weight)
    relative = std_errors(means, rows.drawn) / means.values
    return (denominator_check(float(relative.max()), ready.ratio.moved),)


def randomised_assignment(
    ready: Prepared, judges: Judges, top: np.ndarray, effect: float
) -> HypothesisCheck:
    """Do the features predict the treatment beyond its stated probability?

    A robust score test. The implied bias is the larger of two: what the headline would change by
    if the treatment's probability were the logit of the features instead, and what the features
    changed it by already, from the observed difference in the top group (``top``: membership of
    all rows) to the adjusted one. A coin that the features catch may follow more than they show,
    and what they leave is taken to be as large as what they took away (Altonji, Elder and Taber
    2005, JPE 113(1)).
    """
    mass = np.ones(top.size) if ready.weight is None else ready.weight
    chance, given = judges.propensity, ready.assignment == "given"
    residual = mass * (ready.treatment - chance)
    statistic, p_value, df = score_test(ready.matrix, residual, ready.drawn, given)
    fit = fit_logit(ready.matrix, ready.treatment, chance, mass)
    observed = observed_top_effect(ready.outcome, ready.treatment, chance, top * mass)
    unadjusted = abs(observed - effect)
    bias = math.inf
    if fit.converged:
        other = fit.predict(ready.matrix, chance)
        means = judges.means
        shifted = aipw_scores(
            ready.outcome, ready.treatment, other, means.control, means.treated
        ).effect
        shift = group_effects(shifted - judges.aipw.effect, (top * mass)[:, None])
        bias = max(abs(float(shift.values[0])), unadjusted)
    return HypothesisCheck(
        name="randomised_assignment",
        assumption="Treatment was assigned at random, with the probability stated.",
        statistic=statistic,
        p_value=p_value,
        bias=bias,
        found=f"Features {'predict' if p_value < 0.05 else 'do not predict'} the treatment "
        f"(chi-squared({df}) = {statistic:.1f}, {p_text(p_value)}). Adjusting for them moved the "
        f"answer by {effect_text(unadjusted, ready.proportion, signed=False)}.",
        todo="Users who got it differ from those who did not, and what no feature shows may move "
        "the answer as much again. Look for features recorded after the treatment, lost rows or "
        "a broken coin; if users chose, use --propensity estimate.",
    )


def unmeasured_confounding(shown: Interval, proportion: bool, features: Sequence[str]) -> Check:
    """With an estimated propensity, features that nobody recorded leave no trace."""
    nearest = max(shown.conf_low, -shown.conf_high, 0.0)
    return untestable(
        "unmeasured_confounding",
        "The features hold everything that drives both the treatment and the outcome.",
        f"The probability of treatment is estimated from {', '.join(features)}. An "
        f"unrecorded cause that makes the top group's treated differ by "
        f"{effect_text(nearest, proportion, signed=False)} from its untreated would bring the "
        "interval to zero.",
    )


def overlap(propensity: np.ndarray, copies: np.ndarray | None = None) -> Check:
    """Is there enough chance of each arm for everyone?"""
    least = np.minimum(propensity, 1 - propensity)
    thin, none = (
        float(np.average(least < limit, weights=copies)) for limit in (THIN_OVERLAP, NO_OVERLAP)
    )
    status = "fail" if none > 0.05 else "caution" if thin > 0.05 else "pass"
    low, high = propensity.min(), propensity.max()
    if low == high:
        message = f"Everyone's probability of treatment is {low:.3f}."
    else:
        message = (
            f"The probability of treatment lies between {low:.3f} and {high:.3f}; {thin:.1%} of "
            f"rows lie within {THIN_OVERLAP:g} of 0 or 1."
        )
    if status != "pass":
        message += " Few rows with large weights then decide; restrict to users who could get both."
    return structural(
        "overlap",
        "Every user could have been treated and could have been left out.",
        status,  # type: ignore[arg-type]
        float(least.min()),
        message,
    )


def held_out_scores(held_out: float, in_sample: float, proportion: bool, fraction: float) -> Check:
    """The ranking is judged on rows that didn't train it; how much that removes is said."""
    return structural(
        "held_out_scores",
        "The rows that judge the ranking took no part in making it.",
        "pass",
        in_sample - held_out,
        f"Each fold is ranked by a model of earlier folds. On the rows that trained the ranking "
        f"the top {fraction:.0%} would have shown {effect_text(in_sample, proportion)}; held out "
        f"it is {effect_text(held_out, proportion)}.",
    )


def own_held_out_scores(own: OwnScore, effect: float, proportion: bool, options: Options) -> Check:
    """Did the rows that judge the user's own score train it? Only the user can say."""
    assumption = "The rows that judge the ranking took no part in making it."
    top, judged = f"the top {options.fraction:.0%}", effect_text(effect, proportion)
    if own.trained == "unsaid":
        return untestable(
            "held_out_scores",
            assumption,
            f"These data can't show which rows trained {options.scores}. If these did, {top} owes "
            f"part of its {judged} to their luck, and a score of pure noise can look as good. Say "
            "which rows trained it with --trained-on, or pass rows that are newer than it.",
        )
    if own.trained == "all":
        return structural(
            "held_out_scores",
            assumption,
            "fail",
            float(own.n_trained),
            f"All {own.n_trained:,} rows trained {options.scores}. A score ranks its own training "
            f"rows by their luck too, so {judged} in {top} and every test of the ranking are too "
            "good. Pass rows that did not train it.",
        )
    message = "None of these rows trained the score."
    if own.n_trained:
        message = (
            f"The {own.n_trained:,} rows that trained {options.scores} do not judge it. On them "
            f"{top} shows {effect_text(own.in_sample, proportion)}; held out it is {judged}."
        )
    return structural("held_out_scores", assumption, "pass", own.in_sample - effect, message)


def enough_data(
    top: np.ndarray,
    treatment: np.ndarray,
    fraction: float,
    claimed_gap: float,
    findable_gap: float,
    proportion: bool,
    claims: str = "The learner claims",
) -> Check:
    """Are there enough users in both arms of the top group, and could the claimed gap be seen?"""
    counts = [float(top[treatment == arm].sum()) for arm in (0, 1)]
    smallest = min(counts)
    status = "fail" if smallest < TOO_FEW_ROWS else "caution" if smallest < FEW_ROWS else "pass"
    gap = effect_text(claimed_gap, proportion, signed=False)
    could = effect_text(findable_gap, proportion, signed=False)
    message = (
        f"The top {fraction:.0%} holds {counts[1]:,.0f} treated and {counts[0]:,.0f} untreated "
        f"evaluated rows. {claims} that it gains {gap} more than the average user; "
        f"these data could find {could} or more with 80% power."
    )
    if status != "pass":
        message += " With so few rows the interval's normal approximation is rough: collect more."
    elif not claimed_gap > findable_gap:
        message += " So finding no difference would be no proof that there is none."
    return structural(
        "enough_data",
        "There are enough data for the heterogeneity that the learner claims.",
        status,  # type: ignore[arg-type]
        smallest,
        message,
    )


def no_interference(estimate: float, proportion: bool, treatment: str) -> Check:
    """Spill-over between users leaves no trace in one row a user."""
    return untestable(
        "no_interference",
        "One user's treatment doesn't change another user's outcome.",
        f"These data can't show whether users with {treatment} = 0 were affected by the others. "
        f"A spill-over of {effect_text(abs(estimate), proportion, signed=False)} on the untreated "
        "of the top group would account for all of the effect.",
    )
