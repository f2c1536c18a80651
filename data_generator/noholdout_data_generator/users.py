"""The users table: who they are, what they were given, both potential outcomes, the outcome.

Every user is seen once, in the signup week. Rows are drawn in blocks of fixed size with streams
of their own, so any stretch of a very large table can be drawn alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from noholdout_data_generator import equations as eq
from noholdout_data_generator.scenarios import UserKnobs
from noholdout_data_generator.streams import stream
from noholdout_data_generator.world import World

BLOCK = 65_536
SCORE_DECIMALS = 6

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
class Profile:
    """What a user is before any treatment; every array has shape ``(n,)``."""

    workspace: np.ndarray
    tier: np.ndarray
    week: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True)
class Treatments:
    """What a user was given (0/1); every array has shape ``(n,)``."""

    rollout: np.ndarray
    agent: np.ndarray
    premium: np.ndarray
    prompt: np.ndarray


@dataclass(frozen=True)
class Effects:
    """Each treatment's term in P(task completed), before clipping; arrays of shape ``(n,)``."""

    base: np.ndarray
    rollout: np.ndarray
    agent: np.ndarray
    premium: np.ndarray
    prompt: np.ndarray


@dataclass(frozen=True)
class Block:
    """A stretch of users: the public rows and what only the truth may know."""

    first_id: int
    profile: Profile
    treatments: Treatments
    effects: Effects
    opt_in_probability: np.ndarray
    frame: pd.DataFrame


def draw_block(seed: int, block: int, world: World, knobs: UserKnobs) -> Block:
    """Draw all ``BLOCK`` users of one block."""
    profile = _profile(stream(seed, "profile", block), world)
    opt_in = eq.opt_in_probability(profile.tier, profile.week, profile.confidence)
    treatments = Treatments(
        rollout=(profile.week >= world.treatment_week[profile.workspace]).astype(np.int64),
        agent=(stream(seed, "opt_in", block).random(BLOCK) < opt_in).astype(np.int64),
        premium=(profile.confidence < eq.CUTOFF).astype(np.int64),
        prompt=(stream(seed, "prompt", block).random(BLOCK) < 0.5).astype(np.int64),
    )
    effects = _effects(profile, world)
    completed = (
        stream(seed, "outcome", block).random(BLOCK) < probability(effects, treatments)
    ).astype(np.int64)
    first_id = block * BLOCK + 1
    frame = _frame(seed, block, first_id, world, profile, treatments, completed)
    return Block(first_id, profile, treatments, effects, opt_in, frame)


def probability(effects: Effects, treatments: Treatments) -> np.ndarray:
    """P(task completed) under the given treatments, clipped to [0.02, 0.98]; shape ``(n,)``."""
    return eq.clip_probability(
        effects.base
        + effects.rollout * treatments.rollout
        + effects.agent * treatments.agent
        + effects.premium * treatments.premium
        + effects.prompt * treatments.prompt
    )


def _profile(rng: np.random.Generator, world: World) -> Profile:
    # The stored score decides the route, so it is rounded before anything reads it.
    workspace = np.searchsorted(np.cumsum(world.share)[:-1], rng.random(BLOCK), side="right")
    tier = np.searchsorted(np.cumsum(eq.TIER_SHARE)[:-1], rng.random(BLOCK), side="right")
    week = rng.integers(0, eq.N_WEEKS, BLOCK)
    confidence = np.round(rng.beta(*eq.CONFIDENCE_SHAPE, BLOCK), SCORE_DECIMALS)
    return Profile(workspace, tier, week, confidence)


def _effects(profile: Profile, world: World) -> Effects:
    tier, week, confidence = profile.tier, profile.week, profile.confidence
    base = (
        eq.base_probability(tier, week, confidence)
        + world.level[profile.workspace]
        + world.week[week]
        + world.shock[profile.workspace, week]
    )
    return Effects(
        base=base,
        rollout=eq.rollout_effect(week, world.treatment_week[profile.workspace]),
        agent=eq.agent_effect(tier),
        premium=eq.premium_effect(confidence),
        prompt=eq.prompt_effect(tier, week, confidence),
    )


def _frame(
    seed: int,
    block: int,
    first_id: int,
    world: World,
    profile: Profile,
    treatments: Treatments,
    completed: np.ndarray,
) -> pd.DataFrame:
    columns = {
        "user_id": np.arange(first_id, first_id + BLOCK),
        "workspace_id": world.names[profile.workspace],
        "engagement_tier": np.array(eq.TIERS, dtype=object)[profile.tier],
        "signup_week": profile.week,
        "wave": world.wave[profile.workspace],
        "treatment_week": world.treatment_week[profile.workspace],
        "treated_post": treatments.rollout,
        "prompt_variant": treatments.prompt,
        "opt_in_agent_mode": treatments.agent,
        "query_confidence": profile.confidence,
        "routed_to_premium": treatments.premium,
        "task_completed": completed,
        **consequences(stream(seed, "consequences", block), profile, treatments, completed),
    }
    return pd.DataFrame(columns, columns=list(USER_COLUMNS))


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
    thumbs = 0.20 + 0.42 * completed + 0.05 * treatments.agent - 0.03 * treatments.prompt
    log_minutes = (
        1.9 + 0.25 * profile.tier - 0.20 * completed + 0.35 * treatments.agent
        + rng.normal(0.0, 0.45, n)
    )  # fmt: skip
    minutes = np.exp(log_minutes)
    rate = 0.004 * (1 + 1.8 * treatments.premium) * (1 + 0.9 * treatments.agent)
    retained = 0.38 + 0.22 * completed + 0.08 * profile.tier
    return {
        "thumbs_up": (rng.random(n) < thumbs).astype(np.int64),
        "session_minutes": np.round(minutes, 2),
        "cost_usd": np.round(rate * minutes * np.exp(rng.normal(0.0, 0.2, n)), 4),
        "retained_7d": (rng.random(n) < retained).astype(np.int64),
    }
