"""Ratio metrics: each user's part by hand, errors by derivatives and draws, what can't be one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from noholdout_shared.checks import denominator_check
from noholdout_shared.errors import DataError, DesignError
from noholdout_uplift import bootstrap_errors, estimate
from noholdout_uplift.calibration import best_linear_predictor
from noholdout_uplift.inference import Estimates, effects_of, group_effects, metrics_by_fold
from noholdout_uplift.kernels.aipw import AipwScores
from noholdout_uplift.policy import contrasts, cost_table, make_rules, policy_table
from noholdout_uplift.ratio import anchored, parts_of
from noholdout_uplift.scored import Drawn, Scored
from noholdout_uplift.tables import qini_table, toc_table

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
    # Untreated: R = (1 + 2) / (2 + 4) = 0.5, mean tasks 3. Treated: mean tasks 2, 3 done of 4.
    # L = 0.5 + (y - 0.5 z) / 2: 0.5 + 0/2, 0.5 + 0/2, 0.5 + 2/2, 0.5 - 1/2.
    parts = parts_of(
        np.array([1.0, 2, 3, 0]),
        np.array([2.0, 4, 2, 2]),
        np.array([0, 0, 1, 1]),
        np.full(4, 0.5),
        None,
        "z",
    )
    np.testing.assert_allclose(parts.outcome, [0.5, 0.5, 1.5, 0])
    np.testing.assert_allclose(parts.below, [1, 2, 1, 1])
    assert parts.ratio == 0.5
    assert parts.moved == pytest.approx(2 / 3 - 1)
    # The arms' difference in L is that of their ratios, 3/4 - 1/2.
    assert parts.outcome[2:].mean() - parts.outcome[:2].mean() == pytest.approx(1 / 4)


def test_chances_and_weights_decide_the_untreated() -> None:
    # Two untreated rows stand for 1 / 0.5 * 1 = 2 and 1 / 0.25 * 3 = 12 users.
    parts = parts_of(
        np.array([1.0, 3, 5]),
        np.array([1.0, 2, 5]),
        np.array([0, 0, 1]),
        np.array([0.5, 0.75, 0.5]),
        np.array([1.0, 3, 1]),
        "z",
    )
    assert parts.ratio == pytest.approx((2 * 1 + 12 * 3) / (2 * 1 + 12 * 2))
    assert parts.moved == pytest.approx(5 / ((2 * 1 + 12 * 2) / 14) - 1)


def test_scores_move_to_their_own_ratio() -> None:
    rng = np.random.default_rng(0)
    y0, y1, z0, z1 = rng.uniform(1, 2, size=(4, 50))
    mass, guess, scale = rng.uniform(1, 2, 50), 0.7, 3.0

    def part(y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return guess + (y - guess * z) / scale

    given = AipwScores(part(y0, z0), part(y1, z1)), AipwScores(z0 / scale, z1 / scale)
    outcome, below = anchored(*given, guess, mass)
    ratio = mass @ y0 / (mass @ z0)
    mean = mass @ z1 / mass.sum()
    np.testing.assert_allclose(outcome.effect, (y1 - y0 - ratio * (z1 - z0)) / mean)
    np.testing.assert_allclose(outcome.control, ratio + (y0 - ratio * z0) / mean)
    np.testing.assert_allclose(below.effect, (z1 - z0) / mean)
    gain = float(np.average(outcome.effect, weights=mass))
    assert gain == pytest.approx(mass @ y1 / (mass @ z1) - ratio)
    with pytest.raises(DesignError, match="isn't told from zero"):
        anchored(given[0], AipwScores(-given[1].control, given[1].treated), guess, mass)


class Raw:
    """Arms' scores of numerator and denominator; ``rows`` are what the package makes of them."""

    def __init__(self, n: int = 60, clusters: bool = False, copies: bool = False) -> None:
        rng = np.random.default_rng(5)
        self.z0, self.z1 = rng.gamma(2, 1, n) + 0.5, rng.gamma(3, 1, n) + 0.5
        self.y0, self.y1 = 0.4 * self.z0 + rng.normal(size=n), 0.6 * self.z1 + rng.normal(size=n)
        self.weight = rng.integers(1, 4, n).astype(float)
        self.score, self.fold = rng.normal(size=n), np.arange(n) % 2
        self.drawn = Drawn(
            np.arange(n) % 10 if clusters else None, self.weight.astype(int) if copies else None
        )
        self.cost = rng.uniform(1, 2, n)

    def rows(self, weight: np.ndarray | None = None, known: bool = False) -> Scored:
        """The scores of rows so weighted; ``known``: ``R`` and ``M`` as if unweighted."""
        mass = self.weight if weight is None else weight
        base = self.weight if known else mass
        ratio, mean = base @ self.y0 / (base @ self.z0), base @ self.z1 / base.sum()
        control = ratio + (self.y0 - ratio * self.z0) / mean
        treated = ratio + (self.y1 - ratio * self.z1) / mean
        return Scored(
            score=self.score,
            gamma=treated - control,
            gamma_control=control,
            fold=self.fold,
            weight=mass,
            drawn=self.drawn,
            cost=self.cost,
            conf_level=0.95,
            df=np.inf,
            below=AipwScores(self.z0 / mean, self.z1 / mean),
        )


def jackknifed(of: Any, raw: Raw, known: bool = False) -> np.ndarray:
    """Influence values by the slow definition: the change as one row's weight grows a little."""
    step, n = 1e-6, raw.weight.size
    values = []
    for i in range(n):
        more, less = raw.weight.copy(), raw.weight.copy()
        more[i] += step * raw.weight[i]
        less[i] -= step * raw.weight[i]
        values.append(n * (of(raw.rows(more, known)) - of(raw.rows(less, known))) / (2 * step))
    return np.array(values)


def groups(rows: Scored) -> Any:
    inside = (rows.score > 0).astype(float)
    return effects_of(rows, lambda gamma: group_effects(gamma, (inside * rows.weight)[:, None]))


def metrics(rows: Scored) -> Any:
    return effects_of(rows, lambda g: metrics_by_fold(rows.score, g, rows.fold, rows.weight))


def slope(rows: Scored) -> Any:
    return effects_of(rows, lambda gamma: best_linear_predictor(rows, gamma))


def rules_worth(rows: Scored) -> Any:
    compared = contrasts(rows, halves(rows))
    given = np.array(compared.against) != "random"  # whose share follows the rule's cost
    return Estimates(compared.found.values[given], compared.found.psi[:, given])


def halves(rows: Scored) -> Any:
    """Rules whose members don't move with the weights."""
    rules = make_rules(replace(rows, cost=None), 0.2, None, None)
    chosen = np.digitize(rows.score, [-1, 0, 1]) / 3
    treat = {name: chosen * (i + 1) / 10 for i, name in enumerate(rules.treat)}
    return replace(rules, treat=treat | {"treat-none": 0 * chosen, "treat-all": 0 * chosen + 1})


@pytest.mark.parametrize("what", [groups, rules_worth])
def test_influence_values_are_derivatives(what: Any) -> None:
    raw = Raw()
    raw.fold = 0 * raw.fold
    expected = jackknifed(lambda rows: what(rows).values, raw)
    plain = what(replace(raw.rows(), below=None)).psi
    assert np.abs(plain - expected).max() > 0.05  # what taking the ratio as known leaves out
    np.testing.assert_allclose(what(raw.rows()).psi, expected, atol=1e-6)


@pytest.mark.parametrize("what", [metrics, slope])
def test_what_the_ratio_adds_to_influence_values(what: Any) -> None:
    # Ranks, which move by whole rows, and mean scores count as given in these values, so they
    # aren't derivatives themselves; what R and M add to them is.
    raw = Raw()
    expected, plain = (
        jackknifed(lambda rows: what(rows).values, raw, known) for known in (False, True)
    )
    found = what(raw.rows()).psi - what(replace(raw.rows(), below=None)).psi
    np.testing.assert_allclose(found, expected - plain, atol=1e-6)
    assert np.abs(found).max(axis=0).min() > 0.01


def test_average_effect_by_the_delta_method_on_both_arms() -> None:
    raw = Raw()
    rows = raw.rows()
    share = rows.share
    m0, m1, n0, n1 = (share @ v / share.size for v in (raw.z0, raw.z1, raw.y0, raw.y1))
    psi = share * ((raw.y1 - n1 / m1 * raw.z1) / m1 - (raw.y0 - n0 / m0 * raw.z0) / m0)
    found = effects_of(rows, lambda gamma: group_effects(gamma, rows.weight[:, None]))
    assert found.values[0] == pytest.approx(n1 / m1 - n0 / m0)
    np.testing.assert_allclose(found.psi[:, 0], psi, atol=1e-12)
    table = policy_table(rows, make_rules(rows, 0.2, None, None)).set_index("rule")
    assert table.loc["treat-all", "value"] == pytest.approx(n1 / m1)
    assert table.loc["treat-none", "value"] == pytest.approx(n0 / m0)
    error = np.sqrt(np.sum((share * (raw.y1 - n1 / m1 * raw.z1) / m1) ** 2)) / share.size
    assert table.loc["treat-all", "std_error"] == pytest.approx(error)


def test_a_rule_is_worth_its_own_ratio() -> None:
    raw = Raw()
    rows = raw.rows()
    rules = make_rules(rows, 0.3, None, None)
    top = rules.treat["top-30%"]
    y, z = (raw.weight @ (a + top * (b - a)) for a, b in ((raw.y0, raw.y1), (raw.z0, raw.z1)))
    table = policy_table(rows, rules).set_index("rule")
    assert table.loc["top-30%", "value"] == pytest.approx(y / z)
    found = contrasts(rows, rules)
    place = list(zip(found.rule, found.against, strict=True)).index(("top-30%", "treat-all"))
    everyone = raw.weight @ raw.y1 / (raw.weight @ raw.z1)
    assert found.found.values[place] == pytest.approx(y / z - everyone)


@pytest.mark.parametrize("kind", ["rows", "clusters", "copies"])
def test_curves_have_the_errors_of_their_points(kind: str) -> None:
    raw = Raw(400, clusters=kind == "clusters", copies=kind == "copies")
    raw.fold, raw.weight = (
        np.zeros(400, dtype=int),
        raw.weight if kind == "copies" else np.ones(400),
    )
    rows = raw.rows()
    gain, toc = qini_table(rows, 0).set_index("fraction"), toc_table(rows, 0).set_index("fraction")
    ate = metrics(rows)
    error = rows.drawn.std_error(ate.psi[:, 0])
    width = 2 * 1.959964 * error
    assert gain.loc[1.0, "uplift"] == pytest.approx(ate.values[0])
    assert gain.loc[1.0, "conf_high"] - gain.loc[1.0, "conf_low"] == pytest.approx(width, rel=1e-6)
    half = np.argsort(-rows.score).argsort() < 200
    if kind != "copies":
        chosen = effects_of(rows, lambda g: group_effects(g, half[:, None].astype(float)))
        width = 2 * 1.959964 * rows.drawn.std_error(chosen.psi[:, 0]) / 2
        found = gain.loc[0.5, "conf_high"] - gain.loc[0.5, "conf_low"]
        assert found == pytest.approx(width, rel=1e-6)
        width = 2 * 1.959964 * rows.drawn.std_error(chosen.psi[:, 0] - ate.psi[:, 0])
        found = toc.loc[0.5, "conf_high"] - toc.loc[0.5, "conf_low"]
        assert found == pytest.approx(width, rel=1e-6)
    costs = cost_table(replace(rows, score=np.abs(rows.score)), 0)
    assert costs is not None
    last = costs.iloc[-1]
    assert last["conf_high"] - last["conf_low"] == pytest.approx(2 * 1.959964 * error, rel=1e-6)


@pytest.mark.parametrize("cluster", [None, "team"])
def test_bootstrap_agrees(cluster: str | None) -> None:
    frame = users(3_000, more=1.0).assign(team=np.arange(3_000) % 150)
    asked = {**ASKED, "denominator": "tasks", "cluster": cluster}
    found = estimate(frame, **asked)
    drawn = estimate(frame, **asked, inference="bootstrap", replicates=1_000)
    # An error from 1,000 draws is off by 1 / sqrt(2,000) = 2%.
    assert drawn.std_error == pytest.approx(found.std_error, rel=0.08)
    pd.testing.assert_series_equal(
        drawn.tables["metrics"]["std_error"],
        found.tables["metrics"]["std_error"],
        rtol=0.08,
    )
    again = bootstrap_errors(found, replicates=1_000)
    assert again["top"] == pytest.approx(drawn.std_error, rel=1e-9)


@pytest.mark.parametrize("each", [1, 4])
def test_over_a_constant_it_is_the_plain_outcome_in_its_unit(each: int) -> None:
    frame = users().assign(tasks=each)
    plain = estimate(frame, **ASKED)
    ratio = estimate(frame, **ASKED, denominator="tasks")
    assert ratio.estimate == pytest.approx(plain.estimate / each, rel=1e-9)
    assert ratio.std_error == pytest.approx(plain.std_error / each, rel=1e-9)
    assert ratio.decision == plain.decision
    for name, columns in {
        "policy": ["value", "std_error"],
        "contrasts": ["estimate", "std_error", "lower_bound"],
        "metrics": ["estimate", "std_error"],
        "qini": ["uplift", "conf_low", "band_high"],
        "toc": ["toc", "conf_low", "band_high"],
        "segments": ["estimate", "std_error"],
        "deciles": ["predicted", "estimate", "std_error"],
    }.items():
        expected = plain.tables[name][columns] / each
        np.testing.assert_allclose(
            ratio.tables[name][columns], expected, rtol=1e-7, atol=1e-12, err_msg=name
        )
    slopes = (plain.tables["calibration"], ratio.tables["calibration"])
    assert slopes[0]["std_error"][1] == pytest.approx(slopes[1]["std_error"][1])
    assert ratio.settings["denominator_moved"] == pytest.approx(0)
    assert ratio.check("ratio_denominator").status == "pass"


def test_answer_is_about_the_ratio_of_all_users() -> None:
    frame = users(40_000, more=0.3)
    found = estimate(frame, **ASKED, denominator="tasks")
    sums = frame.groupby("prompt")[["done", "tasks"]].sum()
    ratio = sums["done"] / sums["tasks"]
    means = frame.groupby("prompt")["tasks"].mean()
    told = found.settings
    assert told["ratio_untreated"] == pytest.approx(ratio[0], rel=1e-12)
    assert told["denominator_moved"] == pytest.approx(means[1] / means[0] - 1, rel=1e-12)
    check = found.check("ratio_denominator")
    assert check.status == "pass" and found.verdict == "sound"
    assert f"by {told['denominator_moved']:+.1%}" in check.message
    ate = found.tables["metrics"].set_index("name").loc["ate"]
    # Four fifths of the users answer, the first fold trains.
    assert ate["estimate"] == pytest.approx(ratio[1] - ratio[0], abs=1.5 * ate["std_error"])
    policy = found.tables["policy"].set_index("rule")["value"]
    assert policy["treat-all"] - policy["treat-none"] == pytest.approx(ate["estimate"])
    assert found.estimand.endswith("outcome / tasks")
    assert " points" not in found.summary()
    used = found.scores[found.scores["evaluated"]]
    assert np.average(used["aipw"], weights=used["top"]) == pytest.approx(found.estimate)
    # The prompt adds tasks, but no success: nobody is to be told that it helps.
    idle = frame.assign(done=np.random.default_rng(1).binomial(frame["tasks"], 0.5))
    nothing = estimate(idle, **ASKED, denominator="tasks")
    assert nothing.conf_low < 0 < nothing.conf_high
    assert estimate(idle, **ASKED).conf_low > 0.1


def test_a_mean_hardly_told_from_zero_is_a_caution() -> None:
    assert denominator_check(0.09, 0.5).status == "pass"
    check = denominator_check(0.12, 0.5)
    assert check.status == "caution"
    assert "+50.0%" in check.message and "12.0%" in check.message
    rng = np.random.default_rng(0)
    rare = users(2_000).assign(tasks=lambda t: (rng.random(len(t)) < 0.03).astype(int))
    found = estimate(rare, **ASKED, denominator="tasks")
    assert found.check("ratio_denominator").status == "caution"


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
        ({"tasks": lambda t: 1 - t["prompt"]}, {}, "'tasks' is zero for every treated row"),
        ({"done": lambda t: 2 * t["tasks"]}, {}, "is 2 times the denominator 'tasks' in every row"),
        ({}, {"denominator": "done"}, "as outcome and as denominator"),
        ({}, {"denominator": "x"}, "both the denominator and a feature"),
        ({}, {"denominator": "prompt"}, "both the denominator and the treatment"),
        ({}, {"denominator": "task"}, "tasks"),
    ],
)
def test_what_is_no_ratio(change: dict[str, Any], asked: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimate(users().assign(**change), **(ASKED | {"denominator": "tasks"} | asked))
