"""Bad input: one message that says what is wrong, why, and what to do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from did.simulate import panel
from noholdout_did import estimate
from noholdout_shared.errors import DataError, DesignError

ARGS = {"outcome": "y", "time": "t", "first_treated": "g", "unit": "unit"}
DATA = panel(12, periods=5)


def refuse(error: type[Exception], match: str, data: pd.DataFrame, **options: Any) -> None:
    with pytest.raises(error, match=match):
        estimate(data, **{**ARGS, **options})


def test_columns_and_values() -> None:
    refuse(DataError, "no column 'yy'.*mean 'y'", DATA, outcome="yy")
    refuse(DataError, "1 of 150 rows have missing", DATA.assign(y=DATA["y"].where(DATA.index > 0)))
    refuse(DataError, "holds text", DATA.assign(y="high"))
    refuse(DataError, "is 1 in all", DATA.assign(y=1.0))
    refuse(DataError, "no rows", DATA.iloc[:0])
    refuse(DataError, "negative", DATA.assign(w=-1.0), weights="w")


def test_duplicate_rows_are_refused_with_an_example() -> None:
    doubled = pd.concat([DATA, DATA.iloc[[0]]])
    refuse(DataError, r"1 \(unit, time\) cells have more than one row.*--cell-mean", doubled)
    assert estimate(doubled, **ARGS, cell_mean=True).n_obs == 150


def test_launches_that_contradict() -> None:
    moved = DATA.copy()
    moved.loc[0, "g"] = 4
    refuse(DataError, "1 of 30 units have more than one launch.*unit 0: 4.0, 3.0", moved)
    refuse(DataError, "holds 'soon', but 't' holds numbers", DATA.assign(g="soon"))
    dated = DATA.assign(t=pd.to_datetime("2024-01-01") + pd.to_timedelta(DATA["t"], "D"))
    refuse(DataError, "but 't' holds dates", dated)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pandas warns of text that is no date
        refuse(
            DataError, "holds '3.0', but 't' holds dates", dated.assign(g=dated["g"].astype(str))
        )


def test_designs_without_an_answer() -> None:
    refuse(DesignError, "one period", DATA[DATA["t"] == 3])
    refuse(DesignError, "Nobody is first treated after 1", DATA.assign(g=np.nan))
    refuse(DesignError, "Every row is treated", DATA.assign(g=1))
    refuse(DesignError, "Everybody was first treated in 3", DATA.assign(g=3))
    waves = DATA[DATA["g"].notna()]
    refuse(DesignError, "Nobody is never treated", waves, control_group="never-treated")
    assert estimate(waves, **ARGS).settings["effects_without_controls_dropped"] > 0
    refuse(DesignError, "one group only", DATA[DATA["unit"] == 0])
    refuse(DesignError, "None of the .* has a comparison group", DATA, anticipation=4)


def test_one_cluster() -> None:
    refuse(DesignError, "one group only", DATA.assign(c=1), cluster="c")
    refuse(DataError, "more than one cluster", DATA.assign(c=DATA["t"]), cluster="c")


def test_options_are_checked_and_never_ignored() -> None:
    refuse(DataError, "estimator is 'ols'", DATA, estimator="ols")
    refuse(DataError, "replicates=200 was asked", DATA, replicates=200)
    refuse(DataError, "balance=1 was asked", DATA, balance=1)
    refuse(DataError, "doesn't use it", DATA, estimator="two-by-two", aggregate="group")
    refuse(DataError, "anticipation is -1", DATA, anticipation=-1)
    refuse(DataError, "anticipation is 1.5", DATA, anticipation=1.5)
    refuse(DataError, "balance is '1'", DATA, balance="1", aggregate="event")
    refuse(DesignError, "No wave has an effect 9", DATA, balance=9, aggregate="event")
    refuse(DataError, "replicates is 99.5", DATA, replicates=99.5, inference="bootstrap")
    refuse(DataError, "conf_level", DATA, conf_level=95)
    refuse(DataError, "no unit was named", DATA, unit=None, cell_mean=True)


def test_one_column_may_be_named_without_a_list() -> None:
    """Its letters would be looked for, and may be columns."""
    data = DATA.assign(size=np.random.default_rng(0).normal(size=len(DATA)), s=0.0)
    for role in ("covariates", "composition"):
        alone, listed = (estimate(data, **ARGS, **{role: c}) for c in ("size", ["size"]))
        assert alone.to_dict() == listed.to_dict()
    assert estimate(DATA, **ARGS, anticipation=np.int64(1)).settings["anticipation"] == 1


def test_times_that_differ_by_rounding_alone() -> None:
    plain = estimate(DATA, **ARGS)
    # 0.1 + 0.1 + 0.1 is not 0.3: the launch would fall a period late.
    summed = DATA["t"].map(lambda k: sum([0.1] * int(k)))
    assert (summed != DATA["t"] / 10).any()
    found = estimate(DATA.assign(t=summed, g=DATA["g"] / 10), **ARGS)
    assert found.estimate == plain.estimate
    mixed = np.where(DATA["unit"] % 2 == 0, summed, DATA["t"] / 10)
    refuse(DataError, "differ by rounding alone", DATA.assign(t=mixed, g=DATA["g"] / 10))


def test_times_and_launches_that_could_mean_anything() -> None:
    endless = DATA["t"].astype(float).where(DATA.index != 3, np.inf)
    refuse(DataError, "infinite in 1 rows .*row 4", DATA.assign(t=endless))
    refuse(DataError, "holds -1, and 't' is never below 0", DATA.assign(g=DATA["g"].fillna(-1)))
    from_zero = DATA.assign(
        t=DATA["t"] - DATA["t"].min(), g=(DATA["g"] - DATA["t"].min()).fillna(0)
    )
    refuse(DataError, "holds 0, and 't' begins at 0.*Leave 'g' empty for never", from_zero)
    # Times that count from the launch may be negative themselves.
    shifted = estimate(DATA.assign(t=DATA["t"] - 10, g=DATA["g"] - 10), **ARGS)
    assert shifted.estimate == estimate(DATA, **ARGS).estimate
    refuse(DataError, "seed", DATA, seed=-1)


def test_a_far_date_is_never_treated() -> None:
    day = pd.Timestamp("2024-01-01")
    dated = DATA.assign(t=(day + pd.to_timedelta(DATA["t"], "D")).astype("datetime64[us]"))
    launch = (day + pd.to_timedelta(DATA["g"], "D")).astype("datetime64[us]")
    never = pd.Series(np.datetime64("9999-12-31", "us"), index=DATA.index)
    found = estimate(dated.assign(g=launch.fillna(never)), **ARGS)
    assert found.settings["units_never_after_last_period"] > 0
    assert found.estimate == pytest.approx(estimate(DATA, **ARGS).estimate, abs=1e-12)


@pytest.mark.parametrize(
    ("spelled", "problem"),
    [
        ("{}", "'10' would come before '2'"),
        ("2025-W{}", "'2025-W10' would come before '2025-W2'"),
        ("{:02d}/2025", "'01/2025' has its year last"),
        ("15.{:02d}.2025", "'15.01.2025' has its year last"),
    ],
)
def test_text_periods_out_of_order_are_refused(spelled: str, problem: str) -> None:
    data = panel(12, periods=10)
    text = data.assign(t=data["t"].map(spelled.format))
    refuse(DataError, f"Time column 't' holds text.*{problem}", text)
    months = pd.date_range("2025-01-01", periods=10, freq="MS").strftime("%b").tolist()
    named = data["t"].map(lambda t: months[t - 1])
    refuse(DataError, "'Apr' would come first", data.assign(t=named))


def test_text_periods_in_order_are_those_they_spell() -> None:
    data = panel(12, periods=10)
    plain = estimate(data, **ARGS)
    for spelled in ("w{:02d}", "2025-{:02d}", "2025-{:02d}-01", "mark{:02d}"):
        launch = data["g"].map(lambda g, s=spelled: s.format(int(g)), na_action="ignore")
        found = estimate(data.assign(t=data["t"].map(spelled.format), g=launch), **ARGS)
        assert (found.estimate, found.std_error) == (plain.estimate, plain.std_error)


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_the_outcomes_unit_does_not_matter(scale: float) -> None:
    plain = estimate(DATA, **ARGS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = estimate(DATA.assign(y=DATA["y"] * scale), **ARGS)
    assert found.df == pytest.approx(plain.df, rel=1e-9)
    assert found.conf_high == pytest.approx(scale * plain.conf_high, rel=1e-9)


def test_a_watched_column_that_units_keep_does_not_move() -> None:
    """Its shift is what rounding leaves of zero, which no test may be made of."""
    kept = np.random.default_rng(0).normal(size=DATA["unit"].max() + 1)[DATA["unit"]]
    check = estimate(DATA.assign(x=kept), **ARGS, composition=["x"]).check("composition")
    assert check.status == "pass" and check.p_value == 1
    assert "None of the 1 watched columns moved" in check.message


def test_a_wave_without_weight_is_refused_and_nothing_is_divided_by_zero() -> None:
    weighed = DATA.assign(w=(DATA["g"] != 3).astype(float))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refuse(DesignError, "has no rows", weighed, weights="w", estimator="two-by-two")
        others = estimate(weighed, **ARGS, weights="w", estimator="all").tables["estimators"]
    assert others["estimate"].isna().tolist() == [False, True, False, False, False, False]
