"""A score that the user brought: judged without a learner, and never silently where it trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError, DesignError
from noholdout_uplift import XLearner, estimate, rank_metrics
from typer.testing import CliRunner
from uplift.simulated import randomised

from noholdout.cli import app

ASK: dict[str, Any] = {"outcome": "y", "treatment": "w", "scores": "s", "model": "linear"}


def scored(n: int = 3000, seed: int = 1, spread: float = 0.3) -> pd.DataFrame:
    """A score that follows the effect, with noise."""
    frame, effect = randomised(n, seed, spread)
    rng = np.random.default_rng(seed)
    return frame.assign(s=effect + 0.05 * rng.normal(size=n), effect=effect)


def test_every_row_judges_and_one_ranking_holds_all() -> None:
    frame = scored()
    found = estimate(frame, **ASK)
    rows = found.scores
    assert found.method == "Uplift: own score"
    assert rows["evaluated"].all() and not found.learners
    np.testing.assert_array_equal(rows["score"], frame["s"])
    by_hand = rank_metrics(frame["s"].to_numpy(), rows["aipw"].to_numpy())
    table = found.tables["metrics"].set_index("name")["estimate"]
    for name in ("ate", "autoc", "qini", "auuc"):
        assert table[name] == pytest.approx(getattr(by_hand, name), abs=1e-12)
    best = np.argsort(-frame["s"].to_numpy())[:600]
    assert found.estimate == pytest.approx(rows["aipw"].to_numpy()[best].mean(), abs=1e-12)
    truth = frame["effect"].to_numpy()[best].mean()
    assert found.conf_low < truth < found.conf_high
    assert not {"segments", "profile"} & set(found.tables)
    assert {"deciles", "qini", "toc", "policy", "contrasts", "optimism"} <= set(found.tables)


def test_only_the_order_of_the_score_matters_to_the_ranking() -> None:
    frame = scored()
    one = estimate(frame, **ASK, features=["tier", "conf"])
    other = estimate(frame.assign(s=np.exp(3 * frame["s"])), **ASK, features=["tier", "conf"])
    # The outcome models see the score too, so the AIPW scores move a little.
    assert other.estimate == pytest.approx(one.estimate, abs=0.2 * one.std_error)
    assert other.tables["segments"]["n"].equals(one.tables["segments"]["n"])
    assert set(one.tables["profile"]["feature"]) == {"tier=light", "tier=medium", "conf"}


def test_a_score_that_ranks_the_wrong_way_round_is_told_so() -> None:
    found = estimate(scored().assign(s=lambda d: -d["s"]), **ASK)
    assert found.decision.startswith("no evidence")
    assert "worse than chance" in found.decision_reason
    assert "those whom it puts last gain more" in found.decision_reason


def test_unsaid_it_cannot_be_tested_and_the_message_says_what_to_do() -> None:
    found = estimate(scored(), **ASK)
    check = found.check("held_out_scores")
    assert check.status == "cannot-be-tested"
    assert "--trained-on" in check.message
    assert found.verdict == "sound"
    assert found.settings["in_sample_top_effect"] is None
    assert found.to_dict()["tables"]["optimism"][0]["on_the_rows_that_chose"] is None


def overfitted(n: int = 4000, seed: int = 2) -> pd.DataFrame:
    """No heterogeneity at all, and a score by trees that saw the first half of the rows."""
    from sklearn.tree import DecisionTreeRegressor

    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, 3)), rng.integers(0, 2, n)
    y = x[:, 0] + 0.2 * w + rng.normal(size=n)
    half = np.arange(n) < n // 2
    learner = XLearner(model=DecisionTreeRegressor(min_samples_leaf=5, random_state=0))
    learner.fit(x[half], y[half], w[half])
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    score = learner.predict(x) + 1e-9 * rng.normal(size=n)  # no ties
    return frame.assign(w=w, y=y, s=score, seen=half.astype(int))


def test_the_check_fires_when_only_training_rows_judge() -> None:
    frame = overfitted()
    seen = frame[frame["seen"] == 1]
    dishonest = estimate(seen, **ASK, trained_on="seen")
    assert dishonest.check("held_out_scores").status == "fail"
    assert dishonest.verdict == "do-not-use"
    assert dishonest.settings["rows_left_out_that_trained"] == 0
    assert "2,000 rows trained s" in dishonest.check("held_out_scores").message
    # What the check is for: the score of pure noise looks far better than the true 0.2.
    assert dishonest.estimate > 0.2 + 5 * dishonest.std_error
    honest = estimate(frame, **ASK, trained_on="seen")
    assert honest.conf_low < 0.2 < honest.conf_high
    assert honest.check("held_out_scores").status == "pass" and honest.verdict == "sound"


def test_rows_that_trained_the_score_do_not_judge_and_are_counted() -> None:
    frame = overfitted()
    found = estimate(frame, **ASK, trained_on="seen")
    alone = estimate(frame[frame["seen"] == 0], **ASK)
    assert found.n_obs == 2000 and found.settings["rows_left_out_that_trained"] == 2000
    assert found.estimate == alone.estimate and found.std_error == alone.std_error
    # In sample: the plain difference in the top fifth of the training rows.
    seen = frame[frame["seen"] == 1].sort_values("s", ascending=False).head(400)
    gap = seen.loc[seen["w"] == 1, "y"].mean() - seen.loc[seen["w"] == 0, "y"].mean()
    assert found.settings["in_sample_top_effect"] == pytest.approx(gap, abs=1e-12)
    row = found.tables["optimism"].set_index("choice").loc["ranking"]
    assert row["removed"] == pytest.approx(gap - found.estimate)
    none = estimate(frame.assign(seen=0), **ASK, trained_on="seen")
    assert none.check("held_out_scores").status == "pass"
    assert none.n_obs == 4000


def test_a_score_by_which_the_treatment_was_given_is_no_experiment() -> None:
    frame = scored(4000, 3)
    rng = np.random.default_rng(3)
    order = frame["s"].rank(pct=True)
    frame["w"] = (rng.random(4000) < 0.1 + 0.8 * order).astype(int)
    frame["y"] = (rng.random(4000) < 0.2 + 0.4 * order).astype(int)
    found = estimate(frame, **ASK)
    assert found.check("randomised_assignment").p_value < 1e-20
    assert found.verdict != "sound"
    estimated = estimate(frame, **ASK, propensity="estimate")
    assert estimated.conf_low < 0.02 and "unmeasured_confounding" in {
        check.name for check in estimated.checks
    }


def test_decision_costs_clusters_and_bootstrap_work_on_it() -> None:
    frame = scored(3000, 4)
    frame["team"], frame["price"] = np.arange(3000) % 60, 1.0
    found = estimate(
        frame, **ASK, cluster="team", cost="price", budget=0.3, slices=["tier"], fraction=0.3
    )
    policy = found.tables["policy"].set_index("rule")
    assert policy.loc["within-budget", "cost"] == pytest.approx(0.3)
    assert found.n_clusters == 60 and found.df == 59
    drawn = estimate(frame, **ASK, inference="bootstrap", replicates=300)
    assert drawn.std_error == pytest.approx(estimate(frame, **ASK).std_error, rel=0.15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learner": "x"}, "Both scores='s' and learner='x'"),
        ({"scores": None, "features": ["conf"], "trained_on": "w"}, "without scores"),
        ({"scores": "tier"}, "holds text"),
        ({"scores": "flat"}, "puts nobody before anybody"),
        ({"scores": "y"}, "both the outcome and a score"),
        ({"trained_on": "conf"}, "isn't 0/1"),
        ({"scores": "nowhere"}, "no column 'nowhere'"),
        ({"scores": None}, "No features are named"),
    ],
)
def test_what_cannot_be_judged_is_refused(change: dict[str, Any], message: str) -> None:
    frame = scored(500).assign(flat=1.0)
    with pytest.raises((DataError, DesignError)) as caught:
        estimate(frame, **{**ASK, **change})
    assert message in str(caught.value)


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "scored.csv"
    overfitted().to_csv(path, index=False)
    asked = ["uplift", str(path), "--outcome", "y", "--treatment", "w", "--scores", "s"]
    found = CliRunner().invoke(app, [*asked, "--trained-on", "seen"], catch_exceptions=False)
    assert found.exit_code == 0 and "own score" in found.stdout
    assert max(len(line) for line in found.stdout.splitlines()) <= 80
    refused = CliRunner().invoke(app, [*asked, "--learner", "t"])
    assert refused.exit_code != 0
