"""Which two-by-two comparisons a two-way fixed effects coefficient is made of.

Goodman-Bacon (2021, Journal of Econometrics 225:254-277), theorem 1, equations 10a to 10g, for a
balanced panel without always-treated units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("treated_vs_never", "earlier_vs_later", "later_vs_earlier")


@dataclass(frozen=True)
class Comparisons:
    """All two-by-twos. M comparisons.

    Parameters
    ----------
    kind
        Index into :data:`KINDS`, shape ``(M,)``.
    treated, control
        Cohort codes, shape ``(M,)``.
    weight, estimate
        Shape ``(M,)``; weights add up to one, and ``weight @ estimate`` is the coefficient.
    """

    kind: np.ndarray
    treated: np.ndarray
    control: np.ndarray
    weight: np.ndarray
    estimate: np.ndarray


def bacon(launch: np.ndarray, mean: np.ndarray, size: np.ndarray) -> Comparisons:
    """Decompose.

    Parameters
    ----------
    launch
        First treated period of each cohort, shape ``(C,)``; T is never.
    mean
        Mean outcomes, shape ``(C, T)``.
    size
        Units in each cohort, shape ``(C,)``.
    """
    n_periods = mean.shape[1]
    share = size / size.sum()
    treated_time = 1 - np.minimum(launch, n_periods) / n_periods
    t = np.arange(n_periods)
    rows: list[tuple[int, int, int, float, float]] = []

    def gap(k: int, c: int, before: np.ndarray, after: np.ndarray) -> float:
        change = mean[:, after].mean(axis=1) - mean[:, before].mean(axis=1)
        return float(change[k] - change[c])

    for k in np.flatnonzero(launch < n_periods).tolist():
        for c in range(len(launch)):
            both = share[k] * share[c]
            d_k, d_c = treated_time[k], treated_time[c]
            if launch[c] >= n_periods:
                weight = both * d_k * (1 - d_k)
                rows.append((0, k, c, weight, gap(k, c, t < launch[k], t >= launch[k])))
            elif launch[k] < launch[c]:
                after = (t >= launch[k]) & (t < launch[c])
                weight = both * (d_k - d_c) * (1 - d_k)
                rows.append((1, k, c, weight, gap(k, c, t < launch[k], after)))
            elif launch[k] > launch[c]:
                before = (t >= launch[c]) & (t < launch[k])
                weight = both * d_k * (d_c - d_k)
                rows.append((2, k, c, weight, gap(k, c, before, t >= launch[k])))
    kind, treated, control, weights, estimates = (np.array(x) for x in zip(*rows, strict=True))
    return Comparisons(kind, treated, control, weights / weights.sum(), estimates)
