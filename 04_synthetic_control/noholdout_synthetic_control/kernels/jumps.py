"""How far each unit jumped at one moment, by the linear contrast with the least variance.

A unit's deviation from the others is taken as a level of its own, a first-order autoregression and
white noise; their sizes are fitted to the variogram of the time before the launch, pooled over all
units. The jump is then the generalised least squares coefficient of a step among a few weeks
before and after, which weighs the days next to it most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

WINDOW = 28  # periods at most on each side
MIN_WINDOW = 2
PERSISTENCE = np.concatenate([[0.0], np.linspace(0.3, 0.98, 35)])


@dataclass(frozen=True)
class Jumps:
    """Jumps of units at the launch.

    Parameters
    ----------
    sizes
        In the outcome's units, shape ``(J,)``; only their differences mean something, since
        what all units share is in each.
    variances
        Of each jump without a launch, shape ``(J,)``, from fake launches before it.
    df
        Of these variances.
    """

    sizes: np.ndarray
    variances: np.ndarray
    df: float


def launch_jumps(
    outcomes: np.ndarray, n_pre: int, units: np.ndarray, noise: np.ndarray
) -> Jumps | None:
    """Jumps of ``units`` at the launch; ``None`` when the history is too short for fake ones.

    Parameters
    ----------
    outcomes
        Shape ``(N, T)``. Before the launch every unit tells how units jump without one.
    units
        Indices, shape ``(J,)``.
    noise
        Variance of each unit's own noise in one period, shape ``(N,)``.
    """
    count, periods = outcomes.shape
    side = min(WINDOW, periods - n_pre, n_pre // 3)
    if side < MIN_WINDOW or count < 3:
        return None
    before = outcomes[:, :n_pre]
    contrast = step_contrast(before - before.mean(axis=0), side)
    width, step = 2 * side, max(side // 2, 1)
    fakes = np.array([before[:, s : s + width] @ contrast for s in range(n_pre - width, -1, -step)])
    fakes = fakes - fakes.mean(axis=1, keepdims=True)
    own = noise * float(contrast @ contrast)
    common = max(float((fakes**2).mean()) * count / (count - 1) - float(own.mean()), 0.0)
    variances = (common + own)[units]
    if not variances.min() > 0:
        return None
    sizes = outcomes[units, n_pre - side : n_pre + side] @ contrast
    # Overlapping fake launches repeat each other: independent ones count.
    return Jumps(sizes, variances, (count - 1) * max(n_pre / width, 1.0))


def step_contrast(deviations: np.ndarray, side: int) -> np.ndarray:
    """Weights on ``side`` periods before and after a step that estimate it, shape ``(2 side,)``."""
    width = 2 * side
    rho, white, moving = autocovariance(deviations, min(width - 1, deviations.shape[1] - 1))
    lag = np.abs(np.subtract.outer(np.arange(width), np.arange(width)))
    covariance = moving * rho**lag + (white + 1e-9 * (white + moving or 1.0)) * np.eye(width)
    design = np.column_stack([np.ones(width), np.arange(width) >= side])
    whitened = np.linalg.solve(covariance, design)
    return np.asarray(np.linalg.solve(design.T @ whitened, whitened.T)[1])


def autocovariance(deviations: np.ndarray, lags: int) -> tuple[float, float, float]:
    """Persistence and the two variances (white, moving) that fit the variogram best.

    Half the mean squared change over ``k`` periods is ``white + moving (1 - rho^k)``: levels
    drop out. Least squares with weights ``1 / k`` (long lags are known worse), both variances
    nonnegative, ``rho`` over a grid.
    """
    count, periods = deviations.shape
    steps = np.arange(1, max(lags, 1) + 1)
    variogram = np.array(
        [0.5 * ((deviations[:, k:] - deviations[:, : periods - k]) ** 2).mean() for k in steps]
    ) * (count / (count - 1))
    scale = max(float(variogram.max()), 1e-300)
    target, weight = variogram / scale, 1.0 / steps
    rise = 1 - PERSISTENCE[:, None] ** steps
    one, cross, square = weight.sum(), rise @ weight, rise**2 @ weight
    total, along = float(weight @ target), rise @ (weight * target)
    determinant = np.maximum(one * square - cross**2, 1e-300)
    white = (square * total - cross * along) / determinant
    moving = (one * along - cross * total) / determinant
    # At a negative solution the best lies on that edge.
    white, moving = (
        np.where(moving < 0, total / one, np.where(white < 0, 0.0, white)),
        np.where(moving < 0, 0.0, np.where(white < 0, along / square, moving)),
    )
    misses = ((white[:, None] + moving[:, None] * rise - target) ** 2) @ weight
    best = int(np.argmin(misses))
    return float(PERSISTENCE[best]), float(white[best]) * scale, float(moving[best]) * scale


def mean_distance(scores: np.ndarray) -> tuple[float, float]:
    """Mean absolute score over what chance gives, and the degrees of freedom of its square.

    Of scores with variance one and correlation ``-1 / (J - 1)`` (distances from their own mean),
    shape ``(J,)``, ``J >= 3``. Squares see one far score best, absolute values many of the same
    size. The mean absolute score is near a multiple of a chi variable (Cadwell 1953, Biometrika
    40(3/4)), here the one with the mean and variance that it has exactly (Geary 1936, Biometrika
    28(3/4)): the ratio's square, scaled to a mean of one, is a chi-squared over these degrees.
    """
    count = scores.size
    expected = math.sqrt(2 / math.pi)
    apart = 1 / (count - 1)
    product = 2 / math.pi * (math.sqrt(1 - apart**2) + apart * math.asin(apart))
    variance = (1 + (count - 1) * product) / count - expected**2

    def excess(df: float) -> float:
        mean = chi_mean(df)
        return (df - mean**2) / mean**2 - variance / expected**2

    df = float(optimize.brentq(excess, 0.3, 1e7))
    scale = expected / chi_mean(df) * math.sqrt(df)
    return float(np.abs(scores).mean()) / scale, df


def chi_mean(df: float) -> float:
    """Mean of a chi variable."""
    return math.sqrt(2) * math.exp(special.gammaln((df + 1) / 2) - special.gammaln(df / 2))


def split(sizes: np.ndarray) -> tuple[np.ndarray, float]:
    """The two groups that jumps fall into best: which are in the smaller one, and how far apart.

    The cut with the largest sum of squares between the groups. The distance has a sign: how far
    the smaller group (of equal ones: the higher) lies above the other.
    """
    order = np.argsort(sizes, kind="stable")
    ordered = sizes[order]
    low = np.arange(1, sizes.size)
    sums = np.cumsum(ordered)[:-1]
    apart = (ordered.sum() - sums) / (sizes.size - low) - sums / low
    cut = int(np.argmax(low * (sizes.size - low) * apart**2)) + 1
    few = np.zeros(sizes.size, dtype=bool)
    lower_is_fewer = cut < sizes.size - cut
    few[order[:cut] if lower_is_fewer else order[cut:]] = True
    distance = float(apart[cut - 1])
    return few, -distance if lower_is_fewer else distance
