"""The front function: what must not change the answer, what must, and bad inputs."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError, DesignError
from noholdout_synthetic_control import classic, demeaned, did, estimate
from synthetic_control.worlds import COLUMNS, factor_panel, launch_frame, panel_frame

ONE = {**COLUMNS, "treated": ["u00"], "start": 60}


@pytest.mark.parametrize("estimator", ["demeaned", "classic", "did"])
def test_it_finds_the_effect(estimator: str) -> None:
    found = estimate(launch_frame(0, effect=5.0), **ONE, estimator=estimator)
    assert found.conf_low < 5.0 < found.conf_high
    assert found.tables["weights"]["weight"].sum() == pytest.approx(1)
    assert list(found.tables["path"].columns[:4]) == ["time", "observed", "synthetic", "gap"]
    post = found.tables["path"].query("time >= 60")["gap"].mean()
    assert found.estimate == pytest.approx(post)


def test_the_estimators_are_functions_of_their_own() -> None:
    frame = launch_frame(0)
    for function, name in ((demeaned, "demeaned"), (classic, "classic"), (did, "did")):
        assert function(frame, **ONE).to_dict() == estimate(frame, **ONE, estimator=name).to_dict()


@pytest.mark.parametrize("estimator", ["demeaned", "classic", "did"])
def test_shift_scale_and_order(estimator: str) -> None:
    frame = launch_frame(3)
    base = estimate(frame, **ONE, estimator=estimator)
    shuffled = frame.sample(frac=1, random_state=1)
    moved = frame.assign(y=frame["y"] * 3 + 40)
    same = estimate(shuffled, **ONE, estimator=estimator)
    scaled = estimate(moved, **ONE, estimator=estimator)
    assert same.estimate == pytest.approx(base.estimate, abs=1e-9)
    assert scaled.estimate == pytest.approx(3 * base.estimate, abs=1e-7)
    assert scaled.std_error == pytest.approx(3 * base.std_error, rel=1e-6)


def test_a_units_own_level_changes_the_classic_answer_only() -> None:
    frame = launch_frame(3)
    lifted = frame.assign(y=frame["y"] + 30 * (frame["unit"] == "u00"))
    for estimator in ("demeaned", "did"):
        base = estimate(frame, **ONE, estimator=estimator)
        assert estimate(lifted, **ONE, estimator=estimator).estimate == pytest.approx(base.estimate)
    base = estimate(frame, **ONE, estimator="classic")
    assert abs(estimate(lifted, **ONE, estimator="classic").estimate - base.estimate) > 5


def test_input_untouched_and_json_able() -> None:
    frame = launch_frame(1)
    copy = frame.copy(deep=True)
    found = estimate(frame, **ONE)
    pd.testing.assert_frame_equal(frame, copy)
    text = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert {"weights", "path", "placebos", "leave_one_out"} <= set(text["tables"])


def test_dates_texts_and_numbers_are_one_answer() -> None:
    frame = launch_frame(2)
    base = estimate(frame, **ONE)
    dates = pd.date_range("2025-01-06", periods=80)
    as_dates = frame.assign(time=dates.to_numpy()[frame["time"]])
    as_texts = frame.assign(time=dates.strftime("%Y-%m-%d").to_numpy()[frame["time"]])
    day = dates[60].date().isoformat()
    for other in (as_dates, as_texts):
        found = estimate(other, **{**ONE, "start": day})
        assert found.estimate == base.estimate
        assert found.to_dict()["tables"]["path"][0]["time"] == "2025-01-06"
    assert estimate(as_dates, **{**ONE, "start": dates[60]}).estimate == base.estimate


@pytest.mark.filterwarnings("error")
def test_times_with_a_zone_are_those_of_the_wall_clock() -> None:
    frame = launch_frame(2)
    base = estimate(frame, **ONE).estimate
    dates = pd.date_range("2025-02-01", periods=80, tz="Europe/Berlin")  # summer time on day 57
    zoned = frame.assign(time=dates[frame["time"]])
    as_texts = frame.assign(time=dates.astype(str).to_numpy()[frame["time"]])
    first = frame["unit"].eq("u00").map({True: str(dates[60]), False: ""})
    for start in (dates[60], str(dates[60]), dates[60].tz_localize(None), "2025-04-02"):
        assert estimate(zoned, **{**ONE, "start": start}).estimate == base
        assert estimate(as_texts, **{**ONE, "start": start}).estimate == base
    staggered = {name: value for name, value in ONE.items() if name not in ("treated", "start")}
    found = estimate(as_texts.assign(first=first), **staggered, first_treated="first")
    assert found.estimate == pytest.approx(base)


def test_integer_units_take_text_from_the_command_line() -> None:
    frame = launch_frame(2)
    numbered = frame.assign(unit=frame["unit"].str[1:].astype(int))
    base = estimate(frame, **ONE).estimate
    for treated in ([0], ["0"], [0.0]):
        assert estimate(numbered, **{**ONE, "treated": treated}).estimate == base


def test_counts_tell_the_noise_of_a_share() -> None:
    rng = np.random.default_rng(1)
    tasks = rng.integers(50, 400, (12, 80))
    share = rng.binomial(tasks, 0.6) / tasks
    frame = panel_frame(share, tasks=tasks.ravel())
    found = estimate(frame, **ONE, weights="tasks")
    span = 1 / 20 + 1 / 60
    before = tasks[0, :60]
    p = (share[0, :60] * before).sum() / before.sum()
    own = p * (1 - p) * (1 / before).mean() * span
    assert found.proportion
    assert found.std_error > math.sqrt(own)


def test_user_rows_are_averaged_on_cell_mean() -> None:
    outcomes = factor_panel(4, units=6, n_pre=20, n_post=10)
    frame = panel_frame(outcomes)
    doubled = pd.concat([frame.assign(y=frame["y"] - 1), frame.assign(y=frame["y"] + 1)])
    at = {**ONE, "start": 20, "estimator": "did"}
    assert estimate(doubled, **at, cell_mean=True).estimate == pytest.approx(
        estimate(frame, **at).estimate
    )
    with pytest.raises(DataError, match=r"180 pairs.*u00 at 0: 2.*--cell-mean"):
        estimate(doubled, **at)


def test_rates_that_are_averaged_are_not_single_draws() -> None:
    """A rate is no 0 or 1: its noise is measured, not binomial; from 0 and 1 it is binomial."""
    rng = np.random.default_rng(2)
    share = rng.binomial(300, 0.6, (12, 80)) / 300
    frame = panel_frame(share)
    base = estimate(frame, **ONE)
    # With counts the noise is pooled over units, without it's each one's: nearly the same here.
    for rows in (frame, pd.concat([frame, frame.iloc[:3]])):
        found = estimate(rows, **ONE, cell_mean=True)
        assert found.std_error == pytest.approx(base.std_error, rel=0.1)
    draws = frame.loc[frame.index.repeat(10)]
    draws = draws.assign(y=rng.binomial(1, draws["y"]))
    single = estimate(draws, **ONE, cell_mean=True, estimator="did")
    means = draws.groupby(["unit", "time"], as_index=False)["y"].mean()
    tasks = estimate(means.assign(tasks=10), **ONE, weights="tasks", estimator="did")
    assert single.std_error == pytest.approx(tasks.std_error)


def test_missing_cells_are_refused_or_dropped_and_counted() -> None:
    frame = launch_frame(5)
    holes = frame[~((frame["unit"] == "u03") & frame["time"].between(20, 39))]
    holes = holes[~((holes["unit"] == "u00") & (holes["time"] == 9))]
    with pytest.raises(DataError, match=r"21 of 1,600 cells.*u00 at 9.*--missing drop"):
        estimate(holes, **ONE)
    found = estimate(holes, **ONE, missing="drop")
    assert found.settings["donors_dropped"] == ["u03"]
    assert found.settings["periods_dropped"] == 1
    assert found.settings["pre_periods"] == 59
    by_hand = frame[(frame["unit"] != "u03") & (frame["time"] != 9)]
    assert found.estimate == pytest.approx(estimate(by_hand, **ONE).estimate)
    assert found.check("missing_cells").status == "pass"
    # 19 of 20 units and 79 of 80 periods are left.
    assert found.settings["share_dropped"] == pytest.approx(1 - 19 / 20 * 79 / 80)


def test_a_day_missing_for_each_donor_costs_days_not_donors() -> None:
    frame = launch_frame(6)
    number = frame["unit"].str[1:].astype(int)
    holes = frame[(number == 0) | (frame["time"] != number)]  # unit k lacks day k
    found = estimate(holes, **ONE, missing="drop")
    assert found.settings["donors_dropped"] == []
    assert found.settings["periods_dropped"] == 19
    assert found.check("missing_cells").status == "caution"
    assert found.verdict != "sound"


def test_no_donor_left_names_what_can_still_be_done() -> None:
    frame = launch_frame(1, units=4, treated=4)
    everyone = [f"u{i:02d}" for i in range(4)]
    with pytest.raises(DesignError) as caught:
        estimate(frame, **{**ONE, "treated": everyone})
    for word in ("pinned tenants", "regions", "staged waves", "interrupted time series", "certain"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"treated": ["u99"]}, DataError, "no 'u99'.*Did you mean 'u19'"),
        ({"treated": []}, DesignError, "No treated unit"),
        ({"start": 0}, DesignError, "No period lies before"),
        ({"start": 1}, DesignError, "Only one period"),
        ({"start": 99}, DesignError, "No period lies from the launch on"),
        ({"start": "soon"}, DataError, "holds numbers .from 0 to 79"),
        ({"outcome": "z"}, DataError, "no column 'z'"),
        ({"outcome": "unit"}, DataError, "holds text"),
        ({"estimator": "magic"}, DataError, "estimator is 'magic'"),
        ({"solver": "x"}, DataError, "solver is 'x'"),
        ({"inference": "x"}, DataError, "inference is 'x'"),
        ({"inference": "placebo-regions"}, DataError, "needs cluster"),
        ({"replicates": 100}, DataError, "draws nothing"),
        ({"inference": "bootstrap", "replicates": 3}, DataError, "replicates is 3"),
        ({"conf_level": 95}, DataError, "conf_level is 95"),
        ({"block": 0}, DataError, "block is 0"),
        ({"block": 40}, DataError, "block is 40"),
        ({"estimator": "did", "block": 7}, DataError, "would mislead"),
        ({"jobs": 0}, DataError, "jobs is 0"),
        ({"missing": "maybe"}, DataError, "missing is 'maybe'"),
    ],
)
def test_bad_requests_say_what_is_wrong(change: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.compile(message, re.DOTALL)):
        estimate(launch_frame(1), **{**ONE, **change})


def test_bad_data_says_what_is_wrong() -> None:
    frame = launch_frame(1)
    with pytest.raises(DataError, match="is 1 in all 1,600 rows"):
        estimate(frame.assign(y=1.0), **ONE)
    with pytest.raises(DataError, match="1 of 1,600 rows have missing"):
        estimate(frame.assign(y=frame["y"].where(frame.index > 0)), **ONE)
    with pytest.raises(DesignError, match="The one unit of 'unit' got the launch"):
        estimate(frame[frame["unit"] == "u00"], **ONE)
    with pytest.raises(DataError, match="no rows"):
        estimate(frame.head(0), **ONE)
    with pytest.raises(DataError, match="neither numbers nor dates"):
        estimate(frame.assign(time="week " + frame["time"].astype(str)), **ONE)
    as_dates = frame.assign(time=pd.Timestamp("2025-01-01") + pd.to_timedelta(frame["time"], "D"))
    with pytest.raises(DataError, match=r"holds dates .from 2025-01-01"):
        estimate(as_dates, **ONE)
    with pytest.raises(DesignError, match="aren't one whole region"):
        estimate(frame.assign(region="a"), **ONE, cluster="region")
    mixed = frame.assign(region=np.where(frame["time"] < 5, "a", "b"))
    with pytest.raises(DataError, match="lie in several 'region'"):
        estimate(mixed, **ONE, cluster="region")


def spelled(times: pd.Series, kind: str) -> pd.Series:
    """The same times as another type."""
    months = pd.Series(pd.period_range("2019-01", periods=90, freq="M"))[times].set_axis(
        times.index
    )
    return {
        "text": lambda: times.astype(str),
        "category": lambda: times.astype("category"),
        "period": lambda: months.astype("period[M]"),
        "month": lambda: months.astype(str),
    }[kind]()


@pytest.mark.parametrize("kind", ["text", "category", "period", "month"])
def test_times_of_any_type_that_has_an_order(kind: str) -> None:
    frame = launch_frame(4)
    asked = {**ONE, "block": 7}
    plain = estimate(frame, **asked)
    times = spelled(frame["time"], kind)
    start = times[frame["time"] == 60].iloc[0]
    found = estimate(frame.assign(time=times), **asked | {"start": start})
    assert (found.estimate, found.std_error) == (plain.estimate, plain.std_error)
    launch = [start if unit == "u00" else None for unit in frame["unit"]]
    by_column = {k: v for k, v in asked.items() if k not in ("treated", "start")}
    other = estimate(frame.assign(time=times, first=launch), **by_column, first_treated="first")
    assert other.estimate == pytest.approx(plain.estimate, abs=1e-12)


def test_one_name_may_stand_without_a_list() -> None:
    rng = np.random.default_rng(0)
    frame = launch_frame(1)
    frame = frame.assign(tasks=rng.normal(100, 5, len(frame)))
    pairs: list[dict[str, Any]] = [
        {"negative_controls": "tasks"},
        {"predictors": "tasks", "estimator": "classic"},
        {"covariates": "tasks", "estimator": "interrupted-time-series"},
    ]
    for alone in pairs:
        listed = {k: [v] if v == "tasks" else v for k, v in alone.items()}
        found, same = (estimate(frame, **ONE, **asked) for asked in (alone, listed))
        assert found.to_dict() == same.to_dict()
    for treated in ({"u00"}, pd.Series(["u00"]), "u00"):
        assert estimate(frame, **ONE | {"treated": treated}).settings["treated_units"] == 1


@pytest.mark.parametrize("name", ["block", "in_time_placebos", "jobs"])
def test_counts_are_whole_numbers(name: str) -> None:
    for value in (2.5, "3", True):
        with pytest.raises(DataError, match=f"{name} is {value!r}"):
            estimate(launch_frame(1), **ONE, **{name: value})
