"""Panels for the studies: many structural worlds, drawn, with no effect in them.

For workspace i on day t::

    p[i, t] = 0.55 + level[i] + weekday[t] + common[t] + drift[i] (t - 45) / 90
              + loading[i] slow[t] + shock[i, t]
    rate    = Binomial(tasks[i, t], p[i, t]) / tasks[i, t]

``shock`` and ``common`` are first-order autoregressions, ``slow`` a persistent factor. A world is
a draw of their sizes; a family bounds the draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from noholdout_synthetic_control.panel import Panel

Launch = Literal["one-workspace", "one-region", "pinned"]
LAUNCHES: tuple[Launch, ...] = ("one-workspace", "one-region", "pinned")
UNITS, DAYS, LAUNCH_DAY, REGIONS, PINNED = 50, 120, 90, 6, 10


@dataclass(frozen=True)
class Family:
    """Bounds (low, high) of each structural size; points are shares of 1."""

    drift: tuple[float, float]
    loading: tuple[float, float]
    shock: tuple[float, float]
    persistence: tuple[float, float]
    tasks: tuple[float, float]


FAMILIES = {
    "mixed": Family((0.01, 0.03), (0.005, 0.025), (0.01, 0.03), (0.5, 0.95), (150, 550)),
    "quiet": Family((0.0, 0.005), (0.0, 0.005), (0.0, 0.01), (0.0, 0.5), (150, 550)),
    "factor": Family((0.0, 0.01), (0.03, 0.06), (0.005, 0.015), (0.3, 0.8), (150, 550)),
    "shocks": Family((0.0, 0.01), (0.0, 0.01), (0.03, 0.05), (0.8, 0.95), (150, 550)),
    "small": Family((0.01, 0.02), (0.005, 0.02), (0.005, 0.02), (0.3, 0.9), (15, 80)),
}


def autoregression(rng: np.random.Generator, rho: float, size: float, shape: tuple) -> np.ndarray:
    """Stationary first-order autoregressions of standard deviation ``size`` along the last axis."""
    steps = rng.normal(0.0, size * np.sqrt(1 - rho**2), shape)
    steps[..., 0] = rng.normal(0.0, size, shape[:-1])
    for t in range(1, shape[-1]):
        steps[..., t] += rho * steps[..., t - 1]
    return steps


def draw_panel(
    seed: np.random.SeedSequence, family: str, launch: Launch, days: int = DAYS
) -> Panel:
    """One panel without any effect: every estimate is an error."""
    rng = np.random.default_rng(seed)
    world = FAMILIES[family]
    size = {name: rng.uniform(*bounds) for name, bounds in vars(world).items() if name != "tasks"}
    day = np.arange(days)
    raw = (
        0.55
        + np.clip(rng.normal(0, 0.06, UNITS), -0.15, 0.15)[:, None]
        + np.array([10, 12, 8, 4, -4, -18, -12])[day % 7] / 1000
        + autoregression(rng, 0.8, 0.012, (days,))
        + np.outer(rng.normal(0, size["drift"], UNITS), (day - 45) / 90)
        + np.outer(rng.normal(0, size["loading"], UNITS), autoregression(rng, 0.97, 1.0, (days,)))
        + autoregression(rng, size["persistence"], size["shock"], (UNITS, days))
    )
    tasks = np.maximum(rng.poisson(rng.uniform(*world.tasks, UNITS)[:, None], (UNITS, days)), 1)
    rates = rng.binomial(tasks, np.clip(raw, 0.01, 0.99)) / tasks
    order, region = rng.permutation(UNITS), rng.permutation(np.arange(UNITS) % REGIONS)
    treated = np.zeros(UNITS, bool)
    if launch == "one-workspace":
        treated[order[0]] = True
    elif launch == "one-region":
        treated = region == rng.integers(REGIONS)
    else:
        treated[order[PINNED:]] = True
    by_region = launch == "one-region"
    return Panel(
        outcomes=rates,
        counts=tasks.astype(float),
        units=np.arange(UNITS),
        times=day,
        treated=treated,
        n_pre=LAUNCH_DAY,
        groups=region if by_region else None,
        group_labels=np.arange(REGIONS) if by_region else None,
        rows=rates.size,
        proportion=True,
        daily=True,
        settings={},
    )
