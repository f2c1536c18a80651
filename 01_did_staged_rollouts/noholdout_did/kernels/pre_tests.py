"""Several tests of the same leads, judged together, and what they could have found.

The tests of the gaps before a launch are combinations of the same few numbers. Holm's adjustment
supposes nothing about that; here the joint null distribution is drawn, as in Westfall and Young's
(1993, section 2.6) step-down minimum of p-values, which holds the same 5% with more power. What a
drift would do to the estimate where the tests find nothing follows Roth (2022, American Economic
Review: Insights 4:305-322, sections I.C and II).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

DRAWS = 4_000


@dataclass(frozen=True)
class GapDraws:
    """Draws of K gaps without a trend, and of the factor by which their errors are misjudged.

    Parameters
    ----------
    gaps
        Normal with the gaps' covariance, shape ``(R, K)``.
    scale
        Estimated over true standard error, shape ``(R,)``.
    """

    gaps: np.ndarray
    scale: np.ndarray


def draw_gaps(
    covariance: np.ndarray, df: float, rng: np.random.Generator, draws: int = DRAWS
) -> GapDraws:
    """Draw; ``scale`` is that of a variance with ``df`` degrees of freedom (1 for ``inf``)."""
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    gaps = rng.standard_normal((draws, len(values))) @ root.T
    scale = np.ones(draws) if np.isinf(df) else np.sqrt(rng.chisquare(df, draws) / df)
    return GapDraws(gaps, scale)


@dataclass(frozen=True)
class PreTests:
    """M tests of K gaps before the launch, the last of them joint unless ``joint`` is ``None``.

    Parameters
    ----------
    single
        Combinations tested by t, with unit variance, shape ``(K, S)``.
    joint
        Combinations tested together by F, with unit covariance, shape ``(K, B)``.
    share
        Each test's share of the error, shape ``(M,)``, adding up to 1.
    df
        Degrees of freedom.
    """

    single: np.ndarray
    joint: np.ndarray | None
    share: np.ndarray
    df: float

    def p_values(self, gaps: np.ndarray) -> np.ndarray:
        """P-values ``(R, M)`` of gaps ``(R, K)``."""
        p = 2 * special.stdtr(self.df, -np.abs(gaps @ self.single))
        if self.joint is None:
            return p
        k = self.joint.shape[1]
        f = ((gaps @ self.joint) ** 2).sum(axis=1) / k
        return np.column_stack([p, special.fdtrc(k, self.df, f)])

    def level(self, null_p: np.ndarray, level: float) -> np.ndarray:
        """Raw levels, shape ``(M,)``, at which any test rejects in ``level`` of null draws."""
        return float(np.quantile((null_p / self.share).min(axis=1), level)) * self.share


def pre_tests(
    covariance: np.ndarray,
    single: np.ndarray,
    joint: np.ndarray | None,
    share: np.ndarray,
    df: float,
) -> PreTests:
    """Scale the combinations by their errors; directions without variance drop out of the F."""
    se = np.sqrt(np.einsum("km,kl,lm->m", single, covariance, single))
    if joint is not None:
        values, vectors = np.linalg.eigh(joint.T @ covariance @ joint)
        keep = values > 1e-10 * values.max()
        joint = joint @ (vectors[:, keep] / np.sqrt(values[keep]))
    return PreTests(single / se, joint, share / share.sum(), df)


def step_down(p: np.ndarray, share: np.ndarray, null_p: np.ndarray) -> np.ndarray:
    """Adjusted p-values of M tests, shape ``(M,)``.

    Parameters
    ----------
    p, share
        Raw p-values and shares of the error, shape ``(M,)``.
    null_p
        P-values of draws without a violation, shape ``(R, M)``.
    """
    score = p / share
    order = np.argsort(score, kind="stable")
    null_score = null_p / share
    adjusted = np.empty(len(p))
    highest = 0.0
    for position, i in enumerate(order):
        smallest = null_score[:, order[position:]].min(axis=1)
        highest = max(highest, float((1 + (smallest <= score[i]).sum()) / (1 + len(null_p))))
        adjusted[i] = highest
    return adjusted


@dataclass(frozen=True)
class Detectable:
    """The drift that tests find with some power, and what it leaves where they find nothing.

    Parameters
    ----------
    slope
        A period.
    gaps_after_passing
        Mean error of the gaps, beyond the drift, in draws in which no test rejects, ``(K,)``.
    """

    slope: float
    gaps_after_passing: np.ndarray


def detectable(
    tests: PreTests, levels: np.ndarray, drawn: GapDraws, lag: np.ndarray, power: float
) -> Detectable:
    """The smallest drift that any test finds with the given power.

    Parameters
    ----------
    levels
        Raw levels at which each test rejects, shape ``(M,)``.
    lag
        Periods between each gap and the base, shape ``(K,)``; a drift of 1 moves a gap by -lag.
    """
    critical = -special.stdtrit(tests.df, levels[: tests.single.shape[1]] / 2)
    noise = tests.single.T @ drawn.gaps.T / drawn.scale
    trend = -(lag @ tests.single)
    t_trend = trend[:, None] / drawn.scale
    if tests.joint is not None:
        k = tests.joint.shape[1]
        most = k * float(special.fdtri(k, tests.df, 1 - levels[-1])) * drawn.scale**2
        noise_f, trend_f = drawn.gaps @ tests.joint, -lag @ tests.joint
        # The squared length of noise_f + slope * trend_f, as a polynomial in the slope.
        constant, linear = (noise_f**2).sum(axis=1), 2 * noise_f @ trend_f
        square = float(trend_f @ trend_f)

    def rejected(slope: float) -> np.ndarray:
        found = (np.abs(noise + slope * t_trend) > critical[:, None]).any(axis=0)
        if tests.joint is not None:
            found |= constant + slope * linear + slope**2 * square > most
        return found

    low, high = 0.0, 1.0 / float(np.abs(trend).max())
    while rejected(high).mean() < power:
        low, high = high, 2 * high
    for _ in range(18):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle).mean() < power else (low, middle)
    passed = ~rejected(high)
    left = drawn.gaps[passed].mean(axis=0) if passed.any() else np.full(len(lag), np.nan)
    return Detectable(high, left)
