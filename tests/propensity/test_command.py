"""The command: JSON alone on stdout, exit codes, and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from propensity.samples import simulate
from typer.testing import CliRunner

from noholdout.cli import app

ARGUMENTS = ["--outcome", "y", "--treatment", "d", "--covariates", "a,b,tier"]


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "users.csv"
    simulate(1000).to_csv(path, index=False)
    return str(path)


def test_json_and_plot(table: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    result = CliRunner().invoke(
        app, ["propensity", table, *ARGUMENTS, "--json", "--plot", str(picture)]
    )
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert list(answer["tables"]["balance"][0]) == [
        "covariate",
        "smd_before",
        "smd_after",
        "variance_ratio_before",
        "variance_ratio_after",
    ]
    assert list(answer["tables"]["weights"][0]) == ["group", "n", "effective_n"]
    assert picture.stat().st_size > 10_000


def test_fail_on(tmp_path: Path) -> None:
    frame = simulate(1000)
    frame.loc[frame["tier"] == "heavy", "d"] = 1
    path = tmp_path / "users.csv"
    frame.to_csv(path, index=False)
    result = CliRunner().invoke(
        app, ["propensity", str(path), *ARGUMENTS, "--fail-on", "do-not-use"]
    )
    assert result.exit_code == 3


def test_the_audit_prints_its_page(table: str) -> None:
    result = CliRunner().invoke(app, ["propensity", table, *ARGUMENTS, "--audit"])
    assert result.exit_code == 0
    assert "3. All estimators side by side" in result.stdout
    answer = CliRunner().invoke(app, ["propensity", table, *ARGUMENTS, "--audit", "--json"])
    assert len(json.loads(answer.stdout)["tables"]["estimators"]) == 6


def test_the_audit_abstains(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    simulate(2000, strength=6).to_csv(path, index=False)
    result = CliRunner().invoke(
        app, ["propensity", str(path), *ARGUMENTS, "--audit", "--fail-on", "do-not-use"]
    )
    assert result.exit_code == 3
    assert "No answer" in result.stdout
    assert "interval" not in result.stdout


def test_plan(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    simulate(200).assign(e=0.4).to_csv(path, index=False)
    result = CliRunner().invoke(
        app, ["plan", "propensity", str(path), "--outcome", "y", "--score", "e", "--effect", "0.5"]
    )
    assert result.exit_code == 0
    assert "of them opted in" in result.stdout


def test_pictures() -> None:
    import matplotlib.pyplot as plt
    from noholdout_propensity import estimate

    answer = estimate(
        simulate(800), outcome="y", treatment="d", covariates=["a", "b", "tier"], audit=True
    )
    assert len(answer.plot().figure.axes) == 4
    estimators = answer.plot_estimators()
    assert next(label.get_text() for label in estimators.get_yticklabels()) == "naive"
    balance = answer.plot_balance()
    assert len(balance.get_yticklabels()) == len(answer.tables["balance"])
    plt.close("all")


def test_long_categories_keep_their_levels_apart_in_the_love_plot() -> None:
    from noholdout_propensity.plot import covariate_label

    assert covariate_label("tier=heavy") == "tier=heavy"
    long = "a_category_with_a_rather_long_name_indeed"
    labels = [covariate_label(f"{long}={level}") for level in ("small", "enterprise with support")]
    assert labels[0].endswith("=small") and "=enterprise" in labels[1]
    assert max(map(len, labels)) <= 32
    assert covariate_label(long).endswith("…")


def test_landmarks_near_to_each_other_share_a_name() -> None:
    import pandas as pd
    from noholdout_propensity.plot import landmarks

    last = pd.DataFrame(
        {
            "covariate": ["a", "b", "c"],
            "times": [3.0, 2.0, 3.0],
            "r2_treatment": [0.01, 0.02, 0.9],
            "r2_outcome": [0.010, 0.011, 0.5],
        }
    )
    found = landmarks(last, width=1.0, height=1.0)
    assert found == [((0.9, 0.5), "3 x c"), ((0.02, 0.011), "2 x b, 3 x a")]
