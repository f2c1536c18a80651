"""Steps to a logit's maximum that all use one inverse hessian: cheap near a solution at hand."""

from __future__ import annotations

import numpy as np

from noholdout_propensity.kernels.designs import Design, blocks

MAX_CHORDS = 12
CHORD_BLOCK = 8_192  # rows that stay in the processor's cache while every fold passes them
CHORD_TOLERANCE = 1e-10  # what the steps that aren't taken would still add


def chord_steps(
    design: Design,
    treated: np.ndarray,
    weights: np.ndarray | None,
    fold: np.ndarray | None,
    near: np.ndarray,
    gradients: np.ndarray,
    inverses: np.ndarray,
    tolerance: float = CHORD_TOLERANCE,
) -> list[np.ndarray | None]:
    """A logit's maximum without each fold, by steps with one and the same inverse hessian.

    All folds share each pass over the rows; a step shrinks the error by the size of the first
    one. ``None`` for a fold whose maximum is far away.

    Parameters
    ----------
    weights, fold
        Row weights, and the fold without which a row counts; ``None`` leaves no row out. ``(n,)``.
    near, gradients, inverses
        Where to start, and each fold's gradient ``(f, k)`` and inverse hessian ``(f, k, k)`` there.
    tolerance
        What the steps that aren't taken may still add.
    """
    count = gradients.shape[0]
    alive = np.isfinite(inverses).all(axis=(1, 2))
    step = np.einsum("fij,fj->fi", np.where(alive[:, None, None], inverses, 0.0), gradients)
    found = near + step
    before = np.abs(step).max(axis=1)
    moving = alive.copy()
    for _ in range(MAX_CHORDS):
        places = np.flatnonzero(moving)
        if not places.size:
            break
        gradient = gradients_without(design, treated, weights, fold, found[places], places)
        step = np.einsum("fij,fj->fi", inverses[places], gradient)
        size = np.abs(step).max(axis=1)
        near_enough = size < 1.0
        found[places[near_enough]] += step[near_enough]
        # What the next step would be, were the steps to go on shrinking at this rate.
        left = size * np.minimum(size / np.maximum(before[places], 1e-300), 1.0)
        moving[places[left < tolerance]] = False
        alive[places[~near_enough]] = moving[places[~near_enough]] = False
        before[places] = size
    return [found[f] if alive[f] and not moving[f] else None for f in range(count)]


def gradients_without(
    design: Design,
    treated: np.ndarray,
    weights: np.ndarray | None,
    fold: np.ndarray | None,
    coefficients: np.ndarray,
    left_out: np.ndarray,
) -> np.ndarray:
    """The log-likelihood's gradient at each fold's coefficients, without its rows; ``(f, k)``."""
    total = np.zeros_like(coefficients)
    place: np.ndarray | None = None
    if fold is not None:  # of each fold among those left out; the others' last row is thrown away
        place = np.full(max(int(fold.max()), int(left_out.max())) + 1, left_out.size)
        place[left_out] = np.arange(left_out.size)
    for rows in blocks(treated.size, CHORD_BLOCK):
        x = design[rows]
        gap = np.empty((left_out.size + 1, x.shape[0]))
        own = np.matmul(-coefficients, x.T, out=gap[:-1])
        with np.errstate(over="ignore"):
            np.exp(own, out=own)
        own += 1.0
        np.divide(1.0, own, out=own)
        np.subtract(treated[rows], own, out=own)
        if weights is not None:
            own *= weights[rows]
        if fold is not None and place is not None:
            gap[place[fold[rows]], np.arange(x.shape[0])] = 0.0
        for sums, line in zip(total, own, strict=True):
            sums += x.T @ line
    return total
