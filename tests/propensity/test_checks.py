"""Each check fires on the trouble it is for, and stays quiet without it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import audit_page, estimate
from noholdout_propensity.checks import e_value
from noholdout_propensity.kernels import designs
from noholdout_propensity.kernels.balance import distribution_gap, effective_size
from noholdout_propensity.kernels.richer import richer_design
from noholdout_propensity.kernels.sums import weighted_gram
from propensity.samples import simulate
from scipy import stats

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b", "tier"]}


def test_clean_data_are_sound() -> None:
    answer = estimate(simulate(5000), **COLUMNS)
    assert answer.verdict == "sound"
    assert [c.name for c in answer.checks] == [
        "separation",
        "overlap",
        "empty_regions",
        "balance",
        "specification",
        "covariate_timing",
        "hidden_confounder",
    ]


@pytest.mark.parametrize("estimator", ["aipw", "ipw", "matching"])
def test_a_category_without_a_choice_gives_no_number(estimator: str) -> None:
    frame = simulate(2000)
    frame.loc[frame["tier"] == "heavy", "d"] = 1
    answer = estimate(frame, estimator=estimator, **COLUMNS)
    assert answer.verdict == "do-not-use"
    assert math.isnan(answer.estimate) and math.isnan(answer.std_error)
    assert "tier=heavy opted in" in answer.check("separation").message
    assert answer.to_dict()["estimate"] is None


@pytest.mark.parametrize("estimator", ["aipw", "ipw", "matching"])
@pytest.mark.filterwarnings("error")
def test_scores_without_a_digit_left_give_no_number(estimator: str) -> None:
    # A finite maximum, but scores so near to 0 and 1 that a counterpart's weight has no end.
    rng = np.random.default_rng(3)
    a = np.concatenate([rng.normal(size=400), [-60.0, 60.0] * 10])
    d = (rng.random(420) < 1 / (1 + np.exp(-2 * a))).astype(int)
    frame = pd.DataFrame({"a": a, "d": d, "y": a + d + rng.normal(size=420)})
    answer = estimate(frame, outcome="y", treatment="d", covariates=["a"], estimator=estimator)
    assert answer.verdict == "do-not-use" and math.isnan(answer.estimate)
    assert "0 or 1 to the last digit" in answer.check("separation").message


def test_complete_separation() -> None:
    frame = simulate(500)
    frame["d"] = (frame["a"] > 0).astype(int)
    answer = estimate(frame, **COLUMNS)
    assert answer.check("separation").status == "fail"


def test_hardly_any_overlap_is_not_for_use() -> None:
    assert estimate(simulate(2000, strength=6), **COLUMNS).verdict == "do-not-use"


def test_overlap_population_survives_weak_overlap() -> None:
    frame = simulate(5000, strength=2.5)
    everyone = estimate(frame, **COLUMNS)
    overlap = estimate(frame, estimand="ato", **COLUMNS)
    assert everyone.verdict != "sound"
    assert overlap.check("overlap").status == "pass"
    assert overlap.std_error < everyone.std_error


def curved(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    """Selection and outcome driven by a^2; a logit in a alone can't see it. The effect is 1."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    d = (rng.random(n) < 1 / (1 + np.exp(1 - a**2))).astype(int)
    return pd.DataFrame({"a": a, "b": b, "d": d, "y": a**2 + d + rng.normal(size=n)})


@pytest.mark.parametrize("estimator", ["aipw", "ipw", "matching", "regression"])
def test_a_missing_square_is_not_for_use(estimator: str) -> None:
    columns = {"outcome": "y", "treatment": "d", "estimator": estimator}
    wrong = estimate(curved(), covariates=["a", "b"], **columns)
    assert abs(wrong.estimate - 1) > 4 * wrong.std_error
    assert wrong.check("specification").status == "fail"
    frame = curved()
    right = estimate(
        frame.assign(square=frame["a"] ** 2), covariates=["a", "b", "square"], **columns
    )
    assert right.check("specification").status == "pass"


def test_what_the_mean_hides_stands_in_the_distributions() -> None:
    wrong = estimate(curved(), outcome="y", treatment="d", covariates=["a", "b"], estimator="ipw")
    assert wrong.check("balance").status == "pass"
    assert wrong.tables["distributions"]["ks_after"].max() > 0.1


def test_a_hole_inside_the_range_of_scores() -> None:
    # Heavy users with a above 0.5 all opt in; everyone else has a choice, so a smooth score stays
    # away from 1 and the ranges of both arms look alike.
    frame = simulate(6000, strength=0.2)
    inside = (frame["tier"] == "heavy") & (frame["a"] > 0.5)
    frame.loc[inside, "d"] = 1
    answer = estimate(frame, **COLUMNS)
    check = answer.check("empty_regions")
    assert answer.verdict == "do-not-use" and check.status == "fail"
    assert "tier=heavy" in check.message and "a above" in check.message
    # The box may end a bin late (6000 rows, 32 bins a column), never early by more than one.
    assert check.statistic == pytest.approx(inside.mean(), rel=0.25)


def test_holes_matter_for_whom_the_answer_covers() -> None:
    # Where nobody opted in, those who did are compared as well as before.
    frame = simulate(6000, strength=0.2)
    frame.loc[(frame["tier"] == "heavy") & (frame["a"] > 0.5), "d"] = 0
    assert estimate(frame, estimand="ate", **COLUMNS).check("empty_regions").status == "fail"
    assert estimate(frame, estimand="att", **COLUMNS).check("empty_regions").status == "pass"


def test_e_values_of_the_paper() -> None:
    # VanderWeele and Ding (2017): RR 3.9 gives 7.26; RR 1.8 gives 3.0.
    assert e_value(3.9) == pytest.approx(7.263, abs=1e-3)
    assert e_value(1.8) == pytest.approx(3.0, abs=1e-9)
    assert e_value(1 / 3.9) == pytest.approx(7.263, abs=1e-3)


def test_untestable_checks_leave_the_verdict_alone() -> None:
    answer = estimate(simulate(3000), **COLUMNS)
    assert answer.check("hidden_confounder").status == "cannot-be-tested"
    assert answer.check("covariate_timing").status == "cannot-be-tested"


def test_distribution_gap_is_the_ks_statistic() -> None:
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=300).round(1), rng.integers(0, 2, 300).astype(float)
    x = x + 0.3 * d
    order = np.argsort(x)
    signed = np.where(d == 1, 1 / d.sum(), -1 / (1 - d).sum())[order]
    last = np.append(np.diff(x[order]) > 0, True)
    ks, mean_gap = distribution_gap(signed, last)
    assert ks == pytest.approx(stats.ks_2samp(x[d == 1], x[d == 0]).statistic)
    grid = np.unique(x)
    gaps = [abs((x[d == 1] <= g).mean() - (x[d == 0] <= g).mean()) for g in grid]
    assert mean_gap == pytest.approx(np.mean(gaps))


def test_effective_size_of_equal_weights_is_the_count() -> None:
    assert effective_size(np.full(7, 3.0)) == pytest.approx(7)


def test_balance_is_judged_against_a_coin_flip_of_that_size() -> None:
    # The same difference of 0.15: 30 rows an arm leave 0.26 by chance, 3,000 leave 0.026.
    from noholdout_propensity.checks.balance import balance_check

    table = pd.DataFrame({"covariate": ["a"], "smd_before": [0.4], "smd_after": [0.15]})
    few, many = (
        balance_check(table, np.array([n, n]), 0.1, 1.0, adjusts_outcome=False)
        for n in (30.0, 3000.0)
    )
    assert (few.status, many.status) == ("pass", "caution")
    assert "A coin flip between groups of 30 effective rows would leave about 0.258" in few.message


def test_designs_made_block_by_block_give_the_same_answers(monkeypatch) -> None:
    frame = simulate(20_000)
    asked = (
        {},
        {"folds": 1},
        {"estimator": "ipw", "score": "probit"},
        {"estimator": "matching", "estimand": "att"},
        {"estimator": "matching", "distance": "mahalanobis"},
        {"estimator": "regression"},
        {"estimator": "entropy-balancing"},
    )
    stored = [estimate(frame, **COLUMNS, **options) for options in asked]
    monkeypatch.setattr(designs, "STORED", 0)
    made = [estimate(frame, **COLUMNS, **options) for options in asked]
    for one, other in zip(stored, made, strict=True):
        assert other.estimate == pytest.approx(one.estimate, rel=1e-9)
        assert other.std_error == pytest.approx(one.std_error, rel=1e-9)
        found = [answer.check("specification").statistic for answer in (one, other)]
        assert found[1] == pytest.approx(found[0], rel=1e-6)


def test_a_design_made_block_by_block_multiplies_as_the_stored_one(monkeypatch) -> None:
    monkeypatch.setattr(designs, "STORED", 0)
    base = np.column_stack([np.ones(40_000), np.random.default_rng(0).normal(size=(40_000, 3))])
    found = richer_design(base, 20_000)
    lazy = found.design
    full = lazy[:]
    assert full.shape == lazy.shape == (40_000, 10)
    weights = np.random.default_rng(1).random(40_000)
    assert weighted_gram(lazy, weights) == pytest.approx((full.T * weights) @ full)
    assert lazy.T @ weights == pytest.approx(full.T @ weights)
    assert lazy @ np.arange(10.0) == pytest.approx(full @ np.arange(10.0))
    assert found.gram == pytest.approx(full.T @ full, abs=1e-6)
    assert full[:, 4:].mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert full[:, 4:].std(axis=0) == pytest.approx(1)


@pytest.mark.parametrize(("size", "status"), [(0.0, "pass"), (60.0, "caution"), (1e4, "fail")])
def test_one_row_that_makes_the_error_is_never_sound(size: float, status: str) -> None:
    # 2,000 squared residuals of about 1 beside one of size^2: 60^2 is a good half of the sum.
    frame = simulate(2000, strength=0.0)
    frame.loc[5, "y"] += size
    check = estimate(frame, **COLUMNS).check("overlap")
    assert check.status == status
    assert ("One row alone makes" in check.message) == (size > 0)


def test_an_effect_beyond_any_risk_ratio_has_no_e_value() -> None:
    # Without its fold a row thousands of standard deviations out meets a line that runs wild.
    rng = np.random.default_rng(5)
    x = rng.normal(size=(5000, 2))
    frame = pd.DataFrame({"a": x[:, 0], "d": rng.integers(0, 2, 5000)})
    frame["heavy"] = np.random.default_rng(109).standard_cauchy(5000) ** 2
    frame["y"] = frame["a"] + frame["d"] + x[:, 1]
    answer = estimate(frame, **{**COLUMNS, "covariates": ["a", "heavy"]})
    assert abs(answer.estimate) > 1e6 and answer.verdict == "do-not-use"
    assert "larger than the outcome's whole range" in answer.check("overlap").message
    assert "times as likely" not in answer.check("hidden_confounder").message


@pytest.mark.parametrize("seed", [1, 5])  # a score without a digit left; a fold without a solution
def test_a_long_tail_is_not_taken_for_a_lack_of_choice(seed: int) -> None:
    # Independent of the opt-in, the cubed Cauchy's last row lies 45 standard deviations out.
    tail = np.random.default_rng(seed).standard_cauchy(2000) ** 3
    frame = simulate(2000).assign(tail=tail)
    answer = estimate(frame, **{**COLUMNS, "covariates": ["a", "tail"]})
    assert answer.verdict == "do-not-use"
    message = answer.check("separation").message
    assert "45 standard deviations from the mean of 'tail'" in message
    assert "logarithm or ranks" in message and "nobody can say" not in message
    ranks = frame.assign(tail=frame["tail"].rank())
    mended = estimate(ranks, **{**COLUMNS, "covariates": ["a", "tail"]})
    assert mended.verdict == "sound"


def test_separation_by_a_skewed_covariate_is_still_separation() -> None:
    frame = simulate(2000).assign(spend=np.exp(2 * np.random.default_rng(2).normal(size=2000)))
    frame["d"] = (frame["spend"] > 2).astype(int)
    answer = estimate(frame, **{**COLUMNS, "covariates": ["a", "spend"]})
    message = answer.check("separation").message
    assert answer.verdict == "do-not-use" and "nobody can say" in message


@pytest.mark.parametrize("apart", [1e-8, 1e-7, 1e-6])
def test_a_column_and_its_copy_are_not_taken_for_separation(apart: float) -> None:
    # Their coefficients run away from each other, which looked like separation.
    frame = simulate(2000)
    frame["copy"] = frame["a"] * (1 + apart * np.random.default_rng(0).normal(size=2000))
    alone = estimate(frame, **{**COLUMNS, "covariates": ["a", "tier"]})
    both = estimate(frame, **{**COLUMNS, "covariates": ["a", "copy", "tier"]})
    assert both.settings["dropped_collinear"] == ["copy"] and both.verdict == alone.verdict
    assert both.estimate == pytest.approx(alone.estimate, rel=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("estimator", ["aipw", "ipw", "matching", "entropy-balancing"])
@pytest.mark.parametrize("estimand", ["ate", "att"])
def test_an_outcome_that_is_the_treatment_has_no_standard_error(
    estimator: str, estimand: str
) -> None:
    frame = simulate(800)
    frame["y"] = frame["d"]
    answer = estimate(frame, estimator=estimator, estimand=estimand, **COLUMNS)
    assert answer.estimate == pytest.approx(1, abs=1e-12) and math.isnan(answer.std_error)
    assert answer.check("overlap").status == "pass" and answer.verdict != "sound"


@pytest.mark.filterwarnings("error")
def test_a_covariate_that_is_the_treatment_says_so_without_warnings() -> None:
    frame = simulate(800).assign(b=lambda f: 1 - f["d"])
    answer = estimate(frame, **COLUMNS)
    assert answer.verdict == "do-not-use" and "with b" in answer.check("separation").message


def test_the_table_of_estimators_says_whose_interval_was_resampled() -> None:
    said = "bootstrap for aipw alone; the others' are analytic"
    how = {"inference": "bootstrap", "replicates": 50}
    drawn = estimate(simulate(600), estimator="all", **how, **COLUMNS)
    assert drawn.settings["estimators_inference"] == said
    assert said in " ".join(drawn.summary().split())
    assert f"Intervals: {said}." in audit_page(drawn)
    plain = estimate(simulate(600), estimator="all", **COLUMNS)
    assert said not in plain.summary() + audit_page(plain)
    # What it says is true: the others' errors are those of the analytic answer.
    errors = [a.tables["estimators"].set_index("estimator")["std_error"] for a in (drawn, plain)]
    same = errors[0] == errors[1]
    assert list(same.index[~same]) == ["aipw"]
    alone = estimate(simulate(600), estimator="ipw", **how, **COLUMNS)
    assert "estimators_inference" not in alone.settings
