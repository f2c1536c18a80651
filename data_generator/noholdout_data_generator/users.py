"""The users table: who they are, what they were given, the outcome and what comes after it.

Every user is seen once, in the signup week. Rows are drawn in blocks of fixed size with streams
of their own, so any stretch of a very large table can be drawn alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from noholdout_data_generator import equations as eq
from noholdout_data_generator import traps
from noholdout_data_generator.arrays import first_beyond, texts
from noholdout_data_generator.knobs import UserKnobs
from noholdout_data_generator.people import Effects, Profile, Treatments
from noholdout_data_generator.streams import stream
from noholdout_data_generator.world import World

BLOCK = 65_536
SCORE_DECIMALS = 6
CELLS = 4096  # a power of two, so that a draw falls into its cell exactly

USER_COLUMNS = (
    "user_id",
    "workspace_id",
    "engagement_tier",
    "signup_week",
    "wave",
    "treatment_week",
    "treated_post",
    "prompt_variant",
    "opt_in_agent_mode",
    "query_confidence",
    "routed_to_premium",
    "task_completed",
    "thumbs_up",
    "session_minutes",
    "cost_usd",
    "retained_7d",
)


@dataclass(frozen=True)
class Block:
    """A stretch of users: the public rows and what only the truth may know."""

    profile: Profile
    treatments: Treatments
    effects: Effects
    opt_in_probability: np.ndarray
    frame: pd.DataFrame


def draw_block(seed: int, block: int, world: World, knobs: UserKnobs, count: int = BLOCK) -> Block:
    """Draw the first ``count`` users of one block, in the order in which the product works.

    Profile, opt-in, the logged score, the route that it decides, the prompt, the outcome, and
    the columns that follow from the outcome. A user is the same whatever ``count`` is.
    """
    profile = _profile(seed, block, world, knobs, count)
    opt_in = opt_in_probability(profile, knobs)
    agent = (stream(seed, "opt_in", block).random(count) < opt_in).astype(np.int64)
    score = np.round(traps.logged_score(profile, agent, knobs), SCORE_DECIMALS)
    profile = replace(profile, score=score)
    prompt_probability = traps.prompt_probability(profile, knobs)
    treatments = Treatments(
        rollout=(profile.week >= world.treatment_week[profile.workspace]).astype(np.int64),
        agent=agent,
        premium=traps.route(profile, stream(seed, "trap_route", block), knobs),
        prompt=(stream(seed, "prompt", block).random(count) < prompt_probability).astype(np.int64),
    )
    effects = effects_of(profile, world, knobs)
    draws = stream(seed, "outcome", block).random(count)
    completed = (draws < probability(effects, treatments)).astype(np.int64)
    frame = _frame(seed, block, world, profile, treatments, completed)
    return Block(profile, treatments, effects, opt_in, frame)


def probability(effects: Effects, treatments: Treatments) -> np.ndarray:
    """P(task completed) under the given treatments, clipped to [0.02, 0.98]; shape ``(n,)``."""
    total = effects.base + effects.rollout * treatments.rollout
    total += effects.agent * treatments.agent
    total += effects.premium * treatments.premium
    total += effects.prompt * treatments.prompt
    return eq.clip_probability(total)


def opt_in_probability(profile: Profile, knobs: UserKnobs) -> np.ndarray:
    """P(user opts in), with the scenario's selection; shape ``(n,)``."""
    index = eq.opt_in_index(profile.tier, profile.week, profile.confidence)
    score = 1.0 / (1.0 + np.exp(-(index + traps.selection(profile, knobs))))
    return np.where(traps.certain(profile), 1.0, score) if knobs.certain_opt_in else score


def effects_of(profile: Profile, world: World, knobs: UserKnobs) -> Effects:
    """The five terms of P(task completed), before clipping."""
    tier, week, confidence = profile.tier, profile.week, profile.confidence
    base = (
        eq.base_probability(tier, week, confidence)
        + world.level[profile.workspace]
        + world.week[week]
        + world.shock[profile.workspace, week]
        + traps.base_addition(profile, world.wave[profile.workspace], knobs)
    )
    prompt = eq.PROMPT_MEAN + knobs.prompt_spread * (
        eq.prompt_effect(tier, week, confidence) - eq.PROMPT_MEAN
    )
    k = knobs.effect_scale
    return Effects(
        base=base,
        rollout=k * eq.rollout_effect(week, world.treatment_week[profile.workspace]),
        agent=k * eq.agent_effect(tier),
        premium=k * eq.premium_effect(confidence),
        prompt=k * (prompt + knobs.prompt_shift),
    )


def _profile(seed: int, block: int, world: World, knobs: UserKnobs, count: int) -> Profile:
    # A stream's earlier draws are of the whole block, so that the later ones stay where they are.
    rng = stream(seed, "profile", block)
    workspace = _workspace(world, rng.random(BLOCK)[:count])
    tier_draw = rng.random(BLOCK)[:count]
    week = rng.integers(0, eq.N_WEEKS, BLOCK)[:count]
    # Rounded at once: the stored score is the score, and the flag is computed from it.
    confidence = np.round(rng.beta(*eq.CONFIDENCE_SHAPE, count), SCORE_DECIMALS)
    light, medium, _ = np.cumsum(eq.TIER_SHARE)
    shift = traps.heavy_shift(world.wave[workspace], week, knobs)
    tier = (tier_draw >= light - shift).astype(np.int64) + (tier_draw >= medium - shift)
    hidden = stream(seed, "trap", block).random((2, BLOCK))[:, :count]
    return Profile(workspace, tier, week, confidence, confidence, hidden[0], hidden[1])


def _workspace(world: World, draws: np.ndarray) -> np.ndarray:
    """Each draw's workspace, by their shares of users."""
    ends = np.append(np.cumsum(world.share)[:-1], np.inf)
    lowest = np.searchsorted(ends, np.arange(CELLS) / CELLS, side="right")
    return first_beyond(ends, draws, lowest[(draws * CELLS).astype(np.int64)])


def _frame(
    seed: int,
    block: int,
    world: World,
    profile: Profile,
    treatments: Treatments,
    completed: np.ndarray,
) -> pd.DataFrame:
    first = block * BLOCK + 1
    columns = {
        "user_id": np.arange(first, first + completed.size),
        "workspace_id": texts(world.names, profile.workspace),
        "engagement_tier": texts(np.array(eq.TIERS, dtype=object), profile.tier),
        "signup_week": profile.week,
        "wave": world.wave[profile.workspace],
        "treatment_week": world.treatment_week[profile.workspace],
        "treated_post": treatments.rollout,
        "prompt_variant": treatments.prompt,
        "opt_in_agent_mode": treatments.agent,
        "query_confidence": profile.score,
        "routed_to_premium": treatments.premium,
        "task_completed": completed,
        **consequences(stream(seed, "consequences", block), profile, treatments, completed),
    }
    return pd.DataFrame({name: columns[name] for name in USER_COLUMNS}, copy=False)


def consequences(
    rng: np.random.Generator, profile: Profile, treatments: Treatments, completed: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns that come after the outcome: adjusting for any of them biases every effect.

    ::

        P(thumbs up)     = 0.20 + 0.42 completed + 0.05 agent - 0.03 prompt
        log minutes      = 1.9 + 0.25 tier - 0.20 completed + 0.35 agent + N(0, 0.45²)
        cost             = 0.004 minutes (1 + 1.8 premium) (1 + 0.9 agent) lognormal(0, 0.2²)
        P(retained)      = 0.38 + 0.22 completed + 0.08 tier
    """
    n = completed.size
    noise = rng.normal(0.0, 0.45, BLOCK)[:n]
    thumbs_draw = rng.random(BLOCK)[:n]
    cost_noise = rng.normal(0.0, 0.2, BLOCK)[:n]
    thumbs = 0.20 + 0.42 * completed + 0.05 * treatments.agent - 0.03 * treatments.prompt
    log_minutes = 1.9 + 0.25 * profile.tier - 0.20 * completed + 0.35 * treatments.agent
    minutes = np.exp(log_minutes + noise)
    rate = 0.004 * (1 + 1.8 * treatments.premium) * (1 + 0.9 * treatments.agent)
    retained = 0.38 + 0.22 * completed + 0.08 * profile.tier
    return {
        "thumbs_up": (thumbs_draw < thumbs).astype(np.int64),
        "session_minutes": np.round(minutes, 2),
        "cost_usd": np.round(rate * minutes * np.exp(cost_noise), 4),
        "retained_7d": (rng.random(n) < retained).astype(np.int64),
    }
