"""The generator's helpers on arrays, and that a block's first users don't hang on the others."""

import numpy as np
import pytest
from noholdout_data_generator.arrays import last_start
from noholdout_data_generator.scenarios import choose
from noholdout_data_generator.users import draw_block
from noholdout_data_generator.world import draw_world


def test_last_start_is_binary_search() -> None:
    starts = np.sort(np.random.default_rng(1).random(40))
    values = np.concatenate((starts, np.nextafter(starts, 1), [starts[-1] + 5]))
    places = np.searchsorted(starts, values, "right") - 1
    for behind in (0, 1, 3, 40):
        found = last_start(starts, values, np.maximum(places - behind, 0))
        np.testing.assert_array_equal(found, places)


@pytest.mark.parametrize("scenario", ["clean", "rdd-overrides", "propensity-hidden-confounder"])
def test_the_first_users_of_a_block_are_the_same_however_many_are_drawn(scenario: str) -> None:
    knobs = choose(scenario, 2.0).users
    world = draw_world(5, knobs)
    whole, first = draw_block(5, 1, world, knobs), draw_block(5, 1, world, knobs, 321)
    assert first.frame.equals(whole.frame.head(321))
    np.testing.assert_array_equal(first.effects.base, whole.effects.base[:321])
    np.testing.assert_array_equal(first.opt_in_probability, whole.opt_in_probability[:321])
