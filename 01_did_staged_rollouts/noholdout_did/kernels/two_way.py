"""Least squares on group and period effects, exactly: the groups are partialled out first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TwoWay:
    """The normal equations of group and period effects, factored. U groups, T periods.

    Parameters
    ----------
    group, period, weight
        Of the n rows that the effects are fitted on.
    group_weight
        Total weight by group, shape ``(U,)``; a group without rows has no effect.
    cell_weight
        Shape ``(U, T)``.
    inverse
        Pseudo-inverse of the periods' Schur complement, ``(T, T)``.
    """

    group: np.ndarray
    period: np.ndarray
    weight: np.ndarray
    group_weight: np.ndarray
    cell_weight: np.ndarray
    inverse: np.ndarray

    def sums(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weighted sums of row values by group and by period."""
        weighted = self.weight * values
        n_groups, n_periods = self.cell_weight.shape
        by_group = np.bincount(self.group, weights=weighted, minlength=n_groups)
        return by_group, np.bincount(self.period, weights=weighted, minlength=n_periods)

    def solve(self, by_group: np.ndarray, by_period: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Group and period effects that solve the normal equations with these right-hand sides.

        Shapes ``(U,)`` and ``(T,)``, or ``(U, K)`` and ``(T, K)`` for K systems at once.
        """
        scaled = self._per_group(by_group)
        period_effect = self.inverse @ (by_period - self.cell_weight.T @ scaled)
        return self._per_group(by_group - self.cell_weight @ period_effect), period_effect

    def _per_group(self, values: np.ndarray) -> np.ndarray:
        weight = self.group_weight.reshape(-1, *([1] * (values.ndim - 1)))
        out = np.zeros_like(values, dtype=float)
        np.divide(values, weight, out=out, where=weight > 0)
        return out

    def fit(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Effects of the best fit to row values."""
        return self.solve(*self.sums(values))

    def residuals(self, values: np.ndarray) -> np.ndarray:
        """Row values less their fit, shape ``(n,)``."""
        group_effect, period_effect = self.fit(values)
        return values - group_effect[self.group] - period_effect[self.period]


def two_way(
    group: np.ndarray, period: np.ndarray, weight: np.ndarray, n_groups: int, n_periods: int
) -> TwoWay:
    """Factor the normal equations of the given rows."""
    cell_weight = np.bincount(
        group * n_periods + period, weights=weight, minlength=n_groups * n_periods
    ).reshape(n_groups, n_periods)
    group_weight = cell_weight.sum(axis=1)
    scaled = np.zeros_like(cell_weight)
    np.divide(cell_weight, group_weight[:, None], out=scaled, where=group_weight[:, None] > 0)
    schur = np.diag(cell_weight.sum(axis=0)) - cell_weight.T @ scaled
    inverse = np.linalg.pinv(schur, rcond=1e-12, hermitian=True)
    return TwoWay(group, period, weight, group_weight, cell_weight, inverse)
