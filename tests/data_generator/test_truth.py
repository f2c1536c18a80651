"""The stored truths are what brute force finds from both potential outcomes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_data_generator import generate
from noholdout_data_generator.population import population_truth
from noholdout_data_generator.scenarios import choose, scenarios
from noholdout_data_generator.telemetry import draw_telemetry
from noholdout_data_generator.users import draw_block
from noholdout_data_generator.world import draw_world

N, SEED = 20_000, 11


def brute(effects: dict[str, float], given: dict[str, int]) -> float:
    """One user's P(completed), written out."""
    p = effects["base"]
    for name, treated in given.items():
        if treated == 1:
            p = p + effects[name]
    return min(0.98, max(0.02, p))


@pytest.mark.parametrize("name", ["clean", "did-composition", "propensity-no-overlap"])
def test_sample_truth_from_potential_outcomes(name: str) -> None:
    chosen = choose(name, 3.0)
    data = generate(n_users=N, seed=SEED, scenario=name, severity=3.0)
    world = draw_world(SEED, chosen.users)
    block = draw_block(SEED, 0, world, chosen.users)
    treatments = ("rollout", "agent", "premium", "prompt")
    own = np.empty((N, 4))
    for i in range(N):
        effects = {k: float(v[i]) for k, v in vars(block.effects).items()}
        given = {k: int(getattr(block.treatments, k)[i]) for k in treatments}
        for j, k in enumerate(treatments):
            own[i, j] = brute(effects, given | {k: 1}) - brute(effects, given | {k: 0})
    stored = data.truth_users
    columns = ["effect_rollout", "effect_agent_mode", "effect_premium", "effect_prompt"]
    np.testing.assert_allclose(stored[columns], own, atol=1e-9)

    users, truth = data.users, data.truth
    first = (users["wave"] == 1) & users["signup_week"].between(20, 29)
    close = {"abs": 1e-9}
    assert truth["did"]["simple"]["sample"] == pytest.approx(own[first, 0].mean(), **close)
    for row in truth["did"]["att_gt"]:
        cell = (users["wave"] == 1) & (users["signup_week"] == row["time"])
        assert row["sample"] == pytest.approx(own[cell, 0].mean(), **close)
        assert row["n"] == cell.sum()
    opted, score = users["opt_in_agent_mode"] == 1, stored["opt_in_probability"]
    agent = truth["propensity"]
    assert agent["ate"]["sample"] == pytest.approx(own[:, 1].mean(), **close)
    assert agent["att"]["sample"] == pytest.approx(own[opted, 1].mean(), **close)
    assert agent["atc"]["sample"] == pytest.approx(own[~opted, 1].mean(), **close)
    overlap = score * (1 - score)
    assert agent["ato"]["sample"] == pytest.approx(np.average(own[:, 1], weights=overlap), **close)
    prompt = np.sort(own[:, 3])
    assert truth["uplift"]["ate"]["sample"] == pytest.approx(prompt.mean(), **close)
    assert truth["uplift"]["harmed_share"]["sample"] == pytest.approx(
        (prompt < -1e-9).mean(), abs=1e-4
    )
    assert truth["uplift"]["top_fifth"]["sample"] == pytest.approx(
        prompt[-N // 5 :].mean(), abs=1e-6
    )


def test_cutoff_truth_is_the_gap_of_the_curves() -> None:
    # Confidence only shifts both curves, and 0.06 is added below: clipping is all that can differ.
    truth = generate(n_users=N, seed=SEED).truth["rdd"]["at_cutoff"]
    assert truth["sample"] == pytest.approx(0.06, abs=5e-4)
    assert truth["sample"] <= 0.06 + 1e-12


def test_telemetry_truth_from_potential_outcomes() -> None:
    chosen = choose("clean", 0.0)
    panel = draw_telemetry(SEED, "pinned", chosen.telemetry)
    truth = generate(n_users=500, seed=SEED).truth["synthetic_control"]
    gap = (panel.p1 - panel.p0)[panel.treated]
    assert truth["att"]["sample"] == pytest.approx(gap[:, 90:].mean())
    assert [row["day"] for row in truth["by_day"]] == list(range(90, 120))
    for row in truth["by_day"]:
        assert row["sample"] == pytest.approx(gap[:, row["day"]].mean())
    assert truth["by_day"][0]["date"] == "2025-04-06"


def test_realised_outcomes_follow_the_probabilities() -> None:
    # The outcome's mean must be that of P(completed): 3 million draws, so 4 errors are 0.0012.
    chosen = choose("clean", 0.0)
    gaps = []
    for seed in range(6):
        world = draw_world(seed, chosen.users)
        block = draw_block(seed, 0, world, chosen.users)
        from noholdout_data_generator.users import probability

        p = probability(block.effects, block.treatments)
        gaps.append(block.frame["task_completed"].mean() - p.mean())
    assert abs(np.mean(gaps)) < 4 * 0.5 / np.sqrt(6 * 65_536)


def leaves(node: object, path: str = "") -> dict[str, float]:
    if isinstance(node, dict):
        return {k: v for key in node for k, v in leaves(node[key], f"{path}.{key}").items()}
    if isinstance(node, list):
        return {k: v for i, row in enumerate(node) for k, v in leaves(row, f"{path}[{i}]").items()}
    return {path: float(node)}  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "severity"), [("clean", 0.0), ("uplift-sleeping-dogs", 3.0)])
def test_population_constants_are_drawn_again(name: str, severity: float) -> None:
    from noholdout_data_generator.draw_population import population_only
    from noholdout_data_generator.generate import sample_truth

    chosen = choose(name, severity)
    seeds = range(6)
    trees = [leaves(population_only(sample_truth(30_000, s, chosen, "pinned"))) for s in seeds]
    drawn = pd.DataFrame(trees)
    constants = pd.Series(leaves(population_truth(chosen)))
    assert list(drawn.columns) == list(constants.index)
    error = drawn.std() / np.sqrt(len(trees))
    # 8 errors of t(5) for 61 numbers at once, and half a hundredth of a point for clipping, which
    # is too rare for six small data sets to show its spread.
    assert ((drawn.mean() - constants).abs() <= 8 * error + 5e-5).all()


def test_every_scenario_has_every_truth() -> None:
    wanted = set(leaves_of_layout(generate(n_users=500, seed=1).truth))
    for scenario in scenarios():
        severity = min(3.0, scenario.max_severity)
        truth = generate(n_users=500, seed=1, scenario=scenario.name, severity=severity).truth
        assert set(leaves_of_layout(truth)) == wanted, scenario.name
        population = {k: v for k, v in leaves_of_layout(truth).items() if k.endswith("population")}
        assert all(v is not None for v in population.values()), scenario.name


def leaves_of_layout(node: object, path: str = "") -> dict[str, object]:
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return {path: node}
    parts = [leaves_of_layout(value, f"{path}.{key}") for key, value in node.items()]
    return {key: value for part in parts for key, value in part.items()}
