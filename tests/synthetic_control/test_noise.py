"""What units do by themselves: found beside what they share, and what it does to the weights."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_synthetic_control.kernels.fits import demeaned_problem
from noholdout_synthetic_control.kernels.noise import marchenko_pastur_median, own_movement


def demeaned(seed: int, units: int, blocks: int, shared: float) -> np.ndarray:
    """Noise of variance one, beside two shared factors, each unit's mean taken off."""
    rng = np.random.default_rng(seed)
    paths = rng.normal(0, shared, (units, 2)) @ rng.normal(size=(2, blocks))
    features = paths + rng.normal(size=(units, blocks))
    return np.asarray(features - features.mean(axis=1, keepdims=True))


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0])
def test_the_median_of_pure_noise_is_the_laws(ratio: float) -> None:
    """400 columns are near the limit; at 1, Gavish and Donoho's table has 0.6528."""
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(20, round(400 * ratio), 400))
    squares = np.linalg.svd(draws, compute_uv=False) ** 2
    assert marchenko_pastur_median(ratio) == pytest.approx(np.median(squares) / 400, rel=0.02)
    assert marchenko_pastur_median(1.0) == pytest.approx(0.6528, abs=1e-3)


@pytest.mark.parametrize("shared", [0.0, 10.0])
@pytest.mark.parametrize("units, blocks", [(50, 12), (12, 50), (30, 30)])
def test_what_units_share_is_not_their_own(units: int, blocks: int, shared: float) -> None:
    found = [own_movement(demeaned(seed, units, blocks, shared)) for seed in range(60)]
    # Two of the eleven or more singular values are the factors': the median moves a little.
    assert np.mean(found) == pytest.approx(1, abs=0.06 if shared == 0 else 0.3)


def test_few_units_or_blocks_say_nothing() -> None:
    assert own_movement(demeaned(1, 5, 30, 0.0)) == 0
    assert own_movement(demeaned(1, 30, 5, 0.0)) == 0
    assert own_movement(demeaned(1, 30, 6, 0.0)) > 0


def test_where_units_wander_weights_stay_near_equal_ones() -> None:
    """Autoregressions of 0.9, no factor: equal weights are best, and a twin can only fit luck."""
    target, donors = np.zeros(30), np.arange(20, 30)
    target[:20] = 1 / 20
    unequal, errors = np.empty((2, 20)), np.empty((2, 20))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        steps = rng.normal(0, 0.44, (30, 110))
        for t in range(1, 110):
            steps[:, t] += 0.9 * steps[:, t - 1]
        outcomes = steps + rng.normal(0, 0.3, steps.shape)
        for row, wanders in enumerate((False, True)):
            problem = demeaned_problem(outcomes, 84, np.full(30, 0.09), 7, wanders=wanders)
            fit = problem.fit(target, donors)
            unequal[row, seed] = float(fit.weights @ fit.weights) - 0.1
            errors[row, seed] = fit.effect
    assert unequal[1].mean() < 0.4 * unequal[0].mean()
    assert (errors[1] ** 2).mean() < 0.9 * (errors[0] ** 2).mean()


def test_no_wander_beyond_the_noise_changes_nothing() -> None:
    outcomes = np.random.default_rng(4).normal(size=(30, 110))
    noise = np.full(30, 2.0)
    before, after = (
        demeaned_problem(outcomes, 84, noise, 7, wanders=wanders) for wanders in (False, True)
    )
    np.testing.assert_array_equal(before.ridge, after.ridge)
