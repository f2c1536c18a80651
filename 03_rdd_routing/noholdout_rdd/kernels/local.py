"""Local polynomial fits on one side of a cutoff, as linear weights on the outcomes.

Every estimator here is linear in the outcome, so a fit is kept as its weights: an estimate is
``weights @ y`` and its variance ``sum((weights * residuals)^2)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from noholdout_rdd.kernels.side import Kernel, Side

Variance = Literal["nearest-neighbour", "hc0", "hc1", "hc2", "hc3"]
ClusterSums = Literal["apart", "joint"]

KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "triangular": lambda u: 1.0 - u,
    "uniform": lambda u: np.full(u.shape, 0.5),
    "epanechnikov": lambda u: 0.75 * (1.0 - u * u),
}


@dataclass(frozen=True)
class Spec:
    """How to fit: degree of the polynomial, kernel, residuals for the variance.

    ``cluster_sums``: residuals summed within clusters on each side apart, or over both sides.
    """

    degree: int = 1
    kernel: Kernel = "triangular"
    variance: Variance = "nearest-neighbour"
    cluster_sums: ClusterSums = "apart"


DEFAULT = Spec()


@dataclass(frozen=True)
class LocalFit:
    """A weighted polynomial in ``u = distance / bandwidth`` through the ``n`` nearest rows.

    Parameters
    ----------
    basis
        Shape ``(degree + 1, n)``: powers of ``u``.
    kernel_weights
        Shape ``(n,)``, sampling weights and rows behind an entry included.
    inverse
        Shape ``(degree + 1, degree + 1)``: inverse of the weighted Gram matrix.
    """

    n: int
    bandwidth: float
    basis: np.ndarray
    kernel_weights: np.ndarray
    inverse: np.ndarray

    @property
    def degree(self) -> int:
        """Degree of the polynomial."""
        return self.basis.shape[0] - 1

    def weights(self, power: int) -> np.ndarray:
        """Weights on the outcomes that give the coefficient of ``distance**power``."""
        row = self.inverse[power] @ self.basis
        return row * self.kernel_weights / self.bandwidth**power

    def coefficients(self, values: np.ndarray) -> np.ndarray:
        """Coefficients in powers of ``u``, shape ``(degree + 1, m)``."""
        return self.inverse @ (self.basis @ (self.kernel_weights * values[:, : self.n]).T)

    def fitted(self, values: np.ndarray) -> np.ndarray:
        """Fitted values, shape ``(m, n)``."""
        return self.coefficients(values).T @ self.basis

    def leverage(self) -> np.ndarray:
        """Diagonal of the hat matrix, shape ``(n,)``."""
        return self.kernel_weights * np.einsum(
            "in,ij,jn->n", self.basis, self.inverse, self.basis, optimize=True
        )

    def leading_bias(self, power: int) -> float:
        """What ``u**(degree + 1)`` in the outcome adds to the coefficient of ``u**power``."""
        omitted = self.kernel_weights * self.basis[-1] * self.basis[1]
        return float(self.inverse[power] @ (self.basis @ omitted))


class SparseWindow(Exception):
    """A bandwidth holds too few different scores for the polynomial."""

    def __init__(self, bandwidth: float, rows: int, needed: int) -> None:
        super().__init__(bandwidth, rows, needed)
        self.bandwidth, self.rows, self.needed = bandwidth, rows, needed


class OneCluster(SparseWindow):
    """All rows of one side within a bandwidth belong to one cluster: it has no variance."""


def local_fit(side: Side, bandwidth: float, degree: int, kernel: Kernel) -> LocalFit:
    """Fit; raises :class:`SparseWindow` when the window can't carry the polynomial."""
    n = side.within(bandwidth, kernel)
    if n <= degree:
        raise SparseWindow(bandwidth, side.rows_in(n), degree + 1)
    u = side.distance[:n] / bandwidth
    weights = KERNELS[kernel](u)
    if side.weights is not None:
        weights = weights * side.weights[:n]
    if side.count is not None:
        weights = weights * side.count[:n]
    basis = np.empty((degree + 1, n))
    basis[0] = 1.0
    for power in range(1, degree + 1):
        np.multiply(basis[power - 1], u, out=basis[power])
    gram = (basis * weights) @ basis.T
    inverse = _inverse(gram)
    if inverse is None:
        raise SparseWindow(bandwidth, side.rows_in(n), degree + 1)
    return LocalFit(n, bandwidth, basis, weights, inverse)


def _inverse(gram: np.ndarray) -> np.ndarray | None:
    """The inverse, or ``None`` when the scores can't tell the powers apart."""
    inverse = _well_conditioned(gram)
    if inverse is not None:
        return inverse
    # Where one score lies far beyond all others the powers only differ in size: bring them to one.
    size = np.sqrt(np.diag(gram))
    if not size.all():
        return None
    scaled = gram / np.outer(size, size)
    if np.linalg.cond(scaled) > 1e13:
        return None
    return np.linalg.inv(scaled) / np.outer(size, size)


def _well_conditioned(matrix: np.ndarray) -> np.ndarray | None:
    """The inverse where the condition number is at most 1e14, else ``None``."""
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return None
    # The Frobenius norms bound the condition number; singular values are only needed near 1e14.
    bound = np.vdot(matrix, matrix) * np.vdot(inverse, inverse)
    if bound <= 1e24 or np.linalg.cond(matrix) <= 1e14:
        return np.asarray(inverse)
    return None


def lower_degree(fit: LocalFit, degree: int) -> LocalFit:
    """The fit of a lower degree on the same rows and weights."""
    basis = fit.basis[: degree + 1]
    gram = _well_conditioned(fit.inverse)
    if gram is not None:
        inverse = np.linalg.inv(gram[: degree + 1, : degree + 1])
    else:
        found = _inverse((basis * fit.kernel_weights) @ basis.T)
        if found is None:
            raise SparseWindow(fit.bandwidth, fit.n, degree + 1)
        inverse = found
    return LocalFit(fit.n, fit.bandwidth, basis, fit.kernel_weights, inverse)


def covariate_mix(sides: Sequence[Side], fits: Sequence[LocalFit]) -> np.ndarray:
    """How to mix the values so that the covariates are partialled out, shape ``(m,)``.

    ``(1, -gamma)`` with one gamma for all sides given, each side with its own polynomial
    (Calonico, Cattaneo, Farrell and Titiunik 2019, eq. 2). Values: the outcome, then covariates.
    """
    count = sides[0].values.shape[0]
    if count == 1:
        return np.ones(1)
    cross = np.zeros((count, count))
    for side, fit in zip(sides, fits, strict=True):
        values = side.values[:, : fit.n]
        projected = fit.basis @ (values * fit.kernel_weights).T
        cross += (values * fit.kernel_weights) @ values.T
        cross -= projected.T @ fit.inverse @ projected
    scale = np.sqrt(np.maximum(np.diag(cross)[1:], 1e-300))
    inner = cross[1:, 1:] / np.outer(scale, scale)
    gamma = np.linalg.lstsq(inner, cross[1:, 0] / scale, rcond=1e-10)[0] / scale
    return np.concatenate(([1.0], -gamma))


def residuals(side: Side, n: int, fit: LocalFit, variance: Variance) -> np.ndarray:
    """Residuals of the ``n`` nearest rows for a variance, shape ``(m, n)``.

    Nearest neighbour: no fit needed. HC0 to HC3: from ``fit``, scaled as MacKinnon and White
    (1985); rows beyond the fit's window get 0, as their weight is. An entry of several rows has
    the root of their sum of squares, over their number: times the entry's weight it is the root of
    what the rows add to the variance.
    """
    if variance == "nearest-neighbour":
        return side.noise(n)
    found = np.zeros((side.values.shape[0], n))
    raw = side.values[:, : fit.n] - fit.fitted(side.values)
    each, scale = side.each(fit.n), np.ones(fit.n)
    if variance == "hc2":
        scale = 1 / np.sqrt(np.maximum(1 - fit.leverage() / each, 1e-12))
    elif variance == "hc3":
        scale = 1 / np.maximum(1 - fit.leverage() / each, 1e-12)
    elif variance == "hc1":
        rows = side.rows_in(n)
        scale = np.full(fit.n, np.sqrt(rows / (rows - fit.degree - 1)))
    if side.count is not None:
        raw = np.sqrt(each * raw**2 + side.scatter(fit.n)) / each
    found[:, : fit.n] = raw * scale
    return found


def weights_variance(
    weights: np.ndarray, residual: np.ndarray, clusters: np.ndarray | None, degree: int
) -> float:
    """Variance of ``weights @ y``; sums within clusters take the rows' place where given.

    With clusters, the small-sample factor is ``(n - 1) / (n - degree - 1) * G / (G - 1)``.
    """
    scores = weights * residual
    if clusters is None:
        return float(scores @ scores)
    n = scores.size
    _, coded = np.unique(clusters[:n], return_inverse=True)
    sums = np.bincount(coded, weights=scores)
    groups = sums.size
    if groups < 2:
        return float("nan")
    return float((n - 1) / (n - degree - 1) * groups / (groups - 1) * (sums @ sums))


def jump_variance(
    sides: tuple[Side, Side],
    weights: Sequence[np.ndarray],
    residual: Sequence[np.ndarray],
    degree: int,
    cluster_sums: ClusterSums,
) -> float:
    """Variance of a jump: the sides' variances added, or clusters summed over both sides.

    A shock that a cluster has on both sides cancels in a jump; sums apart miss that.
    """
    left, right = sides
    if cluster_sums == "apart" or left.clusters is None or right.clusters is None:
        return sum(
            weights_variance(weight, noise, side.clusters, degree)
            for side, weight, noise in zip(sides, weights, residual, strict=True)
        )
    sizes = [weight.size for weight in weights]
    clusters = np.concatenate((left.clusters[: sizes[0]], right.clusters[: sizes[1]]))
    # Both sides' coefficients count in the small-sample factor.
    return weights_variance(
        np.concatenate(weights), np.concatenate(residual), clusters, 2 * degree + 1
    )
