"""How far from parallel could trends be before the answer changes? (Rambachan and Roth 2023.)"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from noholdout_shared.checks import Check, untestable
from noholdout_shared.inference import critical_value
from noholdout_shared.render import effect_text

from noholdout_did.inference import Errors, covariance_parts, std_errors, studentised_draws, sup_t
from noholdout_did.kernels.group_time import Linear, stack
from noholdout_did.kernels.leads import Leads, mean_weights
from noholdout_did.kernels.moments import Moments

# Half of the error is spent on how large the moves before the launch may have been.
SPLIT = 0.5
DRAWS = 999
MAGNITUDES = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
SMOOTHNESS = (0.0, 0.25, 0.5, 1.0, 2.0)  # in standard errors of the pre-launch drift
MAX_LEADS = 8  # the fixed-length interval uses the last so many


@dataclass(frozen=True)
class Moves:
    """Moves of the gap from one period to the next before the launch.

    Parameters
    ----------
    largest
        Upper confidence bound of the largest in absolute value, at 1 - alpha/2.
    seen
        The largest that was seen.
    reach
        Mean number of periods between base and effect.
    """

    largest: float
    seen: float
    reach: float

    def half(self, magnitude: float, std_error: float, df: float, conf_level: float) -> float:
        """Half length of the interval when later moves are at most ``magnitude`` times these."""
        if magnitude == 0:
            return critical_value(conf_level, df) * std_error
        spent = 1 - SPLIT * (1 - conf_level)
        return critical_value(spent, df) * std_error + magnitude * self.reach * self.largest

    def breakdown(self, estimate: float, std_error: float, df: float, conf_level: float) -> float:
        """The magnitude at which the interval reaches zero; 0 when it includes zero already."""
        room = abs(estimate) - self.half(1e-12, std_error, df, conf_level)
        return max(room, 0.0) / (self.reach * self.largest)


def step_weights(leads: Leads) -> np.ndarray:
    """Weights ``(K, lags)``: the mean move of the gap at each step between two periods."""
    columns = []
    for lag in np.unique(leads.lag):
        here = mean_weights(leads, leads.lag == lag)
        step = -here
        for i in np.flatnonzero(here):
            nearer = (leads.cells.cohort == leads.cells.cohort[i]) & (leads.lag == lag - 1)
            step[nearer] += here[i]
        columns.append(step)
    return np.column_stack(columns)


def moves_before(
    data: Moments,
    leads: Leads,
    gaps: Linear,
    errors: Errors,
    reach: float,
    conf_level: float,
    seed: int,
) -> Moves | None:
    """Bound the moves before the launch; ``None`` without leads or without variation."""
    if len(leads.lag) == 0:
        return None
    steps = gaps.combine(step_weights(leads))
    se, _ = std_errors(data, steps, errors)
    usable = se > 0
    if not usable.any():
        return None
    steps, se = steps.take(usable), se[usable]
    rng = np.random.default_rng(seed)
    draws = studentised_draws(data, steps, errors, DRAWS, rng)
    critical = sup_t(draws, 1 - SPLIT * (1 - conf_level))
    if not critical > 0:
        return None
    size = np.abs(steps.value)
    return Moves(float((size + critical * se).max()), float(size.max()), reach)


def sensitivity_check(
    moves: Moves | None,
    estimate: float,
    std_error: float,
    df: float,
    conf_level: float,
    proportion: bool,
    exact: float | None = None,
) -> Check:
    """The breakdown value in plain words; it never changes the verdict.

    Parameters
    ----------
    exact
        The conditional test's breakdown value, where it was computed; the bound's is smaller.
    """
    assumption = "After the launch the gap moved no more for other reasons than it did before."
    if moves is None or not std_error > 0:
        return untestable(
            "sensitivity",
            assumption,
            "There are too few periods before the launch to say how large a move is usual.",
        )
    seen = effect_text(moves.seen, proportion, signed=False)
    bound = effect_text(moves.largest, proportion, signed=False)
    base = (
        f"Before the launch the gap moved by at most {seen} from one period to the next, and the "
        f"true moves may be up to {bound}."
    )
    breakdown = moves.breakdown(estimate, std_error, df, conf_level) if exact is None else exact
    if breakdown == 0:
        return untestable(
            "sensitivity", assumption, f"{base} The interval includes zero without any.", 0.0
        )
    return untestable(
        "sensitivity",
        assumption,
        f"{base} The interval excludes zero as long as later moves for other reasons stay below "
        f"{breakdown:.2f} times that a period"
        + (" (a bound; --sensitivity computes it)." if exact is None else "."),
        breakdown,
    )


@dataclass(frozen=True)
class Sensitivity:
    """Table ``sensitivity``, and the relative magnitude at which the interval reaches zero."""

    table: pd.DataFrame
    breakdown: float | None


def sensitivity(
    data: Moments,
    leads: Leads,
    gaps: Linear,
    target: Linear,
    weights: np.ndarray,
    distance: np.ndarray,
    errors: Errors,
    df: float,
    conf_level: float,
    seed: int,
) -> Sensitivity:
    """Intervals under growing departures from parallel trends.

    Parameters
    ----------
    target
        The estimate, one parameter.
    weights, distance
        The cells' weights in it and their distances from the base period, shape ``(K,)``.

    Returns
    -------
    Columns ``restriction`` (relative_magnitudes, smoothness), ``m``, ``conf_low``, ``conf_high``.
    The covariance is widened to t with ``df`` degrees of freedom, the sources being asymptotic.
    """
    # Imported here: scipy.optimize would add a third to a small file's start-up time.
    from noholdout_did.kernels.honest import fixed_length
    from noholdout_did.kernels.relative_magnitudes import relative_magnitudes

    estimate = float(target.value[0])
    se = float(std_errors(data, target, errors)[0][0])
    rows: list[tuple[str, float, float, float]] = []
    breakdown = None
    lags = np.unique(leads.lag)[::-1]
    if len(lags) and se > 0:
        pooled = gaps.combine(
            np.column_stack([mean_weights(leads, leads.lag == lag) for lag in lags])
        )
        covariance = covariance_parts(data, stack([pooled, target]), errors).sum(axis=0)
        wide = (critical_value(conf_level, df) / critical_value(conf_level)) ** 2
        reach = np.bincount(distance, weights=weights)[1:]
        rm = relative_magnitudes(
            pooled.value,
            estimate,
            wide * covariance,
            float(weights @ distance),
            np.random.default_rng(seed),
        )
        half = critical_value(conf_level, df) * se
        rows.append(("relative_magnitudes", 0.0, estimate - half, estimate + half))
        for m in MAGNITUDES:
            rows.append(("relative_magnitudes", m, *rm.interval(m, conf_level)))
        breakdown = rm.breakdown(conf_level)
        late = np.flatnonzero(lags <= MAX_LEADS)
        part = np.append(late, len(lags))
        slope_se = float(np.sqrt(covariance[late[0], late[0]])) / float(lags[late[0]])
        for step in SMOOTHNESS:
            found = fixed_length(
                pooled.value[late],
                estimate,
                wide * covariance[np.ix_(part, part)],
                reach,
                step * slope_se,
                conf_level,
            )
            rows.append(("smoothness", step * slope_se, found.low, found.high))
    table = pd.DataFrame(rows, columns=["restriction", "m", "conf_low", "conf_high"])
    return Sensitivity(table, breakdown)
