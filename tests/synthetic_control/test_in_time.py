"""Fake launches before the real one, on request."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from noholdout_shared.errors import DataError
from noholdout_synthetic_control import SyntheticControlEstimate, estimate
from noholdout_synthetic_control.plot import plot_estimate
from synthetic_control.worlds import COLUMNS, factor_panel, launch_frame, panel_frame

ONE: dict[str, Any] = {**COLUMNS, "treated": ["u00"], "start": 60}


def asked(seed: int, count: int, **changes: Any) -> SyntheticControlEstimate:
    return estimate(launch_frame(seed), **{**ONE, "in_time_placebos": count, **changes})


@pytest.mark.parametrize("estimator", ["demeaned", "classic", "did", "synthetic-did"])
def test_a_fake_launch_is_an_estimate_on_the_file_cut_before_the_real_one(estimator: str) -> None:
    """Sixty days before the launch, twenty after it: the latest fake stands at 40."""
    frame = launch_frame(1)
    table = asked(1, 3, estimator=estimator).tables["in_time_placebos"]
    assert table["start"].tolist() == [30, 35, 40]
    assert set(table["periods"]) == {20}
    for row in table.to_dict("records"):
        cut = frame[frame["time"] < row["start"] + 20]
        block = {"block": 7} if estimator == "demeaned" else {}
        alone = estimate(cut, **{**ONE, "start": row["start"]}, estimator=estimator, **block)
        for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
            assert row[name] == pytest.approx(getattr(alone, name), rel=1e-9)


def test_the_latest_is_where_the_check_looks() -> None:
    found = asked(2, 4, block=1)
    latest = found.tables["in_time_placebos"].iloc[-1]
    check = found.check("in_time_placebo")
    assert f"A fake launch {60 - latest['start']:.0f} periods early" in check.message
    # The check takes each unit's own noise from the whole history, and allows for nothing.
    statistic = latest["estimate"] / latest["std_error"]
    assert check.statistic == pytest.approx(statistic, abs=0.2)


def test_the_real_effect_is_in_none_of_them_and_stays_as_it_was() -> None:
    """An effect of 500 from the launch on: no fake launch may see a day of it."""
    plain, found = estimate(launch_frame(3, effect=500.0), **ONE), asked(3, 5)
    assert "in_time_placebos" not in plain.tables
    large = estimate(launch_frame(3, effect=500.0), **ONE, in_time_placebos=5)
    assert large.estimate == plain.estimate
    same = ["start", "estimate", "std_error"]
    ours, theirs = (r.tables["in_time_placebos"][same].to_numpy() for r in (found, large))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_an_early_effect_shows_from_its_day_on() -> None:
    outcomes = factor_panel(4)
    outcomes[0, 42:] += 30.0
    found = estimate(panel_frame(outcomes), **ONE, in_time_placebos=3)
    table = found.tables["in_time_placebos"].set_index("start")
    assert table.loc[40, "estimate"] > 20
    assert table.loc[40, "p_value"] < 0.001
    assert table.loc[30, "estimate"] < table.loc[40, "estimate"]


def test_the_picture_has_a_panel_for_them() -> None:
    drawn = plot_estimate(asked(5, 3)).figure.axes
    assert len(drawn) == 3
    assert "fake launch" in drawn[2].get_title(loc="left") + drawn[2].get_title()
    assert len(plot_estimate(estimate(launch_frame(5), **ONE)).figure.axes) == 2


@pytest.mark.parametrize(
    "count, changes, message",
    [
        (0, {}, "in_time_placebos=0"),
        (3, {"start": 20, "block": 7}, "four blocks of history"),
        (3, {"estimator": "interrupted-time-series"}, "no use for it"),
        (3, {"estimator": "classic", "predictors": ["y@10"]}, "belongs to its own launch"),
    ],
)
def test_bad_requests(count: int, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        asked(1, count, **changes)
