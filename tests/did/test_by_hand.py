"""Eight rows, and the arithmetic in comments."""

import numpy as np
import pandas as pd
import pytest
from noholdout_did import estimate

# Two periods, two treated units (launch in period 2), two never treated.
EIGHT = pd.DataFrame(
    {
        "unit": ["a", "a", "b", "b", "c", "c", "d", "d"],
        "t": [1, 2, 1, 2, 1, 2, 1, 2],
        "g": [2, 2, 2, 2, None, None, None, None],
        "y": [1.0, 6.0, 3.0, 6.0, 2.0, 3.0, 4.0, 7.0],
    }
)
# changes: a 5, b 3 -> mean 4; c 1, d 3 -> mean 2; effect 4 - 2 = 2.
# Large-sample variance (Callaway and Sant'Anna): ((1+1)/2^2) + ((1+1)/2^2) = 1 -> SE 1.
# Corrected, each side times 2/(2-1): variance 2 -> SE sqrt(2); Welch: 2^2/(1/1 + 1/1) = 2 df.
ARGS = {"outcome": "y", "time": "t", "first_treated": "g"}


@pytest.mark.parametrize("estimator", ["group-time", "two-by-two"])
def test_two_periods(estimator: str) -> None:
    found = estimate(EIGHT, **ARGS, unit="unit", estimator=estimator)
    assert found.estimate == pytest.approx(2.0, abs=1e-12)
    assert found.std_error == pytest.approx(np.sqrt(2), abs=1e-12)
    assert found.df == pytest.approx(2.0)
    # t(2) at 97.5% is 4.302653
    assert found.conf_high == pytest.approx(2 + 4.302653 * np.sqrt(2), abs=1e-5)
    assert (found.n_obs, found.n_treated, found.n_control, found.n_clusters) == (8, 2, 6, 4)


def test_rows_of_cross_sections_count_as_independent() -> None:
    # The means are the same; each of the four boxes has two rows at distance 1, 0, 1, 2 from
    # its mean: variance = sum over boxes of (d^2 + d^2) / 2^2 = (2 + 0 + 2 + 8) / 4 = 3.
    found = estimate(EIGHT, **ARGS)
    assert found.estimate == pytest.approx(2.0)
    # Below 40 rows each cohort (4 rows) is corrected by 4/3.
    assert found.std_error == pytest.approx(np.sqrt(3 * 4 / 3))
    assert found.n_clusters is None
    assert found.check("clusters").status == "cannot-be-tested"


def test_staggered_cells_and_their_weights() -> None:
    # One unit each but the second wave, of two. Launches 2 and 3; never. Noiseless:
    # unit level + 10 t + effect 1 (wave 2 at t=2), 3 (wave 2 at t=3), 5 (wave 3 at t=3).
    rows = []
    for unit, launch, effects in (("a", 2, {2: 1, 3: 3}), ("b", 3, {3: 5}), ("c", 3, {3: 5})):
        rows += [(unit, t, launch, 10 * t + effects.get(t, 0)) for t in (1, 2, 3)]
    rows += [("n", t, None, 7 + 10 * t) for t in (1, 2, 3)]
    data = pd.DataFrame(rows, columns=["unit", "t", "g", "y"])
    found = estimate(data, **ARGS, unit="unit")
    cells = found.tables["group_time"].set_index(["cohort", "time"])["estimate"]
    assert cells.to_dict() == pytest.approx({(2, 2): 1, (2, 3): 3, (3, 2): 0, (3, 3): 5})
    # simple: weights 1, 1, 2 (units) over 1, 3, 5 -> 14/4
    assert found.estimate == pytest.approx(14 / 4)
    by = {a: estimate(data, **ARGS, unit="unit", aggregate=a).estimate for a in AGGREGATES}
    # event: e=0 is (1*1 + 2*5)/3 = 11/3, e=1 is 3 -> mean 10/3
    assert by["event"] == pytest.approx(10 / 3)
    # group: wave 2 mean 2, wave 3 mean 5, units 1 and 2 -> (2 + 10)/3 = 4
    assert by["group"] == pytest.approx(4)
    # calendar: t=2 is 1; t=3 is (3 + 10)/3 -> mean (1 + 13/3)/2 = 8/3
    assert by["calendar"] == pytest.approx(8 / 3)
    # Nothing varies within waves, so no cell has a standard error (the average has one: the
    # waves' shares are estimated).
    assert found.tables["group_time"]["std_error"].isna().all()


def test_no_variation_is_no_standard_error_and_that_is_said() -> None:
    flat = EIGHT.assign(y=[0.1, 0.4, 0.3, 0.6, 0.2, 0.3, 0.7, 0.8])  # changes .3 .3 and .1 .1
    found = estimate(flat, **ARGS, unit="unit")
    assert found.estimate == pytest.approx(0.2)
    assert np.isnan(found.std_error) and "undefined" in found.inference
    assert found.to_dict()["conf_low"] is None


AGGREGATES = ("event", "group", "calendar")


def test_the_last_wave_has_no_controls_and_is_counted() -> None:
    # Everybody is treated by period 3: only wave 2 in period 2 has controls (wave 3).
    rows = [(u, t, g, t + u) for u, g in enumerate((2, 2, 3, 3)) for t in (1, 2, 3)]
    data = pd.DataFrame(rows, columns=["unit", "t", "g", "y"])
    data.loc[data["unit"].eq(0) & data["t"].eq(2), "y"] += 4.0
    found = estimate(data, **ARGS, unit="unit")
    # unit 0 changes by 5, unit 1 by 1 -> 3; controls by 1 -> effect 2
    assert found.estimate == pytest.approx(2.0)
    assert found.settings["effects_without_controls_dropped"] == 2
    assert found.tables["group_time"]["time"].tolist() == [2]
