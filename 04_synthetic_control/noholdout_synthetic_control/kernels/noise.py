"""How much of each unit's outcome is its own noise: what no synthetic twin can match."""

from __future__ import annotations

import numpy as np

MIN_PERIODS = 20  # below this many periods a unit's own noise is pooled over units


def own_noise(
    outcomes: np.ndarray, n_pre: int, counts: np.ndarray | None, proportion: bool
) -> np.ndarray:
    """Variance of each unit's noise in one period, shape ``(N,)``.

    With ``counts`` (tasks behind each cell, shape ``(N, T)``) and a share as the outcome it is
    binomial: ``p(1 - p) / n``. Otherwise it is half the mean squared change from one pre-launch
    period to the next, after the periods' own means are taken off (changes of slow movements are
    small); pooled over units when there are few periods, and divided by the counts where given.
    """
    before = outcomes[:, :n_pre]
    if counts is not None and proportion:
        sizes = counts[:, :n_pre]
        share = (before * sizes).sum(axis=1) / sizes.sum(axis=1)
        return share * (1 - share) * (1 / sizes).mean(axis=1)
    if n_pre < 2 or outcomes.shape[0] < 2:
        return np.zeros(outcomes.shape[0])
    units = outcomes.shape[0]
    changes = np.diff(before - before.mean(axis=0), axis=1)
    # The periods' means are estimated from the same units.
    per_unit = (changes**2).mean(axis=1) / 2 * units / (units - 1)
    if counts is not None:
        relative = (1 / counts[:, :n_pre]).mean(axis=1)
        return float((per_unit / relative).mean()) * relative
    if n_pre < MIN_PERIODS:
        return np.full(units, per_unit.mean())
    return per_unit
