"""Is the density of the score continuous at the cutoff? Local polynomial density estimates.

Cattaneo, Jansson and Ma (2020, JASA 115:1449): the distribution function is fitted by a local
polynomial; its slope at the cutoff is the density there. Unrestricted, each side has a polynomial
of its own; restricted, both share the level and all higher terms, and only the slope may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from noholdout_shared.inference import two_sided_p

from noholdout_rdd.kernels.local import KERNELS, SparseWindow
from noholdout_rdd.kernels.side import Kernel, Side

Fit = Literal["unrestricted", "restricted"]
DensityVariance = Literal["jackknife", "plug-in"]
NODES, MASSES = np.polynomial.legendre.leggauss(24)  # exact for every polynomial met here


@dataclass(frozen=True)
class DensityJump:
    """Density just left and right of the cutoff.

    Parameters
    ----------
    density
        Left and right.
    covariance
        Of the two densities, shape ``(2, 2)``.
    bandwidths, n_effective
        Left and right; rows within the bandwidths.
    """

    density: tuple[float, float]
    covariance: np.ndarray
    bandwidths: tuple[float, float]
    n_effective: tuple[int, int]

    @property
    def difference(self) -> float:
        """Right minus left."""
        return self.density[1] - self.density[0]

    @property
    def std_error(self) -> float:
        """Standard error of the difference."""
        own, cross = np.trace(self.covariance), self.covariance[0, 1]
        return float(np.sqrt(own - 2 * cross))

    @property
    def statistic(self) -> float:
        """The difference over its standard error."""
        return self.difference / self.std_error

    @property
    def p_value(self) -> float:
        """Two-sided."""
        return two_sided_p(self.statistic)


@dataclass(frozen=True)
class DistributionFit:
    """A local polynomial fit of the distribution function.

    Parameters
    ----------
    coefficients
        In powers of the distance over the bandwidth. Unrestricted: shape ``(2, degree + 1)``, a
        row a side, the left one's distances mirrored. Restricted: ``(degree + 2,)``: level, slope
        left and right, then the terms that both sides share.
    slopes
        Densities left and right.
    covariance
        Jackknife covariance of the two densities, shape ``(2, 2)``.
    rows
        Rows within the bandwidth, left and right.
    """

    coefficients: np.ndarray
    slopes: np.ndarray
    covariance: np.ndarray
    rows: tuple[int, int]


def density_jump(
    sides: tuple[Side, Side],
    *,
    degree: int = 2,
    kernel: Kernel = "triangular",
    bandwidths: tuple[float, float] | None = None,
    fit: Fit = "unrestricted",
    variance: DensityVariance = "jackknife",
) -> DensityJump:
    """Estimate the density on both sides at the MSE-optimal bandwidths of ``degree``.

    The estimates use ``degree + 1``, so that the leading bias is gone (robust bias correction).
    """
    from noholdout_rdd.kernels.density_bandwidth import density_bandwidths

    h = bandwidths
    if h is None:
        h = density_bandwidths(sides, degree=degree, kernel=kernel, fit=fit, variance=variance)
    found = fit_distribution(sides, h, degree + 1, kernel, fit)
    covariance = found.covariance
    if variance == "plug-in":
        covariance = plug_in_covariance(sides, found.slopes, h, degree + 1, kernel, fit)
    left, right = found.slopes
    return DensityJump((float(left), float(right)), covariance, h, found.rows)


def fit_distribution(
    sides: tuple[Side, Side], h: tuple[float, float], degree: int, kernel: Kernel, fit: Fit
) -> DistributionFit:
    """Fit the distribution function within ``h``; the jackknife of CJM 2020, section 3.3."""
    windows = [side.within(width, kernel) for side, width in zip(sides, h, strict=True)]
    n = sides[0].rows + sides[1].rows
    bases, weights, outcomes = [], [], []
    for k, (side, width, rows) in enumerate(zip(sides, h, windows, strict=True)):
        if rows <= degree:
            raise SparseWindow(width, rows, degree + 1)
        u = side.distance[:rows] / width
        weights.append(KERNELS[kernel](u) * side.each(rows))
        mirrored = fit == "restricted" and k == 0
        bases.append(_basis(-u if mirrored else u, degree, fit))
        outcomes.append((_at_or_below(sides, k, rows) - 1) / (n - 1))
    weighted = [basis * weight for basis, weight in zip(bases, weights, strict=True)]
    grams = [w @ basis.T for w, basis in zip(weighted, bases, strict=True)]
    moments = [w @ y for w, y in zip(weighted, outcomes, strict=True)]
    if fit == "restricted":
        grams, moments = [sum(grams)] * 2, [sum(moments)] * 2
    for gram, width, rows in zip(grams, h, windows, strict=True):
        if np.linalg.cond(gram) > 1e14:
            raise SparseWindow(width, rows, degree + 1)
    inverses = [np.linalg.inv(gram) for gram in grams]
    coefficients = np.array([inv @ m for inv, m in zip(inverses, moments, strict=True)])
    # Rows of the two slopes' weights on the outcomes of each side.
    rows_of = _slope_rows(inverses, h, fit)
    scores = [rows_of[k] @ weighted[k] for k in (0, 1)]
    influence = [_influence(sides[k], scores[k], own=bool(k)) for k in (0, 1)]
    # A row counts in the distribution at its own score and above. A slope's weights add up to
    # nothing, so a row on the left matters by the rows strictly farther left (its sign is gone).
    spread = [(i * s.each(i.shape[1])) @ i.T for i, s in zip(influence, sides, strict=True)]
    covariance = sum(spread) / (n - 1) ** 2
    slopes = rows_of[0] @ moments[0] if fit == "restricted" else _own_slopes(coefficients, h)
    return DistributionFit(
        coefficients[0] if fit == "restricted" else coefficients,
        slopes,
        np.asarray(covariance),
        (sides[0].rows_in(windows[0]), sides[1].rows_in(windows[1])),
    )


def _own_slopes(coefficients: np.ndarray, h: tuple[float, float]) -> np.ndarray:
    return np.array([-coefficients[0, 1] / h[0], coefficients[1, 1] / h[1]])


def _slope_rows(
    inverses: Sequence[np.ndarray], h: tuple[float, float], fit: Fit
) -> tuple[np.ndarray, np.ndarray]:
    """For each side's rows: what maps its weighted basis to both slopes, shape ``(2, k)``."""
    if fit == "restricted":
        both = inverses[0][1:3] / h[0]
        return both, both
    zero = np.zeros(inverses[0].shape[0])
    return (
        np.vstack([-inverses[0][1] / h[0], zero]),
        np.vstack([zero, inverses[1][1] / h[1]]),
    )


def _basis(x: np.ndarray, degree: int, fit: Fit) -> np.ndarray:
    """Powers of ``x``; restricted with a slope for each sign of ``x`` in the power's place."""
    powers = [np.ones_like(x)]
    for _ in range(degree):
        powers.append(powers[-1] * x)
    if fit == "restricted":
        powers[1:2] = [np.minimum(x, 0), np.maximum(x, 0)]
    return np.vstack(powers)


def _at_or_below(sides: tuple[Side, Side], which: int, rows: int) -> np.ndarray:
    """How many rows have a score at or below each of the nearest rows of a side."""
    side, left = sides[which], sides[0].rows
    if which == 1:
        return np.asarray(left + side.edges[side.run_ends[:rows]])
    return np.asarray(left - side.edges[side.run_starts[:rows]])


def _influence(side: Side, scores: np.ndarray, *, own: bool) -> np.ndarray:
    """Sums of the scores of the rows farther from the cutoff; with ``own`` also of equally far."""
    rows = scores.shape[1]
    sums = np.zeros((scores.shape[0], rows + 1))
    np.cumsum(scores, axis=1, out=sums[:, 1:])
    at = side.run_starts[:rows] if own else side.run_ends[:rows]
    return np.asarray(sums[:, -1:] - sums[:, at])


def plug_in_covariance(
    sides: tuple[Side, Side],
    slopes: np.ndarray,
    h: tuple[float, float],
    degree: int,
    kernel: Kernel,
    fit: Fit,
) -> np.ndarray:
    """Covariance of the two densities in large samples (CJM 2020, theorem 1), shape ``(2, 2)``."""
    n = sides[0].rows + sides[1].rows
    if fit == "restricted":
        gram, meat = boundary_integrals(slopes[0], slopes[1], degree, kernel, fit)
        inverse = np.linalg.inv(gram)
        return np.asarray((inverse @ meat @ inverse)[1:3, 1:3] / (n * h[0]))
    gram, meat = boundary_integrals(0.0, 1.0, degree, kernel, fit)
    inverse = np.linalg.inv(gram)
    constant = (inverse @ meat @ inverse)[1, 1]
    return np.diag(constant * slopes / (n * np.array(h)))


def boundary_integrals(
    left: float, right: float, degree: int, kernel: Kernel, fit: Fit
) -> tuple[np.ndarray, np.ndarray]:
    """Gram matrix of the basis under two densities around 0, and the spread of its moments.

    With H the distribution function: ``int K r r' dH`` and ``int int K(u) K(v) r(u) r(v)'
    H(min(u, v)) dH(u) dH(v)``, u and v within [-1, 1].
    """
    pieces = [(-1.0, 0.0, left), (0.0, 1.0, right)]
    gram: np.ndarray | float = 0.0
    meat: np.ndarray | float = 0.0
    for low, high, mass in pieces:
        if mass == 0:
            continue
        x, w = _nodes(low, high)
        basis = _basis(x, degree, fit) * (KERNELS[kernel](np.abs(x)) * w * mass)
        gram = gram + basis @ _basis(x, degree, fit).T
        for at, outer in zip(x, basis.T, strict=True):
            inner: np.ndarray | float = 0.0
            cuts = sorted({-1.0, 0.0, 1.0, float(at)})
            for a, b in pairwise(cuts):
                density = left if a < 0 else right
                y, v = _nodes(a, b)
                lower = np.minimum(y, at)
                share = np.where(lower < 0, left, right) * lower
                inner = inner + _basis(y, degree, fit) @ (
                    KERNELS[kernel](np.abs(y)) * v * density * share
                )
            meat = meat + np.outer(outer, inner)
    return np.asarray(gram), np.asarray(meat)


def _nodes(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    half = (high - low) / 2
    return half * (NODES + 1) + low, half * MASSES
