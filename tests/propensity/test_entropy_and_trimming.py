"""Entropy balancing and trimming."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import entropy_balancing, estimate
from noholdout_propensity.kernels.entropy import entropy_weights
from noholdout_propensity.kernels.trimming import crump_bounds, percentile_bounds
from noholdout_shared.errors import DataError, DesignError
from propensity.samples import LALONDE_COVARIATES, simulate
from reference import expected, reference_file
from scipy.optimize import approx_fprime, minimize

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}


@pytest.mark.parametrize("estimand", ["ate", "att", "atc"])
def test_means_are_balanced_exactly(estimand: str) -> None:
    answer = entropy_balancing(simulate(), estimand=estimand, **COLUMNS)
    assert np.abs(answer.tables["balance"]["smd_after"]).max() < 1e-9
    assert (answer.rows.weights >= 0).all()


def test_weights_are_the_closest_to_equal_ones() -> None:
    # Against a general constrained optimiser on the primal problem.
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(30, 2)), np.array([0.3, -0.2])
    ours = entropy_weights(x, np.ones(30), target).weights
    slow = minimize(
        lambda w: float(np.sum(w * np.log(w))),
        np.full(30, 1 / 30),
        jac=lambda w: np.log(w) + 1,
        bounds=[(1e-9, 1)] * 30,
        constraints=[
            {"type": "eq", "fun": lambda w: w.sum() - 1},
            {"type": "eq", "fun": lambda w: w @ x - target},
        ],
        options={"ftol": 1e-14, "maxiter": 500},
    ).x
    assert ours == pytest.approx(slow, abs=1e-5)


def test_standard_error_against_stacked_equations() -> None:
    frame = simulate(400, 3)
    answer = entropy_balancing(frame, estimand="att", **COLUMNS)
    x = np.column_stack(
        [frame["a"], frame["b"], frame["tier"] == "light", frame["tier"] == "medium"]
    ).astype(float)
    d, y = frame["d"].to_numpy(float), frame["y"].to_numpy()
    centre = x[d == 1].mean(axis=0)
    solved = entropy_weights(x, 1 - d, centre)

    def moments(theta: np.ndarray) -> np.ndarray:
        t, dual, m1, m0 = theta[:4], theta[4:8], theta[8], theta[9]
        w = (1 - d) * np.exp((x - centre) @ dual)
        return np.column_stack(
            [
                d[:, None] * (x - t),
                w[:, None] * (x - t),
                d * (y - m1),
                w * (y - m0),
            ]
        )

    theta = np.concatenate([centre, solved.dual, [y[d == 1].mean(), solved.weights @ y]])
    rows = moments(theta)
    n = len(y)
    bread = np.linalg.inv(approx_fprime(theta, lambda t: moments(t).mean(axis=0), 1e-6))
    covariance = bread @ (rows.T @ rows / n) @ bread.T / n
    contrast = np.zeros(10)
    contrast[8:] = [1, -1]
    assert answer.std_error == pytest.approx(np.sqrt(contrast @ covariance @ contrast), rel=1e-4)


def test_targets_out_of_reach_give_no_number() -> None:
    frame = simulate(400)
    frame.loc[frame["d"] == 1, "a"] += 20
    answer = estimate(frame, estimator="entropy-balancing", estimand="att", **COLUMNS)
    assert answer.verdict == "do-not-use" and np.isnan(answer.estimate)


def test_lalonde_entropy_balance_matches_the_treated_means() -> None:
    frame = pd.read_csv(reference_file("lalonde_matchit.csv"))
    answer = entropy_balancing(
        frame, outcome="re78", treatment="treat", covariates=LALONDE_COVARIATES
    )
    weights, control = answer.rows.weights, frame["treat"].to_numpy() == 0
    for name, (treated_mean, _, _) in expected("lalonde_matchit")["balance_unmatched"][
        "value"
    ].items():
        if name in frame:
            mean = np.average(frame[name][control], weights=weights[control])
            assert mean == pytest.approx(treated_mean, abs=1e-4)


def test_crump_bound_by_search() -> None:
    rng = np.random.default_rng(0)
    score = rng.beta(0.6, 0.6, 2000)
    low, high = crump_bounds(score, np.ones(2000))
    assert low == pytest.approx(1 - high)

    def variance_bound(a: float) -> float:
        inside = (score >= a) & (score <= 1 - a)
        return float(np.mean(1 / (score * (1 - score)), where=inside) / inside.mean())

    grid = np.linspace(0.001, 0.3, 300)
    best = grid[np.argmin([variance_bound(a) for a in grid])]
    assert low == pytest.approx(best, abs=0.01)


def test_crump_keeps_all_when_overlap_is_good() -> None:
    score = np.random.default_rng(0).uniform(0.3, 0.7, 500)
    assert crump_bounds(score, np.ones(500)) == (0.0, 1.0)


def test_percentile_bounds_by_hand() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    treated = np.array([0, 0, 1, 0, 1, 0, 1, 1.0])
    # Adopters' scores are 0.3, 0.5, 0.7, 0.8: their 25% quantile is 0.3. The others' are
    # 0.1, 0.2, 0.4, 0.6: their 75% quantile is 0.4.
    assert percentile_bounds(score, treated, np.ones(8), 0.25) == (0.3, 0.4)


@pytest.mark.parametrize("estimator", ["ipw", "aipw"])
def test_trimming_says_whom_the_answer_covers(estimator: str) -> None:
    frame = simulate(3000, strength=2.0)
    answer = estimate(frame, estimator=estimator, trim="crump", trim_at=0.1, **COLUMNS)
    gone = answer.settings["trimmed_rows"]
    assert answer.n_obs == 3000 - gone and gone > 0
    assert "score from 0.100 to 0.900" in answer.settings["covers"]
    assert f"covers      the {3000 - gone:,} of 3,000 rows" in answer.summary()
    assert answer.estimand.endswith("trimmed")
    kept = answer.rows.kept
    assert (answer.rows.score[kept] >= 0.1).all() and (answer.rows.score[kept] <= 0.9).all()
    whole = estimate(frame, estimator=estimator, **COLUMNS)
    assert answer.std_error < whole.std_error


def test_trimming_is_refused_where_it_would_mislead() -> None:
    frame = simulate(500)
    with pytest.raises(DataError, match="without a trimming rule"):
        estimate(frame, trim_at=0.1, **COLUMNS)
    with pytest.raises(DataError, match=r"trim_at is 0\.7"):
        estimate(frame, trim="crump", trim_at=0.7, **COLUMNS)
    with pytest.raises(DataError, match="has no trim"):
        estimate(frame, estimator="matching", trim="crump", **COLUMNS)
    with pytest.raises(DesignError, match="leaves no"):
        estimate(frame, trim="crump", trim_at=0.4999, **COLUMNS)


@pytest.fixture(scope="module")
def nsw_cps() -> pd.DataFrame:
    nsw = pd.read_csv(reference_file("nsw_mixtape.csv"))
    cps = pd.read_csv(reference_file("cps_mixtape.csv.gz"))
    frame = pd.concat([nsw[nsw["treat"] == 1], cps], ignore_index=True)
    return frame.assign(
        age2=frame["age"] ** 2,
        age3=frame["age"] ** 3,
        educ2=frame["educ"] ** 2,
        u74=(frame["re74"] == 0).astype(int),
        u75=(frame["re75"] == 0).astype(int),
        educ_re74=frame["educ"] * frame["re74"],
    )


CPS = {
    "outcome": "re78",
    "treatment": "treat",
    "covariates": ["age", "age2", "age3", "educ", "educ2", "marr", "nodegree", "black", "hisp",
                   "re74", "re75", "u74", "u75", "educ_re74"],
}  # fmt: skip


def test_cps_weighting_and_trimming(nsw_cps: pd.DataFrame) -> None:
    values = expected("nsw_mixtape+cps_mixtape")
    everyone = estimate(nsw_cps, estimator="ipw", **CPS)
    assert everyone.estimate == pytest.approx(values["cps_ipw_ate_hajek"]["value"], abs=0.01)
    assert everyone.verdict == "do-not-use"
    treated = estimate(nsw_cps, estimator="ipw", estimand="att", **CPS)
    assert treated.estimate == pytest.approx(values["cps_ipw_att_hajek"]["value"], abs=0.01)
    trimmed = estimate(nsw_cps, estimator="ipw", trim="crump", trim_at=0.1, **CPS)
    assert trimmed.n_obs == 361
    assert trimmed.estimate == pytest.approx(
        values["cps_ipw_ate_hajek_trim.1-.9"]["value"], abs=0.01
    )
    detail = everyone.rows
    for value, word in ((1, "treated"), (0, "control")):
        mean = detail.score[detail.treated == value].mean()
        assert mean == pytest.approx(values["ps_mean"]["value"][word], abs=1e-5)
