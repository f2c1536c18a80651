"""Planning: power against the reference, and against what later happens."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_rdd import estimate, plan
from noholdout_shared.errors import DataError, DesignError
from reference import reference_file


def yesterday(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.beta(4, 2, n)
    done = (rng.random(n) < 0.3 + 0.4 * score).astype(int)
    return pd.DataFrame({"score": score, "done": done})


RULE: dict[str, Any] = {"running": "score", "cutoff": 0.7}


def test_power_on_the_senate_data() -> None:
    # rdpower 2.x, tau = 5: 0.818991.
    frame = pd.read_csv(reference_file("rdrobust_senate.csv"))
    found = plan(frame, running="margin", cutoff=0.0, outcome="vote", effect=5.0, missing="drop")
    assert found.power_at_effect == pytest.approx(0.818991, abs=1e-6)


def test_expected_error_is_the_estimates_own() -> None:
    frame = yesterday()
    found = plan(frame, outcome="done", **RULE)
    assert found.std_error == pytest.approx(estimate(frame, outcome="done", **RULE).std_error)
    # (1.959964 + 0.841621) standard errors at 95% and 80%
    assert found.smallest_effect == pytest.approx(2.801585 * found.std_error, rel=1e-6)


def test_more_rows_shrink_the_smallest_effect() -> None:
    found = plan(yesterday(), outcome="done", rows=32_000, **RULE)
    small = plan(yesterday(), outcome="done", rows=1000, **RULE)
    # 32 times the rows: 32^(-2/5) = 1/4 of the error
    assert found.smallest_effect == pytest.approx(small.smallest_effect / 4)
    assert list(found.table["rows"]) == [16_000, 32_000, 64_000, 128_000, 256_000]


def test_what_was_planned_happens() -> None:
    # The expected error from 4,000 rows, for 16,000: within a fifth of what 16,000 rows show.
    promised = plan(yesterday(), outcome="done", rows=16_000, **RULE).std_error
    shown = [estimate(yesterday(16_000, seed), outcome="done", **RULE).std_error for seed in (1, 2)]
    assert promised == pytest.approx(float(np.mean(shown)), rel=0.2)


def test_without_an_outcome_its_deviation_stands_in() -> None:
    frame = yesterday()
    scores = frame[["score"]]
    found = plan(scores, outcome_sd=0.5, effect=0.1, bandwidth=0.1, **RULE)
    twice = plan(scores, outcome_sd=1.0, effect=0.1, bandwidth=0.1, **RULE)
    assert twice.std_error == pytest.approx(2 * found.std_error)
    assert 0 < twice.power_at_effect < found.power_at_effect < 1
    # The same bandwidth with the real outcome, whose deviation is about 0.49.
    real = plan(frame, outcome="done", bandwidth=0.1, **RULE)
    assert found.std_error == pytest.approx(real.std_error, rel=0.15)
    assert plan(scores, outcome_sd=0.5, **RULE).smallest_effect > 0


def test_a_heap_at_the_cutoff_is_seen_before_the_launch() -> None:
    frame = yesterday()
    near = frame["score"].between(0.7, 0.75) & (np.random.default_rng(1).random(4000) < 0.6)
    heaped = frame.assign(score=frame["score"].mask(near, 1.4 - frame["score"]))
    checks = {c.name: c.status for c in plan(heaped, outcome="done", **RULE).checks}
    assert "fail" in (checks["density"], checks["binomial"])


def test_text_and_json() -> None:
    found = plan(yesterday(), outcome="done", effect=0.05, **RULE)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["plan"] == "rdd"
    assert "could find" in found.summary() and "power" in found.summary()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, DataError, "Exactly one of outcome"),
        ({"outcome": "done", "outcome_sd": 1.0}, DataError, "Exactly one of outcome"),
        ({"outcome_sd": 1.0, "cluster": "score"}, DataError, "needs yesterday's outcome"),
        ({"outcome": "done", "power": 80}, DataError, "power is 80"),
        ({"outcome": "done", "effect": 0.0}, DataError, "effect is 0.0"),
        ({"outcome": "done", "power": "80%"}, DataError, "power is '80%'"),
        ({"outcome": "done", "effect": "5"}, DataError, "effect is '5'"),
        ({"outcome": "done", "rows": 3}, DataError, "rows is 3"),
        ({"outcome": "done", "rows": 100.5}, DataError, "rows is 100.5.*a whole number"),
        ({"outcome": "done", "rows": float("nan")}, DataError, "rows is nan"),
        ({"outcome": "done", "cutoff": 7.0}, DesignError, "No row lies"),
    ],
)
def test_bad_plans(options: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        plan(yesterday(400), **(RULE | options))


def test_few_clusters_widen_the_plan_as_they_widen_the_estimate() -> None:
    # Eight clusters within the bandwidth, each on both sides: t with 7 degrees of freedom,
    # t(0.975) = 2.364624 and t(0.8) = 0.896030 where the normal law has 1.959964 and 0.841621.
    frame = yesterday().assign(team=np.arange(4000) % 8)
    found = plan(frame, outcome="done", cluster="team", effect=0.1, **RULE)
    assert found.smallest_effect == pytest.approx(3.260654 * found.std_error, rel=1e-6)
    at_smallest = plan(frame, outcome="done", cluster="team", effect=found.smallest_effect, **RULE)
    assert at_smallest.power_at_effect == pytest.approx(0.8, abs=0.001)
    plain = plan(frame, outcome="done", **RULE)
    assert plain.smallest_effect == pytest.approx(2.801585 * plain.std_error, rel=1e-6)


def test_a_coarse_score_is_planned_as_it_would_be_estimated() -> None:
    frame = yesterday()
    coarse = frame.assign(score=np.floor(frame["score"] * 10) / 10 + 0.05)
    found = plan(coarse, outcome="done", **RULE)
    expected = estimate(coarse, outcome="done", **RULE).std_error
    assert found.std_error == pytest.approx(expected, rel=1e-9)
    assert found.checks[0].status == "fail"


def test_a_side_of_one_cluster_has_no_plan() -> None:
    frame = yesterday().assign(team=lambda rows: (rows["score"] >= 0.7).astype(int))
    with pytest.raises(DesignError, match="belong to one cluster"):
        plan(frame, outcome="done", cluster="team", bandwidth=0.2, **RULE)
