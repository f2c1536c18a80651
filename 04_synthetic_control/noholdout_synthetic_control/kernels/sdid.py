"""Synthetic difference-in-differences: donor weights and time weights, both with an intercept.

Arkhangelsky, Athey, Hirshberg, Imbens and Wager (2021, AER 111(12)), algorithm 1 and equations
4 to 6, with both problems solved exactly instead of by Frank-Wolfe steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noholdout_synthetic_control.kernels.fits import Fit, Solver, distance_gram, twin
from noholdout_synthetic_control.kernels.simplex import exact_weights, slsqp_weights

TIME_RIDGE = 1e-6  # zeta of the time weights over sigma, as in the authors' code


@dataclass(frozen=True)
class DoubleProblem:
    """Weights over donors (penalised at the size of a period's change) and over periods.

    Parameters
    ----------
    outcomes
        Shape ``(N, T)``.
    n_pre
        Periods before the launch.
    gram
        Inner products of the units' demeaned pre-launch paths, shape ``(N, N)``.
    change_sums
        Sum and sum of squares of each unit's pre-launch first differences, shape ``(N, 2)``.
    solver
        ``exact`` or ``slsqp``.
    """

    outcomes: np.ndarray
    n_pre: int
    gram: np.ndarray
    change_sums: np.ndarray
    solver: Solver = "exact"

    def fit(self, target: np.ndarray, donors: np.ndarray, copies: np.ndarray | None = None) -> Fit:
        """As :meth:`noholdout_synthetic_control.kernels.fits.SimplexProblem.fit`."""
        counts = np.ones(donors.size) if copies is None else np.asarray(copies, dtype=float)
        sigma2 = self.change_variance(donors, counts)
        n_post = self.outcomes.shape[1] - self.n_pre
        n_treated = 1.0 / float(target @ target)
        zeta2 = math.sqrt(n_treated * n_post) * sigma2
        matrix = distance_gram(self.gram, target, donors)
        matrix[np.diag_indices_from(matrix)] += zeta2 * self.n_pre / counts
        if self.solver == "slsqp":
            weights = slsqp_weights(matrix).weights
        else:
            # The ridge spreads the weight over most donors: start from all of them.
            weights = exact_weights(matrix, np.ones(donors.size, dtype=bool)).weights
        time = time_weights(self.outcomes[donors], self.n_pre, counts, sigma2, self.solver)
        return twin(self.outcomes, self.n_pre, target, donors, weights, time)

    def change_variance(self, donors: np.ndarray, counts: np.ndarray) -> float:
        """Variance of the donors' pre-launch first differences (equation 4)."""
        total = float(counts.sum()) * (self.n_pre - 1)
        if total < 2:
            return 0.0
        first, second = counts @ self.change_sums[donors]
        return max(float(second - first**2 / total) / (total - 1), 0.0)


def time_weights(
    donor_outcomes: np.ndarray, n_pre: int, counts: np.ndarray, sigma2: float, solver: Solver
) -> np.ndarray:
    """Pre-launch weights under which the donors' past predicts their mean after (equation 6)."""
    total = counts.sum()
    before = donor_outcomes[:, :n_pre] - donor_outcomes[:, n_pre:].mean(axis=1)[:, None]
    before = before - (counts @ before) / total
    weighted = before * np.sqrt(counts)[:, None]
    matrix = weighted.T @ weighted
    matrix[np.diag_indices_from(matrix)] += TIME_RIDGE**2 * sigma2 * total
    solve = slsqp_weights if solver == "slsqp" else exact_weights
    return solve(matrix).weights


def double_problem(outcomes: np.ndarray, n_pre: int, solver: Solver = "exact") -> DoubleProblem:
    """Prepare a panel of shape ``(N, T)``."""
    before = outcomes[:, :n_pre]
    features = before - before.mean(axis=1, keepdims=True)
    changes = np.diff(before, axis=1)
    sums = np.column_stack([changes.sum(axis=1), (changes**2).sum(axis=1)])
    return DoubleProblem(outcomes, n_pre, features @ features.T, sums, solver)
