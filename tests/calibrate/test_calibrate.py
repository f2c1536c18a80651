"""Calibration: trials have the truth that they claim, and what they achieve is counted right."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_data_generator import generate
from noholdout_shared.errors import DataError, DesignError
from typer.testing import CliRunner

from noholdout.calibrate import calibrate
from noholdout.calibrate.did import DidPlacebos
from noholdout.calibrate.planting import expected_effects, plant, planted, shuffled
from noholdout.calibrate.propensity import PropensityPlacebos
from noholdout.calibrate.rdd import RddPlacebos
from noholdout.calibrate.study import _smallest
from noholdout.calibrate.synthetic_control import SyntheticControlPlacebos
from noholdout.compare.designs import DESIGNS


@pytest.fixture(scope="module")
def asked() -> dict[str, tuple[pd.DataFrame, dict[str, Any]]]:
    data = generate(n_users=6000, seed=5)
    return {method: design.ask(data) for method, design in DESIGNS.items()}


def panel(drift: float = 0.0, noise: float = 1.0, seed: int = 1) -> pd.DataFrame:
    """40 units, 12 periods, half of them launch in period 9 with an effect of 5."""
    rng = np.random.default_rng(seed)
    unit, time = (grid.ravel() for grid in np.meshgrid(range(40), range(1, 13), indexing="ij"))
    first = np.where(unit < 20, 9, 0)
    y = (
        rng.normal(0, noise, unit.size)
        + drift * time * (first > 0)
        + 5.0 * (time >= 9) * (first > 0)
    )
    return pd.DataFrame({"unit": unit, "time": time, "first": first, "y": y})


PANEL = {"outcome": "y", "unit": "unit", "time": "time", "first_treated": "first"}


def test_planting_by_hand() -> None:
    y = np.array([1.0, 0.0, 0.0, 1.0])
    # half of the rows are zeros, so each zero becomes a one with probability 0.25 / 0.5
    own = expected_effects(y, 0.25, np.ones(4))
    assert own.tolist() == [0.0, 0.5, 0.5, 0.0]
    rows = np.array([True, True, False, True])
    assert plant(y, own, rows, np.full(4, 0.4)).tolist() == [1.0, 1.0, 0.0, 1.0]
    assert plant(y, own, rows, np.full(4, 0.6)).tolist() == y.tolist()
    # weights: rows 1 and 2 alone count, one of the two can gain
    assert expected_effects(y, 0.25, np.array([1.0, 1.0, 0, 0])).tolist() == [0, 0.25 / 0.5, 0.5, 0]
    harm = expected_effects(y, -0.1, np.ones(4))
    assert harm.tolist() == [-0.2, 0.0, 0.0, -0.2]
    assert plant(y, harm, rows, np.full(4, 0.1)).tolist() == [0.0, 0.0, 0.0, 0.0]
    numbers = np.array([1.0, 2.5])
    own = expected_effects(numbers, 3.0, np.ones(2))
    assert plant(numbers, own, np.array([True, False]), np.zeros(2)).tolist() == [4.0, 2.5]


def test_an_effect_without_room_is_refused() -> None:
    with pytest.raises(DesignError, match=r"only 25.0% of the rows could"):
        expected_effects(np.array([1.0, 1.0, 1.0, 0.0]), 0.3, np.ones(4))


def test_whole_groups_change_places_only_when_they_share_a_value() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 3)
    values = np.repeat([0, 1], 15)
    moved = shuffled(values, groups, rng)
    assert all(len(set(moved[groups == g])) == 1 for g in range(10))
    assert moved.sum() == 15
    mixed = np.tile([0, 1, 1], 10)
    assert shuffled(mixed, groups, rng).sum() == mixed.sum()


def test_trials_hold_no_row_that_a_real_launch_touched(asked: Any) -> None:
    did = DidPlacebos(panel(), PANEL, 3, 0)
    assert all(did.trial(n, 0.0).frame["time"].max() < 9 for n in (*did.placebos, *did.planted))
    frame, arguments = asked["synthetic_control"]
    control = SyntheticControlPlacebos(frame, arguments, 5, 0)
    for number in control.placebos:
        assert control.trial(number, 0.0).frame["date"].max() < arguments["start"]
    frame, arguments = asked["propensity"]
    opt_in = PropensityPlacebos(frame, arguments, 2, 0)
    assert len(opt_in.trial(0, 0.0).frame) == (frame["opt_in_agent_mode"] == 0).sum()
    frame, arguments = asked["rdd"]
    cutoffs = RddPlacebos(frame, arguments, 6, 0)
    for number in cutoffs.placebos:
        running = cutoffs.trial(number, 0.0).frame["query_confidence"]
        assert (running < 0.85).all() or (running >= 0.85).all()


def test_which_placebo_launches_share_no_period() -> None:
    # 8 periods before the launch; it lasts min(4, 8 // 3) = 2; launches in periods 2 to 7 stand
    # on the period before and their own two: 1-3, 4-6, so numbers 0 and 3 are apart.
    did = DidPlacebos(panel(), PANEL, 3, 0)
    assert (did.reach, did.placebos, did.apart) == (2, tuple(range(6)), (0, 3))
    assert did.planted == (6, 7, 8)


def test_a_planted_number_moves_a_linear_estimate_by_itself() -> None:
    from noholdout_did import estimate

    did = DidPlacebos(panel(), PANEL, 3, 0)
    without, with_it = (did.trial(7, effect) for effect in (0.0, 2.5))
    gap = (
        estimate(with_it.frame, **with_it.arguments).estimate
        - estimate(without.frame, **without.arguments).estimate
    )
    assert gap == pytest.approx(2.5, abs=1e-12)


def test_a_sound_design_keeps_its_size_and_finds_what_it_promises() -> None:
    found, calibration = calibrate("did", panel(), replications=40, seed=3, **PANEL)
    table = calibration.table.set_index("effect")
    assert len(table) == 4
    # 40 trials: 95% coverage leaves 34 or fewer with probability 0.0005
    assert (table["coverage"] * 40 >= 34).all()
    assert abs(table.loc[0.0, "bias"]) < 4 * table.loc[0.0, "bias_mc"]
    assert table["found"].is_monotonic_increasing
    assert found.calibration is not None and found.calibration["n_apart"] == calibration.n_apart
    assert "placebo launches" in found.summary()
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_a_trend_of_the_treated_is_found_out_by_its_placebo_launches() -> None:
    _, calibration = calibrate("did", panel(drift=3.0), replications=5, **PANEL)
    assert (calibration.n_apart, calibration.size) == (2, 1.0)
    assert calibration.size_low == pytest.approx(0.025 ** (1 / 2))  # Clopper and Pearson: 2 of 2


def test_the_smallest_effect_found_is_interpolated() -> None:
    table = pd.DataFrame({"effect": [0.0, 1.0, 2.0], "found": [0.05, 0.6, 1.0]})
    assert _smallest(table) == pytest.approx(1.5)  # from 60% at 1 to 100% at 2: 80% halfway
    assert math.isnan(_smallest(table.assign(found=[0.0, 0.1, 0.2])))


@pytest.mark.parametrize("method", ["propensity", "rdd", "synthetic_control", "uplift"])
def test_every_method_calibrates_on_the_synthetic_product(method: str, asked: Any) -> None:
    frame, arguments = asked[method]
    more = {"model": "linear"} if method == "uplift" else {}
    before = frame.copy()
    _, calibration = calibrate(
        method, frame, replications=6, effects=[0.03], seed=1, **arguments, **more
    )
    pd.testing.assert_frame_equal(frame, before)
    assert calibration.table["effect"].tolist() == [0.0, 0.03]
    assert (calibration.table["runs"] >= 4).all()
    # An error of ten points would be another scale or sign; the trials' own is about two to five.
    assert calibration.table["bias"].abs().max() < 0.10
    assert 1 <= calibration.n_apart <= calibration.n_placebos


def test_uplift_s_ratio_metrics_have_their_truth_in_the_ratio_s_unit(asked: Any) -> None:
    frame, arguments = asked["uplift"]
    told = arguments | {"model": "linear", "denominator": "session_minutes"}
    _, calibration = calibrate("uplift", frame, replications=6, effects=[0.05], seed=1, **told)
    # A minute's share: the truth is 0.05 or a little more, not 0.05 times ten minutes.
    assert calibration.table["bias"].abs().max() < 0.02


def test_processes_do_not_change_the_result(asked: Any) -> None:
    frame, arguments = asked["propensity"]
    one, two = (
        calibrate("propensity", frame, replications=3, jobs=jobs, seed=2, **arguments)[1].table
        for jobs in (1, 2)
    )
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"unit": None}, DataError, "Neither a unit nor a cluster"),
        ({"replications": 1}, DataError, "replications is 1"),
        ({"effects": [math.inf]}, DataError, "finite"),
        ({"rollout_log": "log.csv"}, DataError, "--rollout-log log.csv here"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(change: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        calibrate("did", panel(), **{"replications": 2, **PANEL, **change})


def test_an_effect_is_planted_into_a_ratio_by_its_numerator() -> None:
    frame = pd.DataFrame({"won": [1.0, 0.0, 4.0], "tried": [2.0, 1.0, 4.0]})
    treated = np.array([True, False, True])
    asked = {"outcome": "won", "denominator": "tried"}
    planted(frame, asked, 0.1, treated, np.ones(3), np.random.default_rng(0))
    assert frame["won"].tolist() == pytest.approx([1.2, 0.0, 4.4])
    ratio = frame["won"][treated].sum() / frame["tried"][treated].sum()
    assert ratio == pytest.approx(5 / 6 + 0.1)


@pytest.mark.parametrize("method", ["did", "propensity", "rdd", "synthetic_control"])
def test_ratio_metrics_are_calibrated(method: str, asked: Any) -> None:
    frame, arguments = asked[method]
    frame = frame.assign(tried=np.random.default_rng(3).integers(1, 4, len(frame)))
    frame["won"] = frame[arguments["outcome"]] * frame["tried"]
    arguments = arguments | {"outcome": "won", "denominator": "tried"}
    _, calibration = calibrate(method, frame, replications=6, effects=[0.03], seed=1, **arguments)
    nothing, planted_effect = calibration.table.to_dict("records")
    assert planted_effect["runs"] >= 4
    # The same draws with and without the effect: a ratio moves by what was planted.
    assert planted_effect["bias"] == pytest.approx(nothing["bias"], abs=0.01)


def test_one_metric_and_one_launch_are_calibrated_at_a_time(asked: Any) -> None:
    frame, arguments = asked["synthetic_control"]
    for change in ({"outcome": ["tasks", "cost_usd"]}, {"first_treated": "upgraded"}):
        with pytest.raises(DataError, match=r"calibrate can't work with"):
            calibrate("synthetic_control", frame, replications=2, **{**arguments, **change})


def test_the_command_takes_one_outcome_of_a_global_launch(tmp_path: Any, asked: Any) -> None:
    from noholdout.cli import app

    frame, names = asked["synthetic_control"]
    file = tmp_path / "telemetry.csv"
    frame.to_csv(file, index=False)
    flags = [part for unit in names["treated"] for part in ("--treated", unit)]
    for name in ("outcome", "unit", "time", "start"):
        flags += [f"--{name}", str(names[name])]
    command = ["calibrate", "synthetic-control", str(file), *flags, "--replications", "2"]
    done = CliRunner().invoke(app, [*command, "--effects", "0.05", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["calibration"]["n_placebos"] == 2


def test_too_few_early_periods_are_refused() -> None:
    frame = panel()
    with pytest.raises(DesignError, match="1 period lies before"):
        DidPlacebos(frame[frame["time"] >= 8], PANEL, 3, 0)


def test_the_command_passes_flags_on_to_the_method(tmp_path: Any) -> None:
    from noholdout.cli import app

    file = tmp_path / "panel.csv"
    panel().to_csv(file, index=False)
    flags = ["--outcome", "y", "--unit", "unit", "--time", "time", "--first-treated", "first"]
    command = ["calibrate", "did", str(file), *flags, "--replications", "4", "--effects", "1,2"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert [row["effect"] for row in shown["calibration"]["table"]] == [0.0, 1.0, 2.0]
    said = CliRunner().invoke(app, command)
    assert "calibration on these data" in said.stdout
    assert max(map(len, said.stdout.splitlines())) <= 80
    assert CliRunner().invoke(app, [*command, "--nonsense"]).exit_code == 2
    wrong = CliRunner().invoke(app, ["calibrate", "rct", str(file)])
    assert isinstance(wrong.exception, DataError) and "no method 'rct'" in str(wrong.exception)
