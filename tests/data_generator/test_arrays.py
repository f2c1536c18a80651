"""The generator's helpers on arrays, and that a block's first users don't hang on the others."""

import numpy as np
import pytest
from noholdout_data_generator.arrays import first_beyond
from noholdout_data_generator.scenarios import choose
from noholdout_data_generator.users import draw_block
from noholdout_data_generator.world import draw_world


def test_first_beyond_is_binary_search() -> None:
    inner = np.sort(np.random.default_rng(1).random(40))
    ends = np.append(inner, np.inf)
    values = np.concatenate((inner, np.nextafter(inner, 1), np.nextafter(inner, 0), [5.0]))
    places = np.searchsorted(ends, values, "right")
    for behind in (0, 1, 3, 40):
        found = first_beyond(ends, values, np.maximum(places - behind, 0))
        np.testing.assert_array_equal(found, places)


@pytest.mark.parametrize("scenario", ["clean", "rdd-overrides", "propensity-hidden-confounder"])
def test_the_first_users_of_a_block_are_the_same_however_many_are_drawn(scenario: str) -> None:
    knobs = choose(scenario, 2.0).users
    world = draw_world(5, knobs)
    whole, first = draw_block(5, 1, world, knobs), draw_block(5, 1, world, knobs, 321)
    assert first.frame.equals(whole.frame.head(321))
    np.testing.assert_array_equal(first.effects.base, whole.effects.base[:321])
    np.testing.assert_array_equal(first.opt_in_probability, whole.opt_in_probability[:321])
