"""Ridge-augmented synthetic control: the simplex, corrected by a ridge on what it misses.

Ben-Michael, Feller and Rothstein (2021, JASA 116(536)), equations 10 and 11 and section 5.3,
on demeaned block means (their fixed-effects version, section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_synthetic_control.kernels.fits import Fit, Solver, block_means, twin
from noholdout_synthetic_control.kernels.simplex import exact_weights, slsqp_weights

PENALTIES = 20
RANGE = 1e-8  # smallest over largest penalty tried


@dataclass(frozen=True)
class AugmentedProblem:
    """Simplex weights plus a ridge correction, which may make weights negative.

    Parameters
    ----------
    outcomes
        Shape ``(N, T)``.
    n_pre
        Periods before the launch.
    features
        Demeaned block means, shape ``(N, B)``.
    ridge
        Penalty on each unit's squared simplex weight, shape ``(N,)``.
    solver
        ``exact`` or ``slsqp``.
    """

    outcomes: np.ndarray
    n_pre: int
    features: np.ndarray
    ridge: np.ndarray
    solver: Solver = "exact"

    def fit(self, target: np.ndarray, donors: np.ndarray, copies: np.ndarray | None = None) -> Fit:
        """As :meth:`noholdout_synthetic_control.kernels.fits.SimplexProblem.fit`."""
        counts = np.ones(donors.size) if copies is None else np.asarray(copies, dtype=float)
        own = target @ self.features
        others = self.features[donors]
        penalty = self.penalty(own, others, self.ridge[donors], counts)
        weights = self.corrected(own, others, self.ridge[donors], counts, np.array([penalty]))[0]
        equal = np.full(self.n_pre, 1.0 / self.n_pre)
        return twin(self.outcomes, self.n_pre, target, donors, weights, equal)

    def corrected(
        self,
        own: np.ndarray,
        others: np.ndarray,
        ridge: np.ndarray,
        counts: np.ndarray,
        penalties: np.ndarray,
    ) -> np.ndarray:
        """Augmented weights for each penalty, shape ``(L, J)``.

        ``w + (y - X'w)' (Xc'Xc + penalty I)^-1 Xc'`` with ``Xc`` centred over the donors: the
        correction sums to zero. One singular value decomposition serves all penalties.
        """
        distance = others - own
        matrix = distance @ distance.T
        matrix[np.diag_indices_from(matrix)] += ridge / counts
        solve = slsqp_weights if self.solver == "slsqp" else exact_weights
        weights = solve(matrix).weights
        missed = own - weights @ others
        root = np.sqrt(counts)[:, None]
        centred = (others - (counts @ others) / counts.sum()) * root
        left, values, right = np.linalg.svd(centred, full_matrices=False)
        shrunk = values / (values**2 + penalties[:, None])
        return weights + (shrunk * (right @ missed)) @ left.T * root[:, 0]

    def penalty(
        self, own: np.ndarray, others: np.ndarray, ridge: np.ndarray, counts: np.ndarray
    ) -> float:
        """Leave-one-block-out choice: the largest penalty within a standard error of the best."""
        largest = float(np.linalg.svd(others - others.mean(axis=0), compute_uv=False)[0]) ** 2
        scale = float((others**2).sum()) or 1.0
        if largest <= 1e-20 * scale:  # donors that don't differ leave nothing to correct with
            largest = scale
        grid = largest * np.logspace(0, np.log10(RANGE), PENALTIES)
        blocks = own.size
        errors = np.empty((blocks, PENALTIES))
        for left_out in range(blocks):
            keep = np.delete(np.arange(blocks), left_out)
            fitted = self.corrected(own[keep], others[:, keep], ridge, counts, grid)
            errors[left_out] = (own[left_out] - fitted @ others[:, left_out]) ** 2
        mean = errors.mean(axis=0)
        best = int(np.argmin(mean))
        limit = mean[best] + errors[:, best].std(ddof=1) / np.sqrt(blocks)
        return float(grid[np.flatnonzero(mean <= limit)[0]])


def augmented_problem(
    outcomes: np.ndarray, n_pre: int, noise: np.ndarray, block: int, solver: Solver = "exact"
) -> AugmentedProblem:
    """Prepare a panel; arguments as for the demeaned problem."""
    blocks = block_means(outcomes, n_pre, block)
    features = blocks - blocks.mean(axis=1, keepdims=True)
    penalty = max(blocks.shape[1] - 1, 1) * noise / block
    return AugmentedProblem(outcomes, n_pre, features, penalty, solver)
