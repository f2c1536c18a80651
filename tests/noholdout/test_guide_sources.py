"""The guide reads a table wherever it is and whatever its columns are called or typed as."""

import decimal
import shlex
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from guide_cases import FOUR_TREATMENTS, USERS, found, guided, run
from noholdout_data_generator import generate

from noholdout import cli
from noholdout.guide.advice import advise
from noholdout.guide.answers import Answers
from noholdout.guide.columns import look
from noholdout.guide.show import paste_lines


@pytest.mark.parametrize("kind", ["duckdb", "folder", "url"])
def test_a_table_is_answered_like_its_frame(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "folder":
        for i, rows in enumerate(np.array_split(np.arange(len(USERS)), 3)):
            (tmp_path / "log").mkdir(exist_ok=True)
            USERS.iloc[rows].to_parquet(tmp_path / "log" / f"part-{i}.parquet")
        location = str(tmp_path / "log")
    else:
        if kind == "url":
            pytest.importorskip("ibis")
        with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
            connection.register("frame", USERS)
            connection.execute("CREATE TABLE users AS FROM frame")
        location = f"{'duckdb://' if kind == 'url' else ''}{tmp_path / 'a.duckdb'}#users"
    advice = run(["noholdout", "guide", location, "--yes"], monkeypatch, capsys)
    assert [(d["method"], d["about"]) for d in advice["designs"]] == found(guided(USERS))
    command = shlex.split(advice["designs"][1]["command"])
    assert command[2] == location
    answer = run(command, monkeypatch, capsys)
    assert answer["n_obs"] == len(USERS)


def test_a_panel_whose_dates_are_text_is_answered_and_its_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry = generate(n_users=2_000, seed=42).telemetry
    telemetry = telemetry.assign(date=telemetry["date"].astype(str)).drop(columns="day")
    telemetry.to_parquet(tmp_path / "text.parquet")
    location = str(tmp_path / "text.parquet")
    advice = run(["noholdout", "guide", location, "--yes"], monkeypatch, capsys)
    assert advice["designs"][0]["method"] == "synthetic_control"
    answer = run(shlex.split(advice["designs"][0]["command"]), monkeypatch, capsys)
    assert answer["n_obs"] > 0


def test_decimals_and_dates_of_a_driver_are_numbers_and_dates() -> None:
    days = pd.Series(pd.date_range("2025-01-01", periods=4).date, dtype=object)
    prices = pd.Series([decimal.Decimal(f"{i}.25") for i in range(4)], dtype=object)
    frame = pd.DataFrame({"day": days, "price": prices, "name": list("abcd")})
    frame["text"] = ["2025-01-01", "2025-01-02T10:00", None, "2025-01-04"]
    frame["code"] = ["2025-01-01", "2025-01-02", "2025-13-03", "other"]
    kinds = {name: column.kind for name, column in look(frame).columns.items()}
    wanted = {"day": "date", "price": "number", "name": "text", "text": "date", "code": "text"}
    assert kinds == wanted
    assert frame["day"].dtype == object, "the user's frame was changed"


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.assign(upgraded=f["upgraded"] == 1),
        lambda f: f.assign(date=pd.to_datetime(f["date"]).dt.tz_localize("Europe/Berlin")),
        lambda f: f.assign(workspace_id=f["workspace_id"].astype("category")),
        lambda f: f.sample(frac=1, random_state=1),
        lambda f: f.assign(upgraded=f["upgraded"].astype("Int64")),
    ],
    ids=["boolean", "time zone", "category", "unsorted", "nullable"],
)
def test_kinds_of_columns_do_not_matter(change: Any) -> None:
    plain = generate(n_users=300, seed=1, launch="one-workspace").telemetry
    plain["date"] = pd.to_datetime(plain["date"])
    design, same = guided(plain).designs[0], guided(change(plain)).designs[0]
    assert same.method == design.method
    assert same.arguments["treated"] == design.arguments["treated"]
    assert same.arguments["start"][:10] == design.arguments["start"]


def test_hostile_names_are_quoted_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {
        "task_completed": "done; rm -rf ~",
        "query_confidence": "$(score) 'q' --cutoff 3",
        "routed_to_premium": "übermäßig <b>",
        "opt_in_agent_mode": "a,b",
    }
    users = USERS.iloc[:4_000].rename(columns=names)
    path = tmp_path / "it's here.csv"
    users.to_csv(path, index=False)
    advice = advise(look(str(path)), Answers(outcome="done; rm -rf ~"))
    rule = next(d for d in advice.designs if d.method == "rdd")
    line = rule.argv(advice.location)
    assert line is not None
    pasted = paste_lines(line)
    assert shlex.split(pasted.replace("\\\n", "")) == line
    assert run(shlex.split(rule.to_dict(advice.location)["command"]), monkeypatch, capsys)[
        "outcome"
    ] == ("done; rm -rf ~")
    # a name with a comma can't stand in a list on the command line
    assert all("a,b" not in str(d.arguments.get("covariates", "")) for d in advice.designs)


def test_a_large_file_is_sampled_and_says_so(tmp_path: Path) -> None:
    USERS.to_parquet(tmp_path / "u.parquet")
    advice = advise(look(str(tmp_path / "u.parquet"), limit=4_000))
    assert (advice.n_rows, advice.n_looked_at) == (10_000, 4_000)
    assert found(advice) == FOUR_TREATMENTS


def test_a_command_with_a_long_list_is_printed_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    names = [f"known_before_the_launch_{i:02d}" for i in range(12)]
    frame = pd.DataFrame(rng.normal(size=(400, 12)), columns=names)
    frame = frame.assign(treated=rng.integers(0, 2, 400), revenue=rng.normal(size=400))
    frame.to_csv(tmp_path / "wide.csv", index=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", ["noholdout", "guide", str(tmp_path / "wide.csv"), "--yes"])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().out
    assert f"--covariates {','.join(names)}\n" in said


def test_ids_that_pandas_made_floats_are_typed_as_whole_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty cell anywhere in a column makes its ids floats: 418006.0."""
    telemetry = generate(n_users=500, seed=42, launch="one-workspace").telemetry
    number = telemetry["workspace_id"].str[3:].astype(float) + 418_000
    path = tmp_path / "t.csv"
    telemetry.assign(workspace_id=number).to_csv(path, index=False)
    (design,) = advise(look(str(path))).designs
    assert all("." not in unit for unit in design.arguments["treated"])
    assert np.isfinite(run(design.argv(str(path)) or [], monkeypatch, capsys)["estimate"])
