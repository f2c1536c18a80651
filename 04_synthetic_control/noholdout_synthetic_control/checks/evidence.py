"""What the checks look at, and the same analysis with a fake launch before the real one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from noholdout_synthetic_control.inference import Placebos, Signs, Uncertainty, donor_placebos
from noholdout_synthetic_control.kernels.fits import Build, Fit, Problem
from noholdout_synthetic_control.panel import Panel

FEW_BLOCKS = 4


@dataclass(frozen=True)
class Move:
    """What the launch seems to have done to a column that it can't have changed.

    Parameters
    ----------
    column
        Its name.
    effect, std_error, conf_low, conf_high, p_value
        By the estimate's own design, in the column's units.
    level
        Of the column without the launch: mean size of the synthetic path after it.
    """

    column: str
    effect: float
    std_error: float
    conf_low: float
    conf_high: float
    p_value: float
    level: float

    def bias(self, level: float) -> float:
        """What the same relative move makes of an outcome at ``level``, in its units."""
        return self.effect / self.level * level if self.level > 0 else math.nan

    def relative(self) -> str:
        """Effect and interval as shares of the level."""
        if not self.level > 0:
            return f"{self.effect:+.3g} ({self.conf_low:+.3g} to {self.conf_high:+.3g})"
        ends = (self.effect, self.conf_low, self.conf_high)
        effect, low, high = (f"{value / self.level:+.1%}" for value in ends)
        return f"{effect} ({low} to {high})"


@dataclass(frozen=True)
class Evidence:
    """What the checks look at.

    Parameters
    ----------
    panel, fit, placebos, regions, uncertainty, signs, noise
        Of the estimate.
    build
        Makes the estimator's problem on another panel, for the fake launch before the real one;
        ``None`` where it can't (predictors that look at the time after the fake launch).
    design
        The inference that the standard error comes from.
    dropped
        Leave-one-donor-out estimates, shape ``(J,)``.
    block
        Periods a block in the fit.
    smallest_p
        The smallest p-value that a ranking of placebos can give.
    conf_low, conf_high
        The interval.
    unique
        Whether the fit has one solution only (a ridge, or fixed weights).
    controls
        What the launch seems to have done to outcomes that it can't have changed.
    level
        Mean size of the treated side after the launch, had it moved like its twin.
    """

    panel: Panel
    fit: Fit
    placebos: Placebos
    regions: Placebos | None
    uncertainty: Uncertainty
    signs: Signs
    noise: np.ndarray
    build: Build | None
    design: str
    dropped: np.ndarray
    block: int
    smallest_p: float
    conf_low: float
    conf_high: float
    unique: bool = True
    controls: tuple[Move, ...] = ()
    level: float = math.nan

    @property
    def reference(self) -> Placebos:
        """The placebos that resemble the treated side most."""
        return self.placebos if self.regions is None else self.regions


@dataclass(frozen=True)
class Backdated:
    """The same analysis with a fake launch at ``n_pre`` inside the time before the real one."""

    problem: Problem
    n_pre: int
    horizon: int
    fit: Fit
    placebos: Placebos


def counterfactual_level(panel: Panel, fit: Fit) -> float:
    """Mean size of the treated side after the launch, had it moved like its twin."""
    synthetic = panel.target @ panel.outcomes - fit.gap
    return float(np.abs(synthetic[panel.n_pre :]).mean())


def backdate(evidence: Evidence) -> Backdated | None:
    """Refit with the launch moved into the last third before the real one (Abadie 2021, 5.2).

    One fake launch only: folds further back have so little history that they reject by
    themselves. ``None`` when too few blocks are left to fit.
    """
    panel = evidence.panel
    if evidence.build is None:
        return None
    n_pre, horizon = latest_fake(panel)
    if n_pre < least_history(evidence.block) or panel.donors.size < 3:
        return None
    before = panel.outcomes[:, : panel.n_pre]
    problem = evidence.build(before, n_pre, evidence.noise)
    fit = problem.fit(panel.target, panel.donors)
    return Backdated(problem, n_pre, horizon, fit, donor_placebos(problem, panel.donors))


def latest_fake(panel: Panel) -> tuple[int, int]:
    """Where a fake launch can stand latest, and how many periods it looks ahead."""
    horizon = max(min(panel.times.size - panel.n_pre, panel.n_pre // 3), 1)
    return panel.n_pre - horizon, horizon


def least_history(block: int) -> int:
    """Periods that a fit of a fake launch needs before it."""
    return max(FEW_BLOCKS * block, 2)


def misfit(gap: np.ndarray, n_pre: int, block: int) -> float:
    """Mean squared gap of block means before the launch."""
    count = n_pre // block
    blocks = gap[n_pre - count * block : n_pre].reshape(count, block).mean(axis=1)
    return float((blocks**2).mean())


def misfits(evidence: Evidence, fit: Fit, placebos: Placebos) -> tuple[float, float, np.ndarray]:
    """Misfit before the launch over what the units' own noise leaves: treated, and placebos.

    Returns the treated side's mean squared misfit, its ratio to noise, and the placebos' ratios.
    """
    panel, noise, block = evidence.panel, evidence.noise, evidence.block
    floor = 1e-12 * float(panel.outcomes.var())

    def expected(target: np.ndarray, donors: np.ndarray, weights: np.ndarray) -> float:
        return max(float(target**2 @ noise + weights**2 @ noise[donors]) / block, floor)

    own = misfit(fit.gap, panel.n_pre, block)
    ratio = own / expected(panel.target, panel.donors, fit.weights)
    others = [
        misfit(f.gap, panel.n_pre, block) / expected(t, d, f.weights)
        for t, d, f in zip(placebos.targets, placebos.donors, placebos.fits, strict=True)
    ]
    return own, ratio, np.array(others)


def above(own: float, others: np.ndarray) -> tuple[float, float]:
    """How far ``own`` lies above the others on the log scale: t statistic, one-sided p-value.

    Ranks among few placebos can't fall below 1 / (P + 1); logs of mean squares are near normal.
    """
    logs = np.log(np.maximum(others, 1e-300))
    count = logs.size
    if count < 3 or logs.std(ddof=1) == 0:
        return math.nan, math.nan
    spread = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / count)
    statistic = (math.log(max(own, 1e-300)) - float(logs.mean())) / spread
    return statistic, float(special.stdtr(count - 1, -statistic))
