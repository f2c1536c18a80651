"""What the tests of the guide on data share: a users table, its designs, and a run of a command."""

import json
import sys
from typing import Any

import pandas as pd
import pytest
from noholdout_data_generator import generate

from noholdout import cli
from noholdout.guide.advice import Advice, advise
from noholdout.guide.answers import Answers
from noholdout.guide.columns import look

FEATURES = "engagement_tier,signup_week,query_confidence"
USERS = generate(n_users=10_000, seed=42).users
FOUR_TREATMENTS = [
    ("did", "treatment_week"),
    ("rdd", "routed_to_premium"),
    ("propensity", "prompt_variant"),
    ("uplift", "prompt_variant"),
    ("propensity", "opt_in_agent_mode"),
]


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
