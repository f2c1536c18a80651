"""The command gives the same answer as the function, and refuses in one message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
from noholdout_synthetic_control import estimate
from synthetic_control.worlds import COLUMNS, launch_frame
from typer import Typer
from typer.testing import CliRunner

from noholdout.commands.synthetic_control import synthetic_control

app = Typer()
app.command()(synthetic_control)
FLAGS = ["--outcome", "y", "--unit", "unit", "--time", "time", "--start", "60"]


def csv(tmp_path: Path, frame: pd.DataFrame) -> str:
    path = tmp_path / "panel.csv"
    frame.to_csv(path, index=False)
    return str(path)


def test_json_is_the_functions_answer(tmp_path: Path) -> None:
    frame = launch_frame(1, treated=2)
    path = csv(tmp_path, frame)
    shown = CliRunner().invoke(
        app, [path, *FLAGS, "--treated", "u00", "--treated", "u01", "--json"]
    )
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    known = estimate(frame, **COLUMNS, treated=["u00", "u01"], start=60)
    assert abs(found["estimate"] - known.estimate) < 1e-9
    assert found["verdict"] == known.verdict
    assert set(found["tables"]["placebos"][0]) == {"unit", "gap", "rmspe_ratio"}


def test_plot_and_fail_on(tmp_path: Path) -> None:
    frame = launch_frame(1, units=4)
    path, picture = csv(tmp_path, frame), tmp_path / "picture.png"
    shown = CliRunner().invoke(
        app,
        [path, *FLAGS, "--treated", "u00", "--plot", str(picture), "--fail-on", "caution"],
    )
    assert shown.exit_code == 3  # four units: three donors are a caution
    assert picture.stat().st_size > 10_000


def test_no_donor_left_ends_with_4_and_one_message(tmp_path: Path) -> None:
    path = csv(tmp_path, launch_frame(1, units=2, treated=2))
    command = [sys.executable, "-m", "noholdout", "synthetic-control", path, *FLAGS]
    done = subprocess.run(
        [*command, "--treated", "u00", "--treated", "u01"], capture_output=True, text=True
    )
    assert done.returncode == 4
    assert done.stderr.startswith("DesignError: All 2 units")
    assert "Traceback" not in done.stderr
