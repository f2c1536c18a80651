"""The command: flags, JSON, pictures, refusals."""

import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError
from noholdout_uplift import estimate
from typer.testing import CliRunner
from uplift.simulated import randomised

from noholdout.cli import app
from noholdout.commands.uplift import uplift

DELIVERY = {"as_json", "report", "plot", "fail_on"}


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("uplift") / "users.csv"
    randomised(1500, seed=1)[0].assign(p=0.5).to_csv(path, index=False)
    return str(path)


ASK = ["--outcome", "y", "--treatment", "w", "--features", "tier,conf"]


def test_flags_are_the_arguments() -> None:
    flags = set(inspect.signature(uplift).parameters) - DELIVERY
    assert flags == set(inspect.signature(estimate).parameters)


def test_json_is_the_estimate(csv: str) -> None:
    result = CliRunner().invoke(app, ["uplift", csv, *ASK, "--json"], catch_exceptions=False)
    parsed = json.loads(result.stdout)
    expected = estimate(csv, outcome="y", treatment="w", features=["tier", "conf"])
    assert parsed["estimate"] == expected.estimate
    assert {t["name"] for t in parsed["tables"]["metrics"]} >= {"ate", "qini"}


def test_text_fits_eighty_columns(csv: str) -> None:
    result = CliRunner().invoke(app, ["uplift", csv, *ASK], catch_exceptions=False)
    assert "top 20% of users" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


@pytest.mark.parametrize(("given", "settled"), [("0.5", 0.5), ("p", "p")])
def test_propensity_is_a_number_or_a_column(csv: str, given: str, settled: object) -> None:
    arguments = ["uplift", csv, *ASK, "--json", "--propensity", given]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert json.loads(result.stdout)["settings"]["propensity"] == settled


def test_the_picture_is_written(csv: str, tmp_path: Path) -> None:
    target = tmp_path / "qini.png"
    arguments = ["uplift", csv, *ASK, "--plot", str(target)]
    CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert target.stat().st_size > 10_000


def test_who_gains_shows_the_features_that_matter(csv: str) -> None:
    frame = pd.read_csv(csv)
    rng = np.random.default_rng(1)
    names = [f"idle {j} {'long ' * 12}" for j in range(7)]
    frame[names] = rng.normal(size=(len(frame), 7))
    ask = {"outcome": "y", "treatment": "w", "features": ["tier", "conf", *names]}
    labels = estimate(frame, **ask, model="linear").plot_profile().get_yticklabels()
    shown = {text.get_text().split(":")[0] for text in labels}
    assert len(shown) == 6
    assert max(len(text.get_text()) for text in labels) < 70
    own = estimate(frame, outcome="y", treatment="w", scores="conf", model="linear")
    with pytest.raises(DataError, match="no segments"):
        own.plot_profile()


def test_both_pictures_say_what_they_show(csv: str) -> None:
    result = estimate(csv, outcome="y", treatment="w", features=["tier", "conf"])
    curve, deciles = result.plot(), result.plot_deciles()
    assert "share of users" in curve.get_xlabel()
    assert "points" in curve.get_ylabel()
    labels = [text.get_text() for text in deciles.get_legend().get_texts()]
    assert {"predicted", "average of all users"} <= set(labels)
