"""Sums over rows from which every linear model of an arm follows, in one pass over the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_propensity.kernels.designs import Design, blocks

FEW_COLUMNS = 24
CACHED = 131_072  # entries whose products stay in the processor's cache


@dataclass(frozen=True)
class ArmSums:
    """Weighted sums of one arm.

    Parameters
    ----------
    gram
        ``Z' W Z`` of the design, shape ``(k, k)``.
    cross
        ``Z' W y``, shape ``(k,)``.
    square
        ``y' W y``.
    """

    gram: np.ndarray
    cross: np.ndarray
    square: float

    def __add__(self, other: ArmSums) -> ArmSums:
        return ArmSums(self.gram + other.gram, self.cross + other.cross, self.square + other.square)

    def __sub__(self, other: ArmSums) -> ArmSums:
        return ArmSums(self.gram - other.gram, self.cross - other.cross, self.square - other.square)


def weighted_gram(design: Design, weights: np.ndarray) -> np.ndarray:
    """``Z' W Z``, shape ``(k, k)``, without a second copy of the design."""
    n, k = design.shape
    total = np.zeros((k, k))
    for rows in blocks(n, max(CACHED // k, 1)):
        part, own = design[rows].T, weights[rows]
        if k > FEW_COLUMNS:
            total += part @ (part * own).T
            continue
        # Of few columns one at a time is faster, and half of the products are enough.
        for j, column in enumerate(part):
            total[j, j:] += part[j:] @ (own * column)
    if k <= FEW_COLUMNS:
        total += np.triu(total, 1).T
    return total


def design_sums(design: Design, outcome: np.ndarray, weights: np.ndarray) -> ArmSums:
    """The sums of the rows of positive weight."""
    cross = np.asarray(design.T @ (weights * outcome))
    return ArmSums(weighted_gram(design, weights), cross, float(weights @ outcome**2))


def arm_sums(
    design: Design,
    outcome: np.ndarray,
    treated: np.ndarray,
    rows: np.ndarray,
    gram: np.ndarray | None = None,
) -> tuple[ArmSums, ArmSums]:
    """The treated and the control arm's sums under row weights.

    ``gram``: both arms' ``Z' W Z`` together, where it is known.
    """
    inside = design_sums(design, outcome, rows * treated)
    others = rows * (1 - treated)
    if gram is None:
        return inside, design_sums(design, outcome, others)
    weighted = others * outcome
    rest = ArmSums(gram - inside.gram, np.asarray(design.T @ weighted), float(weighted @ outcome))
    return inside, rest
