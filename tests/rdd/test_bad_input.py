"""Bad input ends in one message that says what is wrong and what to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_rdd import density_test, estimate
from noholdout_shared.errors import DataError, DesignError


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 1, 400)
    return pd.DataFrame(
        {
            "y": rng.normal(size=400),
            "score": score,
            "served": (score < 0.5).astype(int),
            "team": rng.integers(0, 8, 400),
        }
    )


RULE = {"outcome": "y", "running": "score", "cutoff": 0.5}


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"running": "scor"}, DataError, "no column 'scor'.*'score'"),
        ({"cutoff": float("nan")}, DataError, "cutoff is nan"),
        ({"cutoff": "0.5"}, DataError, "cutoff is '0.5'"),
        ({"cutoff": 85.0}, DesignError, "No row lies at or above the cutoff 85.*0.85 or 85"),
        ({"cutoff": 0.99}, DesignError, "Only . rows lie on one side"),
        ({"kernel": "gaussian"}, DataError, "kernel is 'gaussian'"),
        ({"selector": "ik"}, DataError, "selector is 'ik'"),
        ({"degree": 0}, DataError, "degree is 0"),
        ({"bandwidth": -1.0}, DataError, "bandwidth is -1.0"),
        ({"bandwidth": 1e-6}, DesignError, "too few different scores"),
        ({"donut": 0.0}, DataError, "donut is 0.0"),
        ({"donut": 0.6}, DesignError, "No row lies"),
        ({"inference": "bayes"}, DataError, "inference is 'bayes'"),
        ({"replicates": 500}, DataError, "draws nothing"),
        ({"outcome": "score"}, DataError, "also named as outcome"),
        ({"covariates": ["score"]}, DataError, "also named as covariates"),
        ({"design": "fuzzy"}, DataError, "without a treatment column"),
        ({"treatment": "team"}, DataError, "isn't 0/1"),
        ({"variance": "hc1", "cluster": "team"}, DataError, "together with a cluster"),
        ({"conf_level": 95}, DataError, "conf_level is 95"),
        ({"treated_side": "left"}, DataError, "treated_side is 'left'"),
        ({"outcome": ["y"]}, DataError, r"outcome is \['y'\].*one column"),
        ({"outcome": None}, DataError, "outcome is None.*one column"),
        ({"cluster": ["team"]}, DataError, r"cluster is \['team'\].*one column"),
    ],
)
def test_messages(frame: pd.DataFrame, options: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        estimate(frame, **(RULE | options))


def test_one_column_needs_no_list(frame: pd.DataFrame) -> None:
    alone, listed = (
        estimate(frame, covariates=covariates, costs=costs, **RULE)
        for covariates, costs in (("team", "served"), (["team"], ["served"]))
    )
    assert alone.estimate == listed.estimate
    assert alone.tables["price"].equals(listed.tables["price"])


def test_text_scores(frame: pd.DataFrame) -> None:
    frame["score"] = frame["score"].map("{:.3f} high".format)
    with pytest.raises(DataError, match="Running column 'score' holds text in 400"):
        estimate(frame, **RULE)


def test_missing_values_are_counted(frame: pd.DataFrame) -> None:
    frame.loc[:4, "y"] = np.nan
    with pytest.raises(DataError, match="5 of 400 rows have missing values"):
        estimate(frame, **RULE)
    assert estimate(frame, missing="drop", **RULE).settings["rows_dropped_missing"] == 5


def test_constant_outcome(frame: pd.DataFrame) -> None:
    frame["y"] = 1.0
    with pytest.raises(DataError, match="is 1 in all 400 rows"):
        estimate(frame, **RULE)


def test_two_distinct_scores_on_a_side(frame: pd.DataFrame) -> None:
    frame["score"] = np.where(frame["score"] < 0.5, np.round(frame["score"] * 2) / 5, 0.9)
    words = "'score' takes 2 different values below the cutoff 0.5: too few different scores"
    with pytest.raises(DesignError, match=words):
        estimate(frame, **RULE)


def test_treatment_that_does_not_jump(frame: pd.DataFrame) -> None:
    frame["served"] = np.arange(400) == 7
    frame.loc[7, "score"] = 0.001  # the only treated row lies far from the cutoff
    with pytest.raises(DesignError, match="doesn't jump"):
        estimate(frame, treatment="served", bandwidth=0.2, **RULE)


def test_one_cluster(frame: pd.DataFrame) -> None:
    frame["team"] = 1
    with pytest.raises(DesignError, match="1 cluster"):
        estimate(frame, cluster="team", **RULE)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"fit": "joint"}, DataError, "fit is 'joint'"),
        ({"variance": "hc1"}, DataError, "variance is 'hc1'"),
        ({"bandwidth": 0.0}, DataError, "bandwidth is 0.0"),
        ({"running": None}, DataError, "running is None"),
        ({"bandwidth": 1e-6}, DesignError, "too few different scores"),
        ({"cutoff": 85.0}, DesignError, "No row lies at or above"),
    ],
)
def test_density_messages(frame: pd.DataFrame, options: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        density_test(frame, **({"running": "score", "cutoff": 0.5} | options))
