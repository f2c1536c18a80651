"""Data with known effects for the tests of this method."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import statsmodels.treatment.tests as statsmodels_tests
from noholdout_propensity.kernels.matching import (
    MatchedEffect,
    matched_effect,
    own_variance,
)
from noholdout_propensity.kernels.neighbours import on_score

LALONDE_COVARIATES = ["age", "educ", "race", "married", "nodegree", "re74", "re75"]


def simulate(n: int = 2000, seed: int = 0, strength: float = 0.7) -> pd.DataFrame:
    """Opt-in driven by two covariates that also drive the outcome; the true effect is 1."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    tier = rng.choice(["light", "medium", "heavy"], n)
    index = strength * a + 0.5 * (tier == "heavy") - 0.2
    treated = (rng.random(n) < 1 / (1 + np.exp(-index))).astype(int)
    y = 1.0 * treated + a + 0.5 * b + 0.8 * (tier == "heavy") + rng.normal(size=n)
    return pd.DataFrame({"y": y, "d": treated, "a": a, "b": b, "tier": tier})


def cattaneo() -> pd.DataFrame:
    """The birth-weight data that statsmodels ships, with results of Stata's teffects."""
    folder = os.path.join(os.path.dirname(statsmodels_tests.__file__), "results")
    return pd.read_csv(os.path.join(folder, "cataneo2.csv"))


def match(
    y: np.ndarray, d: np.ndarray, score: np.ndarray, targets: tuple[bool, bool], ratio: int
) -> MatchedEffect:
    """Matching on a known score with replacement, straight from the kernels."""

    def matcher(own: np.ndarray, other: np.ndarray):
        return on_score(score[own], score[other], y[other], ratio, None)

    return matched_effect(y, d, targets, matcher, own_variance(y, d, score))
