"""The telemetry panel: one row a workspace and day, before, at and after a model upgrade.

For workspace i on day t::

    p0[i, t] = 0.55 + level[i] + weekday[t] + season[t] + common[t]
               + drift[i] (t - 45) / 90 + loading[i] slow[t] + shock[i, t]
    p1[i, t] = p0[i, t] + 0.05                      from day 90 on, where upgraded
    tasks    ~ Poisson(size[i] weekday_load[t]),  completed ~ Binomial(tasks, p)

``shock`` is a first-order autoregression of each workspace's own, ``common`` one that all share,
``slow`` a persistent factor to which workspaces respond differently. ``season`` is the rise of a
year's first months, shared by all: comparing after with before calls it an effect::

    season[t] = -0.03 cos(pi t / 120)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from noholdout_data_generator.arrays import texts
from noholdout_data_generator.equations import clip_probability
from noholdout_data_generator.knobs import TelemetryKnobs
from noholdout_data_generator.streams import ar1, stream
from noholdout_data_generator.world import workspace_names

Launch = Literal["one-workspace", "one-region", "pinned", "everyone"]

N_DAYS = 120
UPGRADE_DAY = 90
FIRST_DATE = "2025-01-06"  # a Monday
REGIONS = ("apac", "br", "eu-central", "eu-west", "us-east", "us-west")
N_PINNED = 10
EFFECT = 0.05

MEAN = 0.55
LEVEL_SD, LEVEL_MAX = 0.06, 0.15
WEEKDAY = np.array([0.010, 0.012, 0.008, 0.004, -0.004, -0.018, -0.012])
WEEKDAY_LOAD = np.array([1.10, 1.15, 1.15, 1.10, 1.00, 0.75, 0.75])
SEASON_RISE = 0.06
COMMON_SD, COMMON_RHO = 0.012, 0.8
DRIFT_SD = 0.02
SLOW_SD, SLOW_RHO = 0.015, 0.97
SHOCK_SD, SHOCK_RHO = 0.024, 0.90
TASKS_LOW, TASKS_HIGH = 150.0, 550.0

TELEMETRY_COLUMNS = (
    "date",
    "day",
    "workspace_id",
    "region",
    "model_version",
    "upgraded",
    "active_users",
    "tasks",
    "task_completion_rate",
    "thumbs_up_rate",
    "session_minutes",
    "cost_usd",
)


@dataclass(frozen=True)
class Telemetry:
    """A telemetry panel and both its potential outcomes. ``S`` workspaces, ``T`` days.

    Parameters
    ----------
    frame
        One row a workspace and day, the public columns.
    days
        Day numbers, shape ``(T,)``.
    treated
        Which workspaces were upgraded, shape ``(S,)``.
    p0, p1
        P(a task is completed) on the old and on the new model, clipped, shape ``(S, T)``.
    tasks
        As done (a scenario may log fewer), shape ``(S, T)``.
    """

    frame: pd.DataFrame
    days: np.ndarray
    treated: np.ndarray
    p0: np.ndarray
    p1: np.ndarray
    tasks: np.ndarray


def draw_telemetry(seed: int, launch: Launch, knobs: TelemetryKnobs) -> Telemetry:
    """Draw the panel; only who is upgraded, and what follows from it, depends on ``launch``."""
    count = knobs.n_workspaces
    region = stream(seed, "telemetry_workspaces").permutation(np.arange(count) % len(REGIONS))
    who = "everyone" if knobs.everyone else launch
    treated, order = _who(stream(seed, "launch"), who, count, region)
    days = np.arange(UPGRADE_DAY - knobs.history_days, N_DAYS)
    raw = _old_model(seed, count) + _trap_addition(treated, order, knobs)
    p0 = clip_probability(raw)[:, days]
    p1 = clip_probability(raw + knobs.effect_scale * EFFECT)[:, days]
    upgraded = treated[:, None] & (days >= UPGRADE_DAY)[None, :]
    size = stream(seed, "telemetry_tasks").uniform(TASKS_LOW, TASKS_HIGH, count)
    load = WEEKDAY_LOAD[days % 7]
    tasks = stream(seed, "telemetry_load").poisson(size[:, None] * load[None, :])
    # Both outcomes are drawn, so that a workspace's numbers don't depend on who else is upgraded.
    outcomes = stream(seed, "telemetry_outcome")
    old, new = outcomes.binomial(tasks, p0), outcomes.binomial(tasks, p1)
    completed = np.where(upgraded, new, old)
    side = _side_columns(stream(seed, "telemetry_side"), tasks, old, new, upgraded)
    failed = tasks - completed
    lost = stream(seed, "telemetry_trap").binomial(failed, knobs.lost_failures) * upgraded
    frame = _frame(workspace_names(count), days, region, upgraded, tasks - lost, completed, side)
    return Telemetry(frame, days, treated, p0, p1, tasks)


def _old_model(seed: int, count: int) -> np.ndarray:
    """P(a task is completed) on the old model before clipping, shape ``(S, 120)``."""
    rng = stream(seed, "telemetry_levels")
    level = np.clip(rng.normal(0.0, LEVEL_SD, count), -LEVEL_MAX, LEVEL_MAX)
    drift = rng.normal(0.0, DRIFT_SD, count)
    loading = rng.normal(0.0, 1.0, count)
    shocks = stream(seed, "telemetry_shocks")
    common = ar1(shocks, COMMON_RHO, COMMON_SD, 1, N_DAYS)[0]
    slow = ar1(shocks, SLOW_RHO, SLOW_SD, 1, N_DAYS)[0]
    shock = ar1(shocks, SHOCK_RHO, SHOCK_SD, count, N_DAYS)
    day = np.arange(N_DAYS)
    return np.asarray(
        MEAN
        + level[:, None]
        + (WEEKDAY[day % 7] + season(day) + common)[None, :]
        + np.outer(drift, drift_position(day))
        + np.outer(loading, slow)
        + shock
    )


def season(day: np.ndarray) -> np.ndarray:
    """A smooth rise of six points over the 120 days, zero in the middle."""
    return np.asarray(-SEASON_RISE / 2 * np.cos(np.pi * day / N_DAYS))


def drift_position(day: np.ndarray) -> np.ndarray:
    """``(t - 45) / 90``: a drift's place on day t, zero in the middle of the history."""
    return (day - UPGRADE_DAY / 2) / UPGRADE_DAY


def _trap_addition(treated: np.ndarray, order: np.ndarray, knobs: TelemetryKnobs) -> np.ndarray:
    """What the scenario adds to both potential outcomes, shape ``(S, 120)``.

    ::

        outside the hull      treated_level + treated_drift (t - 45) / 90    [upgraded]
        contaminated donors   donor_spill [t >= 90]                 [half of the others]
        launch-week shock     launch_shock [90 <= t < 97]  [upgraded, 3 in 10 of the others]
        everyone              common_shock [t >= 90]
    """
    day = np.arange(N_DAYS)
    after = (day >= UPGRADE_DAY).astype(float)
    first_week = after * (day < UPGRADE_DAY + 7)
    others = order[~treated[order]]
    spilled, shocked = np.zeros(treated.size), treated.astype(float)
    spilled[others[: len(others) // 2]] = 1.0
    shocked[others[: round(0.3 * len(others))]] = 1.0
    return np.asarray(
        np.outer(treated, knobs.treated_level + knobs.treated_drift * drift_position(day))
        + np.outer(spilled, knobs.donor_spill * after)
        + np.outer(shocked, knobs.launch_shock * first_week)
        + knobs.common_shock * after
    )


def _who(
    rng: np.random.Generator, launch: Launch, count: int, region: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Who is upgraded, shape ``(S,)``, and the random order in which scenarios pick others."""
    order = rng.permutation(count)
    one_region = rng.integers(len(REGIONS))
    if launch == "one-workspace":
        return np.arange(count) == order[0], order
    if launch == "one-region":
        return np.asarray(region == one_region), order
    treated = np.ones(count, dtype=bool)
    if launch == "pinned":
        treated[order[:N_PINNED]] = False
    return treated, order


def iso_date(day: int) -> str:
    """The date of a day number."""
    return (date.fromisoformat(FIRST_DATE) + timedelta(days=day)).isoformat()


def _side_columns(
    rng: np.random.Generator,
    tasks: np.ndarray,
    old: np.ndarray,
    new: np.ndarray,
    upgraded: np.ndarray,
) -> dict[str, np.ndarray]:
    """Columns that follow from the tasks and their completion; the new model costs more."""
    counted = np.maximum(tasks, 1)
    noise = rng.normal(0.0, 1.0, (2, *tasks.shape))
    active = np.maximum(1, rng.binomial(tasks, 0.36))
    thumbs = [rng.binomial(tasks, 0.20 + 0.42 * done / counted) for done in (old, new)]
    share = np.where(upgraded, new, old) / counted
    minutes = 7.5 * np.exp(-0.15 * share + 0.05 * noise[0]) * np.where(upgraded, 1.06, 1.0)
    cost = 0.011 * tasks * np.exp(0.06 * noise[1]) * np.where(upgraded, 1.35, 1.0)
    return {
        "active_users": active,
        "thumbs_up_rate": np.round(np.where(upgraded, thumbs[1], thumbs[0]) / counted, 6),
        "session_minutes": np.round(minutes, 3),
        "cost_usd": np.round(cost, 2),
    }


def _frame(
    names: np.ndarray,
    days: np.ndarray,
    region: np.ndarray,
    upgraded: np.ndarray,
    tasks: np.ndarray,
    completed: np.ndarray,
    side: dict[str, np.ndarray],
) -> pd.DataFrame:
    count, n_days = tasks.shape
    dates = np.array([iso_date(int(day)) for day in days], dtype=object)
    columns = {
        "date": texts(dates, np.tile(np.arange(n_days), count)),
        "day": np.tile(days, count),
        "workspace_id": texts(names, np.repeat(np.arange(count), n_days)),
        "region": texts(np.array(REGIONS, dtype=object), np.repeat(region, n_days)),
        "model_version": texts(np.array(["v1", "v2"], dtype=object), upgraded.ravel().astype(int)),
        "upgraded": upgraded.astype(np.int64).ravel(),
        "tasks": tasks.ravel(),
        "task_completion_rate": np.round(completed / np.maximum(tasks, 1), 6).ravel(),
        **{name: values.ravel() for name, values in side.items()},
    }
    return pd.DataFrame({name: columns[name] for name in TELEMETRY_COLUMNS})
