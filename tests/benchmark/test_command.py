"""The command, the page, a backend past one machine, and the README's worked example."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pandas as pd
import pytest
from noholdout_shared.errors import DataError
from typer.testing import CliRunner

from noholdout.benchmark import Cell, benchmark, entry, estimator, plan
from noholdout.benchmark import registry as registry_module
from noholdout.cli import app

SMALL = ["--n-users", "300", "--runs", "3"]


def run(*arguments: str, folder: Path) -> str:
    done = CliRunner().invoke(app, ["benchmark", *arguments, "--out", str(folder / "runs")])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.stdout


def test_the_tables_fit_80_columns_and_the_files_are_written(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("b.csv", "page.html", "rates.json")}
    said = run(
        "--design", "propensity", "--scenario", "clean,propensity-no-overlap", *SMALL,
        "--csv", str(files["b.csv"]), "--report", str(files["page.html"]),
        "--check-rates", str(files["rates.json"]), folder=tmp_path,
    )  # fmt: skip
    assert max(map(len, said.splitlines())) <= 80
    assert "propensity: clean, 300 users, 3 runs" in said
    assert "propensity: no-overlap at 3, 300 users, 3 runs" in said
    board = pd.read_csv(files["b.csv"], comment="#")
    assert {"naive:opted-in", "propensity"} <= set(board["estimator"])
    assert (board["runs"] == 3).all()
    assert "versions" in files["b.csv"].read_text().split("design,")[0]
    page = files["page.html"].read_text("utf-8")
    assert "<script" not in page and not re.search(r'(src|href)="https?:', page)
    assert page.count("data:image/png;base64,") == 2  # the clean cell, and the trap
    rates = json.loads(files["rates.json"].read_text())
    assert {row["scenario"] for row in rates["rates"]} == {"clean", "propensity-no-overlap"}


def test_json_is_one_object(tmp_path: Path) -> None:
    said = run("--estimator", "naive:opted-in", *SMALL, "--json", folder=tmp_path)
    shown = json.loads(said)
    assert shown["rows"][0]["estimator"] == "naive:opted-in"
    assert shown["rows"][0]["sound"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--estimator", "did:boot"], "Did you mean 'did:bootstrap'"),
        (["--design", "rct"], "There is no design 'rct'"),
        (["--scenario", "calm"], "There is no scenario 'calm'"),
        (["--design", "rdd", "--scenario", "did-pre-trends"], "belongs to rdd"),
        (["--severity", "high"], "--severity is 'high'"),
        (["--estimand", "att"], "without an estimator of your own"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        run(*arguments, *SMALL, folder=tmp_path)


def test_an_entry_point_is_scored_beside_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{Path(__file__).with_name('estimators.py')}:opted_in"

    class Point:
        name, value = "theirs", place

        def load(self) -> object:
            return estimator("propensity")(registry_module.load(place))

    monkeypatch.setattr(registry_module, "entry_points", lambda group: [Point()])
    said = run("--design", "propensity", *SMALL, "--json", folder=tmp_path)
    rows = {row["estimator"]: row for row in json.loads(said)["rows"]}
    assert rows["theirs"]["kind"] == "yours"
    assert rows["theirs"]["bias"] == rows["naive:opted-in"]["bias"]
    assert EntryPoint("theirs", "a:b", registry_module.GROUP).group == "noholdout.estimators"


def test_another_joblib_backend_gives_the_same_results(tmp_path: Path) -> None:
    batches = plan([entry("naive:opted-in")], [(Cell(n_users=200), ("propensity",))], 4)
    here = benchmark(batches, tmp_path / "here")
    there = benchmark(batches, tmp_path / "there", jobs=2, backend="threading")
    pd.testing.assert_frame_equal(
        here.drop(columns="seconds"), there.drop(columns="seconds"), check_exact=True
    )


def test_dask_takes_over_past_one_machine(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="dask isn't installed")
    batches = plan([entry("naive:opted-in")], [(Cell(n_users=200), ("propensity",))], 4)
    here = benchmark(batches, tmp_path / "here")
    with distributed.Client(n_workers=1, threads_per_worker=1, dashboard_address=None):
        there = benchmark(batches, tmp_path / "there", jobs=-1, backend="dask")
    pd.testing.assert_frame_equal(
        here.drop(columns="seconds"), there.drop(columns="seconds"), check_exact=True
    )


README = Path(__file__).parents[2] / "noholdout/benchmark/README.md"


def test_the_worked_example_runs_as_it_stands(tmp_path: Path) -> None:
    blocks = re.findall(r"```(python|bash)\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    python = [text for kind, text in blocks if kind == "python"]
    bash = [line for kind, text in blocks if kind == "bash" for line in commands(text)]
    assert python and bash
    (tmp_path / "data").mkdir()
    (tmp_path / "mypkg.py").write_text(python[0])
    tool = Path(sys.executable).with_name("noholdout")
    for command in bash:
        # The same commands on a few small data sets, so that the test takes seconds.
        short = re.sub(r"--runs \d+", "--runs 2", command.removeprefix("noholdout "))
        short = re.sub(r"--slow-runs \d+", "--slow-runs 1", short)
        more = " --n-users 600" if short.startswith(("benchmark",)) else ""
        done = subprocess.run(
            f"{tool} {short}{more}", shell=True, cwd=tmp_path, capture_output=True, text=True,
            env=os.environ | {"COLUMNS": "80"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if "mypkg.my_fn" in command:
            assert "mypkg.my_fn" in done.stdout


def commands(block: str) -> list[str]:
    """The commands of a bash block, continued lines joined."""
    return [
        line for line in block.replace("\\\n", " ").splitlines() if line.startswith("noholdout")
    ]
