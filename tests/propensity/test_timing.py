"""Covariates measured after the opt-in: by timestamps, by earlier values, or not to be known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from noholdout_propensity import estimate
from noholdout_shared.errors import DataError
from propensity.samples import simulate

COLUMNS = {"outcome": "y", "treatment": "d", "covariates": ["a", "b"]}
DAYS = pd.Timestamp("2025-03-10")


def dated(late: int = 0, n: int = 1000) -> pd.DataFrame:
    """Opt-in on 10 March; `a` measured on the 9th, for the first `late` adopters on the 12th."""
    frame = simulate(n)
    frame["opted"] = np.where(frame["d"] == 1, str(DAYS.date()), None)
    frame["seen"] = "2025-03-09"
    adopters = frame.index[frame["d"] == 1][:late]
    frame.loc[adopters, "seen"] = "2025-03-12"
    return frame


def timing(frame: pd.DataFrame, **options: object):
    return estimate(frame, **{**COLUMNS, **options}).check("covariate_timing")


def test_nothing_known_cannot_be_tested() -> None:
    check = timing(simulate(500))
    assert check.status == "cannot-be-tested"
    assert "a, b" in check.message


def test_early_covariates_pass() -> None:
    check = timing(dated(), covariate_times={"a": "seen", "b": "seen"}, treatment_time="opted")
    assert check.status == "pass"


def test_what_isnt_dated_stays_open() -> None:
    check = timing(dated(), covariate_times={"a": "seen"}, treatment_time="opted")
    assert check.status == "cannot-be-tested"
    assert "when b were measured" in check.message


def test_late_covariates_are_counted_with_an_example() -> None:
    frame = dated(late=7)
    check = timing(frame, covariate_times={"a": "seen", "b": "seen"}, treatment_time="opted")
    assert check.status == "caution"
    adopters = int(frame["d"].sum())
    assert f"'a' was measured after the opt-in in 7 of {adopters} rows" in check.message
    assert "seen 2025-03-12 against opted 2025-03-10" in check.message


def test_numeric_times_and_empty_opt_ins() -> None:
    frame = dated().assign(at=5, seen_at=4)
    frame.loc[frame["d"] == 0, "at"] = np.nan
    known = {"covariate_times": {"a": "seen_at", "b": "seen_at"}, "treatment_time": "at"}
    assert timing(frame, **known).status == "pass"
    assert timing(frame.assign(seen_at=6), **known).status == "caution"


@pytest.mark.parametrize("estimator", ["aipw", "ipw", "regression", "entropy-balancing"])
def test_a_covariate_that_the_feature_moved_is_found(estimator: str) -> None:
    # b carries the outcome; after the opt-in the feature has moved it too, so that it hides part
    # of the effect: 0.5 of b's 1.5 reaches the outcome, less than the truth of 1 is left.
    frame = simulate(4000)
    frame["before"] = frame["b"]
    frame["b"] = frame["b"] + 1.5 * frame["d"]
    answer = estimate(frame, pre_values={"b": "before"}, estimator=estimator, **COLUMNS)
    check = answer.check("covariate_timing")
    assert check.status == "fail"
    assert "'b' isn't 'before' in" in check.message
    kept = estimate(frame, estimator=estimator, **{**COLUMNS, "covariates": ["a", "before"]})
    shift = kept.estimate - answer.estimate
    assert check.implied_bias == pytest.approx(abs(shift) / answer.std_error, rel=1e-6)


def test_matching_is_judged_by_weighting() -> None:
    frame = simulate(4000).assign(before=lambda f: f["b"])
    frame["b"] = frame["b"] + 1.5 * frame["d"]
    assert timing(frame, pre_values={"b": "before"}, estimator="matching").status == "fail"


def test_equal_values_settle_it() -> None:
    frame = simulate(800).assign(pre_a=lambda f: f["a"], pre_b=lambda f: f["b"])
    assert timing(frame, pre_values={"a": "pre_a", "b": "pre_b"}).status == "pass"


def test_noise_in_the_earlier_value_is_no_alarm() -> None:
    frame = simulate(2000)
    frame["before"] = frame["b"] + 0.05 * np.random.default_rng(0).normal(size=2000)
    assert timing(frame, pre_values={"b": "before"}).status == "pass"


def test_pre_values_keep_the_same_rows() -> None:
    frame = simulate(800).assign(before=lambda f: f["b"] + 0.5 * f["d"])
    frame.loc[3, "before"] = np.nan
    answer = estimate(frame, pre_values={"b": "before"}, missing="drop", **COLUMNS)
    assert answer.n_obs == 799
    assert answer.check("covariate_timing").status != "cannot-be-tested"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"pre_values": {"z": "b"}}, "isn't a covariate"),
        ({"covariate_times": {"a": "seen"}}, "Only one of"),
        ({"treatment_time": "opted"}, "Only one of"),
        ({"covariate_times": {"a": "tier"}, "treatment_time": "opted"}, "aren't times"),
        ({"covariate_times": {"a": "seen"}, "treatment_time": "never"}, "no time for any row"),
        ({"pre_values": ["a"]}, "doesn't say which column"),
        ({"pre_values": ["a=nope"]}, "no column 'nope'"),
    ],
)
def test_refusals(options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        estimate(dated().assign(never=np.nan), **options, **COLUMNS)


@pytest.mark.parametrize(
    ("noise", "status"),
    [(1e-7, "caution"), (0.05, "caution"), (0.33, "cannot-be-tested"), (1.0, "cannot-be-tested")],
)
def test_a_covariate_that_holds_the_outcome_is_a_caution(noise: float, status: str) -> None:
    # Within the arms the outcome's variance is about 2.4: noise of 0.05 leaves 0.1% of it, noise
    # of 0.33 (as last period's spend may) about 4%.
    frame = simulate(3000)
    frame["spend"] = frame["y"] + noise * np.random.default_rng(1).normal(size=3000)
    check = timing(frame, covariates=["a", "b", "spend"])
    assert check.status == status
    if status == "caution":
        assert "'spend': more than a past could" in check.message


def test_a_strong_covariate_that_is_shown_to_be_earlier_passes() -> None:
    frame = dated()
    frame["spend"] = frame["y"] + 0.01 * np.random.default_rng(1).normal(size=len(frame))
    times = {"a": "seen", "b": "seen", "spend": "seen"}
    known = {"covariate_times": times, "treatment_time": "opted"}
    assert timing(frame, covariates=["a", "b", "spend"], **known).status == "pass"


def test_many_columns_of_noise_leak_nothing() -> None:
    # 40 rows on 34 columns: the plain share of variance explained is near 1.
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(44, 16)), columns=[f"x{i}" for i in range(16)])
    frame["d"], frame["y"] = np.arange(44) % 2, rng.normal(size=44)
    answer = estimate(
        frame,
        outcome="y",
        treatment="d",
        covariates=[f"x{i}" for i in range(16)],
        estimator="regression",
    )
    assert "more than a past could" not in answer.check("covariate_timing").message
