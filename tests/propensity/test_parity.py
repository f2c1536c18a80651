"""Numbers of other programs: Stata's teffects, and published LaLonde results.

Tolerances: 1e-6 relative on estimates where both sides converge fully, 1e-3 on standard errors
(the anchors' own; most agree to 1e-6).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import aipw, estimate, ipw, matching, regression
from noholdout_shared.inference import influence_std_error
from propensity.samples import LALONDE_COVARIATES, cattaneo
from reference import expected, reference_file
from statsmodels.treatment.tests.results import results_teffects as stata

SCORE = ["mmarried_", "mage", "mage2", "fbaby_", "medu"]
OUTCOME = ["prenatal1_", "mmarried_", "mage", "fbaby_"]
BIRTH = {"outcome": "bweight", "treatment": "mbsmoke_"}


def check(answer, table: np.ndarray) -> None:
    assert answer.estimate == pytest.approx(table[0, 0], rel=1e-6)
    assert answer.std_error == pytest.approx(table[0, 1], rel=1e-3)


@pytest.mark.parametrize("estimand, table", [("ate", "table"), ("att", "table_t")])
def test_stata_ipw(estimand: str, table: str) -> None:
    answer = ipw(cattaneo(), covariates=SCORE, score="probit", estimand=estimand, **BIRTH)
    check(answer, stata.results_ipw[table])


@pytest.mark.parametrize("estimand, table", [("ate", "table"), ("att", "table_t")])
def test_stata_regression_adjustment(estimand: str, table: str) -> None:
    answer = regression(cattaneo(), covariates=OUTCOME, estimand=estimand, **BIRTH)
    check(answer, stata.results_ra[table])


def test_stata_aipw() -> None:
    answer = aipw(
        cattaneo(),
        covariates=SCORE,
        outcome_covariates=OUTCOME,
        score="probit",
        folds=1,
        **BIRTH,
    )
    check(answer, stata.results_aipw["table"])


def test_stata_psmatch() -> None:
    # teffects psmatch (bweight) (mbsmoke mmarried c.mage##c.mage fbaby medu), the manual's first
    # example: -210.9683 (32.021); ties averaged, score estimation accounted for.
    answer = matching(cattaneo(), covariates=SCORE, estimand="ate", **BIRTH)
    assert answer.estimate == pytest.approx(-210.9683, abs=1e-4)
    assert answer.std_error == pytest.approx(32.021, abs=1e-3)


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    return pd.read_csv(reference_file("lalonde_matchit.csv"))


LALONDE = {"outcome": "re78", "treatment": "treat", "covariates": LALONDE_COVARIATES}


def test_lalonde_ipw(lalonde: pd.DataFrame) -> None:
    values = expected("lalonde_matchit")
    att = estimate(lalonde, estimator="ipw", estimand="att", **LALONDE)
    assert att.estimate == pytest.approx(values["ipw_att_hajek"]["value"], abs=1e-3)
    assert att.std_error == pytest.approx(798.155, abs=1e-3)
    assert att.conf_low == pytest.approx(-350.28, abs=0.01)
    assert att.conf_high == pytest.approx(2778.43, abs=0.01)
    effective = att.tables["weights"].set_index("group")["effective_n"]
    assert effective["control"] == pytest.approx(99.8154, abs=1e-4)
    ate = estimate(lalonde, estimator="ipw", **LALONDE)
    assert ate.estimate == pytest.approx(values["ipw_ate_hajek"]["value"], abs=1e-3)


def test_lalonde_weights_taken_as_fixed(lalonde: pd.DataFrame) -> None:
    # The published HC0 error leaves the score's estimation out.
    from noholdout_propensity.estimators.common import fitted_score
    from noholdout_propensity.kernels.weighting import hajek_effect
    from noholdout_propensity.options import Options
    from noholdout_propensity.problem import prepare

    problem = prepare(Options(data=lalonde, **LALONDE))
    fixed, _ = hajek_effect(
        problem.outcome,
        problem.treated,
        problem.score_design,
        fitted_score(problem, "logit"),
        "att",
        likelihood_weights=problem.sampling,
        rows=problem.sampling,
        score_known=True,
    )
    value = expected("lalonde_matchit")["ipw_att_hajek_se_hc0"]["value"]
    assert influence_std_error(fixed.influence) == pytest.approx(value, abs=1e-3)


def test_lalonde_regression_and_aipw(lalonde: pd.DataFrame) -> None:
    values = expected("lalonde_matchit")
    for estimand, key in (("att", "ra_att_separate_arms"), ("ate", "ra_ate_separate_arms")):
        answer = estimate(lalonde, estimator="regression", estimand=estimand, **LALONDE)
        assert answer.estimate == pytest.approx(values[key]["value"], abs=1e-3)
    answer = estimate(lalonde, estimator="aipw", folds=1, **LALONDE)
    assert answer.estimate == pytest.approx(values["aipw_ate"]["value"][0], abs=1e-2)


def test_lalonde_balance_before(lalonde: pd.DataFrame) -> None:
    values = expected("lalonde_matchit")
    answer = estimate(lalonde, estimator="ipw", estimand="att", **LALONDE)
    balance = answer.tables["balance"].set_index("covariate")
    for name, (_, _, smd) in values["balance_unmatched"]["value"].items():
        ours = name.replace("race", "race=") if name.startswith("race") else name
        assert balance.loc[ours, "smd_before"] == pytest.approx(smd, abs=1e-4)
    for name, ratio in values["balance_variance_ratio"]["value"].items():
        assert balance.loc[name, "variance_ratio_before"] == pytest.approx(ratio, abs=1e-4)


def test_lalonde_naive_is_the_difference_of_means(lalonde: pd.DataFrame) -> None:
    means = lalonde.groupby("treat")["re78"].mean()
    assert means[1] - means[0] == pytest.approx(-635.026, abs=1e-3)
