"""What the guide asks about data, how answers change its advice, and which it refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guide_cases import USERS, found, guided
from noholdout_data_generator import generate
from noholdout_shared.errors import DataError

from noholdout.guide.advice import advise
from noholdout.guide.answers import Answers
from noholdout.guide.columns import look


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
