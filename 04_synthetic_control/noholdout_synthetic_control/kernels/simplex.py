"""Weights on the simplex, exactly: minimise ``w'Kw`` over ``w >= 0``, ``sum(w) = 1``.

With ``A = K + c 11'`` (``c > 0`` moves the objective by a constant on the simplex), the problem
is the linear complementarity problem ``z >= 0, Az >= 1, z'(Az - 1) = 0`` with ``w = z / sum(z)``.
Lawson and Hanson's (1974, chapter 23) active set adds one column at a time, so that it never meets
a singular system, and is quick when few donors carry weight. With a guess of which donors do (a
neighbouring problem's answer, or all of them under a strong ridge), block principal pivoting (Kim
and Park 2011, SIAM J. Sci. Comput. 33(6), section 3) needs a few steps only; resamples of one
problem take them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from noholdout_shared.errors import ConvergenceError
from scipy.linalg.lapack import dposv

TOLERANCE = 1e-11  # on the scaled problem, whose largest diagonal entry is 1
PERFECT = 1e-14
PIVOT_STEPS = 60
PATIENCE = 3


@dataclass(frozen=True)
class SimplexFit:
    """Weights and how far they are from the optimum.

    Parameters
    ----------
    weights
        Shape ``(J,)``, on the simplex.
    optimality_gap
        ``w'Kw - min_j (Kw)_j`` in units of ``max_j K_jj``: zero at the optimum, and an upper
        bound on half of what any other weights could gain (Frank-Wolfe gap).
    """

    weights: np.ndarray
    optimality_gap: float


def exact_weights(gram: np.ndarray, guess: np.ndarray | None = None) -> SimplexFit:
    """The minimiser of ``w'Kw`` on the simplex.

    Parameters
    ----------
    gram
        ``K``, shape ``(J, J)``, positive semi-definite.
    guess
        Columns that probably carry weight, boolean, shape ``(J,)``; changes the time, not the
        answer. Give none where ``K`` may be singular: several answers fit equally well there,
        and without a guess the same one is always found.
    """
    size = gram.shape[0]
    scale = float(np.max(np.diagonal(gram))) if size else 0.0
    if size == 1 or scale <= 0:
        return SimplexFit(np.full(size, 1.0 / size), 0.0)
    matrix = gram / scale + 1.0
    solution = None if guess is None else _block_pivot(matrix, guess)
    if solution is None:
        solution = _active_set(matrix)
    weights = solution / solution.sum()
    gap = optimality_gap(gram, weights)
    return SimplexFit(weights, gap)


def optimality_gap(gram: np.ndarray, weights: np.ndarray) -> float:
    """``w'Kw - min_j (Kw)_j`` over ``max_j K_jj``."""
    gradient = gram @ weights
    scale = float(np.max(np.diagonal(gram)))
    return float((weights @ gradient - gradient.min()) / scale) if scale > 0 else 0.0


def _block_pivot(matrix: np.ndarray, guess: np.ndarray) -> np.ndarray | None:
    """Block principal pivoting; ``None`` when it meets a singular system or runs out of steps."""
    size = matrix.shape[0]
    free = guess.copy() if guess.any() else np.ones(size, dtype=bool)
    fewest, patience = size + 1, PATIENCE
    ones = np.ones(size)
    solution = np.zeros(size)
    for _ in range(PIVOT_STEPS):
        chosen = np.flatnonzero(free)
        _, values, info = dposv(matrix[chosen][:, chosen], ones[: chosen.size])
        if info != 0 or not np.all(np.isfinite(values)):
            return None
        solution[:] = 0.0
        solution[chosen] = values
        slack = matrix[:, chosen] @ values - 1.0
        if np.max(np.abs(slack[chosen])) > 1e-7:  # the system is singular to working precision
            return None
        limit = TOLERANCE * max(float(values.max()), 1.0)
        wrong = np.where(free, solution < -limit, slack < -TOLERANCE)
        count = int(wrong.sum())
        if count == 0:
            return np.maximum(solution, 0.0)
        if count < fewest:
            fewest, patience = count, PATIENCE
        elif patience > 0:
            patience -= 1
        else:  # Murty's rule: one variable at a time, the last one, can't cycle
            wrong[: int(np.flatnonzero(wrong)[-1])] = False
        free ^= wrong
        if not free.any():
            return None
    return None


def weights_of_many(
    gram: np.ndarray, penalties: np.ndarray, left_out: np.ndarray, guess: np.ndarray
) -> np.ndarray:
    """Minimisers of ``w'(K + diag(p))w`` on the simplex for many ``p``, shape ``(R, J)``.

    All problems take their steps of block principal pivoting together; those that don't settle
    so are solved one by one.

    Parameters
    ----------
    gram
        ``K``, shape ``(J, J)``.
    penalties
        One ``p`` a row, shape ``(R, J)``; each ``K + diag(p)`` must be positive definite.
    left_out
        Columns that may carry no weight, boolean, shape ``(R, J)``.
    guess
        Columns that probably carry weight, boolean, shape ``(J,)``.
    """
    allowed, own = ~left_out, penalties
    scale = np.where(allowed, np.diagonal(gram) + own, 0.0).max(axis=1)[:, None]
    free = allowed & guess
    free[~free.any(axis=1)] = True
    free &= allowed
    weights = np.full(penalties.shape, np.nan)
    fewest = np.full(len(free), gram.shape[0] + 1)
    patience = np.full(len(free), PATIENCE)
    rows = np.arange(len(free))
    for _ in range(PIVOT_STEPS):
        now, size = free[rows], scale[rows]
        solution = _free_solutions(gram, own[rows], size, now)
        slack = (solution @ gram + own[rows] * solution) / size
        slack += solution.sum(axis=1, keepdims=True) - 1.0
        limit = TOLERANCE * np.maximum(solution.max(axis=1, keepdims=True), 1.0)
        wrong = np.where(now, solution < -limit, allowed[rows] & (slack < -TOLERANCE))
        count = wrong.sum(axis=1)
        done = count == 0
        found = np.maximum(solution[done], 0.0)
        weights[rows[done]] = found / found.sum(axis=1, keepdims=True)
        better = count < fewest[rows]
        fewest[rows[better]] = count[better]
        patience[rows] = np.where(better, PATIENCE, patience[rows] - 1)
        stuck = patience[rows] < 0  # Murty's rule: the last one alone, which can't cycle
        last = gram.shape[0] - 1 - wrong[:, ::-1].argmax(axis=1)
        wrong[stuck] &= np.arange(gram.shape[0]) == last[stuck, None]
        free[rows] ^= wrong
        rows = rows[~done & free[rows].any(axis=1)]
        if rows.size == 0:
            break
    for row in np.flatnonzero(np.isnan(weights).any(axis=1)):
        chosen = np.flatnonzero(allowed[row])
        matrix = gram[chosen][:, chosen] + np.diag(own[row, chosen])
        weights[row] = 0.0
        weights[row, chosen] = exact_weights(matrix).weights
    return weights


def _free_solutions(
    gram: np.ndarray, own: np.ndarray, scale: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """``Az = 1`` over each problem's free columns, zero elsewhere, shape ``(R, J)``."""
    width = int(free.sum(axis=1).max())
    order = np.argsort(~free, axis=1, kind="stable")[:, :width]
    inside = np.take_along_axis(free, order, 1)
    matrix = gram[order[:, :, None], order[:, None, :]] / scale[:, :, None] + 1.0
    matrix *= inside[:, :, None] & inside[:, None, :]
    along = np.arange(width)
    matrix[:, along, along] += np.where(inside, np.take_along_axis(own, order, 1) / scale, 1.0)
    values = np.linalg.solve(matrix, inside[:, :, None].astype(float))[:, :, 0]
    solution = np.zeros(free.shape)
    np.put_along_axis(solution, order, values * inside, 1)
    return solution


def _active_set(matrix: np.ndarray) -> np.ndarray:
    """Lawson-Hanson active set for ``min z'Az / 2 - sum(z), z >= 0``."""
    size = matrix.shape[0]
    solution = np.zeros(size)
    free = np.zeros(size, dtype=bool)
    blocked = np.zeros(size, dtype=bool)
    for _ in range(30 * size + 100):
        total = float(solution.sum())
        # The target lies in the hull: the objective, 1 / total - 1, can't fall further.
        if total > 0 and 1 / total - 1 <= PERFECT:
            return solution
        gain = 1.0 - matrix[:, free] @ solution[free]
        gain[free | blocked] = -np.inf
        entering = int(np.argmax(gain))
        if gain[entering] <= TOLERANCE:
            return solution
        free[entering] = True
        moved = _restore(matrix, solution, free, entering)
        # A column that can't move in exact arithmetic only seems to gain by rounding.
        if moved:
            blocked[:] = False
        else:
            free[entering] = False
            solution[entering] = 0.0
            blocked[entering] = True
    raise ConvergenceError(
        f"The donor weights didn't converge for {size:,} donors.",
        "Without optimal weights there is no synthetic control.",
        "Use fewer donors, or solver='slsqp'.",
    )


def _restore(matrix: np.ndarray, solution: np.ndarray, free: np.ndarray, entering: int) -> bool:
    """Move to the optimum of the free columns, dropping those that reach zero on the way."""
    ones = np.ones(matrix.shape[0])
    while True:
        chosen = np.flatnonzero(free)
        _, target, info = dposv(matrix[chosen][:, chosen], ones[: chosen.size])
        if info != 0 or not np.all(np.isfinite(target)):
            return False
        if target.min() > 0:
            solution[chosen] = target
            return True
        if solution[entering] == 0 and target[chosen == entering][0] <= 0:
            return False
        current = solution[chosen]
        falling = target <= 0
        steps = current[falling] / (current[falling] - target[falling])
        step = float(steps.min())
        solution[chosen] = current + step * (target - current)
        leaving = chosen[falling][steps <= step * (1 + 1e-12)]
        solution[leaving] = 0.0
        free[leaving] = False


def _over_one(weights: np.ndarray) -> float:
    return float(weights.sum()) - 1.0


def slsqp_weights(gram: np.ndarray) -> SimplexFit:
    """The same minimiser by ``scipy.optimize``'s SLSQP: slower, and right to about 1e-6."""
    from scipy.optimize import minimize

    size = gram.shape[0]
    scale = float(np.max(np.diagonal(gram))) if size else 0.0
    if size == 1 or scale <= 0:
        return SimplexFit(np.full(size, 1.0 / size), 0.0)
    scaled = gram / scale
    # In units of what equal weights leave, so that ftol means the same on every data set.
    equal = np.full(size, 1.0 / size)
    unit = max(float(equal @ scaled @ equal), 1e-12)

    def objective(weights: np.ndarray) -> float:
        return float(weights @ scaled @ weights) / unit

    def gradient(weights: np.ndarray) -> np.ndarray:
        return 2 * (scaled @ weights) / unit

    arguments: dict[str, Any] = {
        "jac": gradient,
        "method": "SLSQP",
        "bounds": [(0.0, 1.0)] * size,
        "constraints": {"type": "eq", "fun": _over_one, "jac": np.ones_like},
        "options": {"maxiter": 2000, "ftol": 1e-14},
    }
    result = minimize(objective, equal, **arguments)
    # Status 8: no direction lowers the objective further at this precision.
    if not result.success and result.status != 8:
        raise ConvergenceError(
            f"SLSQP stopped before the donor weights were found: {result.message}.",
            "Without optimal weights there is no synthetic control.",
            "Use solver='exact'.",
        )
    weights = np.maximum(result.x, 0.0)
    weights /= weights.sum()
    return SimplexFit(weights, optimality_gap(gram, weights))
