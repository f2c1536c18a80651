"""Does the answer hang on the bandwidth, the polynomial, or the rows at the cutoff?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from noholdout_rdd.kernels.bandwidth import Selector, select_bandwidths
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


@dataclass(frozen=True)
class _Look:
    """What another view of the same rows finds: a difference from zero means a bias somewhere.

    ``share`` of it counts as the bias of the estimate.
    """

    difference: float
    std_error: float
    words: str
    share: float = 1.0


def _other_answer(
    data: ThresholdData, effect: Effect, other: Effect, spec: Spec, how: str
) -> _Look:
    value, error = difference(other, effect, spec)
    return _Look(value, error, f"{how} gives {effect_text(other.corrected, data.proportion)}")


def _most_telling(
    name: str, assumption: str, effect: Effect, looks: Sequence[_Look], todo: str
) -> HypothesisCheck:
    """The look with the smallest p-value, Bonferroni over all that can be taken."""
    usable = [look for look in looks if look.std_error > 0]
    if not usable:
        raise SparseWindow(max(effect.h), 0, 2)
    tried = [two_sided_p(look.difference / look.std_error, effect.df) for look in usable]
    best = usable[int(np.argmin(tried))]
    p_value = min(1.0, len(usable) * min(tried))
    over = f" over {len(usable)} looks" if len(usable) > 1 else ""
    return HypothesisCheck(
        name,
        assumption,
        best.difference / best.std_error,
        p_value,
        best.share * best.difference,
        f"{'. '.join(look.words for look in usable)} ({p_text(p_value)}{over}).",
        todo,
    )


def polynomial_check(data: ThresholdData, effect: Effect, spec: Spec) -> HypothesisCheck:
    """One degree more, at its own bandwidths: does the answer move by more than noise?"""
    richer = Spec(spec.degree + 1, spec.kernel, spec.variance)
    chosen = select_bandwidths(effect.sides, richer)
    other = _refit(effect, chosen.h, chosen.b, richer)
    names = {2: "quadratic", 3: "cubic", 4: "quartic"}
    word = names.get(richer.degree, f"degree-{richer.degree}")
    return _most_telling(
        "polynomial",
        POLYNOMIAL_HOLDS,
        effect,
        [_other_answer(data, effect, other, spec, f"A {word} fit")],
        "The curve bends near the cutoff, so the answer depends on the fit. Prefer the honest "
        "interval, or a narrower bandwidth.",
    )


def _refit(effect: Effect, h: tuple[float, float], b: tuple[float, float], spec: Spec) -> Effect:
    """The effect with other bandwidths or another degree, on the same (linearised) outcome."""
    return replace(effect, pair=jump_pair(effect.sides, h, b, spec), h=h, b=b)


def bandwidth_check(
    data: ThresholdData, effect: Effect, spec: Spec, selector: Selector | None
) -> HypothesisCheck:
    """Does the answer hang on the bandwidths? Half of them and, unless they were given, one a side.

    A side whose own bandwidth is far wider sees a bend that the common one is too narrow to tell
    from a straight line. Either answer may be the one that is off: half of the gap is the bias.
    """
    half = _refit(effect, _times(0.5, effect.h), _times(0.5, effect.b), spec)
    looks = [_other_answer(data, effect, half, spec, "Half the bandwidth")]
    if selector is not None:
        looks += _own_bandwidths(data, effect, spec, selector)
    return _most_telling(
        "bandwidth",
        BANDWIDTH_HOLDS,
        effect,
        looks,
        "The wide window mixes in rows that follow another curve. See the table sweep, and prefer "
        "a narrower --bandwidth or --inference honest.",
    )


def _own_bandwidths(
    data: ThresholdData, effect: Effect, spec: Spec, selector: Selector
) -> list[_Look]:
    """The answer with bandwidths chosen for each side or, where those were asked, common ones."""
    try:
        if selector.endswith("two"):
            chosen = select_bandwidths(effect.sides, spec, "mserd")
            how = "One bandwidth for both sides"
        else:
            chosen = select_bandwidths(effect.sides, spec, "msetwo")
            how = "A bandwidth for each side"
        other = _refit(effect, chosen.h, chosen.b, spec)
    except SparseWindow:
        return []
    how += f" ({chosen.h[0]:.3g} below, {chosen.h[1]:.3g} above)"
    return [replace(_other_answer(data, effect, other, spec, how), share=0.5)]


def _times(factor: float, widths: tuple[float, float]) -> tuple[float, float]:
    return factor * widths[0], factor * widths[1]


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
    jump = replace(pair.corrected, weights=(padded[0], padded[1]))
    other = replace(effect, pair=replace(pair, corrected=jump))
    how = f"Leaving out the rows within {hole:.3g} of the cutoff"
    return _most_telling(
        "donut",
        DONUT_HOLDS,
        effect,
        [_other_answer(data, effect, other, spec, how)],
        "The rows at the cutoff behave unlike their neighbours: scores gamed, or rounded after "
        "the decision. Find out how the stored score is made; try --donut.",
    )


def _without(side: Side, hole: float) -> Side:
    k = int(np.searchsorted(side.distance, hole))
    return side.beyond(k)


def curvature_check(
    data: ThresholdData, effect: Effect, spec: Spec, honest: HonestJump | None, conf_level: float
) -> HypothesisCheck:
    """Does the curve bend more than the bias correction allows for?

    The bias that a richer curve through a wider window implies, and the robust answer, which
    corrects the bias, against the honest one, which bounds it.
    """
    looks = _richer_curve(data, effect, spec)
    if honest is not None:
        looks.append(_against_honest(data, effect, spec, honest, conf_level))
    return _most_telling(
        "curvature",
        CURVATURE_HOLDS,
        effect,
        looks,
        "The curve is rougher near the cutoff than the bias correction takes it for. Use a "
        "narrower --bandwidth, or --inference honest with a --smoothness that you can defend.",
    )


def _richer_curve(data: ThresholdData, effect: Effect, spec: Spec) -> list[_Look]:
    try:
        found = implied_bias(effect, _times(WIDER, effect.b), spec.degree + RICHER, spec)
    except SparseWindow:
        return []
    value = effect.sign * found.estimate
    words = (
        f"A curve of degree {spec.degree + RICHER} through {WIDER:g} times the bias bandwidth "
        f"says that the estimate is off by {effect_text(value, data.proportion)}"
    )
    return [_Look(value, found.std_error, words)]


def _against_honest(
    data: ThresholdData, effect: Effect, spec: Spec, honest: HonestJump, conf_level: float
) -> _Look:
    jump = Jump(honest.weights, honest.estimate, lambda: honest.std_error**2)
    corrected = effect.pair.corrected
    variance = contrast_variance(corrected, jump, effect.sides, effect.pair.mix, spec)
    low, high = sorted(effect.sign * (effect.offset + end) for end in honest.interval(conf_level))
    words = (
        f"The honest estimate is {effect_text(effect.honest(honest), data.proportion)}, its "
        f"interval {effect_text(low, data.proportion).removesuffix(' points')} to "
        f"{effect_text(high, data.proportion)}"
    )
    bias = effect.sign * (corrected.estimate - honest.estimate)
    return _Look(bias, float(np.sqrt(variance)), words)


def sweep(
    data: ThresholdData, effect: Effect, spec: Spec, conf_level: float, *, fuzzy: bool
) -> pd.DataFrame:
    """The robust effect over bandwidths from half to twice the chosen ones."""
    rows = []
    for factor in SWEEP:
        h, b = _times(factor, effect.h), _times(factor, effect.b)
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
