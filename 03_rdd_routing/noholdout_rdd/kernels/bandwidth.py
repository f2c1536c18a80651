"""MSE- and CER-optimal bandwidths by direct plug-in.

Calonico, Cattaneo and Titiunik (2014, Econometrica, section 2.4 and supplement S.2) as revised in
Calonico, Cattaneo, Farrell and Titiunik (2017, Stata Journal; 2019, REStat) and, for coverage
error, Calonico, Cattaneo and Farrell (2020, Econometrics Journal).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from noholdout_rdd.kernels.local import (
    DEFAULT,
    LocalFit,
    OneCluster,
    SparseWindow,
    Spec,
    Variance,
    covariate_mix,
    local_fit,
    lower_degree,
    residuals,
    weights_variance,
)
from noholdout_rdd.kernels.side import Kernel, Side

Selector = Literal[
    "mserd",
    "msetwo",
    "msesum",
    "msecomb1",
    "msecomb2",
    "cerrd",
    "certwo",
    "cersum",
    "cercomb1",
    "cercomb2",
]
SELECTORS: tuple[Selector, ...] = get_args(Selector)

# Rule-of-thumb constants of the pilot window for a density, by kernel (Silverman-type).
PILOT = {"triangular": 2.576, "uniform": 1.843, "epanechnikov": 2.34}
REGULARISATION = 3.0  # on the variance of the estimated squared bias (CCT 2014, S.2.6)
MANY_TIES = 0.2  # share of rows that repeat another's score from which ties steer the pilot
LEAST_SCORES = 10  # different scores that a window then has to hold


@dataclass(frozen=True)
class Bandwidths:
    """Main (h) and bias (b) bandwidths, left and right of the cutoff."""

    h: tuple[float, float]
    b: tuple[float, float]
    pilot: float
    selector: str


@dataclass(frozen=True)
class _Stage:
    """Constants of the asymptotic MSE of one coefficient on one side."""

    variance: float
    bias: float
    regularisation: float


def select_bandwidths(
    sides: tuple[Side, Side], spec: Spec = DEFAULT, selector: Selector = "mserd"
) -> Bandwidths:
    """Choose h for the level at the cutoff and b for its bias.

    Three stages, each with the bandwidth of the one before: d for the derivative that drives the
    bias of b, b for the derivative that drives the bias of h, then h. ``values`` of each side
    hold the outcome, then covariates.
    """
    degree, kernel, variance = spec.degree, spec.kernel, spec.variance
    q = degree + 1
    left, right = sides
    limits = _Limits.of(left, right, kernel)
    pilot = limits.pilot
    wide = [local_fit(side, pilot, q + 1, kernel) for side in (left, right)]
    family = selector[3:]

    def stage(
        o: int, power: int, o_bias: int, at: tuple[float, float], penalise: bool
    ) -> tuple[_Stage, _Stage]:
        parts = [
            _stage(side, fit, o, power, o_bias, h_bias, kernel, variance, penalise)
            for side, fit, h_bias in zip(sides, wide, at, strict=True)
        ]
        return parts[0], parts[1]

    def choose(
        kind: str, o: int, power: int, o_bias: int, at: tuple[float, float], penalise: bool
    ) -> tuple[float, float]:
        found = stage(o, power, o_bias, at, penalise)
        return _optimal(found, kind, o, power, limits)

    def path(kind: str) -> tuple[tuple[float, float], tuple[float, float]]:
        edges = (_just_beyond(left.distance[-1]), _just_beyond(right.distance[-1]))
        try:
            d = choose(kind, q + 1, q + 1, q + 2, edges, False)
        except SparseWindow:  # a few scores far beyond all others; leave the last 1% out
            edges = (_just_beyond(left.quantile(0.99)), _just_beyond(right.quantile(0.99)))
            d = choose(kind, q + 1, q + 1, q + 2, edges, False)
        b = choose(kind, q, degree + 1, q + 1, d, True)
        return choose(kind, degree, 0, q, b, True), b

    if family in ("rd", "two", "sum"):
        h, b = path(family)
    else:
        one = [path("rd"), path("sum")]
        if family == "comb2":
            one.append(path("two"))
        merge = np.min if family == "comb1" else np.median
        h, b = (
            (
                float(merge([route[k][0] for route in one])),
                float(merge([route[k][1] for route in one])),
            )
            for k in (0, 1)
        )
    if selector.startswith("cer"):
        rows = left.rows + right.rows
        shrink = rows ** (-degree / ((3 + degree) * (3 + 2 * degree)))
        h = (h[0] * shrink, h[1] * shrink)
    return Bandwidths(h, b, pilot, selector)


@dataclass(frozen=True)
class _Limits:
    """The pilot window and the range that a bandwidth may take on each side."""

    pilot: float
    low: tuple[float, float]
    high: tuple[float, float]

    @staticmethod
    def of(left: Side, right: Side, kernel: Kernel) -> _Limits:
        unique = [side.different for side in (left, right)]
        ties = [1 - u.size / s.rows for u, s in zip(unique, (left, right), strict=True)]
        deviation = _deviation(left, right)
        between = _quantile(left, right, 0.75) - _quantile(left, right, 0.25)
        # None between the quartiles when more than half of all rows share one score.
        spread = min(deviation, between / 1.349) or deviation
        high = (float(left.distance[-1]), float(right.distance[-1]))
        different = unique[0].size + unique[1].size
        pilot = min(PILOT[kernel] * spread * different ** (-1 / 5), max(high))
        low = (0.0, 0.0)
        if max(ties) >= MANY_TIES:
            low = (
                _just_beyond(unique[0][min(LEAST_SCORES, unique[0].size) - 1]),
                _just_beyond(unique[1][min(LEAST_SCORES, unique[1].size) - 1]),
            )
            pilot = max(pilot, *low)
        return _Limits(pilot, low, high)


def _just_beyond(distance: float) -> float:
    """A width that holds the rows at a distance: 1e-8 more, or less where scores are tiny."""
    return float(distance) + min(1e-8, 1e-3 * float(distance))


def _deviation(left: Side, right: Side) -> float:
    """Standard deviation of the scores."""
    scores = ((-left.distance, left), (right.distance, right))
    rows = left.rows + right.rows
    mean = sum(float(x @ side.each(side.n)) for x, side in scores) / rows
    squares = sum(float((x - mean) ** 2 @ side.each(side.n)) for x, side in scores)
    return float(np.sqrt(squares / (rows - 1)))


def _quantile(left: Side, right: Side, share: float) -> float:
    """The score below which ``share`` of the rows lie; the middle of two where it falls between."""
    place = (left.rows + right.rows) * share
    ranks = [int(place) - 1, int(place)] if place == int(place) else [int(place)]
    found = [
        -left.distance[left.entry_of(left.rows - 1 - rank)]
        if rank < left.rows
        else right.distance[right.entry_of(rank - left.rows)]
        for rank in ranks
    ]
    return float(np.mean(found))


def _stage(
    side: Side,
    wide: LocalFit,
    o: int,
    power: int,
    o_bias: int,
    h_bias: float,
    kernel: Kernel,
    variance: Variance,
    penalise: bool,
) -> _Stage:
    """Variance and bias constants of the coefficient of ``distance**power``, degree ``o``."""
    fit = lower_degree(wide, o)
    mix = covariate_mix([side], [fit])
    noise = mix @ residuals(side, fit.n, fit, variance)
    clusters = side.clusters
    v = weights_variance(fit.weights(power), noise, clusters, o)
    if np.isnan(v):
        raise OneCluster(fit.bandwidth, side.rows_in(fit.n), 2)
    constant = fit.leading_bias(power)
    bias_fit = local_fit(side, h_bias, o_bias, kernel)
    bias_weights = bias_fit.weights(o + 1)
    derivative = float(mix @ (side.values[:, : bias_fit.n] @ bias_weights))
    factor = 2 * (o + 1 - power)
    penalty = 0.0
    if penalise:
        bias_noise = mix @ residuals(side, bias_fit.n, bias_fit, variance)
        bias_variance = weights_variance(bias_weights, bias_noise, clusters, o_bias)
        penalty = factor * REGULARISATION * constant**2 * bias_variance
    return _Stage(
        (2 * power + 1) * fit.bandwidth ** (2 * power + 1) * v,
        float(np.sqrt(factor)) * constant * derivative,
        penalty,
    )


def _optimal(
    found: tuple[_Stage, _Stage], kind: str, o: int, power: int, limits: _Limits
) -> tuple[float, float]:
    """The bandwidths that minimise the asymptotic MSE of the difference, the sum or each side."""
    rate = 1 / (2 * o + 3)
    left, right = found
    if kind == "two":
        pair = [_balance(s.variance, s.bias**2 + s.regularisation, rate) for s in found]
        clipped = [
            max(min(h, high), low)
            for h, high, low in zip(pair, limits.high, limits.low, strict=True)
        ]
        return clipped[0], clipped[1]
    # Distances mirror the left side, which flips the sign of its odd coefficients.
    mirrored = (-1) ** power * left.bias
    bias = right.bias - mirrored if kind == "rd" else right.bias + mirrored
    penalty = left.regularisation + right.regularisation
    h = _balance(left.variance + right.variance, bias**2 + penalty, rate)
    h = max(min(h, max(limits.high)), max(limits.low))
    return h, h


def _balance(variance: float, squared_bias: float, rate: float) -> float:
    """The width at which variance and squared bias balance; infinite without any bias."""
    return float((variance / squared_bias) ** rate) if squared_bias > 0 else float("inf")
