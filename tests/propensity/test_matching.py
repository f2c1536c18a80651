"""Matching beyond the default: Mahalanobis distance, without replacement, calipers, strata."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import estimate
from noholdout_propensity.estimators.matching import whitened
from noholdout_propensity.kernels.neighbours import (
    in_space,
    local_variance,
    taken_in_space,
    taken_on_score,
)
from noholdout_shared.errors import DesignError
from propensity.samples import LALONDE_COVARIATES, simulate
from reference import expected, reference_file

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}
ATT = {"estimator": "matching", "estimand": "att", **COLUMNS}


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    return pd.read_csv(reference_file("lalonde_matchit.csv"))


def control_means(frame: pd.DataFrame, answer) -> pd.Series:
    control = frame["treat"].to_numpy() == 0
    numbers = frame.assign(
        black=frame["race"] == "black",
        hispan=frame["race"] == "hispan",
        white=frame["race"] == "white",
        distance=answer.rows.score,
    ).select_dtypes(["number", "bool"])
    weights = answer.rows.weights[control]
    return numbers[control].astype(float).mul(weights, axis=0).sum() / weights.sum()


def test_matchits_greedy_matches(lalonde: pd.DataFrame) -> None:
    answer = estimate(
        lalonde,
        outcome="re78",
        treatment="treat",
        covariates=LALONDE_COVARIATES,
        estimator="matching",
        estimand="att",
        replace=False,
    )
    values = expected("lalonde_matchit")
    assert answer.estimate == pytest.approx(
        values["nn_ps_1to1_noreplace_att_diff"]["value"], abs=1e-3
    )
    means = control_means(lalonde, answer)
    for name, value in values["nn_ps_1to1_noreplace_matched_control_means"]["value"].items():
        assert means[name] == pytest.approx(value, abs=1e-4)
    # The matched sample's regression, as published.
    import statsmodels.api as sm

    used = answer.rows.weights > 0
    sample = lalonde[used]
    x = pd.get_dummies(sample[["treat", *LALONDE_COVARIATES]], drop_first=True).astype(float)
    fitted = sm.OLS(sample["re78"], sm.add_constant(x)).fit()
    assert fitted.params["treat"] == pytest.approx(
        values["nn_ps_1to1_noreplace_att_ols_adj"]["value"], abs=1e-2
    )


def test_matchits_mahalanobis_means(lalonde: pd.DataFrame) -> None:
    answer = estimate(
        lalonde,
        outcome="re78",
        treatment="treat",
        covariates=LALONDE_COVARIATES,
        estimator="matching",
        estimand="att",
        distance="mahalanobis",
    )
    means = control_means(lalonde, answer)
    published = expected("lalonde_matchit")["mahalanobis_1to1_replace_matched_control_means"]
    for name, value in published["value"].items():
        ours = means[name.removeprefix("race")]
        # MatchIt breaks ties by row, we average them: a treated row exactly between two ages
        # gets their mean here and the first of them there. Nothing else differs.
        assert ours == pytest.approx(value, abs=0.02 if name == "age" else 1e-4)


def test_mahalanobis_against_a_distance_matrix() -> None:
    rng = np.random.default_rng(0)
    query, pool = rng.integers(0, 4, (40, 2)).astype(float), rng.integers(0, 4, (60, 2)) * 1.0
    y = rng.normal(size=60)
    matches = in_space(query, pool, y, ratio=3, caliper=None)
    share = np.zeros(60)
    for i in range(40):
        distance = np.linalg.norm(pool - query[i], axis=1)
        near = np.flatnonzero(distance <= np.sort(distance)[2] + 1e-9)
        assert matches.imputed[i] == pytest.approx(y[near].mean())
        share[near] += 1 / near.size
    assert matches.share == pytest.approx(share)


def test_local_variance_against_a_distance_matrix() -> None:
    rng = np.random.default_rng(1)
    points, y = rng.integers(0, 5, (50, 2)).astype(float), rng.normal(size=50)
    ours = local_variance(points, y, 2)
    for i in range(50):
        distance = np.linalg.norm(points - points[i], axis=1)
        near = np.flatnonzero(distance <= np.sort(distance)[1] + 1e-9)
        assert ours[i] == pytest.approx(np.var(y[near], ddof=1))


def test_whitening_gives_mahalanobis_distances() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3))
    d = rng.integers(0, 2, 200).astype(float)
    pooled = sum(np.cov(x[d == a].T) * ((d == a).sum() - 1) for a in (0, 1)) / 198
    gap = x[0] - x[1]
    expected_distance = np.sqrt(gap @ np.linalg.inv(pooled) @ gap)
    white = whitened(x, d)
    assert np.linalg.norm(white[0] - white[1]) == pytest.approx(expected_distance, abs=1e-8)


@pytest.mark.parametrize("ratio", [1, 2])
def test_greedy_against_a_plain_loop(ratio: int) -> None:
    rng = np.random.default_rng(2)
    query = rng.choice(np.linspace(0, 1, 30), 25)
    pool = rng.choice(np.linspace(0, 1, 30), 80)
    y = rng.normal(size=80)
    free = np.ones(80, dtype=bool)
    partner = np.full((25, ratio), -1)
    for r in range(ratio):
        for i in np.argsort(-query, kind="stable"):
            distance = np.where(free, np.abs(pool - query[i]), np.inf)
            nearest = np.flatnonzero(distance <= distance.min() + 1e-12)[0]
            partner[i, r], free[nearest] = nearest, False
    ours = taken_on_score(query, pool, y, ratio, None)
    assert (ours.partner == partner).all()
    in_one_dimension = taken_in_space(query[:, None], pool[:, None], y, ratio, None, priority=query)
    assert (in_one_dimension.partner == partner).all()


def test_without_replacement_each_row_serves_once() -> None:
    answer = estimate(simulate(1000), replace=False, **ATT)
    weights, treated = answer.rows.weights, answer.rows.treated
    if treated.sum() <= (1 - treated).sum():
        assert set(np.unique(weights)) <= {0.0, 1.0}
    assert answer.settings["rosenbaum_gamma"] > 1


def test_matches_lie_in_their_stratum() -> None:
    frame = simulate(1500)
    answer = estimate(frame, exact=["tier"], **ATT)
    balance = answer.tables["balance"].set_index("covariate")
    for level in ("light", "medium", "heavy"):
        assert balance.loc[f"tier={level}", "smd_after"] == pytest.approx(0, abs=1e-9)


def test_a_caliper_counts_what_it_leaves_out() -> None:
    frame = simulate(300, strength=2.0)
    answer = estimate(frame, caliper=0.01, **ATT)
    assert answer.settings["unmatched"] > 0
    assert answer.settings["matched"] + answer.settings["unmatched"] == frame["d"].sum()
    assert answer.n_treated == answer.settings["matched"]
    assert answer.estimand.endswith("trimmed")
    matched, targets = answer.settings["matched"], frame["d"].sum()
    assert f"covers      the {matched} of {targets} target rows with a match" in answer.summary()


def test_everyone_needs_replacement() -> None:
    with pytest.raises(DesignError, match="without replacement can't cover everyone"):
        estimate(simulate(200), estimator="matching", estimand="ate", replace=False, **COLUMNS)


def test_a_pool_that_runs_out_serves_the_highest_scores() -> None:
    # Scores 0.9, 0.7, 0.5, 0.3 choose in that order among 0.1 and 0.6, each of which serves once:
    # 0.9 takes 0.6, 0.7 takes 0.1, and nobody is left for the others.
    matches = taken_on_score(
        np.array([0.3, 0.9, 0.5, 0.7]), np.array([0.1, 0.6]), np.array([1.0, 5.0]), 1, None
    )
    assert matches.partner.ravel().tolist() == [-1, 1, -1, 0]
    assert matches.found.tolist() == [False, True, False, True]
    frame = simulate(400, strength=0.3)
    frame["d"] = 1 - frame["d"] if frame["d"].mean() < 0.5 else frame["d"]
    answer = estimate(frame, **ATT, replace=False)
    fewer = int((frame["d"] == 0).sum())
    assert answer.settings["matched"] == fewer
    assert answer.settings["unmatched"] == 400 - 2 * fewer > 0


def test_large_tables_are_matched_in_about_twice_their_memory() -> None:
    # Traced allocations of one call at its peak, over the table's own size. Blocks of rows weigh
    # more here than at a million rows, where the peak is 1.9 times the table.
    import tracemalloc

    rng = np.random.default_rng(0)
    n = 420_000
    x = rng.normal(size=(n, 4))
    d = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x[:, 0]))).astype(int)
    frame = pd.DataFrame(x, columns=list("abce")).assign(d=d, y=x.sum(axis=1) + d)
    frame["y"] += rng.normal(size=n)
    asked = {"outcome": "y", "treatment": "d", "covariates": list("abce"), "estimand": "att"}
    tracemalloc.start()
    answer = estimate(frame, **asked, estimator="matching", caliper=0.2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.estimate == pytest.approx(1, abs=5 * answer.std_error)
    assert peak < 2.4 * float(frame.memory_usage(index=False).sum())
