"""The front function: the truth, honesty, reproducibility, tables, refusals."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError, DesignError
from noholdout_uplift import UpliftEstimate, bootstrap_errors, estimate, in_sample_top_effect
from sklearn.linear_model import LinearRegression
from uplift.simulated import ARGUMENTS, randomised


@pytest.fixture(scope="module")
def found() -> tuple[UpliftEstimate, np.ndarray]:
    frame, effect = randomised(8000, seed=1)
    return estimate(frame, **ARGUMENTS), effect


def test_the_headline_is_the_weighted_mean_of_the_scores(
    found: tuple[UpliftEstimate, np.ndarray],
) -> None:
    result, _ = found
    scores = result.scores
    top = scores["top"].to_numpy()
    assert result.estimate == pytest.approx(np.average(scores["aipw"], weights=top), abs=1e-12)
    assert top.sum() == pytest.approx(0.2 * scores["evaluated"].sum())
    assert (top[~scores["evaluated"]] == 0).all()
    assert sorted(scores["fold"].unique()) == [1, 2, 3, 4, 5]
    assert not scores["evaluated"][scores["fold"] == 1].any()


def test_within_each_fold_the_chosen_have_the_highest_scores(
    found: tuple[UpliftEstimate, np.ndarray],
) -> None:
    for _, rows in found[0].scores.query("evaluated").groupby("fold"):
        assert rows["score"][rows["top"] > 0].min() >= rows["score"][rows["top"] < 1].max()


def test_the_ranking_finds_who_gains(found: tuple[UpliftEstimate, np.ndarray]) -> None:
    result, effect = found
    truth = np.average(effect, weights=result.scores["top"])
    assert truth > effect.mean() + 0.05
    assert result.conf_low < truth < result.conf_high
    assert np.corrcoef(result.scores["score"], effect)[0, 1] > 0.5
    assert result.verdict == "sound"


def test_tables_have_the_columns_that_scripts_rely_on(
    found: tuple[UpliftEstimate, np.ndarray],
) -> None:
    tables = found[0].tables
    ends = ["estimate", "std_error", "conf_low", "conf_high"]
    assert list(tables["metrics"]) == ["name", *ends]
    assert list(tables["metrics"]["name"]) == ["ate", "autoc", "qini", "auuc", "uplift_at_30"]
    assert list(tables["deciles"]) == ["decile", "n", "predicted", *ends]
    assert list(tables["deciles"]["decile"]) == list(range(1, 11))
    assert list(tables["qini"])[:2] == ["fraction", "uplift"]
    assert list(tables["policy"])[:6] == [
        "rule",
        "value",
        "std_error",
        "conf_low",
        "conf_high",
        "cost",
    ]
    parsed = json.loads(json.dumps(found[0].to_dict(), allow_nan=False))
    assert "scores" not in parsed
    assert parsed["tables"]["deciles"][0]["decile"] == 1


def test_the_tables_agree_with_each_other(found: tuple[UpliftEstimate, np.ndarray]) -> None:
    result, _ = found
    metrics = result.tables["metrics"].set_index("name")["estimate"]
    curve = result.tables["qini"].set_index("fraction")["uplift"]
    policy = result.tables["policy"].set_index("rule")["value"]
    assert result.tables["deciles"]["estimate"].mean() == pytest.approx(metrics["ate"], abs=1e-12)
    assert curve.loc[1.0] == pytest.approx(metrics["ate"], abs=1e-12)
    assert curve.loc[0.2] == pytest.approx(0.2 * result.estimate, abs=1e-12)
    assert curve.loc[0.3] == pytest.approx(0.3 * metrics["uplift_at_30"], abs=1e-12)
    assert policy["treat-all"] - policy["treat-none"] == pytest.approx(metrics["ate"], abs=1e-12)
    gain = policy["top-20%"] - policy["treat-none"]
    assert gain == pytest.approx(0.2 * result.estimate, abs=1e-12)
    # The curve's trapezoids against the metric: 100 points against every row.
    area = np.trapezoid(curve, curve.index)
    assert area == pytest.approx(metrics["auuc"], abs=1e-4)


def test_segments_are_unbiased_for_their_own_effects(
    found: tuple[UpliftEstimate, np.ndarray],
) -> None:
    result, effect = found
    frame, _ = randomised(8000, seed=1)
    table = result.tables["segments"].set_index(["feature", "segment"])
    for tier in ("heavy", "light", "medium"):
        row = table.loc[("tier", tier)]
        assert row["n"] == (frame["tier"] == tier).sum()
        error = row["estimate"] - effect[frame["tier"] == tier].mean()
        assert abs(error) < 4 * row["std_error"]
    profile = result.tables["profile"].set_index("feature")
    assert profile.loc["conf", "gains_most"] > profile.loc["conf", "gains_least"]


def test_in_sample_is_what_the_function_says(found: tuple[UpliftEstimate, np.ndarray]) -> None:
    frame, _ = randomised(8000, seed=1)
    naive = in_sample_top_effect(frame, **ARGUMENTS)
    assert naive == pytest.approx(found[0].settings["in_sample_top_effect"], abs=1e-12)
    assert naive > found[0].estimate
    assert f"{100 * naive:+.2f} points" in found[0].check("held_out_scores").message


def test_the_seed_decides_and_the_input_stays_as_it_was() -> None:
    frame, _ = randomised(2000, seed=2)
    before = frame.copy(deep=True)
    one, two = (estimate(frame, **ARGUMENTS, seed=3) for _ in range(2))
    other = estimate(frame, **ARGUMENTS, seed=4)
    assert one.to_dict() == two.to_dict()
    assert one.estimate != other.estimate
    pd.testing.assert_frame_equal(frame, before)


def test_the_order_of_columns_and_the_outcomes_unit_do_not_matter() -> None:
    frame, _ = randomised(2000, seed=5)
    one = estimate(frame, **ARGUMENTS, model="linear")
    scaled = frame.assign(y=100 * frame["y"] + 7)[["conf", "w", "tier", "y"]]
    other = estimate(scaled, **ARGUMENTS, model="linear")
    assert other.estimate == pytest.approx(100 * one.estimate, rel=1e-9)
    assert other.std_error == pytest.approx(100 * one.std_error, rel=1e-9)
    assert not other.proportion


def test_the_bootstrap_agrees_with_the_influence_function() -> None:
    frame, _ = randomised(3000, seed=6)
    influence = estimate(frame, **ARGUMENTS)
    bootstrap = estimate(frame, **ARGUMENTS, inference="bootstrap", replicates=800)
    assert bootstrap.estimate == influence.estimate
    # A standard error of 800 draws has itself a relative standard error of 2.5%.
    errors = [e.tables["metrics"]["std_error"].to_numpy() for e in (influence, bootstrap)]
    np.testing.assert_allclose(errors[1], errors[0], rtol=0.1)
    assert bootstrap.std_error == pytest.approx(influence.std_error, rel=0.1)
    again = bootstrap_errors(influence, replicates=800)
    assert again["top"] == bootstrap.std_error
    assert again["qini"] == errors[1][2]


def test_bootstrap_is_the_same_with_any_number_of_jobs() -> None:
    frame, _ = randomised(1000, seed=7)
    one, two = (
        estimate(frame, **ARGUMENTS, inference="bootstrap", replicates=60, jobs=j) for j in (1, 2)
    )
    assert one.std_error == two.std_error


def test_clusters_stay_in_one_fold_and_widen_the_interval() -> None:
    frame, _ = randomised(4000, seed=8)
    rng = np.random.default_rng(8)
    frame["ws"] = np.repeat([f"ws_{i:02d}" for i in range(40)], 100)
    # A shock that treated rows of a workspace share makes the rows of a cluster move together.
    shock = np.repeat(rng.normal(0, 0.5, 40), 100)
    frame["y"] = rng.normal(size=4000) + frame["w"] * shock
    rows = estimate(frame, **ARGUMENTS)
    clustered = estimate(frame, **ARGUMENTS, cluster="ws")
    assert clustered.scores.groupby(frame["ws"])["fold"].nunique().max() == 1
    assert clustered.n_clusters == 40
    assert clustered.df == 28  # 8 of the 40 workspaces stand in the first fold; four others
    assert clustered.std_error > 1.5 * rows.std_error
    widths = [e.tables["qini"].eval("conf_high - conf_low").iloc[50] for e in (rows, clustered)]
    assert widths[1] > 1.5 * widths[0]


def test_a_known_propensity_is_used() -> None:
    rng = np.random.default_rng(9)
    frame, effect = randomised(8000, seed=9)
    frame["p"] = np.where(frame["tier"] == "light", 0.8, 0.3)
    frame["w"] = (rng.random(8000) < frame["p"]).astype(int)
    base = 0.2 + 0.4 * (frame["tier"] == "light")
    frame["y"] = (rng.random(8000) < base + frame["w"] * effect / 2).astype(int)
    stated = estimate(frame, **ARGUMENTS, propensity="p")
    ignored = estimate(frame, **ARGUMENTS)
    ate = stated.tables["metrics"].iloc[0]
    assert abs(ate["estimate"] - effect.mean() / 2) < 3 * ate["std_error"]
    assert stated.check("randomised_assignment").status == "pass"
    assert ignored.check("randomised_assignment").p_value < 1e-10


def test_any_scikit_learn_regressor_will_do() -> None:
    frame, _ = randomised(2000, seed=10)
    own = LinearRegression()
    one = estimate(frame, **ARGUMENTS, model=own)
    named = estimate(frame, **ARGUMENTS, model="linear")
    assert one.estimate == pytest.approx(named.estimate, abs=1e-12)
    assert not hasattr(own, "coef_")


def test_margin_answers_not_worse_than() -> None:
    frame, _ = randomised(2000, seed=11)
    result = estimate(frame, **ARGUMENTS, margin=0.5)
    assert result.not_worse_p < 0.001


def refused(change: dict[str, Any], frame: pd.DataFrame | None = None) -> str:
    if frame is None:
        frame, _ = randomised(500, seed=12)
    with pytest.raises((DataError, DesignError)) as caught:
        estimate(frame, **{**ARGUMENTS, **change})
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": []}, "No features are named"),
        ({"features": "tier,conf"}, "no column 'tier,conf'"),
        ({"features": ["tier", "w"]}, "both the treatment and a feature"),
        ({"features": ["y"]}, "both the outcome and a feature"),
        ({"features": ["teir"]}, "Did you mean 'tier'"),
        ({"outcome": "w"}, "both the outcome and the treatment"),
        ({"treatment": "conf", "features": ["tier"]}, "isn't 0/1"),
        ({"outcome": "tier", "features": ["conf"]}, "holds text"),
        ({"learner": "q"}, "learner is 'q'"),
        ({"model": "deep"}, "model is 'deep'"),
        ({"model": 3}, "isn't a scikit-learn regressor"),
        ({"fraction": 1.0}, "fraction is 1"),
        ({"folds": 1}, "folds is 1"),
        ({"propensity": 1.0}, "outside (0, 1)"),
        ({"propensity": "nowhere"}, "no column 'nowhere'"),
        ({"inference": "magic"}, "inference is 'magic'"),
        ({"replicates": 100}, "draws nothing"),
        ({"conf_level": 95}, "conf_level is 95"),
        ({"cluster": "tier"}, "3 clusters for 5 folds"),
        ({"folds": 40}, "one of the 40 folds"),
    ],
)
def test_what_cannot_be_answered_is_refused(change: dict[str, Any], message: str) -> None:
    assert message in refused(change)


def test_bad_rows_are_refused() -> None:
    frame, _ = randomised(500, seed=13)
    assert "is 1 in all 500" in refused({}, frame.assign(y=1))
    assert "no control rows" in refused({}, frame.assign(w=1))
    assert "None of the 1 features varies" in refused({"features": ["tier"]}, frame.assign(tier=1))
    assert "missing values" in refused({}, frame.assign(conf=frame["conf"].mask(frame.index < 5)))
    assert "no rows" in refused({}, frame.iloc[:0])


def test_missing_rows_are_dropped_when_asked_and_counted() -> None:
    frame, _ = randomised(2000, seed=14)
    frame.loc[:9, "conf"] = math.nan
    result = estimate(frame, **ARGUMENTS, missing="drop")
    assert result.n_obs == 1990
    assert result.settings["rows_dropped_missing"] == 10
    assert len(result.scores) == 1990


@pytest.mark.parametrize("learner", ["t", "x"])
def test_intervals_cover_without_any_heterogeneity(learner: str) -> None:
    """Of 60 data sets without any effect, intervals miss about 3; more than 9 has p = 0.003."""
    misses = {"headline": 0, "autoc": 0}
    for seed in range(60):
        frame, _ = randomised(800, seed=100 + seed, spread=0.0)
        frame["y"] = np.random.default_rng(seed).normal(size=800)
        result = estimate(frame, **ARGUMENTS, learner=learner, model="linear")  # type: ignore[arg-type]
        autoc = result.tables["metrics"].set_index("name").loc["autoc"]
        misses["headline"] += not result.conf_low < 0 < result.conf_high
        misses["autoc"] += not autoc["conf_low"] < 0 < autoc["conf_high"]
    assert max(misses.values()) <= 9, misses


def test_quarters_are_named_by_their_ends() -> None:
    frame, _ = randomised(2000, seed=15)
    table = estimate(frame, **ARGUMENTS, model="linear").tables["segments"]
    quarters = table[table["feature"] == "conf"]
    assert quarters["segment"].iloc[0].startswith("0 to 0.2")
    assert quarters["n"].sum() == 2000
