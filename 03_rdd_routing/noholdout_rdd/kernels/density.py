"""Is the density of the score continuous at the cutoff? Local polynomial density estimates.

Cattaneo, Jansson and Ma (2020, JASA 115:1449): the distribution function is fitted by a local
polynomial on each side; its slope at the cutoff is the density there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, pi

import numpy as np
from numpy.polynomial.hermite_e import hermeval

from noholdout_rdd.kernels.local import Kernel, Side, SparseWindow, local_fit

EXTRA_SCORES = 20  # different scores that a window must hold beyond the polynomial's own


@dataclass(frozen=True)
class DensityJump:
    """Density just left and right of the cutoff.

    Parameters
    ----------
    density, std_error
        Left and right.
    bandwidths
        Left and right.
    n_effective
        Rows within the bandwidths.
    """

    density: tuple[float, float]
    std_error: tuple[float, float]
    bandwidths: tuple[float, float]
    n_effective: tuple[int, int]

    @property
    def difference(self) -> float:
        """Right minus left."""
        return self.density[1] - self.density[0]

    @property
    def statistic(self) -> float:
        """The difference over its standard error (the sides are independent)."""
        return float(self.difference / np.hypot(*self.std_error))


@dataclass(frozen=True)
class _Slope:
    density: float
    variance: float
    n: int


def density_jump(
    sides: tuple[Side, Side],
    *,
    degree: int = 2,
    kernel: Kernel = "triangular",
    bandwidths: tuple[float, float] | None = None,
) -> DensityJump:
    """Estimate the density on both sides at the MSE-optimal bandwidths of ``degree``.

    The estimates use ``degree + 1``, so that the leading bias is gone (robust bias correction).
    """
    left, right = sides
    h = density_bandwidths(sides, degree=degree, kernel=kernel)
    if bandwidths is not None:
        h = bandwidths
    slopes = [_slope(left, right, k, h[k], degree + 1, kernel) for k in (0, 1)]
    return DensityJump(
        (slopes[0].density, slopes[1].density),
        (float(np.sqrt(slopes[0].variance)), float(np.sqrt(slopes[1].variance))),
        h,
        (slopes[0].n, slopes[1].n),
    )


def _distribution(left: Side, right: Side, which: int) -> np.ndarray:
    """Share of the other rows at or below each row's score, in the side's order."""
    n = left.n + right.n
    if which == 1:
        below = left.n + np.searchsorted(right.distance, right.distance, side="right")
    else:
        below = left.n - np.searchsorted(left.distance, left.distance, side="left")
    return (below - 1) / (n - 1)


def _slope(
    left: Side, right: Side, which: int, bandwidth: float, degree: int, kernel: Kernel
) -> _Slope:
    """Density at the cutoff from one side, with its jackknife variance (CJM 2020, section 3.3)."""
    side = (left, right)[which]
    fit = local_fit(Side(side.distance, side.distance[None]), bandwidth, degree, kernel)
    weights = fit.weights(1) * (1 if which else -1)
    density = float(weights @ _distribution(left, right, which)[: fit.n])
    # Row i counts in the distribution at every score at or above its own.
    inside = side.distance[: fit.n]
    sums = np.concatenate(([0.0], np.cumsum(weights)))
    if which == 1:
        influence = sums[-1] - sums[np.searchsorted(inside, inside, side="left")]
    else:
        influence = sums[np.searchsorted(inside, inside, side="right")]
    n = left.n + right.n
    return _Slope(density, float(influence @ influence) / (n - 1) ** 2, fit.n)


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


def _bias_constant(degree: int, kernel: Kernel) -> float:
    """What ``u**(degree + 1)`` adds to a boundary slope when the density is flat."""
    k = np.arange(2 * degree + 2)
    moments = {
        "triangular": 1 / (k + 1) - 1 / (k + 2),
        "uniform": 0.5 / (k + 1),
        "epanechnikov": 0.75 * (1 / (k + 1) - 1 / (k + 3)),
    }[kernel]
    i = np.arange(degree + 1)
    gram = moments[i[:, None] + i[None, :]]
    return float(np.linalg.solve(gram, moments[i + degree + 1])[1])


def density_bandwidths(
    sides: tuple[Side, Side], *, degree: int = 2, kernel: Kernel = "triangular"
) -> tuple[float, float]:
    """MSE-optimal bandwidths, each the median of its side's, the difference's and the sum's.

    Cattaneo, Jansson and Ma (2018, Stata Journal 18:234, section 2.4): pilots from a normal
    reference density, then estimated bias and variance.
    """
    left, right = sides
    n = left.n + right.n
    scores = np.concatenate((-left.distance, right.distance))
    sd = float(scores.std(ddof=1))
    z = -float(scores.mean()) / sd
    normal = np.exp(-z * z / 2) / np.sqrt(2 * pi)

    def pilot(order: int, power: int, hermite: int, numerator: float, rate: int) -> float:
        curve = float(hermeval(z, [0] * hermite + [1])) ** 2 * normal
        curve = max(curve, 1e-12)
        width = (numerator * _uniform_constant(order, power) / curve / n) ** (1 / rate)
        return float(width * sd)

    p = degree
    for_bias = pilot(p + 2, p + 1, p + 2, (2 * p + 1) / 4, 2 * p + 5)
    for_variance = pilot(p, 1, p, 1 / (2 * p), 2 * p + 1)
    constant = _bias_constant(p, kernel)
    high = max(float(left.distance[-1]), float(right.distance[-1]))
    bias, variance, low = [], [], []
    for which, side in enumerate((left, right)):
        needed = EXTRA_SCORES + p + 1
        unique = side.different
        if unique.size <= p + 3:
            raise SparseWindow(float(side.distance[-1]), unique.size, p + 4)
        low.append(float(unique[min(needed, unique.size) - 1]) * (1 + 1e-9))
        width = min(max(for_bias, low[-1]), high)
        fit = local_fit(Side(side.distance, side.distance[None]), width, p + 2, kernel)
        curve = float(fit.weights(p + 1) @ _distribution(left, right, which)[: fit.n])
        sign = 1 if which else (-1) ** p  # distances mirror the left side
        bias.append(sign * constant * curve)
        width = min(max(for_variance, low[-1]), high)
        variance.append(_slope(left, right, which, width, p, kernel).variance * n * width)

    def optimal(v: float, b: float) -> float:
        return float((v / (2 * p * max(b * b, 1e-300) * n)) ** (1 / (2 * p + 1)))

    both = sum(variance)
    pooled = [optimal(both, bias[1] - bias[0]), optimal(both, bias[1] + bias[0])]
    own = [optimal(v, b) for v, b in zip(variance, bias, strict=True)]
    h = [min(max(float(np.median([own[k], *pooled])), low[k]), high) for k in (0, 1)]
    return h[0], h[1]
