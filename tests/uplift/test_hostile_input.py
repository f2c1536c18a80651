"""Input that could end in a traceback, a nonsense interval or a silent wrong answer."""

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError, DesignError
from noholdout_uplift import (
    XLearner,
    bootstrap_errors,
    estimate,
    least_squares_effect,
    normalised_auuc,
    normalised_qini,
    normalised_qini_by_total,
    rank_metrics,
)
from noholdout_uplift.inference import rank_metrics_of, std_errors
from noholdout_uplift.kernels.ranking import harmonic_sums
from noholdout_uplift.plan import plan
from noholdout_uplift.scored import Drawn, Scored
from noholdout_uplift.tables import segment_labels
from uplift.simulated import ARGUMENTS, randomised

LINEAR = {**ARGUMENTS, "model": "linear"}
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return randomised(1500, seed=21)[0]


@pytest.mark.parametrize("outcome", [lambda w: w, lambda w: 5 - 2 * w])
def test_an_outcome_that_the_treatment_fixes_has_no_interval(frame, outcome) -> None:
    with pytest.raises(DesignError, match=r"explains 'y' exactly.*Check how"):
        estimate(frame.assign(y=outcome(frame["w"])), **LINEAR)


@pytest.mark.parametrize("role", ["features", "scores"])
def test_a_copy_of_the_outcome_is_refused(frame: pd.DataFrame, role: str) -> None:
    named = {"features": [*ARGUMENTS["features"], "leak"]} if role == "features" else {role: "leak"}
    with pytest.raises(DataError, match="'leak' holds the same as the outcome 'y'"):
        estimate(frame.assign(leak=3 - 100 * frame["y"]), **LINEAR | named)


def test_rows_with_weight_zero_are_as_if_they_were_not_there(frame: pd.DataFrame) -> None:
    light = frame.assign(weight=np.where(np.arange(1500) % 3, 1.0, 0.0))
    found = estimate(light, weights="weight", **LINEAR)
    without = estimate(light[light["weight"] > 0], weights="weight", **LINEAR)
    assert found.estimate == without.estimate and found.std_error == without.std_error
    assert found.n_obs == 1000 and found.settings["rows_with_weight_zero"] == 500


def test_an_outcome_that_varies_only_where_nothing_counts(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="'y' is 1 in all"):
        estimate(frame.assign(weight=frame["y"]), weights="weight", **LINEAR)


def test_huge_whole_weights_need_no_huge_table(frame: pd.DataFrame) -> None:
    once = estimate(frame.assign(weight=1), weights="weight", **LINEAR)
    often = estimate(frame.assign(weight=10**12), weights="weight", **LINEAR)
    assert often.estimate == pytest.approx(once.estimate, rel=1e-9)
    assert often.std_error == pytest.approx(once.std_error, rel=1e-9)


def test_harmonic_sums_of_whole_numbers_are_the_same_either_way() -> None:
    start, end = np.array([0.0, 3.0, 10.0]), np.array([3.0, 10.0, 12.0])
    table = harmonic_sums(start, end)
    assert table[1] == pytest.approx(sum(1 / i for i in range(4, 11)), abs=1e-14)
    far = harmonic_sums(np.append(start, 12.0), np.append(end, 1e11))[:3]
    assert far == pytest.approx(table, abs=1e-13)


def test_quarters_of_times_in_seconds_have_different_names(frame: pd.DataFrame) -> None:
    seconds = 1_732_000_000 + np.arange(1500)
    labels = segment_labels(pd.Series(seconds))
    assert labels.value_counts().tolist() == [375] * 4
    assert labels.iloc[0] == "1732000000 to 1732000375"
    found = estimate(
        frame.assign(at=seconds), **LINEAR | {"features": [*ARGUMENTS["features"], "at"]}
    )
    assert found.tables["segments"].query("feature == 'at'")["n"].sum() == 1500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cost": float("inf")}, "1,500 values that aren't zero or more, for example inf"),
        ({"cost": 0.1, "budget": float("nan")}, "budget is nan"),
        ({"cost": 0.1, "budget": float("inf")}, "budget is inf"),
        ({"cost": 0.1, "budget": "a"}, "budget is 'a'"),
        ({"features": None}, "No features are named"),
        ({"outcome": None}, "outcome is None"),
        ({"treatment": ["w"]}, "treatment is .'w'."),
        ({"cost": ["price"]}, "cost is .'price'."),
        ({"propensity": ["p"]}, "propensity is .'p'."),
        ({"folds": 2.5}, "folds is 2.5"),
        ({"fraction": "0.2"}, "fraction is '0.2'"),
    ],
)
def test_values_that_cannot_be_meant(frame: pd.DataFrame, change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimate(frame, **LINEAR | change)


def test_one_column_may_stand_without_a_list(frame: pd.DataFrame) -> None:
    found = estimate(frame, **LINEAR | {"features": "conf"}, slices="tier", guardrails="y")
    assert found.settings["features"] == ["conf"]
    assert set(found.tables["slices"]["slice"]) == {"tier"}
    assert found.tables["guardrails"]["metric"].tolist() == ["y"]


def test_a_seed_below_zero_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="seed is -1"):
        estimate(frame, seed=-1, **LINEAR)


@pytest.mark.parametrize("conf_level", [0.5, 0.95, 0.999])
def test_what_would_overturn_the_answer_is_the_interval_s_distance_from_zero(
    frame: pd.DataFrame, conf_level: float
) -> None:
    found = estimate(frame, propensity="estimate", conf_level=conf_level, **LINEAR)
    nearest = max(found.conf_low, -found.conf_high, 0.0)
    message = found.check("unmeasured_confounding").message
    assert f"by {100 * nearest:.2f} points from its untreated" in message


def test_the_outcome_s_unit_changes_no_slope(frame: pd.DataFrame) -> None:
    plain, tiny = (
        estimate(frame.assign(y=frame["y"] * unit), **LINEAR).tables["calibration"]
        for unit in (1, 1e-12)
    )
    assert tiny["estimate"][1] == pytest.approx(plain["estimate"][1], rel=1e-9)
    assert tiny["p_zero"][1] == pytest.approx(plain["p_zero"][1], rel=1e-9)


@pytest.mark.parametrize("unit", [1e15, 1e-12])
def test_a_feature_s_unit_silences_no_other(frame: pd.DataFrame, unit: float) -> None:
    at = np.random.default_rng(0).normal(size=1500)
    asked = LINEAR | {"features": [*ARGUMENTS["features"], "at"]}
    plain, far = (estimate(frame.assign(at=at * u), **asked) for u in (1, unit))
    assert far.estimate == pytest.approx(plain.estimate, rel=1e-9)
    assert far.std_error == pytest.approx(plain.std_error, rel=1e-9)


def test_a_fold_of_one_cluster_is_refused(frame: pd.DataFrame) -> None:
    six = frame.assign(team=np.arange(1500) % 6)
    with pytest.raises(DesignError, match=r"6 clusters for 5 folds.*Use --folds 3 or fewer"):
        estimate(six, cluster="team", **LINEAR)
    assert estimate(six, cluster="team", folds=3, **LINEAR).df == 2
    with pytest.raises(DesignError, match="more groups is needed: at least 4"):
        estimate(six.assign(team=six["team"] % 3), cluster="team", folds=2, **LINEAR)
    own = LINEAR | {"features": [], "scores": "conf"}
    assert estimate(six, cluster="team", **own).df == 5


def test_few_clusters_a_fold_are_allowed_for() -> None:
    # Two folds of two and of three clusters, two rows each: centred within folds, the sums'
    # squares stand for 1/2 and 2/3 of their variance.
    rng = np.random.default_rng(0)
    gamma, cluster = rng.normal(size=10), np.arange(10) // 2
    fold = (cluster > 1).astype(int)
    rows = Scored(
        score=rng.normal(size=10),
        gamma=gamma,
        gamma_control=np.zeros(10),
        fold=fold,
        weight=np.ones(10),
        drawn=Drawn(cluster),
        cost=None,
        conf_level=0.95,
        df=3,
    )
    sums = np.bincount(cluster, gamma)
    means = np.array([gamma[fold == 0].mean(), gamma[fold == 1].mean()])[fold[::2]]
    squares = (sums - 2 * means) ** 2
    expected = np.sqrt(2 * squares[:2].sum() + 3 / 2 * squares[2:].sum()) / 10
    assert std_errors(rank_metrics_of(rows), rows.drawn)[0] == pytest.approx(expected)


def test_too_few_draws_are_refused_without_fitting_again(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="replicates is 0"):
        bootstrap_errors(estimate(frame, **LINEAR), replicates=0)


def test_functions_on_arrays_say_what_they_cannot_do() -> None:
    rng = np.random.default_rng(0)
    arm, zeros = np.arange(20) % 2, np.zeros(20)
    for divided in (normalised_qini, normalised_auuc, normalised_qini_by_total):
        with pytest.raises(DataError, match="curve to divide by is flat"):
            divided(zeros, arm, rng.normal(size=20))
    with pytest.raises(DataError, match="2 rows for 2 coefficients"):
        least_squares_effect(zeros[:2], arm[:2])
    with pytest.raises(DataError, match="3 rows, 1 of them missing"):
        rank_metrics(np.array([1.0, np.nan, 2.0]), np.zeros(3))
    with pytest.raises(DataError, match="The score has 0 rows"):
        rank_metrics(zeros[:0], zeros[:0])
    with pytest.raises(DataError, match="propensity lies between 0 and 0"):
        XLearner("linear").fit(rng.normal(size=(20, 1)), zeros, arm, propensity=0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"gap": "a"}, "gap is 'a'"),
        ({"gap": 1e-200}, "less than a millionth of the outcome's spread"),
        ({"folds": 2.5}, "folds is 2.5"),
        ({"rows": 1e6}, "rows is 1000000.0"),
        ({"features": ["twice"]}, "explain 'y' exactly"),
    ],
)
def test_a_plan_of_nothing(frame: pd.DataFrame, asked: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        plan(frame.assign(twice=2 * frame["y"]), outcome="y", **asked)
