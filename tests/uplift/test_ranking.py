"""Ranking metrics: by hand, against slow definitions, and their invariances."""

from typing import Any

import numpy as np
import pytest
from noholdout_uplift import rank_metrics, top_weights
from noholdout_uplift.kernels.curves import gain_curve, toc_curve
from noholdout_uplift.kernels.ranking import harmonic_sums, metric_values, rank
from noholdout_uplift.scored import Drawn
from uplift.simulated import slow_metrics, weighted_metrics

NAMES = ("ate", "autoc", "qini", "auuc")


def as_dict(metrics: object) -> dict[str, float]:
    return {name: getattr(metrics, name) for name in NAMES}


def test_by_hand_without_ties() -> None:
    # Best first the scores are 4, 3, 2, 1 with effects 8, 2, 0, -2. ATE = 8 / 4 = 2.
    # Means of the top i: 8, 5, 10/3, 2. TOC: 6, 3, 4/3, 0.
    # AUTOC = (6 + 3 + 4/3) / 4 = 31/12. Qini = (1/4*6 + 2/4*3 + 3/4*4/3) / 4 = 4/4 = 1.
    # Gain: 8/4, 10/4, 10/4, 8/4; AUUC = 9/4 = Qini + 5/8 * 2.
    found = rank_metrics(np.array([2.0, 4, 1, 3]), np.array([0.0, 8, -2, 2]))
    assert found.ate == pytest.approx(2)
    assert found.autoc == pytest.approx(31 / 12)
    assert found.qini == pytest.approx(1)
    assert found.auuc == pytest.approx(9 / 4)


def test_by_hand_with_ties() -> None:
    # The first two rows are tied with effects 8 and 2, in either order; 5 each on average.
    # Means of the top i: 5, 5, 10/3, 2. TOC: 3, 3, 4/3, 0. AUTOC = 22/12; Qini = 13/16.
    # (1/4*3 + 2/4*3 + 3/4*4/3) / 4 = (0.75 + 1.5 + 1) / 4 = 0.8125.
    found = rank_metrics(np.array([4.0, 4, 2, 1]), np.array([8.0, 2, 0, -2]))
    assert found.autoc == pytest.approx(22 / 12)
    assert found.qini == pytest.approx(0.8125)


def test_a_tie_is_the_average_over_both_orders() -> None:
    gamma = np.array([8.0, 2, 0, -2])
    one = rank_metrics(np.array([4.0, 3.9, 2, 1]), gamma)
    other = rank_metrics(np.array([3.9, 4.0, 2, 1]), gamma)
    tied = rank_metrics(np.array([4.0, 4.0, 2, 1]), gamma)
    for name in NAMES:
        mean = (getattr(one, name) + getattr(other, name)) / 2
        assert getattr(tied, name) == pytest.approx(mean, abs=1e-14)


@pytest.mark.parametrize("levels", [1, 3, 40, 10**9])
def test_agrees_with_the_slow_definitions(levels: int) -> None:
    rng = np.random.default_rng(levels)
    score = rng.integers(0, levels, 200).astype(float)
    gamma = rng.normal(size=200)
    found = as_dict(rank_metrics(score, gamma))
    for name, value in slow_metrics(score, gamma).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("levels", [4, 10**9])
def test_the_order_of_rows_does_not_matter(levels: int) -> None:
    rng = np.random.default_rng(5)
    score, gamma = rng.integers(0, levels, 1000).astype(float), rng.normal(size=1000)
    shuffled = rng.permutation(1000)
    one = rank_metrics(score, gamma)
    other = rank_metrics(score[shuffled], gamma[shuffled])
    for name in NAMES:
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-14)
    np.testing.assert_allclose(one.psi[shuffled], other.psi, atol=1e-12)


def test_only_the_order_of_scores_matters_and_reversing_it_does() -> None:
    rng = np.random.default_rng(6)
    score, gamma = rng.normal(size=300), rng.normal(size=300)
    one = rank_metrics(score, gamma)
    assert rank_metrics(np.exp(score), gamma).autoc == pytest.approx(one.autoc, abs=1e-14)
    # Reversed, what the last i rows hold stands first: the Qini area changes its sign up to the
    # single step 1/n of the discrete curve; AUTOC has no such symmetry.
    reversed_ = rank_metrics(-score, gamma)
    assert reversed_.qini == pytest.approx(-one.qini, abs=3 * np.abs(gamma).max() / 300)
    assert abs(reversed_.autoc + one.autoc) > 1e-3


@pytest.mark.parametrize("levels", [5, 10**9])
def test_a_weight_of_two_equals_two_rows(levels: int) -> None:
    rng = np.random.default_rng(7)
    score, gamma = rng.integers(0, levels, 60).astype(float), rng.normal(size=60)
    times = rng.integers(0, 4, 60)
    weighted = rank_metrics(score, gamma, times.astype(float))
    repeated = rank_metrics(np.repeat(score, times), np.repeat(gamma, times))
    for name in NAMES:
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), abs=1e-12)


def test_influence_values_are_the_derivatives_with_respect_to_weights() -> None:
    rng = np.random.default_rng(8)
    n, step = 40, 1e-5
    score, gamma = rng.normal(size=n), rng.normal(size=n)
    psi = rank_metrics(score, gamma).psi
    for i in range(n):
        up, down = np.ones(n), np.ones(n)
        up[i] += step
        down[i] -= step
        slope = weighted_metrics(score, gamma, up) - weighted_metrics(score, gamma, down)
        # The central difference errs by about step^2 times the third derivative.
        np.testing.assert_allclose(psi[i], n * slope / (2 * step), atol=1e-7)


def test_influence_values_sum_to_zero() -> None:
    rng = np.random.default_rng(9)
    for levels in (3, 10**9):
        score, gamma = rng.integers(0, levels, 500).astype(float), rng.normal(size=500)
        np.testing.assert_allclose(rank_metrics(score, gamma).psi.mean(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("levels", [6, 10**9])
def test_influence_standard_errors_agree_with_the_jackknife(levels: int) -> None:
    rng = np.random.default_rng(10)
    n = 400
    score = rng.integers(0, levels, n).astype(float)
    gamma = rng.normal(size=n) + (score - score.mean()) / score.std()
    full = rank_metrics(score, gamma)
    left_out = np.array(
        [
            [getattr(rank_metrics(np.delete(score, i), np.delete(gamma, i)), m) for m in NAMES]
            for i in range(n)
        ]
    )
    jackknife = np.sqrt((n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    influence = np.sqrt((full.psi**2).sum(axis=0)) / n
    # They differ by terms of order log(n)/n = 1.5%, most for AUTOC, whose first rows weigh most.
    np.testing.assert_allclose(influence, jackknife, rtol=0.03)


def test_top_weights_share_the_edge_among_ties() -> None:
    # 5 rows, top 40% = 2 rows: one is alone on top, three are tied at the edge for one place.
    chosen = top_weights(np.array([9.0, 5, 5, 5, 1]), 0.4)
    np.testing.assert_allclose(chosen, [1, 1 / 3, 1 / 3, 1 / 3, 0])


@pytest.mark.parametrize("fraction", [0.0, 0.1, 1 / 3, 0.999, 1.0])
def test_top_weights_fill_the_fraction_exactly(fraction: float) -> None:
    rng = np.random.default_rng(11)
    for levels in (1, 4, 10**9):
        score, weight = rng.integers(0, levels, 77).astype(float), rng.random(77)
        assert top_weights(score, fraction).sum() == pytest.approx(77 * fraction)
        with_weights = top_weights(score, fraction, weight)
        assert with_weights @ weight == pytest.approx(fraction * weight.sum())


def test_the_gain_curve_at_its_points() -> None:
    rng = np.random.default_rng(12)
    score, gamma = rng.integers(0, 9, 120).astype(float), rng.normal(size=120)
    fractions = np.linspace(0, 1, 21)
    curve = gain_curve(rank(score), gamma, fractions)
    slow = [top_weights(score, u) @ gamma / 120 for u in fractions]
    np.testing.assert_allclose(curve.value, slow, atol=1e-13)
    assert curve.covariance[-1, -1] == pytest.approx(gamma.var() / 120)


@pytest.mark.parametrize("curve_of", [gain_curve, toc_curve])
def test_clusters_of_one_row_give_the_covariance_of_independent_rows(curve_of: Any) -> None:
    rng = np.random.default_rng(13)
    score, gamma = rng.normal(size=200), rng.normal(size=200)
    fractions = np.linspace(0, 1, 11)[1:]
    rows = curve_of(rank(score), gamma, fractions).covariance
    single = curve_of(rank(score), gamma, fractions, Drawn(rng.permutation(200))).covariance
    np.testing.assert_allclose(single, rows * 200 / 199, atol=1e-15)
    pairs = curve_of(rank(score), gamma, fractions, Drawn(np.arange(200) // 2)).covariance
    assert not np.allclose(pairs, single)


@pytest.mark.parametrize("levels", [7, 10**9])
def test_the_covariance_is_that_of_the_influence_values(levels: int) -> None:
    rng = np.random.default_rng(16)
    n = 300
    score, gamma = rng.integers(0, levels, n).astype(float), rng.normal(size=n)
    weight = rng.integers(1, 4, n).astype(float)
    fractions = np.linspace(0, 1, 11)[1:]
    ranking = rank(score, weight)
    total = weight.sum()
    # A tied group counts where its middle is.
    middle = np.empty(n)
    middle[ranking.order] = ((np.cumsum(ranking.group_weight) - ranking.group_weight / 2) / total)[
        ranking.group
    ]
    gains, tocs = [], []
    average = weight @ gamma / total
    for u, gain in zip(fractions, gain_curve(ranking, gamma, fractions).value, strict=True):
        inside = middle <= u
        gains.append(weight * inside * (gamma - gain / u))
        tocs.append(gains[-1] / u - weight * (gamma - average))
    for curve, psi in ((gain_curve, gains), (toc_curve, tocs)):
        slow = np.array(psi) @ np.array(psi).T / total**2
        fast = curve(ranking, gamma, fractions).covariance
        np.testing.assert_allclose(fast, slow, atol=1e-15)


def test_harmonic_sums_continue_to_fractions() -> None:
    start, end = np.array([0.0, 3.0, 10.0]), np.array([1.0, 7.0, 10.0])
    np.testing.assert_allclose(harmonic_sums(start, end), [1, 1 / 4 + 1 / 5 + 1 / 6 + 1 / 7, 0])
    squared = harmonic_sums(start, end, squared=True)
    np.testing.assert_allclose(squared, [1, sum(i**-2 for i in range(4, 8)), 0])
    # Between whole numbers the continuation of the harmonic numbers: 1/1.5 + 1/2.5 from 0.5 to 2.5.
    half = np.array([0.0, 0.5]), np.array([0.5, 2.5])
    assert harmonic_sums(*half)[1] == pytest.approx(1 / 1.5 + 1 / 2.5)
    assert harmonic_sums(*half, squared=True)[1] == pytest.approx(1 / 1.5**2 + 1 / 2.5**2)
    assert metric_values(rank(np.ones(2)), np.array([1.0, 3.0]))[0] == 2


def test_the_toc_at_its_points_and_its_variance() -> None:
    rng = np.random.default_rng(14)
    score, gamma = rng.normal(size=400), rng.normal(size=400)
    fractions = np.linspace(0, 1, 21)[1:]
    curve = toc_curve(rank(score), gamma, fractions)
    variances = np.diag(curve.covariance)
    for u, value, variance in zip(fractions, curve.value, variances, strict=True):
        top = top_weights(score, u)
        assert value == pytest.approx(top @ gamma / top.sum() - gamma.mean(), abs=1e-12)
        psi = top / u * (gamma - top @ gamma / top.sum()) - (gamma - gamma.mean())
        assert variance == pytest.approx((psi**2).sum() / 400**2, rel=1e-9, abs=1e-15)


def test_the_short_way_without_ties_is_the_long_one() -> None:
    rng = np.random.default_rng(15)
    score, gamma = rng.normal(size=300), rng.normal(size=300)
    short = rank_metrics(score, gamma)
    # A row of weight zero changes nothing but sends the rows the long way.
    long = rank_metrics(np.append(score, 9.0), np.append(gamma, 5.0), np.append(np.ones(300), 0.0))
    for name in NAMES:
        assert getattr(short, name) == pytest.approx(getattr(long, name), abs=1e-13)
    np.testing.assert_allclose(short.psi, long.psi[:300], atol=1e-11)
