"""Launches at different times: by hand, against one launch, and with a simulated truth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError, DesignError
from noholdout_synthetic_control import estimate
from synthetic_control.worlds import COLUMNS, factor_panel, panel_frame

ASKED: dict[str, Any] = {**COLUMNS, "first_treated": "launch"}


def waves(outcomes: np.ndarray, launches: list[float]) -> pd.DataFrame:
    """A long frame in which unit k got the launch at ``launches[k]`` (nan: never)."""
    frame = panel_frame(outcomes)
    padded = [*launches, *[math.nan] * (outcomes.shape[0] - len(launches))]
    return frame.assign(launch=np.repeat(padded, outcomes.shape[1]))


def test_two_cohorts_by_hand() -> None:
    """Difference-in-differences: equal weights, so that everything can be done on paper.

    Times 0..5. A starts at 2: 1 1 | 5 5 7 7 changes by 6 - 1 = 5. B and C start at 4: 0 2 0 2 | 4 4
    changes by 4 - 1 = 3, 4 4 4 4 | 6 6 by 2. Donors D: 0 0 1 1 1 1 and E: 2 2 2 2 3 3. From time 2
    on D gains 1 and E 2.5 - 2 = 0.5, mean 0.75: A's effect is 4.25. From time 4 on D gains
    1 - 0.5 = 0.5 and E 1, mean 0.75: the second cohort's is 2.5 - 0.75 = 1.75.
    Shares 1/3 and 2/3: (4.25 + 3.5) / 3.
    """
    outcomes = np.array(
        [[1, 1, 5, 5, 7, 7], [0, 2, 0, 2, 4, 4], [4, 4, 4, 4, 6, 6],
         [0, 0, 1, 1, 1, 1], [2, 2, 2, 2, 3, 3]], dtype=float,
    )  # fmt: skip
    found = estimate(waves(outcomes, [2, 4, 4]), **ASKED, estimator="did")
    cohorts = found.tables["cohorts"]
    assert cohorts["start"].tolist() == [2, 4]
    assert cohorts["units"].tolist() == [1, 2]
    assert cohorts["estimate"].tolist() == pytest.approx([4.25, 1.75])
    assert found.estimate == pytest.approx((4.25 + 2 * 1.75) / 3)
    # At the launch A lies 5 - 1 = 4 above its past and the donors (1 + 2) / 2 - 1 = 0.5: 3.5;
    # B and C 5 - 2.5 = 2.5 and the donors 2 - 1.25 = 0.75: 1.75. Two periods on, A's alone:
    # 7 - 1 less 2 - 1.
    events = found.tables["event_time"].set_index("event_time")
    assert events.loc[0, "estimate"] == pytest.approx((3.5 + 2 * 1.75) / 3)
    assert events.loc[2, "estimate"] == pytest.approx(5.0)
    assert events.loc[2, "units"] == 1
    assert events.loc[-4, "units"] == 2
    assert found.settings["launches"] == {"2": 1, "4": 2}


@pytest.mark.parametrize("estimator", ["demeaned", "classic", "synthetic-did", "augmented", "did"])
@pytest.mark.parametrize("treated", [1, 14])
def test_one_wave_is_one_launch(estimator: str, treated: int) -> None:
    """The average over one cohort is the cohort: the same numbers from other code."""
    outcomes = factor_panel(3)
    outcomes[:treated, 60:] += 4
    frame = waves(outcomes, [60] * treated)
    names = [f"u{i:02d}" for i in range(treated)]
    alone = estimate(frame, **COLUMNS, treated=names, start=60, estimator=estimator)
    found = estimate(frame, **ASKED, estimator=estimator)
    for name in ("estimate", "std_error", "df", "conf_low", "conf_high", "p_value"):
        assert getattr(found, name) == pytest.approx(getattr(alone, name), rel=1e-9), name
    assert found.verdict == alone.verdict
    for name in ("weights", "placebos", "leave_one_out"):
        pd.testing.assert_frame_equal(found.tables[name], alone.tables[name], rtol=1e-9)
    gap = alone.tables["path"]["gap"].to_numpy()
    assert found.tables["path"]["gap"].to_numpy() == pytest.approx(gap)


def test_units_treated_later_are_no_donors() -> None:
    outcomes = factor_panel(4)
    outcomes[0, 30:] += 3
    outcomes[1, 50:] += 500  # would be seen by any twin that used it
    found = estimate(waves(outcomes, [30, 50]), **ASKED)
    assert set(found.tables["weights"]["unit"]) == {f"u{i:02d}" for i in range(2, 20)}
    assert found.tables["cohorts"]["estimate"][0] == pytest.approx(3, abs=1.5)


def test_intervals_hold_a_simulated_truth() -> None:
    """Three waves of growing effects, one unit or several a wave: placebos and jackknife."""
    held = {"placebo": 0, "jackknife": 0}
    for seed in range(40):
        for name, sizes in (("placebo", (1, 2, 1)), ("jackknife", (8, 8, 6))):
            outcomes = factor_panel(1000 + seed, units=sum(sizes) + 16)
            launches = np.repeat([40.0, 50.0, 60.0], sizes)
            truth = 0.0
            for unit, launch in enumerate(launches):
                path = 2 + 0.05 * np.arange(80 - int(launch)) + 0.3 * (unit % 2)
                outcomes[unit, int(launch) :] += path
                truth += path.mean() / len(launches)
            found = estimate(waves(outcomes, list(launches)), **ASKED)
            assert name == found.tables["intervals"]["inference"][0]
            held[name] += found.conf_low <= truth <= found.conf_high
    # Binomial(40, 0.95): 33 or fewer has probability 0.003.
    assert held["placebo"] >= 34
    assert held["jackknife"] >= 34


def test_dates_and_every_kind_of_never() -> None:
    outcomes = factor_panel(5, units=10)
    frame = panel_frame(outcomes)
    frame["time"] = np.tile(pd.date_range("2025-01-01", periods=80), 10)
    launch = ["2025-02-20", "2025-03-01", None, None, "2026-01-01", *[None] * 5]
    found = estimate(frame.assign(launch=np.repeat(launch, 80)), **ASKED)
    assert found.settings["launches"] == {"2025-02-20": 1, "2025-03-01": 1}
    assert found.settings["units_never_empty"] == 7
    assert found.settings["units_never_after_last_period"] == 1
    numbers = waves(outcomes, [20.0, math.inf, 0.0, 99.0])
    numbers["time"] += 1
    kinds = estimate(numbers, **ASKED).settings
    assert kinds["units_never_zero_or_infinite"] == 2
    assert kinds["units_never_after_last_period"] == 1
    always = estimate(waves(outcomes, [0.0, 40.0]), **ASKED)
    assert always.settings["units_left_out_always_treated"] == 1
    assert "u00" not in set(always.tables["weights"]["unit"])


def test_a_violation_in_one_cohort_names_its_launch() -> None:
    outcomes = factor_panel(6, units=24)
    outcomes[0, 25:] += 8  # felt 15 periods early
    found = estimate(waves(outcomes, [40, 60]), **ASKED)
    check = found.check("in_time_placebo")
    assert check.status in ("caution", "fail")
    assert check.message.startswith("Launch at 40:")
    names = [c.name for c in found.checks]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"treated": ["u00"]}, "given by treated and first_treated"),
        ({"first_treated": None}, "given by nothing"),
        ({"first_treated": None, "treated": ["u00"]}, "given by treated"),
        ({"inference": "bootstrap"}, "placebos of single units or a jackknife"),
        ({"estimator": "all"}, "'all' was asked with first_treated"),
        ({"covariates": ["y"]}, "covariates was given"),
        ({"estimator": "did", "block": 7}, "block was given"),
        ({"outcome": "y/time"}, "with the ratio 'y/time'"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    frame = waves(factor_panel(1, units=8), [40, 50])
    with pytest.raises(DataError, match=message):
        estimate(frame, **{**ASKED, **change})


def test_launches_that_no_answer_follows_from() -> None:
    outcomes = factor_panel(1, units=4)
    with pytest.raises(DesignError, match="no donor is left"):
        estimate(waves(outcomes, [40, 50, 40, 50]), **ASKED)
    with pytest.raises(DesignError, match="No unit of 'unit' got the launch"):
        estimate(waves(outcomes, []), **ASKED)
    with pytest.raises(DesignError, match="Only one period"):
        estimate(waves(outcomes, [1]), **ASKED)
    mixed = waves(outcomes, [40])
    mixed.loc[3, "launch"] = 41
    with pytest.raises(DataError, match="1 units have several values of 'launch'"):
        estimate(mixed, **ASKED)
    words = waves(outcomes, [40]).assign(launch="soon")
    with pytest.raises(DataError, match="holds 'soon'"):
        estimate(words, **ASKED)


@pytest.mark.parametrize("treated", [1, 14])
def test_requests_of_one_wave_are_those_of_one_launch(treated: int) -> None:
    outcomes = factor_panel(3)
    outcomes[:treated, 60:] += 4
    frame = waves(outcomes, [60.0] * treated)
    rng = np.random.default_rng(1)
    frame["tasks"] = 200 + rng.normal(0, 4, len(frame))
    more: dict[str, Any] = {"negative_controls": ["tasks"], "in_time_placebos": 4}
    named = [f"u{k:02d}" for k in range(treated)]
    one = estimate(frame, **COLUMNS, treated=named, start=60, **more)
    found = estimate(frame, **ASKED, **more)
    pd.testing.assert_frame_equal(
        found.tables["negative_controls"], one.tables["negative_controls"]
    )
    ours, theirs = (r.tables["in_time_placebos"] for r in (found, one))
    pd.testing.assert_frame_equal(ours.assign(start=ours["start"] + 60), theirs)
    assert found.check("negative_controls").message == one.check("negative_controls").message


def test_fake_launches_by_hand() -> None:
    """Equal weights: A starts at 16 and B at 20, of 26 periods; 16 // 3 = 5 to look ahead.

    The latest fakes stand at 11 and 15. A lies 4 higher in its last five periods before the
    launch, B 2 in its last five, nobody else moves: (4 + 2) / 2, whatever comes after.
    """
    outcomes = np.zeros((6, 26))
    outcomes[:, 1::2] += 0.5  # all alike, so that nothing is left of it
    outcomes[0, 11:16] += 4
    outcomes[1, 15:20] += 2
    outcomes[2:, :] += np.arange(4)[:, None]
    rng = np.random.default_rng(1)
    outcomes[2:] += 1e-6 * rng.normal(size=(4, 26))
    outcomes[0, 16:] += 1000
    outcomes[1, 20:] -= 500
    found = estimate(waves(outcomes, [16, 20]), **ASKED, estimator="did", in_time_placebos=3)
    row = found.tables["in_time_placebos"].iloc[-1]
    assert (row["start"], row["periods"]) == (-5, 5)
    assert row["estimate"] == pytest.approx(3, abs=1e-5)


def test_a_log_that_loses_rows_in_every_wave() -> None:
    outcomes = factor_panel(6, units=24)
    frame = waves(outcomes, [40, 60])
    rng = np.random.default_rng(1)
    frame["tasks"] = 200 + rng.normal(0, 4, len(frame))
    calm = estimate(frame, **ASKED, negative_controls=["tasks"]).check("negative_controls")
    assert calm.status == "pass"
    frame.loc[frame["time"] >= frame["launch"], "tasks"] *= 0.9
    found = estimate(frame, **ASKED, negative_controls=["tasks"])
    check, row = found.check("negative_controls"), found.tables["negative_controls"].iloc[0]
    assert check.status == "fail"
    assert check.message.startswith("The negative control tasks changed by -")
    assert row["estimate"] == pytest.approx(-20, abs=1.5)
    assert row["level"] == pytest.approx(200, abs=2)
    path = [t["synthetic"][t["time"] >= 0].mean() for t in [found.tables["path"]]]
    assert row["implied_bias"] == pytest.approx(-0.1 * path[0], rel=0.15)


def test_fake_launches_need_history() -> None:
    with pytest.raises(DataError, match=r"in_time_placebos=2.*4 periods before the first launch"):
        estimate(waves(factor_panel(5), [4, 40]), **ASKED, in_time_placebos=2)
