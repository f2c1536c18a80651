"""Intervals when later moves of the gap are at most M times the largest one before the launch.

Rambachan and Roth (2023, Review of Economic Studies 90:2555-2591), section 2.4.1 and section 3.1,
with the conditional and least favourable hybrid test of Andrews, Roth and Pakes (2023, Review of
Economic Studies 90:2763-2791). The set of allowed departures is a union over which move before the
launch, with which sign, bounds the later ones. In each piece these are free within M b, b being
that move, so that they shift a target by at most M R b, R its mean distance from the base. So
``|target - theta| <= M R b`` is all there is: two inequalities without a nuisance parameter, and
the test needs no linear program.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

FIRST_STAGE = 0.1  # share of the error spent on the least favourable test, as in the source
DRAWS = 20_000
GRID = 400


@dataclass(frozen=True)
class _Piece:
    """One move taken as the bound: both rows have a mean of at most zero.

    Parameters
    ----------
    level, slope
        Row v is ``level[v] - slope[v] * theta``, in its own standard errors, shape ``(2,)``.
    correlation
        Of the two rows.
    critical
        Of the least favourable first stage.
    """

    level: np.ndarray
    slope: np.ndarray
    correlation: float
    critical: float

    def accepts(self, theta: np.ndarray, alpha: float) -> np.ndarray:
        """Which values of the target the hybrid test doesn't reject, shape ``(R,)``."""
        rows = self.level - np.outer(theta, self.slope)
        largest, other = rows.max(axis=1), rows.min(axis=1)
        # Given that it is the larger one, it is a normal cut off from below here.
        lower = (other - self.correlation * largest) / max(1 - self.correlation, 1e-12)
        # Upper tails, since the quantiles lie far out there.
        tail = (alpha - FIRST_STAGE * alpha) / (1 - FIRST_STAGE * alpha)
        beyond, end = special.ndtr(-lower), special.ndtr(-self.critical)
        cut = -special.ndtri(end + tail * np.maximum(beyond - end, 0.0))
        return (largest <= np.maximum(cut, 0.0)) & (largest <= self.critical)


@dataclass(frozen=True)
class RelativeMagnitudes:
    """Leads and a target, ready for any bound.

    Parameters
    ----------
    leads
        Gaps relative to the base, from the earliest, shape ``(K,)``; one a period.
    target
        The estimate.
    covariance
        Of leads and target, shape ``(K + 1, K + 1)``.
    reach
        The target's mean distance from the base, in periods.
    draws
        Standard normals, shape ``(R, 2)``.
    """

    leads: np.ndarray
    target: float
    covariance: np.ndarray
    reach: float
    draws: np.ndarray

    def interval(self, m: float, conf_level: float) -> tuple[float, float]:
        """The ends of the set of values that no piece's test rejects all of."""
        pieces = list(self._pieces(m, 1 - conf_level))
        centre, width = self.target, self._width(m)
        theta = np.linspace(centre - width, centre + width, GRID)
        inside = np.zeros(GRID, dtype=bool)
        for piece in pieces:
            inside |= piece.accepts(theta, 1 - conf_level)
        if not inside.any():
            return np.nan, np.nan
        first, last = (int(i) for i in np.flatnonzero(inside)[[0, -1]])
        ends = []
        for i, outwards in ((first, -1), (last, 1)):
            if not 0 <= i + outwards < GRID:
                ends.append(outwards * np.inf)
                continue
            near, far = theta[i], theta[i + outwards]
            for _ in range(12):
                middle = (near + far) / 2
                held = any(p.accepts(np.array([middle]), 1 - conf_level)[0] for p in pieces)
                near, far = (middle, far) if held else (near, middle)
            ends.append(float(near))
        return ends[0], ends[1]

    def holds_zero(self, m: float, conf_level: float) -> bool:
        """Whether an effect of zero is not rejected."""
        zero = np.zeros(1)
        alpha = 1 - conf_level
        return any(bool(p.accepts(zero, alpha)[0]) for p in self._pieces(m, alpha))

    def breakdown(self, conf_level: float, most: float = 8.0) -> float:
        """The bound from which on zero is not rejected, up to ``most``."""
        low, high = 0.0, most
        if self.holds_zero(1e-9, conf_level):
            return 0.0
        if not self.holds_zero(most, conf_level):
            return most
        for _ in range(9):
            middle = (low + high) / 2
            low, high = (low, middle) if self.holds_zero(middle, conf_level) else (middle, high)
        return low

    def _steps(self) -> np.ndarray:
        """Moves from one period to the next before the launch, as rows on leads and target."""
        k = len(self.leads)
        steps = np.zeros((k, k + 1))
        steps[np.arange(k), np.arange(k)] = -1.0
        steps[np.arange(k - 1), np.arange(1, k)] = 1.0
        return steps

    def _pieces(self, m: float, alpha: float) -> Iterator[_Piece]:
        steps, k = self._steps(), len(self.leads)
        value = np.append(self.leads, self.target)
        of_target = np.append(np.zeros(k), 1.0)
        for s in range(k):
            for sign in (1.0, -1.0):
                bound = m * self.reach * sign * steps[s]
                rows = np.vstack([of_target - bound, -of_target - bound])
                covariance = rows @ self.covariance @ rows.T
                se = np.sqrt(np.diag(covariance))
                rho = float(np.clip(covariance[0, 1] / (se[0] * se[1]), -1.0, 1.0))
                first, second = self.draws.T
                largest = np.maximum(first, rho * first + np.sqrt(1 - rho**2) * second)
                critical = float(np.quantile(largest, 1 - FIRST_STAGE * alpha))
                yield _Piece(rows @ value / se, np.array([1.0, -1.0]) / se, rho, critical)

    def _width(self, m: float) -> float:
        """Beyond this distance from the estimate no value can be accepted, by far."""
        steps = self._steps()
        spread = np.sqrt(np.einsum("sk,kl,sl->s", steps, self.covariance, steps))
        moves = np.abs(steps[:, :-1] @ self.leads)
        most = float((moves + 5 * spread).max())
        return 5 * float(np.sqrt(self.covariance[-1, -1])) + m * self.reach * most


def relative_magnitudes(
    leads: np.ndarray,
    target: float,
    covariance: np.ndarray,
    reach: float,
    rng: np.random.Generator,
) -> RelativeMagnitudes:
    """Prepare; arguments as in :class:`RelativeMagnitudes`."""
    return RelativeMagnitudes(leads, target, covariance, reach, rng.standard_normal((DRAWS, 2)))
