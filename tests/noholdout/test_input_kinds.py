"""The kinds of input that a user would bring: the same estimate as from plain columns."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from method_cases import METHODS, Case, case
from noholdout_shared.errors import DataError, DesignError
from noholdout_shared.estimate import Estimate
from noholdout_shared.plain import settle_types

PANELS = ("did", "synthetic_control")
USERS = ("propensity", "rdd", "uplift")
BIG = 2**60
BERLIN = "Europe/Berlin"
NANO = "datetime64[ns]"


@dataclass(frozen=True)
class Kind:
    """One kind of input: the methods that it applies to, and how it is made from the plain one."""

    name: str
    methods: tuple[str, ...]
    frame: Callable[[Case], Any]
    arguments: Callable[[Case], Mapping[str, Any]] = field(default=lambda here: {})


def extra(method: str) -> dict[str, Any]:
    """Arguments that keep the slow method quick."""
    return {"model": "linear"} if method == "uplift" else {}


@pytest.fixture(scope="module")
def plain() -> dict[str, Estimate]:
    return {method: case(method).run(**extra(method)) for method in METHODS}


def cast(role: str, kind: str) -> Callable[[Case], pd.DataFrame]:
    """The frame with the column of a role as another dtype."""
    return lambda here: here.frame.astype({here.column(role): kind})


def mapped(role: str, change: Callable[[Any], Any]) -> Callable[[Case], pd.DataFrame]:
    """The frame with every value of a role's column changed."""

    def make(here: Case) -> pd.DataFrame:
        name = here.column(role)
        return here.frame.assign(**{name: pd.Series(here.frame[name].map(change), dtype=object)})

    return make


def covariates_as(kind: str) -> Callable[[Case], pd.DataFrame]:
    def make(here: Case) -> pd.DataFrame:
        return here.frame.astype({"engagement_tier": kind})

    return make


def dates(change: Callable[[pd.Series], pd.Series]) -> Callable[[Case], pd.DataFrame]:
    def make(here: Case) -> pd.DataFrame:
        name = here.column("time")
        return here.frame.assign(**{name: change(pd.to_datetime(here.frame[name]))})

    return make


def in_polars(zone: str) -> Callable[[Case], pl.DataFrame]:
    zoned = dates(lambda d: d.dt.tz_localize(zone))
    return lambda here: pl.from_pandas(zoned(here))


def renamed(here: Case) -> dict[str, str]:
    return {name: f"größe {j} “{name}” 数" for j, name in enumerate(here.frame.columns)}


def renamed_arguments(here: Case) -> dict[str, Any]:
    names = renamed(here)
    return {
        role: [names[v] for v in value] if isinstance(value, list) else names.get(value, value)
        for role, value in here.arguments.items()
        if role not in ("treated", "cutoff", "start", "treated_side")
    }


def unit_codes(here: Case) -> dict[Any, int]:
    """Each unit as an integer beyond 2**53, where floats no longer tell neighbours apart."""
    return {
        unit: BIG + k for k, unit in enumerate(sorted(here.frame[here.column("unit")].unique()))
    }


def big_units(here: Case) -> pd.DataFrame:
    name = here.column("unit")
    return here.frame.assign(**{name: here.frame[name].map(unit_codes(here)).astype("int64")})


def big_treated(here: Case) -> dict[str, Any]:
    codes = unit_codes(here)
    return (
        {"treated": [codes[u] for u in here.arguments["treated"]]}
        if "treated" in here.arguments
        else {}
    )


def shuffled(here: Case) -> pd.DataFrame:
    return here.frame.sample(frac=1, random_state=3)


def odd_index(here: Case) -> pd.DataFrame:
    return here.frame.set_axis(pd.MultiIndex.from_product([["a"], range(len(here.frame))]))


def cohorts_as_dates(here: Case) -> pd.DataFrame:
    base = pd.Timestamp("2024-01-01")
    days = {
        name: base + pd.to_timedelta(here.frame[name] * 7, "D")
        for name in ("period", "first_period")
    }
    return here.frame.assign(**days)


def with_never(here: Case, never: Any, dtype: str) -> pd.DataFrame:
    late = here.frame["first_period"] == 6
    values = here.frame["first_period"].astype(object).mask(late, never)
    return here.frame.assign(first_period=values.astype(dtype) if dtype != "object" else values)


KINDS = [
    Kind("shuffled rows", (*PANELS, "rdd"), shuffled),
    Kind("another index", METHODS, odd_index),
    Kind("polars", METHODS, lambda here: pl.from_pandas(here.frame)),
    Kind("polars, lazy", METHODS, lambda here: pl.from_pandas(here.frame).lazy()),
    Kind("arrow", METHODS, lambda here: pa.Table.from_pandas(here.frame, preserve_index=False)),
    Kind("arrow dtypes", METHODS, lambda here: here.frame.convert_dtypes(dtype_backend="pyarrow")),
    Kind("nullable dtypes", METHODS, lambda here: here.frame.convert_dtypes()),
    Kind("objects", METHODS, lambda here: here.frame.astype(object)),
    Kind(
        "Unicode and spaces in names",
        METHODS,
        lambda here: here.frame.rename(columns=renamed(here)),
        renamed_arguments,
    ),
    Kind("boolean outcome", USERS, cast("outcome", "bool")),
    Kind("nullable boolean outcome", USERS, cast("outcome", "boolean")),
    Kind("one-byte outcome", USERS, cast("outcome", "int8")),
    Kind("unsigned outcome", USERS, cast("outcome", "uint8")),
    Kind("Decimal outcome", METHODS, mapped("outcome", lambda v: Decimal(repr(v)))),
    Kind("boolean treatment", ("propensity", "uplift"), cast("treatment", "bool")),
    Kind("nullable boolean treatment", ("propensity", "uplift"), cast("treatment", "boolean")),
    Kind("nullable integer treatment", ("propensity", "uplift"), cast("treatment", "Int64")),
    Kind("categorical treatment", ("propensity", "uplift"), cast("treatment", "category")),
    Kind("treatment in text", ("propensity", "uplift"), cast("treatment", "str")),
    Kind("categorical covariate", ("propensity", "uplift"), covariates_as("category")),
    Kind("Decimal running variable", ("rdd",), mapped("running", lambda v: Decimal(repr(v)))),
    Kind("categorical units", PANELS, cast("unit", "category")),
    Kind("big integers as units", PANELS, big_units, big_treated),
    Kind("nullable integer periods", ("did",), cast("time", "Int64")),
    Kind("float periods", ("did",), cast("time", "float64")),
    Kind("Decimal periods", ("did",), mapped("time", lambda v: Decimal(int(v)))),
    Kind("dates as timestamps", ("synthetic_control",), dates(lambda d: d)),
    Kind("dates as text", ("synthetic_control",), dates(lambda d: d.dt.strftime("%Y-%m-%d"))),
    Kind("dates as date objects", ("synthetic_control",), dates(lambda d: d.dt.date)),
    Kind("dates in Berlin", ("synthetic_control",), dates(lambda d: d.dt.tz_localize(BERLIN))),
    Kind("dates in Berlin, polars", ("synthetic_control",), in_polars(BERLIN)),
    Kind("dates in UTC", ("synthetic_control",), dates(lambda d: d.dt.tz_localize("UTC"))),
    Kind("dates in nanoseconds", ("synthetic_control",), dates(lambda d: d.astype(NANO))),
    Kind("dates as categories", ("synthetic_control",), dates(lambda d: d.astype("category"))),
    Kind(
        "start as a date",
        ("synthetic_control",),
        dates(lambda d: d),
        lambda here: {"start": datetime.date.fromisoformat(here.arguments["start"])},
    ),
]  # fmt: skip
CASES = [(kind, method) for kind in KINDS for method in kind.methods]


@pytest.mark.parametrize(
    ("kind", "method"), CASES, ids=[f"{method}: {kind.name}" for kind, method in CASES]
)
def test_the_estimate_is_the_same(kind: Kind, method: str, plain: dict[str, Estimate]) -> None:
    here = case(method)
    found = here.changed(kind.frame(here), **kind.arguments(here)).run(**extra(method))
    assert found.estimate == pytest.approx(plain[method].estimate, rel=1e-9)
    assert found.std_error == pytest.approx(plain[method].std_error, rel=1e-9)
    assert found.n_obs == plain[method].n_obs
    assert found.verdict == plain[method].verdict


def test_dates_as_periods_and_launches_give_the_answer_of_their_numbers(
    plain: dict[str, Estimate],
) -> None:
    here = case("did")
    found = here.changed(cohorts_as_dates(here)).run()
    assert found.estimate == pytest.approx(plain["did"].estimate, rel=1e-9)
    assert found.std_error == pytest.approx(plain["did"].std_error, rel=1e-9)


@pytest.mark.parametrize(
    ("never", "dtype"),
    [(None, "Int64"), (np.nan, "float64"), (np.inf, "float64"), (None, "object"), (99, "int64")],
    ids=["nullable", "nan", "inf", "None", "after the last"],
)
def test_every_spelling_of_never_treated_is_the_same(never: Any, dtype: str) -> None:
    here = case("did")
    usual = here.changed(with_never(here, np.nan, "float64")).run()
    found = here.changed(with_never(here, never, dtype)).run()
    assert found.estimate == pytest.approx(usual.estimate, rel=1e-12)
    assert found.n_control == usual.n_control


def test_dates_as_periods_with_integer_launches_name_both_types() -> None:
    here = case("did")
    mixed = cohorts_as_dates(here).assign(first_period=here.frame["first_period"])
    with pytest.raises(
        DataError, match=r"'first_period' holds numbers such as 4, but 'period' holds dates"
    ):
        here.changed(mixed).run()


@pytest.mark.parametrize("method", PANELS)
def test_a_gap_in_time_is_answered_or_said(method: str, plain: dict[str, Estimate]) -> None:
    """A period that nobody reported (an outage) before the launch."""
    here = case(method)
    periods = np.sort(here.frame[here.column("time")].unique())
    gone = periods[2] if method == "did" else periods[40]
    kept = here.frame[here.frame[here.column("time")] != gone]
    try:
        found = here.changed(kept).run()
    except (DataError, DesignError) as refused:
        assert "period" in str(refused)
        return
    assert found.n_obs == len(kept)
    assert abs(found.estimate - plain[method].estimate) < plain[method].std_error


@pytest.mark.parametrize("method", PANELS)
def test_rows_that_stand_twice_are_refused_with_an_example(method: str) -> None:
    here = case(method)
    twice = pd.concat([here.frame, here.frame.iloc[[7]]])
    unit = str(here.frame.iloc[7][here.column("unit")])
    with pytest.raises(DataError, match=unit):
        here.changed(twice).run()
    averaged = here.changed(twice).run(cell_mean=True)
    # A cell of two rows has half the noise, by which synthetic control's weights shrink less.
    assert averaged.estimate == pytest.approx(here.run(cell_mean=True).estimate, rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_columns_that_are_not_named_are_not_looked_at(
    method: str, plain: dict[str, Estimate]
) -> None:
    here = case(method)
    odd = here.frame.assign(note=[object() for _ in range(len(here.frame))])
    found = here.changed(odd).run(**extra(method))
    assert found.estimate == plain[method].estimate


def test_a_zoned_time_is_the_wall_clock_and_said() -> None:
    here = case("synthetic_control")
    zoned = dates(lambda d: d.dt.tz_localize(BERLIN))(here)
    found = here.changed(zoned).run()
    assert found.settings["time_zones"] == {"date": "wall clock of Europe/Berlin"}
    assert str(found.tables["path"]["time"].min())[:10] == str(here.frame["date"].min())[:10]


def test_the_hour_that_comes_twice_is_told_apart_in_utc() -> None:
    hours = pd.date_range("2025-10-26 00:00", periods=5, freq="h", tz="UTC").tz_convert(BERLIN)
    frame = pd.DataFrame({"at": hours})  # 2:00 comes twice on the wall clock
    assert settle_types(frame) == {"at": "UTC, from Europe/Berlin"}
    assert frame["at"].is_unique and str(frame["at"].iloc[0]) == "2025-10-26 00:00:00"


def test_decimals_keep_their_whole_numbers() -> None:
    big = 2**60 + 1
    frame = pd.DataFrame({"id": [Decimal(big), Decimal(2)], "x": [Decimal("0.5"), None]})
    assert settle_types(frame) == {}
    assert frame["id"].tolist() == [big, 2] and frame["id"].dtype == "int64"
    assert frame["x"].dtype == "float64" and np.isnan(frame["x"].iloc[1])


def test_arrow_types_become_plain_ones() -> None:
    days = pd.Series(pd.date_range("2025-01-01", periods=3))
    arrow = {
        "zoned": days.dt.tz_localize(BERLIN).astype(pd.ArrowDtype(pa.timestamp("us", BERLIN))),
        "moment": days.astype(pd.ArrowDtype(pa.timestamp("us"))),
        "day": days.dt.date.astype(pd.ArrowDtype(pa.date32())),
        "text": pd.Series(["a", None, "b"], dtype=pd.ArrowDtype(pa.string())),
        "id": pd.Series([1, None, BIG + 1], dtype=pd.ArrowDtype(pa.int64())),
        "price": pd.Series([1, None, 2], dtype=pd.ArrowDtype(pa.decimal128(10, 2))),
    }
    frame = pd.DataFrame(arrow)
    assert settle_types(frame) == {"zoned": "wall clock of Europe/Berlin"}
    for name in ("zoned", "moment", "day"):
        assert pd.to_datetime(frame[name]).tolist() == days.tolist()
    assert frame["text"].tolist() == ["a", None, "b"]
    assert frame["id"].tolist()[::2] == [1, BIG + 1]  # no way through floats
    assert frame["id"].isna().tolist() == [False, True, False]
    assert frame["price"].astype(float).tolist()[::2] == [1.0, 2.0]
