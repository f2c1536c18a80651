"""The guide on data: the right design for each launch, from tests of the values; its commands run.

The launches are the generator's and real data sets with a design that the literature settled.
"""

import decimal
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from noholdout_data_generator import generate
from noholdout_shared.errors import DataError
from reference import reference_file

from noholdout import cli
from noholdout.guide.advice import Advice, advise
from noholdout.guide.answers import Answers
from noholdout.guide.columns import look
from noholdout.guide.designs.threshold import roundest
from noholdout.guide.show import paste_lines

FEATURES = "engagement_tier,signup_week,query_confidence"
USERS = generate(n_users=10_000, seed=42).users


def guided(frame: pd.DataFrame, **answers: Any) -> Advice:
    return advise(look(frame), Answers(**answers))


def found(advice: Advice) -> list[tuple[str, str]]:
    return [(design.method, design.about) for design in advice.designs]


def run(
    line: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """The JSON that a command line prints; it must exit with 0."""
    monkeypatch.setattr(sys, "argv", [*line, "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    return json.loads(said.out)


# --- the generator's clean launches ------------------------------------------------------------

# --- wherever the data is ------------------------------------------------------------------------


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


FOUR_TREATMENTS = [
    ("did", "treatment_week"),
    ("rdd", "routed_to_premium"),
    ("propensity", "prompt_variant"),
    ("uplift", "prompt_variant"),
    ("propensity", "opt_in_agent_mode"),
]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_users_table_holds_four_treatments(seed: int) -> None:
    advice = guided(generate(n_users=5_000, seed=seed).users)
    assert found(advice) == FOUR_TREATMENTS
    staged, threshold, coin, whom, opt_in = advice.designs
    assert any("not only who tried it" in line for line in staged.assumed)
    assert staged.arguments == {
        "outcome": "task_completed",
        "time": "signup_week",
        "first-treated": "treatment_week",
        "cluster": "workspace_id",
    }
    assert threshold.arguments == {
        "outcome": "task_completed",
        "running": "query_confidence",
        "cutoff": "0.85",
        "treated-side": "below",
    }
    assert coin.arguments["covariates"] == whom.arguments["features"] == FEATURES
    assert opt_in.arguments["covariates"] == FEATURES
    assert set(advice.ruled_out) == {"synthetic_control"}


@pytest.mark.parametrize(
    ("launch", "count", "extra"),
    [
        ("pinned", 40, {}),
        ("one-workspace", 1, {}),
        ("one-region", 8, {"cluster": "region"}),
        ("everyone", 50, {"estimator": "interrupted-time-series"}),
    ],
)
def test_each_launch_in_the_telemetry(
    launch: Any,
    count: int,
    extra: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry = generate(n_users=500, seed=42, launch=launch).telemetry
    telemetry.to_csv(tmp_path / "t.csv", index=False)
    advice = advise(look(str(tmp_path / "t.csv")))
    (design,) = advice.designs
    assert design.method == "synthetic_control"
    upgraded = sorted(telemetry.loc[telemetry["upgraded"] == 1, "workspace_id"].unique())
    assert design.arguments["treated"] == upgraded and len(upgraded) == count
    assert (
        design.arguments["start"]
        == str(telemetry.loc[telemetry["upgraded"] == 1, "date"].min())[:10]
    )
    assert {k: v for k, v in design.arguments.items() if k in ("cluster", "estimator")} == extra
    assert set(advice.ruled_out) == {"did", "propensity", "rdd", "uplift"}
    answer = run(design.argv(advice.location) or [], monkeypatch, capsys)
    assert answer["estimate"] == pytest.approx(0.05, abs=0.035)


def test_the_commands_for_the_users_table_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    USERS.iloc[:4_000].to_csv(tmp_path / "my users.csv", index=False)
    monkeypatch.setattr(
        sys, "argv", ["noholdout", "guide", str(tmp_path / "my users.csv"), "--yes"]
    )
    plain = run(sys.argv, monkeypatch, capsys)
    assert [design["method"] for design in plain["designs"]] == [m for m, _ in FOUR_TREATMENTS]
    assert plain["command"] == plain["designs"][0]["command"]
    for design in plain["designs"]:
        line = shlex.split(design["command"])
        if design["method"] == "uplift":
            line += ["--model", "linear"]
        answer = run(line, monkeypatch, capsys)
        assert np.isfinite(answer["estimate"])


# --- real data with a settled design ------------------------------------------------------------

REAL: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("mpdta.csv", {}, "did", {"first-treated": "first_treat", "outcome": "lemp"}),
    ("castle.csv", {}, "did", {"first-treated": "effyear", "outcome": "l_homicide"}),
    (
        "organ_donations.csv",
        {"treated": ("California",), "start": "4"},
        "did",
        {"estimator": "did", "outcome": "Rate"},
    ),
    ("california_prop99.csv", {}, "synthetic_control", {"treated": ["California"]}),
    (
        "smoking_prop99.csv",
        {"treated": ("California",), "start": "1989"},
        "synthetic_control",
        {"outcome": "cigsale"},
    ),
    (
        "basque.csv",
        {"treated": ("Basque Country (Pais Vasco)",), "start": "1970"},
        "synthetic_control",
        {"outcome": "gdpcap", "unit": "regionname", "time": "year"},
    ),
    ("rdrobust_senate.csv", {}, "rdd", {"running": "margin", "cutoff": "0", "outcome": "vote"}),
    ("headst.csv", {}, "rdd", {"running": "povrate", "cutoff": "0", "outcome": "mortHS"}),
    (
        "gov_transfers.csv",
        {},
        "rdd",
        {"running": "Income_Centered", "cutoff": "0", "treated-side": "below"},
    ),
    ("lalonde_matchit.csv", {}, "propensity", {"treatment": "treat", "outcome": "re78"}),
    (
        "darfur.csv",
        {"treatment": "directlyharmed", "outcome": "peacefactor"},
        "propensity",
        {"treatment": "directlyharmed"},
    ),
    ("nsw_mixtape.csv", {"goal": "average"}, "propensity", {"treatment": "treat"}),
    ("hillstrom_mens.csv.gz", {"goal": "whom"}, "uplift", {"treatment": "treatment"}),
]  # fmt: skip
# Slow, or (darfur) with columns that the outcome is made of: names can't tell these apart.
NOT_RUN = {"hillstrom_mens.csv.gz", "basque.csv", "darfur.csv"}


@pytest.mark.parametrize(("name", "answers", "method", "arguments"), REAL, ids=[r[0] for r in REAL])
def test_real_data_get_the_design_of_the_literature(
    name: str,
    answers: dict[str, Any],
    method: str,
    arguments: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    advice = advise(look(str(reference_file(name))), Answers(**answers))
    assert advice.best is not None
    assert advice.best.method == method
    assert advice.best.arguments.items() >= arguments.items()
    assert method not in advice.ruled_out
    line = advice.best.argv(advice.location)
    assert line is not None
    if name not in NOT_RUN:
        assert np.isfinite(run(line, monkeypatch, capsys)["estimate"])


# With --yes alone: no flag says what the file is about. After a coin flip there are two questions.
COIN = ["propensity", "uplift"]
UNASKED = {
    "california_prop99.csv": ["synthetic_control"], "castle.csv": ["did"], "headst.csv": ["rdd"],
    "gov_transfers.csv": ["rdd"], "hillstrom_mens.csv.gz": COIN, "nsw_mixtape.csv": COIN,
    "lalonde_matchit.csv": ["propensity"], "mpdta.csv": ["did"], "rdrobust_senate.csv": ["rdd"],
}  # fmt: skip


@pytest.mark.parametrize("name", UNASKED)
def test_yes_alone_names_the_design_and_its_whole_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["noholdout", "guide", str(reference_file(name)), "--yes"]
    designs = run(line, monkeypatch, capsys)["designs"]
    assert [design["method"] for design in designs] == UNASKED[name]
    assert all(design["command"] for design in designs)


def test_trainees_against_a_survey_are_compared_for_the_trainees(tmp_path: Path) -> None:
    trainees = pd.read_csv(reference_file("nsw_mixtape.csv")).query("treat == 1")
    both = pd.concat([trainees, pd.read_csv(reference_file("cps_mixtape.csv.gz"))])
    (design,) = guided(both).designs
    assert design.method == "propensity"
    assert design.arguments["estimand"] == "att"
    # the column of the survey's name decides the treatment in every row: it is no covariate
    assert "data_id" not in design.arguments["covariates"].split(",")


@pytest.mark.parametrize("name", ["smoking_prop99.csv", "basque.csv", "organ_donations.csv"])
def test_a_panel_without_a_treatment_says_what_it_needs(name: str) -> None:
    advice = advise(look(str(reference_file(name))))
    (design,) = advice.designs
    assert set(design.needs) == {"treated", "start"}
    assert design.method == ("did" if name.startswith("organ") else "synthetic_control")
    assert advice.to_dict()["command"] is None


# --- the values decide, not the names -----------------------------------------------------------


def test_the_outcome_is_never_compared_between_the_arms() -> None:
    """Shuffled outcomes hold no effect, and give the same advice."""
    shuffled = USERS.copy()
    rng = np.random.default_rng(0)
    for name in ("task_completed", "thumbs_up", "session_minutes", "cost_usd", "retained_7d"):
        shuffled[name] = rng.permutation(shuffled[name].to_numpy())
    assert guided(shuffled).to_dict() == guided(USERS).to_dict()


def test_names_that_say_nothing_change_little() -> None:
    renamed = {name: f"c{i:02d}" for i, name in enumerate(USERS.columns)}
    blind = USERS.rename(columns=renamed)
    advice = guided(blind, outcome=renamed["task_completed"])
    assert ("did", renamed["treatment_week"]) in found(advice)
    assert ("rdd", renamed["routed_to_premium"]) in found(advice)
    outcome = renamed["task_completed"]
    coin = guided(blind, outcome=outcome, treatment=renamed["prompt_variant"])
    assert [design.method for design in coin.designs] == ["propensity", "uplift"]
    # the cost of a task comes after the choice and gives it away; its name can't say so here
    chosen = guided(blind, outcome=outcome, treatment=renamed["opt_in_agent_mode"])
    assert f"all but decided by {renamed['cost_usd']}" in chosen.ruled_out["propensity"]
    logged_before = blind.drop(columns=renamed["cost_usd"])
    (opt_in,) = guided(
        logged_before, outcome=outcome, treatment=renamed["opt_in_agent_mode"]
    ).designs
    assert opt_in.name == "Opt-in"


def test_misleading_names_do_not_mislead() -> None:
    swapped = USERS.rename(
        columns={"prompt_variant": "opt_in_agent_mode", "opt_in_agent_mode": "prompt_variant"}
    )
    by_column = {d.about: d.name for d in guided(swapped).designs if d.method == "propensity"}
    assert by_column["prompt_variant"] == "Opt-in"
    assert by_column["opt_in_agent_mode"].startswith("Coin flip")


def test_a_coin_flip_that_knew_the_user_is_no_coin_flip() -> None:
    users = generate(n_users=10_000, seed=5, scenario="uplift-confounded-assignment").users
    assert ("uplift", "prompt_variant") not in found(guided(users))


def test_coin_flips_pass_and_leanings_do_not() -> None:
    """At 1% a coin fails once in a hundred; a leaning of 0.2 logits a deviation is always found."""
    called = {0.0: 0, 0.2: 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n, lean = 4_000, 0.2 * (seed % 2)
        frame = pd.DataFrame({"age": rng.normal(size=n), "plan": rng.choice(["a", "b"], n)})
        chance = 1 / (1 + np.exp(-lean * frame["age"]))
        frame["treated"] = (rng.random(n) < chance).astype(int)
        frame["outcome"] = rng.normal(size=n)
        called[lean] += guided(frame).designs[0].name.startswith("Coin flip")
    assert called[0.0] >= 18  # of 20; fewer has a chance of 1 in 1,000
    assert called[0.2] == 0


def scored(rng: np.random.Generator, n: int = 6_000) -> pd.DataFrame:
    return pd.DataFrame({"score": rng.uniform(0, 100, n), "revenue": rng.normal(size=n)})


@pytest.mark.parametrize("side", ["above", "below"])
def test_a_threshold_with_exceptions_is_found_with_its_treatment(side: str) -> None:
    rng = np.random.default_rng(3)
    frame = scored(rng)
    ruled = frame["score"] >= 62 if side == "above" else frame["score"] < 62
    frame["treated"] = np.where(rng.random(len(frame)) < 0.15, ~ruled, ruled).astype(int)
    (design,) = guided(frame).designs
    assert design.method == "rdd"
    assert float(design.arguments["cutoff"]) == pytest.approx(62, abs=1)
    assert design.arguments["treated-side"] == side
    assert design.arguments["treatment"] == "treated"


@pytest.mark.parametrize(("steep", "methods"), [(8, []), (25, ["propensity"])])
def test_a_smooth_choice_is_no_threshold(steep: float, methods: list[str]) -> None:
    """With a steep one, most of the treated have no untreated like them, and it says so."""
    rng = np.random.default_rng(4)
    frame = scored(rng)
    chance = 1 / (1 + np.exp(-(frame["score"] - 50) / steep))
    frame["treated"] = (rng.random(len(frame)) < chance).astype(int)
    advice = guided(frame)
    assert [d.method for d in advice.designs] == methods
    assert methods or "all but decided by score" in advice.ruled_out["propensity"]


def test_a_rounded_score_still_decides_and_a_group_does_not() -> None:
    rounded = generate(n_users=6_000, seed=3, scenario="rdd-rounded-scores").users
    assert ("rdd", "routed_to_premium") in found(guided(rounded))
    # no degree is less than 12 years of school: few groups, and no treatment
    rng = np.random.default_rng(6)
    school = pd.DataFrame({"years": rng.integers(4, 18, 2_000), "revenue": rng.normal(size=2_000)})
    school["nodegree"] = (school["years"] < 12).astype(int)
    school["treated"] = rng.integers(0, 2, 2_000)
    assert "rdd" not in [design.method for design in guided(school).designs]


def test_a_pile_of_equal_scores_is_no_threshold() -> None:
    """Who spent anything converted: a step, but from one value to the others."""
    rng = np.random.default_rng(5)
    frame = scored(rng)
    frame.loc[frame["score"] < 60, "score"] = 0.0
    frame["treated"] = (frame["score"] > 0).astype(int)
    assert "rdd" not in [d.method for d in guided(frame).designs]


@pytest.mark.parametrize(
    ("low", "high", "cutoff"),
    [(0.84997, 0.850002, 0.85), (-0.3, 0.2, 0.0), (617.0, 621.0, 620.0), (-8.2, -7.1, -8.0)],
)
def test_the_roundest_cutoff_that_fits(low: float, high: float, cutoff: float) -> None:
    assert roundest(low, high) == pytest.approx(cutoff)


def test_waves_by_a_switching_flag_need_a_column_of_dates() -> None:
    rows = [
        {
            "team": f"t{u:02d}",
            "week": w,
            "on": int(w >= 5 + u % 2 * 3 and u < 8),
            "tickets": u + w % 3,
        }
        for u in range(12)
        for w in range(12)
    ]
    (design,) = guided(pd.DataFrame(rows)).designs
    assert design.method == "did"
    assert "2 waves, first treated in 5 (4), 8 (4) team." in design.because[1]
    assert set(design.needs) == {"first-treated"}


def test_waves_with_a_long_history_can_have_a_twin_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    rows = [
        {"team": f"t{u:02d}", "week": w, "first_week": first, "tickets": rng.normal(u % 5, 1)}
        for u in range(16)
        for first in [{0: 12, 1: 15}.get(u % 4)]
        for w in range(20)
    ]
    path = tmp_path / "teams.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    advice = advise(look(str(path)))
    assert [design.method for design in advice.designs] == ["did", "synthetic_control"]
    for design in advice.designs:
        assert design.arguments["first-treated"] == "first_week"
        answer = run(design.argv(advice.location) or [], monkeypatch, capsys)
        assert np.isfinite(answer["estimate"])


def test_two_words_are_told_to_become_0_and_1() -> None:
    users = USERS.drop(columns=["opt_in_agent_mode", "routed_to_premium", "treated_post"])
    users = users.assign(prompt_variant=np.where(users["prompt_variant"] == 1, "new", "old"))
    assert "holds 'new' and 'old': write it as 0 and 1" in guided(users).ruled_out["uplift"]


# --- answers, questions, refusals ---------------------------------------------------------------


def test_answers_change_the_advice() -> None:
    assert ("rdd", "routed_to_premium") not in found(guided(USERS, gaming="yes"))
    assert ("propensity", "opt_in_agent_mode") not in found(guided(USERS, reasons="hidden"))
    assert ("uplift", "prompt_variant") not in found(guided(USERS, goal="average"))
    assert ("uplift", "prompt_variant") not in found(guided(USERS, experiment="no"))
    advice = guided(USERS, running="query_confidence", cutoff=0.5, treated_side="above")
    assert advice.designs[-1].arguments["cutoff"] == "0.5"


def test_only_what_the_data_cannot_say_is_asked() -> None:
    asked: list[str] = []

    def answer(flag: str, question: str, choices: Any) -> str:
        asked.append(flag)
        return str(choices[0])

    advise(look(USERS), None, answer)
    assert asked == ["outcome", "gaming", "experiment", "goal", "reasons"]
    asked.clear()
    launched = generate(n_users=300, seed=1, launch="one-workspace").telemetry
    advise(look(launched), Answers(outcome="task_completion_rate"), answer)
    assert asked == []
    design = advise(look(launched.drop(columns="upgraded")), None, answer).designs[0]
    assert asked == ["treated", "start", "outcome"]
    assert design.fit == "works"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"outcome": "task_complete"}, "no column 'task_complete'.*'task_completed'"),
        ({"treatment": "signup_week"}, "isn't 0/1"),
        ({"running": "query_confidence"}, "Only one of --running and --cutoff"),
        ({"running": "query_confidence", "cutoff": 85.0}, "No 'query_confidence' lies at or above"),
        ({"unit": "workspace_id", "time": "signup_week"}, "stand in several rows"),
        ({"unit": "workspace_id"}, "the rows are no panel"),
        ({"treated": ("ws_01",), "start": "20"}, "the rows are no panel"),
        ({"first_treated": "session_minutes"}, "holds no launch dates"),
    ],
)
def test_answers_that_do_not_fit_are_refused(answers: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        guided(USERS, **answers)


def test_an_answer_about_a_panel_is_used() -> None:
    telemetry = generate(n_users=300, seed=1, launch="one-workspace").telemetry
    early = telemetry.assign(
        plan_day=np.where(telemetry["workspace_id"] == "ws_03", 40, 999), flag=telemetry["day"] % 2
    )
    by_plan = guided(early, first_treated="plan_day", time="day", unit="workspace_id")
    assert by_plan.designs[0].arguments["treated"] == ["ws_03"]
    with pytest.raises(DataError, match=r"holds no launch dates.*constant within workspace_id"):
        guided(early, first_treated="cost_usd")
    # a flag that goes back and forth is no launch, and is not replaced by one that is
    assert "treated" not in str([d.arguments for d in guided(early, treatment="flag").designs])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--outcome", "y"], "--outcome isn't used here"),
        (["FILE", "--yes", "--rollout", "waves"], "--rollout isn't used here: the data say it"),
        (["FILE"], "there is no terminal to ask on: Which column is the outcome.*--yes"),
        (["nowhere.csv", "--yes"], "There is no file"),
        (["FILE", "--treated", "ws_01", "--yes"], "--treated and --start"),
    ],
)
def test_command_lines_that_do_not_fit_are_refused(
    line: list[str], message: str, tmp_path: Path
) -> None:
    generate(n_users=300, seed=1).telemetry.to_csv(tmp_path / "t.csv", index=False)
    words = [str(tmp_path / "t.csv") if word == "FILE" else word for word in line]
    ran = subprocess.run(
        [sys.executable, "-m", "noholdout", "guide", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert re.search(message, ran.stderr), ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_questions_about_data_can_be_answered_by_typing(tmp_path: Path) -> None:
    import pty

    USERS.iloc[:3_000].to_csv(tmp_path / "u.csv", index=False)
    ours, theirs = pty.openpty()
    os.write(ours, b"2\n1\n1\nwhom\n2\n")
    ran = subprocess.run(
        [sys.executable, "-m", "noholdout", "guide", str(tmp_path / "u.csv"), "--json"],
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    plain = json.loads(ran.stdout)
    assert plain["roles"]["outcome"] == "retained_7d"
    assert [d["method"] for d in plain["designs"]] == ["did", "rdd", "uplift"]


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
