"""The effect at the cutoff: sharp or fuzzy, conventional, bias-corrected and robust."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from noholdout_shared.errors import DesignError
from noholdout_shared.inference import Interval, critical_value, interval

from noholdout_rdd.kernels.bandwidth import Bandwidths, Selector, select_bandwidths
from noholdout_rdd.kernels.honest import HonestJump, honest_jump, smoothness_rule
from noholdout_rdd.kernels.jump import Jump, JumpPair, fit_windows, jump_pair
from noholdout_rdd.kernels.local import OneCluster, SparseWindow, Spec, jump_variance, local_fit
from noholdout_rdd.kernels.side import Side
from noholdout_rdd.pushdown import Pair
from noholdout_rdd.threshold_data import ThresholdData

Inference = Literal["robust", "conventional", "honest"]

WEAK_FIRST_STAGE = 10.0  # F of the treatment's jump (Feir, Lemieux and Marmer 2016)


@dataclass(frozen=True)
class Effect:
    """The effect of the treated side's rule, its sign turned to treated minus not treated.

    Parameters
    ----------
    pair
        The two jumps (right minus left) in the outcome or, when fuzzy, in the linearised outcome
        ``(outcome - ratio * treatment) / first_stage``.
    sides
        The sides whose ``values[0]`` the jumps were taken of.
    offset
        Added to the jumps: the conventional ratio when fuzzy, else 0.
    first_stage, received
        Jump in the treatment received, and it bias-corrected; 1 and ``None`` when sharp.
    """

    pair: JumpPair
    sides: tuple[Side, Side]
    sign: int
    h: tuple[float, float]
    b: tuple[float, float]
    offset: float = 0.0
    first_stage: float = 1.0
    received: Jump | None = None

    @property
    def first_stage_error(self) -> float:
        """Robust standard error of the jump in the treatment received; 0 when sharp."""
        return 0.0 if self.received is None else self.received.std_error

    @property
    def rows_h(self) -> tuple[int, int]:
        """Rows within h, left and right."""
        left, right = (s.rows_in(n) for s, n in zip(self.sides, self.pair.n_h, strict=True))
        return left, right

    @property
    def rows_b(self) -> tuple[int, int]:
        """Rows within b, left and right."""
        left, right = (s.rows_in(n) for s, n in zip(self.sides, self.pair.n_b, strict=True))
        return left, right

    @property
    def df(self) -> float:
        """Degrees of freedom of a t distribution: by the clusters within h, else infinite."""
        return cluster_df(self.sides, self.pair.n_h)

    @property
    def conventional(self) -> float:
        """Local polynomial estimate."""
        return self.sign * (self.offset + self.pair.conventional.estimate) + 0.0

    @property
    def corrected(self) -> float:
        """Bias-corrected estimate."""
        return self.sign * (self.offset + self.pair.corrected.estimate) + 0.0

    def honest(self, found: HonestJump) -> float:
        """The effect that a bias-aware jump in the same outcome gives."""
        return self.sign * (self.offset + found.estimate) + 0.0

    @property
    def conventional_error(self) -> float:
        """Standard error of the conventional estimate."""
        return self.pair.conventional.std_error

    @property
    def robust_error(self) -> float:
        """Standard error of the bias-corrected estimate, the bias's own noise counted."""
        return self.pair.corrected.std_error


def cluster_df(sides: tuple[Side, Side], within: tuple[int, int]) -> float:
    """Degrees of freedom by the clusters among the nearest entries; infinite without any.

    All clusters less one where some lie on both sides, else those of the side with fewer less one
    (the least that Welch's formula can give). The normal law, which the reference implementation
    takes, covers 86 to 92% with four to twenty clusters on each side, this one 93 to 98%.
    """
    if sides[0].clusters is None or sides[1].clusters is None:
        return math.inf
    left, right = (
        np.unique(side.clusters[:n])
        for side, n in zip(sides, within, strict=True)
        if side.clusters is not None
    )
    shared = np.intersect1d(left, right).size
    count = left.size + right.size - shared if shared else min(left.size, right.size)
    return float(max(count - 1, 1))


def outcome_sides(data: ThresholdData, pair: Pair, spread: Pair | None = None) -> tuple[Side, Side]:
    """The sides with another outcome, covariates kept; its ``spread`` where entries are scores."""
    left, right = (
        side.with_values(np.vstack([value, side.values[1:]]), around)
        for side, value, around in zip(data.sides, pair, spread or (None, None), strict=True)
    )
    return left, right


def fit_effect(
    data: ThresholdData,
    h: tuple[float, float],
    b: tuple[float, float],
    spec: Spec,
    *,
    fuzzy: bool,
) -> Effect:
    """Estimate the effect at given bandwidths.

    Fuzzy: the ratio of the jumps in outcome and treatment, its bias and variance linearised
    (Calonico, Cattaneo and Titiunik 2014, section 3.2).
    """
    if not fuzzy:
        pair = jump_pair(data.sides, h, b, spec)
        return Effect(pair, data.sides, data.sign, h, b)
    assert data.treatment is not None
    windows = fit_windows(data.sides, h, b, spec)
    outcome = jump_pair(data.sides, h, b, spec, windows).conventional
    treated = outcome_sides(data, data.treatment, received_spread(data))
    received = jump_pair(treated, h, b, spec, windows)
    first = received.conventional.estimate
    _require_first_stage(data, first)
    ratio = outcome.estimate / first
    sides = outcome_sides(data, *_linearised(data, ratio, first))
    return Effect(
        jump_pair(sides, h, b, spec, windows),
        sides,
        1,  # the sign cancels in the ratio
        h,
        b,
        ratio,
        data.sign * first,
        received.corrected,
    )


def _linearised(data: ThresholdData, ratio: float, first: float) -> tuple[Pair, Pair | None]:
    """The outcome less ``ratio`` times the treatment, over ``first``; and its spread by score."""
    assert data.treatment is not None
    left, right = (
        (side.values[0] - ratio * received) / first
        for side, received in zip(data.sides, data.treatment, strict=True)
    )
    around = received_spread(data)
    if data.joint is None or around is None:
        return (left, right), None
    below, above = (
        np.maximum(side.scatter(side.n) - 2 * ratio * joint + ratio**2 * own, 0.0) / first**2
        for side, joint, own in zip(data.sides, data.joint, around, strict=True)
    )
    return (left, right), (below, above)


def received_spread(data: ThresholdData) -> Pair | None:
    """Squared deviations of the treatment within each score; ``None`` for rows."""
    if data.joint is None or data.treatment is None:
        return None
    left, right = (
        side.each(side.n) * share * (1 - share)
        for side, share in zip(data.sides, data.treatment, strict=True)
    )
    return left, right


def _require_first_stage(data: ThresholdData, first: float) -> None:
    if abs(first) < 1e-10:
        raise DesignError(
            f"{data.treatment_column!r} doesn't jump at the cutoff {data.cutoff:g}.",
            "Without a change in treatment there is no effect to divide by.",
            "Check the cutoff and the treatment column.",
        )


def choose_bandwidths(
    data: ThresholdData, spec: Spec, selector: Selector, *, fuzzy: bool
) -> Bandwidths:
    """Bandwidths for the outcome or, when fuzzy, for the outcome linearised at a pilot ratio."""

    def select(sides: tuple[Side, Side]) -> Bandwidths:
        return select_bandwidths(sides, spec, selector)

    found = select(data.sides)
    if not fuzzy:
        return found
    pilot = fit_effect(data, found.h, found.b, spec, fuzzy=True)
    return replace(select(pilot.sides), pilot=found.pilot)


def nearest_scores(data: ThresholdData, count: int) -> float:
    """The width that holds at least ``count`` different scores on each side.

    Raises
    ------
    DesignError
        One side has fewer.
    """
    width = 0.0
    for side, word in zip(data.sides, ("below", "at or above"), strict=True):
        unique = side.different
        if unique.size < count:
            raise DesignError(
                f"{data.running!r} takes {unique.size} different values {word} the cutoff "
                f"{data.cutoff:g}: too few different scores for the fit, which needs {count}.",
                "The answer would hang on the curve that is supposed between the scores.",
                "Store the score unrounded, or compare the groups by another method.",
            )
        width = max(width, float(unique[count - 1]))
    return 1.001 * width if width > 0 else 1.0


def difference(one: Effect, other: Effect, spec: Spec) -> tuple[float, float]:
    """Difference of two bias-corrected effects on the same rows, and its standard error."""
    a, b = one.pair.corrected, other.pair.corrected
    value = one.sign * (a.estimate - b.estimate)
    return value, float(np.sqrt(contrast_variance(a, b, one.sides, one.pair.mix, spec)))


def contrast_variance(
    one: Jump, other: Jump, sides: tuple[Side, Side], mix: np.ndarray, spec: Spec
) -> float:
    """Variance of the difference of two jumps on the same rows."""
    weights, noise = [], []
    for k, side in enumerate(sides):
        n = max(one.weights[k].size, other.weights[k].size)
        row = np.zeros(n)
        row[: one.weights[k].size] += one.weights[k]
        row[: other.weights[k].size] -= other.weights[k]
        weights.append(row)
        noise.append(mix @ side.noise(n))
    return jump_variance(sides, weights, noise, 0, spec.cluster_sums)


def implied_bias(effect: Effect, widths: tuple[float, float], degree: int, spec: Spec) -> Jump:
    """The corrected jump's bias if the curves were polynomials of a higher ``degree``.

    The estimate reproduces curves up to degree p + 1, so its bias is what its weights make of the
    higher terms; those are estimated within ``widths``, where they are told far better than at
    the bandwidths of the estimate.
    """
    weights, noise = [], []
    estimate = 0.0
    for side, own, width in zip(effect.sides, effect.pair.corrected.weights, widths, strict=True):
        fit = local_fit(side, width, degree, spec.kernel)
        u = side.distance[: own.size] / width
        row = np.zeros(fit.n)
        for power in range(spec.degree + 2, degree + 1):
            row += (own @ u**power) * width**power * fit.weights(power)
        weights.append(row)
        noise.append(effect.pair.mix @ side.noise(fit.n))
        estimate += float(effect.pair.mix @ (side.values[:, : fit.n] @ row))
    variance = jump_variance(effect.sides, weights, noise, 0, spec.cluster_sums)
    return Jump((weights[0], weights[1]), estimate, lambda: variance)


def fit_honest(effect: Effect, spec: Spec, smoothness: float | None) -> HonestJump | None:
    """The bias-aware jump at its own bandwidth; ``None`` when too few scores carry it.

    The bound on curvature follows from the rule of thumb unless it is given.
    """
    try:
        bound = smoothness_rule(effect.sides) if smoothness is None else smoothness
        return honest_jump(effect.sides, smoothness=bound, pilot=max(effect.h), spec=spec)
    except SparseWindow:
        return None


def honest_interval(effect: Effect, found: HonestJump, conf_level: float) -> Interval:
    """The bias-aware interval, its sign turned to treated minus not treated."""
    # With few clusters the error counts as much larger as t is wider than the normal law.
    wider = critical_value(conf_level, effect.df) / critical_value(conf_level)
    counted = replace(found, std_error=wider * found.std_error)
    low, high = counted.interval(conf_level)
    ends = sorted(effect.sign * (effect.offset + end) + 0.0 for end in (low, high))
    return Interval(found.std_error, ends[0], ends[1], counted.p_value(effect.offset))


def variants(effect: Effect, honest: HonestJump | None, conf_level: float) -> pd.DataFrame:
    """Conventional, bias-corrected (conventional error), robust and honest, one row each."""
    rows = []
    for name, value, error in (
        ("conventional", effect.conventional, effect.conventional_error),
        ("bias_corrected", effect.corrected, effect.conventional_error),
        ("robust", effect.corrected, effect.robust_error),
    ):
        found = interval(value, error, conf_level, effect.df)
        rows.append(
            {
                "variant": name,
                "estimate": value,
                "std_error": error,
                "conf_low": found.conf_low,
                "conf_high": found.conf_high,
                "p_value": found.p_value,
            }
        )
    if honest is not None:
        found = honest_interval(effect, honest, conf_level)
        rows.append({"variant": "honest", "estimate": effect.honest(honest), **vars(found)})
    columns = ["variant", "estimate", "std_error", "conf_low", "conf_high", "p_value"]
    return pd.DataFrame(rows, columns=columns)


def effect_interval(
    effect: Effect, honest: HonestJump | None, inference: Inference, conf_level: float
) -> Interval:
    """Interval of the estimator that ``inference`` names."""
    if inference == "honest" and honest is not None:
        return honest_interval(effect, honest, conf_level)
    if inference == "conventional":
        return interval(effect.conventional, effect.conventional_error, conf_level, effect.df)
    return interval(effect.corrected, effect.robust_error, conf_level, effect.df)


def require_clusters_near(effect: Effect) -> None:
    """Raise :class:`OneCluster` where a side has no standard error for want of clusters."""
    if math.isnan(effect.robust_error):
        raise OneCluster(max(effect.h), min(effect.rows_h), 2)


def refuse_sparse(cutoff: float, problem: SparseWindow) -> DesignError:
    """The error for a window that can't carry its polynomial, or has one cluster on a side."""
    if isinstance(problem, OneCluster):
        return DesignError(
            f"On one side of the cutoff {cutoff:g} all rows near it belong to one cluster.",
            "Rows of one cluster move together, so that side has no standard error.",
            "Widen --bandwidth, or name a cluster column with more groups near the cutoff.",
        )
    return DesignError(
        f"Within {problem.bandwidth:.4g} of the cutoff {cutoff:g} one side has "
        f"{problem.rows:,} rows, with too few different scores for a polynomial with "
        f"{problem.needed} coefficients.",
        "The fit at the cutoff isn't determined.",
        "Widen --bandwidth or lower --degree where you gave them, store the score unrounded, or "
        "collect more rows near the cutoff.",
    )
