"""Eight rows, one yes/no covariate: the logit is saturated, so every number is a fraction.

x = 0: one adopter (y 3) and three others (y 1, 2, 3): score 1/4, effect 3 - 2 = 1.
x = 1: three adopters (y 4, 5, 6) and one other (y 2): score 3/4, effect 5 - 2 = 3.
ATE: half of the rows each, (1 + 3) / 2 = 2.        ATT: (1 * 1 + 3 * 3) / 4 = 2.5.
ATC: (3 * 1 + 1 * 3) / 4 = 1.5.                     ATO: e(1-e) is 3/16 in both cells: 2.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import estimate
from propensity.samples import match

ROWS = pd.DataFrame(
    {
        "x": [0, 0, 0, 0, 1, 1, 1, 1],
        "d": [1, 0, 0, 0, 1, 1, 1, 0],
        "y": [3.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2.0],
    }
)
COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["x"]}
TRUTH = {"ate": 2.0, "att": 2.5, "atc": 1.5, "ato": 2.0}


CELLS = [
    (estimator, estimand)
    for estimator in ("ipw", "aipw", "matching", "regression")
    for estimand in TRUTH
    if estimand != "ato" or estimator in ("ipw", "aipw")
]


@pytest.mark.parametrize("estimator, estimand", CELLS)
def test_all_estimators_give_the_stratified_answer(estimator: str, estimand: str) -> None:
    options = {"folds": 1} if estimator == "aipw" else {}
    answer = estimate(ROWS, estimator=estimator, estimand=estimand, **COLUMNS, **options)
    assert answer.estimate == pytest.approx(TRUTH[estimand], abs=1e-8)


@pytest.mark.parametrize("estimator", ["ipw", "aipw"])
def test_standard_error_of_the_ate(estimator: str) -> None:
    # Influence values with a saturated score: effect(x) - 2 +- residual / (chance of own arm).
    # x = 0: adopter -1; others -1 + 4/3, -1, -1 - 4/3: squares 1, 1/9, 1, 49/9.
    # x = 1: the mirror image. Their sum is 136/9, the error sqrt(136/9) / 8.
    options = {"folds": 1} if estimator == "aipw" else {}
    answer = estimate(ROWS, estimator=estimator, **COLUMNS, **options)
    assert answer.std_error == pytest.approx(math.sqrt(136 / 9) / 8, abs=1e-8)


def test_abadie_imbens_error_of_the_att() -> None:
    # Adopters' contrasts with their cell's mean: 3 - 2, 4 - 2, 5 - 2, 6 - 2 = 1, 2, 3, 4; around
    # 2.5 their squares add to 5. Controls at x = 0 serve one adopter with 1/3 each: k = 1/3,
    # k2 = 1/9, so k^2 - k2 = 0. The control at x = 1 serves three: k = 3, k2 = 3, factor 6, but
    # its nearest other control is at x = 0: the tied window of its own arm is itself and those
    # three, y = 2, 1, 2, 3, variance 2/3. Sum 5 + 6 * 2/3 = 9; error sqrt(9) / 4 = 0.75.
    score = np.where(ROWS["x"] == 1, 0.75, 0.25)
    effect = match(ROWS["y"].to_numpy(), ROWS["d"].to_numpy(float), score, (True, False), 1)
    assert effect.std_error == pytest.approx(0.75, abs=1e-12)


def test_tables_by_hand() -> None:
    answer = estimate(ROWS, estimator="ipw", **COLUMNS)
    balance = answer.tables["balance"]
    assert list(balance.columns) == [
        "covariate",
        "smd_before",
        "smd_after",
        "variance_ratio_before",
        "variance_ratio_after",
    ]
    # Means of x are 3/4 and 1/4; both variances are 3/16, so the SMD is 0.5 / sqrt(3/16).
    assert balance["smd_before"].iloc[0] == pytest.approx(0.5 / math.sqrt(3 / 16))
    assert balance["smd_after"].iloc[0] == pytest.approx(0, abs=1e-8)
    weights = answer.tables["weights"]
    assert list(weights.columns) == ["group", "n", "effective_n"]
    # Adopters weigh 4, 4/3, 4/3, 4/3: 8^2 / (16 + 3 * 16/9) = 3.
    assert weights["effective_n"].to_list() == pytest.approx([3.0, 3.0])


def test_weights_count_rows() -> None:
    doubled = ROWS.assign(w=[2, 1, 1, 1, 1, 1, 1, 3])
    copied = ROWS.loc[np.repeat(ROWS.index, doubled["w"])]
    for estimator in ("ipw", "regression"):
        weighted = estimate(doubled, estimator=estimator, weights="w", **COLUMNS)
        expanded = estimate(copied, estimator=estimator, **COLUMNS)
        assert weighted.estimate == pytest.approx(expanded.estimate, abs=1e-8)
