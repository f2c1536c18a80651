"""MSE-optimal bandwidths for the density on both sides of a cutoff.

Cattaneo, Jansson and Ma (2018, Stata Journal 18:234, section 2.4): pilots from a normal reference
density, then estimated bias and variance.
"""

from __future__ import annotations

from functools import cache
from math import factorial, pi

import numpy as np
from numpy.polynomial.hermite_e import hermeval

from noholdout_rdd.kernels.density import (
    DensityVariance,
    DistributionFit,
    Fit,
    boundary_integrals,
    fit_distribution,
    plug_in_covariance,
)
from noholdout_rdd.kernels.local import SparseWindow
from noholdout_rdd.kernels.side import Kernel, Side

EXTRA_SCORES = 20  # different scores that a window must hold beyond the polynomial's own


def density_bandwidths(
    sides: tuple[Side, Side],
    *,
    degree: int = 2,
    kernel: Kernel = "triangular",
    fit: Fit = "unrestricted",
    variance: DensityVariance = "jackknife",
) -> tuple[float, float]:
    """The bandwidths that minimise the asymptotic mean squared error.

    Unrestricted: for each side the median of its own, the difference's and the sum's. Restricted:
    the smaller of the difference's and the sum's, on both sides.
    """
    p = degree
    n = sides[0].rows + sides[1].rows
    low, high = _limits(sides, p)
    for_bias, for_variance = _pilots(sides, p)
    wide = fit_distribution(sides, _clipped(for_bias, low, high), p + 2, kernel, fit)
    at = _clipped(for_variance, low, high)
    pilot = fit_distribution(sides, at, p, kernel, fit)
    covariance = pilot.covariance
    if variance == "plug-in":
        covariance = plug_in_covariance(sides, pilot.slopes, at, p, kernel, fit)
    width = np.sqrt(np.array(at))
    covariance = covariance * n * np.outer(width, width)
    bias = _biases(wide, pilot, _clipped(for_bias, low, high), p, kernel, fit)

    def optimal(v: float, b: float) -> float:
        return float((v / (2 * p * max(b * b, 1e-300) * n)) ** (1 / (2 * p + 1)))

    own, cross = np.diag(covariance), covariance[0, 1]
    pooled = [
        optimal(own.sum() - 2 * cross, bias[1] - bias[0]),
        optimal(own.sum() + 2 * cross, bias[1] + bias[0]),
    ]
    if fit == "restricted":
        chosen = min(max(min(pooled), *low), high)
        return chosen, chosen
    each = [optimal(float(v), b) for v, b in zip(own, bias, strict=True)]
    h = [min(max(float(np.median([each[k], *pooled])), low[k]), high) for k in (0, 1)]
    return h[0], h[1]


def _limits(sides: tuple[Side, Side], p: int) -> tuple[tuple[float, float], float]:
    """The narrowest window of each side, and the widest of all."""
    low = []
    for side in sides:
        unique = side.different
        if unique.size <= p + 3:
            raise SparseWindow(float(side.distance[-1]), unique.size, p + 4)
        low.append(float(unique[min(EXTRA_SCORES + p + 1, unique.size) - 1]) * (1 + 1e-9))
    return (low[0], low[1]), max(float(side.distance[-1]) for side in sides)


def _clipped(width: float, low: tuple[float, float], high: float) -> tuple[float, float]:
    return min(max(width, low[0]), high), min(max(width, low[1]), high)


def _pilots(sides: tuple[Side, Side], p: int) -> tuple[float, float]:
    """Windows for the bias's derivative and for the variance, as if scores were normal."""
    left, right = sides
    n = left.rows + right.rows
    near, far = (side.distance * side.each(side.n) for side in (left, right))
    total = float(far.sum() - near.sum())
    squares = float(far @ right.distance + near @ left.distance)
    mean = total / n
    sd = float(np.sqrt((squares - n * mean * mean) / (n - 1)))
    z = -mean / sd
    normal = np.exp(-z * z / 2) / np.sqrt(2 * pi)

    def pilot(order: int, power: int, hermite: int, numerator: float, rate: int) -> float:
        curve = float(hermeval(z, [0] * hermite + [1])) ** 2 * normal
        curve = max(curve, 1e-12)
        width = (numerator * _uniform_constant(order, power) / curve / n) ** (1 / rate)
        return float(width * sd)

    return (
        pilot(p + 2, p + 1, p + 2, (2 * p + 1) / 4, 2 * p + 5),
        pilot(p, 1, p, 1 / (2 * p), 2 * p + 1),
    )


@cache
def _uniform_constant(degree: int, power: int) -> float:
    """Variance over squared bias of a boundary derivative of a distribution, uniform kernel.

    The integrals of CJM (2020, section 3.1) over [0, 1], for unit density and derivative.
    """
    k = np.arange(degree + 1)
    gram = 1 / (k[:, None] + k[None, :] + 1)
    omitted = 1 / (k + degree + 2)
    i, j = k[:, None], k[None, :]
    meat = 1 / ((j + 2) * (i + j + 3)) + (1 / (i + 2) - 1 / (i + j + 3)) / (j + 1)
    inverse = np.linalg.inv(gram)
    variance = factorial(power) ** 2 * (inverse @ meat @ inverse)[power, power]
    bias = factorial(power) * (inverse @ omitted)[power] / factorial(degree + 1)
    return float(variance / bias**2)


def _biases(
    wide: DistributionFit,
    pilot: DistributionFit,
    widths: tuple[float, float],
    p: int,
    kernel: Kernel,
    fit: Fit,
) -> tuple[float, float]:
    """What the term of degree p + 1 adds to each density per unit of bandwidth to the p."""
    if fit == "restricted":
        # Shared terms begin after the level and the two slopes.
        term = float(wide.coefficients[p + 2]) / widths[0] ** (p + 1)
        left, right = (float(density) for density in pilot.slopes)
        basis, _ = boundary_integrals(left, right, p + 1, kernel, fit)
        constants = np.linalg.solve(basis[: p + 2, : p + 2], basis[: p + 2, p + 2])
        return term * float(constants[1]), term * float(constants[2])
    constant = _bias_constant(p, kernel)
    terms = [float(wide.coefficients[k, p + 1]) / widths[k] ** (p + 1) for k in (0, 1)]
    # A slope of mirrored distances has the other sign.
    return -constant * terms[0], constant * terms[1]


@cache
def _bias_constant(degree: int, kernel: Kernel) -> float:
    """What ``u**(degree + 1)`` adds to a boundary slope when the density is flat."""
    basis, _ = boundary_integrals(0.0, 1.0, degree + 1, kernel, "unrestricted")
    inner = basis[: degree + 1, : degree + 1]
    return float(np.linalg.solve(inner, basis[: degree + 1, degree + 1])[1])
