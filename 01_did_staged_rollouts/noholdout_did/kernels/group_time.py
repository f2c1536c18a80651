"""ATT(g,t) cells without covariates, and what they have in common with any other contrast.

Callaway and Sant'Anna (2021, Journal of Econometrics 225), equations 2.6 to 2.9 with X = 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from noholdout_did.kernels.moments import Moments

ControlGroup = Literal["not-yet-treated", "never-treated"]
BasePeriod = Literal["varying", "universal"]


@dataclass(frozen=True)
class Cells:
    """K comparisons of a cohort with its controls, between a period and its base period.

    Parameters
    ----------
    cohort, period, base
        Cohort code and period codes, shape ``(K,)``.
    control
        Shape ``(K, C)``: which cohorts are controls.
    """

    cohort: np.ndarray
    period: np.ndarray
    base: np.ndarray
    control: np.ndarray

    def __len__(self) -> int:
        return len(self.cohort)

    def take(self, keep: np.ndarray) -> Cells:
        return Cells(self.cohort[keep], self.period[keep], self.base[keep], self.control[keep])


@dataclass(frozen=True)
class Linear:
    """K parameters whose influences are linear in the clusters' features.

    Parameters
    ----------
    value
        Shape ``(K,)``.
    maps
        Shape ``(C, P, K)``: the influence of a cluster of part c is ``features @ maps[c]``, so
        that the estimator's error is about the sum over clusters.
    """

    value: np.ndarray
    maps: np.ndarray

    def combine(self, weights: np.ndarray) -> Linear:
        """``weights`` has shape ``(K, M)``: M fixed linear combinations."""
        return Linear(self.value @ weights, self.maps @ weights)

    def take(self, keep: np.ndarray) -> Linear:
        return Linear(self.value[keep], self.maps[:, :, keep])


def stack(parts: list[Linear]) -> Linear:
    """Several sets of parameters as one."""
    return Linear(
        np.concatenate([p.value for p in parts]), np.concatenate([p.maps for p in parts], axis=2)
    )


def grid(
    launch: np.ndarray,
    n_periods: int,
    control_group: ControlGroup,
    base_period: BasePeriod,
    anticipation: int,
) -> Cells:
    """Every (cohort, period) pair with a base period; controls may still be empty.

    After the launch, and within the anticipation window before it, the base is the last period
    before that window. Earlier, it is the period before (varying) or that same one (universal).
    """
    cohort, period, base, control = [], [], [], []
    for g in np.flatnonzero((launch > 0) & (launch < n_periods)):
        last_clean = int(launch[g]) - 1 - anticipation
        if last_clean < 0:
            continue
        for t in range(n_periods):
            b = last_clean if base_period == "universal" or t > last_clean else t - 1
            if b < 0 or b == t:
                continue
            allowed = launch >= n_periods
            if control_group == "not-yet-treated":
                allowed = allowed | (launch > max(t, b) + anticipation)
            allowed = allowed.copy()
            allowed[g] = False
            cohort.append(g)
            period.append(t)
            base.append(b)
            control.append(allowed)
    return Cells(
        np.array(cohort, dtype=np.int64),
        np.array(period, dtype=np.int64),
        np.array(base, dtype=np.int64),
        np.array(control, dtype=bool).reshape(-1, len(launch)),
    )


def observed(cells: Cells, weight: np.ndarray) -> tuple[Cells, np.ndarray, np.ndarray]:
    """Leave out controls not seen in both periods.

    Returns
    -------
    The cells so restricted, which of them have controls, and which have their own cohort in both
    periods; each of shape ``(K,)``.
    """
    seen = (weight[:, cells.period] > 0) & (weight[:, cells.base] > 0)
    control = cells.control & seen.T
    own = np.asarray(seen[cells.cohort, np.arange(len(cells))], dtype=bool)
    return replace(cells, control=control), np.asarray(control.any(axis=1)), own


def contrasts(data: Moments, cells: Cells) -> Linear:
    """ATT(g,t) = (mean of g at t - at b) - (mean of the controls at t - at b), with influences.

    The influence of row i on the pooled mean of a set S of cohorts in period s is
    ``w_i 1{i in S, s} (y_i - M_S,s) / W_S,s``; for a balanced panel the two periods' influences
    add up to Callaway and Sant'Anna's.
    """
    n_cohorts, n_periods = data.mean.shape
    k = np.arange(len(cells))
    mean = np.nan_to_num(data.mean)
    value = np.zeros(len(cells))
    maps = np.zeros((n_cohorts, 2 * n_periods, len(cells)))
    for periods, sign in ((cells.period, 1.0), (cells.base, -1.0)):
        weight = cells.control.T * data.weight[:, periods]  # (C, K)
        total = weight.sum(axis=0)
        pooled = (weight * mean[:, periods]).sum(axis=0) / total
        value += sign * (mean[cells.cohort, periods] - pooled)
        maps[cells.cohort, periods, k] += sign / data.weight[cells.cohort, periods]
        each = -sign * cells.control.T / total
        maps[:, periods, k] += each
        maps[:, n_periods + periods, k] += each * (mean[:, periods] - pooled)
    return Linear(value, maps)
