"""Negative controls: columns that the launch can't have moved, unless it moved the ruler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_data_generator import generate
from noholdout_shared.errors import DataError
from noholdout_synthetic_control import SyntheticControlEstimate, estimate
from synthetic_control.worlds import COLUMNS, launch_frame
from typer import Typer
from typer.testing import CliRunner

from noholdout.commands.synthetic_control import synthetic_control

ONE: dict[str, Any] = {**COLUMNS, "treated": ["u00"], "start": 60}


def counted(seed: int, lost: float = 0.0) -> pd.DataFrame:
    """Two counts of 200 a day, of which the launch loses a share of ``tasks`` where it came."""
    frame = launch_frame(seed)
    rng = np.random.default_rng(seed + 1)
    hit = (frame["unit"] == "u00") & (frame["time"] >= 60)
    for name in ("tasks", "users"):
        frame[name] = 200 + rng.normal(0, 4, len(frame))
    frame["tasks"] *= np.where(hit, 1 - lost, 1.0)
    return frame


def asked(frame: pd.DataFrame, *controls: str, **changes: Any) -> SyntheticControlEstimate:
    return estimate(frame, **{**ONE, "negative_controls": list(controls), **changes})


def test_a_log_that_loses_a_tenth() -> None:
    """Tasks fall from 200 to 180: 10%, and 10% of an outcome of about 50 is about 5."""
    frame = counted(1, lost=0.1)
    found = asked(frame, "tasks")
    check, row = found.check("negative_controls"), found.tables["negative_controls"].iloc[0]
    assert check.status == "fail"
    assert found.verdict == "do-not-use"
    assert row["estimate"] == pytest.approx(-20, abs=1.5)
    assert row["level"] == pytest.approx(200, abs=1.5)
    outcome_level = found.tables["path"]["synthetic"][60:].mean()
    assert row["implied_bias"] == pytest.approx(row["estimate"] / row["level"] * outcome_level)
    assert check.implied_bias == pytest.approx(
        abs(row["implied_bias"]) / np.sqrt(found.std_error**2 - found.settings["allowance"] ** 2)
    )
    assert "tasks changed by -10" in check.message
    assert "one ruler" in check.message


def test_the_move_is_what_the_column_alone_gives() -> None:
    frame = counted(2, lost=0.05)
    row = asked(frame, "tasks").tables["negative_controls"].iloc[0]
    alone = estimate(frame, **{**ONE, "outcome": "tasks"})
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert row[name] == pytest.approx(getattr(alone, name), rel=1e-12)


def test_controls_that_stay_leave_the_answer_as_it_was() -> None:
    frame = counted(3)
    plain, found = estimate(frame, **ONE), asked(frame, "users", "tasks")
    assert found.check("negative_controls").status == "pass"
    assert (found.estimate, found.conf_low, found.conf_high) == (
        plain.estimate, plain.conf_low, plain.conf_high,
    )  # fmt: skip
    assert "negative_controls" not in plain.tables
    assert all(check.name != "negative_controls" for check in plain.checks)


def test_the_clearest_move_counts_times_their_number() -> None:
    found = asked(counted(4, lost=0.1), "users", "tasks")
    each = found.tables["negative_controls"].set_index("column")["p_value"]
    check = found.check("negative_controls")
    assert check.p_value == pytest.approx(2 * each["tasks"])
    assert "tasks (the clearest of 2)" in check.message


@pytest.mark.parametrize("estimator", ["classic", "synthetic-did", "augmented", "did", "all"])
def test_every_estimator_sees_it(estimator: str) -> None:
    found = asked(counted(1, lost=0.2), "tasks", estimator=estimator)
    assert found.check("negative_controls").status == "fail"


def test_with_predictors_the_controls_are_compared_plainly() -> None:
    frame = counted(1, lost=0.2)
    changes = {"estimator": "classic", "predictors": ["users"], "importance": "regression"}
    found = asked(frame, "tasks", **changes)
    plain = estimate(frame, **{**ONE, "outcome": "tasks", "estimator": "did"})
    assert found.tables["negative_controls"]["estimate"][0] == pytest.approx(plain.estimate)


def test_several_metrics_and_ratios_have_them_each() -> None:
    frame = counted(1, lost=0.1)
    frame["cost"] = frame["users"] * np.random.default_rng(0).uniform(0.01, 0.03, len(frame))
    found = asked(frame, "tasks", outcome=["y", "cost/users"])
    rows = found.tables["metric_checks"].query("check == 'negative_controls'")
    assert rows["metric"].tolist() == ["y", "cost/users"]
    assert rows["p_value"].nunique() == 1  # the same columns, whatever the metric


def test_one_donor_gives_a_move_without_an_error() -> None:
    found = asked(counted(1)[lambda f: f["unit"] <= "u01"], "tasks")
    check = found.check("negative_controls")
    assert check.status == "cannot-be-tested"
    assert "no standard error" in check.message


@pytest.mark.parametrize(
    "controls, changes, message",
    [
        (["y"], {}, "the outcome 'y'"),
        (["tasks", "tasks"], {}, "Name each of them once"),
        (["task"], {}, "no column 'task'"),
        (["tasks"], {"estimator": "interrupted-time-series"}, "negative_controls was given"),
    ],
)
def test_bad_requests(controls: list[str], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        asked(counted(1), *controls, **changes)


def test_the_command_reads_them(tmp_path: Path) -> None:
    app = Typer()
    app.command()(synthetic_control)
    path = tmp_path / "panel.csv"
    counted(1, lost=0.1).to_csv(path, index=False)
    flags = ["--outcome", "y", "--unit", "unit", "--time", "time", "--treated", "u00"]
    flags += ["--start", "60", "--negative-controls", "tasks,users", "--json"]
    shown = CliRunner().invoke(app, [str(path), *flags])
    assert shown.exit_code == 0, shown.output
    table = json.loads(shown.stdout)["tables"]["negative_controls"]
    assert [row["column"] for row in table] == ["tasks", "users"]


def test_the_products_moved_ruler() -> None:
    """The new version's log loses failed tasks: the rate alone can't show it, the tasks do."""
    name, seed = "synthetic-control-ruler-changes", 3
    data = generate(n_users=1000, seed=seed, scenario=name, severity=3.0, launch="pinned")
    reached = data.telemetry.query("upgraded == 1")
    columns = {"outcome": "task_completion_rate", "unit": "workspace_id", "time": "date"}
    launch = {
        "treated": sorted(reached["workspace_id"].unique()),
        "start": reached["date"].min(),
    }
    found = estimate(data.telemetry, **columns, **launch)
    told = estimate(
        data.telemetry, **columns, **launch, negative_controls=["tasks", "active_users"]
    )
    truth = data.truth["synthetic_control"]["att"]["sample"]
    assert found.verdict == "sound"
    assert not found.conf_low <= truth <= found.conf_high
    assert told.verdict == "do-not-use"
    assert told.check("negative_controls").message.startswith("The negative control tasks")
