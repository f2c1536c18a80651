"""Intervals, influence-function standard errors and the smallest effect, against other sources."""

import math

import numpy as np
import pytest
from noholdout_shared.errors import DesignError
from noholdout_shared.inference import (
    cluster_sums,
    influence_std_error,
    interval,
    not_worse_p,
    require_clusters,
    smallest_effect,
)
from scipy import stats


@pytest.mark.parametrize("df", [math.inf, 7.0])
def test_interval_agrees_with_scipy(df: float) -> None:
    law = stats.norm if math.isinf(df) else stats.t(df)
    got = interval(2.0, 0.8, 0.9, df)
    assert (got.conf_low, got.conf_high) == pytest.approx(
        (2 - law.ppf(0.95) * 0.8, 2 + law.ppf(0.95) * 0.8)
    )
    assert got.p_value == pytest.approx(2 * law.sf(2.5))


@pytest.mark.parametrize("std_error", [0.0, math.nan])
def test_an_undefined_standard_error_is_nan_never_zero(std_error: float) -> None:
    got = interval(2.0, std_error, 0.95)
    assert all(math.isnan(v) for v in (got.std_error, got.conf_low, got.conf_high, got.p_value))
    assert math.isnan(smallest_effect(std_error, 0.95))
    assert math.isnan(not_worse_p(1.0, std_error, 0.5))


def test_influence_values_of_a_mean_give_the_textbook_errors() -> None:
    y = np.array([1.0, 2.0, 4.0, 9.0])
    # deviations -3 -2 0 5: sum of squares 38, root over n = 4
    assert influence_std_error(y - y.mean()) == pytest.approx(math.sqrt(38) / 4)
    # two clusters: sums -5 and 5, squares 50, times 2/(2-1), root over 4
    assert influence_std_error(y - y.mean(), np.array([0, 0, 1, 1])) == pytest.approx(10 / 4)
    assert math.isnan(influence_std_error(y, np.zeros(4, dtype=int)))


def test_cluster_sums_take_vectors_and_matrices() -> None:
    codes = np.array([1, 0, 1])
    assert cluster_sums(np.array([1.0, 2.0, 3.0]), codes).tolist() == [2, 4]
    assert cluster_sums(np.array([[1.0, 1], [2, 2], [3, 3]]), codes).tolist() == [[2, 2], [4, 4]]


def test_smallest_effect_has_eighty_percent_power() -> None:
    effect = smallest_effect(1.0, 0.95)
    assert effect == pytest.approx(1.959964 + 0.841621, abs=1e-6)
    draws = np.random.default_rng(0).normal(effect, 1.0, 100_000)
    # Monte Carlo error of a share of 0.8 in 100,000 draws: 0.0013
    assert np.mean(np.abs(draws) > 1.959964) == pytest.approx(0.80, abs=0.005)


def test_margin_question_is_the_one_sided_test() -> None:
    assert not_worse_p(0.0, 1.0, 1.644854) == pytest.approx(0.05, abs=1e-6)
    assert not_worse_p(-5.0, 1.0, 1.0) > 0.99


def test_one_cluster_is_a_design_error() -> None:
    with pytest.raises(DesignError, match="holds 1 cluster\\."):
        require_clusters(1, "workspace_id")
