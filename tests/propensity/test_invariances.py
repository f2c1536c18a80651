"""What must not change an answer, what must flip it, and what must change it."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_propensity import estimate
from propensity.samples import simulate

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}
ESTIMATORS = ["ipw", "matching", "regression"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_row_order_doesnt_matter(estimator: str) -> None:
    frame = simulate()
    shuffled = frame.sample(frac=1, random_state=1)
    first = estimate(frame, estimator=estimator, **COLUMNS)
    second = estimate(shuffled, estimator=estimator, **COLUMNS)
    assert second.estimate == pytest.approx(first.estimate, rel=1e-8)
    assert second.std_error == pytest.approx(first.std_error, rel=1e-8)


@pytest.mark.parametrize("estimator", [*ESTIMATORS, "aipw"])
def test_units_of_covariates_and_outcome(estimator: str) -> None:
    frame = simulate()
    other = frame.assign(a=frame["a"] * 1e6 + 5e6, y=3 * frame["y"] + 100)
    first = estimate(frame, estimator=estimator, **COLUMNS)
    second = estimate(other, estimator=estimator, **COLUMNS)
    assert second.estimate == pytest.approx(3 * first.estimate, rel=1e-6)
    assert second.std_error == pytest.approx(3 * first.std_error, rel=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_swapping_the_arms_flips_the_sign(estimator: str) -> None:
    frame = simulate()
    swapped = frame.assign(d=1 - frame["d"])
    for estimand, mirror in (("ate", "ate"), ("att", "atc")):
        first = estimate(frame, estimator=estimator, estimand=estimand, **COLUMNS)
        second = estimate(swapped, estimator=estimator, estimand=mirror, **COLUMNS)
        assert second.estimate == pytest.approx(-first.estimate, rel=1e-8)
        assert second.std_error == pytest.approx(first.std_error, rel=1e-8)


def test_overlap_weights_balance_means_exactly() -> None:
    # Li, Morgan and Zaslavsky (2018), theorem 3: a property of the logit's likelihood equations.
    answer = estimate(simulate(), estimator="ipw", estimand="ato", **COLUMNS)
    assert np.abs(answer.tables["balance"]["smd_after"]).max() < 1e-8


def test_regression_weights_reproduce_the_estimate() -> None:
    frame = simulate()
    answer = estimate(frame, estimator="regression", estimand="att", **COLUMNS)
    treated, weights = answer.rows.treated, answer.rows.weights
    gap = (weights * np.where(treated == 1, 1, -1)) @ frame["y"]
    assert gap == pytest.approx(answer.estimate, rel=1e-8)
    assert np.abs(answer.tables["balance"]["smd_after"]).max() < 1e-8


def test_jobs_and_seed() -> None:
    frame = simulate(500)
    options = {"estimator": "ipw", "inference": "bootstrap", "replicates": 60, **COLUMNS}
    one = estimate(frame, seed=5, **options)
    two = estimate(frame, seed=5, jobs=2, **options)
    other = estimate(frame, seed=6, **options)
    assert one.std_error == two.std_error
    assert one.std_error != other.std_error


def test_bootstrap_agrees_with_the_formula() -> None:
    frame = simulate(3000)
    for estimator in ("ipw", "regression", "aipw", "entropy-balancing"):
        formula = estimate(frame, estimator=estimator, **COLUMNS)
        drawn = estimate(
            frame, estimator=estimator, inference="bootstrap", replicates=400, **COLUMNS
        )
        # A standard error from 400 draws is itself known to 1 / sqrt(800) = 3.5%; 4 of those.
        assert drawn.std_error == pytest.approx(formula.std_error, rel=0.15)
        assert drawn.estimate == formula.estimate


def test_clusters_of_one_row_are_rows() -> None:
    frame = simulate().assign(c=np.arange(2000))
    rows = estimate(frame, estimator="ipw", **COLUMNS)
    clusters = estimate(frame, estimator="ipw", cluster="c", **COLUMNS)
    assert clusters.std_error == pytest.approx(rows.std_error * np.sqrt(2000 / 1999), rel=1e-10)


def test_copied_rows_need_their_cluster() -> None:
    frame = simulate().assign(c=np.arange(2000))
    copied = frame.loc[np.repeat(frame.index, 4)]
    truth = estimate(frame, estimator="ipw", **COLUMNS)
    blind = estimate(copied, estimator="ipw", **COLUMNS)
    aware = estimate(copied, estimator="ipw", cluster="c", **COLUMNS)
    assert blind.std_error == pytest.approx(truth.std_error / 2, rel=1e-6)
    assert aware.std_error == pytest.approx(truth.std_error, rel=1e-3)


def test_input_is_left_alone() -> None:
    frame = simulate(300)
    before = frame.copy()
    estimate(frame, **COLUMNS)
    assert frame.equals(before)
