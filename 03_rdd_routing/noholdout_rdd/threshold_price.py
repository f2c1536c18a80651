"""The price of the threshold: what moving the cutoff a little would change, and how far it may go.

The effect at the cutoff and the difference of the two slopes there give the average effect on those
whom a small move of the cutoff would switch (Dong and Lewbel 2015, REStat 97:1081). One of their
two curves is never seen beyond the cutoff: a bound on its bend says how far the line may be drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, Status, structural
from noholdout_shared.errors import DataError
from noholdout_shared.inference import critical_value

from noholdout_rdd.inference import Effect, outcome_sides
from noholdout_rdd.kernels.honest import bias_aware_critical, smoothness_rule
from noholdout_rdd.kernels.jump import jump_pair
from noholdout_rdd.kernels.local import Spec, local_fit, residuals
from noholdout_rdd.kernels.side import Side
from noholdout_rdd.pushdown import Pair
from noholdout_rdd.ratio import overall_ratio
from noholdout_rdd.threshold_data import ThresholdData

PER = 1000  # users that the changes are stated for
STEPS = (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5)
NOISE_GROWTH = 2.0  # the answer for movers may be at most so much noisier than at the cutoff

REACH_HOLDS = "A move of the cutoff stays where the data say what it would change."


@dataclass(frozen=True)
class Price:
    """What moving the cutoff would change, per 1,000 users.

    Parameters
    ----------
    table
        One row a new cutoff: ``cutoff``, ``step``, ``moved``; for the outcome and each cost
        ``<column>_change``, ``_low``, ``_high``; with a cost ``cost_per_extra``, ``_low``,
        ``_high`` (undefined when the outcome's change could be zero); ``within_reach``. The
        change of a ratio metric is that of the ratio over all users, and has no cost per extra.
    reach
        The largest move that the data allow.
    ratio
        The ratio over all users as it is now; ``nan`` for other outcomes.
    """

    table: pd.DataFrame
    reach: float
    ratio: float = float("nan")


@dataclass(frozen=True)
class _Curve:
    """One outcome's effect at the cutoff and its slope, as scores that sum to their noise."""

    effect: float
    slope: float
    effect_scores: np.ndarray
    slope_scores: np.ndarray
    bend: float
    df: float

    def average(self, shift: float) -> float:
        """Average effect on those between the cutoff and ``shift`` beyond it."""
        return self.effect + self.slope * shift / 2

    def scores(self, shift: float) -> np.ndarray:
        """Noise of the average, one value a cluster or row."""
        return self.effect_scores + self.slope_scores * shift / 2

    @cached_property
    def _moments(self) -> tuple[float, float, float]:
        level, steep = self.effect_scores, self.slope_scores
        return float(level @ level), float(level @ steep), float(steep @ steep)

    def std_error(self, shift: float) -> float:
        """Standard error of the average."""
        own, cross, slope = self._moments
        return float(np.sqrt(max(own + shift * cross + shift**2 / 4 * slope, 0.0)))

    def bias(self, shift: float) -> float:
        """Largest bias of the average: both lines bend by at most ``bend``."""
        return self.bend * shift**2 / 3

    def half_width(self, shift: float, conf_level: float) -> float:
        """Half of the average's interval, the bias counted."""
        # With few clusters the error counts as much larger as t is wider than the normal law.
        wider = critical_value(conf_level, self.df) / critical_value(conf_level)
        error, bias = wider * self.std_error(shift), self.bias(shift)
        return bias_aware_critical(bias / error, conf_level) * error if error > 0 else bias


def price_threshold(
    data: ThresholdData,
    effect: Effect,
    spec: Spec,
    *,
    costs: Mapping[str, tuple[np.ndarray, np.ndarray]],
    step: float,
    smoothness: float | None,
    conf_level: float,
) -> Price:
    """Price moves of the cutoff by one to five steps either way.

    Movers are counted in the data; intervals hold for users with these scores.

    Parameters
    ----------
    costs
        Cost columns, left and right in the sides' order; the first is divided by the outcome.
    step
        The smallest move, in units of the score.
    smoothness
        Bound on the outcome's second derivative; rule of thumb when ``None``, and for the costs.
    """
    own: Pair = (data.left.values[0], data.right.values[0])
    ratio, per = float("nan"), float(PER)
    if data.denominator is not None:
        ratio, own = overall_ratio(data)
        per = 1.0
    curves = {data.outcome: _curve(data, own, effect, spec, smoothness)}
    for name, pair in costs.items():
        curves[name] = _curve(data, pair, effect, spec, None)
    reach = _reach(curves[data.outcome], max(effect.h), conf_level)
    rows = []
    for k in STEPS:
        shift = k * step
        moved = _moved(data, shift)
        if moved == 0:
            continue
        # Raising a cutoff takes the treatment from movers when the side above is treated.
        direction = -data.sign * np.sign(shift)
        row = {"cutoff": data.cutoff + shift, "step": shift, "moved": PER * moved}
        for name, curve in curves.items():
            times = (per if name == data.outcome else PER) * moved * direction
            row |= _change(name, curve, shift, times, conf_level)
        if costs and data.denominator is None:
            cost = curves[next(iter(costs))]
            row |= _per_extra(curves[data.outcome], cost, shift, conf_level)
        row["within_reach"] = bool(abs(shift) <= reach * (1 + 1e-9))
        rows.append(row)
    if not rows:
        raise DataError(
            f"No row's score lies within {max(STEPS)} steps of {step:g} from the cutoff.",
            "A move that switches nobody has no price.",
            "Give a larger --step.",
        )
    return Price(pd.DataFrame(rows), reach, ratio)


def _curve(
    data: ThresholdData,
    pair: tuple[np.ndarray, np.ndarray],
    effect: Effect,
    spec: Spec,
    smoothness: float | None,
) -> _Curve:
    sides = outcome_sides(data, pair)
    jump = jump_pair(sides, effect.h, effect.b, spec)
    levels: list[np.ndarray] = []
    steeps: list[np.ndarray] = []
    slope = 0.0
    for side, weights, width in zip(sides, jump.corrected.weights, effect.b, strict=True):
        fit = local_fit(side, width, spec.degree + 1, spec.kernel)
        n = max(weights.size, fit.n)
        level, steep = np.zeros(n), np.zeros(n)
        level[: weights.size] = weights
        # Distances mirror the left side, so the difference of slopes is a sum.
        steep[: fit.n] = fit.weights(1)
        slope += float(jump.mix @ (side.values[:, :n] @ steep))
        noise = jump.mix @ residuals(side, n, fit, spec.variance)
        levels.append(level * noise)
        steeps.append(steep * noise)
    return _Curve(
        data.sign * jump.corrected.estimate,
        data.sign * slope,
        data.sign * _noise(sides, levels, spec),
        data.sign * _noise(sides, steeps, spec),
        smoothness_rule(sides) if smoothness is None else smoothness,
        effect.df,
    )


def _noise(sides: tuple[Side, Side], scores: list[np.ndarray], spec: Spec) -> np.ndarray:
    """Scores whose squares add up to a variance: a row's, a cluster's on each side or on both."""
    clusters = [
        side.clusters[: part.size]
        for side, part in zip(sides, scores, strict=True)
        if side.clusters is not None
    ]
    if not clusters:
        return np.concatenate(scores)
    if spec.cluster_sums == "joint":
        return _sums(np.concatenate(clusters), np.concatenate(scores))
    return np.concatenate([_sums(*pair) for pair in zip(clusters, scores, strict=True)])


def _sums(clusters: np.ndarray, scores: np.ndarray) -> np.ndarray:
    _, coded = np.unique(clusters, return_inverse=True)
    groups = int(coded.max()) + 1
    return np.bincount(coded, weights=scores) * np.sqrt(groups / max(groups - 1, 1))


def _moved(data: ThresholdData, shift: float) -> float:
    """Share of all users between the old and the new cutoff."""
    side = data.right if shift > 0 else data.left
    n = side.within(abs(shift), "triangular" if shift > 0 else "uniform")
    if side.weights is None:
        return n / data.n_obs
    total = sum(float(s.weights.sum()) for s in data.sides if s.weights is not None)
    return float(side.weights[:n].sum()) / total


def _reach(curve: _Curve, most: float, conf_level: float) -> float:
    """The largest move with a bias within the interval at the cutoff and bearable noise."""
    at_cutoff = curve.std_error(0.0)
    allowed = critical_value(conf_level, curve.df) * at_cutoff
    moves = np.linspace(0, most, 201)[1:]
    fine = [
        curve.bias(m) <= allowed
        and max(curve.std_error(m), curve.std_error(-m)) <= NOISE_GROWTH * at_cutoff
        for m in moves
    ]
    first_bad = int(np.argmin(fine)) if not all(fine) else len(fine)
    return float(moves[first_bad - 1]) if first_bad else 0.0


def _change(
    name: str, curve: _Curve, shift: float, times: float, conf_level: float
) -> dict[str, float]:
    half = curve.half_width(shift, conf_level)
    value = times * curve.average(shift)
    return {
        f"{name}_change": value,
        f"{name}_low": value - abs(times) * half,
        f"{name}_high": value + abs(times) * half,
    }


def _per_extra(outcome: _Curve, cost: _Curve, shift: float, conf_level: float) -> dict[str, float]:
    """Cost per unit of outcome with Fieller's interval; undefined when the outcome may be zero."""
    z = critical_value(conf_level, outcome.df)
    q, c = outcome.average(shift), cost.average(shift)
    own, other = outcome.scores(shift), cost.scores(shift)
    vqq, vcc, vcq = own @ own, other @ other, own @ other
    low = high = float("nan")
    a = q * q - z * z * vqq
    if a > 0:
        half_b = q * c - z * z * vcq
        inside = half_b**2 - a * (c * c - z * z * vcc)
        if inside >= 0:
            low, high = (float((half_b + s * np.sqrt(inside)) / a) for s in (-1, 1))
    return {
        "cost_per_extra": c / q if a > 0 else float("nan"),
        "cost_per_extra_low": low,
        "cost_per_extra_high": high,
    }


def default_step(data: ThresholdData) -> float:
    """0.01 for scores between 0 and 1, else a hundredth of the scores' range."""
    low = data.cutoff - float(data.left.distance[-1])
    high = data.cutoff + float(data.right.distance[-1])
    return 0.01 if low >= 0 and high <= 1 else (high - low) / 100


def reach_check(data: ThresholdData, price: Price, step: float, costs: tuple[str, ...]) -> Check:
    """How far the data allow the cutoff to be moved, and the price of the first step."""
    toward_treatment = price.table[price.table["step"] * data.sign < 0]
    table = toward_treatment if len(toward_treatment) else price.table
    row = table.iloc[int(table["step"].abs().to_numpy().argmin())]
    titles = {name: name for name in (data.outcome, *costs)}
    if data.denominator is not None:
        titles[data.outcome] += f" / {data.denominator_column} over all (now {price.ratio:.4g})"
    words = [
        f"{row[f'{name}_change']:+.3g} {title} ({row[f'{name}_low']:+.3g} to "
        f"{row[f'{name}_high']:+.3g})"
        for name, title in titles.items()
    ]
    extra = ""
    if costs and data.denominator is None:
        each = row["cost_per_extra"]
        extra = (
            f", or {each:.3g} {costs[0]} per extra {data.outcome}"
            if np.isfinite(each)
            else f"; the cost per extra {data.outcome} is undefined, as none may be gained"
        )
    found = (
        f"Moving the cutoff to {row['cutoff']:.4g} would switch {row['moved']:.1f} of {PER:,} "
        f"users: {', '.join(words)}{extra}."
    )
    allowed = (
        f" The data allow moves up to {price.reach:.3g}; beyond, the unseen curve may bend away or "
        "the slope is too noisy."
    )
    status: Status = "pass" if price.reach >= step * (1 - 1e-9) else "caution"
    return structural("price_reach", REACH_HOLDS, status, price.reach, found + allowed)
