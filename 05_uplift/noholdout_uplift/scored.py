"""The rows that judge a ranking, as every later step takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from noholdout_shared.inference import cluster_sums, influence_std_error

from noholdout_uplift.kernels.aipw import AipwScores


@dataclass(frozen=True)
class Drawn:
    """How entries came into the data: one by one, in clusters, or many equal rows behind each.

    Parameters
    ----------
    clusters
        Codes without gaps, shape ``(n,)``, or ``None`` for independent rows.
    copies
        Rows behind each entry, shape ``(n,)``, or ``None`` when entries are rows.
    """

    clusters: np.ndarray | None = None
    copies: np.ndarray | None = None

    def independent(self, psi: np.ndarray) -> np.ndarray:
        """Influence values whose squares add up to the variance, from those of shape ``(n, m)``.

        An entry holds the sum of its rows' influence values; the squares of ``c`` equal rows add
        up to that sum's square over ``c``.
        """
        if self.clusters is not None:
            return cluster_sums(psi, self.clusters)
        return psi if self.copies is None else psi / np.sqrt(self.copies)[:, None]

    def std_error(self, psi: np.ndarray) -> float:
        """:func:`influence_std_error` of values of shape ``(n,)``."""
        if self.clusters is None and self.copies is not None:
            return influence_std_error(psi / np.sqrt(self.copies))
        return influence_std_error(psi, self.clusters)

    def part(self, entries: np.ndarray) -> Drawn:
        """The same of some entries; ``entries`` has shape ``(n,)``."""
        clusters, copies = self.clusters, self.copies
        return Drawn(
            None if clusters is None else np.unique(clusters[entries], return_inverse=True)[1],
            None if copies is None else copies[entries],
        )

    def rows(self, entries: np.ndarray) -> np.ndarray:
        """Rows behind each column of ``entries``, which says how much of each entry belongs."""
        return entries.sum(axis=0) if self.copies is None else self.copies @ entries


@dataclass(frozen=True)
class Scored:
    """Evaluated rows: what ranks them and what judges the ranking.

    Parameters
    ----------
    score
        Predicted effect by a learner of earlier folds, shape ``(n,)``.
    gamma, gamma_control
        AIPW scores of the effect, and of the outcome without treatment, shape ``(n,)``.
    fold
        Fold of each row, shape ``(n,)``; rankings are compared within folds only.
    weight
        How many rows each row stands for, shape ``(n,)``; ones without sampling weights.
    drawn
        Clusters, and how many rows stand behind each entry.
    cost
        What treating the row costs, shape ``(n,)``, or ``None``.
    conf_level, df
        Of every interval.
    below
        Of a ratio metric the scores of its denominator, relative to the treated's mean.
    """

    score: np.ndarray
    gamma: np.ndarray
    gamma_control: np.ndarray
    fold: np.ndarray
    weight: np.ndarray
    drawn: Drawn
    cost: np.ndarray | None
    conf_level: float
    df: float
    below: AipwScores | None = None

    @property
    def share(self) -> np.ndarray:
        """Each row's weight relative to the mean weight, shape ``(n,)``."""
        return self.weight * (self.weight.size / self.weight.sum())

    @property
    def ratio_errors(self) -> np.ndarray:
        """Influence values of a ratio's two parts that every score stands on, shape ``(n, 2)``.

        The ratio without treatment, and the treated's mean denominator relative to itself. Weights
        are left out.
        """
        assert self.below is not None
        share, control, z = self.share, self.gamma_control, self.below
        n = share.size
        ratio, least = share @ control / n, share @ z.control / n
        return np.column_stack([(control - ratio) / least, z.treated - 1])
