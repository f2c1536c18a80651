"""Learners side by side: paired tests, the sentence about them, any model under every learner."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.checks import holm
from noholdout_shared.errors import DataError
from noholdout_uplift import compare_learners, estimate
from noholdout_uplift.estimators.choices import LEARNERS
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor
from typer.testing import CliRunner

from noholdout.cli import app


def loud(n: int, seed: int, spread: float = 1.0) -> pd.DataFrame:
    """An outcome whose level dwarfs its effects, which class transformation can't bear."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, 2)), rng.integers(0, 2, n)
    y = 20 + 3 * x[:, 1] + w * (0.5 + spread * x[:, 0]) + rng.normal(size=n)
    return pd.DataFrame(x, columns=["a", "b"]).assign(w=w, y=y, g=np.arange(n) % 50)


ASK: dict[str, Any] = {
    "outcome": "y",
    "treatment": "w",
    "features": ["a", "b"],
    "model": "linear",
}


def test_all_learners_stand_side_by_side_and_the_headline_is_the_defaults() -> None:
    frame = loud(3000, 1)
    every = estimate(frame, **ASK, learner="all")
    default = estimate(frame, **ASK)
    assert every.estimate == default.estimate and every.method == default.method
    assert every.settings["learner"] == "all" and default.settings["learner"] == "x"
    table = every.tables["estimators"].set_index("estimator")
    assert len(table) == len(LEARNERS) == 6
    for name, label in (("t", "T-learner"), ("class", "class transformation"), ("s", "S-learner")):
        one = estimate(frame, **ASK, learner=name)
        assert table.loc[label, "estimate"] == pytest.approx(one.estimate, abs=1e-12)
        qini = one.tables["metrics"].set_index("name").loc["qini"]
        assert table.loc[label, "qini"] == pytest.approx(qini["estimate"], abs=1e-12)
        if np.isfinite(qini["std_error"]):
            assert table.loc[label, "qini_std_error"] == pytest.approx(qini["std_error"])
    assert "estimators" not in default.tables


def test_the_pairs_are_those_of_the_comparison() -> None:
    frame = loud(2000, 2)
    pairs = estimate(frame, **ASK, learner="all").tables["comparisons"]
    assert len(pairs) == 15 * 5
    some = compare_learners(frame, **ASK, learners=["x", "class"])
    both = pairs[(pairs["first"] == "x") & (pairs["second"] == "class")].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        some.drop(columns="p_adjusted"), both.drop(columns="p_adjusted"), rtol=1e-9
    )
    qini = pairs[pairs["metric"] == "qini"]
    np.testing.assert_allclose(qini["p_adjusted"], holm(qini["p_value"].fillna(1.0).tolist()))


def test_the_sentence_names_the_worst_and_its_habit_when_that_is_shown() -> None:
    found = estimate(loud(4000, 3), **ASK, learner="all")
    text = found.why_learners_differ
    # Least squares without interactions gives everybody one effect: the S-learner ranks nobody.
    assert text is not None and "ranks better than the S-learner (paired, Holm p < 0.001)" in text
    assert "effects shrink towards each other" in text
    assert text in found.summary(400).replace("\n", " ")
    assert json.loads(json.dumps(found.to_dict()))["why_learners_differ"] == text
    none = estimate(loud(600, 4, spread=0.0), **ASK, learner="all").why_learners_differ
    assert none is not None and "no pair is shown to differ" in none
    assert estimate(loud(600, 4), **ASK).why_learners_differ is None


def test_learners_that_rank_alike_do_not_differ() -> None:
    pairs = estimate(loud(1000, 5), **ASK, learner="all").tables["comparisons"]
    alike = pairs[(pairs["first"] == "t") & (pairs["second"] == "x")]
    assert alike["estimate"].abs().max() < 1e-10
    assert (alike["p_adjusted"] > 0.05).all()


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(
    "model",
    [
        RandomForestRegressor(n_estimators=5, min_samples_leaf=20, random_state=0),
        Ridge(),
        DecisionTreeRegressor(max_depth=3),
    ],
    ids=["forest", "ridge", "tree"],
)
def test_any_regressor_under_every_learner(learner: Any, model: Any) -> None:
    frame = loud(1500, 6)
    found = estimate(frame, **{**ASK, "model": model}, learner=learner)
    assert found.conf_low < found.estimate < found.conf_high
    assert len(found.learners) == 5
    if learner not in ("s", "class"):
        assert found.scores["score"].corr(frame["a"]) > 0.3


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_regressor_without_weights_serves_where_none_are_needed(learner: Any) -> None:
    ask = {**ASK, "model": KNeighborsRegressor(20)}
    if learner == "r":
        with pytest.raises(DataError, match=r"takes no sample_weight.*ignore"):
            estimate(loud(600, 7), **ask, learner=learner)
    else:
        assert np.isfinite(estimate(loud(600, 7), **ask, learner=learner).estimate)
    with pytest.raises(DataError, match="takes no sample_weight"):
        estimate(loud(600, 7).assign(k=2.0), **ask, learner=learner, weights="k")


class Counting(RegressorMixin, BaseEstimator):
    """Notes how many OpenMP and BLAS threads it may use."""

    seen: ClassVar[set[int]] = set()

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Counting":
        from threadpoolctl import threadpool_info

        Counting.seen |= {pool["num_threads"] for pool in threadpool_info()}
        self.mean_ = y.mean()
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), self.mean_) + 1e-3 * x[:, 0]


def test_models_are_fitted_on_one_thread_and_the_threads_come_back() -> None:
    from threadpoolctl import threadpool_info, threadpool_limits

    with threadpool_limits(2):
        before = [pool["num_threads"] for pool in threadpool_info()]
        estimate(loud(400, 8), **{**ASK, "model": Counting()}, learner="t")
        assert Counting.seen == {1}
        assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_the_command_compares_all(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    loud(800, 9).to_csv(path, index=False)
    asked = ["uplift", str(path), "--outcome", "y", "--treatment", "w", "--features", "a,b"]
    asked += ["--learner", "all", "--model", "linear"]
    shown = CliRunner().invoke(app, asked, catch_exceptions=False).stdout
    assert "DR-learner" in shown and "learners" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    plain = json.loads(CliRunner().invoke(app, [*asked, "--json"], catch_exceptions=False).stdout)
    assert {row["metric"] for row in plain["tables"]["comparisons"]} >= {"top", "qini", "autoc"}
