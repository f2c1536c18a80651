"""A small Monte Carlo: unbiased, and intervals that hold the truth as often as they say."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from noholdout_propensity.estimators.aipw import fit_aipw
from noholdout_propensity.estimators.ipw import fit_ipw
from noholdout_propensity.estimators.matching import MatchOptions, fit_matching
from noholdout_propensity.estimators.regression import fit_regression
from noholdout_propensity.inference import spread_of
from noholdout_propensity.options import Options
from noholdout_propensity.problem import prepare
from propensity.samples import simulate

REPLICATIONS = 150
FITS = {
    "aipw": fit_aipw,
    "ipw": fit_ipw,
    "matching": partial(fit_matching, link="logit", how=MatchOptions()),
    "regression": fit_regression,
}
# 99.9% range of a share of 150 draws when the true coverage is 0.95: +-3.29 * 0.0178.
LOWEST = 0.95 - 3.29 * np.sqrt(0.95 * 0.05 / REPLICATIONS)


@pytest.mark.parametrize("estimator", FITS)
def test_coverage_and_bias(estimator: str) -> None:
    estimates, errors, held = [], [], 0
    for seed in range(REPLICATIONS):
        problem = prepare(Options(simulate(800, seed), "y", "d", ["a", "b", "tier"]))
        fit = FITS[estimator](problem)
        error = spread_of(problem, fit).std_error
        estimates.append(fit.estimate)
        errors.append(error)
        held += abs(fit.estimate - 1) < 1.96 * error
    assert held / REPLICATIONS >= LOWEST
    spread = np.std(estimates, ddof=1)
    # Bias within four Monte Carlo errors; matching has a bias of smaller order that 800 rows show.
    allowed = 4 * spread / np.sqrt(REPLICATIONS) + (0.02 if estimator == "matching" else 0)
    assert abs(np.mean(estimates) - 1) < allowed
    # The spread of 150 estimates is known to 1 / sqrt(300) = 6%; three of those.
    assert np.mean(errors) == pytest.approx(spread, rel=0.18)
