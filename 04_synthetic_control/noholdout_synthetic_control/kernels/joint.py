"""Bands that hold for several estimates at once, from how their errors move together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

DRAWS = 20_000
MAX_ROWS = 60  # from this many degrees of freedom on, more change nothing that the draws can see


@dataclass(frozen=True)
class JointLevel:
    """What simultaneous bands need.

    Parameters
    ----------
    level
        Confidence level of each band on its own, so that all hold together with the level asked.
    smallest_p
        Draws of the smallest two-sided p-value among the estimates, sorted, shape ``(DRAWS,)``.
    """

    level: float
    smallest_p: np.ndarray

    def joint_p(self, p_value: float) -> float:
        """Chance that any of the estimates reaches such a p-value when there is no effect."""
        return float(np.searchsorted(self.smallest_p, p_value, side="right") / self.smallest_p.size)


def error_correlation(errors: np.ndarray) -> np.ndarray:
    """Correlation of errors that are zero on average, shape ``(n, m)`` to ``(m, m)``."""
    squared = errors.T @ errors
    sizes = np.sqrt(np.diagonal(squared))
    outer = np.outer(sizes, sizes)
    found = np.divide(squared, outer, out=np.zeros_like(squared), where=outer > 0)
    found[np.diag_indices_from(found)] = 1.0
    return found


def jackknife_moves(changes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How leaving out each unit moves one side's weighted mean, shape ``(n, m)``.

    Column by column the squares sum to the side's jackknife variance.

    Parameters
    ----------
    changes, weights
        Of the units, one column an outcome, shape ``(n, m)``; the weights of a column sum to one.
    """
    effective = 1.0 / (weights**2).sum(axis=0)
    expectation = np.maximum(1 - 2 * weights + 1 / effective, 1e-12)
    return weights / np.sqrt(expectation) * (changes - (weights * changes).sum(axis=0))


def joint_level(
    correlation: np.ndarray, df: np.ndarray, conf_level: float, seed: int
) -> JointLevel:
    """The level of each band at which all hold together.

    Studentised errors are drawn as they arise: normal numerators with the estimates' correlation
    over standard deviations of as many draws of the same normals as there are degrees of freedom.
    The level is the ``conf_level`` point of the largest of them, each measured on its own t
    distribution, so that every band is as likely to fail as any other (balanced bands, Beran
    1988, JASA 83(403); max-t as in Hothorn, Bretz and Westfall 2008, Biometrical Journal 50(3)).

    Parameters
    ----------
    correlation
        Of the estimates' errors, shape ``(m, m)``.
    df
        Degrees of freedom of each, shape ``(m,)``; fractions are rounded down.
    """
    rng = np.random.default_rng(seed)
    count = df.size
    values, vectors = np.linalg.eigh(correlation)
    # The symmetric root doesn't depend on the signs of the eigenvectors.
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    rows = np.clip(np.floor(df), 1, MAX_ROWS).astype(int)
    top = rng.standard_normal((DRAWS, count)) @ root.T
    squares = np.zeros((DRAWS, count))
    for row in range(rows.max()):
        drawn = rng.standard_normal((DRAWS, count)) @ root.T
        squares += drawn**2 * (row < rows)
    statistics = np.abs(top) / np.sqrt(squares / rows)
    smallest = np.sort((2 * special.stdtr(rows, -statistics)).min(axis=1))
    # One estimate needs no draws; several can't ask for less than one, or more than Bonferroni.
    alpha = 1 - conf_level
    level = 1 - min(max(float(np.quantile(smallest, alpha)), alpha / count), alpha)
    return JointLevel(level, smallest)
