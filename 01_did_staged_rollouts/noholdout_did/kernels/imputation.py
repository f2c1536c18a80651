"""Effects against what untreated rows predict for treated ones.

Borusyak, Jaravel and Spiess (2024, Review of Economic Studies 91:3253-3285), theorems 1 to 3;
Gardner (2022, two-stage difference in differences), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_did.kernels.two_way import two_way


@dataclass(frozen=True)
class Average:
    """A weighted mean of treated rows' effects.

    Parameters
    ----------
    value
        The mean.
    row_weight
        Shape ``(n,)``: the estimate is ``row_weight @ y``; negative for untreated rows.
    """

    value: float
    row_weight: np.ndarray


class ImputationFit:
    """Group and period effects from untreated rows, and averages of what treated rows add.

    Parameters
    ----------
    y, group, period, weight
        Rows, shape ``(n,)``.
    clean
        Untreated rows, outside any anticipation window, shape ``(n,)``.
    """

    def __init__(
        self,
        y: np.ndarray,
        group: np.ndarray,
        period: np.ndarray,
        weight: np.ndarray,
        clean: np.ndarray,
    ) -> None:
        self.group, self.period, self.weight, self.clean = group, period, weight, clean
        n_groups, n_periods = int(group.max()) + 1, int(period.max()) + 1
        self._fit = two_way(group[clean], period[clean], weight[clean], n_groups, n_periods)
        group_effect, period_effect = self._fit.fit(y[clean])
        self.effect = y - group_effect[group] - period_effect[period]
        seen_group = self._fit.group_weight > 0
        seen_period = self._fit.cell_weight.sum(axis=0) > 0
        self.predicted = seen_group[group] & seen_period[period]

    def average(self, share: np.ndarray) -> Average:
        """The mean effect of treated rows under weights ``share``, shape ``(n,)``, adding to 1."""
        n_groups, n_periods = self._fit.cell_weight.shape
        by_group = np.bincount(self.group, weights=share, minlength=n_groups)
        by_period = np.bincount(self.period, weights=share, minlength=n_periods)
        group_part, period_part = self._fit.solve(by_group, by_period)
        adjoint = group_part[self.group] + period_part[self.period]
        row_weight = np.where(self.clean, -self.weight * adjoint, 0.0) + share
        return Average(float(share @ np.where(share > 0, self.effect, 0.0)), row_weight)


def residuals(
    fit: ImputationFit, cell: np.ndarray | None, chosen: np.ndarray, value: float
) -> np.ndarray:
    """Rows' residuals for the standard error, shape ``(n,)``.

    Parameters
    ----------
    cell
        Codes of (wave, period), shape ``(n,)``: treated residuals are taken from each cell's mean
        effect (Borusyak et al., equation 8), which is conservative when effects differ within
        cells. ``None``: from the overall ``value`` (Gardner).
    """
    effect = np.where(fit.predicted, fit.effect, 0.0)
    if cell is None:
        return np.where(fit.clean, effect, np.where(chosen, effect - value, 0.0))
    weight = np.where(chosen, fit.weight, 0.0)
    size = int(cell.max()) + 1
    total = np.bincount(cell, weights=weight, minlength=size)
    mean = np.bincount(cell, weights=weight * effect, minlength=size) / np.maximum(total, 1e-300)
    return np.where(fit.clean, effect, np.where(chosen, effect - mean[cell], 0.0))
