"""The guide's evidence is in the values, never in names or in what became of the treated."""

import numpy as np
import pandas as pd
import pytest
from guide_cases import USERS, found, guided
from noholdout_data_generator import generate

from noholdout.guide.columns import look, outcome_rank
from noholdout.guide.designs.threshold import roundest


def test_the_outcome_is_never_compared_between_the_arms() -> None:
    """Shuffled outcomes hold no effect, and give the same advice."""
    shuffled = USERS.copy()
    rng = np.random.default_rng(0)
    for name in ("task_completed", "thumbs_up", "session_minutes", "cost_usd", "retained_7d"):
        shuffled[name] = rng.permutation(shuffled[name].to_numpy())
    assert guided(shuffled).to_dict() == guided(USERS).to_dict()


def test_names_that_say_nothing_change_little() -> None:
    renamed = {name: f"c{i:02d}" for i, name in enumerate(USERS.columns)}
    blind = USERS.rename(columns=renamed)
    advice = guided(blind, outcome=renamed["task_completed"])
    assert ("did", renamed["treatment_week"]) in found(advice)
    assert ("rdd", renamed["routed_to_premium"]) in found(advice)
    outcome = renamed["task_completed"]
    coin = guided(blind, outcome=outcome, treatment=renamed["prompt_variant"])
    assert [design.method for design in coin.designs] == ["propensity", "uplift"]
    # the cost of a task comes after the choice and gives it away; its name can't say so here
    chosen = guided(blind, outcome=outcome, treatment=renamed["opt_in_agent_mode"])
    assert f"all but decided by {renamed['cost_usd']}" in chosen.ruled_out["propensity"]
    logged_before = blind.drop(columns=renamed["cost_usd"])
    (opt_in,) = guided(
        logged_before, outcome=outcome, treatment=renamed["opt_in_agent_mode"]
    ).designs
    assert opt_in.name == "Opt-in"


def test_misleading_names_do_not_mislead() -> None:
    swapped = USERS.rename(
        columns={"prompt_variant": "opt_in_agent_mode", "opt_in_agent_mode": "prompt_variant"}
    )
    by_column = {d.about: d.name for d in guided(swapped).designs if d.method == "propensity"}
    assert by_column["prompt_variant"] == "Opt-in"
    assert by_column["opt_in_agent_mode"].startswith("Coin flip")


def test_a_coin_flip_that_knew_the_user_is_no_coin_flip() -> None:
    users = generate(n_users=10_000, seed=5, scenario="uplift-confounded-assignment").users
    assert ("uplift", "prompt_variant") not in found(guided(users))


def test_coin_flips_pass_and_leanings_do_not() -> None:
    """At 1% a coin fails once in a hundred; a leaning of 0.2 logits a deviation is always found."""
    called = {0.0: 0, 0.2: 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n, lean = 4_000, 0.2 * (seed % 2)
        frame = pd.DataFrame({"age": rng.normal(size=n), "plan": rng.choice(["a", "b"], n)})
        chance = 1 / (1 + np.exp(-lean * frame["age"]))
        frame["treated"] = (rng.random(n) < chance).astype(int)
        frame["outcome"] = rng.normal(size=n)
        called[lean] += guided(frame).designs[0].name.startswith("Coin flip")
    assert called[0.0] >= 18  # of 20; fewer has a chance of 1 in 1,000
    assert called[0.2] == 0


def scored(rng: np.random.Generator, n: int = 6_000) -> pd.DataFrame:
    return pd.DataFrame({"score": rng.uniform(0, 100, n), "revenue": rng.normal(size=n)})


@pytest.mark.parametrize("side", ["above", "below"])
def test_a_threshold_with_exceptions_is_found_with_its_treatment(side: str) -> None:
    rng = np.random.default_rng(3)
    frame = scored(rng)
    ruled = frame["score"] >= 62 if side == "above" else frame["score"] < 62
    frame["treated"] = np.where(rng.random(len(frame)) < 0.15, ~ruled, ruled).astype(int)
    (design,) = guided(frame).designs
    assert design.method == "rdd"
    assert float(design.arguments["cutoff"]) == pytest.approx(62, abs=1)
    assert design.arguments["treated-side"] == side
    assert design.arguments["treatment"] == "treated"


@pytest.mark.parametrize(("steep", "methods"), [(8, []), (25, ["propensity"])])
def test_a_smooth_choice_is_no_threshold(steep: float, methods: list[str]) -> None:
    """With a steep one, most of the treated have no untreated like them, and it says so."""
    rng = np.random.default_rng(4)
    frame = scored(rng)
    chance = 1 / (1 + np.exp(-(frame["score"] - 50) / steep))
    frame["treated"] = (rng.random(len(frame)) < chance).astype(int)
    advice = guided(frame)
    assert [d.method for d in advice.designs] == methods
    assert methods or "all but decided by score" in advice.ruled_out["propensity"]


def test_a_rounded_score_still_decides_and_a_group_does_not() -> None:
    rounded = generate(n_users=6_000, seed=3, scenario="rdd-rounded-scores").users
    assert ("rdd", "routed_to_premium") in found(guided(rounded))
    # no degree is less than 12 years of school: few groups, and no treatment
    rng = np.random.default_rng(6)
    school = pd.DataFrame({"years": rng.integers(4, 18, 2_000), "revenue": rng.normal(size=2_000)})
    school["nodegree"] = (school["years"] < 12).astype(int)
    school["treated"] = rng.integers(0, 2, 2_000)
    assert "rdd" not in [design.method for design in guided(school).designs]


def test_a_pile_of_equal_scores_is_no_threshold() -> None:
    """Who spent anything converted: a step, but from one value to the others."""
    rng = np.random.default_rng(5)
    frame = scored(rng)
    frame.loc[frame["score"] < 60, "score"] = 0.0
    frame["treated"] = (frame["score"] > 0).astype(int)
    assert "rdd" not in [d.method for d in guided(frame).designs]


@pytest.mark.parametrize(
    ("low", "high", "cutoff"),
    [(0.84997, 0.850002, 0.85), (-0.3, 0.2, 0.0), (617.0, 621.0, 620.0), (-8.2, -7.1, -8.0)],
)
def test_the_roundest_cutoff_that_fits(low: float, high: float, cutoff: float) -> None:
    assert roundest(low, high) == pytest.approx(cutoff)


def test_two_words_are_told_to_become_0_and_1() -> None:
    users = USERS.drop(columns=["opt_in_agent_mode", "routed_to_premium", "treated_post"])
    users = users.assign(prompt_variant=np.where(users["prompt_variant"] == 1, "new", "old"))
    assert "holds 'new' and 'old': write it as 0 and 1" in guided(users).ruled_out["uplift"]


def test_a_single_letter_within_a_name_hints_at_nothing() -> None:
    frame = pd.DataFrame({"y81": [1.5, 2, 3], "y": [4.5, 5, 6], "d89": [0, 1, 1], "D": [1, 0, 1]})
    columns = look(frame).columns
    assert columns["y"].hints == {"outcome"} and columns["D"].hints == {"treatment"}
    assert not columns["y81"].hints and not columns["d89"].hints


def test_the_outcome_is_no_year() -> None:
    years = np.repeat(np.arange(1978, 1982), 50)
    frame = pd.DataFrame({"year": years, "age": years - 1950, "price": np.arange(200) % 37})
    assert outcome_rank(look(frame), ["year", "age", "price"])[0] == "price"
    frame = frame.rename(columns={"price": "anything"})
    assert outcome_rank(look(frame), ["year", "age", "anything"])[0] == "anything"
