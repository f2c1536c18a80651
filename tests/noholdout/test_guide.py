"""The decision tree: every path ends, the issue's six cases lead where they must, one source."""

import inspect
import json
import os
import shlex
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from noholdout_shared.errors import DataError
from typer.testing import CliRunner

from noholdout.cli import app
from noholdout.commands.guide import guide
from noholdout.guide import load_tree, walk
from noholdout.guide.diagram import block, mermaid, replace_block
from noholdout.guide.show import shell_lines

ROOT = Path(__file__).resolve().parents[2]
TREE = load_tree()


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"rollout": "everyone"}, "synthetic_control"),
        ({"rollout": "waves"}, "did"),
        ({"rollout": "opt-in"}, "propensity"),
        ({"rollout": "threshold"}, "rdd"),
        ({"goal": "whom"}, "uplift"),
        ({"experiment": "yes"}, "plain"),
        ({"donors": "none"}, "interrupted_time_series"),
        ({"goal": "whom", "rollout": "waves"}, "did"),
        ({"rollout": "waves", "before": "no"}, "propensity"),
        ({"rollout": "threshold", "gaming": "yes", "reasons": "hidden"}, "hidden_reasons"),
    ],
)
def test_each_launch_leads_to_its_method(given: dict[str, str], outcome: str) -> None:
    assert walk(TREE, given).outcome.id == outcome


def paths(here: str, sofar: tuple[tuple[str, str], ...] = ()) -> list[tuple[tuple, str]]:
    if here in TREE.outcomes:
        return [(sofar, here)]
    question = TREE.questions[here]
    return [
        path
        for answer in question.answers
        for path in paths(answer.next, (*sofar, (question.flag, answer.key)))
    ]


def test_every_path_ends_every_outcome_is_reached_and_no_path_asks_twice() -> None:
    found = paths(TREE.start)
    assert {outcome for _, outcome in found} == set(TREE.outcomes)
    for steps, outcome in found:
        flags = [flag for flag, _ in steps]
        assert len(flags) == len(set(flags))
        assert walk(TREE, dict(steps)).outcome.id == outcome


def test_rules_out_names_methods_and_never_the_method_it_leads_to_at_once() -> None:
    for question in TREE.questions.values():
        for answer in question.answers:
            assert set(answer.rules_out) <= set(TREE.outcomes)
            assert answer.next not in answer.rules_out


def test_a_method_that_a_later_answer_brings_back_is_not_ruled_out() -> None:
    path = walk(TREE, {"rollout": "threshold", "gaming": "yes"})
    names = [name for name, _ in path.ruled_out(TREE.outcomes)]
    assert "Regression discontinuity" in names
    assert "Propensity scores" not in names


def test_the_commands_flags_are_the_trees() -> None:
    hints = typing.get_type_hints(guide)
    by_flag: dict[str, set[str]] = {}
    for question in TREE.questions.values():
        by_flag.setdefault(question.flag, set()).update(question.keys)
    parameters = [name for name in inspect.signature(guide).parameters if name in by_flag]
    assert parameters == list(by_flag)
    for flag, keys in by_flag.items():
        choices = {a for arg in typing.get_args(hints[flag]) for a in typing.get_args(arg)}
        assert choices == keys


def test_answers_that_change_nothing_are_refused() -> None:
    with pytest.raises(DataError, match=r"--donors isn't asked on this path .*rollout=waves"):
        walk(TREE, {"rollout": "waves", "donors": "none"})
    with pytest.raises(DataError, match="Add --rollout waves"):
        walk(TREE, {})
    with pytest.raises(DataError, match="--rollout is 'tuesday'"):
        walk(TREE, {"rollout": "tuesday"})


def test_assumed_answers_are_said() -> None:
    steps = walk(TREE, {"rollout": "waves"}).to_dict()["steps"]
    assert [(s["flag"], s["assumed"]) for s in steps] == [
        ("goal", True),
        ("experiment", True),
        ("rollout", False),
        ("before", True),
    ]
    text = CliRunner().invoke(app, ["guide", "--rollout", "waves"]).stdout
    assert text.count("(assumed:") == 3


def test_the_printed_command_can_be_pasted() -> None:
    text = CliRunner().invoke(app, ["guide", "--rollout", "everyone"]).stdout
    assert "--treated A \\\n" in text
    assert "\\ " not in text


def test_json_is_one_object() -> None:
    result = CliRunner().invoke(app, ["guide", "--goal", "whom", "--json"])
    assert json.loads(result.stdout)["method"] == "uplift"
    assert result.exit_code == 0


def test_an_open_question_is_asked() -> None:
    path = walk(TREE, {}, lambda question: question.keys[-1])
    assert [step.answer.key for step in path.steps] == ["whom", "no", "everyone", "none"]
    assert path.outcome.id == "interrupted_time_series"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_questions_can_be_answered_by_typing() -> None:
    import pty

    ours, theirs = pty.openpty()
    os.write(ours, b"1\n2\n9\nthreshold\n1\n")  # 9 isn't an answer: it asks again
    run = subprocess.run(
        [sys.executable, "-m", "noholdout", "guide", "--json"],
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    assert json.loads(run.stdout)["method"] == "rdd"
    assert "Type a number from 1 to 4." in run.stderr


def test_without_a_terminal_it_says_how_to_answer() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "noholdout", "guide"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert "noholdout guide --rollout waves" in run.stderr
    assert run.stdout == ""


def test_examples_are_broken_into_lines_that_paste() -> None:
    for outcome in TREE.outcomes.values():
        assert bool(outcome.example) == bool(outcome.command)
        for example in outcome.example:
            broken = shell_lines(example)
            assert max(map(len, broken.splitlines())) <= 80
            assert shlex.split(broken.replace("\\\n", "")) == shlex.split(example)


def test_the_readme_shows_this_tree() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert replace_block(text, TREE) == text, "type: python -m noholdout.guide --write README.md"
    assert mermaid(TREE) in block(TREE)


def test_the_diagram_draws_every_answer_once() -> None:
    arrows = [line for line in mermaid(TREE).splitlines() if "-->" in line]
    assert len(arrows) == sum(len(q.answers) for q in TREE.questions.values())
