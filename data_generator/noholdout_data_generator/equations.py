"""The structural equations of the users table: plain functions of arrays, no random numbers.

Everything is additive on the probability scale. For user i in workspace s and signup week t,
with z = (t - 25.5) / 25.5 in [-1, 1] and confidence c::

    base = 0.430 + TIER_LEVEL[tier] + 0.085 z + 0.55 (c - 0.75)
           + level[s] + week[t] + shock[s, t]
    p    = clip(base + rollout * treated_post + agent * opt_in
                + premium * routed + prompt * variant, 0.02, 0.98)

    rollout = 0.04 + 0.02 min(e, 9) / 9        e = t - treatment_week
    agent   = AGENT_EFFECT[tier]
    premium = 0.06 + 0.10 (0.85 - c)
    prompt  = nonlinear in tier, t and c; 0.04 on average
    logit P(opt in) = OPT_IN_BASE + OPT_IN_TIER[tier] + 0.75 z + 4 (c - 0.75)
"""

from __future__ import annotations

import numpy as np

TIERS = ("light", "medium", "heavy")
TIER_SHARE = np.array([0.40, 0.35, 0.25])
N_WEEKS = 52
CUTOFF = 0.85
P_MIN, P_MAX = 0.02, 0.98

BASE = 0.430
TIER_LEVEL = np.array([-0.115, 0.010, 0.165])
WEEK_SLOPE = 0.085
CONFIDENCE_SLOPE = 0.55
CONFIDENCE_MEAN = 0.75
CONFIDENCE_SHAPE = (6.0, 2.0)

# Weighted by TIER_SHARE these average 0.08.
AGENT_EFFECT = np.array([0.068, 0.080, 0.0992])
OPT_IN_BASE = -0.45
OPT_IN_TIER = np.array([-0.85, 0.0, 0.90])
OPT_IN_WEEK = 0.75
OPT_IN_CONFIDENCE = 4.0

PREMIUM_EFFECT = 0.06
PREMIUM_SLOPE = 0.10

ROLLOUT_START, ROLLOUT_GROWTH, ROLLOUT_WEEKS = 0.04, 0.02, 9

# Makes the average over the users' distribution exactly 4 points (a test holds it).
PROMPT_BASE = 0.06643101539258232
PROMPT_MEAN = 0.04
PROMPT_TIER = np.array([0.035, 0.008, -0.050])
PROMPT_WEEK = 0.03
PROMPT_CONFIDENCE = 0.05


def week_position(week: np.ndarray) -> np.ndarray:
    """Signup week on [-1, 1]."""
    return (week - 25.5) / 25.5


def base_probability(tier: np.ndarray, week: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """P(task completed) without any treatment, before workspace and week effects."""
    return (
        BASE
        + TIER_LEVEL[tier]
        + WEEK_SLOPE * week_position(week)
        + CONFIDENCE_SLOPE * (confidence - CONFIDENCE_MEAN)
    )


def opt_in_index(tier: np.ndarray, week: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Logit of P(user opts in to agent mode), linear in tier indicators, week and confidence."""
    return (
        OPT_IN_BASE
        + OPT_IN_TIER[tier]
        + OPT_IN_WEEK * week_position(week)
        + OPT_IN_CONFIDENCE * (confidence - CONFIDENCE_MEAN)
    )


def rollout_effect(week: np.ndarray, treatment_week: np.ndarray) -> np.ndarray:
    """Effect of the staged rollout: 4 points at launch, 6 from the tenth week on.

    Over event weeks 0 to 9 it averages 5 points. Before launch it is the effect that a launch
    in that week would have had on its first day.
    """
    exposure = np.clip(week - treatment_week, 0, ROLLOUT_WEEKS)
    return ROLLOUT_START + ROLLOUT_GROWTH * exposure / ROLLOUT_WEEKS


def agent_effect(tier: np.ndarray) -> np.ndarray:
    """Effect of agent mode: larger for heavy users, so that ATT > ATE = 8 points > ATC."""
    return AGENT_EFFECT[tier]


def premium_effect(confidence: np.ndarray) -> np.ndarray:
    """Effect of the premium model: 6 points at the cutoff, more for less confident queries."""
    return PREMIUM_EFFECT + PREMIUM_SLOPE * (CUTOFF - confidence)


def prompt_effect(tier: np.ndarray, week: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Effect of the new prompt: 4 points on average, and harm for about a fifth of users.

    It helps light users and hard queries and gets in the way of heavy users on easy ones; users
    who joined in the middle of the year gain more than the first and the last.
    """
    return (
        PROMPT_BASE
        + PROMPT_TIER[tier]
        + PROMPT_WEEK * np.cos(np.pi * week_position(week))
        + PROMPT_CONFIDENCE * np.tanh((0.60 - confidence) / 0.12)
    )


def clip_probability(p: np.ndarray) -> np.ndarray:
    """Keep a probability within [0.02, 0.98]."""
    return np.clip(p, P_MIN, P_MAX)
