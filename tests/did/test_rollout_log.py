"""From a rollout log to launches; other changes that fall on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from did.simulate import cross_sections, panel
from noholdout_did import estimate
from noholdout_did.rollout_log import LogRequest, read_changes
from noholdout_shared.errors import DataError

UNITS = np.array(["a", "b", "c", "d"])
PERIODS = np.arange(1, 7)


def log(*events: tuple[Any, ...], flag: str = "copilot") -> pd.DataFrame:
    """Events of one flag as (unit, time, event)."""
    table = pd.DataFrame(list(events), columns=["unit", "time", "event"])
    return table.assign(flag=flag)


def changes(source: pd.DataFrame, periods: np.ndarray = PERIODS, **options: Any) -> Any:
    request = LogRequest(source, **{"unlisted": "never", **options})
    return read_changes(request, UNITS, periods, "workspace", "refuse")


def launches(source: pd.DataFrame, **options: Any) -> list[Any]:
    """First treated period by unit; ``None`` is never."""
    index = changes(source, **options).launch
    return [None if i == len(PERIODS) else int(PERIODS[i]) for i in index]


def test_on_off_rollback_and_holdback_by_hand() -> None:
    events = log(
        ("a", 2, "on"),
        ("b", 3, "on"),
        ("b", 4, "rollback"),  # intention to treat: launched in 3, and stays so
        ("b", 6, "on"),
        (None, 5, "on"),  # everybody not held back: d
        ("c", 1, "holdback"),
    )
    found = changes(events)
    assert found.launch.tolist() == [1, 2, 6, 4]  # indices: periods 2, 3, never, 5
    # b: on at the end of periods 3 and 6 (and 5, by the event for everyone)
    assert found.state["copilot"].tolist() == [
        [0, 1, 1, 1, 1, 1],
        [0, 0, 1, 0, 1, 1],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1],
    ]
    counts = found.settings["rollout_log"]
    assert (counts["units_launched"], counts["units_held_back"]) == (3, 1)
    assert counts["units_switched_off_later"] == 1


def test_ramps_launch_at_the_threshold() -> None:
    ramp = log(("a", 1, "5%"), ("a", 3, "50"), ("a", 5, "100%"), ("b", 4, 0), ("c", 6, "holdback"))
    assert launches(ramp)[:2] == [1, None]
    assert launches(ramp, ramp_threshold=50)[0] == 3
    assert launches(ramp, ramp_threshold=51)[0] == 5
    assert changes(ramp).state["copilot"][0].tolist() == [0.05, 0.05, 0.5, 0.5, 1, 1]


def test_exposure_starts_at_the_first_exposed_event() -> None:
    events = log(("a", 2, "eligible"), ("a", 4, "exposed"), ("b", 2, "eligible"), ("c", 3, "off"))
    assert launches(events) == [2, 2, None, None]
    found = changes(events, treated_by="exposure")
    assert found.launch.tolist() == [3, 6, 6, 6]
    assert found.settings["rollout_log"]["units_eligible_never_exposed"] == 1


def test_dates_fall_in_the_period_that_holds_them() -> None:
    weeks = np.array(["2024-01-01", "2024-01-08", "2024-01-15"], dtype="datetime64[ns]")
    events = log(("a", "2024-01-10", "on"), ("b", "2024-01-21", "on"), ("c", "2024-01-22", "on"))
    found = changes(events, weeks)
    # b is in the last week, which is taken to be as long as the others; c comes after the data
    assert found.launch.tolist() == [1, 2, 3, 3]
    assert found.settings["rollout_log"]["events_after_the_data"] == 1
    as_text = changes(events, weeks.astype("datetime64[D]").astype(str).astype(object))
    assert as_text.launch.tolist() == found.launch.tolist()


def test_before_the_data_is_always_treated_and_off_first_was_on_before() -> None:
    found = changes(log(("a", -3, "on"), ("b", 4, "off"), ("c", 2, "on")))
    assert found.launch.tolist() == [0, 6, 1, 6]
    assert found.state["copilot"][1].tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("events", "options", "match"),
    [
        ([("a", 2, "on"), ("a", 2, "off")], {}, "contradict each other.*'copilot' of 'a' at 2"),
        ([("a", 2, "holdback"), ("a", 2, "on")], {}, "contradict each other"),
        ([("a", 2, "rollback")], {}, "rolls 'a' back before it was switched on"),
        ([("a", 2, "on"), ("a", 1, "exposed")], {}, "1 units were exposed before"),
        ([("a", 2, "on")], {"treated_by": "exposure"}, "no 'exposed' event"),
        ([("a", 2, "on"), ("zz", 2, "on")], {}, "1 units of the rollout log aren't among.*'zz'"),
        ([("a", 2, "on")], {"unlisted": "refuse"}, "3 of 4 values of 'workspace' have no event"),
        ([("a", 2, "launched")], {}, "can't be read .for example 'launched'"),
        ([("a", 2, 140)], {}, "can't be read"),
        ([("a", 2, 0.5), ("b", 2, 1.0)], {}, "look like shares"),
        ([("a", 99, "on")], {}, "All 1 events .* lie outside the data's periods .1 to 6"),
        ([("a", "2024-01-01", "on")], {}, "but the data's periods are numbers"),
        ([("a", 2, "on")], {"flag": "kopilot"}, "no flag 'kopilot'.*'copilot'"),
        ([("a", 2, "on")], {"ramp_threshold": 101}, "ramp_threshold is 101"),
        ([("a", 2, "on")], {"treated_by": "use"}, "treated_by is 'use'"),
    ],
)
def test_logs_that_can_t_be_read(
    events: list[tuple[Any, ...]], options: dict[str, Any], match: str
) -> None:
    with pytest.raises(DataError, match=match):
        changes(log(*events), **options)


def test_several_flags_need_a_name_and_unknown_units_may_be_dropped() -> None:
    both = pd.concat([log(("a", 2, "on")), log(("b", 3, "on"), flag="price")])
    with pytest.raises(DataError, match=r"2 flags .'copilot', 'price'.*--flag"):
        changes(both)
    request = LogRequest(log(("a", 2, "on"), ("zz", 3, "on")), unlisted="never")
    found = read_changes(request, UNITS, PERIODS, "workspace", "drop")
    assert found.settings["rollout_log"]["events_of_unknown_units_dropped"] == 1


ARGS = {"outcome": "y", "time": "t", "unit": "unit"}


def launch_log(data: pd.DataFrame, unit: str = "unit") -> pd.DataFrame:
    first = data.groupby(unit)["g"].first()
    events = [(u, g, "on") if g > 0 else (u, 1, "holdback") for u, g in first.items()]
    return log(*events)


def test_the_log_gives_the_same_answer_as_the_column(tmp_path: Path) -> None:
    data = panel(3)
    by_column = estimate(data, **ARGS, first_treated="g")
    path = tmp_path / "log.csv"
    launch_log(data).to_csv(path, index=False)
    by_log = estimate(data, **ARGS, rollout_log=path)
    assert by_log.estimate == by_column.estimate and by_log.std_error == by_column.std_error
    assert by_log.check("collisions").status == "pass"
    assert by_log.check("dilution").statistic == pytest.approx(1.0)
    users = cross_sections(2)
    args = {"outcome": "y", "time": "t", "cluster": "workspace"}
    rows = estimate(users, **args, rollout_log=launch_log(users, "workspace"))
    assert rows.estimate == estimate(users, **args, first_treated="g").estimate


def test_what_is_mixed_in_is_the_share_times_the_other_change() -> None:
    """Without noise: launch +1; a price change +2 for 4 of the 10 units launched in 3, from 4."""
    data = panel(1, noise=0.0)
    touched = data["unit"].isin(range(4)) & (data["t"] >= 4)
    data["y"] += 2.0 * touched
    price = log(*((u, 4, "on") for u in range(4)), flag="price")
    found = estimate(data, **ARGS, rollout_log=pd.concat([launch_log(data), price]), flag="copilot")
    row = found.tables["collisions"].iloc[0]
    # Wave 3 has 6 periods and wave 5 has 4, of 10 units each: weights 0.1 a cell. In wave 3 the
    # price holds in 5 of 6 cells for 4 of 10 units: 5 * 0.1 * 0.4 = 0.2; but in period 4, wave 5
    # compares with nobody touched, and its base is period 4, where nobody of it is: 0.
    assert row["share_in_answer"] == pytest.approx(0.2)
    assert found.estimate == pytest.approx(1 + 2 * row["share_in_answer"])
    assert (row["treated_units"], row["comparison_units"], row["first"]) == (4, 0, 4)
    assert found.check("collisions").status == "caution"
    assert "'price' (4: 4 of 20 treated units" in found.check("collisions").message


def test_the_guard_sees_which_side_was_hit() -> None:
    data = panel(5, per_wave=12)
    launched = launch_log(data)
    waves = data.groupby("unit")["g"].first()
    sides = {
        "all": log((None, 4, "on"), flag="model"),
        "treated": log(*((u, g, "on") for u, g in waves.dropna().items()), flag="model"),
        "never": log(*((u, 3, "on") for u in waves[waves.isna()].index), flag="model"),
        "early": log((0, 1, "on"), (1, 1, "on"), flag="model"),
    }
    found = {
        name: estimate(data, **ARGS, rollout_log=pd.concat([launched, other]), flag="copilot")
        for name, other in sides.items()
    }
    assert found["all"].check("collisions").status == "pass"
    assert found["all"].tables["collisions"]["hits"].tolist() == ["both sides"]
    assert found["treated"].check("collisions").status == "fail"
    assert found["treated"].verdict == "do-not-use"
    assert found["treated"].tables["collisions"]["share_in_answer"][0] == pytest.approx(1.0)
    assert found["never"].tables["collisions"]["hits"].tolist() == ["comparison only"]
    assert found["never"].tables["collisions"]["share_in_answer"][0] < -0.2
    assert found["never"].check("collisions").status != "pass"
    # A change before every comparison's base period moves nothing.
    assert len(found["early"].tables["collisions"]) == 0


def test_rollbacks_dilute_and_that_is_said() -> None:
    data = panel(6, launches=(4, np.nan), periods=7)
    back = log(*((u, 6, "rollback") for u in range(5)))
    found = estimate(data, **ARGS, rollout_log=pd.concat([launch_log(data), back]))
    # Periods 4 to 7 are treated; in 6 and 7 half of the units are off: 1 - 2/4 * 1/2.
    assert found.check("dilution").statistic == pytest.approx(0.75)
    assert found.check("dilution").status == "caution"
    assert found.estimate == estimate(data, **ARGS, first_treated="g").estimate
    assert found.settings["rollout_log"]["units_switched_off_later"] == 5


def test_log_options_are_never_ignored() -> None:
    data = panel(7)
    with pytest.raises(DataError, match="name one of the two"):
        estimate(data, **ARGS)
    with pytest.raises(DataError, match="Both first_treated"):
        estimate(data, **ARGS, first_treated="g", rollout_log=launch_log(data))
    with pytest.raises(DataError, match="flag='copilot' was given without a rollout log"):
        estimate(data, **ARGS, first_treated="g", flag="copilot")
    with pytest.raises(DataError, match="no column of units"):
        estimate(data, outcome="y", time="t", rollout_log=launch_log(data))
