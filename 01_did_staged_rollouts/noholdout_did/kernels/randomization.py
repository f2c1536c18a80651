"""What the same average would have been, had other clusters drawn the early waves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_did.kernels.group_time import Cells


@dataclass(frozen=True)
class ClusterSums:
    """Weighted sums by cluster and period. G clusters, T periods.

    Parameters
    ----------
    total, weight
        Outcome and weight, shape ``(G, T)``.
    cohort
        Codes, shape ``(G,)``.
    treated
        Whether a cluster was treated in a period, shape ``(G, T)``.
    """

    total: np.ndarray
    weight: np.ndarray
    cohort: np.ndarray
    treated: np.ndarray


def averages(
    sums: ClusterSums, cells: Cells, cell_weights: np.ndarray, cohort: np.ndarray
) -> tuple[float, float]:
    """The average of the cells for the outcome, and for having been treated, under any cohorts."""
    n_cohorts = cells.control.shape[1]
    pick = (cohort[None, :] == np.arange(n_cohorts)[:, None]).astype(float)
    weight = pick @ sums.weight
    out = []
    for values in (sums.total, sums.weight * sums.treated):
        total = pick @ values
        cell = np.zeros(len(cells))
        for periods, sign in ((cells.period, 1.0), (cells.base, -1.0)):
            control = cells.control.T * 1.0
            pooled = (control * total[:, periods]).sum(axis=0) / (control * weight[:, periods]).sum(
                axis=0
            )
            own = total[cells.cohort, periods] / weight[cells.cohort, periods]
            cell += sign * (own - pooled)
        out.append(float(cell_weights @ cell))
    return out[0], out[1]


@dataclass(frozen=True)
class Draws:
    """Averages under redrawn waves, shape ``(R,)`` each, and under the real ones."""

    outcome: np.ndarray
    exposure: np.ndarray
    estimate: float

    def p_value(self, effect: float) -> float:
        """Two-sided p-value of one constant effect for every treated row."""
        apart = np.abs(self.outcome - effect * self.exposure)
        seen = abs(self.estimate - effect)
        return float((1 + (apart >= seen - 1e-12).sum()) / (1 + len(apart)))

    def bound(self, step: float, alpha: float) -> float:
        """The first effect away from the estimate that is rejected; ``nan`` if none is found."""
        far = step
        for _ in range(12):
            if self.p_value(self.estimate + far) <= alpha:
                break
            far *= 2
        else:
            return float("nan")
        near = 0.0
        for _ in range(40):
            middle = (near + far) / 2
            if self.p_value(self.estimate + middle) <= alpha:
                far = middle
            else:
                near = middle
        return self.estimate + far


def redraw(
    sums: ClusterSums,
    cells: Cells,
    cell_weights: np.ndarray,
    draws: int,
    rng: np.random.Generator,
) -> Draws:
    """Shuffle the clusters over the waves, keeping the waves' sizes."""
    found = [
        averages(sums, cells, cell_weights, rng.permutation(sums.cohort)) for _ in range(draws)
    ]
    outcome, exposure = (np.array(x) for x in zip(*found, strict=True))
    estimate, _ = averages(sums, cells, cell_weights, sums.cohort)
    return Draws(outcome, exposure, estimate)
