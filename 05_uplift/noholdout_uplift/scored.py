"""The rows that judge a ranking, as every later step takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
    clusters
        Codes without gaps, or ``None`` for independent rows.
    cost
        What treating the row costs, shape ``(n,)``, or ``None``.
    conf_level, df
        Of every interval.
    """

    score: np.ndarray
    gamma: np.ndarray
    gamma_control: np.ndarray
    fold: np.ndarray
    weight: np.ndarray
    clusters: np.ndarray | None
    cost: np.ndarray | None
    conf_level: float
    df: float

    @property
    def share(self) -> np.ndarray:
        """Each row's weight relative to the mean weight, shape ``(n,)``."""
        return self.weight * (self.weight.size / self.weight.sum())
