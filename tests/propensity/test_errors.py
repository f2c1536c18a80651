"""Bad input and impossible designs: one message that says what, why and what to do."""

from __future__ import annotations

import numpy as np
import pytest
from noholdout_propensity import audit_page, estimate
from noholdout_shared.errors import DataError, DesignError
from propensity.samples import simulate

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b"]}
WEIGHTED_BOOTSTRAP = {"outcome_fit": "weighted", "inference": "bootstrap"}


@pytest.mark.parametrize(
    "change, options, error, message",
    [
        ({}, {"covariates": []}, DataError, "No covariates were named"),
        ({}, {"covariates": "a,b"}, DataError, "no column 'a,b'"),
        ({}, {"covariates": 5}, DataError, "5 names no columns"),
        ({}, {"covariates": ["a", "y"]}, DataError, "as covariate and as outcome"),
        ({}, {"covariates": ["a", "d"]}, DataError, "as covariate and as treatment"),
        ({}, {"covariates": ["a", "bb"]}, DataError, "no column 'bb'"),
        ({"a": np.nan}, {}, DataError, "missing values"),
        ({"y": 1.0}, {}, DataError, "Outcome column 'y' is 1 in all"),
        ({"d": 2}, {}, DataError, "isn't 0/1"),
        ({"d": 1}, {}, DataError, "no control rows"),
        ({"a": 1.0, "b": 2.0}, {}, DesignError, "None of the covariates"),
        ({}, {"estimand": "late"}, DataError, "isn't a choice here"),
        ({}, {"estimator": "ols"}, DataError, "isn't a choice here"),
        ({}, {"estimator": "ipw", "folds": 3}, DataError, "has no folds"),
        ({}, {"estimator": "aipw", "caliper": 0.2}, DataError, "has no caliper"),
        ({}, {"estimator": "aipw", "folds": 0}, DataError, "folds is 0"),
        ({}, {"estimator": "matching", "estimand": "ato"}, DesignError, "no overlap population"),
        ({}, {"estimator": "regression", "estimand": "ato"}, DesignError, "averages over rows"),
        ({}, {"estimator": "matching", "inference": "bootstrap"}, DesignError, "is invalid"),
        ({}, {"estimator": "matching", "caliper": -1.0}, DataError, "caliper is -1"),
        ({}, {"estimator": "matching", "caliper": "0.2"}, DataError, "caliper is '0.2'"),
        ({}, {"estimator": "matching", "ratio": 2.5}, DataError, r"ratio is 2\.5"),
        ({}, {"estimator": "matching", "replace": "no"}, DataError, "replace is 'no'"),
        ({}, {"folds": "5"}, DataError, "folds is '5'"),
        ({}, {"trim": "crump", "trim_at": "0.1"}, DataError, "trim_at is '0.1'"),
        ({}, {"replicates": 100}, DataError, "draws nothing"),
        ({}, {"inference": "bootstrap", "replicates": 3}, DataError, "replicates is 3"),
        ({}, WEIGHTED_BOOTSTRAP | {"folds": 1}, DataError, "isn't refitted in replicates"),
        ({}, WEIGHTED_BOOTSTRAP | {"estimator": "regression"}, DataError, "isn't refitted"),
        ({}, {"conf_level": 95}, DataError, "conf_level is 95"),
        ({"c": 1}, {"cluster": "c"}, DesignError, "1 cluster"),
        ({"w": -1.0}, {"weights": "w"}, DataError, "negative values"),
    ],
)
def test_refusals(change: dict, options: dict, error: type, message: str) -> None:
    frame = simulate(200).assign(**change)
    with pytest.raises(error, match=message):
        estimate(frame, **{**COLUMNS, **options})


def test_one_column_needs_no_list() -> None:
    frame = simulate(400).assign(before=lambda rows: rows["a"] ** 2)
    alone = {**COLUMNS, "covariates": "a", "negative_controls": "before"}
    listed = {**COLUMNS, "covariates": ["a"], "negative_controls": ["before"]}
    assert estimate(frame, **alone).to_dict() == estimate(frame, **listed).to_dict()


def test_one_treated_row() -> None:
    frame = simulate(50)
    frame["d"] = 0
    frame.loc[0, "d"] = 1
    with pytest.raises(DesignError, match="only 1 treated row"):
        estimate(frame, **COLUMNS)


@pytest.mark.parametrize(
    ("kept", "message"), [(0, "no treated row of positive"), (1, "only 1 treated row of positive")]
)
def test_an_arm_without_weight(kept: int, message: str) -> None:
    frame = simulate(200)
    frame["w"] = 1.0 - frame["d"]
    frame.loc[frame.index[frame["d"] == 1][:kept], "w"] = 1.0
    with pytest.raises(DesignError, match=message):
        estimate(frame, weights="w", **COLUMNS)


def test_matching_refuses_sampling_weights() -> None:
    with pytest.raises(DesignError, match="sampling weights"):
        estimate(simulate(200).assign(w=1.0), estimator="matching", weights="w", **COLUMNS)


def test_missing_rows_are_counted() -> None:
    frame = simulate(300)
    frame.loc[:9, "a"] = np.nan
    answer = estimate(frame, missing="drop", **COLUMNS)
    assert answer.settings["rows_dropped_missing"] == 10
    assert answer.n_obs == 290


@pytest.mark.parametrize("estimator", ["aipw", "matching", "regression"])
def test_an_audit_of_columns_named_by_numbers(estimator: str) -> None:
    frame = simulate(300)
    named = estimate(frame, estimator=estimator, **{**COLUMNS, "covariates": ["a", "tier"]})
    numbered = frame[["y", "d", "a", "tier"]].set_axis(range(4), axis=1)
    asked = {"outcome": 0, "treatment": 1, "covariates": [2, 3]}
    answer = estimate(numbered, estimator=estimator, audit=True, **asked)
    assert answer.estimate == named.estimate
    assert set(answer.tables["sensitivity"]["covariate"]) == {2, 3}
    assert "as strong as 3:" in audit_page(answer)
    assert "2" in [label.get_text() for label in answer.plot_balance().get_yticklabels()]
    assert answer.plot_hidden_cause().get_title()


def test_a_covariate_named_like_a_level_stands_for_itself() -> None:
    frame = simulate(400)
    odd = frame.rename(columns={"b": "a=b"})
    plain, named = (
        estimate(data, **{**COLUMNS, "covariates": ["a", other]}).tables["sensitivity"]
        for data, other in ((frame, "b"), (odd, "a=b"))
    )
    assert (plain["estimate"] == named["estimate"]).all()


def test_a_confounder_far_from_zero_isnt_dropped_in_silence() -> None:
    frame = simulate(300)
    frame["a"] += 1e12
    with pytest.raises(DataError, match=r"'a' varies by .* in its 9th digit"):
        estimate(frame, **COLUMNS)


def test_columns_may_be_named_by_numbers() -> None:
    frame = simulate(300)
    numbered = frame.rename(columns={"a": 7})
    answer = estimate(numbered, outcome="y", treatment="d", covariates=[7, "b"])
    assert "7" in answer.check("covariate_timing").message


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_a_score_that_did_not_converge_is_never_used(link: str, monkeypatch) -> None:
    from functools import partial

    from noholdout_propensity.estimators import common
    from noholdout_shared.errors import ConvergenceError

    monkeypatch.setattr(common, "fit_score", partial(common.fit_score, max_steps=1))
    with pytest.raises(ConvergenceError, match=f"The {link} score model did not converge in 1"):
        estimate(simulate(300, strength=1.5), estimator="ipw", score=link, **COLUMNS)
