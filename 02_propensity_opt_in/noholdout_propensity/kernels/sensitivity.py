"""How strong a hidden cause must be: robustness values and Rosenbaum bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from noholdout_propensity.kernels.sums import ArmSums

EXACT = 1e-13  # of the sum of squares: a smaller rest is rounding


@dataclass(frozen=True)
class LinearEffect:
    """The treatment's coefficient in a linear regression on it and the covariates."""

    estimate: float
    std_error: float
    df: int

    @property
    def t(self) -> float:
        """Estimate over standard error; infinite where the regression explains everything."""
        if self.std_error > 0:
            return self.estimate / self.std_error
        return math.copysign(math.inf, self.estimate) if self.estimate else 0.0


def residual_sum(gram: np.ndarray, cross: np.ndarray, square: float) -> tuple[float, int]:
    """Residual sum of squares and rank of a regression, from its sums."""
    values, vectors = np.linalg.eigh(gram)
    keep = values > 1e-11 * values[-1]
    projected = vectors[:, keep].T @ cross
    rest = square - float((projected**2 / values[keep]).sum())
    return rest if rest > EXACT * square else 0.0, int(keep.sum())


def linear_effect(treated: ArmSums, control: ArmSums, rows: int) -> LinearEffect:
    """Least squares of the outcome on the treatment and the design, from the arms' sums.

    Parameters
    ----------
    treated, control
        The design's first column is the constant.
    rows
        Rows of positive weight.
    """
    both = treated + control
    # The constant's column holds the sums of the treatment with everything else.
    with_d, dd_raw, dy_raw = treated.gram[:, 0], float(treated.gram[0, 0]), float(treated.cross[0])
    dd, _ = residual_sum(both.gram, with_d, dd_raw)
    yy, rank = residual_sum(both.gram, both.cross, both.square)
    pinv = np.linalg.pinv(both.gram, rcond=1e-11, hermitian=True)
    dy = dy_raw - float(with_d @ pinv @ both.cross)
    estimate = dy / dd
    df = rows - rank - 1
    rest = yy - estimate * dy
    if rest <= EXACT * both.square:
        rest = 0.0
    return LinearEffect(estimate, math.sqrt(max(rest, 0.0) / df / dd), df)


def robustness_value(effect: LinearEffect, level: float | None = None) -> float:
    """The share of both residual variances that a confounder must explain.

    To bring the estimate to zero, or with ``level`` its interval (Cinelli and Hazlett 2020,
    equations 20 and 21).
    """
    f = abs(effect.t) / math.sqrt(effect.df)
    if math.isinf(f):
        return 1.0
    if level is not None:
        df = effect.df - 1
        f -= float(special.stdtrit(df, 0.5 + level / 2)) / math.sqrt(df)
    if f <= 0:
        return 0.0
    return 0.5 * (math.sqrt(f**4 + 4 * f**2) - f**2)


def adjusted(effect: LinearEffect, r2_treatment: float, r2_outcome: float) -> tuple[float, float]:
    """Estimate and standard error, had the confounder been in the regression.

    Cinelli and Hazlett (2020), equations 13 and 14; it pulls the estimate towards zero, and past it
    where it is strong enough.
    """
    bias = (
        effect.std_error
        * math.sqrt(effect.df)
        * math.sqrt(r2_outcome * r2_treatment / (1 - r2_treatment))
    )
    std_error = (
        effect.std_error
        * math.sqrt((1 - r2_outcome) / (1 - r2_treatment))
        * math.sqrt(effect.df / (effect.df - 1))
    )
    return math.copysign(1.0, effect.estimate) * (abs(effect.estimate) - bias), std_error


def partial_r2(sums: ArmSums, columns: list[int]) -> float:
    """Share of the residual variance that the columns explain, given the design's others."""
    full, _ = residual_sum(sums.gram, sums.cross, sums.square)
    rest = [j for j in range(sums.cross.size) if j not in set(columns)]
    without, _ = residual_sum(sums.gram[np.ix_(rest, rest)], sums.cross[rest], sums.square)
    return max(1 - full / without, 0.0) if without > 0 else 0.0


def on_treatment(treated: ArmSums, control: ArmSums) -> ArmSums:
    """The sums of the regression of the treatment on the design."""
    return ArmSums(treated.gram + control.gram, treated.gram[:, 0], float(treated.gram[0, 0]))


def with_treatment(treated: ArmSums, control: ArmSums) -> ArmSums:
    """The sums of the outcome's regression on the design and, as last column, the treatment."""
    both = treated + control
    column = treated.gram[:, :1]
    gram = np.block([[both.gram, column], [column.T, treated.gram[:1, :1]]])
    return ArmSums(gram, np.append(both.cross, treated.cross[0]), both.square)


def benchmark_strength(
    r2_treatment: float, r2_outcome: float, k: float
) -> tuple[float, float] | None:
    """A confounder k times as strong as a covariate with these partial R2s.

    Cinelli and Hazlett (2020), equations 51 and 53 of the supplement; ``None`` when such a
    confounder can't exist beside the covariate, or the covariate explains everything.
    """
    everything = 1 - 1e-12  # beyond it a share is 1 but for rounding
    if r2_treatment >= everything or k * r2_treatment >= 1 - r2_treatment:
        return None
    if r2_outcome >= everything:
        return None
    with_treatment = k * r2_treatment / (1 - r2_treatment)
    shared = k * r2_treatment**2 / ((1 - k * r2_treatment) * (1 - r2_treatment))
    if shared >= 1:
        return None
    with_outcome = ((math.sqrt(k) + math.sqrt(shared)) / math.sqrt(1 - shared)) ** 2 * (
        r2_outcome / (1 - r2_outcome)
    )
    return with_treatment, min(with_outcome, 1.0)


def rosenbaum_p(differences: np.ndarray, gamma: float) -> float:
    """Largest one-sided p-value that "no effect" could have under a hidden bias of ``gamma``.

    Pairs whose members' odds of treatment differ by at most that factor (Rosenbaum 2002, section
    4.3): Wilcoxon's signed ranks, or for outcomes with one size of difference the exact sign
    (McNemar) test. The side is that of the differences' sign.
    """
    moved = differences[differences != 0]
    if moved.size == 0:
        return 1.0
    upper = gamma / (1 + gamma)
    sizes = np.abs(moved)
    if np.ptp(sizes) == 0:
        positive = int((moved > 0).sum())
        larger = max(positive, moved.size - positive)
        # P(at least `larger` of the pairs) under the binomial with the largest chance.
        return float(special.betainc(larger, moved.size - larger + 1, upper))
    ranks = mid_ranks(sizes)
    positive_sum = float(ranks[moved > 0].sum())
    larger_sum = max(positive_sum, float(ranks.sum()) - positive_sum)
    mean = upper * float(ranks.sum())
    variance = upper * (1 - upper) * float((ranks**2).sum())
    return float(special.ndtr(-(larger_sum - mean) / math.sqrt(variance)))


def rosenbaum_gamma(differences: np.ndarray, level: float = 0.95) -> float:
    """The hidden bias at which the paired comparison stops excluding "no effect"; 1 or more."""
    limit = (1 - level) / 2
    if rosenbaum_p(differences, 1.0) >= limit:
        return 1.0
    high = 2.0
    while rosenbaum_p(differences, high) < limit and high < 1e6:
        high *= 2
    low = 1.0
    while high - low > 1e-6 * low:
        middle = (low + high) / 2
        if rosenbaum_p(differences, middle) < limit:
            low = middle
        else:
            high = middle
    return high


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values sharing their mean rank."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[inverse.ravel()]
