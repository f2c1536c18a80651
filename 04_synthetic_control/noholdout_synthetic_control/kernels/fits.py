"""Synthetic twins by weights on the simplex, from one Gram matrix for every refit.

Every estimator here is ``mean_post(gap) - v'gap_pre`` with ``gap_t = y_t - w'Y_t`` (Arkhangelsky
et al. 2021, AER 111(12), equation 2 and table on page 4092): they differ in the donor weights
``w`` and in the pre-launch weights ``v`` (none for the classic estimator, equal ones with an
intercept). All fits, placebos and resamples of one panel need only inner products of units, so
the Gram matrix is computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from noholdout_synthetic_control.kernels.noise import own_movement
from noholdout_synthetic_control.kernels.simplex import (
    exact_weights,
    slsqp_weights,
    weights_of_many,
)

Solver = Literal["exact", "slsqp"]

RIDGE = 2.0
AT_ONCE = 2_000_000  # numbers in the matrices of the resamples that are solved together
LEAST_CURVATURE = 1e-6  # of the largest squared distance: below it weights are hardly unique


@dataclass(frozen=True)
class Fit:
    """One synthetic twin.

    Parameters
    ----------
    weights
        Of the donors, shape ``(J,)``, in the order that was asked; sums to one.
    pre_weights
        Of the pre-launch periods in the intercept, shape ``(T0,)``; zeros without an intercept.
    gap
        Observed minus synthetic (intercept included), shape ``(T,)``.
    effect
        Mean gap from the launch on.
    intercept
        The level difference that the twin is shifted by.
    """

    weights: np.ndarray
    pre_weights: np.ndarray
    gap: np.ndarray
    effect: float
    intercept: float


class Problem(Protocol):
    """A panel ready to be fitted for any target and any donors."""

    @property
    def outcomes(self) -> np.ndarray: ...

    @property
    def n_pre(self) -> int: ...

    def fit(
        self, target: np.ndarray, donors: np.ndarray, copies: np.ndarray | None = None
    ) -> Fit: ...


# An estimator: outcomes (N, T), periods before the launch, each unit's noise -> its problem.
Build = Callable[[np.ndarray, int, np.ndarray], Problem]


@dataclass(frozen=True)
class SimplexProblem:
    """Donor weights on the simplex that match features of the time before the launch.

    Parameters
    ----------
    outcomes
        Shape ``(N, T)``, every unit.
    n_pre
        Periods before the launch, ``T0``.
    gram
        Inner products of the units' features, shape ``(N, N)``.
    ridge
        Penalty on each unit's squared weight, shape ``(N,)``.
    intercept
        Whether the twin may differ by a constant.
    solver
        ``exact`` or ``slsqp``.
    """

    outcomes: np.ndarray
    n_pre: int
    gram: np.ndarray
    ridge: np.ndarray
    intercept: bool
    solver: Solver = "exact"

    def fit(self, target: np.ndarray, donors: np.ndarray, copies: np.ndarray | None = None) -> Fit:
        """The twin of ``target @ outcomes`` (weights over units, shape ``(N,)``).

        ``copies`` counts how often each donor was drawn in a resample, shape ``(J,)``, all above
        zero: the copies of a donor share its weight, which divides its penalty.
        """
        matrix = distance_gram(self.gram, target, donors)
        penalty = self.ridge[donors]
        matrix.flat[:: donors.size + 1] += penalty if copies is None else penalty / copies
        solve = exact_weights if self.solver == "exact" else slsqp_weights
        weights = solve(matrix).weights
        return twin(self.outcomes, self.n_pre, target, donors, weights, self.pre_weights())

    def refit_weights(
        self, target: np.ndarray, donors: np.ndarray, copies: np.ndarray, guess: np.ndarray
    ) -> np.ndarray | None:
        """Weights of many resamples, shape ``(R, J)``; ``None`` where they may not be unique.

        ``copies`` has a row a resample, zero for a donor left out; ``guess`` are donors that
        probably carry weight.
        """
        matrix = distance_gram(self.gram, target, donors)
        penalty = self.ridge[donors]
        curvature = np.linalg.eigvalsh(matrix)[0] + penalty.min() / copies.max()
        if self.solver != "exact" or curvature <= LEAST_CURVATURE * matrix.diagonal().max():
            return None
        left_out = copies == 0
        penalties = penalty / (copies + left_out)
        parts = -(-copies.size * donors.size // AT_ONCE)
        pairs = zip(np.array_split(penalties, parts), np.array_split(left_out, parts), strict=True)
        return np.vstack([weights_of_many(matrix, p, out, guess) for p, out in pairs])

    def pre_weights(self) -> np.ndarray:
        """Equal weights on the pre-launch periods, or zeros without an intercept."""
        return np.full(self.n_pre, 1.0 / self.n_pre if self.intercept else 0.0)


@dataclass(frozen=True)
class EqualWeights:
    """Difference-in-differences: every donor counts the same, every period counts the same."""

    outcomes: np.ndarray
    n_pre: int

    def fit(self, target: np.ndarray, donors: np.ndarray, copies: np.ndarray | None = None) -> Fit:
        """See :meth:`SimplexProblem.fit`."""
        counts = np.ones(donors.size) if copies is None else np.asarray(copies, dtype=float)
        equal = np.full(self.n_pre, 1.0 / self.n_pre)
        return twin(self.outcomes, self.n_pre, target, donors, counts / counts.sum(), equal)


def refit(
    problem: Problem, fit: Fit, target: np.ndarray, donors: np.ndarray, copies: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Effects ``(R,)`` and gaps ``(R, T)`` of ``fit`` with donors left out or drawn several times.

    ``copies`` counts them, shape ``(R, J)``, at least one a row.
    """
    if isinstance(problem, SimplexProblem):
        weights = problem.refit_weights(target, donors, copies, fit.weights > 0)
        if weights is not None:
            raw = target @ problem.outcomes - weights @ problem.outcomes[donors]
            gaps = raw - (raw[:, : problem.n_pre] @ problem.pre_weights())[:, None]
            return gaps[:, problem.n_pre :].mean(axis=1), gaps
    effects, paths = np.empty(len(copies)), np.empty((len(copies), fit.gap.size))
    for row, drawn in enumerate(copies):
        chosen = np.flatnonzero(drawn)
        found = problem.fit(target, donors[chosen], drawn[chosen])
        effects[row], paths[row] = found.effect, found.gap
    return effects, paths


def distance_gram(gram: np.ndarray, target: np.ndarray, donors: np.ndarray) -> np.ndarray:
    """Inner products of the donors' distances from the target, shape ``(J, J)``.

    ``(z_j - z_t)'(z_k - z_t)``, so that ``w'Kw`` is the squared misfit for weights that sum to
    one (the fit's right-hand side needs no separate term).
    """
    members = target.nonzero()[0]
    shares = target[members]
    rows = gram[donors]
    cross = rows[:, members] @ shares
    own = float(shares @ gram[members][:, members] @ shares)
    return rows[:, donors] - cross[:, None] - cross[None, :] + own


def twin(
    outcomes: np.ndarray,
    n_pre: int,
    target: np.ndarray,
    donors: np.ndarray,
    weights: np.ndarray,
    pre_weights: np.ndarray,
) -> Fit:
    """Assemble the gap, the intercept and the effect from both sets of weights."""
    members = target.nonzero()[0]
    raw = target[members] @ outcomes[members] - weights @ outcomes[donors]
    intercept = float(pre_weights @ raw[:n_pre])
    gap = raw - intercept
    return Fit(weights, pre_weights, gap, float(gap[n_pre:].mean()), intercept)


def block_means(outcomes: np.ndarray, n_pre: int, block: int) -> np.ndarray:
    """Means of blocks of ``block`` pre-launch periods, counted back from the launch.

    The oldest ``n_pre % block`` periods don't fill a block and are left out of the fit.
    """
    count = n_pre // block
    recent = outcomes[:, n_pre - count * block : n_pre]
    return recent.reshape(outcomes.shape[0], count, block).mean(axis=2)


def classic_problem(outcomes: np.ndarray, n_pre: int, solver: Solver = "exact") -> SimplexProblem:
    """Match every pre-launch outcome, no intercept (Abadie, Diamond and Hainmueller 2010)."""
    features = outcomes[:, :n_pre]
    # Distances don't change when a constant is taken off every unit; rounding errors do.
    features = features - features.mean()
    zeros = np.zeros(outcomes.shape[0])
    return SimplexProblem(outcomes, n_pre, features @ features.T, zeros, False, solver)


def demeaned_problem(
    outcomes: np.ndarray,
    n_pre: int,
    noise: np.ndarray,
    block: int,
    solver: Solver = "exact",
    ridge: float = RIDGE,
    wanders: bool = True,
) -> SimplexProblem:
    """Match demeaned block means, with an intercept and a ridge at twice what is units' own.

    The intercept is Doudchenko and Imbens's (2016) and Ferman and Pinto's (2021, Quantitative
    Economics 12(4)) demeaned estimator. A donor's block means move by themselves, which weights
    could fit by luck: by noise of variance ``noise_j / block``, and by a wander that all units
    are taken to share the size of, which is what :func:`own_movement` finds beyond the noise.
    ``ridge`` times their sum, summed over the blocks, is the penalty on the squared weight.

    Parameters
    ----------
    noise
        Variance of each unit's own noise in one period, shape ``(N,)``.
    block
        Periods a block.
    ridge
        Multiple of the variance; the default had the smallest worst-case error among those
        tried (``benchmarks/results/synthetic_control_tuning.csv``).
    wanders
        Whether the wander counts; without it only the noise does.
    """
    blocks = block_means(outcomes, n_pre, block)
    features = blocks - blocks.mean(axis=1, keepdims=True)
    own = noise / block
    if wanders:
        own = own + max(own_movement(features) - float(own.mean()), 0.0)
    penalty = ridge * max(blocks.shape[1] - 1, 1) * own
    return SimplexProblem(outcomes, n_pre, features @ features.T, penalty, True, solver)
