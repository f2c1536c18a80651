"""What the data already hold against an estimate, and the interval that allows for it.

Two violations show before or at the launch: the treated side was drifting away from the donors,
and some donors jumped with the launch. A test alone misses them half of the time when they are as
large as three standard errors. So each is also allowed for: its implied bias, squared, joins the
variance, times a factor that is zero where the test finds nothing (``z^2 <= 2``, as Akaike's
criterion would drop it) and nears one as its p-value falls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from noholdout_shared.inference import two_sided_p
from scipy import special

from noholdout_synthetic_control.kernels.fits import Fit
from noholdout_synthetic_control.kernels.jumps import Jumps, mean_distance, split

THRESHOLD = 2.0  # of z^2, below which nothing is allowed for
MIN_PERIODS = 8
ALONE = 0.1  # share of the level that looks for one donor
HIDDEN = 2.0  # weights hide about half of a trend that they only seem to match


@dataclass(frozen=True)
class Sign:
    """A sign of trouble: how clear it is, and what bias it would mean.

    Parameters
    ----------
    statistic, p_value
        Of the test that there is none.
    bias
        Of the estimate, in the outcome's units, if it's real.
    size
        The trend before fitting (carried to the time after the launch), or how far the jumping
        donors lie from the others.
    members
        The smaller of the two groups that the jumps fall into, as indices into the donors; empty
        for a trend.
    """

    statistic: float
    p_value: float
    bias: float
    size: float
    members: np.ndarray

    @property
    def allowance(self) -> float:
        """``bias`` shrunk by its evidence: times ``sqrt(1 - 2 / z^2)`` where ``z^2 > 2``."""
        z2 = float(special.ndtri(max(self.p_value, 1e-300) / 2)) ** 2
        return abs(self.bias) * math.sqrt(max(1 - THRESHOLD / z2, 0.0)) if z2 > 0 else 0.0


@dataclass(frozen=True)
class Signs:
    """Both signs; ``None`` where the data can't speak."""

    trend: Sign | None = None
    donors: Sign | None = None

    @property
    def allowance(self) -> float:
        """What joins the standard error, in the outcome's units."""
        known = [sign.allowance for sign in (self.trend, self.donors) if sign is not None]
        return math.sqrt(sum(a**2 for a in known))


def trend_sign(
    outcomes: np.ndarray, fit: Fit, treated: np.ndarray, donors: np.ndarray,
    groups: np.ndarray | None = None,
) -> Sign | None:  # fmt: skip
    """Did the treated units drift away from the donors before the launch?

    Each unit's pre-launch slope, carried from the middle of the time that the twin is fitted to
    into the middle of the time after the launch; the mean over the treated against the mean over
    the donors by a two-sample t with pooled variance, before any weights (weights hide trends
    that they only seem to match). The bias is twice what the fitted gap still shows of it, and
    never more than the trend itself.

    Parameters
    ----------
    groups
        Clusters of the units when a whole region got the launch: regions are then compared.
    """
    n_pre, periods = fit.pre_weights.size, fit.gap.size
    if n_pre < MIN_PERIODS:
        return None
    position = np.arange(periods, dtype=float)
    before = position[:n_pre] - (n_pre - 1) / 2
    anchor = fit.pre_weights @ before if fit.pre_weights.any() else 0.0
    ahead = float(position[n_pre:].mean() - (n_pre - 1) / 2 - anchor)
    contrast = before / (before @ before) * ahead
    slopes = outcomes[:, :n_pre] @ contrast
    own, others = slopes[treated], slopes[donors]
    if groups is not None:
        own = np.array([own.mean()])
        others = np.array([others[groups[donors] == g].mean() for g in np.unique(groups[donors])])
    df = own.size + others.size - 2
    squares = float(((own - own.mean()) ** 2).sum() + ((others - others.mean()) ** 2).sum())
    if df < 2 or squares <= 0:
        return None
    apart = float(own.mean() - others.mean())
    statistic = apart / math.sqrt(squares / df * (1 / own.size + 1 / others.size))
    left = float(fit.gap[:n_pre] @ contrast)
    bias = math.copysign(min(abs(apart), HIDDEN * abs(left)), left)
    return Sign(statistic, two_sided_p(statistic, df), bias, apart, np.empty(0, dtype=int))


def donor_sign(jumps: Jumps | None, weights: np.ndarray) -> Sign | None:
    """Did some donors jump at the launch while others didn't?

    The jumps' mean distance from their centre against that of fake launches, which sees several
    donors touched alike, and the largest of them by t (Sidak over donors), which sees one: nine
    tenths of the level go to the first, a tenth to the second. If all donors jumped alike nothing
    shows. The bias is the same mean distance by the twin's weights: what half of the donors,
    touched alike, would do to the estimate (of one alone it is about twice that). Who was touched
    isn't known, so it has no sign.

    Parameters
    ----------
    weights
        Of the donors, shape ``(J,)``, in the order of ``jumps``.
    """
    if jumps is None or jumps.sizes.size < 3:
        return None
    count, precision = jumps.sizes.size, 1 / jumps.variances
    centre = float(precision @ jumps.sizes / precision.sum())
    apart = jumps.sizes - centre
    scores = apart / np.sqrt(jumps.variances - 1 / precision.sum())
    ratio, df = mean_distance(scores)
    p_all = float(special.fdtrc(df, jumps.df, ratio**2))
    p_each = two_sided_p(float(np.abs(scores).max()), jumps.df)
    p_one = -math.expm1(count * math.log1p(-min(p_each, 1 - 1e-12)))
    p_value = min(1.0, p_all / (1 - ALONE), p_one / ALONE)
    few, distance = split(jumps.sizes)
    return Sign(ratio, p_value, float(weights @ np.abs(apart)), distance, np.flatnonzero(few))
