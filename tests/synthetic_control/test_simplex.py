"""The exact solver: optimality conditions, a brute-force second answer, and SLSQP."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from noholdout_synthetic_control.kernels import fits
from noholdout_synthetic_control.kernels.fits import classic_problem, demeaned_problem, refit
from noholdout_synthetic_control.kernels.simplex import (
    exact_weights,
    optimality_gap,
    slsqp_weights,
    weights_of_many,
)


def gram(seed: int, donors: int, periods: int, ridge: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(donors + 1, 3))
    paths = loadings @ rng.normal(size=(3, periods)) + 0.5 * rng.normal(size=(donors + 1, periods))
    distance = paths[1:] - paths[0]
    return distance @ distance.T + ridge * np.eye(donors)


def best_by_enumeration(matrix: np.ndarray) -> float:
    """The smallest objective over all supports: each support's equality-constrained optimum."""
    size = matrix.shape[0]
    best = np.inf
    for count in range(1, size + 1):
        for chosen in itertools.combinations(range(size), count):
            part = matrix[np.ix_(chosen, chosen)]
            bordered = np.block(
                [[part, np.ones((count, 1))], [np.ones((1, count)), np.zeros((1, 1))]]
            )
            try:
                weights = np.linalg.solve(bordered, np.append(np.zeros(count), 1.0))[:count]
            except np.linalg.LinAlgError:
                continue
            if weights.min() >= -1e-12:
                best = min(best, float(weights @ part @ weights))
    return best


@pytest.mark.parametrize("donors, periods", [(3, 5), (6, 4), (8, 20), (8, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_no_support_does_better(donors: int, periods: int, seed: int) -> None:
    matrix = gram(seed, donors, periods)
    weights = exact_weights(matrix).weights
    assert float(weights @ matrix @ weights) == pytest.approx(
        best_by_enumeration(matrix), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize(
    "donors, periods, ridge",
    [(38, 19, 0.0), (200, 150, 0.0), (200, 30, 0.0), (200, 150, 50.0), (60, 10, 1000.0)],
)
def test_optimality_conditions_hold(donors: int, periods: int, ridge: float) -> None:
    matrix = gram(7, donors, periods, ridge)
    fit = exact_weights(matrix)
    weights, gradient = fit.weights, matrix @ fit.weights / np.diagonal(matrix).max()
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    multiplier = weights @ gradient
    # Stationarity on the support, no descent off it (Karush, Kuhn and Tucker).
    assert np.abs(gradient[weights > 0] - multiplier).max() < 1e-8
    assert gradient.min() > multiplier - 1e-8
    assert fit.optimality_gap < 1e-8


@pytest.mark.parametrize("ridge", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_guess_changes_the_time_only(ridge: float, seed: int) -> None:
    matrix = gram(seed, 40, 25, ridge)
    rng = np.random.default_rng(seed)
    plain = exact_weights(matrix).weights
    for guess in (np.ones(40, bool), rng.random(40) < 0.3, np.zeros(40, bool)):
        np.testing.assert_allclose(exact_weights(matrix, guess).weights, plain, atol=1e-10)


def test_slsqp_finds_the_same_weights() -> None:
    for seed in range(4):
        matrix = gram(seed, 15, 30, 0.5)
        exact, slow = exact_weights(matrix), slsqp_weights(matrix)
        # SLSQP stops where the objective is flat to ~1e-14, so weights agree to its square root.
        np.testing.assert_allclose(slow.weights, exact.weights, atol=1e-5)
        assert optimality_gap(matrix, exact.weights) <= slow.optimality_gap + 1e-12


def test_a_target_inside_the_hull_is_hit_exactly() -> None:
    points = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    distance = points - np.array([0.5, 0.5])
    fit = exact_weights(distance @ distance.T)
    np.testing.assert_allclose(fit.weights @ points, [0.5, 0.5], atol=1e-9)


def test_duplicates_and_degenerate_inputs() -> None:
    assert exact_weights(np.array([[4.0]])).weights == pytest.approx([1.0])
    np.testing.assert_allclose(exact_weights(np.zeros((3, 3))).weights, 1 / 3)
    rng = np.random.default_rng(0)
    one = rng.normal(size=(5, 4))
    twice = np.vstack([one, one])  # every donor twice: the system is singular
    matrix = twice @ twice.T
    fit = exact_weights(matrix)
    assert fit.optimality_gap < 1e-10
    single = exact_weights(one @ one.T)
    joined = fit.weights[:5] + fit.weights[5:]
    np.testing.assert_allclose(joined, single.weights, atol=1e-8)


@pytest.mark.parametrize("ridge", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("donors", [1, 4, 30])
def test_many_problems_together_have_each_ones_optimum(ridge: float, donors: int) -> None:
    matrix = gram(3, donors, 25)
    rng = np.random.default_rng(donors)
    penalties = ridge * rng.uniform(0.2, 1.0, (60, donors))
    left_out = rng.random((60, donors)) < 0.3
    left_out[left_out.all(axis=1), 0] = False
    for guess in (np.ones(donors, bool), rng.random(donors) < 0.2):
        found = weights_of_many(matrix, penalties, left_out, guess)
        assert (found[left_out] == 0).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
        for row in range(60):
            kept = np.flatnonzero(~left_out[row])
            alone = matrix[np.ix_(kept, kept)] + np.diag(penalties[row, kept])
            assert optimality_gap(alone, found[row, kept]) < 1e-10
            np.testing.assert_allclose(
                found[row, kept], exact_weights(alone).weights, rtol=0, atol=1e-10
            )


@pytest.mark.parametrize("steps", [0, 1])
def test_problems_that_do_not_settle_together_are_solved_alone(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, penalties = gram(3, 12, 25), np.full((9, 12), 0.5)
    left_out = np.eye(9, 12, dtype=bool)
    whole = weights_of_many(matrix, penalties, left_out, np.ones(12, bool))
    monkeypatch.setattr("noholdout_synthetic_control.kernels.simplex.PIVOT_STEPS", steps)
    alone = weights_of_many(matrix, penalties, left_out, np.ones(12, bool))
    np.testing.assert_allclose(alone, whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("estimator, periods", [("demeaned", 40), ("classic", 40), ("classic", 6)])
def test_resamples_together_are_the_fits_one_by_one(
    estimator: str, periods: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six periods for twelve donors: several weights fit as well, so each is fitted alone."""
    rng = np.random.default_rng(8)
    outcomes = rng.normal(size=(13, 2)) @ rng.normal(size=(2, periods + 9))
    outcomes += rng.normal(0, 0.5, outcomes.shape)
    if estimator == "classic":
        problem = classic_problem(outcomes, periods)
    else:
        problem = demeaned_problem(outcomes, periods, np.full(13, 0.25), 4)
    target, donors = np.eye(13)[0], np.arange(1, 13)
    fit = problem.fit(target, donors)
    copies = rng.multinomial(12, np.full(12, 1 / 12), size=50)
    together = problem.refit_weights(target, donors, copies, fit.weights > 0)
    assert (together is None) == (periods == 6)
    monkeypatch.setattr(fits, "AT_ONCE", 1000)  # in several parts
    effects, gaps = refit(problem, fit, target, donors, copies)
    for row, drawn in enumerate(copies):
        kept = np.flatnonzero(drawn)
        alone = problem.fit(target, donors[kept], drawn[kept])
        assert effects[row] == pytest.approx(alone.effect, abs=1e-10)
        np.testing.assert_allclose(gaps[row], alone.gap, rtol=0, atol=1e-10)
