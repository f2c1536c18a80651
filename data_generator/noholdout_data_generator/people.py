"""Arrays that describe a stretch of users; every array has shape ``(n,)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Profile:
    """What a user is.

    Parameters
    ----------
    workspace, tier, week
        Codes: workspace from 0, tier 0 (light) to 2 (heavy), signup week 0 to 51.
    confidence
        The query's own confidence, which drives the outcome.
    score
        The confidence as logged; the same, but for scenarios that tamper with the log.
    hidden, hidden_too
        Uniform draws that no column shows; only scenarios use them.
    """

    workspace: np.ndarray
    tier: np.ndarray
    week: np.ndarray
    confidence: np.ndarray
    score: np.ndarray
    hidden: np.ndarray
    hidden_too: np.ndarray


@dataclass(frozen=True)
class Treatments:
    """What a user was given, 0 or 1."""

    rollout: np.ndarray
    agent: np.ndarray
    premium: np.ndarray
    prompt: np.ndarray


@dataclass(frozen=True)
class Effects:
    """Each treatment's term in P(task completed), before clipping, and the base without any."""

    base: np.ndarray
    rollout: np.ndarray
    agent: np.ndarray
    premium: np.ndarray
    prompt: np.ndarray
