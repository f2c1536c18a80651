"""Local polynomial fits on one side of a cutoff, as linear weights on the outcomes.

Every estimator here is linear in the outcome, so a fit is kept as its weights: an estimate is
``weights @ y`` and its variance ``sum((weights * residuals)^2)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from noholdout_rdd.kernels.neighbours import Neighbours, neighbour_residuals

Kernel = Literal["triangular", "uniform", "epanechnikov"]
Variance = Literal["nearest-neighbour", "hc0", "hc1", "hc2", "hc3"]
ClusterSums = Literal["apart", "joint"]

MATCHES = 3

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
class Side:
    """The rows on one side of the cutoff, nearest first.

    An entry is a row or, with ``count``, all rows of one score: then its value is their mean, and
    everything here is what the rows themselves would give.

    Parameters
    ----------
    distance
        Shape ``(n,)``: absolute distance to the cutoff, ascending.
    values
        Shape ``(m, n)``: the outcome, then the treatment and covariates where used.
    weights
        Sampling weights, shape ``(n,)``, or ``None``.
    clusters
        Cluster codes, shape ``(n,)``, or ``None``.
    count, spread
        Rows behind each entry, and their sum of squared deviations of ``values[0]`` from its
        mean, shape ``(n,)``; ``None`` when entries are rows. Not with several values, weights or
        clusters, and no distance stands twice.
    """

    distance: np.ndarray
    values: np.ndarray
    weights: np.ndarray | None = None
    clusters: np.ndarray | None = None
    count: np.ndarray | None = None
    spread: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of entries."""
        return int(self.distance.size)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.n if self.count is None else int(self.edges[-1])

    @cached_property
    def edges(self) -> np.ndarray:
        """Rows nearer than each entry, and behind all of them, shape ``(n + 1,)``."""
        if self.count is None:
            return np.arange(self.n + 1)
        return np.concatenate(([0], np.cumsum(self.count)))

    def rows_in(self, n: int) -> int:
        """Rows behind the ``n`` nearest entries."""
        return n if self.count is None else int(self.edges[n])

    def entry_of(self, row: int) -> int:
        """The entry that holds a row, both counted from 0."""
        return row if self.count is None else int(np.searchsorted(self.edges, row, "right")) - 1

    def quantile(self, share: float) -> float:
        """The distance within which ``share`` of the rows lie, linear between two rows."""
        place = (self.rows - 1) * share
        low = int(place)
        near, far = (self.distance[self.entry_of(min(k, self.rows - 1))] for k in (low, low + 1))
        return float(near + (far - near) * (place - low))

    def each(self, n: int) -> np.ndarray:
        """Rows behind each of the ``n`` nearest entries as floats."""
        return np.ones(n) if self.count is None else self.count[:n].astype(float)

    def scatter(self, n: int) -> np.ndarray:
        """Squared deviations behind each of the ``n`` nearest entries; zeros for rows."""
        return np.zeros(n) if self.spread is None else self.spread[:n]

    def part(self, chosen: slice, distance: np.ndarray | None = None) -> Side:
        """Some of the entries, in the slice's order; with other distances where given."""

        def cut(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[chosen]

        return Side(
            self.distance[chosen] if distance is None else distance,
            self.values[:, chosen],
            *(cut(v) for v in (self.weights, self.clusters, self.count, self.spread)),
        )

    @cached_property
    def by_score(self) -> Side:
        """All rows of one score as one entry; weights and clusters left out."""
        if self.different.size == self.n:
            return self
        code = np.cumsum(self._new_score) - 1
        y, each = self.values[0], self.each(self.n)
        count = np.bincount(code, weights=each)
        mean = np.bincount(code, weights=each * y) / count
        around = each * (y - mean[code]) ** 2 + self.scatter(self.n)
        spread = np.bincount(code, weights=around)
        return Side(self.different, mean[None], None, None, count.astype(np.int64), spread)

    @cached_property
    def _new_score(self) -> np.ndarray:
        """Where a distance differs from the one before, shape ``(n,)``."""
        first = np.empty(self.n, dtype=bool)
        first[:1] = True
        np.not_equal(self.distance[1:], self.distance[:-1], out=first[1:])
        return first

    @cached_property
    def different(self) -> np.ndarray:
        """The different distances, ascending."""
        return self.distance if self._new_score.all() else self.distance[self._new_score]

    @cached_property
    def run_starts(self) -> np.ndarray:
        """Index of the first row with each row's distance, shape ``(n,)``."""
        rows = np.arange(self.n)
        if self.different.size == self.n:
            return rows
        return np.maximum.accumulate(np.where(self._new_score, rows, 0))

    @cached_property
    def run_ends(self) -> np.ndarray:
        """One past the last row with each row's distance, shape ``(n,)``."""
        if self.different.size == self.n:
            return np.arange(1, self.n + 1)
        starts = np.flatnonzero(self._new_score)
        ends = np.append(starts[1:], self.n)
        return np.repeat(ends, ends - starts)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Neighbour residuals with all rows of the side at hand."""
        return neighbour_residuals(self.distance, self.values, MATCHES, self.count, self.spread)

    def with_values(self, values: np.ndarray, spread: np.ndarray | None = None) -> Side:
        """The same entries with other values, shape ``(m, n)``, and their ``spread``."""
        return Side(self.distance, values, self.weights, self.clusters, self.count, spread)

    def within(self, bandwidth: float, kernel: Kernel) -> int:
        """How many entries get a positive kernel weight."""
        edge: Literal["left", "right"] = "right" if kernel == "uniform" else "left"
        return int(np.searchsorted(self.distance, bandwidth, side=edge))

    def noise(self, n: int) -> np.ndarray:
        """Neighbour residuals with only the ``n`` nearest entries at hand, shape ``(m, n)``.

        Only rows near the far edge lose neighbours, so only those are matched again.
        """
        whole = self.neighbours
        if n == self.n:
            return whole.residuals
        cut = int(np.searchsorted(whole.reach[:n], n))
        if cut >= n:
            return whole.residuals[:, :n]
        start = cut
        for _ in range(MATCHES + 1):  # a row needs at most that many scores to its left
            if start == 0:
                break
            start = int(np.searchsorted(self.distance, self.distance[start - 1]))
        tail = self.part(slice(start, n))
        edge = neighbour_residuals(tail.distance, tail.values, MATCHES, tail.count, tail.spread)
        return np.concatenate((whole.residuals[:, :cut], edge.residuals[:, cut - start :]), axis=1)


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
    if np.linalg.cond(gram) <= 1e14:
        return np.linalg.inv(gram)
    # Where one score lies far beyond all others the powers only differ in size: bring them to one.
    size = np.sqrt(np.diag(gram))
    if not size.all():
        return None
    scaled = gram / np.outer(size, size)
    if np.linalg.cond(scaled) > 1e13:
        return None
    return np.linalg.inv(scaled) / np.outer(size, size)


def lower_degree(fit: LocalFit, degree: int) -> LocalFit:
    """The fit of a lower degree on the same rows and weights."""
    basis = fit.basis[: degree + 1]
    if np.linalg.cond(fit.inverse) <= 1e14:
        inverse = np.linalg.inv(np.linalg.inv(fit.inverse)[: degree + 1, : degree + 1])
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
