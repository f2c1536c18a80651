"""The same average of effects against what all clean periods predict, from wave means alone.

Borusyak, Jaravel and Spiess' (2024) imputation with wave and period effects; on a balanced panel
without weights it is their estimator with unit effects too. It costs nothing beside the moments, so
that an estimate can say what leaning on every period before the launch would gain.
"""

from __future__ import annotations

import numpy as np

from noholdout_did.kernels.group_time import Cells, Linear
from noholdout_did.kernels.moments import Moments


def wave_imputation(
    data: Moments, cells: Cells, weights: np.ndarray, anticipation: int
) -> Linear | None:
    """The average as one parameter, or ``None`` where the clean cells can't predict it.

    Parameters
    ----------
    cells, weights
        The effects averaged and their weights, shape ``(K,)``.
    """
    n_cohorts, n_periods = data.mean.shape
    clean = np.arange(n_periods)[None, :] < data.launch[:, None] - anticipation
    clean[data.launch >= n_periods] = True
    cohort, period = np.nonzero(clean & (data.weight > 0))
    x = np.zeros((len(cohort), n_cohorts + n_periods))
    x[np.arange(len(cohort)), cohort] = 1.0
    x[np.arange(len(cohort)), n_cohorts + period] = 1.0
    goal = np.zeros(n_cohorts + n_periods)
    np.add.at(goal, cells.cohort, weights)
    np.add.at(goal, n_cohorts + cells.period, weights)
    size = data.weight[cohort, period]
    normal = x.T @ (size[:, None] * x)
    solved = np.linalg.pinv(normal, rcond=1e-10, hermitian=True) @ goal
    if not np.allclose(normal @ solved, goal, atol=1e-8):
        return None
    on_mean = np.zeros((n_cohorts, n_periods))
    np.add.at(on_mean, (cells.cohort, cells.period), weights)
    on_mean[cohort, period] -= size * (x @ solved)
    maps = np.zeros((n_cohorts, 2 * n_periods, 1))
    seen = data.weight > 0
    maps[:, :n_periods, 0] = np.where(seen, on_mean / np.where(seen, data.weight, 1.0), 0.0)
    return Linear(np.array([float((on_mean * np.nan_to_num(data.mean)).sum())]), maps)
