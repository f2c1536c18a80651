"""Bias-aware ("honest") inference for a local linear jump under a bound on curvature.

Armstrong and Kolesar (2018, Econometrica 86:655; 2020, Quantitative Economics 11:1): among all
curves whose second derivative stays within M on each side, the bias of a local linear estimate is
largest for a parabola, so the interval widens by that bias instead of estimating it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from noholdout_rdd.kernels.local import (
    DEFAULT,
    KERNELS,
    SparseWindow,
    Spec,
    covariate_mix,
    jump_variance,
    local_fit,
    residuals,
)
from noholdout_rdd.kernels.side import Kernel, Side

GRID_BINS = 1500  # bins of scores for the bandwidth search; means need no finer grid
LEAST_SCORES = 3


@dataclass(frozen=True)
class HonestJump:
    """A local linear jump with its largest possible bias.

    Parameters
    ----------
    estimate, std_error
        Right minus left, and its standard error.
    bias
        The largest absolute bias under the bound.
    smoothness
        The bound M on the second derivative on each side.
    bandwidth
        The bandwidth that minimises the worst-case mean squared error.
    weights
        Weights on the nearest rows, left (negative) and right.
    """

    estimate: float
    std_error: float
    bias: float
    smoothness: float
    bandwidth: float
    weights: tuple[np.ndarray, np.ndarray]
    n_effective: tuple[int, int]

    def interval(self, conf_level: float) -> tuple[float, float]:
        """Interval around the estimate that holds for every curve within the bound."""
        if not self.std_error > 0:
            return float("nan"), float("nan")
        half = bias_aware_critical(self.bias / self.std_error, conf_level) * self.std_error
        return self.estimate - half, self.estimate + half

    def p_value(self, offset: float = 0.0) -> float:
        """The largest p-value, over all curves within the bound, of a jump of ``-offset``."""
        if not self.std_error > 0:
            return float("nan")
        t = abs(self.estimate + offset) / self.std_error
        b = self.bias / self.std_error
        return float(special.ndtr(b - t) + special.ndtr(-b - t))


def bias_aware_critical(bias: float, conf_level: float) -> float:
    """The ``conf_level`` quantile of ``|N(bias, 1)|`` (AK 2018, equation 18)."""

    def missing(c: float) -> float:
        return float(special.ndtr(c - bias) - special.ndtr(-c - bias)) - conf_level

    return float(optimize.brentq(missing, 0.0, bias + 10.0, xtol=1e-12))


def smoothness_rule(sides: tuple[Side, Side]) -> float:
    """Rule of thumb for M: the largest second derivative of a quartic through each side.

    Armstrong and Kolesar (2020, section 3.4.1). It is a guess from the data, so that the interval
    is honest only for curves no rougher near the cutoff than such a quartic is anywhere.
    """
    found = []
    for side in sides:
        reach = float(side.distance[-1])
        degree = min(4, int(side.different.size) - 1)
        if degree < 2 or reach == 0:
            continue
        u = side.distance / reach
        basis = np.vander(u, degree + 1, increasing=True)
        root = np.sqrt(side.each(side.n) if side.weights is None else side.weights)
        curve = np.linalg.lstsq(basis * root[:, None], side.values[0] * root, rcond=None)[0]
        bend = np.polynomial.polynomial.polyder(curve, 2)
        # A quadratic's extremes lie at the ends or at its vertex.
        places = [0.0, 1.0]
        if degree == 4 and bend[2] != 0:
            places.append(float(np.clip(-bend[1] / (2 * bend[2]), 0, 1)))
        bent = np.polynomial.polynomial.polyval(np.array(places), bend)
        found.append(float(np.abs(bent).max()) / reach**2)
    if not found:
        raise SparseWindow(float(sides[0].distance[-1]), sides[0].rows, 3)
    return max(found)


@dataclass(frozen=True)
class _Grid:
    """The scores of one side in bins: distance, rows (or weights) and noise variance."""

    distance: np.ndarray
    rows: np.ndarray
    noise: float


def _grid(side: Side, within: float, mix: np.ndarray) -> _Grid:
    n = max(side.within(within, "uniform"), side.entry_of(min(side.rows, 20) - 1) + 1)
    each = side.each(n)
    noise = float(((each * (mix @ side.noise(n))) ** 2).sum() / each.sum())
    unique, counts = side.different, side.rows_of_score
    if unique.size > GRID_BINS:
        edges = np.linspace(0, unique[-1], GRID_BINS + 1)
        place = np.clip(np.searchsorted(edges, side.distance, side="right") - 1, 0, GRID_BINS - 1)
        counts = np.bincount(place, weights=side.count, minlength=GRID_BINS)
        unique = (edges[1:] + edges[:-1]) / 2
        unique, counts = unique[counts > 0], counts[counts > 0]
    return _Grid(unique, counts.astype(float), noise)


def _worst_case(grid: _Grid, h: float, kernel: Kernel) -> tuple[float, float]:
    """``|sum l x^2|`` and variance of the level at the cutoff, local linear within ``h``."""
    inside = grid.distance < h
    u = grid.distance[inside] / h
    if u.size < 2:
        return np.inf, np.inf
    kernel_weights = KERNELS[kernel](u)
    weights = kernel_weights * grid.rows[inside]
    s0, s1, s2 = weights.sum(), weights @ u, weights @ (u * u)
    det = s0 * s2 - s1 * s1
    if det <= 1e-12 * s0 * s2:
        return np.inf, np.inf
    per_row = kernel_weights * (s2 - s1 * u) / det
    rows = grid.rows[inside]
    bend = float(abs((per_row * rows) @ (u * u))) * h * h
    return bend, float((per_row**2) @ rows) * grid.noise


def honest_bandwidth(
    sides: tuple[Side, Side], smoothness: float, pilot: float, kernel: Kernel, mix: np.ndarray
) -> float:
    """The common bandwidth with the smallest worst-case mean squared error."""
    grids = [_grid(side, pilot, mix) for side in sides]
    low = max(float(g.distance[min(LEAST_SCORES, g.distance.size) - 1]) for g in grids) * 1.001
    high = max(float(g.distance[-1]) for g in grids) * 1.001

    def mse(log_h: float) -> float:
        parts = [_worst_case(g, float(np.exp(log_h)), kernel) for g in grids]
        bias = smoothness / 2 * sum(part[0] for part in parts)
        value = float(bias**2 + sum(part[1] for part in parts))
        # Under a uniform kernel this is a step function: rounding must not choose on a step.
        return float(f"{value:.11e}") if kernel == "uniform" else value

    tried = np.linspace(np.log(low), np.log(high), 20) if low < high else np.array([np.log(low)])
    values = np.array([mse(t) for t in tried])
    if not np.isfinite(values).any():
        raise SparseWindow(high, sides[0].rows, 2)
    best = int(np.nanargmin(np.where(np.isfinite(values), values, np.nan)))
    around = (tried[max(best - 1, 0)], tried[min(best + 1, tried.size - 1)])
    if around[0] == around[1]:
        return float(np.exp(tried[best]))
    refined = optimize.minimize_scalar(mse, bounds=around, method="bounded")
    at = refined.x if refined.fun <= values[best] else tried[best]
    return float(np.exp(at))


def honest_jump(
    sides: tuple[Side, Side],
    *,
    smoothness: float,
    pilot: float,
    spec: Spec = DEFAULT,
    bandwidth: float | None = None,
) -> HonestJump:
    """Estimate the jump in ``values[0]`` with its worst-case bias.

    Parameters
    ----------
    smoothness
        M, in units of the outcome per squared unit of the score.
    pilot
        The window whose neighbour residuals give the noise for the bandwidth search.
    bandwidth
        Given instead of chosen.
    """
    start = [local_fit(s, max(pilot, _least(s)), 1, spec.kernel) for s in sides]
    mix = covariate_mix(sides, start)
    h = bandwidth or honest_bandwidth(sides, smoothness, pilot, spec.kernel, mix)
    fits = [local_fit(side, h, 1, spec.kernel) for side in sides]
    mix = covariate_mix(sides, fits)
    estimate, bend = 0.0, 0.0
    weights, noise = [], []
    for sign, side, fit in zip((-1.0, 1.0), sides, fits, strict=True):
        row = fit.weights(0)
        weights.append(sign * row)
        estimate += sign * float(mix @ (side.values[:, : fit.n] @ row))
        noise.append(mix @ residuals(side, fit.n, fit, spec.variance))
        bend += float(abs(row @ side.distance[: fit.n] ** 2))
    return HonestJump(
        estimate,
        float(np.sqrt(jump_variance(sides, weights, noise, 1, spec.cluster_sums))),
        smoothness / 2 * bend,
        smoothness,
        h,
        (weights[0], weights[1]),
        (sides[0].rows_in(fits[0].n), sides[1].rows_in(fits[1].n)),
    )


def _least(side: Side) -> float:
    """A width that holds the nearest scores."""
    unique = side.different
    return float(unique[min(LEAST_SCORES, unique.size) - 1]) * 1.001
