"""The clean product is confounded, staged and heterogeneous as promised, on every seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_data_generator import equations as eq
from noholdout_data_generator import generate
from noholdout_data_generator.scenarios import choose
from noholdout_data_generator.users import draw_block, probability
from noholdout_data_generator.world import draw_world
from scipy import integrate, stats

SEEDS = (1, 2, 3, 42)


@pytest.fixture(scope="module", params=SEEDS)
def users(request: pytest.FixtureRequest) -> pd.DataFrame:
    return generate(seed=request.param).users


def stratified(users: pd.DataFrame, strata: list[str]) -> float:
    """The difference by opt-in within strata, averaged over users."""
    cells = users.groupby([*strata, "opt_in_agent_mode"])["task_completed"].agg(["mean", "size"])
    means = cells["mean"].unstack().dropna()
    size = cells["size"].unstack().loc[means.index].sum(axis=1)
    return float(np.average(means[1] - means[0], weights=size))


def test_opt_in_is_confounded_by_all_three_columns(users: pd.DataFrame) -> None:
    bins = users.assign(
        week=users["signup_week"] // 7,
        confidence=pd.qcut(users["query_confidence"], 8, labels=False),
    )
    columns = {"engagement_tier", "week", "confidence"}
    naive = stratified(bins.assign(all=0), ["all"])
    assert naive > 0.16
    for column in columns:
        # One column leaves more than 3.5 points of bias, and each pair more than the three.
        assert stratified(bins, [column]) > 0.08 + 0.035
    everything = stratified(bins, sorted(columns))
    assert everything == pytest.approx(0.08, abs=0.02)
    for column in columns:
        assert stratified(bins, sorted(columns - {column})) > everything


def test_scores_overlap() -> None:
    score = generate(seed=1).truth_users["opt_in_probability"]
    assert score.quantile(0.01) > 0.04
    assert score.quantile(0.99) < 0.90
    assert score.max() < 0.95


def test_clipping_is_rare() -> None:
    chosen = choose("clean", 0.0)
    block = draw_block(1, 0, draw_world(1, chosen.users), chosen.users)
    p = probability(block.effects, block.treatments)
    assert np.isin(p, (eq.P_MIN, eq.P_MAX)).mean() < 0.005


def test_trends_are_parallel_in_probability() -> None:
    # Without the rollout, a wave's mean base moves from week to week by what all share and by
    # shocks of single workspaces; over many worlds the waves' gap doesn't depend on the week.
    chosen = choose("clean", 0.0)
    gaps = []
    for seed in range(400):
        world = draw_world(seed, chosen.users)
        base = world.level[:, None] + world.week[None, :] + world.shock
        gaps.append(base[world.wave == 1].mean(axis=0) - base[world.wave == 2].mean(axis=0))
    gap = np.array(gaps)
    slope = (gap[:, 26:].mean(axis=1) - gap[:, :26].mean(axis=1)).std() / np.sqrt(400)
    assert abs(gap[:, 26:].mean() - gap[:, :26].mean()) < 4 * slope
    assert np.abs(gap.mean(axis=0)).max() < 5 * gap.std(axis=0).max() / np.sqrt(400)


def test_waves_differ_in_nothing_but_levels_shocks_and_launch() -> None:
    users = generate(seed=1, n_users=50_000).users
    tables = [
        pd.crosstab(users["engagement_tier"], users["wave"]),
        pd.crosstab(users["signup_week"], users["wave"]),
        pd.crosstab(users["query_confidence"] < 0.8, users["wave"]),
    ]
    assert min(stats.chi2_contingency(table).pvalue for table in tables) > 1e-3


def test_average_effects_are_the_promised_ones() -> None:
    weeks = np.arange(52)
    cosine = np.cos(np.pi * eq.week_position(weeks)).mean()
    density = stats.beta(*eq.CONFIDENCE_SHAPE).pdf
    tanh = integrate.quad(lambda c: density(c) * np.tanh((0.60 - c) / 0.12), 0, 1, epsabs=1e-12)[0]
    prompt = (
        eq.PROMPT_BASE
        + eq.PROMPT_TIER @ eq.TIER_SHARE
        + eq.PROMPT_WEEK * cosine
        + eq.PROMPT_CONFIDENCE * tanh
    )
    assert prompt == pytest.approx(0.04, abs=1e-12)
    assert pytest.approx(0.08, abs=1e-12) == eq.AGENT_EFFECT @ eq.TIER_SHARE
    rollout = eq.rollout_effect(np.arange(20, 30), np.full(10, 20))
    assert rollout.mean() == pytest.approx(0.05, abs=1e-12)
    assert eq.premium_effect(np.array([0.85]))[0] == pytest.approx(0.06, abs=1e-12)


def test_prompt_is_randomised_and_harms_some(users: pd.DataFrame) -> None:
    assert users["prompt_variant"].mean() == pytest.approx(0.5, abs=0.01)
    arms = (
        users.groupby("prompt_variant")[["query_confidence", "signup_week"]].mean().diff().iloc[1]
    )
    assert abs(arms["query_confidence"]) < 0.006
    assert abs(arms["signup_week"]) < 0.6


def test_harm_and_gain_are_visible() -> None:
    truth = generate(seed=42).truth["uplift"]
    assert 0.15 < truth["harmed_share"]["sample"] < 0.25
    assert truth["top_fifth"]["sample"] > 0.095


def test_density_of_scores_is_smooth_at_the_cutoff() -> None:
    users = pd.concat([generate(seed=s).users for s in SEEDS])
    below = users["query_confidence"].between(0.84, 0.85, inclusive="left").sum()
    above = users["query_confidence"].between(0.85, 0.86, inclusive="left").sum()
    assert abs(below - above) < 4 * np.sqrt(below + above)
    assert min(below, above) > 4_000


def test_null_product_has_no_effect_anywhere() -> None:
    data = generate(n_users=2_000, seed=1, scenario="no-effect")
    effects = data.truth_users.filter(like="effect_")
    assert (effects == 0).to_numpy().all()
    assert data.truth["synthetic_control"]["att"]["sample"] == 0.0
