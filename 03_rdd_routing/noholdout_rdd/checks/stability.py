"""Does the answer hang on the bandwidth, the polynomial, or the rows at the cutoff?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from noholdout_shared.checks import HypothesisCheck
from noholdout_shared.inference import interval, smallest_effect, two_sided_p
from noholdout_shared.render import effect_text, p_text

from noholdout_rdd.inference import (
    Effect,
    contrast_variance,
    difference,
    fit_effect,
    implied_bias,
)
from noholdout_rdd.kernels.bandwidth import select_bandwidths
from noholdout_rdd.kernels.honest import HonestJump
from noholdout_rdd.kernels.jump import Jump, jump_pair
from noholdout_rdd.kernels.local import SparseWindow, Spec
from noholdout_rdd.kernels.side import Side
from noholdout_rdd.threshold_data import ThresholdData

DONUT_SHARE = 0.1  # share of the rows within h, nearest to the cutoff, that the donut leaves out
WIDER, RICHER = 2.0, 4  # the richer curve's window in bias bandwidths, and its extra degrees
SWEEP = (0.5, 0.6, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)

POLYNOMIAL_HOLDS = "A straight line on each side describes the outcome near the cutoff."
BANDWIDTH_HOLDS = "The answer doesn't hang on how many rows around the cutoff are used."
DONUT_HOLDS = "The answer doesn't hang on the few rows right at the cutoff."
CURVATURE_HOLDS = "The curve bends no more near the cutoff than the bias correction allows for."


def _compare(
    name: str,
    assumption: str,
    effect: Effect,
    other: Effect,
    spec: Spec,
    found: str,
    todo: str,
) -> HypothesisCheck:
    value, error = difference(other, effect, spec)
    if not error > 0:
        raise SparseWindow(max(other.h), 0, 2)
    p_value = two_sided_p(value / error, effect.df)
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
        spec,
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
        effect.received,
    )


def bandwidth_check(data: ThresholdData, effect: Effect, spec: Spec) -> HypothesisCheck:
    """Half the bandwidths: does the answer move by more than noise?"""
    half = _refit(
        effect, (effect.h[0] / 2, effect.h[1] / 2), (effect.b[0] / 2, effect.b[1] / 2), spec
    )
    return _compare(
        "bandwidth",
        BANDWIDTH_HOLDS,
        effect,
        half,
        spec,
        f"Half the bandwidth gives {effect_text(half.corrected, data.proportion)}",
        "The wide window mixes in rows that follow another curve. See the table sweep, and "
        "prefer the narrower bandwidth.",
    )


def donut_check(data: ThresholdData, effect: Effect, spec: Spec) -> HypothesisCheck:
    """Without the rows nearest to the cutoff: does the answer move by more than noise?"""
    holes = []
    for side, n in zip(effect.sides, effect.rows_h, strict=True):
        edge = side.distance[side.entry_of(min(int(np.ceil(DONUT_SHARE * n)), side.rows - 1))]
        holes.append(float(edge))
    hole = max(holes)
    sides = [_without(side, hole) for side in effect.sides]
    pair = jump_pair((sides[0], sides[1]), effect.h, effect.b, spec)
    padded = []
    for side, outer, weights in zip(effect.sides, sides, pair.corrected.weights, strict=True):
        padded.append(np.concatenate((np.zeros(side.n - outer.n), weights)))
    jump = type(pair.corrected)(
        (padded[0], padded[1]), pair.corrected.estimate, pair.corrected.measure
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
        spec,
        f"Without the rows within {hole:.3g} of the cutoff the effect is "
        f"{effect_text(other.corrected, data.proportion)}",
        "The rows at the cutoff behave unlike their neighbours: scores gamed, or rounded after "
        "the decision. Find out how the stored score is made; try --donut.",
    )


def _without(side: Side, hole: float) -> Side:
    k = int(np.searchsorted(side.distance, hole))
    return side.beyond(k)


def curvature_check(
    data: ThresholdData, effect: Effect, spec: Spec, honest: HonestJump | None, conf_level: float
) -> HypothesisCheck:
    """Does the curve bend more than the bias correction allows for? Two looks, Bonferroni.

    The bias that a richer curve through a wider window implies, and the robust answer, which
    corrects the bias, against the honest one, which bounds it.
    """
    looks = [look for look in (_richer_curve(data, effect, spec),) if look is not None]
    if honest is not None:
        looks += _against_honest(data, effect, spec, honest, conf_level)
    if not looks:
        raise SparseWindow(max(effect.h), 0, 2)
    raw, value, error, _ = min(looks, key=lambda look: look[0])
    p_value = min(1.0, len(looks) * raw)
    return HypothesisCheck(
        "curvature",
        CURVATURE_HOLDS,
        value / error,
        p_value,
        value,
        f"{' '.join(look[3] for look in looks)} ({p_text(p_value)} over {len(looks)} looks).",
        "The curve is rougher near the cutoff than the bias correction takes it for. Use a "
        "narrower --bandwidth, or --inference honest with a --smoothness that you can defend.",
    )


Look = tuple[float, float, float, str]  # p-value, implied bias, its standard error, words


def _richer_curve(data: ThresholdData, effect: Effect, spec: Spec) -> Look | None:
    try:
        found = implied_bias(
            effect, (WIDER * effect.b[0], WIDER * effect.b[1]), spec.degree + RICHER, spec
        )
    except SparseWindow:
        return None
    if not found.std_error > 0:
        return None
    value = effect.sign * found.estimate
    words = (
        f"A curve of degree {spec.degree + RICHER} through {WIDER:g} times the bias bandwidth "
        f"says that the estimate is off by {effect_text(value, data.proportion)}."
    )
    return two_sided_p(value / found.std_error, effect.df), value, found.std_error, words


def _against_honest(
    data: ThresholdData, effect: Effect, spec: Spec, honest: HonestJump, conf_level: float
) -> list[Look]:
    jump = Jump(honest.weights, honest.estimate, lambda: honest.std_error**2)
    value = effect.sign * (effect.pair.corrected.estimate - honest.estimate)
    error = float(
        np.sqrt(contrast_variance(effect.pair.corrected, jump, effect.sides, effect.pair.mix, spec))
    )
    if not error > 0:
        return []
    low, high = sorted(effect.sign * (effect.offset + end) for end in honest.interval(conf_level))
    words = (
        f"The honest estimate is {effect_text(effect.honest(honest), data.proportion)}, its "
        f"interval {effect_text(low, data.proportion).removesuffix(' points')} to "
        f"{effect_text(high, data.proportion)}"
    )
    return [(two_sided_p(value / error, effect.df), value, error, words)]


def sweep(
    data: ThresholdData, effect: Effect, spec: Spec, conf_level: float, *, fuzzy: bool
) -> pd.DataFrame:
    """The robust effect over bandwidths from half to twice the chosen ones."""
    rows = []
    for factor in SWEEP:
        h = (effect.h[0] * factor, effect.h[1] * factor)
        b = (effect.b[0] * factor, effect.b[1] * factor)
        try:
            other = effect if factor == 1.0 else fit_effect(data, h, b, spec, fuzzy=fuzzy)
        except SparseWindow:
            continue
        found = interval(other.corrected, other.robust_error, conf_level, other.df)
        rows.append(
            {
                "factor": factor,
                "bandwidth": max(h),
                "estimate": other.corrected,
                "std_error": other.robust_error,
                "conf_low": found.conf_low,
                "conf_high": found.conf_high,
                "n_effective": sum(other.rows_h),
                "smallest_effect": smallest_effect(other.robust_error, conf_level, other.df),
            }
        )
    return pd.DataFrame(rows)
