"""A standard error with its reference distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from noholdout_shared.inference import interval

ROUNDING = 1e-13  # of the largest outcome: floats hold 16 digits, and averages lose a few


@dataclass(frozen=True)
class Uncertainty:
    """A standard error with its reference distribution.

    Parameters
    ----------
    std_error, df
        ``nan`` when undefined; ``label`` says why then.
    label
        Names the inference.
    path_std_error
        Of the gap in each period, shape ``(T,)``.
    conf_low, conf_high
        Only of an inference that isn't symmetric around the estimate, else ``None``.
    allowance
        What ``std_error`` holds beyond sampling: ``std_error^2`` less its square is the variance.
    p_value
        Only of an inference with a test of its own, else ``None``.
    """

    std_error: float
    df: float
    label: str
    path_std_error: np.ndarray
    conf_low: float | None = None
    conf_high: float | None = None
    allowance: float = 0.0
    p_value: float | None = None

    @property
    def sampling_error(self) -> float:
        """The standard error without the allowance."""
        return math.sqrt(max(self.std_error**2 - self.allowance**2, 0.0))

    def allowing(self, amount: float, n_pre: int) -> Uncertainty:
        """The same with a possible bias of that size in the estimate and each period's gap."""
        if not (amount > 0 and self.std_error > 0):
            return self
        path = self.path_std_error.copy()
        path[n_pre:] = np.sqrt(path[n_pre:] ** 2 + amount**2)
        wider = math.sqrt(self.std_error**2 + amount**2)
        return replace(self, std_error=wider, path_std_error=path, allowance=amount)

    def beyond_rounding(self, outcomes: np.ndarray) -> Uncertainty:
        """The same, undefined where the error is what rounding leaves of none."""
        if not self.std_error < ROUNDING * float(np.abs(outcomes).max()):
            return self
        reason = "undefined: units differ by rounding alone"
        return Uncertainty(math.nan, math.nan, reason, self.path_std_error)

    def row(self, estimate: float, conf_level: float) -> dict[str, float]:
        """One line of a table that compares intervals."""
        low, high, _ = self.bounds(estimate, conf_level)
        return {
            "estimate": estimate,
            "std_error": self.std_error,
            "conf_low": low,
            "conf_high": high,
            "df": self.df,
        }

    def bounds(self, estimate: float, conf_level: float) -> tuple[float, float, float]:
        """Interval and p-value of ``estimate``."""
        symmetric = interval(estimate, self.std_error, conf_level, self.df)
        if self.conf_low is None or self.conf_high is None:
            return symmetric.conf_low, symmetric.conf_high, symmetric.p_value
        p_value = math.nan if self.p_value is None else self.p_value
        return self.conf_low, self.conf_high, p_value
