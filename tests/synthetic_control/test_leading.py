"""Twins to which nothing is left of what units share, and the watch that rests on them."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_synthetic_control import monitor
from noholdout_synthetic_control.kernels.leading import hard_threshold, leading_movements
from noholdout_synthetic_control.watch import twin_gaps
from synthetic_control.worlds import COLUMNS, panel_frame


def turning(seed: int, units: int = 24, periods: int = 160, shared: float = 2.0) -> np.ndarray:
    """A slow shared movement, followed four times as strongly by the first unit, that turns far
    from the 91st period on; noise of variance one."""
    rng = np.random.default_rng(seed)
    path = np.cumsum(rng.normal(0, 0.1, periods))
    path[90:] += np.linspace(0, 3, periods - 90)
    loadings = rng.uniform(-shared, shared, units)
    loadings[0] = 4 * shared
    return np.outer(loadings, path) + rng.normal(0, 1, (units, periods))


def test_the_threshold_is_the_published_one() -> None:
    """4 / sqrt(3) for square matrices, and sqrt(2) as one side grows without end."""
    assert hard_threshold(1.0) == pytest.approx(4 / np.sqrt(3))
    assert hard_threshold(0.0) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("shared, count", [(0.0, 0), (5.0, 2)])
def test_how_many_movements_are_shared(shared: float, count: int) -> None:
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        paths = rng.normal(0, shared, (40, 2)) @ rng.normal(size=(2, 20))
        features = paths + rng.normal(size=(40, 20))
        leading = leading_movements(features - features.mean(axis=1, keepdims=True))
        found.append(leading.sizes.size)
    assert np.median(found) == count
    assert np.mean(np.array(found) == count) >= 0.9


def test_nothing_of_them_is_left() -> None:
    rng = np.random.default_rng(1)
    features = np.outer(rng.normal(0, 5, 30), rng.normal(size=12)) + rng.normal(size=(30, 12))
    features -= features.mean(axis=1, keepdims=True)
    own, others = 3 * features[0], features[1:]
    leading = leading_movements(others)
    weights = np.full(29, 1 / 29)
    full = leading.completed(weights, own - weights @ others)
    assert full.sum() == pytest.approx(1)
    missed = own - full @ others
    np.testing.assert_allclose(missed @ leading.directions, 0, atol=1e-9)
    # Of all weights that leave nothing and sum to one, no others lie nearer to those given:
    # what was added is a mix of the scores and no more.
    added = full - weights
    np.testing.assert_allclose(
        leading.scores @ (leading.scores.T @ added), added, rtol=0, atol=1e-12
    )


def test_a_strong_mover_is_followed_where_it_turns() -> None:
    outcomes = turning(1)
    found = twin_gaps(outcomes, 90, np.ones(24), np.ones(24, dtype=bool), 7)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1)
    # On the simplex it would be followed a quarter of the way at most: 8 * 3 / 4 short at the end.
    assert abs(found.gaps[0, -20:].mean()) < 4
    assert found.loading[0] < 4


def test_a_shared_movement_that_turns_names_nobody() -> None:
    named = 0
    for seed in range(12):
        found = monitor(panel_frame(turning(seed)), **COLUMNS, since=90)
        named += not found.departures.empty
    assert named <= 2
