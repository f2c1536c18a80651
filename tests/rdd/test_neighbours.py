"""Neighbours kept from the whole side, or shared between values, are those found anew."""

import numpy as np
import pytest
from noholdout_rdd.kernels.local import _well_conditioned
from noholdout_rdd.kernels.side import Side

RNG = np.random.default_rng(11)


def _side(steps: int | None, *, summed: bool) -> Side:
    """300 rows without a tie (``steps`` None), or on a grid; summed: one entry a score."""
    distance = np.sort(RNG.random(300))
    if steps is not None:
        distance = np.round(distance * steps) / steps
    if summed:
        distance = np.unique(distance)
    values = RNG.normal(size=(1 if summed else 2, distance.size))
    if not summed:
        return Side(distance, values)
    count = RNG.integers(1, 6, distance.size)
    return Side(distance, values, None, None, count, np.where(count > 1, 0.7, 0.0))


CASES = [(None, False), (400, False), (25, False), (None, True), (25, True)]


@pytest.mark.parametrize(("steps", "summed"), CASES)
@pytest.mark.parametrize("k", [1, 2, 7, 12])
def test_parts_keep_the_neighbours_that_matching_anew_finds(
    steps: int | None, summed: bool, k: int
) -> None:
    side = _side(steps, summed=summed)
    # Rows of one score are never torn apart by a cut at a distance.
    k = int(np.searchsorted(side.distance, side.distance[k * side.n // 15]))
    at = side.distance[k]
    for part in (side.beyond(k), side.mirrored(k, at - side.distance[:k][::-1])):
        anew = Side(part.distance, part.values, None, None, part.count, part.spread)
        np.testing.assert_array_equal(part.neighbours.matched.first, anew.neighbours.matched.first)
        np.testing.assert_array_equal(part.neighbours.matched.stop, anew.neighbours.matched.stop)
        np.testing.assert_array_equal(part.noise(part.n // 2), anew.noise(anew.n // 2))


@pytest.mark.parametrize(("steps", "summed"), CASES)
def test_sides_with_other_values_share_neighbours(steps: int | None, summed: bool) -> None:
    side = _side(steps, summed=summed)
    side.noise(side.n // 3)
    values = RNG.normal(size=(1, side.n))
    shared = side.with_values(values, side.spread)
    anew = Side(side.distance, values, None, None, side.count, side.spread)
    assert shared.matched is side.matched
    for n in (side.n, side.n // 3):
        np.testing.assert_array_equal(shared.noise(n), anew.noise(n))


def test_the_cheap_bound_decides_as_the_condition_number_does() -> None:
    turn, _ = np.linalg.qr(RNG.normal(size=(4, 4)))
    for exponent in np.arange(8.0, 17.0, 0.25):
        gram = turn @ np.diag([1.0, 0.5, 0.1, 10**-exponent]) @ turn.T
        tame = np.linalg.cond(gram) <= 1e14
        assert (_well_conditioned(gram) is not None) == tame
    assert _well_conditioned(np.zeros((2, 2))) is None
