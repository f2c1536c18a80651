"""-999 and its like are refused where nothing else lies near them, and nowhere else."""

import pandas as pd
import polars as pl
import pytest
from noholdout_shared import engine
from noholdout_shared.engine import read_cells
from noholdout_shared.errors import DataError
from noholdout_shared.input import binary, numeric, outcome, positive_weights
from noholdout_shared.missing_codes import CODES

MONEY = [0.0, 12.5, 80.0, 950.25, 40_000.0]
ZERO_ONE = [0, 1, 1, 0]
AGES = [18, 41, 62, 90]
DEGREES = [-21.5, 0.0, 13.0, 38.5]
CODED = [
    (ZERO_ONE, -9),
    (ZERO_ONE, -99),
    (ZERO_ONE, 99_999),
    (AGES, -99),
    (AGES, -999),
    (AGES, 99_999),
    (MONEY, -999),
    (MONEY, -9_999),
    (MONEY, 1e9),
    (DEGREES, -999),
    (DEGREES, -9_999),
    (DEGREES, 9.969209968386869e36),
    ([-2.0, 3.5], -99),
    ([1e6, 3e6], -(2**31)),
    ([3, 4], 2**31 - 1),
]
REAL = [
    (ZERO_ONE, -1),
    ([0, 29, 49], 999),  # prices of plans
    ([0, 29, 49, 999], -999),  # a refund
    ([0, 49, 99], 9_999),
    ([0, 5, 10], -9),  # a step of a price
    ([-21.5, 38.5], -99),  # too near to be sure
    (AGES, -9),
    ([1, 20_000], 99_999),
    ([1e3, 2e8], 1e9),
    ([1], -999),  # two values: a score, or a label
    ([-1_500.0, 20.0], -999),  # not at the end
]


def column(values: list[float], code: float, times: int = 3) -> pd.DataFrame:
    return pd.DataFrame({"y": [*values, *[code] * times, *values]})


@pytest.mark.parametrize(("values", "code"), CODED)
def test_a_code_far_from_everything_else_is_refused(values: list[float], code: float) -> None:
    n = 2 * len(values) + 3
    said = rf"'y' is \S+ in 3 of {n} rows \(the first is row {len(values) + 1}\), while its other"
    with pytest.raises(DataError, match=said):
        numeric(column(values, code), "y", "Outcome")


@pytest.mark.parametrize(("values", "code"), REAL)
def test_a_number_that_may_be_real_is_kept(values: list[float], code: float) -> None:
    frame = column(values, code)
    assert numeric(frame, "y", "Outcome").tolist() == frame["y"].tolist()


@pytest.mark.parametrize(("values", "code"), CODED)
def test_a_single_one_is_an_outlier_and_twice_the_code_is_a_number(
    values: list[float], code: float
) -> None:
    numeric(column(values, code, times=1), "y", "Outcome")
    numeric(column(values, code) * 2, "y", "Outcome")


def test_no_code_doubled_is_a_code() -> None:
    assert not CODES & {2 * code for code in CODES}


def test_two_codes_in_one_column_do_not_hide_each_other() -> None:
    frame = column([*AGES, -99, -99], -999)
    with pytest.raises(DataError, match=r"-999 in 3 of 15 rows.*from 18 to 90"):
        numeric(frame, "y", "Covariate")


def test_every_reader_of_numbers_refuses_them() -> None:
    frame = column(ZERO_ONE, -9)
    for read in (outcome, binary):
        with pytest.raises(DataError, match="-9 in 3 of 11 rows"):
            read(frame, "y")
    with pytest.raises(DataError, match="99999 in 3 of 11 rows"):
        positive_weights(column(ZERO_ONE, 99_999), "y")
    with pytest.raises(DataError, match="-9 in 3 of 11 rows"):
        numeric(frame.astype({"y": str}), "y", "Outcome")


@pytest.mark.parametrize(("values", "code"), [*CODED, *REAL])
def test_an_engine_decides_as_the_rows_do(
    values: list[float], code: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WHOLE_BELOW", 0)
    frame = column([float(value) for value in values], code)
    table = pl.from_pandas(frame.assign(week=[0, 1] + [1] * (len(frame) - 2))).lazy()
    if (values, code) in REAL:
        assert read_cells(table, keys=["week"], values=["y"]).cells is not None
        return
    with pytest.raises(DataError, match=rf"in 3 of {len(frame)} rows, while its other values"):
        read_cells(table, keys=["week"], values=["y"])
