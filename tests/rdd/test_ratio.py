"""Ratio metrics: by hand, against two regressions with the delta method, and against a truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_rdd import estimate
from noholdout_shared.errors import DataError, DesignError
from scipy import stats

RULE: dict[str, Any] = {
    "outcome": "cost",
    "denominator": "tasks",
    "running": "score",
    "cutoff": 0.6,
    "treated_side": "below",
}


def router_log(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    """Premium below 0.6: at the cutoff 3.6 dollars for 3 tasks against 2 for 2.

    Per task 1.20 against 1.00, so the ratio's effect is 0.20 there.
    """
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 1, n)
    premium = score < 0.6
    tasks = rng.poisson(np.where(premium, 3.0, 2.0) + 0.5 * (score - 0.6))
    price = np.where(premium, 1.2, 1.0)
    cost = price * tasks + rng.normal(0, 0.5, n)
    return pd.DataFrame(
        {"cost": cost, "tasks": tasks, "score": score, "team": rng.integers(0, 40, n)}
    )


def test_two_exact_ratios_by_hand() -> None:
    # Below: cost 6 + x, tasks 3 (x the score less 0): ratio 2 at the cutoff. Above: cost 5 - x,
    # tasks 5: ratio 1. Lines without noise, treated above: 1 - 2 = -1.
    x = np.concatenate([-np.arange(1, 13), np.arange(0, 12)]) / 12
    y = np.where(x < 0, 6 + x, 5 - x)
    z = np.where(x < 0, 3.0, 5.0)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": y + rng.normal(0, 1e-9, 24), "z": z, "x": x})
    found = estimate(frame, outcome="y", denominator="z", running="x", cutoff=0.0, bandwidth=1.01)
    assert found.estimate == pytest.approx(-1.0, abs=1e-6)
    assert found.estimand.endswith("outcome / z")


@pytest.mark.parametrize("cluster", [None, "team"])
def test_against_two_regressions_and_the_delta_method(cluster: str | None) -> None:
    """Both jumps as weighted least squares, their joint covariance, and the ratio's gradient."""
    frame = router_log()
    h = 0.3
    options: dict[str, Any] = {"variance": "hc0"} if cluster is None else {"cluster": cluster}
    found = estimate(frame, **RULE, bandwidth=h, inference="conventional", **options)
    ratios, variance = [], 0.0
    for below in (True, False):
        near = frame[((frame["score"] < 0.6) == below) & ((frame["score"] - 0.6).abs() < h)]
        x = near["score"].to_numpy() - 0.6
        kernel = 1 - np.abs(x) / h
        design = np.column_stack([np.ones_like(x), x])
        bread = np.linalg.inv(design.T @ (design * kernel[:, None]))
        level = (bread @ (design * kernel[:, None]).T)[0]
        fits, noise = [], []
        for name in ("cost", "tasks"):
            values = near[name].to_numpy(dtype=float)
            slope = bread @ (design * kernel[:, None]).T @ values
            fits.append(slope[0])
            noise.append(level * (values - design @ slope))
        noise = np.array(noise)
        gradient = np.array([1 / fits[1], -fits[0] / fits[1] ** 2])
        ratios.append(fits[0] / fits[1])
        if cluster is None:
            covariance = noise @ noise.T
        else:
            sums = np.array([np.bincount(near["team"], row) for row in noise])
            groups, rows = near["team"].nunique(), len(near)
            small = groups / (groups - 1) * (rows - 1) / (rows - 2)
            covariance = small * sums @ sums.T
        variance += gradient @ covariance @ gradient
    assert found.estimate == pytest.approx(ratios[0] - ratios[1], rel=1e-9)
    assert found.std_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_a_constant_denominator_divides() -> None:
    frame = router_log().assign(four=4.0)
    rule = RULE | {"denominator": "four"}
    plain = {key: value for key, value in RULE.items() if key != "denominator"}
    ratio, level = estimate(frame, **rule), estimate(frame, **plain)
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert getattr(ratio, name) == pytest.approx(getattr(level, name) / 4, rel=1e-6)


def test_intervals_hold_the_ratio() -> None:
    held = 0
    for seed in range(100):
        found = estimate(router_log(2000, seed), **RULE)
        held += found.conf_low <= 0.20 <= found.conf_high
    # 95 of 100 expected; below the 0.1% quantile of that binomial fails.
    assert stats.binom.cdf(held, 100, 0.95) > 0.001


def test_the_answer_names_the_ratio() -> None:
    found = estimate(router_log(), **RULE)
    assert "delta method" in found.inference
    assert found.settings["denominator"] == "tasks"
    assert found.plot().get_ylabel() == "cost / tasks"


def test_price_of_the_overall_ratio() -> None:
    # Uniform scores, n large: moving the cutoff up by 0.05 switches 5% of users from 2 dollars and
    # 2 tasks to 3.6 and 3. Overall now: cost 0.6 * 3.6 + 0.4 * 2 over tasks 0.6 * 3 + 0.4 * 2, the
    # slope of tasks in the score aside (it moves means by 0.05 at most).
    frame = router_log(40_000)
    found = estimate(frame, **RULE, step=0.05, smoothness=0.5)
    row = found.tables["price"].set_index("step").loc[0.05]
    moved = ((frame["score"] >= 0.6) & (frame["score"] < 0.65)).mean()
    ratio = frame["cost"].sum() / frame["tasks"].sum()
    effect = (1.6 - ratio * 1.0) / frame["tasks"].mean()  # movers' linearised effect at 0.6
    assert row["cost_low"] < moved * effect < row["cost_high"]
    assert "cost_per_extra" not in row
    assert "cost / tasks over all" in found.check("price_reach").message


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"denominator": "cost"}, DataError, "named as outcome and as denominator"),
        ({"denominator": "score"}, DataError, "also named as denominator"),
        ({"denominator": "minus"}, DataError, "negative values"),
        ({"denominator": "none_near"}, DesignError, "local mean of denominator"),
        ({"treatment": "served"}, DataError, "fuzzy design was asked of a ratio"),
    ],
)
def test_messages(options: dict[str, Any], error: type, words: str) -> None:
    frame = router_log(600)
    frame["minus"] = -frame["tasks"]
    frame["none_near"] = ((frame["score"] - 0.6).abs() > 0.35).astype(float)
    frame["served"] = (frame["score"] < 0.6).astype(int)
    with pytest.raises(error, match=words):
        estimate(frame, **(RULE | {"bandwidth": 0.2} | options))
