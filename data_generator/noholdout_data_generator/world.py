"""The workspaces of the users table: sizes, waves, levels, week effects and shocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noholdout_data_generator.equations import N_WEEKS
from noholdout_data_generator.knobs import UserKnobs
from noholdout_data_generator.streams import ar1, stream

WAVE_WEEKS = (20, 30)
SIZE_SD = 0.35  # of the log of a workspace's share of users
LEVEL_SD, LEVEL_MAX = 0.04, 0.10
WEEK_SD, WEEK_RHO = 0.008, 0.5
SHOCK_SD, SHOCK_RHO, SHOCK_MAX = 0.02, 0.7, 0.06


@dataclass(frozen=True)
class World:
    """What users of one data set share. ``S`` workspaces, 52 weeks.

    Parameters
    ----------
    names
        Workspace ids, shape ``(S,)``.
    share
        Each workspace's share of users, shape ``(S,)``, sums to 1.
    wave
        1 or 2, shape ``(S,)``: half of the workspaces each, drawn at random.
    level
        Workspace effect on P(task completed), shape ``(S,)``.
    week
        Week effect that all workspaces share, shape ``(52,)``: parallel trends.
    shock
        Workspace-by-week shock, shape ``(S, 52)``, autocorrelated: why errors are clustered.
    """

    names: np.ndarray
    share: np.ndarray
    wave: np.ndarray
    level: np.ndarray
    week: np.ndarray
    shock: np.ndarray

    @property
    def treatment_week(self) -> np.ndarray:
        """The week in which each workspace got the rollout, shape ``(S,)``."""
        return np.where(self.wave == 1, *WAVE_WEEKS)


def workspace_names(count: int) -> np.ndarray:
    """``ws_01``, ``ws_02``, …"""
    width = max(2, len(str(count)))
    return np.array([f"ws_{i + 1:0{width}d}" for i in range(count)], dtype=object)


def draw_world(seed: int, knobs: UserKnobs) -> World:
    """Draw the workspaces of one seed."""
    count = knobs.n_workspaces
    rng = stream(seed, "workspaces")
    share = np.exp(rng.normal(0.0, SIZE_SD, count))
    level = np.clip(rng.normal(0.0, LEVEL_SD, count), -LEVEL_MAX, LEVEL_MAX)
    wave = np.ones(count, dtype=np.int64)
    wave[stream(seed, "waves").permutation(count)[: count // 2]] = 2
    week = ar1(stream(seed, "week_effects"), WEEK_RHO, WEEK_SD, 1, N_WEEKS)[0]
    shock = ar1(stream(seed, "workspace_week_shocks"), SHOCK_RHO, SHOCK_SD, count, N_WEEKS)
    shock = np.clip(shock, -SHOCK_MAX, SHOCK_MAX) * knobs.shock_scale
    return World(
        names=workspace_names(count),
        share=share / share.sum(),
        wave=wave,
        level=level,
        week=week - week.mean(),
        shock=shock,
    )
