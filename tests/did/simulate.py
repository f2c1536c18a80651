"""Small staged rollouts with a known effect, for tests."""

from __future__ import annotations

import numpy as np
import pandas as pd


def panel(
    seed: int = 0,
    *,
    per_wave: int = 10,
    launches: tuple[float, ...] = (3, 5, np.nan),
    periods: int = 8,
    effect: float = 1.0,
    growth: float = 0.0,
    drift: float = 0.0,
    noise: float = 1.0,
) -> pd.DataFrame:
    """A balanced panel: unit level + period shock + effect (+ growth per period since launch).

    ``drift`` is a trend of the first wave alone, which breaks parallel trends.
    """
    rng = np.random.default_rng(seed)
    n = per_wave * len(launches)
    launch = np.repeat(np.array(launches, dtype=float), per_wave)
    unit = np.arange(n)
    t = np.arange(1, periods + 1)
    level, shock = rng.normal(0, 2, n), rng.normal(0, 1, periods)
    since = t[None, :] - launch[:, None]
    y = level[:, None] + shock[None, :] + rng.normal(0, noise, (n, periods))
    y += np.where(since >= 0, effect + growth * np.nan_to_num(since), 0.0)
    y += drift * t[None, :] * (launch == launches[0])[:, None]
    return pd.DataFrame(
        {
            "unit": np.repeat(unit, periods),
            "t": np.tile(t, n),
            "g": np.repeat(launch, periods),
            "y": y.ravel(),
        }
    )


def cross_sections(
    seed: int = 0,
    *,
    n: int = 4000,
    clusters: int = 20,
    periods: int = 10,
    launches: tuple[int, int] = (4, 6),
    effect: float = 0.05,
) -> pd.DataFrame:
    """Users seen once, in workspaces; every wave gets the launch within the data."""
    rng = np.random.default_rng(seed)
    workspace = rng.integers(0, clusters, n)
    t = rng.integers(0, periods, n)
    launch = np.array(launches)[workspace % 2]
    level = rng.normal(0, 0.05, clusters)
    p = 0.5 + level[workspace] + 0.01 * t + effect * (t >= launch)
    y = (rng.random(n) < p).astype(int)
    return pd.DataFrame({"workspace": workspace, "t": t, "g": launch, "y": y})
