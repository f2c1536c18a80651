"""Ratio metrics: each user's part by hand, scale, and what can't be one."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError
from noholdout_uplift import estimate
from noholdout_uplift.ratio import linearised

ASKED: dict[str, Any] = {
    "outcome": "done",
    "treatment": "prompt",
    "features": ["x"],
    "model": "linear",
}


def users(n: int = 2_000, seed: int = 0, more: float = 0.0) -> pd.DataFrame:
    """Tasks and tasks done; with the prompt a share ``more`` of tasks on top."""
    rng = np.random.default_rng(seed)
    x, prompt = rng.normal(size=n), rng.integers(0, 2, n)
    tasks = 1 + rng.poisson(3 * (1 + more * prompt))
    done = rng.binomial(tasks, np.clip(0.5 + 0.1 * x * prompt + 0.05 * prompt, 0, 1))
    return pd.DataFrame({"x": x, "prompt": prompt, "tasks": tasks, "done": done})


def test_parts_by_hand() -> None:
    # Untreated: R = (1 + 2) / (2 + 4) = 0.5, mean tasks 3. L = 0.5 + (y - 0.5 z) / 3:
    # 0.5 + 0/3, 0.5 + 0/3, 0.5 + 2/3, 0.5 - 1/3. The treated have 2 tasks, so a factor of 2/3.
    parts = linearised(
        np.array([1.0, 2, 3, 0]),
        np.array([2.0, 4, 2, 2]),
        np.array([0, 0, 1, 1]),
        np.full(4, 0.5),
        None,
        "z",
    )
    np.testing.assert_allclose(parts.outcome, [0.5, 0.5, 7 / 6, 1 / 6])
    assert parts.ratio == 0.5
    assert parts.moved == pytest.approx(2 / 3 - 1)
    # R' - R = 3/4 - 1/2, times the tasks' factor 2/3: the arms' difference in L.
    assert parts.outcome[2:].mean() - parts.outcome[:2].mean() == pytest.approx(2 / 3 / 4)


def test_chances_and_weights_decide_the_untreated() -> None:
    # Two untreated rows stand for 1 / 0.5 * 1 = 2 and 1 / 0.25 * 3 = 12 users.
    parts = linearised(
        np.array([1.0, 3, 5]),
        np.array([1.0, 2, 5]),
        np.array([0, 0, 1]),
        np.array([0.5, 0.75, 0.5]),
        np.array([1.0, 3, 1]),
        "z",
    )
    assert parts.ratio == pytest.approx((2 * 1 + 12 * 3) / (2 * 1 + 12 * 2))
    assert parts.moved == pytest.approx(5 / ((2 * 1 + 12 * 2) / 14) - 1)


@pytest.mark.parametrize("each", [1, 4])
def test_over_a_constant_it_is_the_plain_outcome_in_its_unit(each: int) -> None:
    frame = users().assign(tasks=each)
    plain = estimate(frame, **ASKED)
    ratio = estimate(frame, **ASKED, denominator="tasks")
    assert ratio.estimate == pytest.approx(plain.estimate / each, rel=1e-9)
    assert ratio.std_error == pytest.approx(plain.std_error / each, rel=1e-9)
    assert ratio.decision == plain.decision
    value = plain.tables["policy"]["value"] / each
    np.testing.assert_allclose(ratio.tables["policy"]["value"], value, rtol=1e-9)
    assert ratio.settings["denominator_moved"] == pytest.approx(0)
    assert {check.name: check.status for check in ratio.checks}["ratio_denominator"] == "pass"


def test_answer_is_about_the_ratio_of_all_users() -> None:
    frame = users(40_000, more=0.3)
    found = estimate(frame, **ASKED, denominator="tasks")
    sums = frame.groupby("prompt")[["done", "tasks"]].sum()
    ratio = sums["done"] / sums["tasks"]
    means = frame.groupby("prompt")["tasks"].mean()
    told = found.settings
    assert told["ratio_untreated"] == pytest.approx(ratio[0], rel=1e-12)
    assert told["denominator_moved"] == pytest.approx(means[1] / means[0] - 1, rel=1e-12)
    check = next(check for check in found.checks if check.name == "ratio_denominator")
    assert check.status == "caution" and found.verdict == "caution"
    assert f"up to {told['denominator_moved']:.0%} too small" in check.message
    ate = found.tables["metrics"].set_index("name").loc["ate"]
    expected = (ratio[1] - ratio[0]) * means[1] / means[0]
    # Four fifths of the users answer, the first fold trains; R1 - R0 alone is 5 errors away.
    assert ate["estimate"] == pytest.approx(expected, abs=1.5 * ate["std_error"])
    assert found.estimand.endswith("outcome / tasks")
    assert " points" not in found.summary()
    # The prompt adds tasks, but no success: nobody is to be told that it helps.
    idle = frame.assign(done=np.random.default_rng(1).binomial(frame["tasks"], 0.5))
    nothing = estimate(idle, **ASKED, denominator="tasks")
    assert nothing.conf_low < 0 < nothing.conf_high
    assert estimate(idle, **ASKED).conf_low > 0.1


def test_the_users_own_score_is_judged_on_the_ratio() -> None:
    frame = users(4_000).assign(trained=lambda t: (t.index < 2_000).astype(int), tasks=4)
    asked = {"outcome": "done", "treatment": "prompt", "model": "linear", "scores": "x"}
    plain, ratio = (
        estimate(frame, **asked, trained_on="trained", denominator=below)
        for below in (None, "tasks")
    )
    told = "in_sample_top_effect"
    assert ratio.settings[told] == pytest.approx(plain.settings[told] / 4, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "asked", "message"),
    [
        ({"tasks": -1}, {}, "2,000 negative values"),
        ({"tasks": 0}, {}, "'tasks' is zero for every untreated row"),
        ({}, {"denominator": "done"}, "as outcome and as denominator"),
        ({}, {"denominator": "x"}, "both the denominator and a feature"),
        ({}, {"denominator": "prompt"}, "both the denominator and the treatment"),
        ({}, {"denominator": "task"}, "tasks"),
    ],
)
def test_what_is_no_ratio(change: dict[str, Any], asked: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimate(users().assign(**change), **(ASKED | {"denominator": "tasks"} | asked))
