"""How much of each unit's outcome is its own: what no synthetic twin can match."""

from __future__ import annotations

import math

import numpy as np

MIN_PERIODS = 20  # below this many periods a unit's own noise is pooled over units
MIN_DIMENSION = 5  # fewer units or blocks leave no median to what they share
GRID = 2000


def own_noise(
    outcomes: np.ndarray, n_pre: int, counts: np.ndarray | None, binomial: bool
) -> np.ndarray:
    """Variance of each unit's noise in one period, shape ``(N,)``.

    With ``counts`` (draws behind each cell, shape ``(N, T)``) of a share it is
    binomial: ``p(1 - p) / n``. Otherwise it is half the mean squared change from one pre-launch
    period to the next, after the periods' own means are taken off (changes of slow movements are
    small); pooled over units when there are few periods, and divided by the counts where given.
    """
    before = outcomes[:, :n_pre]
    if counts is not None and binomial:
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


def own_movement(features: np.ndarray) -> float:
    """Variance of what each unit does by itself in one feature, common to all units.

    What units share is of low rank: it sits in few singular values, so that their median knows
    the rest (Gavish and Donoho 2014, IEEE Transactions on Information Theory 60(8), equation 10,
    after both ways' means). Movements that last over several features pile up in the largest
    singular values, so that the median says too little of them rather than too much.

    Parameters
    ----------
    features
        Each unit's demeaned, shape ``(N, B)``.

    Returns
    -------
    float
        Zero below six units or features, where a median still holds what units share.
    """
    centred = features - features.mean(axis=0)
    units, blocks = centred.shape
    small, large = min(units, blocks) - 1, max(units, blocks) - 1
    if small < MIN_DIMENSION:
        return 0.0
    gram = centred @ centred.T if units < blocks else centred.T @ centred
    squares = np.maximum(np.linalg.eigvalsh(gram)[-small:], 0.0)
    return float(np.median(squares)) / (large * marchenko_pastur_median(small / large))


def marchenko_pastur_median(ratio: float) -> float:
    """Median squared singular value of pure noise, over its variance and the longer side."""
    low, high = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2
    # By the angle, in which the law's density is smooth at both ends.
    angle = (np.arange(GRID) + 0.5) * math.pi / GRID
    value = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    density = np.sin(angle) ** 2 / value
    below = np.cumsum(density) - density / 2
    return float(np.interp(density.sum() / 2, below, value))
