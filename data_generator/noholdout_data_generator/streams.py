"""Random numbers by purpose: one part's draws don't change when another's do."""

from __future__ import annotations

import numpy as np

# Numbers are for ever: a new purpose takes the next free one, a retired one leaves a gap.
PURPOSES = {
    "workspaces": 0,
    "waves": 1,
    "week_effects": 2,
    "workspace_week_shocks": 3,
    "profile": 10,
    "prompt": 11,
    "opt_in": 12,
    "outcome": 13,
    "consequences": 14,
    "trap": 15,
    "trap_route": 16,
    "telemetry_workspaces": 30,
    "telemetry_tasks": 31,
    "telemetry_shocks": 32,
    "telemetry_outcome": 33,
    "telemetry_side": 34,
    "launch": 35,
    "telemetry_trap": 36,
    "telemetry_levels": 37,
    "telemetry_load": 38,
}


def stream(seed: int, purpose: str, block: int = 0) -> np.random.Generator:
    """The generator of one purpose in one block of rows.

    Children of ``SeedSequence(seed)`` by spawn key, so any block can be drawn without the blocks
    before it.
    """
    key = (PURPOSES[purpose], block)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def ar1(rng: np.random.Generator, rho: float, sd: float, n_series: int, length: int) -> np.ndarray:
    """Stationary first-order autoregressions with marginal deviation ``sd``.

    Returns
    -------
    ndarray, shape ``(n_series, length)``
    """
    from scipy.signal import lfilter

    noise = rng.standard_normal((n_series, length)) * sd * np.sqrt(1 - rho**2)
    noise[:, 0] /= np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], noise, axis=1))
