"""Published numbers, each held by the option of ours that defines it.

The NSW experiment and its observational controls (Dehejia and Wahba 1999), the birth-weight data
(Stata's teffects), and the numbers that other programs print on them. Tolerances: 1e-5 relative or
better on estimates, 1e-3 on errors; where a source prints fewer digits, its last one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import aipw, estimate, regression
from noholdout_propensity.estimators.common import fitted_score
from noholdout_propensity.estimators.matching import whitened
from noholdout_propensity.kernels.doubly_robust import augmented_effect
from noholdout_propensity.kernels.nuisance import arm_fits, linear_nuisance
from noholdout_propensity.options import Options
from noholdout_propensity.problem import prepare
from noholdout_shared.inference import influence_std_error
from propensity.samples import LALONDE_COVARIATES, cattaneo
from reference import expected, reference_file
from statsmodels.treatment.tests.results import results_teffects as stata

SCORE = ["mmarried_", "mage", "mage2", "fbaby_", "medu"]
OUTCOME = ["prenatal1_", "mmarried_", "mage", "fbaby_"]
BIRTH = {
    "outcome": "bweight",
    "treatment": "mbsmoke_",
    "covariates": SCORE,
    "outcome_covariates": OUTCOME,
    "score": "probit",
    "outcome_fit": "weighted",
}
# The Dehejia-Wahba score of Cunningham's Mixtape, chapter 5.
DW = [
    "age", "age2", "age3", "educ", "educ2", "marr", "nodegree", "black", "hisp", "re74", "re75",
    "u74", "u75", "educ_re74",
]  # fmt: skip
EARNINGS = {"outcome": "re78", "treatment": "treat"}
LALONDE = {**EARNINGS, "covariates": LALONDE_COVARIATES}


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    return pd.read_csv(reference_file("lalonde_matchit.csv"))


@pytest.fixture(scope="module")
def nsw() -> pd.DataFrame:
    return with_powers(pd.read_csv(reference_file("nsw_mixtape.csv")))


@pytest.fixture(scope="module")
def cps(nsw: pd.DataFrame) -> pd.DataFrame:
    controls = with_powers(pd.read_csv(reference_file("cps_mixtape.csv.gz")))
    return pd.concat([nsw[nsw["treat"] == 1], controls], ignore_index=True)


def with_powers(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        age2=frame["age"] ** 2,
        age3=frame["age"] ** 3,
        educ2=frame["educ"] ** 2,
        u74=frame["re74"] == 0,
        u75=frame["re75"] == 0,
        educ_re74=frame["educ"] * frame["re74"],
    )


NUMBERS = {"nsw": "nsw_mixtape+cps_mixtape", "lalonde": "lalonde_matchit"}


def published(study: str, name: str):
    return expected(NUMBERS[study])[name]["value"]


# --- Stata's teffects on the birth weights ---------------------------------------------------


def test_stata_aipw_on_weighted_outcome_models() -> None:
    answer = aipw(cattaneo(), folds=1, **BIRTH)
    table = stata.results_aipw_wls["table"]
    assert answer.estimate == pytest.approx(table[0, 0], rel=1e-6)
    assert answer.std_error == pytest.approx(table[0, 1], rel=1e-5)


@pytest.mark.parametrize("estimand, name", [("ate", "table"), ("att", "table_t")])
def test_stata_weighted_regression_adjustment(estimand: str, name: str) -> None:
    answer = regression(cattaneo(), estimand=estimand, **BIRTH)
    table = stata.results_ipwra[name]
    assert answer.estimate == pytest.approx(table[0, 0], rel=1e-6)
    assert answer.std_error == pytest.approx(table[0, 1], rel=1e-4)


# --- LaLonde, MatchIt's 614 rows --------------------------------------------------------------


def test_normalised_aipw(lalonde: pd.DataFrame) -> None:
    answer = estimate(lalonde, estimand="att", folds=1, augmentation="normalised", **LALONDE)
    assert answer.estimate == pytest.approx(published("lalonde", "aipw_att_hajek"), abs=1e-3)


def test_aipw_with_the_error_of_known_models(lalonde: pd.DataFrame) -> None:
    # The reference leaves the models' estimation out of the error; ours has it in.
    problem = prepare(Options(lalonde, **LALONDE))
    fits = arm_fits(problem.outcome, problem.treated, problem.outcome_design, problem.sampling)
    nuisance = linear_nuisance(problem.outcome_design, fitted_score(problem, "logit"), fits)
    effect = augmented_effect(
        problem.outcome, problem.treated, nuisance, "ate", problem.sampling
    ).effect
    value, error = published("lalonde", "aipw_ate")
    assert effect.estimate == pytest.approx(value, abs=1e-3)
    # Their error divides by n - 1.
    assert influence_std_error(effect.influence) == pytest.approx(error, rel=1e-3)


def test_naive_and_linear_regression(lalonde: pd.DataFrame) -> None:
    answer = estimate(lalonde, estimator="all", **LALONDE)
    naive = answer.tables["estimators"].set_index("estimator").loc["naive", "estimate"]
    assert naive == pytest.approx(published("lalonde", "naive_diff")[0], abs=1e-5)
    value, error = published("lalonde", "ols_adj")
    assert answer.settings["regression_estimate"] == pytest.approx(value, rel=1e-6)
    assert answer.settings["regression_error"] == pytest.approx(error, rel=1e-6)


def test_mahalanobis_with_matchits_tie_rule(lalonde: pd.DataFrame) -> None:
    # MatchIt takes the first of tied controls, we average them. On our distances its rule gives
    # its nine means to the last digit; under ours only `age` differs.
    problem = prepare(Options(lalonde, estimand="att", **LALONDE))
    points = whitened(problem.score_design[:, 1:], problem.treated)
    inside, outside = points[problem.treated == 1], lalonde[lalonde["treat"] == 0]
    distance = np.linalg.norm(inside[:, None] - points[problem.treated == 0][None], axis=2)
    first = np.argmax(distance <= distance.min(axis=1, keepdims=True) + 1e-9, axis=1)
    matched = outside.iloc[first]
    means = pd.concat(
        [matched, pd.get_dummies(matched["race"], prefix="race", prefix_sep="")], axis=1
    )
    for name, value in published(
        "lalonde", "mahalanobis_1to1_replace_matched_control_means"
    ).items():
        assert means[name].mean() == pytest.approx(value, abs=1e-4)
    gap = lalonde.loc[lalonde["treat"] == 1, "re78"].mean() - matched["re78"].mean()
    assert gap == pytest.approx(published("lalonde", "mahalanobis_1to1_replace_att_diff"), abs=1e-2)


# --- the experiment, and CPS in place of its controls -----------------------------------------


@pytest.mark.parametrize(
    "covariates, name",
    [
        (["age", "age2", "educ", "black", "hisp", "nodegree", "re74", "re75"], "experimental_adj"),
        (
            ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"],
            "experimental_adj_linear8",
        ),
    ],
)
def test_experiment(nsw: pd.DataFrame, covariates: list[str], name: str) -> None:
    answer = estimate(nsw, estimator="all", covariates=covariates, **EARNINGS)
    naive = answer.tables["estimators"].set_index("estimator").loc["naive"]
    assert naive["estimate"] == pytest.approx(published("nsw", "experimental_ate"), abs=1e-4)
    hc2 = published("nsw", "experimental_se_hc1_hc2")[1]
    assert naive["std_error"] == pytest.approx(hc2, abs=1e-3)
    value, error = published("nsw", name)
    assert answer.settings["regression_estimate"] == pytest.approx(value, rel=1e-6)
    assert answer.settings["regression_error"] == pytest.approx(error, rel=1e-6)


def test_cps_controls(cps: pd.DataFrame) -> None:
    linear = ["age", "age2", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    answer = estimate(cps, estimator="all", estimand="att", covariates=linear, **EARNINGS)
    assert answer.n_obs == 16_177
    naive = answer.tables["estimators"].set_index("estimator").loc["naive", "estimate"]
    assert naive == pytest.approx(published("nsw", "cps_naive")[0], abs=1e-4)
    value, error = published("nsw", "cps_adj_ols")
    assert answer.settings["regression_estimate"] == pytest.approx(value, rel=1e-6)
    assert answer.settings["regression_error"] == pytest.approx(error, rel=1e-6)


def test_cps_weighting(cps: pd.DataFrame) -> None:
    ate = estimate(cps, estimator="ipw", covariates=DW, **EARNINGS)
    assert ate.estimate == pytest.approx(published("nsw", "cps_ipw_ate_hajek"), rel=1e-5)
    att = estimate(cps, estimator="ipw", estimand="att", covariates=DW, **EARNINGS)
    assert att.estimate == pytest.approx(published("nsw", "cps_ipw_att_hajek"), rel=1e-5)
    score, treated = ate.rows.score, ate.rows.treated
    for group, arm in (("treated", 1), ("control", 0)):
        mean = score[treated == arm].mean()
        assert mean == pytest.approx(published("nsw", "ps_mean")[group], abs=1e-5)
    # Unnormalised weights aren't offered; the published number holds our score.
    y = cps["re78"].to_numpy()
    raw = treated * y / score - (1 - treated) * y / (1 - score)
    assert raw.mean() == pytest.approx(published("nsw", "cps_ipw_ate_ht"), rel=1e-5)
    trimmed = estimate(cps, estimator="ipw", covariates=DW, trim="crump", trim_at=0.1, **EARNINGS)
    assert trimmed.n_obs == 361
    assert trimmed.estimate == pytest.approx(
        published("nsw", "cps_ipw_ate_hajek_trim.1-.9"), rel=1e-5
    )
    inside = trimmed.rows.kept
    assert raw[inside].mean() == pytest.approx(
        published("nsw", "cps_ipw_ate_ht_trim.1-.9"), rel=1e-5
    )
