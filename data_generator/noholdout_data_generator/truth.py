"""The truth of a data set: mean differences of two clipped probabilities, never of 0/1 draws.

A user's effect of one treatment is P(completed | with it) - P(completed | without it), both
clipped, with the user's other treatments at their actual values. ``sample`` is the mean over the
users (or workspaces) of this data set, ``population`` its expectation over data sets. Sums are
kept block by block, so that a table of any length has the same truth however it is cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from noholdout_data_generator import equations as eq
from noholdout_data_generator.arrays import first_beyond
from noholdout_data_generator.knobs import UserKnobs
from noholdout_data_generator.people import Effects, Treatments
from noholdout_data_generator.telemetry import UPGRADE_DAY, Telemetry, iso_date
from noholdout_data_generator.users import Block, effects_of, probability
from noholdout_data_generator.world import WAVE_WEEKS, World

Truth = dict[str, Any]

RDD_HALF_WIDTH = 0.05
EFFECT_DECIMALS = 9  # what floating point adds behind them is no effect
# Effects are differences of probabilities, so [-1, 1]; a bin is a thousandth of a point.
BIN_ENDS = np.append(np.linspace(-1.0, 1.0, 200_001)[1:-1], np.inf)
TOP_SHARE = 0.20

TRUTH_USER_COLUMNS = (
    "user_id",
    "effect_rollout",
    "effect_agent_mode",
    "effect_premium",
    "effect_prompt",
    "opt_in_probability",
)


def user_effects(block: Block) -> pd.DataFrame:
    """Each user's own effects and opt-in probability, one row a user."""
    effects = block.effects
    # As floats at once, not in each of the products to come.
    given = Treatments(**{name: v.astype(float) for name, v in vars(block.treatments).items()})
    columns = {
        "user_id": block.frame["user_id"].to_numpy(),
        "effect_rollout": contrast(effects, given, "rollout"),
        "effect_agent_mode": contrast(effects, given, "agent"),
        "effect_premium": contrast(effects, given, "premium"),
        "effect_prompt": contrast(effects, given, "prompt"),
        "opt_in_probability": block.opt_in_probability,
    }
    rounded = {name: np.round(columns[name], EFFECT_DECIMALS) for name in TRUTH_USER_COLUMNS}
    return pd.DataFrame(rounded, copy=False)


def contrast(effects: Effects, given: Treatments, treatment: str) -> np.ndarray:
    """P(completed) with minus without one treatment, the others as given; shape ``(n,)``."""
    with_it = Treatments(**{**vars(given), treatment: np.ones_like(effects.base)})
    without = Treatments(**{**vars(given), treatment: np.zeros_like(effects.base)})
    return probability(effects, with_it) - probability(effects, without)


def _cut(arrays: Any, rows: np.ndarray) -> Any:
    return type(arrays)(**{name: values[rows] for name, values in vars(arrays).items()})


@dataclass
class UserTruth:
    """Sums from which the truths of the users table follow, block by block."""

    rollout: np.ndarray = field(default_factory=lambda: np.zeros((2, eq.N_WEEKS)))
    agent: dict[str, np.ndarray] = field(
        default_factory=lambda: {k: np.zeros(2) for k in ("ate", "att", "atc", "ato")}
    )
    cutoff: np.ndarray = field(default_factory=lambda: np.zeros(2))
    prompt: np.ndarray = field(default_factory=lambda: np.zeros(3))
    prompt_bins: np.ndarray = field(default_factory=lambda: np.zeros((2, len(BIN_ENDS))))

    def add(self, block: Block, world: World, knobs: UserKnobs, own: pd.DataFrame) -> None:
        """Add a block's users; ``own`` is their :func:`user_effects`."""
        week, workspace = block.profile.week, block.profile.workspace
        first = world.wave[workspace] == 1
        effect = own["effect_rollout"].to_numpy()
        self.rollout += [
            np.bincount(week[first], effect[first], minlength=eq.N_WEEKS),
            np.bincount(week[first], minlength=eq.N_WEEKS),
        ]
        effect, score = own["effect_agent_mode"].to_numpy(), block.opt_in_probability
        opted = block.treatments.agent
        weights = {
            "ate": np.ones_like(effect),
            "att": opted,
            "atc": 1 - opted,
            "ato": score * (1 - score),
        }
        for estimand, weight in weights.items():
            self.agent[estimand] += [weight @ effect, weight.sum()]
        self.cutoff += cutoff_gap(block, world, knobs)
        effect = own["effect_prompt"].to_numpy()
        self.prompt += [effect.sum(), (effect < 0).sum(), effect.size]
        size = len(BIN_ENDS)
        lowest = np.maximum(((effect + 1.0) * (size / 2)).astype(np.int64) - 1, 0)
        place = first_beyond(BIN_ENDS, effect, lowest)
        first = int(place.min())
        counts, totals = np.bincount(place - first), np.bincount(place - first, effect)
        self.prompt_bins[0, first : first + counts.size] += counts
        self.prompt_bins[1, first : first + counts.size] += totals

    def result(self) -> Truth:
        """The sample truths, by design."""
        start, stop = WAVE_WEEKS
        total, count = self.rollout
        mean = _ratios(total, count)
        weeks = range(start, stop)
        return {
            "did": {
                "simple": {"sample": _ratio(total[start:stop].sum(), count[start:stop].sum())},
                "att_gt": [
                    {"cohort": start, "time": t, "event_time": t - start, "n": int(count[t])}
                    | {"sample": mean[t]}
                    for t in weeks
                ],
                "event_time": [{"event_time": t - start, "sample": mean[t]} for t in weeks],
            },
            "propensity": {k: {"sample": _ratio(*sums)} for k, sums in self.agent.items()},
            "rdd": {"at_cutoff": {"sample": _ratio(*self.cutoff)}},
            "uplift": {
                "ate": {"sample": _ratio(self.prompt[0], self.prompt[2])},
                "harmed_share": {"sample": _ratio(self.prompt[1], self.prompt[2])},
                "top_fifth": {"sample": self._top()},
            },
        }

    def _top(self) -> float | None:
        count, total = self.prompt_bins[:, ::-1]
        used = np.flatnonzero(count)
        held = count[used]
        wanted = TOP_SHARE * held.sum()
        taken = np.clip(wanted - (np.cumsum(held) - held), 0.0, held)
        share = np.zeros_like(count)
        share[used] = taken / held
        return _ratio(share @ total, wanted)


def cutoff_gap(block: Block, world: World, knobs: UserKnobs) -> np.ndarray:
    """Weighted gap of the two curves at the cutoff, and its weight.

    The users near the cutoff (triangular weights, half-width 0.05, in the query's own
    confidence), with their confidence set to the cutoff and their other columns as they are.
    """
    profile = block.profile
    weight = np.maximum(0.0, 1.0 - np.abs(profile.confidence - eq.CUTOFF) / RDD_HALF_WIDTH)
    near = np.flatnonzero(weight > 0)
    if near.size == 0:
        return np.zeros(2)
    at = np.full(near.size, eq.CUTOFF)
    moved = replace(_cut(profile, near), confidence=at, score=at)
    given = _cut(block.treatments, near)
    gap = contrast(effects_of(moved, world, knobs), given, "premium")
    return np.array([weight[near] @ gap, weight[near].sum()])


def telemetry_truth(panel: Telemetry) -> Truth:
    """The truths of the telemetry: mean over upgraded workspaces, each counting the same."""
    after = panel.days >= UPGRADE_DAY
    gap = (panel.p1 - panel.p0)[panel.treated][:, after]
    tasks = panel.tasks[panel.treated][:, after]
    return {
        "att": {"sample": float(gap.mean())},
        "att_tasks_weighted": {"sample": float((gap * tasks).sum() / tasks.sum())},
        "by_day": [
            {"day": int(day), "date": iso_date(int(day)), "sample": float(mean)}
            for day, mean in zip(panel.days[after], gap.mean(axis=0), strict=True)
        ],
    }


def with_population(sample: Truth, population: Truth) -> Truth:
    """The sample's truths with the population's beside each."""
    merged: Truth = {}
    for key, value in sample.items():
        other = population.get(key)
        if isinstance(value, dict):
            merged[key] = with_population(value, other or {})
        elif isinstance(value, list):
            pairs = zip(value, other or [{}] * len(value), strict=True)
            merged[key] = [with_population(a, b) for a, b in pairs]
        else:
            merged[key] = value
    if "sample" in sample:
        merged["population"] = population.get("population")
    return merged


def _ratio(total: float, count: float) -> float | None:
    return float(total / count) if count > 0 else None


def _ratios(total: np.ndarray, count: np.ndarray) -> list[float | None]:
    return [_ratio(a, b) for a, b in zip(total, count, strict=True)]
