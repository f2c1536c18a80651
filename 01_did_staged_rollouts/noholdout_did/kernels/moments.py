"""Sums within (cluster, cohort, period): all that estimates without covariates need.

Every parameter here has an influence that is linear in a cluster's sums. So the covariance of any
number of parameters follows from one Gram matrix a cohort, and no (units x parameters) array is
ever formed for a large panel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# Above this many clusters, their features aren't kept: the Gram matrices are enough.
KEEP_FEATURES = 5_000


@dataclass(frozen=True)
class Moments:
    """Sufficient statistics of a rollout. C cohorts, T periods, P features a cluster.

    Parameters
    ----------
    launch
        Index of each cohort's first treated period, shape ``(C,)``, ascending; T is never.
    mean, weight
        Weighted mean outcome and total weight by cohort and period, shape ``(C, T)``.
    gram
        One ``(P, P)`` matrix a part, ``features.T @ features``.
    features
        One ``(G_c, P)`` array a part, or ``None`` when there are too many clusters.
    members
        Cluster codes of the features' rows, one array a part.
    share_features
        Shape ``(P,)``: a cluster's weight in its cohort as a combination of its features.
    part_sizes
        Number of clusters in each part, shape ``(C,)``.
    n_clusters
        Number of different clusters.
    nested
        Whether every cluster lies within one cohort. Otherwise clusters are put together before
        they are squared.
    """

    launch: np.ndarray
    mean: np.ndarray
    weight: np.ndarray
    gram: tuple[np.ndarray, ...]
    features: tuple[np.ndarray, ...] | None
    members: tuple[np.ndarray, ...]
    share_features: np.ndarray
    part_sizes: np.ndarray
    n_clusters: int
    nested: bool

    @property
    def n_periods(self) -> int:
        return int(self.mean.shape[1])

    def cohort_of(self, launch: np.ndarray) -> np.ndarray:
        """Cohort codes of rows, given their launches; a lookup is faster than a search."""
        place = np.zeros(int(self.launch.max(initial=0)) + 1, dtype=np.int64)
        place[self.launch] = np.arange(len(self.launch))
        return place[launch]

    @property
    def shares(self) -> np.ndarray:
        """Each cohort's share of the total weight, shape ``(C,)``."""
        total = self.weight.sum(axis=1)
        return total / total.sum()


def moments(
    y: np.ndarray,
    period: np.ndarray,
    launch: np.ndarray,
    n_periods: int,
    cluster: np.ndarray | None,
    weights: np.ndarray | None,
    copies: np.ndarray | None = None,
    spread: np.ndarray | None = None,
) -> Moments:
    """Collect the sums.

    ``copies`` and ``spread``: rows behind each entry and their sum of squared deviations from its
    mean, shape ``(n,)``; without them entries are rows.

    Features of a cluster are its 2T sums: residuals from the cohort's period mean (the first T),
    and weights (the last T).
    """
    # Launches are small codes, so counting them is much faster than sorting the rows.
    present = np.bincount(launch) > 0
    cohorts = np.flatnonzero(present)
    cohort = (np.cumsum(present) - 1)[launch]
    if cluster is None:
        return _independent_rows(y, period, cohort, cohorts, n_periods, weights, copies, spread)
    if weights is None:
        weights = copies
    n_clusters = int(cluster.max()) + 1
    block, block_cluster, block_cohort = blocks(cluster, cohort, n_clusters)
    total, weight = _block_sums(y, period, block, len(block_cluster), n_periods, weights)
    mean = np.empty((len(cohorts), n_periods))
    cohort_weight = np.empty_like(mean)
    gram, features, members = [], [], []
    keep = len(block_cluster) <= KEEP_FEATURES or len(block_cluster) > n_clusters
    for c in range(len(cohorts)):
        rows = np.flatnonzero(block_cohort == c)
        w_c = weight[rows]
        r_c = total[rows]
        cohort_weight[c] = w_c.sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean[c] = r_c.sum(axis=0) / cohort_weight[c]
        r_c -= w_c * np.nan_to_num(mean[c])
        gram.append(_gram(r_c, w_c))
        members.append(block_cluster[rows])
        if keep:
            features.append(np.hstack([r_c, w_c]))
    return Moments(
        launch=cohorts,
        mean=mean,
        weight=cohort_weight,
        gram=tuple(gram),
        features=tuple(features) if keep else None,
        members=tuple(members),
        share_features=np.repeat([0.0, 1.0], n_periods),
        part_sizes=np.array([len(m) for m in members]),
        n_clusters=n_clusters,
        nested=len(block_cluster) == n_clusters,
    )


def _block_sums(
    y: np.ndarray,
    period: np.ndarray,
    block: np.ndarray,
    n_blocks: int,
    n_periods: int,
    weights: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sums of the outcome, and weights, by block and period, ``(n_blocks, T)`` each."""
    size = n_blocks * n_periods
    cell = block * n_periods + period
    w_y = y if weights is None else weights * y
    if len(y) == size and (cell == np.arange(size)).all():
        # A balanced panel in order is its own table.
        w = np.ones(size) if weights is None else weights.astype(float)
        return w_y.reshape(-1, n_periods), w.reshape(-1, n_periods)
    total = np.bincount(cell, weights=w_y, minlength=size).reshape(-1, n_periods)
    weight = np.bincount(cell, weights=weights, minlength=size).reshape(-1, n_periods)
    return total, weight.astype(float)


def _gram(residual: np.ndarray, weight: np.ndarray) -> np.ndarray:
    if (weight == 1).all():
        # A balanced panel without weights: residuals add up to zero in each period.
        n_periods = weight.shape[1]
        zero = np.zeros((n_periods, n_periods))
        ones = np.full((n_periods, n_periods), float(len(weight)))
        return np.block([[residual.T @ residual, zero], [zero, ones]])
    cross = residual.T @ weight
    return np.block([[residual.T @ residual, cross], [cross.T, weight.T @ weight]])


def blocks(
    cluster: np.ndarray, cohort: np.ndarray, n_clusters: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows' (cluster, cohort) pairs: codes, and each pair's cluster and cohort."""
    first = np.zeros(n_clusters, dtype=np.int64)
    first[cluster] = cohort
    if (first[cluster] == cohort).all():
        return cluster, np.arange(n_clusters), first
    n_cohorts = int(cohort.max()) + 1
    pairs, block = np.unique(cluster * n_cohorts + cohort, return_inverse=True)
    return block, pairs // n_cohorts, pairs % n_cohorts


def _independent_rows(
    y: np.ndarray,
    period: np.ndarray,
    cohort: np.ndarray,
    cohorts: np.ndarray,
    n_periods: int,
    weights: np.ndarray | None,
    copies: np.ndarray | None,
    spread: np.ndarray | None,
) -> Moments:
    """Each row is a cluster seen once, so the Gram matrices are diagonal in the period.

    Entries that stand for several rows have no sampling weights.
    """
    size = len(cohorts) * n_periods
    cell = cohort * n_periods + period
    w = np.ones_like(y) if weights is None else weights
    each = np.ones_like(y) if copies is None else copies.astype(float)
    total = np.bincount(cell, weights=each * w, minlength=size)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(cell, weights=each * w * y, minlength=size) / total
    residual = w * (y - mean[cell])
    around = each * residual**2 + (0.0 if spread is None else spread)
    squares = {
        "rr": np.bincount(cell, weights=around, minlength=size),
        "rw": np.bincount(cell, weights=each * residual * w, minlength=size),
        "ww": np.bincount(cell, weights=each * w**2, minlength=size),
    }
    by = {name: values.reshape(-1, n_periods) for name, values in squares.items()}
    gram = tuple(
        np.block(
            [
                [np.diag(by["rr"][c]), np.diag(by["rw"][c])],
                [np.diag(by["rw"][c]), np.diag(by["ww"][c])],
            ]
        )
        for c in range(len(cohorts))
    )
    sizes = np.bincount(cohort, weights=copies, minlength=len(cohorts)).astype(np.int64)
    return Moments(
        launch=cohorts,
        mean=mean.reshape(-1, n_periods),
        weight=total.reshape(-1, n_periods),
        gram=gram,
        features=None,
        members=(),
        share_features=np.repeat([0.0, 1.0], n_periods),
        part_sizes=sizes,
        n_clusters=int(sizes.sum()),
        nested=True,
    )


def with_cluster_influences(data: Moments, psi: np.ndarray, cohort: np.ndarray) -> Moments:
    """The same rollout with clusters' influences as features.

    Parameters
    ----------
    psi
        Shape ``(n_clusters, K)``.
    cohort
        Each cluster's cohort code, shape ``(n_clusters,)``; used when clusters are nested.
    """
    if data.nested:
        rows = [np.flatnonzero(cohort == c) for c in range(len(data.launch))]
    else:
        nobody = np.zeros(0, dtype=np.int64)
        rows = [np.arange(len(psi)), *([nobody] * (len(data.launch) - 1))]
    features = tuple(psi[r] for r in rows)
    keep = len(psi) <= KEEP_FEATURES or not data.nested
    return replace(
        data,
        gram=tuple(f.T @ f for f in features),
        features=features if keep else None,
        members=tuple(rows),
        share_features=np.zeros(psi.shape[1]),
    )
