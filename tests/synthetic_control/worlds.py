"""Small panels with a known effect, made here so that tests don't lean on the generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def panel_frame(outcomes: np.ndarray, **columns: Any) -> pd.DataFrame:
    """A long frame from outcomes of shape ``(N, T)``: units ``u00``.., times 0..T-1."""
    units, periods = outcomes.shape
    frame = pd.DataFrame(
        {
            "unit": np.repeat([f"u{i:02d}" for i in range(units)], periods),
            "time": np.tile(np.arange(periods), units),
            "y": outcomes.ravel(),
        }
    )
    return frame.assign(**columns)


def factor_panel(
    seed: int, units: int = 20, n_pre: int = 60, n_post: int = 20, noise: float = 1.0
) -> np.ndarray:
    """``level_i + common_t + loading_i f_t + noise``: no effect yet."""
    rng = np.random.default_rng(seed)
    periods = n_pre + n_post
    level = rng.normal(50, 5, units)
    common = np.cumsum(rng.normal(0, 0.3, periods))
    factor = np.cumsum(rng.normal(0, 0.3, periods))
    loadings = rng.normal(0, 1, units)
    return (
        level[:, None]
        + common[None, :]
        + np.outer(loadings, factor)
        + rng.normal(0, noise, (units, periods))
    )


def launch_frame(seed: int, effect: float = 5.0, treated: int = 1, **sizes: Any) -> pd.DataFrame:
    """A factor panel whose first ``treated`` units gain ``effect`` from ``n_pre`` on."""
    outcomes = factor_panel(seed, **sizes)
    outcomes[:treated, sizes.get("n_pre", 60) :] += effect
    return panel_frame(outcomes)


COLUMNS: dict[str, Any] = {"outcome": "y", "unit": "unit", "time": "time"}
