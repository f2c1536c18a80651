"""What the scenarios add to the users' equations. At the default knobs every addition is zero."""

from __future__ import annotations

import numpy as np

from noholdout_data_generator import equations as eq
from noholdout_data_generator.knobs import UserKnobs
from noholdout_data_generator.people import Profile

FIRST_LAUNCH, SECOND_LAUNCH = 20, 30
ANTICIPATED_WEEKS = 5
CERTAIN_CONFIDENCE = 0.70
GAMED_WIDTH = 0.04
# Deviation of the base probability over users, for the logit of a confounded prompt.
BASE_SD = 0.145


def base_addition(profile: Profile, wave: np.ndarray, knobs: UserKnobs) -> np.ndarray:
    """What the scenario adds to the probability without treatment.

    ::

        pre-trends           wave_trend (min(t, 30) - 15) [wave 1]
        anticipation         anticipation [wave 1, 15 <= t < 20]
        spill-over           spill_over [wave 2, 20 <= t < 30]
        hidden confounder    hidden_outcome (H - 1/2)             H = 1 for a hidden half
        no overlap           certain_base [always opts in]
        nonlinear selection  curved_outcome (z² - 1/3)
        gamed scores         savvy_base (V - savvy_share)         V = 1 for the savvy
        curvature            bend sign(d) d² exp(1 - d²),  d = (c - 0.85) / bend_width
        second rule          second_rule [score < 0.85]
    """
    week, confidence = profile.week, profile.confidence
    first, second = wave == 1, wave == 2
    added = np.zeros(week.size)
    if knobs.wave_trend:
        added += knobs.wave_trend * (np.minimum(week, SECOND_LAUNCH) - 15.0) * first
    if knobs.anticipation:
        before = (week >= FIRST_LAUNCH - ANTICIPATED_WEEKS) & (week < FIRST_LAUNCH)
        added += knobs.anticipation * (first & before)
    if knobs.spill_over:
        alone = (week >= FIRST_LAUNCH) & (week < SECOND_LAUNCH)
        added += knobs.spill_over * (second & alone)
    if knobs.hidden_outcome:
        added += knobs.hidden_outcome * (is_hidden(profile) - 0.5)
    if knobs.certain_opt_in:
        added += knobs.certain_base * certain(profile)
    if knobs.curved_outcome:
        added += knobs.curved_outcome * curve(week)
    if knobs.savvy_base:
        added += knobs.savvy_base * (is_savvy(profile, knobs) - knobs.savvy_share)
    if knobs.bend:
        distance = (confidence - eq.CUTOFF) / knobs.bend_width
        added += knobs.bend * np.sign(distance) * distance**2 * np.exp(1.0 - distance**2)
    if knobs.second_rule:
        added += knobs.second_rule * (profile.score < eq.CUTOFF)
    return added


def selection(profile: Profile, knobs: UserKnobs) -> np.ndarray:
    """What the scenario adds to the logit of opting in."""
    if not (knobs.hidden_selection or knobs.curved_selection):
        return np.zeros(profile.week.size)
    return knobs.hidden_selection * (is_hidden(profile) - 0.5) + knobs.curved_selection * curve(
        profile.week
    )


def heavy_shift(wave: np.ndarray, week: np.ndarray, knobs: UserKnobs) -> np.ndarray:
    """Share of users who are heavy instead of light: wave 1 after its launch."""
    return knobs.heavy_shift * ((wave == 1) & (week >= FIRST_LAUNCH))


def logged_score(profile: Profile, agent: np.ndarray, knobs: UserKnobs) -> np.ndarray:
    """The score that the log holds, after gaming, agent mode's own boost, and coarse logging."""
    score = profile.confidence + knobs.score_after_opt_in * agent
    if knobs.savvy_share > 0:
        above = profile.confidence - eq.CUTOFF
        gamed = (is_savvy(profile, knobs) > 0) & (above >= 0) & (above < GAMED_WIDTH)
        # Strictly below the cutoff, also for a score that stands exactly on it.
        score = np.where(gamed, eq.CUTOFF - above - 1e-6, score)
    if knobs.score_step > 0:
        score = np.floor(score / knobs.score_step + 1e-9) * knobs.score_step
    return np.clip(score, 0.0, 1.0)


def route(profile: Profile, rng: np.random.Generator, knobs: UserKnobs) -> np.ndarray:
    """Premium below the cutoff of the logged score; overrides turn the rule around."""
    premium = profile.score < eq.CUTOFF
    if knobs.override_share > 0:
        premium = premium ^ (rng.random(premium.size) < knobs.override_share)
    return premium.astype(np.int64)


def prompt_probability(profile: Profile, knobs: UserKnobs) -> np.ndarray:
    """P(new prompt): one half unless the assignment is confounded."""
    if not (knobs.prompt_selection or knobs.prompt_hidden):
        return np.full(profile.week.size, 0.5)
    base = eq.base_probability(profile.tier, profile.week, profile.confidence) - eq.BASE
    index = knobs.prompt_selection * base / BASE_SD
    index = index + knobs.prompt_hidden * (is_hidden(profile) - 0.5)
    return np.asarray(1.0 / (1.0 + np.exp(-index)))


def is_hidden(profile: Profile) -> np.ndarray:
    """1 for the hidden half of the users."""
    return (profile.hidden < 0.5).astype(float)


def is_savvy(profile: Profile, knobs: UserKnobs) -> np.ndarray:
    """1 for the users who know how to lower a score."""
    return (profile.hidden_too < knobs.savvy_share).astype(float)


def certain(profile: Profile) -> np.ndarray:
    """Heavy users with confidence above 0.70."""
    return (profile.tier == 2) & (profile.confidence > CERTAIN_CONFIDENCE)


def curve(week: np.ndarray) -> np.ndarray:
    """``z² - 1/3``: high for the first and the last signup weeks, zero on average."""
    return np.asarray(eq.week_position(week) ** 2 - 1 / 3)
