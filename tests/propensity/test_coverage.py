"""A small Monte Carlo: unbiased, and intervals that hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_propensity import estimate
from propensity.samples import simulate

REPLICATIONS = 150
# 99.9% range of a share of 150 draws when the true coverage is 0.95: +-3.29 * 0.0178.
LOWEST = 0.95 - 3.29 * np.sqrt(0.95 * 0.05 / REPLICATIONS)


@pytest.mark.parametrize("estimator", ["aipw", "ipw", "matching", "regression"])
def test_coverage_and_bias(estimator: str) -> None:
    estimates, errors, held = [], [], 0
    for seed in range(REPLICATIONS):
        answer = estimate(
            simulate(800, seed),
            outcome="y",
            treatment="d",
            covariates=["a", "b", "tier"],
            estimator=estimator,
        )
        estimates.append(answer.estimate)
        errors.append(answer.std_error)
        held += answer.conf_low <= 1 <= answer.conf_high
    assert held / REPLICATIONS >= LOWEST
    spread = np.std(estimates, ddof=1)
    # Bias within four Monte Carlo errors; matching has a bias of smaller order that 800 rows show.
    allowed = 4 * spread / np.sqrt(REPLICATIONS) + (0.02 if estimator == "matching" else 0)
    assert abs(np.mean(estimates) - 1) < allowed
    # The spread of 150 estimates is known to 1 / sqrt(300) = 6%; three of those.
    assert np.mean(errors) == pytest.approx(spread, rel=0.18)
