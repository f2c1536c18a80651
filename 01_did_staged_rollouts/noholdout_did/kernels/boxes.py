"""Means over a set of cohorts and a stretch of periods: the four boxes of a two-by-two."""

from __future__ import annotations

import numpy as np

from noholdout_did.kernels.group_time import Linear, stack
from noholdout_did.kernels.moments import Moments


def box(data: Moments, cohorts: np.ndarray, periods: np.ndarray) -> tuple[Linear, float]:
    """Weighted mean outcome of some cohorts over some periods, and its total weight.

    Parameters
    ----------
    cohorts, periods
        Boolean, shapes ``(C,)`` and ``(T,)``.
    """
    n_cohorts, n_periods = data.mean.shape
    inside = np.outer(cohorts, periods)
    weight = np.where(inside, data.weight, 0.0)
    total = weight.sum() if weight.any() else np.nan  # a box without rows has no mean
    mean = np.nan_to_num(data.mean)
    average = float((weight * mean).sum() / total)
    maps = np.zeros((n_cohorts, 2 * n_periods, 1))
    maps[:, :n_periods, 0] = inside / total
    maps[:, n_periods:, 0] = inside * (mean - average) / total
    return Linear(np.array([average]), maps), float(total)


def four_boxes(
    data: Moments, treated: np.ndarray, control: np.ndarray, before: np.ndarray, after: np.ndarray
) -> tuple[Linear, np.ndarray]:
    """(treated after - before) - (control after - before), as one parameter, and the four means.

    The second value has rows treated, control and columns before, after, shape ``(2, 2, 2)``:
    mean and weight.
    """
    found = [box(data, c, p) for c in (treated, control) for p in (before, after)]
    boxes = stack([b for b, _ in found])
    contrast = boxes.combine(np.array([[-1.0], [1.0], [1.0], [-1.0]]))
    means = np.array([[b.value[0], w] for b, w in found]).reshape(2, 2, 2)
    return contrast, means
