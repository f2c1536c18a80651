"""What could be wrong at the cutoff, and what the data say about it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, HypothesisCheck, Status, judge, structural, untestable
from noholdout_shared.inference import interval, smallest_effect, two_sided_p
from noholdout_shared.render import effect_text, p_text

from noholdout_rdd.inference import Effect, difference, fit_effect
from noholdout_rdd.kernels.bandwidth import select_bandwidths
from noholdout_rdd.kernels.density import density_jump
from noholdout_rdd.kernels.jump import jump_pair
from noholdout_rdd.kernels.local import Side, SparseWindow, Spec
from noholdout_rdd.threshold_data import ThresholdData

DONUT_SHARE = 0.1  # share of the rows within h, nearest to the cutoff, that the donut leaves out
SWEEP = (0.5, 0.6, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)
PLACEBO_QUANTILES = (0.25, 0.5, 0.75)
PLACEBO_ROWS = 50  # rows on each side of a placebo cutoff
FEW_SCORES, SOME_SCORES = 5, 15  # different scores within h on one side


def run_checks(
    data: ThresholdData, effect: Effect, spec: Spec, *, fuzzy: bool, placebos: pd.DataFrame
) -> tuple[Check, ...]:
    """All checks: the tests as one family, then those judged by size, then what can't be tested."""
    tests: list[HypothesisCheck] = []
    skipped: list[Check] = []
    makers: tuple[tuple[str, str, Callable[[], HypothesisCheck]], ...] = (
        ("density", DENSITY_HOLDS, lambda: density_check(data, effect)),
        ("placebo_cutoffs", PLACEBO_HOLDS, lambda: placebo_check(data, placebos)),
        ("polynomial", POLYNOMIAL_HOLDS, lambda: polynomial_check(data, effect, spec)),
        ("bandwidth", BANDWIDTH_HOLDS, lambda: bandwidth_check(data, effect, spec, fuzzy)),
        ("donut", DONUT_HOLDS, lambda: donut_check(data, effect, spec)),
        ("covariates", COVARIATES_HOLD, lambda: covariate_check(data, effect, spec)),
    )
    for name, assumption, make in makers:
        if name == "covariates" and not data.covariate_names:
            continue
        try:
            tests.append(make())
        except SparseWindow as problem:
            skipped.append(
                untestable(
                    name,
                    assumption,
                    f"Not tested: within {problem.bandwidth:.4g} of the cutoff one side has too "
                    "few different scores.",
                )
            )
    judged = judge(tests, effect.robust_error)
    fixed = [distinct_scores(data, effect)]
    if data.treatment is not None:
        fixed.append(compliance(data, effect, fuzzy=fuzzy))
    return (*judged, *skipped, *fixed, other_changes(data, effect))


DENSITY_HOLDS = "Nobody can move their score across the cutoff on purpose."
PLACEBO_HOLDS = "The outcome runs smoothly where no rule switches."
POLYNOMIAL_HOLDS = "A straight line on each side describes the outcome near the cutoff."
BANDWIDTH_HOLDS = "The answer doesn't hang on how many rows around the cutoff are used."
DONUT_HOLDS = "The answer doesn't hang on the few rows right at the cutoff."
COVARIATES_HOLD = "Users just below and just above the cutoff are alike."
SCORES_HOLD = "The score takes enough different values near the cutoff."
COMPLIANCE_HOLDS = "The score alone decides who is treated."
OTHER_HOLDS = "Nothing else that moves the outcome switches at the cutoff."


def density_check(data: ThresholdData, effect: Effect) -> HypothesisCheck:
    """Density test of Cattaneo, Jansson and Ma (2020): do scores heap on one side?

    Implied bias: the surplus share of rows on the fuller side, times the outcome's standard
    deviation near the cutoff (those who moved differ from the others by one such deviation).
    """
    found = density_jump(data.sides)
    p_value = two_sided_p(found.statistic)
    low, high = sorted(max(f, 0.0) for f in found.density)
    share = (high - low) / high if high > 0 else 0.0
    near = np.concatenate(
        [s.values[0, :n] for s, n in zip(data.sides, effect.pair.n_h, strict=True)]
    )
    fuller = "at or above" if found.difference > 0 else "below"
    return HypothesisCheck(
        "density",
        DENSITY_HOLDS,
        found.statistic,
        p_value,
        share * float(near.std()) / abs(effect.first_stage),
        f"The density of {data.running} is {found.density[0]:.4g} just below the cutoff and "
        f"{found.density[1]:.4g} just above ({p_text(p_value)}).",
        f"Up to {share:.0%} of the rows just {fuller} it look moved there, and who moves isn't "
        "random. Find out who can see or set the score; try --donut.",
    )


def placebo_cutoffs(data: ThresholdData, spec: Spec, conf_level: float) -> pd.DataFrame:
    """The robust jump at cutoffs inside one side, where no rule switches."""
    rows = []
    for which, side in enumerate(data.sides):
        direction = 1 if which else -1
        for share in PLACEBO_QUANTILES:
            at = float(np.quantile(side.distance, share))
            near, far = _split(side, at)
            if min(near.n, far.n) < PLACEBO_ROWS:
                continue
            try:
                chosen = select_bandwidths((near, far), spec)
                pair = jump_pair((near, far), chosen.h, chosen.b, spec)
            except SparseWindow:
                continue
            jump = pair.corrected
            value = jump.estimate * direction * data.sign
            found = interval(value, jump.std_error, conf_level)
            rows.append(
                {
                    "cutoff": data.cutoff + direction * at,
                    "estimate": value,
                    "std_error": jump.std_error,
                    "conf_low": found.conf_low,
                    "conf_high": found.conf_high,
                    "p_value": found.p_value,
                }
            )
    columns = ["cutoff", "estimate", "std_error", "conf_low", "conf_high", "p_value"]
    return pd.DataFrame(rows, columns=columns).sort_values("cutoff", ignore_index=True)


def _split(side: Side, at: float) -> tuple[Side, Side]:
    """A side cut in two at a distance: the nearer part mirrored, so that both start at it."""
    k = int(np.searchsorted(side.distance, at))

    def part(rows: slice) -> Side:
        return Side(
            np.abs(side.distance[rows] - at),
            side.values[:, rows],
            None if side.weights is None else side.weights[rows],
            None if side.clusters is None else side.clusters[rows],
        )

    backwards = slice(k - 1, None, -1) if k else slice(0, 0)
    return part(backwards), part(slice(k, None))


def placebo_check(data: ThresholdData, placebos: pd.DataFrame) -> HypothesisCheck:
    """Is any placebo jump more than chance? Bonferroni over the placebo cutoffs.

    Implied bias: the root mean square of the placebo jumps, their sampling noise taken out.
    """
    tested = placebos[placebos["std_error"] > 0]
    if tested.empty:
        raise SparseWindow(float(data.left.distance[-1]), 0, 2)
    p_value = min(1.0, len(tested) * float(tested["p_value"].min()))
    excess = float((tested["estimate"] ** 2 - tested["std_error"] ** 2).mean())
    worst = tested.iloc[int(tested["p_value"].to_numpy().argmin())]
    return HypothesisCheck(
        "placebo_cutoffs",
        PLACEBO_HOLDS,
        float((tested["estimate"] / tested["std_error"]).abs().max()),
        p_value,
        float(np.sqrt(max(excess, 0.0))),
        f"The most suspicious of {len(tested)} placebo cutoffs is {worst['cutoff']:.4g}: jump "
        f"{effect_text(float(worst['estimate']), data.proportion)} ({p_text(p_value)} over all).",
        "Jumps where nothing switches say that the curve is rougher than the fit allows, or that "
        "other rules act there. Find out what happens at that score.",
    )


def _compare(
    name: str, assumption: str, effect: Effect, other: Effect, found: str, todo: str
) -> HypothesisCheck:
    value, error = difference(other, effect)
    if not error > 0:
        raise SparseWindow(max(other.h), 0, 2)
    p_value = two_sided_p(value / error)
    text = f"{found} ({p_text(p_value)})."
    return HypothesisCheck(name, assumption, value / error, p_value, value, text, todo)


def polynomial_check(data: ThresholdData, effect: Effect, spec: Spec) -> HypothesisCheck:
    """One degree more, at its own bandwidths: does the answer move by more than noise?"""
    richer = Spec(spec.degree + 1, spec.kernel, spec.variance)
    chosen = select_bandwidths(effect.sides, richer)
    other = _refit(effect, chosen.h, chosen.b, richer)
    names = {2: "quadratic", 3: "cubic", 4: "quartic"}
    word = names.get(richer.degree, f"degree-{richer.degree}")
    return _compare(
        "polynomial",
        POLYNOMIAL_HOLDS,
        effect,
        other,
        f"A {word} fit gives {effect_text(other.corrected, data.proportion)}",
        "The curve bends near the cutoff, so the answer depends on the fit. Prefer the honest "
        "interval, or a narrower bandwidth.",
    )


def _refit(effect: Effect, h: tuple[float, float], b: tuple[float, float], spec: Spec) -> Effect:
    """The effect with other bandwidths or another degree, on the same (linearised) outcome."""
    pair = jump_pair(effect.sides, h, b, spec)
    return Effect(
        pair,
        effect.sides,
        effect.sign,
        h,
        b,
        effect.offset,
        effect.first_stage,
        effect.first_stage_error,
    )


def bandwidth_check(
    data: ThresholdData, effect: Effect, spec: Spec, fuzzy: bool
) -> HypothesisCheck:
    """Half the bandwidths: does the answer move by more than noise?"""
    half = _refit(
        effect, (effect.h[0] / 2, effect.h[1] / 2), (effect.b[0] / 2, effect.b[1] / 2), spec
    )
    return _compare(
        "bandwidth",
        BANDWIDTH_HOLDS,
        effect,
        half,
        f"Half the bandwidth gives {effect_text(half.corrected, data.proportion)}",
        "The wide window mixes in rows that follow another curve. See the table sweep, and "
        "prefer the narrower bandwidth.",
    )


def donut_check(data: ThresholdData, effect: Effect, spec: Spec) -> HypothesisCheck:
    """Without the rows nearest to the cutoff: does the answer move by more than noise?"""
    holes = []
    for side, n in zip(effect.sides, effect.pair.n_h, strict=True):
        edge = side.distance[min(int(np.ceil(DONUT_SHARE * n)), side.n - 1)]
        holes.append(float(edge))
    hole = max(holes)
    sides = [_without(side, hole) for side in effect.sides]
    pair = jump_pair((sides[0], sides[1]), effect.h, effect.b, spec)
    padded = []
    for side, outer, weights in zip(effect.sides, sides, pair.corrected.weights, strict=True):
        padded.append(np.concatenate((np.zeros(side.n - outer.n), weights)))
    jump = type(pair.corrected)(
        (padded[0], padded[1]), pair.corrected.estimate, pair.corrected.variance
    )
    other = Effect(
        type(pair)(pair.conventional, jump, pair.mix, pair.n_h, pair.n_b),
        effect.sides,
        effect.sign,
        effect.h,
        effect.b,
        effect.offset,
    )
    return _compare(
        "donut",
        DONUT_HOLDS,
        effect,
        other,
        f"Without the rows within {hole:.3g} of the cutoff the effect is "
        f"{effect_text(other.corrected, data.proportion)}",
        "The rows at the cutoff behave unlike their neighbours: scores gamed, or rounded after "
        "the decision. Find out how the stored score is made; try --donut.",
    )


def _without(side: Side, hole: float) -> Side:
    k = int(np.searchsorted(side.distance, hole))
    return Side(
        side.distance[k:],
        side.values[:, k:],
        None if side.weights is None else side.weights[k:],
        None if side.clusters is None else side.clusters[k:],
    )


def covariate_check(data: ThresholdData, effect: Effect, spec: Spec) -> HypothesisCheck:
    """Does any covariate jump at the cutoff? Bonferroni over the covariates.

    Implied bias: the covariate's jump times its slope in the adjusted fit.
    """
    table = covariate_jumps(data, effect, spec)
    if table.empty:
        raise SparseWindow(max(effect.h), 0, 2)
    p_value = min(1.0, len(table) * float(table["p_value"].min()))
    worst = table.iloc[int(table["p_value"].to_numpy().argmin())]
    return HypothesisCheck(
        "covariates",
        COVARIATES_HOLD,
        float((table["estimate"] / table["std_error"]).abs().max()),
        p_value,
        float(table["implied_bias"].abs().max()),
        f"The largest jump of {len(table)} covariates at the cutoff is in "
        f"{worst['covariate']!r}: {worst['estimate']:+.3g} ({p_text(p_value)} over all).",
        "Users on the two sides differ already, so the jump in the outcome isn't the rule's "
        "alone. Find out what sorts them.",
    )


def covariate_jumps(data: ThresholdData, effect: Effect, spec: Spec) -> pd.DataFrame:
    """The robust jump of each covariate at the cutoff, at the effect's own bandwidths."""
    rows = []
    for k, name in enumerate(data.covariate_names, start=1):
        sides = [side.with_values(side.values[k : k + 1]) for side in data.sides]
        pair = jump_pair((sides[0], sides[1]), effect.h, effect.b, spec)
        jump = pair.corrected
        if not jump.std_error > 0:
            continue
        value = data.sign * jump.estimate
        rows.append(
            {
                "covariate": name,
                "estimate": value,
                "std_error": jump.std_error,
                "p_value": two_sided_p(value / jump.std_error),
                "implied_bias": -effect.pair.mix[k] * value,
            }
        )
    columns = ["covariate", "estimate", "std_error", "p_value", "implied_bias"]
    return pd.DataFrame(rows, columns=columns)


def distinct_scores(data: ThresholdData, effect: Effect) -> Check:
    """Are there enough different scores within h to tell the curve from the jump?"""
    counts = [
        int(np.unique(side.distance[:n]).size)
        for side, n in zip(data.sides, effect.pair.n_h, strict=True)
    ]
    least = min(counts)
    found = (
        f"Within the bandwidth the score takes {counts[0]:,} different values below and "
        f"{counts[1]:,} above the cutoff."
    )
    if least >= SOME_SCORES:
        return structural("distinct_scores", SCORES_HOLD, "pass", least, found)
    todo = (
        " With so few, the gap between the last score and the cutoff is bridged by assumption. "
        "Store the score unrounded, or widen the bandwidth."
    )
    status: Status = "fail" if least < FEW_SCORES else "caution"
    return structural("distinct_scores", SCORES_HOLD, status, least, found + todo)


def compliance(data: ThresholdData, effect: Effect, *, fuzzy: bool) -> Check:
    """Does the treatment received follow the rule within h?"""
    assert data.treatment is not None
    wrong, rows = 0, 0
    for k, (received, n) in enumerate(zip(data.treatment, effect.pair.n_h, strict=True)):
        ruled = float(k == data.treated_index)
        wrong += int((received[:n] != ruled).sum())
        rows += n
    share = wrong / rows
    found = f"{wrong:,} of {rows:,} rows within the bandwidth ({share:.1%}) break the rule."
    if wrong == 0:
        return structural("compliance", COMPLIANCE_HOLDS, "pass", 0.0, found)
    if not fuzzy:
        todo = (
            " The sharp answer is the effect of the rule as it was enforced, not of the treatment. "
            "Use --design fuzzy for the effect on those who follow the rule."
        )
        return structural("compliance", COMPLIANCE_HOLDS, "caution", share, found + todo)
    strength = (effect.first_stage / effect.first_stage_error) ** 2
    answer = (
        f" The rule moves the treatment by {100 * effect.first_stage:.1f} points (F = "
        f"{strength:,.0f}), and the fuzzy answer holds for those whom it moves."
    )
    if strength < 10:
        weak = " That is weak: the ratio is biased and its interval too narrow. Don't use it."
        return structural("compliance", COMPLIANCE_HOLDS, "fail", share, found + answer + weak)
    return structural("compliance", COMPLIANCE_HOLDS, "pass", share, found + answer)


def other_changes(data: ThresholdData, effect: Effect) -> Check:
    """What no data can say: another rule at the same cutoff."""
    needed = abs(effect.corrected) - 1.96 * effect.robust_error
    size = effect_text(max(needed, 0.0), data.proportion, signed=False)
    message = (
        f"A second rule that switches at {data.cutoff:g} looks exactly like the first. One worth "
        f"{size} would take the interval to zero. Ask who else uses this score."
        if needed > 0
        else f"A second rule that switches at {data.cutoff:g} looks exactly like the first, and "
        "could hide an effect too; the interval holds zero already. Ask who else uses this score."
    )
    return untestable("other_changes", OTHER_HOLDS, message, max(needed, 0.0))


def sweep(
    data: ThresholdData, effect: Effect, spec: Spec, conf_level: float, *, fuzzy: bool
) -> pd.DataFrame:
    """The robust effect over bandwidths from half to twice the chosen ones."""
    rows = []
    for factor in SWEEP:
        h = (effect.h[0] * factor, effect.h[1] * factor)
        b = (effect.b[0] * factor, effect.b[1] * factor)
        try:
            other = fit_effect(data, h, b, spec, fuzzy=fuzzy)
        except SparseWindow:
            continue
        found = interval(other.corrected, other.robust_error, conf_level)
        rows.append(
            {
                "factor": factor,
                "bandwidth": max(h),
                "estimate": other.corrected,
                "std_error": other.robust_error,
                "conf_low": found.conf_low,
                "conf_high": found.conf_high,
                "n_effective": sum(other.pair.n_h),
                "smallest_effect": smallest_effect(other.robust_error, conf_level),
            }
        )
    return pd.DataFrame(rows)
