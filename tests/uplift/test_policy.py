"""Costs, rules, decision: linear programmes, by hand, and known worlds."""

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.errors import DataError
from noholdout_uplift import compare_learners, estimate
from noholdout_uplift.decision import NO_EVIDENCE
from noholdout_uplift.inference import simultaneous_value
from noholdout_uplift.kernels.cost_curve import cost_path, gain_along, within_budget
from scipy.optimize import linprog
from scipy.stats import norm, t
from uplift.simulated import ARGUMENTS, randomised


def world(kind: str, n: int, seed: int) -> pd.DataFrame:
    """A continuous outcome with effects of +0.4, or -0.6 for a quarter, or none at all."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    effect = {
        "none": np.full(n, 0.3),
        "sleeping dogs": np.where(x[:, 0] > 0.674, -0.6, 0.4),
        "all gain": 0.6 + 0.4 * np.tanh(x[:, 0]),
        "all lose": -0.6 + 0.4 * np.tanh(x[:, 0]),
    }[kind]
    w = rng.integers(0, 2, n)
    y = x[:, 1] + w * effect + rng.normal(size=n)
    return pd.DataFrame(x, columns=["a", "b"]).assign(w=w, y=y, cost=1 + rng.random(n))


ASK = {"outcome": "y", "treatment": "w", "features": ["a", "b"], "model": "linear"}


def test_cost_path_by_hand() -> None:
    # Ratios: 3/1 = 3, 4/2 = 2, 1/1 = 1; the last row loses and is never treated.
    # Costs per row of the four: 0.25, 0.5, 0.25. A budget of 0.5 buys the first and half of the
    # second: gain (3 + 4/2) / 4 = 1.25.
    score, cost = np.array([1.0, 4, 3, -1]), np.array([1.0, 2, 1, 1])
    path = cost_path(score, cost, np.ones(4))
    np.testing.assert_allclose(within_budget(path, 0.5), [0, 0.5, 1, 0])
    np.testing.assert_allclose(gain_along(path, score, np.array([0, 0.5, 9.0])), [0, 1.25, 2])


@pytest.mark.parametrize("ties", [False, True])
def test_the_cost_curve_is_the_linear_programmes_optimum(ties: bool) -> None:
    rng = np.random.default_rng(3)
    n = 40
    score, cost, weight = rng.normal(size=n), rng.random(n) + 0.1, rng.random(n) + 0.5
    if ties:
        score, cost = np.round(score), np.round(cost * 3) / 3 + 1
    path = cost_path(score, cost, weight)
    share = weight / weight.sum()
    for budget in (0.0, 0.05, 0.2, 0.31, 0.8, 5.0):
        best = linprog(
            -share * score, A_ub=[share * cost], b_ub=[budget], bounds=(0, 1), method="highs"
        )
        chosen = within_budget(path, budget)
        assert share @ (chosen * cost) <= budget + 1e-12
        assert share @ (chosen * score) == pytest.approx(-best.fun, abs=1e-9)
        along = gain_along(path, score, np.array([budget]))[0]
        assert along == pytest.approx(-best.fun, abs=1e-9)


def test_what_costs_nothing_is_treated_first_and_at_any_budget() -> None:
    score, cost = np.array([1.0, 5, -2]), np.array([0.0, 1, 0])
    path = cost_path(score, cost, np.ones(3))
    np.testing.assert_allclose(within_budget(path, 0.0), [1, 0, 0])
    assert gain_along(path, score, np.array([0.0]))[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("sleeping dogs", {"ship to the top"}),
        ("none", {NO_EVIDENCE}),
        ("all gain", {"ship to all"}),
        ("all lose", {"ship to nobody"}),
    ],
)
def test_known_worlds_get_their_decision(kind: str, answers: set[str]) -> None:
    for seed in (1, 2, 3):
        found = estimate(world(kind, 6000, seed), **ASK)
        assert any(found.decision.startswith(answer) for answer in answers), found.decision
        assert found.to_dict()["decision"] == found.decision
        assert found.decision in found.summary().replace("\n" + " " * 14, " ")


def test_the_shipped_share_is_near_the_best_and_its_bound_holds() -> None:
    found = estimate(world("sleeping dogs", 8000, 4), **ASK)
    rule = found.decision.removeprefix("ship to the ").replace(" ", "-")
    assert rule in {"top-60%", "top-70%", "top-80%"}
    contrasts = found.tables["contrasts"].set_index(["rule", "against"])
    row = contrasts.loc[(rule, "treat-all")]
    assert 0 < row["lower_bound"] < row["estimate"]
    # One bound for all shares lies below the single one-sided bound.
    assert row["lower_bound"] < row["estimate"] - norm.ppf(0.95) * row["std_error"]


def test_contrasts_are_differences_of_values() -> None:
    frame = world("sleeping dogs", 3000, 5).assign(today=lambda d: (d["b"] > 0).astype(int))
    found = estimate(frame, **ASK, cost="cost", budget=0.6, current="today")
    value = found.tables["policy"].set_index("rule")["value"]
    for row in found.tables["contrasts"].itertuples():
        if row.against in value:
            gap = value[row.rule] - value[row.against]
            assert row.estimate == pytest.approx(gap, abs=1e-12)
    against = found.tables["contrasts"]["against"]
    assert {"treat-none", "treat-all", "current", "random", "random-budget"} == set(against)


def test_a_budget_is_kept_and_spent() -> None:
    found = estimate(world("sleeping dogs", 4000, 6), **ASK, cost="cost", budget=0.5)
    policy = found.tables["policy"].set_index("rule")
    assert policy.loc["within-budget", "cost"] == pytest.approx(0.5, abs=1e-12)
    assert policy.loc["random-budget", "cost"] == pytest.approx(0.5, abs=1e-12)
    assert policy.loc["within-budget", "value"] > policy.loc["random-budget", "value"]
    curve = found.tables["costs"]
    assert curve["gain"].iloc[0] == 0 and curve["spend"].is_monotonic_increasing
    gain = np.interp(0.5, curve["spend"], curve["gain"])
    value = policy.loc["within-budget", "value"] - policy.loc["treat-none", "value"]
    assert gain == pytest.approx(value, abs=2e-3)  # the table's 101 points, linear between them
    affordable = found.tables["contrasts"]["rule"].unique()
    assert all(policy.loc[rule, "cost"] <= 0.5 + 1e-9 for rule in affordable)


def test_with_unit_costs_the_budget_is_a_share_of_users() -> None:
    found = estimate(world("all gain", 4000, 7), **ASK, cost=1, budget=0.3)
    policy = found.tables["policy"].set_index("rule")
    assert policy.loc["within-budget", "value"] == pytest.approx(
        policy.loc["top-30%", "value"], abs=1e-12
    )


def value_of(psi: np.ndarray, two_sided: bool = False, df: float = np.inf) -> float:
    return simultaneous_value(psi.T @ psi, 0.95, df, 1, two_sided=two_sided, draws=20_000)


def test_the_bound_of_one_contrast_is_the_one_sided_normal() -> None:
    rng = np.random.default_rng(8)
    psi = rng.normal(size=(500, 1))
    # 20,000 draws: the quantile's Monte Carlo error is about 0.015.
    assert value_of(psi) == pytest.approx(norm.ppf(0.95), abs=0.05)
    many = rng.normal(size=(500, 10))
    assert value_of(many) == pytest.approx(norm.ppf(0.95 ** (1 / 10)), abs=0.06)
    both = value_of(many, two_sided=True)
    assert both == pytest.approx(norm.ppf(0.5 + 0.95 ** (1 / 10) / 2), abs=0.06)
    same = np.repeat(psi, 10, axis=1)
    assert value_of(same) == pytest.approx(norm.ppf(0.95), abs=0.05)
    # Carried to t(9) by its tail: P(t > value) is what P(normal > bound) was.
    assert t.sf(value_of(psi, df=9), 9) == pytest.approx(0.05, abs=0.004)


def test_the_value_is_that_of_a_multiplier_bootstrap() -> None:
    rng = np.random.default_rng(9)
    psi = np.cumsum(rng.normal(size=(300, 20)), axis=1) / np.sqrt(np.arange(1, 21))
    scale = np.sqrt((psi**2).sum(axis=0))
    drawn = rng.normal(size=(20_000, 300)) @ psi / scale
    slow = np.quantile(np.abs(drawn).max(axis=1), 0.95)
    # Both quantiles are of 20,000 draws, each with a Monte Carlo error of about 0.015.
    assert value_of(psi, two_sided=True) == pytest.approx(slow, abs=0.07)


def test_bounds_hold_for_all_shares_but_for_one_rival_each() -> None:
    found = estimate(world("sleeping dogs", 4000, 18), **ASK)
    table = found.tables["contrasts"]
    for rival in ("treat-none", "treat-all"):
        family = table[table["against"] == rival]
        value = (family["estimate"] - family["lower_bound"]) / family["std_error"]
        assert np.ptp(value) < 1e-9  # one critical value a rival
        # Between one bound and as many independent ones as there are shares.
        assert norm.ppf(0.95) < value.iloc[0] < norm.ppf(0.95 ** (1 / len(family)))
    assert table.loc[table["against"] == "random", "lower_bound"].isna().all()


def test_optimism_is_what_the_table_says() -> None:
    found = estimate(world("none", 3000, 9), **ASK)
    table = found.tables["optimism"].set_index("choice")
    assert table.loc["ranking", "held_out"] == found.estimate
    removed = table["on_the_rows_that_chose"] - table["held_out"]
    np.testing.assert_allclose(table["removed"], removed)
    assert table.loc["share", "removed"] >= 0  # a maximum over shares can't lose to a choice


def test_guardrails_tell_harm_from_its_absence() -> None:
    frame = world("sleeping dogs", 6000, 10)
    rng = np.random.default_rng(10)
    frame["speed"] = rng.normal(size=6000) - 0.5 * frame["w"]
    frame["rating"] = rng.normal(size=6000)
    found = estimate(frame, **ASK, guardrails=["speed", "rating"], margin=0.1)
    table = found.tables["guardrails"].set_index("metric")
    assert table.loc["speed", "conf_high"] < 0 and table.loc["speed", "not_worse_p"] > 0.99
    assert table.loc["rating", "not_worse_p"] < 0.05
    assert (table["margin"] == 0.1).all()
    assert "speed" in found.decision_reason and "rating" not in found.decision_reason


def test_slices_show_reach_and_effect() -> None:
    frame = world("sleeping dogs", 6000, 11)
    frame["country"] = np.where(frame["a"] > 0.674, "north", "south")
    found = estimate(frame, **ASK, slices=["country"])
    table = found.tables["slices"].set_index("level")
    assert table.loc["south", "treated"] > 0.8 > 0.4 > table.loc["north", "treated"]
    assert table.loc["south", "conf_low"] < 0.4 < table.loc["south", "conf_high"]
    assert table["n"].sum() == found.settings["rows_evaluated"]


def test_a_weight_of_two_counts_twice() -> None:
    frame = world("sleeping dogs", 3000, 12)
    frame["weight"] = np.where(frame["a"] > 0, 3.0, 1.0)
    found = estimate(frame, **ASK, weights="weight")
    rows = found.scores[found.scores["evaluated"]]
    ate = found.tables["metrics"]["estimate"][0]
    assert ate == pytest.approx(np.average(rows["aipw"], weights=rows["weight"]), abs=1e-12)
    top = rows["top"] * rows["weight"]
    assert found.estimate == pytest.approx(np.average(rows["aipw"], weights=top), abs=1e-12)
    assert top.sum() == pytest.approx(0.2 * rows["weight"].sum())
    scaled = estimate(frame.assign(weight=frame["weight"] * 0.7), **ASK, weights="weight")
    assert scaled.estimate == pytest.approx(found.estimate, abs=1e-9)
    ones = estimate(frame.assign(weight=1), **ASK, weights="weight")
    plain = estimate(frame, **ASK)
    assert ones.estimate == pytest.approx(plain.estimate, abs=1e-12)
    np.testing.assert_allclose(
        ones.tables["policy"]["std_error"], plain.tables["policy"]["std_error"]
    )


def test_an_estimated_propensity_removes_measured_confounding() -> None:
    rng = np.random.default_rng(13)
    x = rng.normal(size=(8000, 2))
    w = (rng.random(8000) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(
        w=w, y=x[:, 0] ** 2 + 2 * x[:, 0] + w * 0.5 + rng.normal(size=8000)
    )
    estimated = estimate(frame, **ASK, propensity="estimate")
    ate = estimated.tables["metrics"].set_index("name").loc["ate"]
    assert ate["conf_low"] < 0.5 < ate["conf_high"]
    ignored = estimate(frame, **ASK)
    assert ignored.verdict != "sound"
    names = [check.name for check in estimated.checks]
    assert "unmeasured_confounding" in names and "randomised_assignment" not in names


def test_paired_comparison_of_learners() -> None:
    frame = world("sleeping dogs", 4000, 14)
    found = compare_learners(frame, **ASK, learners=["x", "class"])
    one, other = (estimate(frame, **ASK, learner=name) for name in ("x", "class"))
    qini = found.set_index("metric").loc["qini"]
    gap = [e.tables["metrics"]["estimate"][2] for e in (one, other)]
    assert qini["estimate"] == pytest.approx(gap[0] - gap[1], abs=1e-12)
    errors = [e.tables["metrics"]["std_error"][2] for e in (one, other)]
    assert qini["std_error"] < np.hypot(*errors)  # paired: the shared noise cancels
    same = compare_learners(frame, **ASK, learners=["x", "t"])
    # Least squares: X and T predict the same effects, so no difference and no error is left.
    assert same["estimate"].abs().max() < 1e-10


def test_calibration_of_good_and_useless_scores() -> None:
    good = estimate(world("all gain", 8000, 15), **ASK).tables["calibration"].set_index("name")
    assert good.loc["slope", "conf_low"] < 1.3 and good.loc["slope", "p_zero"] < 0.001
    none = estimate(world("none", 8000, 16), **ASK).tables["calibration"].set_index("name")
    assert none.loc["slope", "p_zero"] > 0.001
    groups = estimate(world("all gain", 8000, 15), **ASK).tables["sorted_groups"]
    top, bottom = groups["estimate"][0], groups["estimate"][4]
    assert groups["estimate"][5] == pytest.approx(top - bottom)
    assert groups["conf_low"][5] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 1.0}, "but no cost"),
        ({"budget": -1.0, "cost": 1.0}, "budget is -1"),
        ({"cost": -1.0}, "aren't zero or more"),
        ({"cost": "nowhere"}, "no column 'nowhere'"),
        ({"current": "spent"}, "outside 0 to 1"),
        ({"weights": "minus"}, "negative values"),
        ({"guardrails": ["tier"]}, "holds text"),
        ({"slices": ["nowhere"]}, "no column 'nowhere'"),
    ],
)
def test_what_cannot_be_valued_is_refused(change: dict[str, object], message: str) -> None:
    frame, _ = randomised(500, seed=17)
    frame = frame.assign(spent=2.0, minus=-1.0)
    with pytest.raises(DataError) as caught:
        estimate(frame, **{**ARGUMENTS, **change})
    assert message in str(caught.value)


def test_one_learner_is_no_comparison() -> None:
    with pytest.raises(DataError, match="needs two"):
        compare_learners(world("none", 300, 1), **ASK, learners=["x"])


def test_bands_hold_the_intervals_of_each_point() -> None:
    found = estimate(world("sleeping dogs", 3000, 19), **ASK, cost="cost", budget=0.5)
    for name, value in (("qini", "uplift"), ("toc", "toc"), ("costs", "gain")):
        table = found.tables[name]
        held = table.dropna()
        # None below 5% of the users, where too few rows stand behind a point.
        assert 0 < len(table) - len(held) <= 8
        assert (held["band_low"] <= held["conf_low"]).all()
        assert (held["band_high"] >= held["conf_high"]).all()
        wider = (held["band_high"] - held[value]) / (held["conf_high"] - held[value])
        assert np.nanmax(wider) - np.nanmin(wider) < 1e-9  # one critical value a curve
        assert 1.2 < np.nanmin(wider) < 1.8
    again = estimate(world("sleeping dogs", 3000, 19), **ASK, cost="cost", budget=0.5)
    pd.testing.assert_frame_equal(again.tables["qini"], found.tables["qini"])
